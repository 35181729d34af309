"""Arrays in one .npz file, named as Keras names them."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.sources import ArrayImages, SourceData, SourceSplit
from zoo.errors import DataError
from zoo_data_sources.plugin import Npz

Arrays = Mapping[str, NDArray[Any]]

KEYS = {"train": ("train",), "validation": ("val", "validation", "valid"), "test": ("test",)}
NAMES = ("class_names", "classes")
CHANNELS = 4  # a first or last dimension up to this is one of channels


def build(params: Npz) -> SourceData:
    """Return the arrays of each split as uint8 or float32 `(N, C, H, W)`.

    Images are `(N, H, W)`, `(N, H, W, C)` or `(N, C, H, W)`; `(N, L)` are signals, `(N, 1, 1, L)`. Class names are those of
    the array `class_names` or `classes`, else the values of y_train. Raises DataError for what does not fit.
    """
    if not params.path:
        raise DataError("the npz source needs a path", hint="data.path=FILE.npz")
    path = Path(params.path).expanduser()
    arrays = _load(path)
    found = {split: key for split, keys in KEYS.items() for key in keys if f"x_{key}" in arrays}
    if "train" not in found:
        raise DataError(f"{path} has no x_train", possible=f"it has {', '.join(arrays) or 'no arrays'}")
    pixels = {split: images(arrays[f"x_{key}"], f"x_{key} of {path}") for split, key in found.items()}
    values = {split: _labels(arrays, f"y_{key}", len(pixels[split]), path) for split, key in found.items()}
    classes, known = _classes(arrays, values["train"], path)
    splits = {}
    for split, labels in values.items():
        extra = np.setdiff1d(labels, known)
        if len(extra):
            raise DataError(
                f"y_{found[split]} of {path} has labels without a class: {extra.tolist()[:10]}",
                possible=", ".join(classes),
            )
        splits[split] = SourceSplit(ArrayImages(pixels[split]), np.searchsorted(known, labels).astype(np.int64))
    return SourceData(classes, splits)


def _load(path: Path) -> dict[str, NDArray[Any]]:
    try:
        # Opened here, because numpy leaves a file open that turns out to be damaged.
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{path} is not an npz file", possible="a file that numpy.savez wrote")
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise DataError(f"there is no file {path}", hint="data.path=FILE.npz, relative to the current folder") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"cannot read {path}: {error}", possible="a file that numpy.savez wrote, without objects"
        ) from error


def images(array: NDArray[Any], name: str) -> NDArray[Any]:
    """Return images or signals as uint8 or float32 `(N, C, H, W)`."""
    if array.ndim == 2:
        shaped = array[:, None, None, :]
    elif array.ndim == 3:
        shaped = array[:, None]
    elif array.ndim == 4 and array.shape[3] <= CHANNELS:
        shaped = array.transpose(0, 3, 1, 2)
    elif array.ndim == 4 and array.shape[1] <= CHANNELS:
        shaped = array
    else:
        raise DataError(
            f"{name} has shape {array.shape}", possible="(N, H, W), (N, H, W, C), (N, C, H, W), or (N, L) for signals"
        )
    if not array.size:
        raise DataError(f"{name} is empty")
    if array.dtype == np.bool_:
        return shaped.astype(np.uint8) * 255
    if array.dtype.kind in "iu" and array.min() >= 0 and array.max() <= 255:
        return shaped.astype(np.uint8)
    if array.dtype.kind == "f" and np.isfinite(array).all():
        return shaped.astype(np.float32)
    raise DataError(
        f"{name} has values of type {array.dtype} that are out of range",
        possible="whole numbers 0 … 255, or finite floats",
    )


def _labels(arrays: Arrays, key: str, count: int, path: Path) -> NDArray[Any]:
    if key not in arrays:
        raise DataError(f"{path} has no {key}", possible=f"it has {', '.join(arrays)}")
    labels = arrays[key]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != (count,) or labels.dtype.kind not in "iubU":
        raise DataError(
            f"{key} of {path} has {labels.dtype} of shape {arrays[key].shape}",
            possible=f"{count} whole numbers or names",
        )
    return labels.astype(np.int64) if labels.dtype.kind in "iub" else labels


def _classes(arrays: Arrays, train: NDArray[Any], path: Path) -> tuple[tuple[str, ...], NDArray[Any]]:
    """Return the class names and the label value of each."""
    given = next((arrays[key] for key in NAMES if key in arrays), None)
    values = np.unique(train)
    if given is None or train.dtype.kind == "U":
        return tuple(str(value) for value in values), values
    if given.ndim != 1 or given.dtype.kind != "U" or len(np.unique(given)) != len(given):
        raise DataError(f"the class names of {path} must be distinct strings, got {given.dtype} {given.shape} instead")
    return tuple(str(name) for name in given), np.arange(len(given))
