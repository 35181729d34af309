"""Which images make up which split: classes are chosen, test and validation are cut from train, gaps are refused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zoo.data import splits
from zoo.data.sources import SourceData
from zoo.errors import DataError, UnknownNameError
from zoo.recipe import DataSettings

Positions = NDArray[np.int64]
Parts = dict[str, tuple[Positions, Positions]]  # split → (samples, labels)


def choose_classes(
    data: SourceData, wanted: Sequence[str] | None, known: Sequence[str] | None
) -> tuple[tuple[str, ...], Parts]:
    """Return the class names, those of a run or else the source's in its order, and each split's samples of them.

    Raises UnknownNameError for a wanted class that is not there, DataError for one that the run does not know.
    """
    for name in wanted or ():
        if name not in data.classes and name not in (known or ()):
            raise UnknownNameError("class", name, data.classes)
    kept = [name for name in data.classes if wanted is None or name in wanted]
    names = tuple(kept if known is None else known)
    extra = [name for name in kept if name not in names]
    if extra:
        raise DataError(
            f"the data has classes that the run does not know: {', '.join(map(repr, extra))}", possible=", ".join(names)
        )
    table = np.full(len(data.classes), -1, dtype=np.int64)
    for name in kept:
        table[data.classes.index(name)] = names.index(name)
    parts: Parts = {}
    for split, content in data.splits.items():
        labels = table[content.labels]
        samples = np.flatnonzero(labels >= 0).astype(np.int64)
        parts[split] = (samples, labels[samples])
    return names, parts


def cut(parts: Parts, settings: DataSettings, notes: list[str], groups: Positions | None = None) -> Parts:
    """Return the parts with test and validation cut from train where there is none, and train cut to its size.

    `groups`, int64 by sample of train, stay whole: none has images on both sides of a cut, and of their classes that of their first
    image counts. Train then has as nearly its size as that allows. Adds what was cut to `notes`; raises DataError where train
    is too small for it.
    """
    parts = dict(parts)
    if set(parts) == {"train"} and settings.test_fraction > 0:
        _cut_off(parts, "test", settings.test_fraction, settings, notes, groups)
    if "validation" not in parts:
        _cut_off(parts, "validation", settings.validation_fraction, settings, notes, groups)
    if settings.train_size is not None:
        _cut_down(parts, settings.train_size, settings.split_seed, notes, groups)
    return {name: parts[name] for name in ("train", "validation", "test") if name in parts}


def idle(parts: Parts, settings: DataSettings, source: str) -> list[str]:
    """Return in words which settings of the splits differ from their defaults and change nothing for a source with these parts."""
    own = {name: f"{source} has a {name} split of its own" for name in ("validation", "test") if name in parts}
    reasons: dict[str, str] = {}
    if own:
        reasons["test_fraction"] = own.get("test") or f"{own['validation']}, and test is cut from a single split only"
    if "validation" in own:
        reasons["validation_fraction"] = own["validation"]
        if settings.train_size is None:
            reasons["split_seed"] = f"{own['validation']}, and nothing is cut"
    default = DataSettings()
    given = ((name, getattr(settings, name)) for name in DataSettings.__struct_fields__ if name in reasons)
    return [
        f"data.{name} {value} changes {'no split' if name == 'split_seed' else 'nothing'}: {reasons[name]}"
        for name, value in given
        if value != getattr(default, name)
    ]


def _cut_down(parts: Parts, size: int, seed: int, notes: list[str], groups: Positions | None) -> None:
    samples, labels = parts["train"]
    present = len(np.unique(labels))
    if not present <= size <= len(samples):
        raise DataError(
            f"train_size {size} does not fit: train has {len(samples)} images of {present} classes",
            possible=f"{present} … {len(samples)}",
        )
    first, unit = _units(samples, groups)
    wanted = max(len(np.unique(labels[first])), size * len(first) // len(samples))
    mask = splits.subset(labels[first], samples[first], wanted, seed=seed, name="train-size")[unit]
    parts["train"] = (samples[mask], labels[mask])
    notes.append(f"train: {mask.sum()} of {len(samples)} images{_whole(groups)}, stratified")


def _cut_off(
    parts: Parts, name: str, fraction: float, settings: DataSettings, notes: list[str], groups: Positions | None
) -> None:
    samples, labels = parts["train"]
    first, unit = _units(samples, groups)
    mask = splits.cut(labels[first], samples[first], fraction, seed=settings.split_seed, name=name)[unit]
    if not mask.any() and len(samples):
        unit_name = "images" if groups is None else "groups of images"
        raise DataError(
            f"train is too small to cut off {name}: no class has two {unit_name}", hint=f"add images, or a {name} split"
        )
    parts[name] = (samples[mask], labels[mask])
    parts["train"] = (samples[~mask], labels[~mask])
    notes.append(
        f"{name}: {mask.sum()} of {len(samples)} images cut from train{_whole(groups)}, stratified,"
        f" split_seed {settings.split_seed}"
    )


def _units(samples: Positions, groups: Positions | None) -> tuple[Positions, Positions]:
    """Return what is cut as one: where each group, or else each image, is first met, and the unit that each image belongs to."""
    if groups is None:
        return np.arange(len(samples)), np.arange(len(samples))
    _, first, unit = np.unique(groups[samples], return_index=True, return_inverse=True)
    return first, unit


def _whole(groups: Positions | None) -> str:
    return "" if groups is None else " in whole groups"


def check(names: Sequence[str], parts: Parts, *, known: bool, least: int = 2) -> None:
    """Raise DataError for fewer than `least` classes, an empty split, or, unless the classes are a run's, a gap in train."""
    if not names:
        raise DataError(
            "data.classes names no class", possible="two classes or more", hint="data.classes=null takes all"
        )
    if len(names) < least:
        raise DataError(f"the data has one class only: {', '.join(map(repr, names))}", possible="two classes or more")
    if not known:
        if "train" not in parts:
            raise DataError("the data has no train split", possible=", ".join(parts))
        counts = np.bincount(parts["train"][1], minlength=len(names))
        empty = [repr(name) for name, count in zip(names, counts, strict=True) if count == 0]
        if empty:
            raise DataError(
                f"train has no images of class {', '.join(empty)}", hint="add images, or choose data.classes"
            )
    for split, (samples, _) in parts.items():
        if not len(samples):
            raise DataError(f"split {split} has no images of the classes {', '.join(map(repr, names))}")
