"""Datasets of torchvision, from its layout on disk.

torchvision checks the published MD5 of CIFAR's files before it unpickles them; nothing else here is a pickle.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torchvision import datasets

from zoo.data.sources import ArrayImages, SourceData, SourceSplit
from zoo.errors import DataError
from zoo_data_sources.arrays import images
from zoo_data_sources.plugin import Torchvision
from zoo_data_sources.recognize import TORCHVISION_FILES, torchvision_names


def build(params: Torchvision) -> SourceData:
    """Return train and test of one dataset as uint8 `(N, C, H, W)`.

    Raises DataError when it is not there, or `dataset: auto` finds none or several.
    """
    root = Path(params.path).expanduser()
    name = params.dataset if params.dataset != "auto" else _only(root)
    train, test = (_load(name, root, split, params.download) for split in ("train", "test"))
    # MNIST's class names are '0 - zero', …; the digit suffices, as in other copies of it.
    names = getattr(train, "classes", [str(digit) for digit in range(10)])
    return SourceData(
        classes=tuple(str(label).partition(" - ")[0] for label in names),
        splits={"train": _split(train, name), "test": _split(test, name)},
    )


def _only(root: Path) -> str:
    found = torchvision_names(root)
    if len(found) == 1:
        return found[0]
    what = f"holds {' and '.join(found)}" if found else "holds no dataset of torchvision"
    choices = found or list(TORCHVISION_FILES)
    raise DataError(f"{root} {what}", possible=", ".join(choices), hint=f"data.dataset={choices[0]}")


def _load(name: str, root: Path, split: str, download: bool) -> Any:
    which = {"split": split} if name == "SVHN" else {"train": split == "train"}
    try:
        return getattr(datasets, name)(root, download=download, **which)
    except (OSError, RuntimeError, ValueError) as error:
        why = str(error).partition(" You can use download=True")[0]  # that is for who calls torchvision from Python
        raise DataError(
            f"cannot read {name} in {root}: {why.rstrip('.')}",
            possible="torchvision's own layout of files",
            hint="data.path=ROOT, or data.download=true",
        ) from error


def _split(dataset: Any, name: str) -> SourceSplit:
    labels = np.asarray(dataset.labels if name == "SVHN" else dataset.targets, dtype=np.int64)
    pixels: NDArray[Any] = np.asarray(dataset.data)
    return SourceSplit(ArrayImages(images(pixels, name)), labels)
