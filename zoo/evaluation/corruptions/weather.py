"""Weather, made of counter-based noise on lattices: no image files. All of it scales with the image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.evaluation.corruptions.blur import side, smeared
from zoo.evaluation.corruptions.noise import WHITE
from zoo.training.randomness import Draws

MIST, DIRT = 225.0, 128.0  # levels of grey
FLAKES = 28  # places of a side where a flake may be
FALL = 0.1  # length of a flake's trace, of the side
SOFT = 0.05  # of the range of the clouds, over which a drop fades


def fog(images: Tensor, thickness: float, draws: Draws) -> Tensor:
    """Return the images behind a light grey veil of uneven thickness, up to this share of it."""
    veil = thickness * (0.5 + 0.5 * clouds("fog", (2, 4, 8, 16), images.shape[2:], draws))
    return images + (MIST - images) * veil


def snow(images: Tensor, density: float, draws: Draws) -> Tensor:
    """Return the images with white flakes, which fall more or less downwards, at this share of 28 × 28 places."""
    u = draws.uniform("corruption/snow", 1 + FLAKES**2)
    places = (u[:, 1:] < density).float().view(-1, 1, FLAKES, FLAKES)
    flakes = F.interpolate(places, tuple(images.shape[2:]), mode="bilinear", align_corners=False)
    length = FALL * side(images)
    traces = smeared(flakes, length, math.pi * (0.3 + 0.4 * u[:, 0]))
    # As light as if a flake had been drawn out without getting thinner.
    return images + (WHITE - images) * (2 * traces).clamp(0, 0.9)


def spatter(images: Tensor, cover: float, draws: Draws) -> Tensor:
    """Return the images with grey drops on this share of their area."""
    field = clouds("spatter", (6, 12), images.shape[2:], draws)
    edge = torch.quantile(field.flatten(1), 1 - cover, dim=1)[:, None, None, None]
    return images + (DIRT - images) * ((field - edge) / SOFT + 0.5).clamp(0, 1)


def clouds(name: str, cells: Sequence[int], size: Sequence[int], draws: Draws) -> Tensor:
    """Return float32 `(B, 1, H, W)` from 0 to 1: the sum of smooth noise with so many cells a side, the finer the fainter."""
    field = torch.zeros(())
    for octave, count in enumerate(cells):
        lattice = draws.uniform(f"corruption/{name}/{octave}", (count + 1) ** 2).view(-1, 1, count + 1, count + 1)
        smooth = F.interpolate(lattice, (size[0], size[1]), mode="bicubic", align_corners=True)
        field = field.to(smooth.device) + smooth * 0.5**octave
    low, high = field.amin((1, 2, 3), keepdim=True), field.amax((1, 2, 3), keepdim=True)
    return (field - low) / (high - low)
