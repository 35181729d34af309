"""Digests of what files hold, read once: later starts find them by path, size and time of change."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo import storage
from zoo.data.sources import FileImages
from zoo.errors import ImageError, ZooError

DIGEST = 16  # bytes; two different images share an id with probability below 1e-20 at a billion images
FEW = 1000  # files that are read again sooner than a table of them is worth keeping
BLOCK = 1024  # files between two reports
SAVE_SECONDS = 60.0
# A file that was changed so many nanoseconds ago may change again and keep its time: some file systems count in 2 seconds.
YOUNG = 2_000_000_000

Rows = NDArray[Any]
ROW = np.dtype([("path", "<u8"), ("size", "<i8"), ("modified", "<i8"), ("content", "u1", DIGEST)])


def read(images: FileImages, positions: Sequence[int]) -> Generator[int, None, NDArray[np.uint8]]:
    """Return uint8 `(n, DIGEST)`, the blake2b digest of each of these files' bytes; yield how many there are so far.

    Raises ImageError for a file that cannot be read.
    """
    table = _table(storage.cache_folder("contents") / f"{_hashed(os.fsencode(images.root.absolute())):016x}.npy")
    rows = _described(images, positions)
    unknown = table.fill(rows)
    began, saved = time.time_ns(), time.monotonic()
    added = 0
    try:
        for start in range(0, len(unknown), BLOCK):
            block = unknown[start : start + BLOCK]
            for row in block:
                rows["content"][row] = _digest(images.root / images.paths[positions[row]])
            fresh = rows[block]
            table.add(fresh[fresh["modified"] < began - YOUNG])
            added += len(block)
            if added >= FEW and time.monotonic() - saved > SAVE_SECONDS:
                table.save()
                saved = time.monotonic()
            yield len(rows) - len(unknown) + min(len(unknown), start + BLOCK)
    finally:
        if added >= FEW:
            table.save()
    return np.ascontiguousarray(rows["content"])


class _Table:
    """What is known of the files of one folder, one row per path, in order of `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows = _loaded(path)
        self._added: list[Rows] = []

    def fill(self, rows: Rows) -> NDArray[np.int64]:
        """Put known digests into the rows of files that have kept size and time, and return the numbers of the others."""
        self._merge()
        if not len(self._rows):
            return np.arange(len(rows))
        place = np.searchsorted(self._rows["path"], rows["path"]).clip(max=len(self._rows) - 1)
        known = self._rows[place]
        same = np.logical_and.reduce([known[name] == rows[name] for name in ("path", "size", "modified")])
        rows["content"][same] = known["content"][same]
        return np.flatnonzero(~same)

    def add(self, rows: Rows) -> None:
        """Take rows in place of those of the same paths."""
        self._added.append(rows)

    def save(self) -> None:
        """Write the table where the disk takes it: it is a convenience."""
        self._merge()
        buffer = io.BytesIO()
        np.save(buffer, self._rows, allow_pickle=False)
        with suppress(ZooError):
            storage.make_folder(self._path.parent)
            storage.write_bytes(self._path, buffer.getvalue())

    def _merge(self) -> None:
        if self._added:
            every = np.concatenate([*self._added[::-1], self._rows])
            _, first = np.unique(every["path"], return_index=True)
            self._rows, self._added = every[first], []


@lru_cache(maxsize=64)
def _table(path: Path) -> _Table:
    return _Table(path)


def _loaded(path: Path) -> Rows:
    try:
        rows = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):  # there is none, or it is damaged: files are read again
        return np.empty(0, ROW)
    return rows if rows.dtype == ROW and rows.ndim == 1 else np.empty(0, ROW)


def _described(images: FileImages, positions: Sequence[int]) -> Rows:
    rows = np.zeros(len(positions), ROW)
    described = [_status(images.root, images.paths[position]) for position in positions]
    if described:
        rows["path"], rows["size"], rows["modified"] = (np.array(column) for column in zip(*described, strict=True))
    return rows


def _status(root: Path, path: str) -> tuple[np.uint64, int, int]:
    try:
        status = (root / path).stat()
    except OSError as error:
        raise ImageError(f"cannot read {root / path}: {error.strerror}") from error
    return np.uint64(_hashed(os.fsencode(path))), status.st_size, status.st_mtime_ns


def _digest(path: Path) -> NDArray[np.uint8]:
    try:
        return np.frombuffer(blake2b(path.read_bytes(), digest_size=DIGEST).digest(), np.uint8)
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror}") from error


def _hashed(name: bytes) -> int:
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "little")
