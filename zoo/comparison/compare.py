"""A comparison from its question to its analysis: `zoo compare`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from zoo import storage
from zoo.comparison import plan as plans
from zoo.comparison.analysis import analyse
from zoo.comparison.costs import costs
from zoo.comparison.events import Done, Progress
from zoo.comparison.execute import execute
from zoo.plugins import Catalog
from zoo.report.page import write_report

ANALYSIS, REPORT = "analysis.json", "report.html"


def conduct(
    folder: Path, *, catalog: Catalog, device: str = "auto", progress: Callable[[Progress], None] | None = None
) -> dict[str, Any]:
    """Bring the runs of the plan in `folder` to their end, analyse them, keep the analysis there, and return it.

    May be called again after any stop, and by several processes at once. Raises Interrupted after the step in progress.
    """
    plan = plans.read(folder)
    cells = list(plans.cells(plan, folder, catalog))
    done: list[Done] = []
    steps = execute(cells, folder / plan.question.store, catalog=catalog, device=device)
    with contextlib.closing(steps):
        for event in steps:
            if isinstance(event, Done):
                done.append(event)
            if progress is not None:
                progress(event)
    order = {id(cell): number for number, cell in enumerate(cells)}
    measured = costs(plan, folder, catalog, device)
    analysis = analyse(plan, sorted(done, key=lambda each: order[id(each.cell)]), folder, measured)
    storage.write_bytes(folder / ANALYSIS, msgspec.json.format(msgspec.json.encode(analysis), indent=1))
    write_report(analysis, folder / REPORT, catalog=catalog)
    return analysis
