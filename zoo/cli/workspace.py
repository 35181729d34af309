"""What the global options say, and what they lead to: the catalog and the registry, each loaded once, on first use."""

from __future__ import annotations

import shlex
from functools import cached_property
from pathlib import Path

import msgspec

from zoo.plugins import Catalog, load_catalog
from zoo.registry import Registry


class Workspace(msgspec.Struct, dict=True):
    """The `obj` of every command's context; `arguments` are those that `zoo` was called with."""

    registry_file: Path | None = None
    plugins_dir: Path | None = None
    quiet: bool = False
    arguments: tuple[str, ...] = ()

    def command(self, *words: str) -> str:
        """Return the line to type for a command of `zoo` with the same global options."""
        where = {"--registry": self.registry_file, "--plugins-dir": self.plugins_dir}
        options = [word for name, path in where.items() if path is not None for word in (name, str(path))]
        return shlex.join(["zoo", *options, *words])

    @cached_property
    def catalog(self) -> Catalog:
        """Return the catalog of all plugins."""
        return load_catalog(self.plugins_dir, quiet=self.quiet)

    @cached_property
    def registry(self) -> Registry:
        """Return the registry that the look-up order chooses; raises RecipeError for a bad file."""
        return Registry.load(self.catalog, self.registry_file)
