"""Arrays that take long to compute, on disk as they come: a pass that was stopped goes on, and memory holds a block at most."""

from __future__ import annotations

import io
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import numpy as np
from filelock import FileLock, Timeout
from numpy.lib import format as npy
from numpy.typing import NDArray

from zoo import storage
from zoo.errors import RunError, ZooError

BLOCK, SECONDS = 16 * 2**20, 60.0  # bytes in memory, and time between two writes: what a crash may lose

Array = NDArray[np.float32]


def load(path: Path) -> Array | None:
    """Return the array of a file, which stays on disk and is read where it is looked at; None for none or a damaged one."""
    try:
        kept: Array = np.load(path, mmap_mode="c", allow_pickle=False)
        path.touch()  # used now
    except (OSError, ValueError, EOFError):
        return None
    return kept


def drop(folder: Path, limit: int, spared: Collection[Path]) -> None:
    """Remove what was used longest ago beyond so many bytes, but nothing that is spared."""
    with suppress(OSError):  # another run may drop files at the same time
        files = [(file.stat(), file) for file in folder.iterdir() if file.suffix in {".npy", ".part"}]
        total = 0
        for status, file in sorted(files, key=lambda found: -found[0].st_mtime):
            total += status.st_size
            if total > limit and file.with_suffix(".npy") not in spared:
                with suppress(Timeout), FileLock(file.with_suffix(".lock"), timeout=0):  # who writes it holds the lock
                    for suffix in (file.suffix, ".json", ".lock"):
                        file.with_suffix(suffix).unlink(missing_ok=True)


class Rows:
    """An array `(count, D)` that is computed from its first row to its last, as a context.

    Rows go to a file beside `path` in blocks, each of them durable, and after the last that file takes the place of `path`. `done`
    rows of an earlier pass are there already. Without a path, where the disk does not take them, and while another process
    computes the same, they stay in memory.
    """

    def __init__(self, path: Path | None, count: int) -> None:
        self.done = 0
        self._count = count
        self._path = path
        self._offset = self._width = 0
        self._waiting: list[Array] = []
        self._written_at = time.monotonic()

    def __enter__(self) -> Rows:
        if self._path is not None:
            self._open(self._path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._path is not None:
            self._write()
            self._lock.release()

    def resume(self, edges: Sequence[int]) -> int:
        """Return how many of the batches that end at `edges[1:]` are there; rows of a batch that is there in part are dropped."""
        number = int(np.searchsorted(edges, self.done, side="right")) - 1
        if self.done > edges[number]:
            self._mark(edges[number])
        return number

    def add(self, rows: Array) -> None:
        """Take the next rows `(n, D)`."""
        self._waiting.append(rows)
        due = sum(rows.nbytes for rows in self._waiting) >= BLOCK or time.monotonic() - self._written_at > SECONDS
        if self._path is not None and due:
            self._write()

    def finish(self) -> Array:
        """Return the whole array: where it is on disk, it is read where it is looked at."""
        if self._path is not None:
            self._write()
        if self._path is not None and self._move(self._path):
            path, self._path = self._path, None
            self._lock.release()
            for suffix in (".json", ".lock"):
                self._part.with_suffix(suffix).unlink(missing_ok=True)
            whole = load(path)
            if whole is None:
                raise _changed(path)
            return whole
        return np.concatenate(self._waiting)

    def _move(self, path: Path) -> bool:
        try:
            storage.move(self._part, path)
        except ZooError:
            self._give_up()
        return self._path is not None

    def _open(self, path: Path) -> None:
        """Take the place for this process, and look for what an earlier one has left."""
        self._part = path.with_suffix(".part")
        self._lock = FileLock(path.with_suffix(".lock"), timeout=0)
        try:
            storage.make_folder(path.parent)
            self._lock.acquire()
        except (ZooError, OSError, Timeout):
            self._path = None
            return
        try:
            self.done = msgspec.json.decode(path.with_suffix(".json").read_bytes(), type=int)
            self._read_header()
            self._mark(self.done)
        except (ZooError, OSError, ValueError, msgspec.MsgspecError):
            self._part.unlink(missing_ok=True)
            self.done = 0

    def _read_header(self) -> None:
        with self._part.open("rb") as file:
            npy.read_magic(file)
            shape, _, _ = npy.read_array_header_1_0(file)
            self._offset, self._width = file.tell(), shape[1]

    def _mark(self, done: int) -> None:
        """Let so many rows be there."""
        storage.cut(self._part, self._offset + 4 * self._width * done)
        storage.write_json(self._part.with_suffix(".json"), done)
        self.done = done

    def _write(self) -> None:
        if not self._waiting:
            return
        rows = np.ascontiguousarray(np.concatenate(self._waiting), dtype="<f4")
        try:
            if self.done == 0:
                self._begin(rows.shape[1])
            storage.append_bytes(self._part, rows.tobytes())
            self._mark(self.done + len(rows))
            self._waiting, self._written_at = [], time.monotonic()
        except ZooError:
            self._give_up()

    def _begin(self, width: int) -> None:
        header = io.BytesIO()
        npy.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (self._count, width)})
        storage.write_bytes(self._part, header.getvalue())
        self._offset, self._width = header.tell(), width

    def _give_up(self) -> None:
        """Go on in memory, with what the disk has taken so far."""
        if self.done:
            flat: NDArray[Any] = np.fromfile(self._part, "<f4", self.done * self._width, offset=self._offset)
            if len(flat) < self.done * self._width:
                raise _changed(self._part)
            self._waiting.insert(0, flat.reshape(self.done, self._width))
        for suffix in (".part", ".json"):
            self._part.with_suffix(suffix).unlink(missing_ok=True)
        self._path = None
        self._lock.release()


def _changed(path: Path) -> RunError:
    return RunError(f"{path} was changed while it was written", hint="ZOO_CACHE=FOLDER, one that nothing else cleans")
