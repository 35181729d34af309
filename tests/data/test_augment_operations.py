"""The operations of policies against torchvision's functional ones, and the laws that draw them."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import AugMix, RandAugment, TrivialAugmentWide, functional

from zoo.data.operations import OPERATIONS, apply, magnitude
from zoo.data.policies import MIX, RAND, WIDE

BILINEAR = functional.InterpolationMode.BILINEAR
NAMES = {
    "identity": "Identity", "shear-x": "ShearX", "shear-y": "ShearY", "translate-x": "TranslateX",
    "translate-y": "TranslateY", "rotate": "Rotate", "brightness": "Brightness", "saturation": "Color",
    "contrast": "Contrast", "sharpness": "Sharpness", "posterize": "Posterize", "solarize": "Solarize",
    "autocontrast": "AutoContrast", "equalize": "Equalize",
}  # fmt: skip
SPACES = {
    "trivial": (WIDE, TrivialAugmentWide, 31),
    "rand": (RAND, RandAugment, 31),
    "augmix": (MIX, AugMix, 10),
}


def pictures(count: int = 5, channels: int = 3, height: int = 40, width: int = 36) -> Tensor:
    """Return smooth uint8 images that differ, none of them with the full range of values."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    number = torch.arange(count * channels).view(count, channels, 1, 1)
    waves = torch.sin(x / (3 + number) + number) * torch.cos(y / 5 + number * 0.7)
    return (waves * 90 + 125).to(torch.uint8)


def theirs(images: Tensor, name: str, strengths: list[float]) -> Tensor:
    """Return the images one by one as torchvision's policies change them, bilinearly."""
    policy = TrivialAugmentWide(interpolation=BILINEAR)
    rows = [
        policy._apply_image_or_video_transform(image, NAMES[name], strength, BILINEAR, {Tensor: 0.0})
        for image, strength in zip(images, strengths, strict=True)
    ]
    return torch.stack(rows)


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_that_of_torchvision_with_a_magnitude_for_each_image(name: str, channels: int) -> None:
    images = pictures(channels=channels)
    level = torch.tensor([0.0, 0.2, 0.5, 0.7, 1.0])
    negative = torch.tensor([False, True, False, True, False])
    ours = magnitude(RAND, name, level, negative, images.shape[2:])
    # torchvision adds 1 to the factors of colour itself, and takes a share of 255 as threshold.
    offset = {"brightness": -1.0, "saturation": -1.0, "contrast": -1.0, "sharpness": -1.0}.get(name, 0.0)
    strengths = ((ours + offset) / (255 if name == "solarize" else 1)).tolist()
    expected, got = theirs(images, name, strengths).int(), OPERATIONS[name](images, ours).int()
    difference = (got - expected).abs()
    moved = name in ("shear-x", "shear-y", "rotate")
    # Greys are not cut to whole numbers on the way here: a level of difference; so it is between two bilinear samplers.
    allowed = 1 if moved or name in ("brightness", "contrast", "saturation", "sharpness") else 0
    # Where the image ends torchvision darkens twice.
    inside = OPERATIONS[name](torch.full_like(images, 255), ours) == 255 if moved else torch.tensor(True)
    assert not ((difference > allowed) & inside).any()
    assert not moved or 0.5 < float(inside.float().mean()) < 1
    assert name in ("autocontrast", "equalize") or not torch.equal(got[4], images[4].int()) or channels == 1


@pytest.mark.parametrize("size", [(40, 36), (224, 96)])
@pytest.mark.parametrize("law", SPACES)
def test_a_space_has_the_operations_and_the_magnitudes_of_torchvision(law: str, size: tuple[int, int]) -> None:
    space, policy, bins = SPACES[law]
    table: dict[str, Any] = policy._PARTIAL_AUGMENTATION_SPACE if law == "augmix" else policy._AUGMENTATION_SPACE
    assert {NAMES[name] for name in space.operations} == set(table)
    for name in space.operations:
        function, signed = table[NAMES[name]]
        expected = function(bins, *size)
        if expected is None:
            continue
        # In float32 half of 32 pixels comes out as 15.999998 there.
        level = torch.arange(bins) / (bins - 1)
        ours = [magnitude(space, name, level, torch.full((bins,), sign), size) for sign in (False, True)]
        expected = (expected.double() + 1e-4).trunc() if name.startswith("translate") else expected.double()
        expected = expected * 255 if name == "solarize" else expected
        if name in ("brightness", "saturation", "contrast", "sharpness"):
            ours = [values - 1 for values in ours]
        torch.testing.assert_close(ours[0].double(), expected, atol=1e-4, rtol=0)
        torch.testing.assert_close(ours[1].double(), -expected if signed else expected, atol=1e-4, rtol=0)


def test_translations_of_the_wide_space_stay_within_small_images() -> None:
    one = torch.ones(1)
    assert float(magnitude(WIDE, "translate-x", one, one < 0, (8, 10))) == 10
    assert float(magnitude(WIDE, "translate-y", one, one < 0, (8, 10))) == 8


def test_each_image_undergoes_its_own_operation_and_the_input_is_left_alone() -> None:
    images = pictures(6)
    kept = images.clone()
    chosen = torch.tensor([RAND.operations.index(n) for n in ("solarize", "identity", "translate-x", "solarize")])
    chosen = torch.cat([chosen, torch.tensor([len(RAND.operations)] * 2)])
    level, negative = torch.tensor([1.0, 1, 0.25, 0, 1, 1]), torch.tensor([False] * 6)
    result = apply(images, RAND, chosen, level, negative)
    assert torch.equal(result[0], 255 - images[0])
    pixels = math.floor(0.25 * 36 * 150 / 331)
    assert torch.equal(result[2, :, :, pixels:], images[2, :, :, :-pixels]) and not result[2, :, :, :pixels].any()
    assert torch.equal(result[[1, 3, 4, 5]], images[[1, 3, 4, 5]])
    assert torch.equal(images, kept)


def test_tiny_images_are_not_sharpened_and_one_colour_is_not_stretched() -> None:
    tiny = pictures(2, 1, 2, 2)
    assert torch.equal(OPERATIONS["sharpness"](tiny, torch.tensor([1.9, 0.1])), tiny)
    flat = torch.full((2, 3, 5, 5), 40, dtype=torch.uint8)
    for name in ("autocontrast", "equalize"):
        assert torch.equal(OPERATIONS[name](flat, torch.ones(2)), flat)


def test_every_operation_of_a_space_has_a_function() -> None:
    names = Counter(name for space, _, _ in SPACES.values() for name in space.operations)
    assert set(names) - {"identity"} == set(OPERATIONS)
    assert len(WIDE.operations) == len(RAND.operations) == 14
