"""The catalog: every plugin there is, and every component of those that loaded."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec

from zoo.components import Kind, Provenance, Spec
from zoo.errors import PluginError, UnknownNameError
from zoo.guard import guarded, stdout_on_stderr
from zoo.loading import Loaded, Plugin, find, load_all

__all__ = ["Catalog", "Entry", "Plugin", "load_catalog"]


class Entry(msgspec.Struct, frozen=True):
    """A component in the catalog: its spec and the plugin that announced it."""

    spec: Spec
    plugin: Plugin

    @property
    def kind(self) -> Kind:
        return self.spec.kind

    @property
    def name(self) -> str:
        """The name in recipes: bare for first-party components, `namespace/name` for all others."""
        return self.qualified(self.spec.name)

    @property
    def provenance(self) -> Provenance:
        return Provenance(self.plugin.name, self.plugin.distribution, self.plugin.version)

    def qualified(self, name: str) -> str:
        """Return one of the spec's names as recipes write it."""
        return name if self.plugin.first_party else f"{self.plugin.name}/{name}"


class Catalog:
    """All plugins, and the components of those that loaded."""

    def __init__(self, loaded: Sequence[Loaded]) -> None:
        self._loaded = list(loaded)
        self._entries = sorted(
            (Entry(spec, item.plugin) for item in loaded for spec in item.specs), key=lambda e: (e.kind, e.name)
        )
        self._index: dict[tuple[Kind, str], Entry] = {}
        for entry in self._entries:
            for name in (entry.spec.name, *entry.spec.aliases):
                self._index.setdefault((entry.kind, entry.qualified(name)), entry)
        self._silenced: set[tuple[str, int]] = set()  # plugin and run

    def __repr__(self) -> str:
        return f"<Catalog of {len(self._entries)} components from {len(self._loaded)} plugins>"

    @property
    def plugins(self) -> tuple[Plugin, ...]:
        """Every plugin found, in order of name, whatever its state."""
        return tuple(item.plugin for item in self._loaded)

    @property
    def complaints(self) -> tuple[str, ...]:
        """One line for each plugin that failed or is in conflict."""
        return tuple(f"{p.label} is not used: {p.error}" for p in self.plugins if p.state in ("failed", "conflict"))

    def entries(self, kind: Kind | None = None) -> tuple[Entry, ...]:
        """Return the components of one kind, or of all, in order of kind and name."""
        return tuple(entry for entry in self._entries if kind in (None, entry.kind))

    def find(self, kind: Kind, name: str) -> Entry:
        """Return the component of this name or alias.

        Raises PluginError when the plugin that would have it is not loaded, else UnknownNameError with the nearest names.
        """
        entry = self._index.get((kind, name))
        if entry is not None:
            return entry
        for plugin in self.plugins:
            if "/" in name and plugin.name == name.partition("/")[0] and plugin.state != "loaded":
                raise PluginError(
                    f"{kind} {name!r} belongs to {plugin.label}, which is {plugin.state}: {plugin.error}",
                    hint=f"zoo plugin show {plugin.name}",
                )
        lame = [plugin.name for plugin in self.plugins if plugin.first_party and plugin.state != "loaded"]
        hint = f"zoo plugin list ({', '.join(lame)} not loaded)" if lame else f"zoo list {kind}"
        raise UnknownNameError(kind, name, [entry.name for entry in self.entries(kind)], hint=hint)

    def recipe_files(self) -> tuple[tuple[Plugin, Path], ...]:
        """Return the registry files that plugins ship."""
        return tuple((item.plugin, path) for item in self._loaded for path in item.recipes)

    def notify(self, hook: str, **arguments: Any) -> None:
        """Tell the observers, each with mappings of its own to look at; one that raises is named on stderr and hears no more."""
        for item in self._loaded:
            plugin = item.plugin
            who = (plugin.name, id(arguments["run"]))
            if hook not in plugin.hooks or who in self._silenced:
                continue
            try:
                with (
                    guarded(f"{plugin.label} failed in {hook} and hears no more of this run", PluginError),
                    stdout_on_stderr(),
                ):
                    own = {
                        key: deepcopy(value) if isinstance(value, dict) else value for key, value in arguments.items()
                    }
                    getattr(item.manager.hook, hook)(**own)
            except PluginError as error:
                self._silenced.add(who)
                print(error.problem, file=sys.stderr)


def load_catalog(plugins_dir: Path | None = None, *, quiet: bool = False) -> Catalog:
    """Return the catalog of installed plugins, and of the modules in `plugins_dir` under the namespace `local`.

    A plugin that cannot be used is named on stderr unless `quiet`; with ZOO_STRICT_PLUGINS set it raises PluginError.
    """
    catalog = Catalog(load_all(find(plugins_dir)))
    if catalog.complaints and os.environ.get("ZOO_STRICT_PLUGINS", "") not in ("", "0") and not quiet:
        raise PluginError("\n  ".join(catalog.complaints), hint="zoo plugin list, or unset ZOO_STRICT_PLUGINS")
    for line in () if quiet else catalog.complaints:
        print(line, file=sys.stderr)
    return catalog
