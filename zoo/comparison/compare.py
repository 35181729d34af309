"""A comparison from its question to its analysis: `zoo compare`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from zoo.comparison.identity import fingerprint
from zoo.comparison.plan import Cell, Plan
from zoo.comparison.proposal import digests, draft, prove, tune_all
from zoo.comparison.question import Question
from zoo.comparison.searches import searches
from zoo.errors import RunError
from zoo.plugins import Catalog
from zoo.registry import Registry
from zoo.report.page import write_report
from zoo.training.reading import prepare_data
from zoo.training.run import Run

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

    Of several processes that begin at once, one makes it; they share the trials that tune the recipes. Raises RunError where
    the folder has the plan of another question.
    """
    new = storage.claim_folder(folder)
    with FileLock(folder / plans.LOCK), _removed_if_nothing(folder, new):
        if (plan := _kept(folder, question, registry)) is not None:
            return plan
        if not question.trials:
            proposal = draft(question, registry, note=note)
        elif _kept(folder / TUNING, question, registry) is None:
            # Kept beside the trials: measured anew, seconds would give other steps.
            drafted = draft(question, registry, note=note)
            plans.write(folder / TUNING, drafted.plan, drafted.recipes)
    if question.trials:  # without the lock, so that processes share the trials
        proposal = tune_all(folder / TUNING, registry.catalog, device=device, note=note)
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

    May be called again after any stop, and by several processes at once. Raises Interrupted after the step in progress, and
    RunError where runs are missing and the data is not what the plan was made for.
    """
    plan = plans.read(folder)
    cells, store = list(plans.cells(plan, folder, catalog)), folder / plan.question.store
    _require_planned(folder, cells, store)
    done = finish(cells, store, catalog=catalog, device=device, progress=progress)
    analysis = analyse(
        plan, done, folder, costs=costs(plan, folder, catalog, device), searches=searches(plan, folder / TUNING)
    )
    storage.write_bytes(folder / ANALYSIS, msgspec.json.format(msgspec.json.encode(analysis), indent=1))
    write_report(analysis, folder / REPORT, catalog=catalog)
    return analysis


def _require_planned(folder: Path, cells: Sequence[Cell], store: Path) -> None:
    """Raise RunError where a run is missing, and would not be what was planned."""
    missing = {cell.digest: cell for cell in cells if Run(cell.folder(store)).summary is None}
    for digest, cell in missing.items():
        if fingerprint(cell.recipe, prepare_data(cell.recipe).fingerprint) != digest:
            raise RunError(
                f"{cell.contestant} has runs to come, and its data, or the versions of zoo and torch, are not what they were"
                f" when the comparison in {folder} was planned",
                possible="what is finished stays as it is, and the comparison goes on once they are restored",
                hint=f"restore them, or name the recipes again with another --run DIR; --store {store} reuses finished runs",
            )
