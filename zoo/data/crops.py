"""Random crops: a rectangle enlarged to the image's size, and a window of the padded image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

STREAM = "augment/crop"  # of the draws
TRIES = 10
COLUMNS = 2 * TRIES + 2  # area and aspect of each try, top, left


def boxes(u: Tensor, size: Sequence[int], scale: tuple[float, float], ratio: tuple[float, float]) -> Tensor:
    """Return float32 `(B, 4)` of whole pixels: top, left, height and width of a random rectangle, by draws `(B, 22)`.

    Szegedy et al., "Going deeper with convolutions", CVPR 2015, by the law of torchvision: the share of the area is uniform
    in `scale`, the logarithm of width over height uniform in `ratio`; the first of ten tries that fits is taken, else the
    largest rectangle in the middle with an aspect in `ratio`.
    """
    height, width = size
    tries = u[:, : 2 * TRIES].reshape(-1, TRIES, 2)
    area = height * width * (scale[0] + tries[..., 0] * (scale[1] - scale[0]))
    low, high = math.log(ratio[0]), math.log(ratio[1])
    aspect = torch.exp(low + tries[..., 1] * (high - low))
    sides = torch.stack([torch.sqrt(area / aspect), torch.sqrt(area * aspect)], -1).round()
    whole = torch.tensor([height, width], dtype=torch.float32, device=u.device)
    fits = ((sides > 0) & (sides <= whole)).all(-1)
    first = fits.int().argmax(1)
    taken = sides.gather(1, first[:, None, None].expand(-1, 1, 2))[:, 0]
    place = torch.floor(u[:, 2 * TRIES :] * (whole - taken + 1))
    middle = torch.tensor(_largest(height, width, ratio), dtype=torch.float32, device=u.device)
    return torch.where(fits.any(1, keepdim=True), torch.cat([place, taken], 1), middle)


def within(matrices: Tensor, boxes: Tensor, size: Sequence[int]) -> Tensor:
    """Return the matrices `(B, 2, 3)` for an image that is cropped to its box and resized before it is moved."""
    shape = torch.tensor(size, dtype=torch.float32, device=boxes.device)
    scale = boxes[:, 2:] / shape
    centre = (2 * boxes[:, :2] + boxes[:, 2:]) / shape - 1
    moved = matrices * scale.flip(1)[:, :, None]
    return torch.cat([moved[:, :, :2], moved[:, :, 2:] + centre.flip(1)[:, :, None]], 2)


def pad_and_crop(images: Tensor, padding: int, u: Tensor) -> Tensor:
    """Return the images padded with 0 by so many pixels and cropped back at a random place, by draws `(B, 2)`; exact.

    He et al., "Deep residual learning for image recognition", CVPR 2016, section 4.2.
    """
    height, width = images.shape[2:]
    place = torch.floor(u * (2 * padding + 1)).long()
    windows = F.pad(images, [padding] * 4).unfold(2, height, 1).unfold(3, width, 1)
    return windows[torch.arange(len(images), device=images.device), :, place[:, 0], place[:, 1]]


def _largest(height: int, width: int, ratio: tuple[float, float]) -> list[int]:
    rows = min(height, round(width / ratio[0])) if width / height < ratio[0] else height
    columns = min(width, round(height * ratio[1])) if width / height > ratio[1] else width
    return [(height - rows) // 2, (width - columns) // 2, rows, columns]
