"""The JSON Schema of registry files, for editors: what completes and checks while one types."""

from __future__ import annotations

from inspect import cleandoc
from typing import Any, get_args, get_origin

import msgspec

from zoo.components import KINDS, Component, Kind
from zoo.plugins import Catalog, Entry
from zoo.recipe import Active, Augmentation, DataSettings, Distill, Freeze, Loss, Range, Target, Training
from zoo.registry.files import VERSION
from zoo.registry.resolution import BLOCKS, WEIGHTS
from zoo.schedules import SCHEDULES

Schema = dict[str, Any]


def json_schema(catalog: Catalog) -> Schema:
    """Return the schema (draft 2020-12) of a registry file for the components of this catalog."""
    definitions: Schema = {
        **{kind: _component(kind, catalog) for kind in KINDS},
        "schedule": _named({name: (_properties(struct), struct.__doc__) for name, struct in SCHEDULES.items()}),
        "loss": {"enum": list(get_args(Loss))},
        "weights": _type(WEIGHTS, None),
        "freeze": {"anyOf": [{"enum": ["none", "backbone"]}, {"type": "integer", "minimum": 1}, _struct(Freeze)]},
        "distill": {"anyOf": [{"type": "string"}, _struct(Distill)]},
        "regularizers": {"type": "array", "items": _ref("regularizer")},
        "augmentation": _struct(Augmentation),
        "training": _struct(Training),
        "active": _struct(Active),
        "search": {"type": "object", "additionalProperties": _struct(Range)},
        "target": _struct(Target),
    }
    blocks: Schema = {key: {"anyOf": [_ref(key), {"type": "null"}]} for key in BLOCKS}
    extends = {"type": "string", "description": "the recipe that this one changes"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "zoo registry",
        "type": "object",
        "properties": {
            "version": {"const": VERSION},
            "defaults": _object(blocks),
            "recipes": {"type": "object", "additionalProperties": _object({"extends": extends, **blocks})},
        },
        "required": ["version"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _component(kind: Kind, catalog: Catalog) -> Schema:
    beside = _properties(DataSettings) if kind == "data" else {}
    return _named(
        {entry.name: ({**_properties(entry.spec.params), **beside}, _summary(entry)) for entry in catalog.entries(kind)}
    )


def _summary(entry: Entry) -> str:
    return f"{entry.spec.summary} ({entry.plugin.distribution} {entry.plugin.version})"


def _named(choices: dict[str, tuple[Schema, str | None]]) -> Schema:
    """Return the schema of a bare name, or of a mapping whose `name` decides what else it holds.

    Without a name the mapping changes what a recipe inherits, and may hold whatever one of the choices holds.
    """
    names = [{"const": name, "description": cleandoc(about or "")} for name, (_, about) in choices.items()]
    every: Schema = {key: {} for properties, _ in choices.values() for key in properties}
    objects = [_object({"name": {"const": name}, **properties}, ["name"]) for name, (properties, _) in choices.items()]
    inherited = {**_object(every), "not": {"required": ["name"]}}
    return {"anyOf": [{"type": "string", "anyOf": names}, *objects, inherited]}


def _properties(struct: type[msgspec.Struct]) -> Schema:
    return {field.name: _type(field.type, field.default) for field in msgspec.structs.fields(struct)}


def _struct(struct: type[msgspec.Struct]) -> Schema:
    return {**_object(_properties(struct)), "description": cleandoc(struct.__doc__ or "")}


def _object(properties: Schema, required: list[str] | None = None) -> Schema:
    wanted = {"required": required} if required else {}
    return {"type": "object", "properties": properties, **wanted, "additionalProperties": False}


def _type(kind: Any, default: Any) -> Schema:
    """Return the schema of one setting; msgspec writes that of everything but structs and components."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _struct(kind)
    # The hook hears that there is a component, and not of which kind.
    hook = lambda _: _ref(_component_kind(kind))  # noqa: E731
    built, parts = msgspec.json.schema_components([kind], schema_hook=hook, ref_template="#/$defs/{name}")
    schema = _inlined(built[0], parts)
    return {**schema, "default": default} if isinstance(default, (bool, int, float, str)) else schema


def _inlined(schema: Any, parts: Schema) -> Any:
    """Return the schema with structs in place of the references to them."""
    if isinstance(schema, list):
        return [_inlined(item, parts) for item in schema]
    if not isinstance(schema, dict):
        return schema
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    if name in parts:
        return {**_inlined(parts[name], parts), "additionalProperties": False}
    return {key: _inlined(value, parts) for key, value in schema.items()}


def _component_kind(kind: Any) -> str:
    """Return the kind of the components in a type, such as that of a list of them; a type holds one kind at most."""
    if get_origin(kind) is Component:
        return str(get_args(get_args(kind)[0])[0])
    return next((found for part in get_args(kind) if (found := _component_kind(part))), "")


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}
