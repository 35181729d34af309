"""The conformance kit: checks that every component must pass, first-party ones included.

    from zoo.testing import parametrize_with_checks

    @parametrize_with_checks("acme")
    def test_conformance(check):
        check()

`zoo plugin check NAME` runs the same checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.components import Component, Kind, Params
from zoo.errors import PluginError, UnknownNameError
from zoo.guard import describe
from zoo.plugins import Catalog, Entry, load_catalog
from zoo.registry import resolve_component

if TYPE_CHECKING:
    import pytest

__all__ = ["CheckResult", "check_component", "check_plugin", "parametrize_with_checks"]

Check = Callable[[Component[Any]], None]

# Modules with the checks of each kind; imported when one is checked, because they import torch.
_HOMES: dict[Kind, str] = {
    "architecture": "zoo.testing.architecture",
    "optimizer": "zoo.testing.optimizer",
    "regularizer": "zoo.testing.regularizer",
    "acquisition": "zoo.testing.acquisition",
    "data": "zoo.testing.data",
}


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check of one component said; `detail` is the reason of a failure, else what holds."""

    component: str
    check: str
    passed: bool
    detail: str


def checks_of(
    entry: Entry, params: Params | None = None, catalog: Catalog | None = None
) -> Iterator[tuple[str, Callable[[], None], str]]:
    """Yield (name, function to call, what it promises) for each check of a component.

    Components that the default parameters name are looked up in the catalog, by default that of all installed plugins.
    """
    component = (
        resolve_component(catalog or load_catalog(), entry.kind, entry.name)
        if params is None
        else Component(entry.spec, entry.name, params, entry.provenance)
    )
    for check in import_module(_HOMES[entry.kind]).CHECKS:
        promise = (check.__doc__ or "").strip().splitlines()[0]
        yield check.__name__.removeprefix("check_"), partial(check, component), promise


def check_component(entry: Entry, params: Params | None = None, catalog: Catalog | None = None) -> list[CheckResult]:
    """Run every check of a component, built with its default parameters or these, and return what each said."""
    return [_run(entry.name, *check) for check in checks_of(entry, params, catalog)]


def check_plugin(catalog: Catalog, name: str, plugins_dir: Path | None = None) -> list[CheckResult]:
    """Run every check of a plugin, from `plugins_dir` where it is not installed, and of each of its components.

    Raises UnknownNameError for a plugin that is not installed, PluginError for one that did not load.
    """
    entries = _entries(catalog, name)
    clean = import_module("zoo.testing.imports").check_imports_light
    promise = clean.__doc__.strip().splitlines()[0]
    results = [_run(name, "imports_light", partial(clean, name, plugins_dir), promise)]
    return results + [result for entry in entries for result in check_component(entry, catalog=catalog)]


def parametrize_with_checks(plugin: str, catalog: Catalog | None = None) -> pytest.MarkDecorator:
    """Return a pytest decorator that gives the argument `check` every check of a plugin's components in turn."""
    import pytest

    catalog = catalog or load_catalog()
    entries = _entries(catalog, plugin)
    cases = [
        pytest.param(check, id=f"{entry.kind}-{entry.name}-{name}")
        for entry in entries
        for name, check, _ in checks_of(entry, catalog=catalog)
    ]
    return pytest.mark.parametrize("check", cases)


def _entries(catalog: Catalog, name: str) -> list[Entry]:
    found = [plugin for plugin in catalog.plugins if plugin.name == name]
    if not found:
        raise UnknownNameError("plugin", name, [plugin.name for plugin in catalog.plugins], hint="zoo plugin list")
    for plugin in found:
        if plugin.state != "loaded":
            raise PluginError(f"{plugin.label} is {plugin.state}: {plugin.error}", hint=f"zoo plugin show {name}")
    return [entry for entry in catalog.entries() if entry.plugin.name == name]


def _run(component: str, check: str, function: Callable[[], None], promise: str) -> CheckResult:
    try:
        function()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        text = str(error) if isinstance(error, AssertionError) and str(error) else describe(error)
        return CheckResult(component, check, False, " ".join(text.split()))
    return CheckResult(component, check, True, promise)
