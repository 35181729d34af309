"""Find plugins and load each behind a guard: what one raises or prints concerns no other.

Entry points come from `importlib.metadata`; the loop is our own, because pluggy's `load_setuptools_entrypoints` lets the first
broken plugin end the program.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import msgspec
import pluggy

from zoo import hookspecs
from zoo.components import SPECS, Kind, Spec
from zoo.errors import PluginError, nearest
from zoo.guard import guarded, stdout_on_stderr

FIRST_PARTY = "zoo-vision"
LOCAL = "local"
SPEC_HOOKS: dict[str, Kind] = {
    "zoo_architectures": "architecture",
    "zoo_optimizers": "optimizer",
    "zoo_regularizers": "regularizer",
    "zoo_acquisitions": "acquisition",
    "zoo_data_sources": "data",
}
HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("zoo_"))
_NAMESPACE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

State = Literal["loaded", "disabled", "failed", "conflict"]


class Plugin(msgspec.Struct, frozen=True, kw_only=True):
    """One plugin, loaded or not. `name` is its namespace, `location` the file of its module, `error` why it is not used."""

    name: str
    distribution: str
    version: str
    location: str = ""
    first_party: bool = False
    hooks: tuple[str, ...] = ()
    state: State = "loaded"
    error: str | None = None
    milliseconds: float = 0.0

    @property
    def label(self) -> str:
        """The plugin with its origin, as messages name it."""
        return f"plugin {self.name!r} ({self.distribution} {self.version})"


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin with what its hooks returned; `manager` calls its observers."""

    plugin: Plugin
    specs: tuple[Spec, ...] = ()
    recipes: tuple[Path, ...] = ()
    manager: Any = None


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin that was found and not imported yet."""

    plugin: Plugin
    load: Callable[[], object]


def find(plugins_dir: Path | None) -> list[Candidate]:
    """Return what is installed under the entry-point group, and the modules of `plugins_dir`, in order of name."""
    found = [_installed(point) for point in entry_points(group=hookspecs.GROUP)]
    found.sort(key=lambda candidate: (candidate.plugin.name, candidate.plugin.distribution))
    return found + ([] if plugins_dir is None else _in_folder(plugins_dir))


def load_all(candidates: Sequence[Candidate]) -> list[Loaded]:
    """Return every candidate, loaded unless it is disabled, in conflict, or fails."""
    disabled, allowed = _names("ZOO_DISABLE_PLUGINS"), _names("ZOO_PLUGINS")
    owners = Counter(c.plugin.name for c in candidates if not _in_local(c))
    ours = {c.plugin.name for c in candidates if c.plugin.first_party}
    loaded: list[Loaded] = []
    with stdout_on_stderr():
        for candidate in candidates:
            plugin = candidate.plugin
            if plugin.name in disabled or (allowed and not plugin.first_party and plugin.name not in allowed):
                reason = "ZOO_DISABLE_PLUGINS names it" if plugin.name in disabled else "ZOO_PLUGINS does not name it"
                loaded.append(_unused(plugin, "disabled", reason))
            elif not plugin.first_party and plugin.name in ours:
                loaded.append(_unused(plugin, "conflict", f"the namespace {plugin.name!r} belongs to {FIRST_PARTY}"))
            elif not plugin.first_party and owners[plugin.name] > 1 and not _in_local(candidate):
                names = " and ".join(c.plugin.distribution for c in candidates if c.plugin.name == plugin.name)
                loaded.append(_unused(plugin, "conflict", f"the namespace {plugin.name!r} is claimed by {names}"))
            else:
                loaded.append(_distinct(load(candidate), loaded))
    return loaded


def _distinct(item: Loaded, before: Sequence[Loaded]) -> Loaded:
    """Return the plugin, in conflict where an earlier one of its namespace has a component of the same name."""
    taken = {
        (s.kind, s.name): other.plugin for other in before if other.plugin.name == item.plugin.name for s in other.specs
    }
    for spec in item.specs:
        if (spec.kind, spec.name) in taken:
            owner = taken[spec.kind, spec.name].distribution
            return _unused(item.plugin, "conflict", f"{owner} announces the {spec.kind} {spec.name!r} already")
    return item


def load(candidate: Candidate) -> Loaded:
    """Import one plugin and call its hooks; whatever goes wrong is in the result's `error`."""
    plugin, began = candidate.plugin, time.perf_counter()

    def milliseconds() -> float:
        return round(1000 * (time.perf_counter() - began), 2)

    module: object = None
    try:
        with guarded("import", PluginError):
            if not _NAMESPACE.fullmatch(plugin.name):
                raise PluginError(f"its entry-point name must be kebab-case (like 'acme'), got {plugin.name!r} instead")
            module = candidate.load()
        with guarded("hooks", PluginError):
            manager, hooks = _registered(module, plugin.name)
        specs = tuple(spec for hook in SPEC_HOOKS for spec in _specs(manager, hook, hooks))
        recipes = _recipes(manager, hooks)
    except PluginError as error:
        failed = msgspec.structs.replace(
            plugin, location=_location(module) or plugin.location, state="failed", error=error.problem
        )
        return Loaded(plugin=msgspec.structs.replace(failed, milliseconds=milliseconds()))
    plugin = msgspec.structs.replace(plugin, location=_location(module), hooks=hooks, milliseconds=milliseconds())
    return Loaded(plugin=plugin, specs=specs, recipes=recipes, manager=manager)


def _installed(point: EntryPoint) -> Candidate:
    distribution = point.dist
    name, version = _identity(distribution)
    plugin = Plugin(
        name=point.name,
        distribution=name,
        version=version,
        location=point.value,
        first_party=re.sub(r"[-_.]+", "-", name).lower() == FIRST_PARTY,
    )
    return Candidate(plugin=plugin, load=point.load)


def _identity(distribution: Distribution | None) -> tuple[str, str]:
    """Return name and version; from the folder's name where there is one, since parsing metadata costs a millisecond."""
    path = getattr(distribution, "_path", None)
    match = re.fullmatch(r"(.+?)-([^-]+)\.dist-info", getattr(path, "name", ""))
    if match:
        return match[1].replace("_", "-"), match[2]
    if distribution is None:
        return "unknown", "unknown"
    return distribution.name, distribution.version


def _in_folder(folder: Path) -> list[Candidate]:
    if not folder.is_dir():
        raise PluginError(
            f"the plugins folder {folder} is not there", hint="--plugins-dir DIR with a folder of .py files"
        )
    files = sorted([*folder.glob("*.py"), *folder.glob("*/__init__.py")])
    return [
        Candidate(
            plugin=Plugin(name=LOCAL, distribution=str(path.relative_to(folder)), version="local", location=str(path)),
            load=lambda path=path: _from_file(path),  # type: ignore[misc]
        )
        for path in files
    ]


def _from_file(path: Path) -> ModuleType:
    name = path.parent.name if path.name == "__init__.py" else path.stem
    loaded = sys.modules.get(name)
    if loaded is not None and path.samefile(getattr(loaded, "__file__", None) or path.parent):
        return loaded
    if loaded is not None:
        raise ImportError(f"another module {name!r} is imported already; rename {path.name}")
    packages = [str(path.parent)] if path.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=packages)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # factories are found by the module's name
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _in_local(candidate: Candidate) -> bool:
    return candidate.plugin.name == LOCAL and candidate.plugin.version == LOCAL


def _unused(plugin: Plugin, state: State, error: str) -> Loaded:
    return Loaded(plugin=msgspec.structs.replace(plugin, state=state, error=error))


def _registered(module: object, name: str) -> tuple[pluggy.PluginManager, tuple[str, ...]]:
    """Return a manager that holds this plugin alone, and the names of its hooks, all checked."""
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    members = {key: value for key, value in inspect.getmembers(module) if key.startswith("zoo_") and callable(value)}
    for key, value in members.items():
        if key not in HOOKS:
            near = nearest(key, HOOKS, 1)
            possible = f"did you mean {near[0]!r}?" if near else f"hooks are {', '.join(HOOKS)}"
            if manager.parse_hookimpl_opts(module, key) is not None:
                raise PluginError(f"unknown hook {key!r}; {possible}")
        elif manager.parse_hookimpl_opts(module, key) is None:
            raise PluginError(f"hook {key!r} is not marked with @zoo.hookimpl")
        elif any(p.default is not p.empty for p in inspect.signature(value).parameters.values()):
            raise PluginError(f"hook {key!r} may not have default arguments")
    manager.register(module, name)
    return manager, tuple(key for key in members if key in HOOKS)


def _specs(manager: pluggy.PluginManager, hook: str, hooks: Sequence[str]) -> tuple[Spec, ...]:
    """Call one hook and return its specs, every one of the right type and with a name of its own."""
    if hook not in hooks:
        return ()
    expected = SPECS[SPEC_HOOKS[hook]]
    with guarded(f"hook {hook}", PluginError):
        returned = [tuple(_iterable(result)) for result in getattr(manager.hook, hook)()]
    specs = tuple(spec for result in returned for spec in result)
    for spec in specs:
        if not isinstance(spec, expected):
            raise PluginError(f"hook {hook} must return {expected.__name__} records, got {spec!r:.80} instead")
    names = Counter(name for spec in specs for name in (spec.name, *spec.aliases))
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise PluginError(f"hook {hook} returns the name {twice[0]!r} twice")
    return specs


def _iterable(result: Any) -> Iterable[Any]:
    if not isinstance(result, Iterable):
        raise TypeError(f"must return an iterable of specs, got {result!r:.80} instead")
    return result


def _recipes(manager: pluggy.PluginManager, hooks: Sequence[str]) -> tuple[Path, ...]:
    if "zoo_recipes" not in hooks:
        return ()
    with guarded("hook zoo_recipes", PluginError):
        paths = tuple(Path(path) for result in manager.hook.zoo_recipes() for path in _iterable(result))
    for path in paths:
        if not path.is_file():
            raise PluginError(f"hook zoo_recipes names {path}, which is not a file")
    return paths


def _location(module: object) -> str:
    return str(getattr(module, "__file__", "") or "")


def _names(variable: str) -> frozenset[str]:
    return frozenset(name.strip() for name in os.environ.get(variable, "").split(",") if name.strip())
