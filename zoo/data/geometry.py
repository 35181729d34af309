"""Images moved: rotation, shift, zoom, shear, flips and resized crops as one affine map per sample.

What comes in from outside the image is 0, black in images before normalisation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.augmentation import Augmentation
from zoo.data import crops
from zoo.training.randomness import Draws

# One column of draws each, used or not, so that switching one on leaves the others as they were.
COLUMNS = ("rotation", "shift_x", "shift_y", "zoom", "shear", "horizontal_flip", "vertical_flip")


def move(images: Tensor, a: Augmentation, draws: Draws) -> Tensor:
    """Return the images moved, float32 where they are sampled between pixels, else in their own type."""
    if a.padding_crop:
        images = crops.pad_and_crop(images, a.padding_crop, draws.uniform("augment/padding", 2))
    if not (a.warps or a.horizontal_flip or a.vertical_flip):
        return images
    u = draws.uniform("augment", len(COLUMNS))
    if not a.warps:
        return flip(images, a, u)
    theta = matrices(a, u, images.shape[2:])
    crop = a.random_resized_crop
    if crop is not None:
        drawn = draws.uniform(crops.STREAM, crops.COLUMNS)
        theta = crops.within(theta, crops.boxes(drawn, images.shape[2:], crop.scale, crop.ratio), images.shape[2:])
    return warp(images.float(), theta, clamp=crop is not None)


def matrices(a: Augmentation, u: Tensor, size: Sequence[int]) -> Tensor:
    """Return float32 `(B, 2, 3)` that `affine_grid` takes: where each pixel of the result comes from.

    `u` is `(B, 7)` in [0, 1), by `COLUMNS`. An image is flipped, zoomed, sheared along x, rotated, then shifted, all about its
    centre and in pixels, so that a rotation of an oblong image keeps right angles; the matrix is the inverse of that. Positive angles turn clockwise.
    """
    height, width = size
    signed = 2 * u - 1
    angle = signed[:, 0] * math.radians(a.rotation)
    slope = torch.tan(signed[:, 4] * math.radians(a.shear))
    zoom = 1 + signed[:, 3] * a.zoom
    flip_x = _sign(u[:, 5], a.horizontal_flip) / zoom
    flip_y = _sign(u[:, 6], a.vertical_flip) / zoom
    cos, sin = torch.cos(angle), torch.sin(angle)
    xx, xy = (cos - slope * sin) * flip_x, (sin + slope * cos) * flip_x
    yx, yy = -sin * flip_y, cos * flip_y
    # affine_grid measures from the centre in half widths and half heights; so do shifts: a share of the side is twice that.
    shift_x, shift_y = signed[:, 1] * 2 * a.shift, signed[:, 2] * 2 * a.shift
    xy, yx = xy * (height / width), yx * (width / height)
    rows = [xx, xy, -(xx * shift_x + xy * shift_y), yx, yy, -(yx * shift_x + yy * shift_y)]
    return torch.stack(rows, 1).view(-1, 2, 3)


def warp(images: Tensor, matrices: Tensor, *, clamp: bool = False) -> Tensor:
    """Return float32 images `(B, C, H, W)` sampled bilinearly where the matrices say, and 0 from outside.

    With `clamp` the outermost half pixel does not fade into the outside; enlarged, it would be a dark frame.
    """
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
    if clamp:
        height, width = images.shape[2:]
        limit = torch.tensor([1 - 1 / width, 1 - 1 / height], device=images.device)
        grid = torch.where(grid.abs() <= 1, torch.clamp(grid, -limit, limit), grid)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def flip(images: Tensor, a: Augmentation, u: Tensor) -> Tensor:
    """Return the images mirrored exactly, pixel by pixel, where the draws say so."""
    for column, dimension, on in ((5, 3, a.horizontal_flip), (6, 2, a.vertical_flip)):
        if on:
            images = torch.where((u[:, column] < 0.5)[:, None, None, None], images.flip(dimension), images)
    return images


def _sign(u: Tensor, on: bool) -> Tensor:
    return torch.where(u < 0.5, -1.0, 1.0) if on else torch.ones_like(u)
