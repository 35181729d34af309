"""What `zoo show` prints of an architecture and of any other component."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from zoo.console.parameters import Parameter, parameter_table


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentCard:
    """What is known of a component without building it; `settings` are its parameters."""

    kind: str
    name: str
    summary: str
    plugin: str
    distribution: str
    version: str
    aliases: tuple[str, ...] = ()
    deprecated: str | None = None
    requires: tuple[str, ...] = ()
    documentation: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    settings: Sequence[Parameter] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRow:
    """One layer: its output shape without the batch, its parameters, its multiply-accumulates for one image."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    macs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchitectureCard(ComponentCard):
    """A built architecture: `input` is (channels, height, width); `macs` are multiply-accumulates for one image."""

    family: str
    input: tuple[int, int, int]
    classes: int
    parameters: int
    macs: int
    embedding_size: int | None
    layers: Sequence[LayerRow]


def component_card(card: ComponentCard) -> RenderableType:
    """Return the page of a component: heading, facts, documentation, parameters."""
    parts: list[RenderableType] = [_heading(card), _facts(card.facts)] if card.facts else [_heading(card)]
    if card.documentation:
        parts += [Text(), Text(card.documentation)]
    return Group(*parts, Text(), parameter_table(card.settings))


def architecture_card(card: ArchitectureCard) -> RenderableType:
    """Return the page of an architecture: heading, parameters, layers, totals."""
    shape = "×".join(str(number) for number in card.input)
    totals = {
        "parameters": f"{card.parameters:,}",
        "MACs": f"{card.macs:,} for one image of {shape}",
        "embedding": "none" if card.embedding_size is None else f"{card.embedding_size:,} numbers",
        "classes": f"{card.classes:,}",
    }
    return Group(component_card(card), Text(), layer_table(card.layers), Text(), _facts(totals))


def layer_table(layers: Sequence[LayerRow]) -> Table:
    """Return the layers as Keras's summary shows them, with multiply-accumulates."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("layer", overflow="fold", style="cyan")
    table.add_column("type", overflow="fold", style="magenta")
    table.add_column("output shape", no_wrap=True)
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("MACs", justify="right", no_wrap=True)
    for layer in layers:
        shape = "×".join(str(size) for size in layer.output_shape)
        numbers = (f"{number:,}" if number else "–" for number in (layer.parameters, layer.macs))
        table.add_row(layer.name, layer.kind, shape, *numbers)
    return table


def _heading(card: ComponentCard) -> Text:
    text = Text.assemble((card.name, "bold cyan"), f"  {card.kind}\n{card.summary}\n")
    text.append(f"plugin {card.plugin}, {card.distribution} {card.version}", "dim")
    if card.aliases:
        text.append(f"\nalso called {', '.join(card.aliases)}", "dim")
    if card.requires:
        text.append(f"\nneeds {', '.join(card.requires)}", "dim")
    if card.deprecated:
        text.append(f"\ndeprecated: {card.deprecated}", "yellow")
    return text


def _facts(facts: dict[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, value)
    return table
