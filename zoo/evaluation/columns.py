"""Columns of tables with one row per sample, in a memory that does not grow with the number of rows."""

from __future__ import annotations

import struct
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

IN_MEMORY = 1 << 22  # bytes; larger columns lie on the disk
BLOCK = 1 << 18  # values that are looked at together
_LOCAL_HEADER = 30  # bytes of a zip member's header before its name, whose length stands at byte 26


def empty(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return an array to be filled; a large one is backed by a temporary file that goes when it does."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= IN_MEMORY:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype, "w+", shape=shape)


def blocks(rows: int, width: int = 1) -> Iterator[slice]:
    """Yield slices that cover so many rows in order, each of about BLOCK values where a row has `width`."""
    step = max(BLOCK // width, 1)
    for low in range(0, rows, step):
        yield slice(low, min(low + step, rows))


def open_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an uncompressed npz without pickles; those of a large file stay on the disk.

    Raises OSError, ValueError or zipfile.BadZipFile where the file is absent or damaged.
    """
    if path.stat().st_size <= IN_MEMORY:
        # A file of our own: numpy leaves one that it opened itself open when it is damaged.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return dict(archive)
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        return {info.filename.removesuffix(".npy"): _mapped(file, info) for info in archive.infolist()}


def _mapped(file: Any, member: zipfile.ZipInfo) -> NDArray[Any]:
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{member.filename} is compressed")
    file.seek(member.header_offset + 26)
    name, extra = struct.unpack("<HH", file.read(4))
    file.seek(member.header_offset + _LOCAL_HEADER + name + extra)
    reader = npy.read_array_header_1_0 if npy.read_magic(file) == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = reader(file)
    return np.memmap(file, dtype, "r", file.tell(), shape)
