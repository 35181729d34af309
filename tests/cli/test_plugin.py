from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fixtures.distributions import HOSTILE, install, install_decent, namespace

from zoo.cli.main import main
from zoo.loading import HOOKS

ZOO = str(Path(sys.executable).with_name("zoo"))
HEAVY = {"torch", "numpy", "timm", "torchvision", "PIL", "scipy", "sklearn"}
MODULES = sorted(path.stem for path in HOSTILE.glob("*.py") if path.stem not in ("decent", "decent_net"))
CONFLICTS = ("twin_one", "twin_two", "steals_namespace")
LOADED = ("canary", "nonsense_factory", "observer_meddles", "observer_raises", "unresolved_factory", "writes_to_stdout")
FAILED = sorted({*MODULES} - {*CONFLICTS, *LOADED})
FIELDS = ["name", "distribution", "version", "location", "first_party", "hooks", "state", "error", "milliseconds"]


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths of temporary folders are as long as they happen to be; tables need not break them."""
    monkeypatch.setenv("COLUMNS", "240")


def document(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> Any:
    assert main(["plugin", *arguments, "--json"]) == status
    return json.loads(capsys.readouterr().out)


def test_list_has_every_plugin_with_origin_state_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugin", "list", "--json"]) == 0
    out, err = capsys.readouterr()
    rows = json.loads(out)
    assert err == ""
    assert all(list(row) == FIELDS for row in rows)
    (row,) = [row for row in rows if row["name"] == "architectures"]
    assert (row["distribution"], row["state"], row["hooks"]) == ("zoo-vision", "loaded", ["zoo_architectures"])
    assert row["location"].endswith(str(Path("zoo_architectures", "plugin.py")))
    assert row["milliseconds"] > 0


@pytest.mark.parametrize("strict", ["", "1"])
def test_list_outlives_every_hostile_plugin_and_names_each(
    strict: str, site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_STRICT_PLUGINS", strict)
    distributions = {module: install(site, module, version=f"1.{i}") for i, module in enumerate(MODULES)}
    install_decent(site)
    assert main(["plugin", "list", "--json"]) == 0
    out, err = capsys.readouterr()
    found = {row["distribution"]: row for row in json.loads(out)}
    for index, module in enumerate(MODULES):
        row = found[distributions[module]]
        state = "loaded" if module in LOADED else "conflict" if module in CONFLICTS else "failed"
        assert (row["name"], row["version"], row["state"]) == (namespace(module), f"1.{index}", state)
        assert bool(row["error"]) == (state != "loaded")
    assert found["zoo-decent"]["state"] == "loaded"
    assert "is not used" not in err
    assert main(["plugin", "list"]) == 0
    out, err = capsys.readouterr()
    lines = [" ".join(line.split()) for line in out.splitlines()]
    for module in (*FAILED, *CONFLICTS):
        row = found[distributions[module]]
        heading = next(
            i for i, line in enumerate(lines) if f"{row['state']} {row['distribution']} {row['version']}" in line
        )
        assert lines[heading].startswith(row["name"])
        assert row["error"][:40] in lines[heading + 1]
    assert "is not used" not in err
    assert "SPOILED" not in out


def test_show_tells_components_and_registry_files(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install_decent(site)
    (shown,) = document(capsys, "show", "decent")
    assert list(shown) == [*FIELDS, "components", "recipes"]
    assert shown["hooks"] == ["zoo_architectures", "zoo_recipes"]
    assert [(row["kind"], row["name"]) for row in shown["components"]] == [("architecture", "decent/net")]
    assert shown["recipes"] == [str(site / "decent.yaml")]
    assert main(["plugin", "show", "decent"]) == 0
    out = capsys.readouterr().out
    for part in ("zoo-decent 1.2.3", "decent/net", "one hidden layer", "decent.yaml", "zoo_recipes"):
        assert part in out


def test_show_of_a_name_that_two_distributions_claim_has_both(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(site, "twin_one")
    install(site, "twin_two", version="4.5")
    one, two = document(capsys, "show", "twin")
    assert [(each["distribution"], each["version"]) for each in (one, two)] == [
        ("zoo-twin-one", "1.2.3"),
        ("zoo-twin-two", "4.5"),
    ]
    assert one["error"] == two["error"] == "the namespace 'twin' is claimed by zoo-twin-one and zoo-twin-two"
    assert main(["plugin", "show", "twin"]) == 0
    out = capsys.readouterr().out
    assert "pip uninstall zoo-twin-one" in out
    assert "pip uninstall zoo-twin-two" in out


def test_show_says_why_a_plugin_is_not_used(
    site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    install(site, "raises_at_import")
    assert main(["plugin", "show", "raises-at-import"]) == 0
    out = capsys.readouterr().out
    assert "import: RuntimeError: the author left early" in out
    assert "pip uninstall zoo-raises-at-import" in out
    monkeypatch.setenv("ZOO_DISABLE_PLUGINS", "tensorboard")
    (shown,) = document(capsys, "show", "tensorboard")
    assert (shown["state"], shown["error"]) == ("disabled", "ZOO_DISABLE_PLUGINS names it")


def test_plugins_of_a_folder_are_listed_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "broken_here.py").write_text("1 / 0\n")
    assert main(["--plugins-dir", str(folder), "plugin", "show", "local"]) == 0
    out, err = capsys.readouterr()
    assert "ZeroDivisionError" in out
    assert f"correct {folder / 'broken_here.py'}" in " ".join(out.split())
    assert err == ""


def test_new_writes_a_package_and_says_what_to_type_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugin", "new", "acme"]) == 0
    out, err = capsys.readouterr()
    assert [line.strip() for line in out.splitlines()[1:]] == [
        "pip install -e zoo-acme",
        "zoo plugin check acme",
        "zoo train acme/digits",
    ]
    assert err == ""
    assert [path.name for path in tmp_path.iterdir()] == ["zoo-acme"]
    assert (tmp_path / "zoo-acme/zoo_acme/plugin.py").is_file()
    assert main(["plugin", "new", "acme", "--path", "deep/a plugin"]) == 0
    assert "pip install -e 'deep/a plugin'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["My_Plugin"], "got 'My_Plugin' instead\n  try: zoo plugin new my-plugin"),
        (["-acme"], "No such option"),
        (["a--b"], "try: zoo plugin new a-b"),
        (["../acme"], "try: zoo plugin new acme"),
        (["é"], "try: zoo plugin new acme"),
        (["a" * 41], "at most 40 characters"),
        (["architectures"], "zoo-vision 0.1.0 has that namespace"),
        (["vision"], "its distribution would be called zoo-vision"),
        (["local"], "--plugins-dir"),
        (["observers"], "an import package 'zoo_observers' is installed already"),
        (["decent"], "zoo-decent 1.2.3 has that namespace"),
        (["acme", "--path", "taken"], "taken exists and is not empty"),
        (["acme", "--path", "taken/notes.txt"], "taken/notes.txt is a file"),
        (["acme", "--path", "taken/notes.txt/deep"], "cannot write"),
        (["acme", "--path", "."], "a folder of its own"),
        (["acme", "--path", "long" * 80], "file name too long"),
        ([], "Missing argument 'NAME'"),
    ],
)
def test_new_refuses_bad_input_and_leaves_nothing_behind(
    arguments: list[str], message: str, tmp_path: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install_decent(site)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/notes.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    assert main(["plugin", "new", *arguments]) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert "try: " in err
    assert "Traceback" not in err
    assert out == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_check_tells_each_check_and_exits_0_where_all_pass(capsys: pytest.CaptureFixture[str]) -> None:
    (result,) = document(capsys, "check", "tensorboard")
    assert result == {
        "component": "tensorboard",
        "check": "imports_light",
        "passed": True,
        "detail": "Listing the plugin imports no torch, numpy or other heavy package.",
    }
    assert main(["plugin", "check", "tensorboard"]) == 0
    assert "all 1 checks passed" in capsys.readouterr().out


def test_check_exits_1_where_a_component_breaks_its_contract(
    site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    install(site, "nonsense_factory")
    monkeypatch.setenv("PYTHONPATH", str(site))  # for the process in which the kit imports the plugin afresh
    results = document(capsys, "check", "nonsense-factory", status=1)
    assert {result["component"] for result in results if not result["passed"]} == {
        "nonsense-factory/net",
        "nonsense-factory/step",
    }
    assert main(["plugin", "check", "nonsense-factory"]) == 1
    out = capsys.readouterr().out
    assert "must return a torch.nn.Module, got str instead" in out
    assert f"{sum(not r['passed'] for r in results)} of {len(results)} checks failed" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "tensorbord"], "did you mean 'tensorboard'?"),
        (["check", "raises-at-import"], "the author left early"),
        (["show", "architecture"], "did you mean 'architectures'?"),
        (["shwo", "acme"], "unknown plugin command 'shwo'\n  possible: did you mean 'show'?"),
        (["list", "--jsn"], "No such option '--jsn'"),
    ],
)
def test_bad_input_is_one_message_and_exit_2(
    arguments: list[str], message: str, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(site, "raises_at_import")
    assert main(["plugin", *arguments]) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert out == ""
    assert "Traceback" not in err


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugin"]) == 0
    out = capsys.readouterr().out
    assert all(f" {name} " in out for name in ("list", "show", "new", "check"))


@pytest.mark.parametrize("arguments", [("show", "architectures"), ("new", "acme"), ("--help",)])
def test_looking_and_creating_import_nothing_heavy(arguments: tuple[str, ...]) -> None:
    code = f"import sys\nfrom zoo.cli.main import main\nmain({['plugin', *arguments]!r})\nprint(*sys.modules, file=sys.stderr)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(ended.stderr.splitlines()[-1].split())


def test_the_shell_completes_names_without_importing_a_plugin(site: Path) -> None:
    install(site, "canary")
    words = {"_ZOO_COMPLETE": "bash_complete", "COMP_WORDS": "zoo plugin show can", "COMP_CWORD": "3"}
    environment = {**os.environ, **words, "PYTHONPATH": str(site)}
    ended = subprocess.run([ZOO], capture_output=True, text=True, env=environment, check=False)
    assert [line.partition(",")[2] for line in ended.stdout.splitlines()] == ["canary"]
    assert not (site / "canary.txt").exists()


def test_the_guide_names_every_hook_and_variable_and_its_plugin_trains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    guide = (Path(__file__).parents[2] / "plugins/README.md").read_text()
    assert all(f"`{hook}(" in guide for hook in HOOKS)
    assert all(name in guide for name in ("ZOO_DISABLE_PLUGINS", "ZOO_PLUGINS", "ZOO_STRICT_PLUGINS", "--plugins-dir"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/linear.py").write_text(guide.split("```python\n")[1].split("```")[0])
    try:
        train = ("train", "conv-net-momentum", "architecture=local/linear")
        assert main(["--plugins-dir", "mine", *train, "--dry-run", "--json"]) == 0
        out = capsys.readouterr().out
        assert main(["--plugins-dir", "mine", "plugin", "check", "local"]) == 0
    finally:
        sys.modules.pop("linear", None)
    assert json.loads(out)["parameters"] == (64 + 1) * 10
