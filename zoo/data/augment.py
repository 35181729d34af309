"""Batches of images made ready for the model on its device: augmented as a whole, scaled, normalised.

Rotation, shift, zoom, shear and flips of a batch are one `grid_sample` with a matrix per sample. What comes in from outside
the image is 0, black in images before normalisation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.errors import DataError
from zoo.recipe import Augmentation
from zoo.training.randomness import Draws

# One column of draws each, used or not, so that switching one on leaves the others as they were.
COLUMNS = ("rotation", "shift_x", "shift_y", "zoom", "shear", "horizontal_flip", "vertical_flip")


class Preprocess:
    """Turns uint8 (scaled to [0, 1]) or float32 images `(B, C, H, W)` into normalised float32 on the same device.

    `mean` and `std` have one value per channel.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        augmentation: Augmentation | None = None,
        *,
        device: torch.device | str = "cpu",
    ) -> None:
        self.augmentation = augmentation or Augmentation()
        # uint8: (x / 255 - mean) / std as one multiplication and addition; float32 likewise without the 255.
        self._bias = _per_channel([-m / s for m, s in zip(mean, std, strict=True)], device)
        self._scale = {unit: _per_channel([1 / (unit * s) for s in std], device) for unit in (1, 255)}

    def evaluate(self, images: Tensor) -> Tensor:
        """Return the images normalised."""
        return self._normalize(images, _unit(images))

    def train(self, images: Tensor, draws: Draws) -> Tensor:
        """Return the images augmented and normalised, each sample by its own draws.

        Raises DataError for a geometric change of signals, which are one pixel high.
        """
        unit, a = _unit(images), self.augmentation
        warped = any((a.rotation, a.shift, a.zoom, a.shear))
        if not (warped or a.horizontal_flip or a.vertical_flip):
            return self._normalize(images, unit)
        if images.shape[2] == 1:
            raise DataError(
                "signals are one pixel high and cannot be rotated, shifted, zoomed, sheared or flipped",
                hint="take the geometric settings out of augmentation",
            )
        u = draws.uniform("augment", len(COLUMNS))
        images = warp(images.float(), matrices(a, u, images.shape[2:])) if warped else flip(images, a, u)
        return self._normalize(images, unit)

    def _normalize(self, images: Tensor, unit: int) -> Tensor:
        if self._bias.device != images.device:
            self._bias = self._bias.to(images.device)
            self._scale = {key: value.to(images.device) for key, value in self._scale.items()}
        return torch.addcmul(self._bias, images.float(), self._scale[unit])


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


def warp(images: Tensor, matrices: Tensor) -> Tensor:
    """Return float32 images `(B, C, H, W)` sampled bilinearly where the matrices say, and 0 from outside."""
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def flip(images: Tensor, a: Augmentation, u: Tensor) -> Tensor:
    """Return the images mirrored exactly, pixel by pixel, where the draws say so."""
    for column, dimension, on in ((5, 3, a.horizontal_flip), (6, 2, a.vertical_flip)):
        if on:
            images = torch.where((u[:, column] < 0.5)[:, None, None, None], images.flip(dimension), images)
    return images


def _sign(u: Tensor, on: bool) -> Tensor:
    return torch.where(u < 0.5, -1.0, 1.0) if on else torch.ones_like(u)


def _unit(images: Tensor) -> int:
    return 255 if images.dtype == torch.uint8 else 1


def _per_channel(values: Sequence[float], device: torch.device | str) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device).view(1, -1, 1, 1)
