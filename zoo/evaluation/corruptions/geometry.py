"""Changes of place, by the affine map of augmentation: about the centre, in shares of the image, black outside it.

How far is given by the severity alone; which way is drawn.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.augmentation import Augmentation
from zoo.data.geometry import COLUMNS, matrices, warp
from zoo.training.randomness import Draws


def rotate(images: Tensor, degrees: float, draws: Draws) -> Tensor:
    """Return the images turned by so many degrees, clockwise or anticlockwise."""
    return moved(images, Augmentation(rotation=degrees), rotation=_side("rotate", draws))


def scale(images: Tensor, factor: float, draws: Draws) -> Tensor:
    """Return the images shrunk to this share of their size. Nothing is drawn: enlarged, a digit would not fit."""
    return moved(images, Augmentation(zoom=1 - factor), zoom=torch.full_like(images[:, 0, 0, 0], -1))


def shear(images: Tensor, degrees: float, draws: Draws) -> Tensor:
    """Return the images sheared along x, so that what was upright leans by so many degrees, to the left or to the right."""
    return moved(images, Augmentation(shear=degrees), shear=_side("shear", draws))


def translate(images: Tensor, share: float, draws: Draws) -> Tensor:
    """Return the images moved by this share of their sides in some direction."""
    angle = 2 * math.pi * draws.uniform("corruption/translate")[:, 0]
    return moved(images, Augmentation(shift=share), shift_x=torch.cos(angle), shift_y=torch.sin(angle))


def moved(images: Tensor, a: Augmentation, *, clamp: bool = False, **signed: Tensor) -> Tensor:
    """Return float32 images moved as augmentation would, but to where `signed` says, `(B,)` in [-1, 1] by name of a column."""
    u = torch.full((len(images), len(COLUMNS)), 0.5, device=images.device)
    for name, value in signed.items():
        u[:, COLUMNS.index(name)] = (1 + value) / 2
    return warp(images, matrices(a, u, images.shape[2:]), clamp=clamp)


def _side(name: str, draws: Draws) -> Tensor:
    return torch.where(draws.uniform(f"corruption/{name}")[:, 0] < 0.5, -1.0, 1.0)
