from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console, RenderableType

from zoo.console.listing import Row
from zoo.console.plugins import PluginCard, checks_table, next_commands, plugin_card, plugin_listing, remedy
from zoo.loading import Plugin
from zoo.testing import CheckResult

GOOD = Plugin(
    name="acme",
    distribution="zoo-acme",
    version="2.1",
    location="/" + "long-folder/" * 12 + "plugin.py",
    hooks=("zoo_architectures", "zoo_optimizers", "zoo_regularizers", "zoo_acquisitions", "zoo_recipes"),
    milliseconds=1.234,
)
BAD = Plugin(
    name="bad",
    distribution="zoo-a-long-name",
    version="1.0",
    location="bad_module",
    state="failed",
    error="import: RuntimeError: " + "reason " * 12,
    milliseconds=0.5,
)
COMPONENT = Row("architecture", "acme/net", "cnn", "a net", "acme", "zoo-acme", "2.1")


def lines(renderable: RenderableType, width: int = 80) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width, markup=False, highlight=False).print(renderable)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_the_list_lines_up_fits_80_columns_and_loses_nothing() -> None:
    text = lines(plugin_listing([GOOD, BAD]))
    assert max(map(len, text)) <= 80
    assert text[0] == "acme  loaded  zoo-acme         2.1  1.2 ms"
    assert "bad   failed  zoo-a-long-name  1.0  0.5 ms" in text
    flat = "".join("".join(text).split())
    assert GOOD.location in flat
    assert flat.count("reason") == 12
    assert all(hook in flat for hook in GOOD.hooks)


def test_a_page_has_facts_components_and_registry_files() -> None:
    card = PluginCard(plugin=GOOD, components=[COMPONENT], recipes=["/a/registry.yaml", "/b.yaml"])
    text = lines(plugin_card(card))
    assert max(map(len, text)) <= 80
    assert ["distribution", "zoo-acme", "2.1"] in [line.split() for line in text]
    assert ["recipes", "/a/registry.yaml"] in [line.split() for line in text]
    assert ["acme/net", "cnn", "a", "net"] in [line.split() for line in text]
    assert not any(line.startswith(("not used", "try")) for line in text)


def test_a_page_says_why_a_plugin_is_not_used_and_what_to_do() -> None:
    text = lines(plugin_card(PluginCard(plugin=BAD, components=[], recipes=[])), width=160)
    assert text[1].split() == ["state", "failed"]
    assert text[2].startswith("not used")
    assert text[3].endswith("pip uninstall zoo-a-long-name, or install a version that works")


def test_each_state_has_its_remedy() -> None:
    twin = Plugin(name="x", distribution="zoo-x", version="1", state="conflict", error="claimed twice")
    off = Plugin(name="x", distribution="zoo-x", version="1", state="disabled", error="ZOO_PLUGINS does not name it")
    mine = Plugin(name="local", distribution="net.py", version="local", location="/p/net.py", state="failed", error="x")
    assert remedy(twin) == "pip uninstall zoo-x"
    assert remedy(off) == "unset ZOO_DISABLE_PLUGINS ZOO_PLUGINS"
    assert remedy(mine) == "correct /p/net.py, or move it out of the plugins folder"


def test_checks_are_grouped_and_failures_have_their_reason() -> None:
    results = [
        CheckResult("acme", "imports_light", True, "Listing imports nothing heavy."),
        CheckResult("acme/net", "channels_last", False, "logits change with channels_last " + "and more " * 12),
        CheckResult("acme/net", "autocast", True, "Fine."),
        CheckResult("acme/net", "stages", False, "logits change with channels_last " + "and more " * 12),
    ]
    text = lines(checks_table(results))
    assert max(map(len, text)) <= 80
    assert [line.split() for line in text[:2]] == [["acme"], ["✓", "passed", "imports", "light"]]
    assert ["✗", "failed", "channels", "last"] in [line.split() for line in text]
    assert " ".join(text).count("more") == 12
    assert "Listing imports" not in " ".join(text)
    assert ["✗", "failed", "stages", "(as", "above)"] in [line.split() for line in text]
    assert text[-1] == "2 of 4 checks failed"
    assert lines(checks_table(results[:1]))[-1] == "all 1 checks passed"


def test_what_to_type_next_quotes_the_folder() -> None:
    text = lines(next_commands("acme", Path("my plugins/zoo-acme"), 10))
    assert text[0].startswith("wrote my plugins/zoo-acme")
    assert text[1:] == ["  pip install -e 'my plugins/zoo-acme'", "  zoo plugin check acme", "  zoo train acme/digits"]
