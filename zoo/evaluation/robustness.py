"""A run's figures on corrupted images, by corruption and severity, beside those on the same images as they are."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.data import splits
from zoo.data.dataset import Dataset, Split
from zoo.data.ids import content_ids
from zoo.data.loader import Loader
from zoo.errors import ZooError
from zoo.evaluation.classifier import Classifier, load
from zoo.evaluation.corruptions import (
    CORRUPTIONS,
    NOTE,
    SEVERITIES,
    applicable,
    check_names,
    check_severities,
    corrupt,
)
from zoo.evaluation.evaluate import drive, load_split, own_data
from zoo.evaluation.metrics import summarize
from zoo.evaluation.predictions import Predictions
from zoo.plugins import Catalog
from zoo.storage import make_folder
from zoo.training.events import Evaluating
from zoo.training.model import autocast
from zoo.training.run import Run

Variant = tuple[str, int] | None  # a corruption and its severity; None for the images as they are


def evaluate_corruptions(
    run: Run,
    *,
    catalog: Catalog,
    split: str = "test",
    device: str = "auto",
    names: Sequence[str] | None = None,
    severities: Sequence[int] | None = None,
    limit: int | None = None,
    progress: Callable[[Evaluating], None] | None = None,
) -> dict[str, Any]:
    """Return {run, split, samples, note, clean, corruptions, mean_corrupted_accuracy, relative_accuracy, left_out} of the
    best weights.

    `corruptions` has figures by name and severity, `clean` the same of the images as they are; `relative_accuracy` is the mean
    over the first divided by the second, None where that is 0. Without `names` all corruptions are taken that are defined for
    the data; `left_out` names the others. `limit` takes a stratified subset, which depends on the data alone: the same for
    every run. Images are decoded once, and the answers of all corruptions are in memory until the end. They are kept in the
    run, one file each. A use of test is one line of the ledger. Raises UnknownNameError for a split, corruption or run that
    there is not, DataError for a corruption that is not defined for the data, ZooError for severities and limits out of range.
    """
    classifier = load(run, device=device, catalog=catalog)
    dataset = own_data(classifier, split)
    variants = _variants(dataset, names, severities)
    chosen = subset(dataset.splits[split], limit)
    if split == "test":  # before it is read, so that no use goes unrecorded
        purpose = f"zoo eval --corruptions, {len(variants)} passes over {len(chosen):,} samples"
        run.record_access(split, purpose, len(chosen))
    limited = replace(dataset, splits={**dataset.splits, split: chosen})
    answers = drive(_answers(classifier, limited, split, variants), progress)
    _save(answers, run, split, limit, content_ids(chosen), dataset.classes)
    return {
        "run": str(run.path),
        "split": split,
        "samples": len(chosen),
        "note": NOTE,
        **_figures(answers, dataset.classes),
        "left_out": [] if names else _left_out(dataset),
    }


def predictions(
    run: Run, severities: Sequence[int] = SEVERITIES, limit: int | None = None
) -> dict[str, dict[int, Path]]:
    """Return where a run keeps its answers to test under each corruption that is defined for its data, by severity; those to
    the same samples as they are stand under `clean` and 0."""
    manifest = run.manifest
    names = applicable(manifest["dtype"], manifest["image"][1])
    corrupted = {name: {level: _path(run, "test", limit, (name, level)) for level in severities} for name in names}
    return {"clean": {0: _path(run, "test", limit, None)}, **corrupted}


def subset(split: Split, limit: int | None) -> Split:
    """Return `limit` samples of a split, stratified, or all where it has no more: a function of the data alone.

    Raises ZooError for a limit below the number of classes.
    """
    if limit is None or limit >= len(split):
        return split
    classes = len(np.unique(split.labels))
    if limit < classes:
        raise ZooError(
            f"limit {limit} is too small for {classes} classes, each of which is to have a sample",
            possible=f"{classes} … {len(split)}",
        )
    mask = splits.subset(split.labels, split.samples, limit, seed=0, name="corruptions")
    return split.part(mask)


def _variants(dataset: Dataset, names: Sequence[str] | None, severities: Sequence[int] | None) -> list[Variant]:
    check_names(names or (), dataset.dtype, dataset.size[0])
    check_severities(severities or ())
    wanted, levels = names or applicable(dataset.dtype, dataset.size[0]), severities or SEVERITIES
    return [None, *((name, level) for name in CORRUPTIONS if name in wanted for level in SEVERITIES if level in levels)]


def _left_out(dataset: Dataset) -> list[str]:
    defined = applicable(dataset.dtype, dataset.size[0])
    return [name for name in CORRUPTIONS if name not in defined]


def _answers(
    classifier: Classifier, dataset: Dataset, split: str, variants: Sequence[Variant]
) -> Generator[Evaluating, None, dict[Variant, Predictions]]:
    loader = load_split(classifier, classifier.recipe, dataset, split)
    try:
        return (yield from _forward(classifier, loader, split, variants))
    finally:
        loader.close()


@torch.inference_mode()
def _forward(
    classifier: Classifier, loader: Loader, split: str, variants: Sequence[Variant]
) -> Generator[Evaluating, None, dict[Variant, Predictions]]:
    """Yield progress and return the predictions of each variant; batches outside, variants inside: one decoding for all."""
    logits: dict[Variant, list[Tensor]] = {variant: [] for variant in variants}
    samples: list[Tensor] = []
    labels: list[Tensor] = []
    done, total = 0, len(loader.split) * len(variants)
    for batch in loader.evaluation():
        samples.append(batch.samples.cpu())
        labels.append(batch.labels.cpu())
        for variant in variants:
            images = batch.images if variant is None else corrupt(batch.images, *variant, batch.samples)
            with autocast(classifier.device, classifier.precision):
                answer = classifier.network(classifier.preprocess.evaluate(images))
            logits[variant].append(answer.float().cpu())
            done += len(images)
            yield Evaluating(split=f"corruptions of {split}", done=done, total=total)
    rows = torch.cat(samples).numpy(), torch.cat(labels).numpy()
    return {variant: Predictions(split, *rows, torch.cat(parts).numpy()) for variant, parts in logits.items()}


def _path(run: Run, split: str, limit: int | None, variant: Variant) -> Path:
    """Return where the answers to a variant go; those of so many samples, and of another split than test, apart."""
    name = "clean" if variant is None else f"{variant[0]}-{variant[1]}"
    folder = "corruptions" if limit is None else f"corruptions-{limit}"
    return run.predictions("/".join([folder, *([] if split == "test" else [split]), name]))


def _save(
    answers: dict[Variant, Predictions],
    run: Run,
    split: str,
    limit: int | None,
    ids: list[str],
    classes: tuple[str, ...],
) -> None:
    make_folder(_path(run, split, limit, None).parent)
    for variant, answered in answers.items():
        answered.save(_path(run, split, limit, variant), ids, classes)


def _figures(answers: dict[Variant, Predictions], classes: tuple[str, ...]) -> dict[str, Any]:
    clean: dict[str, Any] = {}
    corrupted: dict[str, dict[int, Any]] = {}
    for variant, predictions in answers.items():
        figures = summarize(predictions, classes)
        del figures["classes"]  # of 86 tables of classes none would be read; the predictions are kept
        if variant is None:
            clean = figures
        else:
            corrupted.setdefault(variant[0], {})[variant[1]] = figures
    mean = fmean(figures["accuracy"] for levels in corrupted.values() for figures in levels.values())
    ratio = mean / clean["accuracy"] if clean["accuracy"] else None
    return {
        "clean": clean,
        "corruptions": corrupted,
        "mean_corrupted_accuracy": mean,
        "relative_accuracy": ratio,
    }
