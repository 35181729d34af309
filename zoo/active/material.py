"""What a simulation works on: all that can be asked for, of known classes or not, seen as it is or corrupted, and who knows what."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from zoo.components import Component
from zoo.data.dataset import Dataset, Split
from zoo.data.ids import content_ids
from zoo.data.sources import ArrayImages, FileImages, Images, SourceData
from zoo.errors import ComponentError, DataError, UnknownNameError, ZooError
from zoo.evaluation.corruptions import applicable, corrupt
from zoo.evaluation.robustness import subset
from zoo.recipe import Recipe
from zoo.training.randomness import id_words, uniform_ids
from zoo.training.reading import prepare_data

UNKNOWN = "unknown"  # the answer for what is of no known class
SEVERITIES = (1, 3, 5)  # of corruptions, in the pool and in the test of robustness
ROBUSTNESS = "robustness"
EXAMPLES = 3  # of images that are named in an error
UNKNOWN_FOLDERS = "images of no known class stand in a folder of any name inside of the one that --unknown names"

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Material:
    """The data, whose `train` has all that can be asked for, and of each of its rows the content id and whether its class is known.

    What is of no known class stands there under class 0, which nobody is told.
    """

    dataset: Dataset
    ids: tuple[str, ...]
    known: NDArray[np.bool_]

    @property
    def labels(self) -> Rows:
        return self.dataset.splits["train"].labels

    @cached_property
    def place(self) -> Rows:
        """The place of each row in the order of the ids."""
        order = np.array(sorted(range(len(self.ids)), key=self.ids.__getitem__), dtype=np.int64)
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        return place

    @cached_property
    def rows(self) -> dict[str, int]:
        """The row of each id."""
        return {name: row for row, name in enumerate(self.ids)}

    def in_order(self, rows: Rows) -> Rows:
        """Return rows in the order of their ids."""
        ordered: Rows = rows[np.argsort(self.place[rows])]
        return ordered

    @cached_property
    def fingerprint(self) -> str:
        """A digest of the data and of all that can be asked for."""
        digest = hashlib.blake2b(self.dataset.fingerprint.encode(), digest_size=16)
        digest.update("".join(self.ids).encode())
        digest.update(self.known.tobytes())
        return digest.hexdigest()

    @property
    def grouped(self) -> bool:
        """Whether the data says which samples show the same."""
        return self.dataset.splits["train"].groups is not None

    @property
    def groups(self) -> Rows:
        """The group of each row: its own number where the data has no groups."""
        groups = self.dataset.splits["train"].groups
        return np.arange(len(self.ids)) if groups is None else groups

    @cached_property
    def group_names(self) -> list[str]:
        """The least id in the group of each row: what stands for a group wherever its samples stand."""
        groups, least = self.groups.tolist(), dict[int, str]()
        for group, name in zip(groups, self.ids, strict=True):
            least[group] = min(name, least.get(group, name))
        return [least[group] for group in groups]


def gather(recipe: Recipe, unknown: Component[str] | None = None) -> Material:
    """Return the material of a recipe whose `active` block is set; `unknown` is the source that the block names.

    Raises DataError where images of a test split stand in the pool as well, and for what does not fit together.
    """
    assert recipe.active is not None
    active = recipe.active
    dataset = prepare_data(recipe)
    if active.validation == "unused":
        dataset = _undivided(dataset, whole=recipe.data.train_size is None)
    dataset, known = _with_unknown_classes(dataset, active.unknown_classes)
    if unknown is not None:
        dataset, known = _with_others(dataset, known, _other_source(unknown, dataset))
    ids = tuple(content_ids(dataset.splits["train"]))
    _require_unknown(ids, known)
    _require_apart(dataset, ids)
    if active.corrupted:
        dataset = _corrupted(dataset, ids, active.corrupted, recipe)
    if active.robustness is not None:
        dataset = _with_robustness(dataset, active.robustness, recipe)
    return Material(dataset, ids, known)


def _undivided(dataset: Dataset, *, whole: bool) -> Dataset:
    """Return the data without a validation split; as a `whole`, one that was cut off goes back to train."""
    rest = {name: split for name, split in dataset.splits.items() if name != "validation"}
    train, validation = rest["train"], dataset.splits["validation"]
    if not whole or validation.images is not train.images:
        return replace(dataset, splits=rest)
    order = np.argsort(np.concatenate([train.samples, validation.samples]))
    groups = None
    if train.groups is not None and validation.groups is not None:
        groups = np.concatenate([train.groups, validation.groups])[order]
    together = Split(
        "train",
        train.images,
        np.concatenate([train.samples, validation.samples])[order],
        np.concatenate([train.labels, validation.labels])[order],
        groups,
    )
    notes = tuple(note for note in dataset.notes if not note.startswith("validation:"))
    return replace(dataset, splits={**rest, "train": together}, notes=notes)


def _with_unknown_classes(dataset: Dataset, names: Sequence[str]) -> tuple[Dataset, NDArray[np.bool_]]:
    """Return the data without these classes, whose images stay in train, and which rows of train are of the others.

    Raises UnknownNameError for a class that the data does not have, DataError where fewer than two are left.
    """
    for name in names:
        if name not in dataset.classes:
            raise UnknownNameError("class", name, dataset.classes)
    left = tuple(name for name in dataset.classes if name not in names)
    if len(left) < 2:
        raise DataError(
            f"{len(left)} known classes are left", possible="two or more", hint="active.unknown_classes=[…]"
        )
    table = np.array([left.index(name) if name in left else -1 for name in dataset.classes])
    splits = {}
    for split, part in dataset.splits.items():
        labels = table[part.labels]
        rows = np.arange(len(part)) if split == "train" else np.flatnonzero(labels >= 0)
        splits[split] = replace(part.part(rows), labels=np.maximum(labels[rows], 0))
    return replace(dataset, classes=left, splits=splits), table[dataset.splits["train"].labels] >= 0


def _other_source(source: Component[str], dataset: Dataset) -> Split:
    """Return the training images of another source, whose classes do not matter."""
    try:
        data = source.build()
    except DataError as error:
        raise DataError(
            f"unknown images: {error.problem}",
            possible=error.possible,
            hint=error.hint or UNKNOWN_FOLDERS * (source.name == "folder"),
        ) from error
    if not isinstance(data, SourceData):
        raise ComponentError(f"{source!r} must return zoo.SourceData, got {type(data).__name__} instead")
    images = data.splits["train" if "train" in data.splits else next(iter(data.splits))].images
    if isinstance(images, FileImages):
        images = replace(images, channels=dataset.channels)
    elif images.channels != dataset.channels or str(images.data.dtype) != dataset.dtype:
        raise DataError(
            f"the unknown images are {images.data.dtype} of {images.channels} channels",
            possible=f"{dataset.dtype} of {dataset.channels}, as the others are",
        )
    return Split("unknown", images, np.arange(len(images)), np.zeros(len(images), np.int64))


def _with_others(dataset: Dataset, known: NDArray[np.bool_], others: Split) -> tuple[Dataset, NDArray[np.bool_]]:
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


def _require_unknown(ids: Sequence[str], known: NDArray[np.bool_]) -> None:
    """Raise DataError where an image is of a known class and of none."""
    plain = np.array([name.partition("#")[0] for name in ids])
    both = np.intersect1d(plain[known], plain[~known])
    if len(both):
        raise DataError(
            f"{len(both)} images are in the data with a class and among the unknown ones as well",
            possible="unknown images that the data does not have",
            hint="--unknown with another path or source",
        )


def _require_apart(dataset: Dataset, ids: Sequence[str]) -> None:
    if "test" not in dataset.splits:
        raise DataError("a simulation needs a test split", hint="data.test_fraction=0.1, or a folder test")
    train, test = dataset.splits["train"], dataset.splits["test"]
    rows = {name.partition("#")[0]: row for row, name in enumerate(ids)}
    plain = [name.partition("#")[0] for name in content_ids(test)]
    twice = [(rows[name], row) for row, name in enumerate(plain) if name in rows]
    if twice:
        named = "; ".join(f"{_place(train, a)} is {_place(test, b)}" for a, b in twice[:EXAMPLES])
        raise DataError(
            f"{len(twice)} images of test stand in the pool as well: what is learned from them would be tested on them "
            f"({named}{'; …' * (len(twice) > EXAMPLES)})",
            possible="a pool without them",
            hint="remove them from one of both",
        )


def _place(split: Split, row: int) -> str:
    """Return which image a row of a split is, in words."""
    sample = int(split.samples[row])
    return split.images.paths[sample] if isinstance(split.images, FileImages) else f"image {sample} of {split.name}"


def _corrupted(dataset: Dataset, ids: Sequence[str], share: float, recipe: Recipe) -> Dataset:
    """Return the data with this share of train corrupted: which, how and how much is a function of their ids."""
    train, names = dataset.splits["train"], _corruptions(dataset)
    if not (isinstance(train.images, ArrayImages) or dataset.fits(recipe.data.memory_limit)):
        raise ZooError(
            "a corrupted pool is held in memory, and this one is too large",
            hint="data.memory_limit=MiB, data.image_size",
        )
    draws = uniform_ids(recipe.data.split_seed, "corrupted pool", 0, ids, 3).numpy()
    pixels = torch.from_numpy(train.pixels(dataset.size, recipe.data.workers).copy())
    words, chosen = id_words(ids), draws[:, 0] < share
    which = (draws[:, 1] * len(names)).astype(int) * len(SEVERITIES) + (draws[:, 2] * len(SEVERITIES)).astype(int)
    for kind in np.unique(which[chosen]):
        rows = np.flatnonzero(chosen & (which == kind))
        name, level = names[kind // len(SEVERITIES)], SEVERITIES[kind % len(SEVERITIES)]
        for some in np.array_split(rows, -(-len(rows) // 256)):
            pixels[some] = corrupt(pixels[some], name, level, words[some])
    # As images of their own, whose embeddings are not taken for those of the images as they are.
    seen = Split(train.name, ArrayImages(pixels.numpy()), np.arange(len(train)), train.labels, train.groups)
    return replace(dataset, splits={**dataset.splits, "train": seen})


def _with_robustness(dataset: Dataset, limit: int, recipe: Recipe) -> Dataset:
    """Return the data with a split of test images under each corruption at each severity."""
    few = subset(dataset.splits["test"], limit)
    pixels = torch.from_numpy(few.pixels(dataset.size, recipe.data.workers))
    variants = [(name, level) for name in _corruptions(dataset) for level in SEVERITIES]
    most = recipe.data.memory_limit * 2**20 // (len(variants) * max(1, pixels[:1].nbytes))
    if len(few) > most:
        raise ZooError(
            f"{len(few)} images under {len(variants)} corruptions do not fit into data.memory_limit",
            possible=f"active.robustness={most}",
            hint=f"--robustness {most}, or a larger data.memory_limit",
        )
    parts = [corrupt(pixels, name, level, torch.from_numpy(few.samples)).numpy() for name, level in variants]
    images = ArrayImages(np.concatenate(parts))
    split = Split(ROBUSTNESS, images, np.arange(len(images)), np.tile(few.labels, len(variants)))
    return replace(dataset, splits={**dataset.splits, ROBUSTNESS: split})


def _corruptions(dataset: Dataset) -> Sequence[str]:
    names = applicable(dataset.dtype, dataset.size[0])
    if not names:
        raise DataError("no corruption is defined for this data", possible="images of 8 bits a channel")
    return names
