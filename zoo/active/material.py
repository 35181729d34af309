"""What a simulation works on: all that can be asked for, of known classes or not, seen as it is or corrupted, and who knows what."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from zoo.components import Component
from zoo.data.dataset import Dataset, Split, prepare
from zoo.data.ids import content_ids
from zoo.data.sources import ArrayImages, FileImages, Images
from zoo.errors import DataError, UnknownNameError, ZooError
from zoo.evaluation.corruptions import applicable, corrupt
from zoo.evaluation.robustness import subset
from zoo.recipe import Normalization, Recipe
from zoo.rounds import Active
from zoo.training.randomness import uniform_ids
from zoo.training.reading import prepare_data

UNKNOWN = "unknown"  # the answer for what is of no known class
SEVERITIES = (1, 3, 5)  # of corruptions, in the pool and in the test of robustness
ROBUSTNESS = "robustness"

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
    dataset = prepare_data(_known_only(recipe, active))
    if active.validation == "unused":
        dataset = _undivided(dataset)
    known = np.ones(len(dataset.splits["train"]), dtype=np.bool_)
    if active.unknown_classes:
        dataset, known = _with_unknown(dataset, known, _other_classes(recipe, active, dataset))
    if unknown is not None:
        dataset, known = _with_unknown(dataset, known, _other_source(recipe, unknown, dataset))
    ids = tuple(content_ids(dataset.splits["train"]))
    _require_apart(dataset, ids)
    if active.corrupted:
        dataset = _corrupted(dataset, ids, active.corrupted, recipe)
    if active.robustness is not None:
        dataset = _with_robustness(dataset, active.robustness, recipe)
    return Material(dataset, ids, known)


def _undivided(dataset: Dataset) -> Dataset:
    """Return the data without a validation split: one that was cut off goes back to train."""
    rest = {name: split for name, split in dataset.splits.items() if name != "validation"}
    train, validation = rest["train"], dataset.splits["validation"]
    if validation.images is not train.images:
        return replace(dataset, splits=rest)
    samples = np.concatenate([train.samples, validation.samples])
    order = np.argsort(samples)
    labels = np.concatenate([train.labels, validation.labels])
    groups = None
    if train.groups is not None and validation.groups is not None:
        groups = np.concatenate([train.groups, validation.groups])[order]
    whole = Split("train", train.images, samples[order], labels[order], groups)
    return replace(dataset, splits={**rest, "train": whole})


def _known_only(recipe: Recipe, active: Active) -> Recipe:
    """Return the recipe on its known classes alone. Raises UnknownNameError for a class that the data does not have."""
    if not active.unknown_classes:
        return recipe
    classes = prepare_data(recipe).classes
    for name in active.unknown_classes:
        if name not in classes:
            raise UnknownNameError("class", name, classes)
    left = [name for name in classes if name not in active.unknown_classes]
    return msgspec.structs.replace(recipe, data=msgspec.structs.replace(recipe.data, classes=left))


def _other_classes(recipe: Recipe, active: Active, dataset: Dataset) -> Split:
    every = prepare_data(recipe)
    train = every.splits["train"]
    chosen = np.isin(train.labels, [every.classes.index(name) for name in active.unknown_classes])
    return train.part(chosen)


def _other_source(recipe: Recipe, source: Component[str], dataset: Dataset) -> Split:
    statistics = Normalization(mean=list(dataset.mean), std=list(dataset.std))
    settings = msgspec.structs.replace(recipe.data, classes=None, train_size=None, normalization=statistics)
    other = prepare(
        settings, source, min_size=1, preferred_size=None, architecture=recipe.architecture.name,
        size=dataset.size, channels=dataset.channels, cut=False,
    )  # fmt: skip
    if other.dtype != dataset.dtype:
        raise DataError(f"the unknown images are {other.dtype}", possible=f"{dataset.dtype}, as the others are")
    return other.splits["train"]


def _with_unknown(dataset: Dataset, known: NDArray[np.bool_], others: Split) -> tuple[Dataset, NDArray[np.bool_]]:
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


def _require_apart(dataset: Dataset, ids: Sequence[str]) -> None:
    if "test" not in dataset.splits:
        raise DataError("a simulation needs a test split", hint="data.test_fraction=0.1, or a folder test")
    plain = {name.partition("#")[0] for name in ids}
    twice = plain & {name.partition("#")[0] for name in content_ids(dataset.splits["test"])}
    if twice:
        raise DataError(
            f"{len(twice)} images of test stand in the pool as well: what is learned from them would be tested on them",
            possible="a pool without them",
            hint="zoo data check finds them, and names the files",
        )


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
    chosen = draws[:, 0] < share
    which = (draws[:, 1] * len(names)).astype(int) * len(SEVERITIES) + (draws[:, 2] * len(SEVERITIES)).astype(int)
    for kind in np.unique(which[chosen]):
        rows = np.flatnonzero(chosen & (which == kind))
        name, level = names[kind // len(SEVERITIES)], SEVERITIES[kind % len(SEVERITIES)]
        for some in np.array_split(rows, -(-len(rows) // 256)):
            pixels[some] = corrupt(pixels[some], name, level, torch.from_numpy(train.samples[some]))
    # As images of their own, whose embeddings are not taken for those of the images as they are.
    seen = Split(train.name, ArrayImages(pixels.numpy()), np.arange(len(train)), train.labels, train.groups)
    return replace(dataset, splits={**dataset.splits, "train": seen})


def _with_robustness(dataset: Dataset, limit: int, recipe: Recipe) -> Dataset:
    """Return the data with a split of test images under each corruption at each severity."""
    few = subset(dataset.splits["test"], limit)
    pixels = torch.from_numpy(few.pixels(dataset.size, recipe.data.workers))
    variants = [(name, level) for name in _corruptions(dataset) for level in SEVERITIES]
    parts = [corrupt(pixels, name, level, torch.from_numpy(few.samples)).numpy() for name, level in variants]
    images = ArrayImages(np.concatenate(parts))
    split = Split(ROBUSTNESS, images, np.arange(len(images)), np.tile(few.labels, len(variants)))
    return replace(dataset, splits={**dataset.splits, ROBUSTNESS: split})


def _corruptions(dataset: Dataset) -> Sequence[str]:
    names = applicable(dataset.dtype, dataset.size[0])
    if not names:
        raise DataError("no corruption is defined for this data", possible="images of 8 bits a channel")
    return names
