"""Images of other sources: of no known class among those of the pool, or a split of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.components import Component
from zoo.data.dataset import Dataset, Split
from zoo.data.sources import ArrayImages, FileImages, Images, SourceData
from zoo.errors import ComponentError, DataError

EXAMPLES = 3  # of images that are named in an error


def read(source: Component[str], dataset: Dataset, what: str, option: str) -> Split:
    """Return the training images of another source, whose classes do not matter, as a split that is called `what` they are."""
    try:
        data = source.build()
    except DataError as error:
        raise DataError(
            f"{what}: {error.problem}",
            possible=error.possible,
            hint=error.hint
            or f"put them into a folder of any name inside of the one that {option} names" * (source.name == "folder"),
        ) from error
    if not isinstance(data, SourceData):
        raise ComponentError(f"{source!r} must return zoo.SourceData, got {type(data).__name__} instead")
    images = data.splits["train" if "train" in data.splits else next(iter(data.splits))].images
    _require_alike(images, dataset, what)
    if isinstance(images, FileImages):
        images = replace(images, channels=dataset.channels)
    return Split(what, images, np.arange(len(images)), np.zeros(len(images), np.int64))


def _require_alike(images: Images, dataset: Dataset, what: str) -> None:
    """Raise DataError for images that networks cannot see as they see those of the data."""
    height, width = dataset.size
    if isinstance(images, FileImages):
        if dataset.dtype != "uint8" or dataset.channels not in (1, 3) or height == 1:
            raise DataError(
                f"{what} are files",
                possible=f"arrays of {dataset.dtype}, {dataset.channels} channels and {height}×{width} px, as the others are",
            )
        return
    if (images.channels, str(images.data.dtype)) != (dataset.channels, dataset.dtype):
        raise DataError(
            f"{what} are {images.data.dtype} of {images.channels} channels",
            possible=f"{dataset.dtype} of {dataset.channels}, as the others are",
        )
    if 1 in (height, images.size[0]) and images.size != dataset.size:
        raise DataError(
            f"{what} are of {images.size[0]}×{images.size[1]} px, and no signal changes its length",
            possible=f"arrays of {height}×{width} px, as the others are",
        )


def in_pool(dataset: Dataset, known: NDArray[np.bool_], others: Split) -> tuple[Dataset, NDArray[np.bool_]]:
    """Return the data with other images behind those of train, and which of all are known."""
    train = dataset.splits["train"]
    images = _together(train.images, others.images, dataset.size)
    samples = np.concatenate([train.samples, len(train.images) + others.samples])
    labels = np.concatenate([train.labels, np.zeros(len(others), np.int64)])
    groups = None
    if train.groups is not None:
        groups = np.concatenate([train.groups, train.groups.max() + 1 + np.arange(len(others))])
    whole = Split("train", images, samples, labels, groups)
    return (
        replace(dataset, splits={**dataset.splits, "train": whole}),
        np.concatenate([known, np.zeros(len(others), np.bool_)]),
    )


def beside(dataset: Dataset, others: Split, rows: Sequence[int]) -> Dataset:
    """Return the data with one split more, of these rows of other images."""
    few = f"{len(rows):,} of " * (len(rows) < len(others))
    notes = (*dataset.notes, f"{others.name}: {few}{len(others):,} images")
    return replace(dataset, splits={**dataset.splits, others.name: others.part(np.array(rows))}, notes=notes)


def _together(some: Images, others: Images, size: tuple[int, int]) -> Images:
    if isinstance(some, FileImages) and isinstance(others, FileImages):
        return FileImages(Path("/"), (*_absolute(some), *_absolute(others)), some.channels)
    if isinstance(some, ArrayImages) and isinstance(others, ArrayImages):
        whole = np.arange(len(others))
        pixels = Split("others", others, whole, whole).pixels(some.size, 0)
        return ArrayImages(np.concatenate([some.data, pixels]))
    raise DataError(
        "the unknown images must come as the others do", possible="files beside files, arrays beside arrays"
    )


def _absolute(images: FileImages) -> list[str]:
    root = images.root.resolve().as_posix().lstrip("/")
    return [f"{root}/{path}" for path in images.paths]


def require_apart(part: Split, ids: Sequence[str], test: Split, tested: Sequence[str], where: str, why: str) -> None:
    """Raise DataError where images of test stand in another split as well; of both the content ids are given."""
    rows = {name.partition("#")[0]: row for row, name in enumerate(ids)}
    plain = [name.partition("#")[0] for name in tested]
    twice = [(rows[name], row) for row, name in enumerate(plain) if name in rows]
    if twice:
        named = "; ".join(f"{_place(part, a)} is {_place(test, b)}" for a, b in twice[:EXAMPLES])
        raise DataError(
            f"{len(twice)} images of test stand {where} as well: {why} ({named}{'; …' * (len(twice) > EXAMPLES)})",
            possible="images of test that stand nowhere else",
            hint="remove them from one of both",
        )


def _place(split: Split, row: int) -> str:
    """Return which image a row of a split is, in words."""
    sample = int(split.samples[row])
    return split.images.paths[sample] if isinstance(split.images, FileImages) else f"image {sample} of {split.name}"
