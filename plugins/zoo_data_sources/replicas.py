"""Another source whose training images stand several times, each time with noise of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from zoo.data import measures, splits
from zoo.data.sources import ArrayImages, SourceData, SourceSplit
from zoo.errors import DataError
from zoo.training.randomness import normal
from zoo_data_sources.plugin import Replicas

Floats = NDArray[np.float32]
CHUNK = 1 << 20  # values that are normalised, or drawn, at a time: a draw takes some eighty bytes on its way


def build(params: Replicas) -> SourceData:
    """Return the base's data as float32 `(N, C, H, W)` with its train split `times` times over.

    Kirsch, van Amersfoort and Gal, "BatchBALD: efficient and diverse batch acquisition for deep Bayesian active learning", NeurIPS
    2019, repeat MNIST so, and call it RMNIST. Mean and deviation of the base's train split normalise all images. Sample
    `copy · n + i` is copy `copy` of training image `i`, of its group, plus normal noise of deviation `noise`; other splits have
    none. Raises DataError for a base of files or without a train split.
    """
    data = _set_aside(_base(params), params)
    pixels = {name: _pixels(split, name) for name, split in data.splits.items()}
    mean, std = _statistics(pixels["train"])
    others = {
        name: SourceSplit(ArrayImages(_normalized(pixels[name], 1, mean, std)), split.labels, split.groups)
        for name, split in data.splits.items()
        if name != "train"
    }
    return SourceData(data.classes, {"train": _train(data.splits["train"], params, mean, std), **others})


def _base(params: Replicas) -> SourceData:
    try:
        data = params.base.build()
    except DataError as error:  # what it says of the data block holds for the block of the base
        raise DataError(
            error.problem, possible=error.possible, hint=error.hint.replace("data.", "data.base.")
        ) from error
    if not isinstance(data, SourceData):
        raise DataError(f"{params.base.name} must return zoo.SourceData, got {type(data).__name__} instead")
    if "train" not in data.splits:
        raise DataError(f"{params.base.name} has no train split to replicate", possible=", ".join(data.splits))
    return data


def _set_aside(data: SourceData, params: Replicas) -> SourceData:
    """Return the data with a validation split of so many images of train. Raises DataError where that cannot be."""
    if not params.validation:
        return data
    train = data.splits["train"]
    classes = len(np.unique(train.labels))
    if "validation" in data.splits or not classes <= params.validation <= len(train.labels) - classes:
        raise DataError(
            f"{params.validation} images of train cannot be set aside for validation",
            possible="a base without a validation split of its own, and an image of each class on both sides",
            hint="data.validation=0",
        )
    places = np.arange(len(train.labels))
    aside = splits.subset(train.labels, places, params.validation, seed=params.seed, name="replicas/validation")
    return SourceData(data.classes, {**data.splits, "train": _part(train, ~aside), "validation": _part(train, aside)})


def _part(split: SourceSplit, chosen: NDArray[np.bool_]) -> SourceSplit:
    groups = None if split.groups is None else split.groups[chosen]
    return SourceSplit(ArrayImages(_pixels(split, "train")[chosen]), split.labels[chosen], groups)


def _pixels(split: SourceSplit, name: str) -> NDArray[Any]:
    if not isinstance(split.images, ArrayImages):
        raise DataError(
            f"replicas needs images in memory, and those of {name} are files",
            possible="digits, npz or torchvision as its base",
            hint="data.base={name: npz, path: FILE.npz}",
        )
    return split.images.data


def _statistics(pixels: NDArray[Any]) -> tuple[Floats, Floats]:
    """Return mean and deviation per channel `(C, 1, 1)`, of images scaled to [0, 1] where they are uint8."""
    if pixels.dtype == np.uint8:
        found = measures.statistics_uint8((pixels[rows] for rows in _rows(pixels)), pixels.shape[1])
    else:
        found = measures.statistics_float32(pixels)
    mean, std = (np.array(values, dtype=np.float32)[:, None, None] for values in found)
    return mean, std


def _train(split: SourceSplit, params: Replicas, mean: Floats, std: Floats) -> SourceSplit:
    count = len(split.images)
    images = _normalized(_pixels(split, "train"), params.times, mean, std)
    if params.noise:
        for rows in _rows(images):
            _add_noise(images[rows], torch.arange(rows.start, rows.stop), params)
    groups = np.arange(count) if split.groups is None else split.groups
    return SourceSplit(ArrayImages(images), np.tile(split.labels, params.times), np.tile(groups, params.times))


def _normalized(pixels: NDArray[Any], times: int, mean: Floats, std: Floats) -> Floats:
    """Return new normalised float32 images, all of them `times` times one after another."""
    count, scale = len(pixels), 255 if pixels.dtype == np.uint8 else 1
    images = np.empty((times * count, *pixels.shape[1:]), dtype=np.float32)
    for rows in _rows(pixels):
        images[rows] = (pixels[rows].astype(np.float32) / np.float32(scale) - mean) / std
    for copy in range(1, times):
        images[copy * count : (copy + 1) * count] = images[:count]
    return images


def _add_noise(images: Floats, samples: torch.Tensor, params: Replicas) -> None:
    drawn = normal(params.seed, "replicas", 0, samples, images[0].size)
    images += params.noise * drawn.numpy().reshape(images.shape)


def _rows(images: NDArray[Any]) -> Iterator[slice]:
    """Yield slices of images of about CHUNK values each."""
    step = max(1, CHUNK // max(1, images[:1].size))
    for start in range(0, len(images), step):
        yield slice(start, min(len(images), start + step))
