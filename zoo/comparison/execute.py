"""The runs of a plan, one after another: what is finished is not run again, what was interrupted goes on.

Several processes may work on one comparison, and several comparisons on one store of runs: whoever holds a run's lock trains it,
and the others take the next.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from pathlib import Path

from zoo.comparison.events import Begun, Done, Progress, Waiting
from zoo.comparison.examine import examine, examined
from zoo.comparison.plan import Cell
from zoo.errors import ComponentError, NonFiniteError, RunLockedError
from zoo.plugins import Catalog
from zoo.training.run import Run
from zoo.training.session import Session

WAIT_SECONDS = 5.0


def execute(cells: Sequence[Cell], store: Path, *, catalog: Catalog, device: str) -> Generator[Progress]:
    """Bring every run of a plan to its end and yield what happens; a run that fails is told and does not end the others.

    Raises Interrupted after the step in progress.
    """
    todo, done = list(cells), 0
    while todo:
        taken: list[Cell] = []
        for cell in todo:
            try:
                finished = yield from _finish(cell, store, catalog, device, (done, len(cells)))
            except RunLockedError:
                taken.append(cell)
                continue
            done += 1
            yield finished
        if taken:
            yield Waiting(left=len(taken))
            if len(taken) == len(todo):
                time.sleep(WAIT_SECONDS)
        todo = taken


def _finish(
    cell: Cell, store: Path, catalog: Catalog, device: str, count: tuple[int, int]
) -> Generator[Progress, None, Done]:
    """Bring one run to its end. Raises RunLockedError while another process has it."""
    folder = cell.folder(store)
    run, began = Run(folder), time.monotonic()
    if run.status == "failed":
        return Done(cell=cell, run=run, seconds=0.0, reason=run.reason)
    if run.summary is not None and examined(cell, run):
        return Done(cell=cell, run=run, seconds=0.0)
    if run.owner() is not None:
        raise RunLockedError(f"{folder} is in use")
    yield Begun(cell=cell, done=count[0], total=count[1])
    try:
        if run.summary is None:
            yield from _session(cell, folder, catalog, device).events()
        yield from examine(cell, run, catalog, device)
    except (NonFiniteError, ComponentError) as error:
        return Done(cell=cell, run=run, seconds=time.monotonic() - began, reason=error.problem)
    return Done(cell=cell, run=run, seconds=time.monotonic() - began)


def _session(cell: Cell, folder: Path, catalog: Catalog, device: str) -> Session:
    if (folder / "manifest.json").exists():
        return Session.resume(folder, catalog=catalog, device=device)
    return Session.start(cell.recipe, catalog=catalog, run=folder, device=device)
