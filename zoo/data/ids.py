"""Content ids: what a label hangs on, whatever the file is called and wherever it stands."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from hashlib import blake2b

from zoo.data import contents
from zoo.data.contents import DIGEST
from zoo.data.dataset import Split
from zoo.data.sources import ArrayImages, Images


def content_ids(split: Split) -> list[str]:
    """Return one id per sample of the split, in its order.

    An id is the blake2b digest of the file's bytes, or of the array's shape, type and bytes, both as the source has them. An
    exact repeat, in canonical order over the whole source split, gets `#2`, `#3`, ….
    """
    every = image_ids(split.images)
    return [every[sample] for sample in split.samples.tolist()]


def content_digests(split: Split) -> Generator[int, None, list[str]]:
    """Return the digest of each sample of the split, in its order; repeats are not told apart, and nothing else is read.

    Yields how many are known so far, as files are read.
    """
    return _digests(split.images, split.samples.tolist())


def image_ids(images: Images) -> list[str]:
    """Return one id per image, in canonical order."""
    seen: dict[str, int] = {}
    ids = []
    for digest in finished(_digests(images, range(len(images)))):
        seen[digest] = seen.get(digest, 0) + 1
        ids.append(digest if seen[digest] == 1 else f"{digest}#{seen[digest]}")
    return ids


def _digests(images: Images, positions: Sequence[int]) -> Generator[int, None, list[str]]:
    if isinstance(images, ArrayImages):
        kind = f"{images.data.dtype.newbyteorder('<').str}{images.data.shape[1:]}".encode()
        return [blake2b(kind + images.data[i].tobytes(), digest_size=DIGEST).hexdigest() for i in positions]
    digests = yield from contents.read(images, positions)
    return [digest.tobytes().hex() for digest in digests]


def finished(steps: Generator[int, None, list[str]]) -> list[str]:
    """Return what `content_digests` returns, without its progress."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            digests: list[str] = end.value
            return digests
