from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fixtures.distributions import HOSTILE, install, install_decent, namespace

from zoo.components import Component, Params
from zoo.errors import ComponentError, PluginError, UnknownNameError
from zoo.plugins import Catalog, Plugin, load_catalog


def plugin(catalog: Catalog, name: str, distribution: str | None = None) -> Plugin:
    (found,) = [p for p in catalog.plugins if p.name == name and distribution in (None, p.distribution)]
    return found


FAILURES = {
    "raises_at_import": "import: RuntimeError: the author left early",
    "syntax_error": "import: SyntaxError: invalid syntax",
    "system_exit": "import: SystemExit: 3",
    "keyboard_interrupt": "import: KeyboardInterrupt",
    "missing_dependency": "import: ModuleNotFoundError: No module named 'a_package_that_nobody_has'",
    "unknown_hook": "unknown hook 'zoo_architecture'; did you mean 'zoo_architectures'?",
    "hook_raises": "hook zoo_architectures: ZeroDivisionError: division by zero",
    "late_generator": "hook zoo_architectures: SystemExit: too late",
    "illegal_name": "hook zoo_architectures: ValueError: architecture name must be kebab-case",
    "broken_schema": "hook zoo_architectures: TypeError: params of 'net': every field needs a resolvable type",
    "wrong_record": "hook zoo_architectures must return ArchitectureSpec records, got {'name': 'net'} instead",
    "missing_recipes": "hook zoo_recipes names /nowhere/registry.yaml, which is not a file",
    "default_argument": "hook 'zoo_run_started' may not have default arguments",
}


@pytest.mark.parametrize("module", FAILURES)
def test_a_broken_plugin_is_named_with_its_distribution_and_harms_no_other(
    site: Path, module: str, capsys: pytest.CaptureFixture[str]
) -> None:
    distribution = install(site, module)
    install_decent(site)
    catalog = load_catalog()
    broken = plugin(catalog, namespace(module))
    assert broken.state == "failed" and broken.error is not None and broken.error.startswith(FAILURES[module])
    assert (broken.distribution, broken.version) == (distribution, "1.2.3")
    assert str(site / f"{module}.py") in broken.location or module in broken.location
    assert [line.partition(" is not used")[0] for line in capsys.readouterr().err.splitlines()] == [
        f"plugin {namespace(module)!r} ({distribution} 1.2.3)"
    ]
    assert catalog.find("architecture", "decent/net").plugin.state == "loaded"
    assert catalog.find("architecture", "conv-net").plugin.first_party
    with pytest.raises(PluginError, match=f"which is failed: .*\n  try: zoo plugin show {namespace(module)}"):
        catalog.find("architecture", f"{namespace(module)}/net")


def test_two_distributions_with_one_namespace_are_a_conflict_that_names_both(site: Path) -> None:
    install(site, "twin_one")
    install(site, "twin_two")
    twins = [p for p in load_catalog(quiet=True).plugins if p.name == "twin"]
    assert [p.state for p in twins] == ["conflict", "conflict"]
    assert {p.error for p in twins} == {"the namespace 'twin' is claimed by zoo-twin-one and zoo-twin-two"}
    assert "twin_one" not in sys.modules and "twin_two" not in sys.modules


def test_a_first_party_namespace_cannot_be_taken(site: Path) -> None:
    install(site, "steals_namespace")
    catalog = load_catalog(quiet=True)
    assert plugin(catalog, "architectures", "zoo-steals-namespace").state == "conflict"
    assert plugin(catalog, "architectures", "zoo-vision").state == "loaded"
    assert catalog.find("architecture", "conv-net")


def test_what_a_plugin_prints_does_not_reach_stdout(site: Path, capfd: pytest.CaptureFixture[str]) -> None:
    install(site, "writes_to_stdout")
    catalog = load_catalog()
    captured = capfd.readouterr()
    assert captured.out == ""
    assert all(f"SPOILED by {what}" in captured.err for what in ("a write to descriptor 1", "print", "a hook"))
    assert catalog.find("architecture", "writes-to-stdout/net")


@pytest.mark.parametrize("variable", ["ZOO_DISABLE_PLUGINS", "ZOO_PLUGINS"])
def test_a_disabled_plugin_is_not_imported(site: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    install(site, "canary")
    install_decent(site)
    monkeypatch.setenv(variable, "canary" if variable == "ZOO_DISABLE_PLUGINS" else "decent")
    catalog = load_catalog()
    assert plugin(catalog, "canary").state == "disabled"
    assert not (site / "canary.txt").exists()
    assert catalog.find("architecture", "decent/net")
    monkeypatch.delenv(variable)
    load_catalog()
    assert (site / "canary.txt").read_text() == "imported"


def test_first_party_plugins_can_be_disabled_and_are_not_limited_by_the_allow_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ZOO_PLUGINS", "nobody")
    assert load_catalog().find("architecture", "conv-net")
    monkeypatch.setenv("ZOO_DISABLE_PLUGINS", "architectures")
    catalog = load_catalog()
    assert catalog.entries("architecture") == ()
    with pytest.raises(UnknownNameError, match="architectures not loaded"):
        catalog.find("architecture", "conv-net")


def test_strict_makes_a_broken_plugin_an_error(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(site, "raises_at_import")
    monkeypatch.setenv("ZOO_STRICT_PLUGINS", "1")
    with pytest.raises(PluginError, match="the author left early"):
        load_catalog()
    assert plugin(load_catalog(quiet=True), "raises-at-import").state == "failed"


def test_third_party_names_have_the_namespace_and_aliases_work(site: Path) -> None:
    install_decent(site)
    catalog = load_catalog()
    entry = catalog.find("architecture", "decent/old-net")
    assert entry.name == "decent/net"
    assert (entry.provenance.plugin, entry.provenance.distribution, entry.provenance.version) == (
        "decent",
        "zoo-decent",
        "1.2.3",
    )
    with pytest.raises(UnknownNameError, match="did you mean 'decent/net'"):
        catalog.find("architecture", "decent/nett")
    assert [(p.name, path.name) for p, path in catalog.recipe_files()] == [("decent", "decent.yaml")]


def test_an_unknown_component_gets_the_nearest_names() -> None:
    with pytest.raises(UnknownNameError, match="unknown architecture 'resnet5'\n  possible: did you mean 'resnet50'"):
        load_catalog().find("architecture", "resnet5")


def component(catalog: Catalog, kind: str, name: str) -> Component[str]:
    entry = catalog.find(kind, name)  # type: ignore[arg-type]
    return Component(entry.spec, entry.name, entry.spec.params(), entry.provenance)


def test_a_factory_that_fails_names_the_plugin(site: Path) -> None:
    install(site, "unresolved_factory")
    install(site, "nonsense_factory")
    catalog = load_catalog()
    with pytest.raises(
        ComponentError,
        match=r"architecture 'unresolved-factory/net' of plugin 'unresolved-factory' \(zoo-unresolved-factory 1\.2\.3\): "
        "AttributeError: module 'unresolved_factory' has no attribute 'gone'",
    ):
        component(catalog, "architecture", "unresolved-factory/net").build()
    with pytest.raises(ComponentError, match=r"optimizer 'nonsense-factory/step' .*: SystemExit: 0"):
        component(catalog, "optimizer", "nonsense-factory/step").build([])


def test_an_observer_that_fails_is_heard_of_once_and_hears_no_more(
    site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    install(site, "observer_raises")
    monkeypatch.setenv("ZOO_DISABLE_PLUGINS", "tensorboard")  # which wants a run
    catalog = load_catalog()
    capsys.readouterr()
    for _ in range(2):
        catalog.notify("zoo_run_started", run=None)
    assert capsys.readouterr().err == (
        "plugin 'observer-raises' (zoo-observer-raises 1.2.3) failed in zoo_run_started and hears no more of this run: "
        "SystemExit: observed too much\n"
    )


def test_modules_of_a_folder_load_under_local(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    (folder / "packaged").mkdir(parents=True)
    text = (
        "from zoo import ArchitectureSpec, hookimpl\n@hookimpl\ndef zoo_architectures():\n"
        "    return [ArchitectureSpec(name='NAME', factory='MODULE:build', summary='mine', family='cnn', embeddings=False)]\n"
        "def build(params, **_): return 'built by MODULE'\n"
    )
    for path, name, module in (
        (folder / "one_file.py", "one", "one_file"),
        (folder / "packaged" / "__init__.py", "two", "packaged"),
    ):
        path.write_text(text.replace("NAME", name).replace("MODULE", module))
    (folder / "broken.py").write_text("1 / 0\n")
    try:
        catalog = load_catalog(folder, quiet=True)
        assert component(catalog, "architecture", "local/one").build() == "built by one_file"
        assert component(catalog, "architecture", "local/two").build() == "built by packaged"
        assert [p.error for p in catalog.plugins if p.state == "failed"] == [
            "import: ZeroDivisionError: division by zero"
        ]
    finally:
        for name in ("one_file", "packaged"):
            sys.modules.pop(name, None)
    with pytest.raises(PluginError, match=r"the plugins folder .* is not there"):
        load_catalog(tmp_path / "absent")


def test_parameters_that_cannot_be_defaulted_are_refused() -> None:
    from zoo import ArchitectureSpec

    class Needy(Params, frozen=True, kw_only=True):
        size: int

    with pytest.raises(TypeError, match="every field needs a resolvable type and a default"):
        ArchitectureSpec(name="net", factory="a:b", summary="x", family="cnn", embeddings=False, params=Needy)


def test_two_modules_of_a_folder_with_one_component_are_a_conflict_that_names_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    text = (HOSTILE / "decent.py").read_text()
    for name in ("alpha_net", "beta_net"):
        (folder / f"{name}.py").write_text(text.replace("decent.yaml", f"{name}.yaml"))
        (folder / f"{name}.yaml").write_text("version: 1\nrecipes: {}\n")
    first, second = [p for p in load_catalog(folder, quiet=True).plugins if p.name == "local"]
    assert (first.state, second.state) == ("loaded", "conflict")
    assert second.error == "alpha_net.py announces the architecture 'net' already"
    for name in ("alpha_net", "beta_net"):
        del sys.modules[name]
