from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from fixtures.regularizers import bound
from scipy import stats
from torch import Tensor

from zoo.training.randomness import Draws

SIDE = 40


def erased(count: int = 500, side: int = SIDE, epoch: int = 0, **params: Any) -> Tensor:
    """Return images of sevens after erasing."""
    images, labels = torch.full((count, 2, side, side), 7.0), torch.arange(count)
    got, targets = bound("random-erasing", **params).on_batch(images, labels, Draws(0, epoch, labels))
    assert targets is labels and got.shape == images.shape
    return got


def sides(images: Tensor) -> Tensor:
    """Return (height, width) `(B, 2)` of the box in each image."""
    holes = images[:, 0] != 7
    return torch.stack([holes.any(2).sum(1), holes.any(1).sum(1)], 1).float()


def test_boxes_have_the_areas_and_aspects_that_are_asked_for() -> None:
    images = erased(probability=1.0, smallest=0.1, largest=0.3, aspect=2.0)
    height, width = sides(images).T
    assert torch.equal((images[:, 0] != 7).sum((1, 2)), (height * width).long()), "a box is a rectangle"
    assert torch.equal(images[:, 0], images[:, 1]), "all channels are covered"
    area = height * width / SIDE**2
    # Sides are whole pixels: half a pixel in 9, the shortest side.
    assert 0.09 < area.min() < 0.12 and 0.28 < area.max() < 0.33
    assert float(area.mean()) == pytest.approx(0.2, abs=0.01)
    aspect = (height / width).log()
    assert aspect.abs().max() < math.log(2) + 0.1 and float(aspect.mean()) == pytest.approx(0, abs=0.06)


def test_as_many_images_are_erased_as_the_probability_says() -> None:
    hit = (sides(erased(4000, 8, probability=0.3))[:, 0] > 0).float()
    # Standard deviation: 0.7 %.
    assert float(hit.mean()) == pytest.approx(0.3, abs=0.03)


def test_every_place_is_reached() -> None:
    holes = (erased(2000, 8, probability=1.0)[:, 0] != 7).float().mean(0)
    assert holes.min() > 0.03
    assert float((holes - holes.flip(0)).abs().max()) < 0.05 and float((holes - holes.T).abs().max()) < 0.05


def test_a_box_fills_no_more_than_the_image() -> None:
    assert bool((erased(10, 4, probability=1.0, smallest=1.0, largest=1.0, aspect=1.0) == 0).all())
    height, width = sides(erased(200, 8, probability=1.0, smallest=0.9, largest=1.0, aspect=10.0)).T
    assert height.max() == 8 and width.max() == 8 and height.min() >= 1


def test_the_fill_is_the_mean_colour_or_noise() -> None:
    images = erased(probability=1.0)
    assert images.unique().tolist() == [0, 7]
    noise = erased(200, probability=1.0, fill="noise")
    values = noise[noise != 7]
    assert torch.equal(noise == 7, erased(200, probability=1.0) == 7), "the boxes are the same"
    assert stats.kstest(values[:5000].double().numpy(), "norm").pvalue > 0.001


def test_noise_is_drawn_for_each_pixel_whether_or_not_others_are_seen() -> None:
    noise, mean = (erased(20, probability=1.0, fill=fill) for fill in ("noise", "mean"))
    every = Draws(0, 0, torch.arange(20)).normal("erasing noise", 2 * SIDE * SIDE).view(20, 2, SIDE, SIDE)
    torch.testing.assert_close(noise, torch.where(mean == 7, mean, every))
    assert torch.equal(erased(20, probability=0.01, fill="noise")[:2], erased(2, probability=0.01, fill="noise"))


def test_a_signal_one_pixel_high_loses_a_stretch() -> None:
    signals = torch.full((50, 1, 1, 30), 7.0)
    got, _ = bound("random-erasing", probability=1.0).on_batch(signals, torch.arange(50), Draws(0, 0, torch.arange(50)))
    assert bool((got == 0).any(3).all()) and bool((got == 7).any())


@pytest.mark.parametrize("fill", ["mean", "noise"])
def test_a_sample_has_its_own_box_whatever_its_batch(fill: str) -> None:
    images = torch.full((6, 1, 8, 8), 7.0)
    samples = torch.tensor([9, 3, 27, 1, 4, 5])
    regularizer = bound("random-erasing", probability=0.7, fill=fill)
    whole = regularizer.on_batch(images, samples, Draws(0, 0, samples))[0]
    part = regularizer.on_batch(images[2:4], samples[2:4], Draws(0, 0, samples[2:4]))[0]
    assert torch.equal(whole[2:4], part)
    assert not torch.equal(whole, regularizer.on_batch(images, samples, Draws(0, 1, samples))[0])


def test_erasing_of_nought_returns_the_images() -> None:
    images = torch.rand(2, 1, 4, 4)
    got = bound("random-erasing", probability=0.0).on_batch(images, torch.arange(2), Draws(0, 0, torch.arange(2)))
    assert got[0] is images
