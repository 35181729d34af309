"""What a data source returns: images and labels per split, before anything is cut, resized or normalised."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class ArrayImages:
    """Images in memory: `data` is uint8 or float32 `(N, C, H, W)`; a signal of length L is `(N, C, 1, L)`."""

    data: NDArray[Any]

    def __post_init__(self) -> None:
        if self.data.ndim != 4 or self.data.dtype not in (np.uint8, np.float32) or 0 in self.data.shape[1:]:
            raise TypeError(
                f"ArrayImages needs uint8 or float32 (N, C, H, W), got {self.data.dtype} {self.data.shape} instead"
            )
        if not (self.data.flags.c_contiguous and self.data.flags.writeable):
            object.__setattr__(self, "data", np.array(self.data, order="C"))

    def __len__(self) -> int:
        return len(self.data)

    @property
    def channels(self) -> int:
        return int(self.data.shape[1])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return int(self.data.shape[2]), int(self.data.shape[3])


@dataclass(frozen=True, eq=False)
class FileImages:
    """Image files: `paths` are relative to `root`, with `/`, in canonical order (see `canonical`)."""

    root: Path
    paths: tuple[str, ...]
    channels: int = 3

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise TypeError(f"FileImages needs 1 or 3 channels, got {self.channels} instead")

    def __len__(self) -> int:
        return len(self.paths)


Images = ArrayImages | FileImages


@dataclass(frozen=True, eq=False)
class SourceSplit:
    """One split: images, and int64 labels `(N,)` that index the classes.

    `groups`, int64 `(N,)`, are equal for images that show the same original: copies with noise, frames of one film, photos of one
    patient. No cut puts images of one group on both of its sides.
    """

    images: Images
    labels: NDArray[np.int64]
    groups: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if self.labels.dtype != np.int64 or self.labels.shape != (len(self.images),):
            raise TypeError(
                f"labels must be int64 ({len(self.images)},), got {self.labels.dtype} {self.labels.shape} instead"
            )
        if self.groups is not None and (self.groups.dtype != np.int64 or self.groups.shape != self.labels.shape):
            raise TypeError(
                f"groups must be int64 ({len(self.images)},), got {self.groups.dtype} {self.groups.shape} instead"
            )


@dataclass(frozen=True, eq=False)
class SourceData:
    """The class names, derived from train, and the splits: `train` and, where the source has them, `validation`, `test`."""

    classes: tuple[str, ...]
    splits: Mapping[str, SourceSplit]

    def __post_init__(self) -> None:
        unknown = set(self.splits) - set(SPLITS)
        if unknown or not self.splits:
            raise TypeError(f"splits must be among {', '.join(SPLITS)}, got {sorted(self.splits)} instead")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("class names must be distinct")
        for name, split in self.splits.items():
            if len(split.labels) and not (split.labels.min() >= 0 and split.labels.max() < len(self.classes)):
                raise ValueError(f"labels of {name} must be in 0 … {len(self.classes) - 1}")


def canonical(paths: Iterable[str]) -> tuple[str, ...]:
    """Return paths sorted by their NFC form, so that file systems that store names otherwise give the same order."""
    return tuple(sorted(paths, key=lambda path: (unicodedata.normalize("NFC", path), path)))
