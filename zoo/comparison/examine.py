"""What a finished model of a comparison is tested on besides test: corrupted images, and images whose pixels change places."""

from __future__ import annotations

from collections.abc import Iterator

from zoo.comparison.plan import Cell
from zoo.evaluation.evaluate import evaluate
from zoo.evaluation.predictions import Saved
from zoo.evaluation.robustness import evaluate_corruptions, predictions
from zoo.plugins import Catalog
from zoo.training.events import Event, Noted
from zoo.training.run import Run


def examine(cell: Cell, run: Run, catalog: Catalog, device: str) -> Iterator[Event]:
    """Make the tests that the finished run lacks, and say each."""
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
    return _corrupted(cell, run) and all(run.predictions(f"test-{name}").exists() for name in cell.arrangements)


def _corrupted(cell: Cell, run: Run) -> bool:
    if cell.corruptions is None:
        return True
    found = predictions(run, cell.corruptions.severities)
    paths = [path for levels in found.values() for path in levels.values()]
    if not all(path.exists() for path in paths):
        return False
    # Of another comparison, perhaps, that took another number of samples.
    limit, samples = cell.corruptions.limit, run.manifest["samples"]["test"]
    return bool(len(Saved.load(paths[0]).ids) == min(limit or samples, samples))
