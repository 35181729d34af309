"""What `zoo verify` prints: the figure of each seed, and whether the promise is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from zoo.console.results import number, plain_table

if TYPE_CHECKING:
    from zoo.comparison.verification import Verification


def verified(result: Verification) -> RenderableType:
    """Return the seeds with their figures and runs, and the verdict below."""
    table = plain_table("seed", result.metric)
    table.add_column("run")
    for each in result.seeds:
        table.add_row(str(each.seed), number(each.figure), Text(each.reason or each.run))
    words, style = ("kept", "bold green") if result.passed else ("not kept", "bold red")
    return Group(table, Text(), Text.assemble((words, style), f": {sentence(result)}"))


def sentence(result: Verification) -> str:
    """Return in words what was found, on how many seeds, and what was promised by whom."""
    low, high = result.value - result.tolerance, result.value + result.tolerance
    source = f" by {result.source}" if result.source else ""
    promised = f"{low:.4f} … {high:.4f} promised{source}"
    seeds = ", ".join(str(each.seed) for each in result.seeds)
    fewer = "" if len(result.seeds) == result.promised_seeds else f" (promised of {result.promised_seeds})"
    where = f"of {result.recipe} on {result.data}, seed{'s' * (len(result.seeds) > 1)} {seeds}{fewer}"
    if result.mean is None:
        failed = sum(each.figure is None for each in result.seeds)
        return f"{failed} of {len(result.seeds)} runs {where} failed; {promised}"
    return f"mean {result.metric} {result.mean:.4f} {where}; {promised}"
