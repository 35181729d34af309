"""What a finished model of a comparison is tested on besides test: corrupted images, and images whose pixels change places."""

from __future__ import annotations

from collections.abc import Iterator

from zoo.comparison.plan import Cell
from zoo.evaluation.evaluate import evaluate
from zoo.evaluation.robustness import evaluate_corruptions, predictions
from zoo.plugins import Catalog
from zoo.training.events import Event, Noted
from zoo.training.run import Run


def examine(cell: Cell, run: Run, catalog: Catalog, device: str) -> Iterator[Event]:
    """Make the tests that the finished run lacks, and say each."""
    if not run.predictions("test").exists():  # what could not be read at the end of training may be repaired
        yield Noted(text="testing")
        evaluate(run, catalog=catalog, device=device)
    if not _corrupted(cell, run):
        assert cell.corruptions is not None
        yield Noted(text="testing under corruptions")
        severities, limit = cell.corruptions.severities, cell.corruptions.limit
        evaluate_corruptions(run, catalog=catalog, device=device, severities=severities, limit=limit)
    for arrangement in cell.arrangements:
        if not run.predictions(f"test-{arrangement}").exists():
            yield Noted(text=f"testing under {arrangement}")
            evaluate(run, catalog=catalog, device=device, arrangement=arrangement)


def examined(cell: Cell, run: Run) -> bool:
    """Return whether the finished run lacks no test."""
    names = ("test", *(f"test-{name}" for name in cell.arrangements))
    return all(run.predictions(name).exists() for name in names) and _corrupted(cell, run)


def _corrupted(cell: Cell, run: Run) -> bool:
    if cell.corruptions is None:
        return True
    found = predictions(run, cell.corruptions.severities, cell.corruptions.limit)
    return all(path.exists() for levels in found.values() for path in levels.values())
