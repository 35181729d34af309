"""Nodes → values of the types that schemas declare; each leaf by itself, so that every problem has its own position."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, get_args, get_origin

import msgspec
from msgspec import inspect
from msgspec.structs import replace

from zoo.components import Component, Kind
from zoo.errors import ComponentError, Problem, UnknownNameError, ZooError, nearest
from zoo.guard import guarded
from zoo.plugins import Catalog
from zoo.registry.corrections import corrected, correction
from zoo.registry.documents import COMMAND_LINE, Mark, Node
from zoo.registry.merging import name_node
from zoo.registry.shapes import choices, component_kind, default_components, is_struct, kind_of_component, options
from zoo.wording import few, in_words, in_yaml

DEFAULT, PLUGIN_DEFAULT = "default", "plugin default"
MAX_DEPTH = 3  # components inside components
BAD: Any = object()  # stands for a value that could not be had; the problem is noted


class Converter(msgspec.Struct):
    """Converts the nodes of one recipe and collects all that is wrong with them.

    `origins` maps dotted paths to who set each value, `kinds` to the type of each setting, `corrections` are settings of the
    command line as they were probably meant; `recipe` is where else an unknown name is looked for. With `partial`, what the
    recipe leaves open, and components whose plugin
    is not there, are no problems.
    """

    catalog: Catalog
    partial: bool = False
    recipe: Node = Node({}, Mark(""))
    problems: list[tuple[Mark, str]] = []
    corrections: list[str] = []
    origins: dict[str, str] = {}
    kinds: dict[str, Any] = {}
    notes: list[str] = []
    _depth: int = 0

    def report(self, mark: Mark, message: str) -> Any:
        """Note a problem and return BAD."""
        self.problems.append((mark, message))
        return BAD

    def value(self, node: Node, kind: Any, path: str, default: str = DEFAULT) -> Any:
        """Return the value of a node as the type `kind`, or BAD."""
        option = _structure(kind, node)
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            return self.struct(node, option, path, default)
        if get_origin(option) is Component:
            return self.component(node, component_kind(option), path)
        if get_origin(option) is dict:
            return self._each({k: (n, f"{path}.{k}") for k, n in node.mapping.items()}, get_args(option)[1], default)
        if get_origin(option) in (list, tuple):
            return self._sequence(node, kind, option, path, default)
        return self._leaf(node, node.value, kind, path)

    def struct(
        self, node: Node, struct: type[msgspec.Struct], path: str, default: str, beside: Iterable[str] = ()
    ) -> Any:
        """Return a struct, or BAD, from a mapping, absent fields with their defaults; keys `beside` its own are left alone."""
        fields = {item.name: item for item in msgspec.structs.fields(struct)}
        known = [*fields, *beside]
        for key, child in node.mapping.items():
            if key not in known:
                self.unknown_key(child, key, path, known)
        values: dict[str, Any] = {}
        for name, item in fields.items():
            where = f"{path}.{name}"
            self.kinds[where] = item.type
            if name in node.mapping:
                values[name] = self.value(_named(node.mapping[name], item), item.type, where, default)
            elif (named := default_components(item, node.mark)) is not None:
                before = set(self.origins)
                values[name] = self.value(named, item.type, where, default)
                self.origins.update(dict.fromkeys(set(self.origins) - before, default))
            else:
                self.origins[where] = default
        if any(value is BAD for value in values.values()):
            return BAD
        try:
            with guarded(path, ComponentError):
                return struct(**values)
        except ZooError as error:  # a schema may check its fields against one another
            return self.report(node.mark, error.problem)

    def component(self, node: Node, kind: Kind, path: str, beside: Iterable[str] = ()) -> Any:
        """Return the component that a bare string or a mapping with `name` stands for; keys `beside` its own are left alone."""
        if not isinstance(node.value, (dict, str)):
            return self.report(node.mark, f"{path} must be a name or a mapping with `name`, got {shown(node)} instead")
        named = name_node(node)
        if named is None:
            known = [entry.name for entry in self.catalog.entries(kind)]
            return BAD if self.partial else self.report(node.mark, f"{path} needs a `name`: {few(known, 8)}")
        if not isinstance(named.value, str):
            return self.report(named.mark, f"{path}.name must be text, got {shown(named)} instead")
        if self._depth == MAX_DEPTH:
            return self._too_deep(named, kind, path)
        try:
            entry = self.catalog.find(kind, named.value)
        except ZooError as error:
            absent = "/" in named.value or any(p.first_party and p.state != "loaded" for p in self.catalog.plugins)
            return BAD if self.partial and absent else self.report(named.mark, _one_line(error))
        self.origins[f"{path}.name"] = str(named.mark)
        if entry.spec.deprecated is not None:
            self.notes.append(f"{kind} {named.value} is deprecated: {entry.spec.deprecated}")
        self._depth += 1
        params: Any = self.struct(node, entry.spec.params, path, PLUGIN_DEFAULT, ("name", *beside))
        self._depth -= 1
        return BAD if params is BAD else Component(entry.spec, entry.name, params, entry.provenance)

    def _too_deep(self, named: Node, kind: Kind, path: str) -> Any:
        around = path.rpartition(".")[0]
        known = [entry for entry in self.catalog.entries(kind) if entry.name == named.value]
        fields = [item for entry in known for item in msgspec.structs.fields(entry.spec.params)]
        if known and "[" not in path and not any(default_components(item, named.mark) for item in fields):
            self.corrections.append(f"{around}={named.value}")  # without the one that it is inside of
        return self.report(
            named.mark,
            f"{path}: components stand at most {MAX_DEPTH} deep inside one another, and '{named.value}' is one too many;"
            f" {around} may be anything without components inside of it",
        )

    def _each(self, nodes: dict[str, tuple[Node, str]], kind: Any, default: str) -> Any:
        values = {key: self.value(node, kind, path, default) for key, (node, path) in nodes.items()}
        return BAD if any(value is BAD for value in values.values()) else values

    def _sequence(self, node: Node, kind: Any, option: Any, path: str, default: str) -> Any:
        kinds = get_args(option)
        fixed = get_origin(option) is tuple and kinds[-1] is not Ellipsis
        if fixed and len(kinds) != len(node.items):
            return self._leaf(node, [], kind, path)
        pairs = zip(node.items, kinds if fixed else kinds[:1] * len(node.items), strict=True)
        values = [self.value(item, each, f"{path}[{i}]", default) for i, (item, each) in enumerate(pairs)]
        if any(value is BAD for value in values):
            return BAD
        if kind_of_component(kinds[0]):
            return get_origin(option)(values)
        return self._leaf(node, values, kind, path)

    def _leaf(self, node: Node, value: Any, kind: Any, path: str) -> Any:
        """Return the value where the type and its range admit it; a number where text is wanted is taken as it is written."""
        self.origins[path] = str(node.mark)
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError:
            if node.text and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
                try:
                    return msgspec.convert(node.text, kind)
                except msgspec.ValidationError:
                    pass
        message = f"{path} must be {in_words(inspect.type_info(kind), article=True)}, got {shown(node)} instead"
        near = nearest(node.value, choices(kind), 1) if isinstance(node.value, str) else []
        return self.report(node.mark, message + (f"; did you mean '{near[0]}'?" if near else ""))

    def unknown_key(self, node: Node, key: str, path: str, known: Sequence[str]) -> None:
        """Note a key that nothing answers to, with what was probably meant; without a path it is a block's."""
        mark, full = node.key or node.mark, f"{path}.{key}" if path else key
        what = f"key '{key}' of {path}" if path else f"block '{key}'"
        meant = correction(full, known, self.recipe, self.catalog)
        if meant is None:
            listed = f"blocks are {', '.join(known)}" if not path else UnknownNameError("key", key, known).possible
            self.report(mark, f"unknown {what}; {listed}")
            return
        own = meant.removeprefix(f"{path}.")
        near = nearest(key, known)
        names = near if own in near else [own]
        self.report(mark, f"unknown {what}; did you mean {' or '.join(map(repr, names))}?")
        if (typed := corrected(mark.argument, full, meant)) is not None:
            self.corrections.append(typed)


def in_order(problems: Iterable[tuple[Mark, str]], recipe_at: Callable[[Mark], str] = lambda mark: "") -> list[Problem]:
    """Return problems without repeats, file by file in the order of the document, the command line's last.

    `recipe_at` names the recipe that stands at a position, or gives "".
    """
    found = sorted(set(problems), key=lambda item: (item[0].file == COMMAND_LINE, item[0], item[1]))
    return [mark.problem(message, recipe_at(mark)) for mark, message in found]


def _structure(kind: Any, node: Node) -> Any:
    """Return the part of a type that a node of this form is meant for: a struct, component, mapping or list, or None."""
    wanted: Callable[[Any], bool]
    if isinstance(node.value, dict):
        wanted = lambda option: get_origin(option) in (Component, dict) or is_struct(option)  # noqa: E731
    elif isinstance(node.value, list):
        wanted = lambda option: get_origin(option) in (list, tuple)  # noqa: E731
    else:
        wanted = lambda option: get_origin(option) is Component and isinstance(node.value, str)  # noqa: E731
    return next(filter(wanted, options(kind)), None)


def _named(node: Node, item: Any) -> Node:
    """Return the node of a component with a name: one that it was merged over as a bare word, or the field's default."""
    if not isinstance(node.value, dict) or "name" in node.value:
        return node
    if node.bare is not None:
        return replace(node, value={"name": node.bare, **node.value})
    default = default_components(item, node.mark)
    if default is not None and isinstance(default.value, str):
        return replace(node, value={"name": default, **node.value})
    return node


def shown(node: Node) -> str:
    """Return a node's value as messages show it."""
    if isinstance(node.value, dict):
        return "a mapping"
    if isinstance(node.value, list):
        return f"a list of {len(node.items)}"
    return f"'{node.value:.60}'" if isinstance(node.value, str) else in_yaml(node.value)


def _one_line(error: ZooError) -> str:
    return f"{error.problem}; {error.possible}" if error.possible else error.problem
