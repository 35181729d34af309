"""The runs of a plan, one after another: what is finished is not run again, what was interrupted goes on.

Several processes may work on one comparison, and several comparisons on one store of runs: whoever holds a run's lock trains it,
and the others take the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from zoo import storage
from zoo.comparison.events import Begun, Done, Progress, Waiting
from zoo.comparison.examine import examine, examined
from zoo.comparison.plan import Cell
from zoo.errors import Interrupted, RunLockedError, StorageError, ZooError
from zoo.plugins import Catalog
from zoo.training.run import Run
from zoo.training.session import Session

WAIT_SECONDS = 5.0
LOCKS = ".locks"  # in the store of runs, of which each has one


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


def finished(cells: Sequence[Cell], store: Path) -> int:
    """Return how many runs of a plan are finished."""
    return sum(Run(cell.folder(store)).summary is not None for cell in cells)


def finish(
    cells: Sequence[Cell],
    store: Path,
    *,
    catalog: Catalog,
    device: str,
    progress: Callable[[Progress], None] | None = None,
) -> list[Done]:
    """Execute the runs of a plan, tell `progress` what happens, and return how each ended, in the order of the cells."""
    done: list[Done] = []
    with closing(execute(cells, store, catalog=catalog, device=device)) as steps:
        for event in steps:
            if isinstance(event, Done):
                done.append(event)
            if progress is not None:
                progress(event)
    order = {id(cell): number for number, cell in enumerate(cells)}
    return sorted(done, key=lambda each: order[id(each.cell)])


def _finish(
    cell: Cell, store: Path, catalog: Catalog, device: str, count: tuple[int, int]
) -> Generator[Progress, None, Done]:
    """Bring one run to its end. Raises RunLockedError while another process has it."""
    run, began = Run(cell.folder(store)), time.monotonic()
    with claimed(run.path):
        if run.status == "failed" and run.would_fail_again:
            return Done(cell=cell, run=run, seconds=0.0, reason=run.reason)
        if run.summary is not None and examined(cell, run):
            return Done(cell=cell, run=run, seconds=0.0)
        yield Begun(cell=cell, done=count[0], total=count[1])
        try:
            if run.summary is None:
                yield from _session(cell, run.path, catalog, device).events()
            yield from examine(cell, run, catalog, device)
        except (Interrupted, RunLockedError, StorageError):
            raise
        except Exception as error:  # of one recipe: the others go on
            return Done(cell=cell, run=run, seconds=time.monotonic() - began, reason=_reason(error))
        return Done(cell=cell, run=run, seconds=time.monotonic() - began)


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold a run for all that is to be done to it, its making included; the system frees the lock of a process that died.

    A folder that a process left before it was a run is removed. Raises RunLockedError while another process holds it.
    """
    storage.make_folder(folder.parent / LOCKS)
    lock = FileLock(folder.parent / LOCKS / f"{folder.name}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise RunLockedError(f"{folder} is in use") from None
    try:
        if folder.exists() and not (folder / "manifest.json").exists():
            storage.remove_folder(folder)
        yield
    finally:
        lock.release()


def _session(cell: Cell, folder: Path, catalog: Catalog, device: str) -> Session:
    if (folder / "manifest.json").exists():
        return Session.resume(folder, catalog=catalog, device=device)
    return Session.start(cell.recipe, catalog=catalog, run=folder, device=device)


def _reason(error: Exception) -> str:
    return error.problem if isinstance(error, ZooError) else f"{type(error).__name__}: {error}"
