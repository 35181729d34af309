"""A run's figures on one split, of its own data or of other data with the same classes."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

import msgspec

from zoo.augmentation import Arrangement
from zoo.data.dataset import Dataset, Split, prepare
from zoo.data.ids import content_digests, content_ids, finished
from zoo.data.loader import Loader
from zoo.errors import DataError, UnknownNameError, ZooError
from zoo.evaluation import tta as augmented
from zoo.evaluation.calibration import Temperature, fit_temperature
from zoo.evaluation.classifier import Classifier, load
from zoo.evaluation.figures import describe
from zoo.evaluation.metrics import summarize
from zoo.evaluation.predictions import Predictions, Saved, predict
from zoo.plugins import Catalog
from zoo.recipe import Normalization, Recipe
from zoo.registry import Registry
from zoo.storage import make_folder
from zoo.training.events import Evaluating
from zoo.training.run import Run

Result = TypeVar("Result")


def evaluate(
    run: Run,
    *,
    catalog: Catalog,
    split: str = "test",
    device: str = "auto",
    data: str | None = None,
    tta: int = 0,
    arrangement: Arrangement | None = None,
    progress: Callable[[Evaluating], None] | None = None,
) -> dict[str, Any]:
    """Return {run, split, samples} and all figures (see `zoo.evaluation.figures.describe`) of the best weights; the
    temperature is that which fits the run's answers on validation, or null with the reason why none does.

    `data` names other data, a path or a data source; where that has one split only, `split` is "all" of it. With `tta` the
    answers are the mean probabilities over each image and so many augmented views of it (see `zoo.evaluation.tta`), and `plain`
    has the figures without views. With an `arrangement` (see `zoo.data.arrangement`) pixels change places in the test alone.
    What was asked for, {data, tta, arrangement}, is in the result, and of an ensemble {members}, how many networks it has; with
    other data {trained_on}, how many of its images the run was trained on, null where the run's own data cannot be looked at.

    Each use of test, and of other data, is written to the run's ledger. Raises UnknownNameError for a split that the data does
    not have, DataError for classes that the run does not know, and where the run's own data has changed; ZooError for views by
    a run that was trained without augmentation, and for an arrangement of one that was trained with another.
    """
    classifier = load(run, device=device, catalog=catalog)
    augmented.check(classifier.preprocess, tta)
    _rearrange(classifier, arrangement)
    recipe, source = classifier.recipe, split
    if data is None:
        dataset = own_data(classifier, split)
    else:
        recipe = Registry.load(catalog, run.path / "recipe.yaml").resolve(run.recipe_name, data=data)
        dataset = _prepared(classifier, recipe, own=False)
        if list(dataset.splits) == ["train"] and split == "test":
            split, source = "all", "train"
        _check_split(dataset, source)
    if split == "test" or data is not None:  # before it is read, so that no use goes unrecorded
        run.record_access(split, _command(data, tta, arrangement), len(dataset.splits[source]))
    plain = drive(_predict(classifier, recipe, dataset, source, 0), progress) if tta else None
    predictions = drive(_predict(classifier, recipe, dataset, source, tta), progress)
    if data is None:
        path = run.predictions(_name(split, tta, arrangement))
        make_folder(path.parent)
        predictions.save(path, content_ids(dataset.splits[source]), dataset.classes)
    return {
        "run": str(run.path),
        "split": split,
        "samples": len(predictions),
        **_asked(data, tta, arrangement),
        **({} if data is None else {"trained_on": _seen(classifier, dataset.splits[source])}),
        **({"members": len(run.manifest["members"])} if "members" in run.manifest else {}),
        **({} if plain is None else {"plain": _plain(plain, dataset.classes)}),
        **describe(predictions, dataset.classes, _temperature(run)),
    }


def _plain(predictions: Predictions, classes: tuple[str, ...]) -> dict[str, Any]:
    figures = summarize(predictions, classes)
    return {"samples": len(predictions), **{name: value for name, value in figures.items() if name != "classes"}}


def _temperature(run: Run) -> Temperature | None:
    """Return the temperature that fits the run's answers on validation, where they were kept."""
    path = run.predictions("validation")
    return fit_temperature(Saved.load(path).predictions) if path.exists() else None


def _name(split: str, tta: int, arrangement: str | None) -> str:
    return "-".join(filter(None, [split, f"tta{tta}" if tta else "", arrangement]))


def _rearrange(classifier: Classifier, arrangement: Arrangement | None) -> None:
    if arrangement is None:
        return
    if classifier.preprocess.arrangement is not None:
        raise ZooError(
            f"{classifier.run.path} was trained with data.arrangement {classifier.preprocess.arrangement} already",
            possible="an arrangement of the test alone, for a run that was trained without one",
            hint="leave --arrangement out",
        )
    classifier.preprocess.arrangement = arrangement


def _command(data: str | None, tta: int, arrangement: str | None) -> str:
    return " ".join(["zoo eval", *(f"--{name} {value}" for name, value in _asked(data, tta, arrangement).items())])


def _asked(data: str | None, tta: int, arrangement: str | None) -> dict[str, Any]:
    options = {"data": data, "tta": tta, "arrangement": arrangement}
    return {name: value for name, value in options.items() if value}


def own_data(classifier: Classifier, split: str) -> Dataset:
    """Return the data of the classifier's run, cut as it was for training.

    Raises UnknownNameError for a split that it does not have, DataError where it is not what was trained on any more.
    """
    run, recipe = classifier.run, classifier.recipe
    dataset = _prepared(classifier, recipe, own=True)
    _check_split(dataset, split)
    if dataset.fingerprint != run.manifest["environment"]["data"]:
        raise DataError(
            f"the data of {run.path} is not what it was trained on any more",
            possible="the data as it was, or figures on the data as it is now, with what was trained on where it is no split apart",
            hint=f"zoo eval {run.path} --data {getattr(recipe.source.params, 'path', '') or recipe.source.name}",
        )
    return dataset


def trained_on(classifier: Classifier) -> set[str]:
    """Return the digests of the images that the classifier's run was trained on; raises what `own_data` raises."""
    return set(finished(content_digests(own_data(classifier, "train").splits["train"])))


def _seen(classifier: Classifier, split: Split) -> int | None:
    """Return how many images of other data the run was trained on, or None where its own data cannot be looked at."""
    try:
        taught = trained_on(classifier)
    except DataError:
        return None
    return sum(digest in taught for digest in finished(content_digests(split)))


def _check_split(dataset: Dataset, split: str) -> None:
    if split not in dataset.splits:
        raise UnknownNameError("split", split, dataset.splits)


def _prepared(classifier: Classifier, recipe: Recipe, *, own: bool) -> Dataset:
    """Return the data in the run's form; the run's own is cut as it was for training, other data is taken as it is."""
    normalization = Normalization(**classifier.run.manifest["normalization"])
    dataset = prepare(
        msgspec.structs.replace(recipe.data, normalization=normalization),
        recipe.source,
        min_size=1,
        preferred_size=None,
        architecture=recipe.architecture.name,
        classes=classifier.classes,
        size=classifier.size,
        channels=classifier.channels,
        cut=own,
    )
    if dataset.dtype != str(classifier.dtype):
        raise DataError(f"the data is {dataset.dtype}", possible=f"{classifier.dtype}, as in the run's data")
    return dataset


def load_split(classifier: Classifier, recipe: Recipe, dataset: Dataset, split: str) -> Loader:
    """Return the loader of a split, with the batches of the recipe's evaluation, on the classifier's device."""
    return Loader(
        dataset,
        split,
        device=classifier.device,
        batch_size=recipe.training.evaluation_batch_size,
        workers=recipe.data.workers,
        memory_limit=recipe.data.memory_limit,
    )


def _predict(
    classifier: Classifier, recipe: Recipe, dataset: Dataset, split: str, tta: int
) -> Generator[Evaluating, None, Predictions]:
    loader = load_split(classifier, recipe, dataset, split)
    try:
        return (
            yield from predict(
                classifier.network,
                loader,
                classifier.preprocess,
                split=split,
                device=classifier.device,
                precision=classifier.precision,
                tta=tta,
            )
        )
    finally:
        loader.close()


def drive(steps: Generator[Evaluating, None, Result], progress: Callable[[Evaluating], None] | None) -> Result:
    """Run an evaluation to its end, tell `progress` of each event, and return what it returns."""
    while True:
        try:
            event = next(steps)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        if progress is not None:
            progress(event)
