"""Content ids: what a label hangs on, whatever the file is called and wherever it stands."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from zoo.data.dataset import Split
from zoo.data.sources import ArrayImages, Images
from zoo.errors import ImageError

DIGEST = 16  # bytes; two different images share an id with probability below 1e-20 at a billion images


def content_ids(split: Split) -> list[str]:
    """Return one id per sample of the split, in its order.

    An id is the blake2b digest of the file's bytes, or of the array's shape, type and bytes, both as the source has them. An
    exact repeat, in canonical order over the whole source split, gets `#2`, `#3`, ….
    """
    every = image_ids(split.images)
    return [every[sample] for sample in split.samples.tolist()]


def content_digests(split: Split) -> list[str]:
    """Return the digest of each sample of the split, in its order; repeats are not told apart, and nothing else is read."""
    return _digests(split.images, split.samples.tolist())


def image_ids(images: Images) -> list[str]:
    """Return one id per image, in canonical order."""
    digests = _digests(images, range(len(images)))
    seen: dict[str, int] = {}
    ids = []
    for digest in digests:
        seen[digest] = seen.get(digest, 0) + 1
        ids.append(digest if seen[digest] == 1 else f"{digest}#{seen[digest]}")
    return ids


def _digests(images: Images, positions: Iterable[int]) -> list[str]:
    if isinstance(images, ArrayImages):
        kind = f"{images.data.dtype.newbyteorder('<').str}{images.data.shape[1:]}".encode()
        return [blake2b(kind + images.data[i].tobytes(), digest_size=DIGEST).hexdigest() for i in positions]
    return [_file_digest(images.root / images.paths[i]) for i in positions]


def _file_digest(path: Path) -> str:
    try:
        status = path.stat()
        return _digest(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror}") from error


@lru_cache(maxsize=1 << 24)
def _digest(path: Path, size: int, modified: int) -> str:  # size and time are keys of the cache
    return blake2b(path.read_bytes(), digest_size=DIGEST).hexdigest()
