"""The last act of a run: the best weights on validation and on test, once."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from zoo import storage
from zoo.data.ids import content_ids
from zoo.evaluation.metrics import summarize
from zoo.evaluation.predictions import predict
from zoo.training.events import Evaluating
from zoo.training.experiment import Experiment, loader
from zoo.training.run import Run


def evaluate_split(
    x: Experiment, run: Run, split: str, *, purpose: str = "end of training"
) -> Generator[Evaluating, None, dict[str, Any]]:
    """Evaluate the experiment's model on a split, keep the predictions in the run, and return its figures.

    A use of test goes through the run's ledger, with its purpose.
    """
    if split == "test" and x.world.leads:
        run.record_access(split, purpose, len(x.dataset.splits[split]))
    size = x.recipe.training.evaluation_batch_size
    batches = loader(x.dataset, split, x.recipe, x.device, x.world, size) if split == "test" else x.images.validation
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
        storage.make_folder(run.path / "predictions")
        ids = content_ids(x.dataset.splits[split])
        predictions.save(run.path / "predictions" / f"{split}.npz", ids, x.dataset.classes)
    figures = summarize(predictions, x.dataset.classes)
    return {"samples": len(predictions), **{name: value for name, value in figures.items() if name != "classes"}}
