from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from zoo.augmentation import Augmentation
from zoo.data import color
from zoo.data.augment import Preprocess
from zoo.training.randomness import Draws

STRENGTHS = {"brightness": 0.4, "contrast": 0.5, "saturation": 0.9}


def images(count: int = 12, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, channels, 7, 9), dtype=torch.uint8, generator=generator)


def draws(count: int = 12) -> Draws:
    return Draws(0, 0, torch.arange(count))


def augmented(a: Augmentation, whole: Tensor) -> Tensor:
    channels = whole.shape[1]
    return Preprocess((0.0,) * channels, (1.0,) * channels, a).train(whole, draws(len(whole)))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", STRENGTHS)
def test_a_change_of_colour_is_that_of_torchvision_by_the_factor_drawn(name: str, channels: int) -> None:
    whole = images(channels=channels)
    u = draws().uniform("augment/color", 3)[:, list(STRENGTHS).index(name)]
    factors = (1 + (2 * u - 1) * STRENGTHS[name]).tolist()
    change = getattr(functional, f"adjust_{name}")
    expected = torch.stack([change(image / 255, factor) for image, factor in zip(whole, factors, strict=True)])
    torch.testing.assert_close(augmented(Augmentation(**{name: STRENGTHS[name]}), whole), expected)


def test_the_three_follow_one_another_and_each_keeps_its_draw() -> None:
    whole = images().float()
    u = 2 * draws().uniform("augment/color", 3) - 1
    expected = color.brightness(whole, 1 + u[:, 0] * 0.3, 255)
    expected = color.saturation(expected, 1 + u[:, 2] * 0.5, 255) / 255
    torch.testing.assert_close(augmented(Augmentation(brightness=0.3, saturation=0.5), images()), expected)


def test_factors_cover_their_range() -> None:
    """On a grey of 100 the result is the factor; in 8 bits nothing rises above white."""
    whole = torch.full((4000, 1, 2, 2), 100, dtype=torch.uint8)
    factors = augmented(Augmentation(brightness=0.4), whole)[:, 0, 0, 0] * 2.55
    assert 0.6 <= float(factors.min()) < 0.605 and 1.395 < float(factors.max()) <= 1.4
    assert float(factors.mean()) == pytest.approx(1.0, abs=0.01)
    assert float(augmented(Augmentation(brightness=1.0), images()).max()) <= 1


def test_grey_images_have_no_saturation_and_float_arrays_no_bounds() -> None:
    grey = images(channels=1)
    assert torch.equal(augmented(Augmentation(saturation=1.0), grey), augmented(Augmentation(), grey))
    arrays = torch.linspace(-50, 900, 12 * 8).view(12, 1, 1, 8)
    factors = 1 + (2 * draws().uniform("augment/color", 3)[:, 0] - 1) * 0.5
    torch.testing.assert_close(augmented(Augmentation(brightness=0.5), arrays), arrays * factors[:, None, None, None])


def test_a_grey_image_in_three_channels_stays_grey() -> None:
    grey = images(channels=1).expand(-1, 3, -1, -1)
    changed = augmented(Augmentation(brightness=0.3, contrast=0.5, saturation=0.9), grey)
    assert float((changed - changed.mean(1, keepdim=True)).abs().max()) < 2e-4
