"""Image files decoded by worker processes, in the order asked for and with the same bits for any number of workers."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import repeat
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from zoo.augmentation import ResizedCrop
from zoo.data import crops
from zoo.data.images import Window, decode
from zoo.data.sources import FileImages
from zoo.errors import DataError, ImageError
from zoo.training.randomness import Draws

Positions = NDArray[np.int64]
Item = tuple[int, list[float] | None]  # a position, and the draws of its crop
Workers = int | Literal["auto"]

FEW = 256  # files that one process decodes in about the time in which others start
CHUNK = 64
LISTED = 10


def cores() -> int:
    """Return how many processors of this machine the process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def count_workers(workers: Workers, files: int) -> int:
    """Return how many processes decode: as asked, or one per core up to 8, and none for a few files."""
    if workers != "auto":
        return workers
    return 0 if files <= FEW else min(cores(), 8)


class Stream:
    """Batches of decoded files; worker processes live until `close`.

    With `crop`, rows that come with draws are random rectangles of the originals: the law of `crops.boxes`, and the draws that
    the same crop of arrays has.
    """

    def __init__(
        self,
        images: FileImages,
        size: tuple[int, int],
        *,
        workers: int,
        pin_memory: bool = False,
        crop: ResizedCrop | None = None,
    ) -> None:
        self._crops = crop is not None
        self._rows = _Rows()
        self._arguments: dict[str, Any] = {
            "dataset": _Files(images, size, crop),
            "batch_sampler": self._rows,
            "num_workers": workers,
            "collate_fn": _collate,
            "pin_memory": pin_memory,
            "persistent_workers": workers > 0,
            "worker_init_fn": _start_worker,
            # With a generator of its own the DataLoader draws nothing from the global one.
            "generator": torch.Generator(),
        }
        self._loader: DataLoader[Any] | None = None

    def batches(
        self, rows: Sequence[Positions], draws: Sequence[Draws] | None = None
    ) -> Iterator[tuple[Tensor, list[str]]]:
        """Yield for each row of positions uint8 `(b, C, H, W)`, and what is wrong with files that do not decode.

        `draws` are those of the crops, for each row. Raises DataError when a worker process ends.
        """
        self._rows.rows, self._rows.draws = rows, draws if self._crops else None
        with _started_quietly():
            if self._loader is None:
                self._loader = DataLoader(**self._arguments)
            iterator = iter(self._loader)
        for _ in rows:
            try:
                batch = next(iterator)
            except (RuntimeError, OSError, EOFError) as error:  # the last two where it ended while it was sending
                if isinstance(error, RuntimeError) and "worker" not in str(error):
                    raise
                _abandon(iterator)
                self.close()
                raise DataError(
                    f"a process that decodes images ended unexpectedly ({error})",
                    possible="it was ended from outside, or memory or shared memory ran out",
                    hint="data.workers=0, or fewer workers",
                ) from error
            yield batch

    def close(self) -> None:
        """End the worker processes; the next call of `batches` starts new ones."""
        self._loader = None


def _abandon(iterator: Any) -> None:
    """End the workers of a torch iterator of which one was killed.

    torch's own shutdown waits for a lock that the killed one may hold for ever; its handler of ended children would break that.
    """
    iterator._shutdown = True
    for worker in iterator._workers:
        worker.kill()
        worker.join()
    torch._C._remove_worker_pids(id(iterator))


def decode_cropped(
    images: FileImages, positions: Positions, size: tuple[int, int], crop: ResizedCrop, draws: Draws
) -> NDArray[np.uint8]:
    """Return uint8 `(n, C, H, W)`, a crop of each of a few files. Raises what `decode_all` raises."""
    ((batch, wrong),) = Stream(images, size, workers=0, crop=crop).batches([positions], [draws])
    refuse(wrong)
    return np.asarray(batch.numpy(), dtype=np.uint8)


def decode_all(images: FileImages, positions: Positions, size: tuple[int, int], workers: Workers) -> NDArray[np.uint8]:
    """Return uint8 `(n, C, H, W)` of these files. Raises one error that lists the files that do not decode."""
    pixels = np.empty((len(positions), images.channels, *size), dtype=np.uint8)
    problems: list[str] = []
    done = 0
    for batch, wrong in decoded(images, positions, size, workers):
        problems += wrong
        if not problems:
            pixels[done : done + len(batch)] = batch.numpy()
        done += len(batch)
    refuse(problems)
    return pixels


def decoded(
    images: FileImages, positions: Positions, size: tuple[int, int], workers: Workers
) -> Iterator[tuple[Tensor, list[str]]]:
    """Yield all of these files once, in chunks, as `Stream.batches` does."""
    stream = Stream(images, size, workers=count_workers(workers, len(positions)))
    rows = np.array_split(positions, max(1, -(-len(positions) // CHUNK)))
    try:
        yield from stream.batches(rows)
    finally:
        stream.close()


def refuse(problems: Sequence[str]) -> None:
    """Raise the error of files that do not decode, if there are any."""
    if len(problems) == 1:
        raise ImageError(problems[0], hint="repair the file, or take it out")
    if problems:
        more = [f"… and {len(problems) - LISTED} more"] if len(problems) > LISTED else []
        listed = "\n    ".join([*problems[:LISTED], *more])
        raise DataError(
            f"{len(problems)} images do not decode:\n    {listed}", hint="repair the files, or take them out"
        )


class _Files(Dataset[Any]):
    """What a worker process receives; it must pickle, because some systems spawn."""

    def __init__(self, images: FileImages, size: tuple[int, int], crop: ResizedCrop | None = None) -> None:
        self.images = images
        self.size = size
        self.crop = crop

    def __getitem__(self, item: Item) -> NDArray[np.uint8] | str:
        position, drawn = item
        window = None if self.crop is None or drawn is None else _window(self.crop, drawn)
        try:
            path = self.images.root / self.images.paths[position]
            return decode(path, channels=self.images.channels, size=self.size, window=window)
        except ImageError as error:
            return error.problem


def _window(crop: ResizedCrop, drawn: list[float]) -> Window:
    u = torch.tensor([drawn])

    @cache  # it is asked for the scale to decode at, and for the box in what is decoded
    def window(height: int, width: int) -> list[float]:
        box: list[float] = crops.boxes(u, (height, width), crop.scale, crop.ratio)[0].tolist()
        return box

    return window


def _collate(items: list[NDArray[np.uint8] | str]) -> tuple[Tensor, list[str]]:
    good = [item for item in items if not isinstance(item, str)]
    wrong = [item for item in items if isinstance(item, str)]
    return torch.from_numpy(np.stack(good)) if good else torch.empty(0, dtype=torch.uint8), wrong


class _Rows(Sampler[list[Item]]):
    """The batch sampler: it stays in the parent process, and each pass has its own rows."""

    def __init__(self) -> None:
        self.rows: Sequence[Positions] = ()
        self.draws: Sequence[Draws] | None = None

    def __iter__(self) -> Iterator[list[Item]]:
        return map(_items, self.rows, repeat(None) if self.draws is None else self.draws)

    def __len__(self) -> int:
        return len(self.rows)


def _items(row: Positions, draws: Draws | None) -> list[Item]:
    if draws is None:
        return [(position, None) for position in row.tolist()]
    return list(zip(row.tolist(), draws.uniform(crops.STREAM, crops.COLUMNS).tolist(), strict=True))


def _start_worker(_: int) -> None:
    # Ctrl-C reaches the whole process group; the parent finishes its step first and then ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _started_quietly() -> Iterator[None]:
    """Start workers without the advice that torch and Python give, and without torch's handler of ended children.

    That handler raises from whatever line the program is at; without it `next` finds an ended worker within 5 seconds. A SIGINT
    that comes meanwhile waits, so that it does not end a worker which has not yet learnt to ignore it.
    """
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if hasattr(signal, "pthread_sigmask") else None
    watches = hasattr(signal, "SIGCHLD") and threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGCHLD) if watches else None
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "This DataLoader will create")
            warnings.filterwarnings("ignore", ".*use of fork", DeprecationWarning)
            yield
    finally:
        if handler is not None:
            signal.signal(signal.SIGCHLD, handler)
        if masked is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)
