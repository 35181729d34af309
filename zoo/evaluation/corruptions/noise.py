"""Noise of the sensor: normal, Poisson, and dead or stuck pixels. Each value of a colour image has a draw of its own."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from zoo.training.randomness import Draws

WHITE = 255.0
LEVELS = 256
BITS = 24  # of a draw


def gaussian_noise(images: Tensor, deviation: float, draws: Draws) -> Tensor:
    """Return the images plus normal noise of this standard deviation, in shares of white."""
    drawn = draws.normal("corruption/gaussian_noise", images[0].numel()).view_as(images)
    return images + WHITE * deviation * drawn


def shot_noise(images: Tensor, photons: float, draws: Draws) -> Tensor:
    """Return Poisson counts of light, in levels: a white pixel receives so many photons on average.

    The counts are quantiles of the distribution function, found by whole numbers: the same bits on every device.
    """
    steps = _steps(photons).to(images.device)
    level = images.long()
    drawn = (draws.uniform("corruption/shot_noise", images[0].numel()) * 2.0**BITS).long().view_as(level)
    counts = torch.searchsorted(steps, (level << BITS) + drawn, right=True) - level * (len(steps) // LEVELS)
    return counts * (WHITE / photons)


def impulse_noise(images: Tensor, share: float, draws: Draws) -> Tensor:
    """Return the images with this share of their values black or white, one as likely as the other."""
    drawn = draws.uniform("corruption/impulse_noise", images[0].numel()).view_as(images)
    # The lowest bit of a draw says which, so that a value is the same at every share that reaches it.
    white = (drawn * 2.0**BITS) % 2 * WHITE
    return torch.where(drawn < share, white, images)


@cache
def _steps(photons: float) -> Tensor:
    """Return int64 `(256 · K,)`, rising: for each level the distribution function at 0 … K-1 photons, after the level itself.

    In units of 2⁻²⁴.
    """
    count = math.ceil(photons + 8 * math.sqrt(photons) + 8)
    mean = torch.arange(LEVELS, dtype=torch.float64)[:, None] * (photons / WHITE)
    at_most = torch.special.gammaincc(torch.arange(1, count + 1, dtype=torch.float64).expand(LEVELS, -1), mean)
    whole = (at_most * 2.0**BITS).round().long()
    steps: Tensor = whole + (torch.arange(LEVELS)[:, None] << BITS)
    return steps.flatten()
