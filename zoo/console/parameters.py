"""Parameter schemas in words: what `zoo show` says of a component's parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import NODEFAULT, inspect
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from zoo.components import Params
from zoo.recipe import plain
from zoo.wording import in_words, in_yaml


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its type and range in words, its default as a JSON-ready value."""

    name: str
    type: str
    default: Any
    description: str


def describe(schema: type[Params]) -> list[Parameter]:
    """Return the parameters of a schema, in order."""
    info = inspect.type_info(schema)
    assert isinstance(info, inspect.StructType)
    return [Parameter(f.name, in_words(f.type), plain(_default(f)), _description(f.type)) for f in info.fields]


def parameter_table(parameters: Sequence[Parameter]) -> RenderableType:
    """Return the table of `zoo show` for parameters."""
    if not parameters:
        return Text("no parameters", style="dim")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("parameter", style="cyan", no_wrap=True)
    table.add_column("default", no_wrap=True)
    table.add_column("type", style="magenta")
    table.add_column("meaning")
    for parameter in parameters:
        table.add_row(parameter.name, in_yaml(parameter.default), parameter.type, parameter.description)
    return table


def _default(field: inspect.Field) -> Any:
    return field.default if field.default is not NODEFAULT else field.default_factory()


def _description(kind: inspect.Type) -> str:
    if not isinstance(kind, inspect.Metadata):
        return ""
    return str((kind.extra_json_schema or {}).get("description", "")) or _description(kind.type)
