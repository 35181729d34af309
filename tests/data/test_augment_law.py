"""Rotation, shift and scale as they can be seen in the images have the distributions of torchvision's RandomAffine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import ks_2samp
from torch import Tensor
from torchvision.transforms import v2

from zoo.augmentation import Augmentation
from zoo.data.augment import Preprocess
from zoo.training.randomness import Draws

SIDE, COUNT = 80, 1500
ROTATION, SHIFT, ZOOM = 40.0, 0.15, 0.2
MEASURES = ("angle", "shift_x", "shift_y", "scale")
WIDER = 1.15


def marked() -> Tensor:
    """Return a float image `(2, SIDE, SIDE)` with a bright blob in each channel, left and right of the middle."""
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    middle = (SIDE - 1) / 2
    centres = (middle - 12, middle + 12)
    return torch.stack([torch.exp(-((x - c) ** 2 + (y - middle) ** 2) / 6.0) for c in centres])


def measured(images: Tensor) -> dict[str, NDArray[Any]]:
    """Return angle (degrees), shift (px) and scale of each image `(n, 2, SIDE, SIDE)`, by the centres of its blobs."""
    place = torch.arange(SIDE, dtype=torch.float64)
    mass = images.double().clamp_min(0)
    total = mass.sum((2, 3))
    x, y = (mass.sum(2) * place).sum(2) / total, (mass.sum(3) * place).sum(2) / total
    across, down = x[:, 1] - x[:, 0], y[:, 1] - y[:, 0]
    values = (
        torch.rad2deg(torch.atan2(down, across)),
        x.mean(1) - (SIDE - 1) / 2,
        y.mean(1) - (SIDE - 1) / 2,
        torch.hypot(across, down) / 24,
    )
    return {name: value.numpy() for name, value in zip(MEASURES, values, strict=True)}


def ours() -> dict[str, NDArray[Any]]:
    a = Augmentation(rotation=ROTATION, shift=SHIFT, zoom=ZOOM)
    preprocess = Preprocess((0.0, 0.0), (1.0, 1.0), a)
    parts = torch.arange(COUNT).split(500)
    return measured(torch.cat([preprocess.train(marked().expand(len(p), -1, -1, -1), Draws(0, 0, p)) for p in parts]))


def theirs(factor: float = 1.0) -> dict[str, NDArray[Any]]:
    """Return the same of torchvision, with ranges that are so much wider."""
    shift, zoom = factor * SHIFT, factor * ZOOM
    transform = v2.RandomAffine(
        factor * ROTATION, (shift, shift), (1 - zoom, 1 + zoom), interpolation=v2.InterpolationMode.BILINEAR
    )
    state = torch.get_rng_state()
    torch.manual_seed(1)
    images = torch.stack([transform(marked()) for _ in range(COUNT)])
    torch.set_rng_state(state)
    return measured(images)


@pytest.fixture(scope="module")
def samples() -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    return ours(), theirs(), theirs(WIDER)


@pytest.mark.parametrize("measure", MEASURES)
def test_the_distribution_is_that_of_torchvision_and_a_wider_range_is_told_apart(
    samples: tuple[dict[str, NDArray[Any]], ...], measure: str
) -> None:
    own, same, wider = (sample[measure] for sample in samples)
    assert ks_2samp(own, same).pvalue > 0.01
    assert ks_2samp(own, wider).pvalue < 0.01


def test_what_is_measured_is_what_was_done(samples: tuple[dict[str, NDArray[Any]], ...]) -> None:
    own = samples[0]
    u = Draws(0, 0, torch.arange(COUNT)).uniform("augment", 7).double().numpy() * 2 - 1
    expected = (ROTATION * u[:, 0], SHIFT * SIDE * u[:, 1], SHIFT * SIDE * u[:, 2], 1 + ZOOM * u[:, 3])
    for measure, values, tolerance in zip(MEASURES, expected, (0.5, 0.2, 0.2, 0.01), strict=True):
        assert np.abs(own[measure] - values).max() < tolerance
