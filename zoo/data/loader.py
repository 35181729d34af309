"""Batches of a split, in the order that (seed, epoch) gives, from memory on the device or streamed from files."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from zoo.augmentation import ResizedCrop
from zoo.data.dataset import Dataset
from zoo.data.sources import FileImages
from zoo.data.streaming import Stream, Workers, count_workers, refuse
from zoo.errors import DataError, UnknownNameError
from zoo.training.randomness import Draws, bits, order

REPEAT = (
    1 << 40
)  # added to a sample once for each time that an epoch has drawn it before: it looks another way each time


@dataclass(frozen=True, slots=True)
class Batch:
    """Images uint8 or float32 `(b, C, H, W)`, labels int64 `(b,)` and samples int64 `(b,)`, on the device.

    `total` counts the batch over all processes, `waited` is how many seconds it took to come.
    """

    images: Tensor
    labels: Tensor
    samples: Tensor
    total: int
    waited: float


class Loader:
    """The batches of one split.

    An epoch of n samples is cut into ceil(n / batch_size) batches that differ by at most one sample, and each of them evenly
    over `world` processes, of which this is number `rank`. With `draws` an epoch has so many samples instead, each image in its
    turn before any comes again. Arrays, and files that fit decoded into `memory_limit` MiB, are
    read once; larger sets of files are streamed. Neither that nor the number of workers changes a bit of a batch.
    With `crop`, training gets random rectangles of the files, which are therefore streamed however small they are. Raises DataError for files that do not decode, UnknownNameError for an unknown split.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: str,
        *,
        device: torch.device | str,
        batch_size: int,
        workers: Workers,
        memory_limit: int,
        crop: ResizedCrop | None = None,
        draws: int | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if split not in dataset.splits:
            raise UnknownNameError("split", split, dataset.splits)
        self.split = dataset.splits[split]
        self.device = torch.device(device)
        self.batch_size = batch_size
        self._draws_per_epoch = draws or len(self.split)
        self.batches_per_epoch = -(-self._draws_per_epoch // batch_size)
        self._rank, self._world = rank, world
        if self._draws_per_epoch // self.batches_per_epoch < world:
            raise DataError(
                f"batches of {batch_size} of the {len(self.split)} samples of {split} cannot be shared by {world} processes",
                hint=f"training.batch_size={world}, or more",
            )
        self._labels = torch.from_numpy(self.split.labels).to(self.device)
        self._samples = torch.from_numpy(self.split.samples).to(self.device)
        self._stream: Stream | None = None
        images = self.split.images
        fits = self.split.in_memory or dataset.fits(memory_limit)
        if isinstance(images, FileImages) and (crop is not None or not fits):
            pin = self.device.type == "cuda"
            count = count_workers(workers, len(self.split))
            self._stream = Stream(images, dataset.size, workers=count, pin_memory=pin, crop=crop)
            self.split.forget()
        else:
            pixels = torch.from_numpy(self.split.pixels(dataset.size, workers))
            self._pixels = pixels.to(self.device) if pixels.nbytes <= memory_limit * 2**20 else pixels

    def training(self, seed: int, epoch: int, start: int = 0, weights: Tensor | None = None) -> Iterator[Batch]:
        """Yield this process's part of the epoch's batches from number `start` on.

        With `weights`, float `(n,)`, as many samples are drawn with replacement, each in proportion to its weight.
        """
        n = self._draws_per_epoch
        samples = torch.from_numpy(self.split.samples)
        visited = _turns(seed, epoch, samples, n) if weights is None else draw(weights, seed, epoch, n)
        again = None if weights is None and n <= len(samples) else repeats(visited)
        edges = [i * n // self.batches_per_epoch for i in range(self.batches_per_epoch + 1)]
        rows, totals, counts = [], [], []
        for low, high in list(pairwise(edges))[start:]:
            mine = [low + (rank * (high - low)) // self._world for rank in (self._rank, self._rank + 1)]
            rows.append(visited[mine[0] : mine[1]])
            totals.append(high - low)
            if again is not None:
                counts.append(again[mine[0] : mine[1]])
        return self._deliver(rows, totals, counts, (seed, epoch))

    def evaluation(self, view: tuple[int, int] | None = None, start: int = 0) -> Iterator[Batch]:
        """Yield this process's run of samples in source order; the runs of all processes are the split, each sample once.

        `total` is the batch's own length. With a `view`, (seed, epoch), the crop of training is that of this epoch. The first
        batch is number `start`.
        """
        rows = [torch.arange(a, b) for a, b in list(pairwise(self.evaluation_edges()))[start:]]
        return self._deliver(rows, [len(row) for row in rows], view=view)

    def rows(self, rows: Sequence[Tensor]) -> Iterator[Batch]:
        """Yield a batch of each of these positions in the split, int64 `(b,)`, as an evaluation sees them."""
        return self._deliver(rows, [len(row) for row in rows])

    def evaluation_edges(self) -> list[int]:
        """Return where this process's batches of an evaluation begin in the split, and where the last ends."""
        n = len(self.split)
        low, high = (rank * n // self._world for rank in (self._rank, self._rank + 1))
        largest = -(-n // self._world)
        count = -(-largest // self.batch_size)  # the same for all processes, which meet after each batch
        return [low + i * (high - low) // count for i in range(count + 1)]

    def close(self) -> None:
        """End the processes that decode; a later pass starts new ones."""
        if self._stream is not None:
            self._stream.close()

    def _deliver(
        self,
        rows: Sequence[Tensor],
        totals: Sequence[int],
        counts: Sequence[Tensor] = (),
        view: tuple[int, int] | None = None,
    ) -> Iterator[Batch]:
        draws = None if view is None else self._draws(rows, counts, view)
        pictures = self._resident(rows) if self._stream is None else self._streamed(self._stream, rows, draws)
        for number, (row, total) in enumerate(zip(rows, totals, strict=True)):
            began = time.perf_counter()
            images = next(pictures)
            place = row.to(self.device)
            samples = self._samples[place]
            if counts:
                samples = samples + counts[number].to(self.device) * REPEAT
            yield Batch(images, self._labels[place], samples, total, time.perf_counter() - began)

    def _draws(self, rows: Sequence[Tensor], counts: Sequence[Tensor], view: tuple[int, int]) -> list[Draws]:
        samples = torch.from_numpy(self.split.samples)
        again = counts or [torch.zeros_like(row) for row in rows]
        return [Draws(*view, samples[row] + count * REPEAT) for row, count in zip(rows, again, strict=True)]

    def _resident(self, rows: Sequence[Tensor]) -> Iterator[Tensor]:
        for row in rows:
            yield self._pixels.index_select(0, row.to(self._pixels.device)).to(self.device)

    def _streamed(self, stream: Stream, rows: Sequence[Tensor], draws: Sequence[Draws] | None) -> Iterator[Tensor]:
        for images, wrong in stream.batches([self.split.samples[row.numpy()] for row in rows], draws):
            refuse(wrong)
            yield images.to(self.device, non_blocking=True)


def repeats(visited: Tensor) -> Tensor:
    """Return int64 `(n,)`: how often each visited position has been visited before."""
    places = torch.argsort(visited, stable=True)
    ordered = visited[places]
    first = torch.searchsorted(ordered, ordered)
    return torch.empty_like(places).index_copy_(0, places, torch.arange(len(visited)) - first)


def _turns(seed: int, epoch: int, samples: Tensor, count: int) -> Tensor:
    """Return so many positions, each sample in its turn before any comes again."""
    turns = -(-count // len(samples))
    return torch.cat([order(seed, epoch * turns + turn, samples) for turn in range(turns)])[:count]


def draw(weights: Tensor, seed: int, epoch: int, count: int | None = None) -> Tensor:
    """Return `count` positions, by default as many as there are weights, drawn with replacement: a pure function of weights, seed
    and epoch."""
    share = torch.cumsum(weights.double().cpu(), 0)
    if not (bool(torch.isfinite(share[-1])) and share[-1] > 0 and bool((weights >= 0).all())):
        raise DataError("sample weights must be finite, not negative, and not all zero")
    words = bits(seed, "weighted order", epoch, torch.arange(count or len(weights)))[:, 0]
    points = (words & ((1 << 53) - 1)).double() * 2.0**-53 * share[-1]
    return torch.searchsorted(share, points, right=True).clamp_(max=len(weights) - 1)
