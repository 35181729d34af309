"""Every durable write: a temporary file in the same folder, fsync, rename, fsync of the folder.

A reader therefore sees the old content or the new one, never a part, whatever ends the process or the machine.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import platformdirs

from zoo.errors import RunError, StorageError

_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        if error.errno in _REFUSED:
            raise RunError(f"cannot write {path}: {reason}", hint="choose another place with --run DIR") from error
        if error.errno in {errno.EEXIST, errno.ENOTDIR, errno.EISDIR}:
            raise RunError(f"cannot write {path}: {reason}", hint="choose another name with --run DIR") from error
        raise StorageError(
            f"cannot write {path}: {reason}",
            possible="what was saved before is intact",
            hint="free some space, then resume",
        ) from error


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open folders for fsync
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def make_folder(path: Path) -> None:
    """Create a folder and its parents; an existing one is fine."""
    with _translated(path):
        path.mkdir(parents=True, exist_ok=True)


def claim_folder(path: Path) -> bool:
    """Create a folder and its parents, and return whether it was not there before."""
    with _translated(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.mkdir()
        except FileExistsError:
            if not path.is_dir():
                raise
            return False
    return True


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` when the block ends without an error, whole or not at all."""
    with _translated(path):
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
            _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Put `data` in place of the file's content, whole or not at all."""
    with replacing(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Put UTF-8 `text` in place of the file's content."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Put a JSON document in place of the file's content; NaN and infinities are refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def append_line(path: Path, text: str) -> int:
    """Append one line durably and return the file's new length in bytes."""
    return append_bytes(path, text.encode() + b"\n")


def append_bytes(path: Path, data: bytes) -> int:
    """Append bytes durably and return the file's new length."""
    with _translated(path), path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        return file.tell()


def cut(path: Path, length: int) -> None:
    """Cut a file back to `length` bytes; an absent file counts as empty."""
    with _translated(path):
        path.touch()
        if path.stat().st_size < length:
            raise RunError(f"{path} has lost its end: {path.stat().st_size:,} of {length:,} bytes are there")
        with path.open("r+b") as file:
            file.truncate(length)
            os.fsync(file.fileno())


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Create folder `path` with these files, whole or not at all; an existing one is replaced."""
    with _translated(path):
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
        try:
            temporary.chmod(0o777 & ~_umask())
            for name, data in files.items():
                _write_synced(temporary / name, data)
            _sync_folder(temporary)
            if path.exists():
                shutil.rmtree(path)
            temporary.rename(path)
            _sync_folder(path.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def move(source: Path, target: Path) -> None:
    """Put a file, whose content is durable, in the place of another in the same folder."""
    with _translated(target):
        source.replace(target)
        _sync_folder(target.parent)


def cache_folder(name: str) -> Path:
    """Return where what can be computed anew is kept, by its kind: in `ZOO_CACHE`, or in the user's cache folder."""
    return Path(os.environ.get("ZOO_CACHE") or platformdirs.user_cache_path("zoo")) / name


def remove_folder(path: Path) -> None:
    """Remove a folder and everything in it; an absent one is fine."""
    shutil.rmtree(path, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
