"""A run's figures on one split, of its own data or of other data with the same classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from zoo.data.dataset import prepare
from zoo.data.ids import content_ids
from zoo.data.loader import Loader
from zoo.errors import UnknownNameError
from zoo.evaluation.classifier import load
from zoo.evaluation.metrics import summarize
from zoo.evaluation.predictions import predict
from zoo.plugins import Catalog
from zoo.recipe import Normalization
from zoo.registry import Registry
from zoo.storage import make_folder
from zoo.training.events import Evaluating
from zoo.training.run import Run


def evaluate(
    run: Run,
    *,
    catalog: Catalog,
    split: str = "test",
    device: str = "auto",
    data: str | None = None,
    progress: Callable[[Evaluating], None] | None = None,
) -> dict[str, Any]:
    """Return {run, split, samples, loss, accuracy, balanced_accuracy, macro_f1, top5, classes} of the best weights.

    `data` names other data: a path or a data source. Each use of a test split is written to the run's ledger. Raises
    UnknownNameError for a split that the data does not have, DataError for classes that the run does not know.
    """
    classifier = load(run, device=device, catalog=catalog)
    recipe = classifier.recipe
    if data is not None:
        registry = Registry.load(catalog, run.path / "recipe.yaml")
        recipe = registry.resolve(run.recipe_name, data=data)
    normalization = Normalization(**run.manifest["normalization"])
    settings = msgspec.structs.replace(recipe.data, normalization=normalization, image_size="auto")
    dataset = prepare(
        settings,
        recipe.source,
        min_size=1,
        preferred_size=None,
        architecture=recipe.architecture.name,
        classes=classifier.classes,
        size=classifier.size,
        channels=classifier.channels,
    )
    if split not in dataset.splits:
        raise UnknownNameError("split", split, dataset.splits)
    loader = Loader(
        dataset,
        split,
        device=classifier.device,
        batch_size=recipe.training.evaluation_batch_size,
        workers=recipe.data.workers,
        memory_limit=recipe.data.memory_limit,
    )
    steps = predict(
        classifier.network,
        loader,
        classifier.preprocess,
        split=split,
        device=classifier.device,
        precision=classifier.precision,
    )
    try:
        while True:
            event = next(steps)
            if progress is not None:
                progress(event)
    except StopIteration as stop:
        predictions = stop.value
    loader.close()
    if split == "test":
        run.record_test_access("zoo eval" + (f" --data {data}" if data else ""), len(predictions))
    if data is None:
        make_folder(run.path / "predictions")
        predictions.save(run.path / "predictions" / f"{split}.npz", content_ids(dataset.splits[split]), dataset.classes)
    return {
        "run": str(run.path),
        "split": split,
        "samples": len(predictions),
        **summarize(predictions, dataset.classes),
    }
