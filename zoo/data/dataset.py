"""A recipe's data, prepared: classes chosen, splits cut, size and normalisation decided; pixels are read when needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.augmentation import Augmentation, ResizedCrop
from zoo.components import Component
from zoo.data import measures, partition, sizes, splits, streaming
from zoo.data.partition import Positions
from zoo.data.sources import ArrayImages, FileImages, Images, SourceData, SourceSplit
from zoo.data.streaming import Workers
from zoo.errors import ComponentError, DataError
from zoo.recipe import DataSettings, Normalization

MEASURED = 10_000  # image files, at most, of which a run measures mean and deviation


@dataclass(eq=False)
class Split:
    """Some images of a source split and their labels.

    `samples` int64 `(n,)` are positions in `images`, and the samples of the randomness law; `labels` int64 `(n,)` index the
    dataset's classes; `groups` int64 `(n,)`, where the source has them, are equal for images of the same original.
    """

    name: str
    images: Images
    samples: Positions
    labels: Positions
    groups: Positions | None = None
    _pixels: NDArray[Any] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def in_memory(self) -> bool:
        """Whether `pixels` has been read, or something else was put in its place."""
        return self._pixels is not None

    def pixels(self, size: tuple[int, int], workers: Workers) -> NDArray[Any]:
        """Return uint8 or float32 `(n, C, *size)`, read once and then kept. Raises DataError for files that do not decode."""
        if self._pixels is None:
            if isinstance(self.images, FileImages):
                self._pixels = streaming.decode_all(self.images, self.samples, size, workers)
            else:
                whole = np.array_equal(self.samples, np.arange(len(self.images)))
                chosen = self.images.data if whole else self.images.data[self.samples]
                self._pixels = chosen if self.images.size == size else sizes.resize(chosen, size)
        return self._pixels

    def part(self, chosen: NDArray[Any]) -> Split:
        """Return the split of these of its images alone, in this order: positions int64 `(m,)`, or a mask `(n,)`."""
        groups = None if self.groups is None else self.groups[chosen]
        pixels = None if self._pixels is None else self._pixels[chosen]
        return replace(self, samples=self.samples[chosen], labels=self.labels[chosen], groups=groups, _pixels=pixels)

    def forget(self) -> None:
        """Let go of pixels that have been read."""
        self._pixels = None


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images of one size in splits `train`, `validation` and, where there is one, `test`.

    `size` is (height, width); `mean` and `std` have one value per channel, for uint8 images in units of images scaled to
    [0, 1], for float32 in the arrays' own. `notes` say in words what was decided.
    """

    classes: tuple[str, ...]
    splits: Mapping[str, Split]
    channels: int
    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    notes: tuple[str, ...]

    @property
    def dtype(self) -> str:
        """`uint8`, or `float32` for such arrays."""
        images = next(iter(self.splits.values())).images
        return str(images.data.dtype) if isinstance(images, ArrayImages) else "uint8"

    def crop(self, augmentation: Augmentation | None) -> ResizedCrop | None:
        """Return the random crop that is done as files of train are decoded, from all of their pixels; that of arrays is not."""
        if augmentation is None or not isinstance(self.splits["train"].images, FileImages):
            return None
        return augmentation.random_resized_crop

    def fits(self, memory_limit: int) -> bool:
        """Return whether the image files of all splits, decoded, take at most so many MiB."""
        return _decoded_bytes(self.splits, self.channels, self.size) <= memory_limit * 2**20


def prepare(
    settings: DataSettings,
    source: Component[Any],
    *,
    min_size: int,
    preferred_size: int | None,
    architecture: str,
    classes: Sequence[str] | None = None,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    statistics: measures.Statistics | None = None,
    cut: bool = True,
    measured: int | None = None,
) -> Dataset:
    """Return the source's data as the settings ask for it.

    `classes`, `size` and `channels` of an existing run are obeyed: other data is mapped to its classes by name. With
    `cut=False` the splits stay as the source has them, and one class is enough. `statistics`, mean and deviation per colour
    channel, are taken where the settings leave normalisation open; else both are measured, with `measured` on so many image
    files of train at most and no other file is decoded. Raises DataError, or UnknownNameError for a class.
    """
    data = _with_channels(_built(source), channels)
    names, parts = partition.choose_classes(data, settings.classes, classes)
    notes: list[str] = []
    if cut and "train" in parts:
        notes += partition.idle(parts, settings, source.name)
        parts = partition.cut(parts, settings, notes, data.splits["train"].groups)
    partition.check(names, parts, known=classes is not None, least=2 if cut else 1)
    images = _uniform(data)
    if size is None:
        size, why = sizes.choose_size(
            images,
            settings.image_size,
            min_size=min_size,
            preferred_size=preferred_size,
            architecture=architecture,
        )
        notes.insert(0, why)
    prepared = {name: _split(name, data, *part) for name, part in parts.items()}
    count = images.channels
    if statistics is not None and settings.normalization == "auto":
        mean, std = (values if count == len(values) else (sum(values) / len(values),) * count for values in statistics)
    else:
        mean, std = _normalization(settings, prepared, count, size, notes, measured)
    return Dataset(
        classes=names,
        splits=prepared,
        channels=count,
        size=size,
        mean=mean,
        std=std,
        fingerprint=measures.fingerprint(data, names, parts),
        notes=tuple(notes),
    )


def _built(source: Component[Any]) -> SourceData:
    data = source.build()
    if not isinstance(data, SourceData):
        raise ComponentError(f"{source!r} must return zoo.SourceData, got {type(data).__name__} instead")
    return data


def _split(name: str, data: SourceData, samples: Positions, labels: Positions) -> Split:
    """Return a split of the source's own of this name, or one that was cut from its train."""
    source = data.splits[name if name in data.splits else "train"]
    return Split(name, source.images, samples, labels, None if source.groups is None else source.groups[samples])


def _with_channels(data: SourceData, channels: int | None) -> SourceData:
    """Return the data with the channels of a run: files are decoded to it, arrays have it or are refused."""
    if channels is None or all(split.images.channels == channels for split in data.splits.values()):
        return data
    changed: dict[str, SourceSplit] = {}
    for name, split in data.splits.items():
        if isinstance(split.images, ArrayImages):
            raise DataError(
                f"the images have {split.images.channels} channels", possible=f"{channels}, as in the run's data"
            )
        changed[name] = replace(split, images=replace(split.images, channels=channels))
    return SourceData(data.classes, changed)


def _uniform(data: SourceData) -> Images:
    """Return the images of one split, all having the same form. Raises DataError when they do not."""
    forms = {name: _form(split.images) for name, split in data.splits.items()}
    if len(set(forms.values())) > 1:
        raise DataError(
            "the splits differ: " + "; ".join(f"{name} has {form}" for name, form in forms.items()),
            possible="the same type, channels and size in all",
        )
    return next(iter(data.splits.values())).images


def _form(images: Images) -> str:
    if isinstance(images, FileImages):
        return f"files of {images.channels} channels"
    return f"{images.data.dtype} {'×'.join(map(str, images.data.shape[1:]))}"


def _decoded_bytes(parts: Mapping[str, Split], channels: int, size: tuple[int, int]) -> int:
    files = sum(len(split) for split in parts.values() if isinstance(split.images, FileImages))
    return files * channels * size[0] * size[1]


def _normalization(
    settings: DataSettings,
    parts: Mapping[str, Split],
    channels: int,
    size: tuple[int, int],
    notes: list[str],
    measured: int | None,
) -> measures.Statistics:
    given = settings.normalization
    if isinstance(given, Normalization):
        if not len(given.mean) == len(given.std) == channels:
            raise DataError(
                f"normalization has {len(given.mean)} means and {len(given.std)} deviations",
                possible=f"{channels} of each",
            )
        return tuple(given.mean), tuple(given.std)
    train = parts.get("train")
    if train is None:
        raise DataError(
            "normalization cannot be measured without a train split", hint="data.normalization={mean: …, std: …}"
        )
    if not isinstance(train.images, FileImages):
        pixels = train.pixels(size, 0)
        if pixels.dtype == np.float32:
            return measures.statistics_float32(pixels)
        chunks = (pixels[i : i + measures.CHUNK] for i in range(0, len(pixels), measures.CHUNK))
        return measures.statistics_uint8(chunks, channels)
    # The same files are measured whether or not all of them fit into memory, so that this does not change a run.
    chosen, most = np.arange(len(train)), measured or MEASURED
    if len(train) > most:
        nothing = np.zeros_like(train.labels)
        chosen = np.flatnonzero(
            splits.subset(nothing, train.samples, most, seed=settings.split_seed, name="normalization")
        )
        notes.append(f"mean and deviation measured on {most} of {len(train)} training images")
    if measured is None and _decoded_bytes(parts, channels, size) <= settings.memory_limit * 2**20:
        pixels = train.pixels(size, settings.workers)
        rows = np.array_split(chosen, -(-len(chosen) // streaming.CHUNK))
        return measures.statistics_uint8((pixels[row] for row in rows), channels)
    return measures.statistics_uint8(_streamed(train, train.samples[chosen], size, settings.workers), channels)


def _streamed(
    train: Split, positions: Positions, size: tuple[int, int], workers: Workers
) -> Iterator[NDArray[np.uint8]]:
    assert isinstance(train.images, FileImages)
    problems: list[str] = []
    for batch, wrong in streaming.decoded(train.images, positions, size, workers):
        problems += wrong
        if not problems:
            yield batch.numpy()
    streaming.refuse(problems)
