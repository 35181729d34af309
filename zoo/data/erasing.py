"""Random rectangles of images: where erasing fills, for augmentation and for regularizers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

COLUMNS = 4  # area, aspect, top, left

AREA = (0.02, 0.33)
ASPECT = (0.3, 3.3)


def rectangles(
    u: Tensor, size: Sequence[int], area: tuple[float, float] = AREA, aspect: tuple[float, float] = ASPECT
) -> Tensor:
    """Return bool `(B, 1, H, W)`, true inside one rectangle per sample, by draws `(B, 4)` in [0, 1).

    Its share of the image is uniform in `area`, the logarithm of its height over its width uniform in `aspect`, its place
    uniform among those inside the image; sides are whole pixels. After Zhong et al., "Random erasing data augmentation",
    AAAI 2020, who draw anew what does not fit; here the aspect is drawn from those that fit, so that one draw is enough.
    """
    height, width = size
    share = area[0] + u[:, 0] * (area[1] - area[0])
    tallest, widest = torch.log(height / (share * width)), torch.log(share * height / width)
    low, high = (torch.clamp(math.log(limit) * torch.ones_like(share), widest, tallest) for limit in aspect)
    ratio = torch.exp(low + u[:, 1] * (high - low))
    rows = torch.sqrt(share * height * width * ratio).round().clamp(1, height)
    columns = torch.sqrt(share * height * width / ratio).round().clamp(1, width)
    inside_y = _between(torch.floor(u[:, 2] * (height - rows + 1)), rows, height)
    inside_x = _between(torch.floor(u[:, 3] * (width - columns + 1)), columns, width)
    return (inside_y[:, :, None] & inside_x[:, None, :])[:, None]


def _between(start: Tensor, length: Tensor, size: int) -> Tensor:
    """Return bool `(B, size)`, true from `start` on for `length` pixels."""
    place = torch.arange(size, device=start.device)
    return (place >= start[:, None]) & (place < (start + length)[:, None])
