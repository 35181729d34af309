"""A comparison from its question to its analysis: `zoo compare`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock

from zoo import storage
from zoo.comparison import plan as plans
from zoo.comparison.analysis import analyse
from zoo.comparison.costs import costs
from zoo.comparison.events import Progress
from zoo.comparison.execute import finish
from zoo.comparison.plan import Plan
from zoo.comparison.proposal import digests, propose
from zoo.comparison.question import Question
from zoo.plugins import Catalog
from zoo.registry import Registry
from zoo.report.page import write_report

ANALYSIS, REPORT, LOCK = "analysis.json", "report.html", ".lock"


def begin(
    question: Question,
    folder: Path,
    registry: Registry,
    *,
    device: str = "auto",
    note: Callable[[str], None] = lambda text: None,
) -> Plan:
    """Return the plan of the comparison in `folder`, made and kept there unless it is there already.

    Of several processes that begin at once, one makes it. Raises RunError where the folder has the plan of another question.
    """
    new = storage.claim_folder(folder)
    with FileLock(folder / LOCK), _removed_if_nothing(folder, new):
        if (folder / plans.PLAN).exists():
            plan = plans.read(folder)
            plans.require_same(folder, plan, question, digests(question, registry))
            return plan
        proposal = propose(question, registry, folder=folder, device=device, note=note)
        plans.write(folder, proposal.plan, proposal.recipes)
        return proposal.plan


@contextmanager
def _removed_if_nothing(folder: Path, new: bool) -> Iterator[None]:
    """Remove a new folder again where what was asked for cannot be planned, and nothing was tuned in it."""
    try:
        yield
    except Exception:
        if new and not [path for path in folder.iterdir() if path.name != LOCK]:
            storage.remove_folder(folder)
        raise


def conduct(
    folder: Path, *, catalog: Catalog, device: str = "auto", progress: Callable[[Progress], None] | None = None
) -> dict[str, Any]:
    """Bring the runs of the plan in `folder` to their end, analyse them, keep the analysis there, and return it.

    May be called again after any stop, and by several processes at once. Raises Interrupted after the step in progress.
    """
    plan = plans.read(folder)
    cells = list(plans.cells(plan, folder, catalog))
    done = finish(cells, folder / plan.question.store, catalog=catalog, device=device, progress=progress)
    analysis = analyse(plan, done, folder, costs(plan, folder, catalog, device))
    storage.write_bytes(folder / ANALYSIS, msgspec.json.format(msgspec.json.encode(analysis), indent=1))
    write_report(analysis, folder / REPORT, catalog=catalog)
    return analysis
