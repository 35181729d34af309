"""One registry file: `version`, `defaults` and `recipes`, with the form of each checked and its values left for later."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path

import msgspec

from zoo.errors import nearest
from zoo.plugins import Plugin
from zoo.registry.conversion import shown
from zoo.registry.documents import Mark, Node, read_document

VERSION = 1
KEYS = ("version", "defaults", "recipes")
_NAME = re.compile(r"([a-z0-9]+(-[a-z0-9]+)*/)?[a-z0-9]+([-.][a-z0-9]+)*")


class RegistryFile(msgspec.Struct, frozen=True, eq=False, dict=True):
    """A file that was read; `shown` is what messages call it, `plugin` the plugin that ships it."""

    path: Path
    shown: str
    root: Node
    plugin: Plugin | None = None

    @classmethod
    def read(cls, path: Path, shown: str, plugin: Plugin | None = None) -> RegistryFile:
        """Return the file, whatever its form; raises RecipeError where it cannot be read or is not YAML."""
        return cls(path, shown, read_document(path, shown), plugin)

    @property
    def defaults(self) -> Node:
        return self._block("defaults")

    @cached_property
    def recipes(self) -> dict[str, Node]:
        """The recipes by the names that they have outside of this file: a plugin's have its namespace."""
        prefix = "" if self.plugin is None or self.plugin.first_party else f"{self.plugin.name}/"
        return {f"{prefix}{name}": node for name, node in self._block("recipes").mapping.items()}

    def outside(self, name: str) -> str:
        """Return the outside name of a recipe that this file calls `name`."""
        own = f"{self.plugin.name}/{name}" if self.plugin is not None else name
        return own if own in self.recipes else name

    def recipe_at(self, mark: Mark) -> str:
        """Return the outside name of the recipe in which a position lies, or "" where it lies in none."""
        if mark.file != self.shown or not mark.line:
            return ""
        begins = [(node.key or node.mark, "") for node in self.root.mapping.values()]
        begins += [(node.key or node.mark, name) for name, node in self.recipes.items()]
        return max((begin for begin in begins if begin[0] <= mark), default=(mark, ""))[1]

    def form(self) -> list[tuple[Mark, str]]:
        """Return what is wrong with the form of the file as a whole; then none of its recipes can be used."""
        if not isinstance(self.root.value, dict):
            return [(self.root.mark, "a registry file is a mapping with `version: 1` and `recipes`")]
        found = [*_unknown_keys(self.root), *_version(self.root)]
        for key in ("defaults", "recipes"):
            block = self.root.mapping.get(key)
            if block is not None and not isinstance(block.value, dict):
                found.append((block.mark, f"{key} must be a mapping"))
        return found

    def recipe_form(self, name: str) -> list[tuple[Mark, str]]:
        """Return what is wrong with the form of one recipe, by its outside name; it harms no other."""
        return _recipe_form(name, self.recipes[name])

    def _block(self, key: str) -> Node:
        return self.root.mapping.get(key, Node({}, self.root.mark))


def _unknown_keys(root: Node) -> list[tuple[Mark, str]]:
    found = []
    for key, node in root.mapping.items():
        if key not in KEYS:
            near = nearest(key, KEYS, 1)
            possible = f"did you mean '{near[0]}'?" if near else f"keys are {', '.join(KEYS)}"
            found.append((node.key or node.mark, f"unknown key '{key}'; {possible}"))
    return found


def _version(root: Node) -> list[tuple[Mark, str]]:
    node = root.mapping.get("version")
    if node is None:
        return [(root.mark, f"the file has no version; write `version: {VERSION}`")]
    if node.value != VERSION or isinstance(node.value, bool):
        return [(node.mark, f"version must be {VERSION}, got {shown(node)} instead")]
    return []


def _recipe_form(name: str, node: Node) -> list[tuple[Mark, str]]:
    found = []
    if not _NAME.fullmatch(name):
        found.append(
            (
                node.key or node.mark,
                f"a recipe's name is lower-case words with dashes, like my-photos, got '{name}' instead",
            )
        )
    if not isinstance(node.value, dict):
        found.append((node.mark, f"recipe '{name}' must be a mapping of blocks"))
    parent = node.mapping.get("extends")
    if parent is not None and not isinstance(parent.value, str):
        found.append((parent.mark, "extends must be the name of one recipe"))
    return found
