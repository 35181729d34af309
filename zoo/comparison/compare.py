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
from zoo.comparison.proposal import Proposal, digests, draft, prove, tune_all
from zoo.comparison.question import Question
from zoo.comparison.searches import searches
from zoo.plugins import Catalog
from zoo.registry import Registry
from zoo.report.page import write_report

ANALYSIS, REPORT, TUNING = "analysis.json", "report.html", "tuning"


def begin(
    question: Question,
    folder: Path,
    registry: Registry,
    *,
    device: str = "auto",
    note: Callable[[str], None] = lambda text: None,
) -> Plan:
    """Return the plan of the comparison in `folder`, made and kept there unless it is there already.

    Of several processes that begin at once, one makes it; they share the trials that tune the recipes. Raises RunError where the folder has the plan of another question.
    """
    new = storage.claim_folder(folder)
    with FileLock(folder / plans.LOCK), _removed_if_nothing(folder, new):
        if (plan := _kept(folder, question, registry)) is not None:
            return plan
        proposal = _drafted(question, folder / TUNING, registry, note)
    if question.trials:  # without the lock, so that processes share the trials
        proposal = tune_all(proposal.plan, folder / TUNING, registry.catalog, device=device, note=note)
    with FileLock(folder / plans.LOCK), _removed_if_nothing(folder, new):
        if (plan := _kept(folder, question, registry)) is not None:
            return plan
        proposal = prove(proposal, registry.catalog, device=device, note=note)
        plans.write(folder, proposal.plan, proposal.recipes)
        return proposal.plan


def _kept(folder: Path, question: Question, registry: Registry) -> Plan | None:
    """Return the plan in a folder, if there is one. Raises RunError where it is that of another question."""
    if not (folder / plans.PLAN).exists():
        return None
    plan = plans.read(folder)
    plans.require_same(folder, plan, question, digests(question, registry))
    return plan


def _drafted(question: Question, folder: Path, registry: Registry, note: Callable[[str], None]) -> Proposal:
    """Return the draft of the plan; with trials it is kept beside them, since seconds give other steps when they are measured anew."""
    if (plan := _kept(folder, question, registry)) is not None:
        return Proposal(plan=plan, recipes=())
    proposal = draft(question, registry, note=note)
    if question.trials:
        plans.write(folder, proposal.plan, proposal.recipes)
    return proposal


@contextmanager
def _removed_if_nothing(folder: Path, new: bool) -> Iterator[None]:
    """Remove a new folder again where what was asked for cannot be planned, and nothing was tuned in it."""
    try:
        yield
    except Exception:
        if new and not [path for path in folder.iterdir() if path.name != plans.LOCK]:
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
    analysis = analyse(
        plan, done, folder, costs=costs(plan, folder, catalog, device), searches=searches(plan, folder / TUNING)
    )
    storage.write_bytes(folder / ANALYSIS, msgspec.json.format(msgspec.json.encode(analysis), indent=1))
    write_report(analysis, folder / REPORT, catalog=catalog)
    return analysis
