"""What is measured on the data: mean and deviation per channel, and a fingerprint of the whole."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.sources import ArrayImages, SourceData
from zoo.errors import DataError

Statistics = tuple[tuple[float, ...], tuple[float, ...]]
CHUNK = 4096
# A channel whose deviation is below this share of its mean is constant but for rounding.
CONSTANT = 1e-7


def statistics_uint8(chunks: Iterable[NDArray[np.uint8]], channels: int) -> Statistics:
    """Return mean and standard deviation per channel of images `(n, C, H, W)` scaled to [0, 1], exact for any chunking."""
    counts = np.zeros((channels, 256), dtype=np.int64)
    for chunk in chunks:
        for channel in range(channels):
            counts[channel] += np.bincount(chunk[:, channel].ravel(), minlength=256)
    levels = np.arange(256)
    total = counts.sum(axis=1)
    mean = counts @ levels / total
    variance = (counts * (levels - mean[:, None]) ** 2).sum(axis=1) / total
    return _statistics(mean / 255, np.sqrt(variance) / 255)


def statistics_float32(images: NDArray[np.float32]) -> Statistics:
    """Return mean and standard deviation per channel in the arrays' own units. Raises DataError for NaN and infinities."""
    chunks = range(0, len(images), CHUNK)
    per_channel = images.size / images.shape[1]
    mean = sum(images[i : i + CHUNK].sum(axis=(0, 2, 3), dtype=np.float64) for i in chunks) / per_channel
    if not np.isfinite(mean).all():
        raise DataError("the training images hold values that are not finite", possible="finite floats, or uint8")
    centred = mean[:, None, None]
    variance = sum(((images[i : i + CHUNK] - centred) ** 2).sum(axis=(0, 2, 3)) for i in chunks) / per_channel
    return _statistics(mean, np.sqrt(variance))


def _statistics(mean: NDArray[Any], deviation: NDArray[Any]) -> Statistics:
    constant = deviation <= CONSTANT * np.maximum(1.0, np.abs(mean))
    return tuple(mean.tolist()), tuple(np.where(constant, 1.0, deviation).tolist())


def fingerprint(
    data: SourceData, classes: tuple[str, ...], parts: Mapping[str, tuple[NDArray[np.int64], NDArray[np.int64]]]
) -> str:
    """Return the sha256 of class names, the (samples, labels) of each split, and the content of the source.

    Content is the bytes of arrays, path and size of files, and groups where there are some.
    """
    digest = sha256(repr((classes, [(name, len(samples)) for name, (samples, _) in parts.items()])).encode())
    for samples, labels in parts.values():
        digest.update(samples.astype("<i8").tobytes())
        digest.update(labels.astype("<i8").tobytes())
    for name, split in data.splits.items():
        if split.groups is not None:
            digest.update(f"{name}/groups".encode() + split.groups.astype("<i8").tobytes())
        images = split.images
        if isinstance(images, ArrayImages):
            digest.update(f"{name}{images.data.dtype.newbyteorder('<').str}{images.data.shape}".encode())
            digest.update(images.data.reshape(-1).view(np.uint8).data)
            continue
        for path in images.paths:
            try:
                size = (images.root / path).stat().st_size
            except OSError as error:
                raise DataError(f"cannot read {images.root / path}: {error.strerror}") from error
            digest.update(f"{name}/{unicodedata.normalize('NFC', path)}\0{size}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()
