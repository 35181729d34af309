"""What a simulation works on: all that can be asked for, of known classes or not, seen as it is or corrupted, and who knows what."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from zoo.active import others
from zoo.components import Component
from zoo.data.dataset import Dataset, Split
from zoo.data.ids import content_ids
from zoo.data.sources import ArrayImages
from zoo.errors import DataError, UnknownNameError, ZooError
from zoo.evaluation.corruptions import applicable, corrupt
from zoo.evaluation.robustness import subset
from zoo.recipe import Recipe
from zoo.training.randomness import id_words, uniform_ids
from zoo.training.reading import prepare_data

UNKNOWN = "unknown"  # the answer for what is of no known class
SEVERITIES = (1, 3, 5)  # of corruptions, in the pool and in the test of robustness
ROBUSTNESS = "robustness"  # the split of corrupted test images
TARGET = "target inputs"  # the split of images that predictions are wanted for
TARGETS = 1000  # of them at most

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Material:
    """The data, whose `train` has all that can be asked for, and of each of its rows the content id and whether its class is known.

    What is of no known class stands there under class 0, which nobody is told. Target inputs, the images that predictions are
    wanted for, are a split of their own, where some were named, drawn by their ids, which are in `target`.
    """

    dataset: Dataset
    ids: tuple[str, ...]
    known: NDArray[np.bool_]
    target: tuple[str, ...] = ()

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
        digest.update("".join(self.target).encode())
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


def gather(
    recipe: Recipe, unknown: Component[str] | None = None, target_inputs: Component[str] | None = None
) -> Material:
    """Return the material of a recipe whose `active` block is set, with the sources of other images that the block names.

    Raises DataError where images of a test split stand in the pool or among target inputs as well, and for what does not fit
    together.
    """
    assert recipe.active is not None
    active = recipe.active
    dataset = prepare_data(recipe)
    if active.validation == "unused":
        dataset = _undivided(dataset, whole=recipe.data.train_size is None)
    dataset, known = _with_unknown_classes(dataset, active.unknown_classes)
    if unknown is not None:
        dataset, known = others.in_pool(dataset, known, others.read(unknown, dataset, "unknown images", "--unknown"))
    ids, target = tuple(content_ids(dataset.splits["train"])), tuple[str, ...]()
    _require_unknown(ids, known)
    test = _test(dataset)
    tested, why = content_ids(test), "what is learned from them would be tested on them"
    others.require_apart(dataset.splits["train"], ids, test, tested, "in the pool", why)
    if target_inputs is not None:
        inputs = others.read(target_inputs, dataset, TARGET, "--target-inputs")
        every = content_ids(inputs)
        others.require_apart(inputs, every, test, tested, f"among the {TARGET}", "what is asked for would follow them")
        drawn = uniform_ids(recipe.data.split_seed, TARGET, 0, every)[:, 0].argsort()[:TARGETS].tolist()
        dataset, target = others.beside(dataset, inputs, drawn), tuple(every[row] for row in drawn)
    if active.corrupted:
        dataset = _corrupted(dataset, ids, active.corrupted, recipe)
    if active.robustness is not None:
        dataset = _with_robustness(dataset, active.robustness, recipe)
    return Material(dataset, ids, known, target)


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


def _test(dataset: Dataset) -> Split:
    if "test" not in dataset.splits:
        raise DataError("a simulation needs a test split", hint="data.test_fraction=0.1, or a folder test")
    return dataset.splits["test"]


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
