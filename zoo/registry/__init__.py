"""registry.yaml → recipes: which file counts, inheritance, overrides, and who set each value.

The chosen file lies over the packaged registry, and beside both stand the recipes that plugins ship as `namespace/recipe`. A
recipe is made of layers, each over the one before: plugin defaults, the `defaults` of each file that the chain of `extends` goes
through (the farthest first), the chain itself, the recipe, `--data`, and the command line's `key=value`.
"""

from __future__ import annotations

import filecmp
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, reduce
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec.structs import replace

from zoo.components import Component, Kind
from zoo.errors import Problem, RecipeError, UnknownNameError, nearest
from zoo.loading import FIRST_PARTY
from zoo.plugins import Catalog
from zoo.recipe import Recipe
from zoo.registry import resolution
from zoo.registry.conversion import Converter, in_order
from zoo.registry.documents import COMMAND_LINE, Mark, Node, resolve_scalar
from zoo.registry.files import VERSION, RegistryFile
from zoo.registry.merging import assign, merge_recipes, with_data
from zoo.registry.ranges import assign_range
from zoo.registry.sources import recognize
from zoo.registry.summaries import summaries
from zoo.version import __version__

__all__ = ["ListedRecipe", "Registry", "recipe_document", "resolve_component"]

FILE_NAME = "registry.yaml"
PACKAGED = Path(__file__).parent.parent / FILE_NAME


class ListedRecipe(msgspec.Struct, frozen=True):
    """A recipe as `zoo list` tells it; one of the user's own file has no distribution and version."""

    name: str
    summary: str
    plugin: str | None
    distribution: str | None
    version: str | None


class Registry:
    """The recipes there are."""

    def __init__(self, catalog: Catalog, files: Sequence[RegistryFile]) -> None:
        self.catalog = catalog
        self.files = tuple(files)

    def __repr__(self) -> str:
        return f"<Registry of {len(self.names())} recipes from {', '.join(file.shown for file in self.files)}>"

    @classmethod
    def load(cls, catalog: Catalog, path: Path | None = None) -> Registry:
        """Return the recipes of a file (else of ZOO_REGISTRY, else ./registry.yaml), the packaged ones, and plugins'.

        Raises RecipeError for a file that cannot be read or has not the form; what is wrong inside a recipe is said when that
        one is used, and by `check`. A plugin's bad file is named on stderr and left out.
        """
        files = []
        chosen = path or _from_environment()
        if chosen is not None and not _same(chosen, PACKAGED):
            files.append(RegistryFile.read(chosen, str(chosen)))
        files.append(RegistryFile.read(PACKAGED, f"zoo/{FILE_NAME}"))
        registry = cls(catalog, files)
        for file in files:
            if file.form():
                raise RecipeError(registry._told(registry._problems_of(file)), hint="zoo schema")
        return cls(catalog, [*files, *_of_plugins(catalog)])

    def names(self) -> tuple[str, ...]:
        """Return the names of all recipes, file by file."""
        return tuple(dict.fromkeys(name for file in self.files for name in file.recipes))

    def listed(self) -> list[ListedRecipe]:
        """Return all recipes in order of name, a plugin's after all others; of one that cannot be used, where its fault is."""
        chains = {name: self._chain(self._find(name))[0] for name in self.names()}
        faults = {problem.recipe: problem.where for problem in reversed(self.faults)}
        lines = summaries({name: _merged(chain) for name, chain in chains.items()})
        for name, chain in chains.items():
            where = next((faults[link.name] for link in chain if link.name in faults), None)
            lines[name] = lines[name] if where is None else f"cannot be used: see {where}"
        rows = [_listed(chain[0], lines[name]) for name, chain in chains.items()]
        return sorted(rows, key=lambda row: ("/" in row.name, row.name))

    @cached_property
    def faults(self) -> tuple[Problem, ...]:
        """What is wrong in any file but the packaged one, which a test checks."""
        return tuple(self._told(fault for f in self.files if f.path != PACKAGED for fault in self._problems_of(f)))

    def resolve(
        self, name: str, overrides: Sequence[str] = (), *, data: str | None = None, ranges: Sequence[str] = ()
    ) -> Recipe:
        """Return a recipe with all its parts, after `--data`, the command line's `key=value`, and `--range PATH=SPEC`.

        Raises UnknownNameError, DataError for `data` that nothing reads, or RecipeError with everything that is wrong in the
        recipe and in the files that it comes from.
        """
        chain, broken = self._chain(self._find(name))
        merged, notes = _merged(chain), self._replacement(chain[0])
        if data is not None:
            source, path, why = recognize(self.catalog, data)
            merged = with_data(merged, source, path, Mark(COMMAND_LINE, argument=f"--data {data}"))
            notes += (why,)
        refused: list[Problem] = []
        faults = [] if chain[0].file.path == PACKAGED else self._faults(chain)  # a test checks the packaged one
        for change, text in [*((assign, text) for text in overrides), *((assign_range, text) for text in ranges)]:
            try:
                merged = change(merged, text)
            except RecipeError as error:
                refused += error.problems
        malformed = any(not isinstance(link.node.value, dict) for link in chain)  # then what it lacks is no news
        found = resolution.resolve(name, merged, self.catalog, notes=notes, partial=malformed)
        wrong = [*self._told([*broken, *found.problems, *faults]), *refused]
        if wrong or found.recipe is None:
            typed = any(problem.where == COMMAND_LINE for problem in wrong)
            next_step = f"zoo show {name}" if typed else f"correct the file, then zoo show {name}"
            raise RecipeError(wrong, hint=" ".join(found.corrections) or next_step)
        return found.recipe

    def check(self) -> None:
        """Raise RecipeError with everything that is wrong in any file."""
        problems = self._told(problem for file in self.files for problem in self._problems_of(file))
        if problems:
            raise RecipeError(problems)

    def _problems_of(self, file: RegistryFile) -> list[tuple[Mark, str]]:
        """Return what is wrong with the form of a file, its defaults and its recipes, as far as plugins are there to tell."""
        found = [*file.form(), *self._faults_of_defaults(file)]
        return found + [
            fault for name, node in file.recipes.items() for fault in self._faults_of(_Link(file, name, node))
        ]

    def _faults(self, chain: Sequence[_Link]) -> list[tuple[Mark, str]]:
        """Return what is wrong in the recipes of a chain and the defaults of their files.

        Where something is, whatever else is wrong in these files is with it.
        """
        files = [file for file in dict.fromkeys(link.file for link in chain) if file.path != PACKAGED]
        found = [fault for file in files for fault in self._faults_of_defaults(file)]
        found += [fault for link in chain if link.file in files for fault in self._faults_of(link)]
        return [fault for file in files for fault in self._problems_of(file)] if found else []

    def _faults_of_defaults(self, file: RegistryFile) -> list[tuple[Mark, str]]:
        return resolution.resolve("defaults", file.defaults, self.catalog, partial=True).problems

    def _faults_of(self, link: _Link) -> list[tuple[Mark, str]]:
        """Return what is wrong with the form of a recipe and with what it resolves to."""
        chain, broken = self._chain(link)
        found = resolution.resolve(link.name, _merged(chain), self.catalog, partial=True)
        return [*link.file.recipe_form(link.name), *broken, *found.problems]

    def _told(self, problems: Iterable[tuple[Mark, str]]) -> list[Problem]:
        """Return problems in order, each with the recipe that it stands in."""
        return in_order(problems, lambda mark: next(filter(None, (file.recipe_at(mark) for file in self.files)), ""))

    def _find(self, name: str) -> _Link:
        for file in self.files:
            if name in file.recipes:
                return _Link(file, name, file.recipes[name])
        raise UnknownNameError("recipe", name, self.names(), hint="zoo list recipe")

    def _chain(self, link: _Link) -> tuple[list[_Link], list[tuple[Mark, str]]]:
        """Return a recipe, its parent, the parent's parent …, and what is wrong with the last `extends`."""
        chain = [link]
        while (extends := chain[-1].node.mapping.get("extends")) is not None and isinstance(extends.value, str):
            file, asked = chain[-1].file, extends.value
            parent = self._parent(chain[-1], file.outside(asked))
            if parent is None and asked == chain[-1].name:
                return chain, [
                    (extends.mark, f"recipe '{asked}' extends itself, and no other file has one of this name")
                ]
            if parent is None:
                near = nearest(asked, self.names(), 1)
                possible = f"; did you mean '{near[0]}'?" if near else ""
                return chain, [(extends.mark, f"unknown recipe '{asked}'{possible}")]
            if any(parent.node is other.node for other in chain):
                circle = " → ".join([*(other.name for other in chain), parent.name])
                return chain, [(extends.mark, f"recipes extend one another in a circle: {circle}")]
            chain.append(parent)
        return chain, []

    def _parent(self, link: _Link, name: str) -> _Link | None:
        """Return the recipe that one extends: of its own file or one below, and of one below where it extends its own name."""
        below = self.files[self.files.index(link.file) :] if link.file in self.files else self.files
        others = [file for file in (*below, *self.files) if file is not link.file]
        for file in others if name == link.name else (link.file, *others):
            if name in file.recipes:
                return _Link(file, name, file.recipes[name])
        return None

    def _replacement(self, link: _Link) -> tuple[str, ...]:
        below = [file for file in self.files if file is not link.file and link.name in file.recipes]
        return (f"{link.name} of {link.file.shown} replaces the one of {below[0].shown}",) if below else ()


class _Link(msgspec.Struct, frozen=True):
    """One recipe of a chain of `extends`."""

    file: RegistryFile
    name: str
    node: Node


def _listed(link: _Link, summary: str) -> ListedRecipe:
    if link.file.plugin is not None:
        plugin = link.file.plugin
        return ListedRecipe(link.name, summary, plugin.name, plugin.distribution, plugin.version)
    packaged = link.file.path == PACKAGED
    return ListedRecipe(link.name, summary, None, FIRST_PARTY if packaged else None, __version__ if packaged else None)


def resolve_component(catalog: Catalog, kind: Kind, name: str, overrides: Sequence[str] = ()) -> Component[Any]:
    """Return a component with its parameters, changed by `key=value`; raises RecipeError."""
    mark = Mark(COMMAND_LINE)
    node = Node({kind: Node({"name": Node(name, mark)}, mark)}, mark)
    node = reduce(lambda below, override: assign(below, f"{kind}.{override}"), overrides, node)
    converter = Converter(catalog)
    component: Component[Any] = converter.component(node.mapping[kind], kind, kind)
    if converter.problems:
        raise RecipeError(in_order(converter.problems), hint=f"zoo show {name}")
    return component


def recipe_document(*recipes: Recipe) -> str:
    """Return a registry file that holds these recipes, resolved."""
    document = {"version": VERSION, "recipes": {recipe.name: recipe.to_dict() for recipe in recipes}}
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Dumper(yaml.SafeDumper):
    """PyYAML writes for readers of YAML 1.1; text that YAML 1.2 takes for something else is quoted as well."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = resolve_scalar(text, Mark(""), []) == text
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _text)


def _merged(chain: Sequence[_Link]) -> Node:
    """Return the blocks of a chain of recipes over the defaults of their files, `extends` left out."""
    files = list(dict.fromkeys(link.file for link in reversed(chain)))
    layers = [*(file.defaults for file in files), *(link.node for link in reversed(chain))]
    merged = reduce(merge_recipes, layers)
    blocks = {key: node for key, node in merged.mapping.items() if key != "extends"}
    return replace(merged, value=blocks, mark=chain[0].node.mark, key=chain[0].node.key)


def _from_environment() -> Path | None:
    if os.environ.get("ZOO_REGISTRY"):
        return Path(os.environ["ZOO_REGISTRY"])
    return Path(FILE_NAME) if Path(FILE_NAME).is_file() else None


def _same(path: Path, other: Path) -> bool:
    """Return whether both are one file, or copies of it: in a clone, ./registry.yaml is what was packaged."""
    try:
        return path.samefile(other) or filecmp.cmp(path, other, shallow=False)
    except (OSError, ValueError):
        return False


def _of_plugins(catalog: Catalog) -> Iterator[RegistryFile]:
    for plugin, path in catalog.recipe_files():
        try:
            file = RegistryFile.read(path, f"{path.parent.name}/{path.name}", plugin)
            if file.form():
                raise RecipeError(in_order(file.form()))
        except RecipeError as error:
            print(f"{plugin.label}: its recipes are not used: {error.problem}", file=sys.stderr)
        else:
            yield file
