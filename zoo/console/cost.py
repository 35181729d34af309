"""The tables of `zoo cost`: what is counted, and what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from zoo.console.results import plain_table

Row = Mapping[str, Any]


def cost_card(rows: Sequence[Row]) -> RenderableType:
    """Return one table of what `count` says of recipes and, where they were measured, one of that and where it was."""
    if "latency" not in rows[0]:
        return counted(rows)
    return Group(counted(rows), Text(), measured(rows), Text(), Text(_place(rows[0]), "dim"))


def counted(rows: Sequence[Row]) -> Table:
    """Return the table of parameters, multiply-accumulates and activations of one image."""
    table = plain_table("recipe", "input", "parameters", "MACs", "activations")
    for row in rows:
        numbers = (f"{row[name]:,}" for name in ("parameters", "macs", "activations"))
        table.add_row(row["recipe"], "×".join(map(str, row["input"])), *numbers)
    return table


def measured(rows: Sequence[Row]) -> Table:
    """Return the table of milliseconds of a call, median and quartiles, images a second, processor time and memory."""
    batch = list(rows[0]["latency"])[-1]
    names = [f"{kind}{name}" for name in ("images/s", "CPU s/1000", "MiB") for kind in ("", "training ")]
    table = plain_table("recipe", "ms, 1 image", f"ms, {batch} images", *names)
    for row in rows:
        pairs = [(row["images_per_second"], ",.0f", 1), (row["cpu_seconds_per_thousand"], ".3g", 1)]
        pairs.append((row["memory_bytes"], ",.1f", 2**20))
        figures = [format(of[kind] / unit, form) for of, form, unit in pairs for kind in ("inference", "training")]
        table.add_row(row["recipe"], *(_milliseconds(timing) for timing in row["latency"].values()), *figures)
    return table


def _milliseconds(timing: Row) -> str:
    median, low, high = (1000 * timing[name] for name in ("median", "lower_quartile", "upper_quartile"))
    return f"{median:.3g} ({low:.3g}–{high:.3g})"


def _place(row: Row) -> str:
    """Return in words where and with what it was measured."""
    environment = row["environment"]
    threads = f"{environment['threads']} thread{'s' * (environment['threads'] != 1)}"
    loads = [row["load_before"], row["load_after"]]
    load = "" if None in loads else f", load {loads[0]:.1f} before and {loads[1]:.1f} after"
    return (
        f"on {environment['processor']}, {environment['device']}, {environment['precision']}, {threads}{load};"
        " medians and quartiles of calls in evaluation mode; MiB are of tensors"
    )
