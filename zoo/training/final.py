"""The last act of a run: the best weights on validation and on test, once."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Generator, Sequence
from typing import Any

from zoo import storage
from zoo.data.ids import content_ids
from zoo.errors import DataError
from zoo.evaluation.metrics import summarize
from zoo.evaluation.predictions import predict
from zoo.training.events import Evaluating
from zoo.training.experiment import Experiment
from zoo.training.reading import loader
from zoo.training.run import Run


def evaluate_splits(
    x: Experiment, run: Run, splits: Sequence[str], stop: Callable[[], None]
) -> Generator[Evaluating, None, tuple[dict[str, Any], DataError | None]]:
    """Return the figures of validation and of test, None for a split that is not there or not in `splits`, and why test
    could not be read.

    In that case the figures have the `problem` in words. `stop` is called after each split and may raise.
    """
    figures: dict[str, Any] = {"validation": None, "test": None}
    problem: DataError | None = None
    for split in ("validation", "test"):
        try:
            if split in x.dataset.splits and split in splits:
                figures[split] = yield from evaluate_split(x, run, split)
        except DataError as error:
            # Of several processes one alone may meet the file, and the others would wait for it.
            if split != "test" or x.world.size > 1:
                raise
            problem = _untested(x, run, error)
            figures["problem"] = problem.problem
        stop()
    return figures, problem


def _untested(x: Experiment, run: Run, error: DataError) -> DataError:
    """Return what to say of a finished run whose test split cannot be read, and how to test it."""
    splits = x.dataset.splits
    apart = splits["test"].images is not splits["train"].images
    data = getattr(x.recipe.source.params, "path", "") or x.recipe.source.name
    again = shlex.join(["zoo", "eval", str(run.path), "--data", str(data)])
    return DataError(
        f"{error.problem}\n  training is finished, and {run.path} keeps it, but without figures on test",
        possible="repair what does not decode, or take it out, and test the run on what there is then",
        hint=again if apart else "train anew then: test is cut from the files of train, and changes with them",
    )


def evaluate_split(
    x: Experiment, run: Run, split: str, *, purpose: str = "end of training"
) -> Generator[Evaluating, None, dict[str, Any]]:
    """Evaluate the experiment's model on a split, keep the predictions in the run, and return its figures.

    A use of test goes through the run's ledger, with its purpose.
    """
    if split == "test" and x.world.leads:
        run.record_access(split, purpose, len(x.dataset.splits[split]))
    there = x.images.validation if split == "validation" else None
    batches = there or loader(x.dataset, split, x.recipe, x.device, x.world, x.recipe.training.evaluation_batch_size)
    predictions = yield from predict(
        x.evaluation_network(images=True),
        batches,
        x.images.preprocess,
        split=split,
        device=x.device,
        precision=x.precision,
        world=x.world,
    )
    batches.close()
    if x.world.leads:
        storage.make_folder(run.predictions(split).parent)
        ids = content_ids(x.dataset.splits[split])
        predictions.save(run.predictions(split), ids, x.dataset.classes)
    figures = summarize(predictions, x.dataset.classes)
    return {"samples": len(predictions), **{name: value for name, value in figures.items() if name != "classes"}}
