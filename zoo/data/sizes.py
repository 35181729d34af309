"""Which size images get, and arrays brought to it."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from zoo.data.sources import FileImages, Images
from zoo.errors import DataError

Size = tuple[int, int]
DEFAULT = 64  # pixels per side of image files for an architecture without a preference
CHUNK = 1024


def choose_size(
    images: Images, asked: int | Literal["auto"], *, min_size: int, preferred_size: int | None, architecture: str
) -> tuple[Size, str]:
    """Return (height, width) and, in words, why.

    Raises DataError for a size below the architecture's minimum, and for any change of the size of signals.
    """
    needs = f"architecture {architecture!r} needs at least {min_size} px"
    if not isinstance(images, FileImages) and images.size[0] == 1:
        return _signal(images.size, asked, min_size, needs)
    if asked != "auto":
        if asked < min_size:
            raise DataError(
                f"image size {asked} px is too small: {needs}",
                possible=f"{min_size} … 4096",
                hint=f"data.image_size={min_size}",
            )
        return (asked, asked), f"images of {asked}×{asked} px, as asked"
    if isinstance(images, FileImages):
        size, why = (
            (preferred_size, f"the preferred size of {architecture}")
            if preferred_size
            else (DEFAULT, "the default for files")
        )
        if size < min_size:
            size, why = min_size, f"the minimum of {architecture}"
        return (size, size), f"images of {size}×{size} px, {why}"
    height, width = images.size
    if min(height, width) >= min_size:
        return (height, width), f"images of {height}×{width} px, their own size"
    scale = min_size / min(height, width)
    raised = (max(min_size, round(height * scale)), max(min_size, round(width * scale)))
    return (
        raised,
        f"images of {raised[0]}×{raised[1]} px, raised from {height}×{width} to the minimum of {architecture}",
    )


def _signal(size: Size, asked: int | Literal["auto"], min_size: int, needs: str) -> tuple[Size, str]:
    if asked != "auto":
        raise DataError(
            f"image size {asked} does not apply to signals, which are one pixel high", hint="data.image_size=auto"
        )
    if min_size > 1:
        raise DataError(f"{needs}, and signals are one pixel high", possible="an architecture with minimum size 1")
    return size, f"signals of {size[1]} values"


def resize(images: NDArray[Any], size: Size) -> NDArray[Any]:
    """Return arrays `(n, C, H, W)` at another size: scaled to cover it, antialiased bilinear, then the centre."""
    height, width = images.shape[2:]
    scale = max(size[0] / height, size[1] / width)
    cover = (max(size[0], round(height * scale)), max(size[1], round(width * scale)))
    top, left = (cover[0] - size[0]) // 2, (cover[1] - size[1]) // 2
    result = np.empty((*images.shape[:2], *size), dtype=images.dtype)
    for start in range(0, len(images), CHUNK):
        chunk = torch.from_numpy(images[start : start + CHUNK]).float()
        scaled = F.interpolate(chunk, size=cover, mode="bilinear", antialias=True)
        if images.dtype == np.uint8:
            scaled = scaled.round_().clamp_(0, 255)
        result[start : start + CHUNK] = scaled[:, :, top : top + size[0], left : left + size[1]].numpy()
    return result
