from __future__ import annotations

import hashlib
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from zoo.augmentation import Augmentation, ResizedCrop
from zoo.data.augment import Preprocess
from zoo.data.geometry import COLUMNS, matrices, warp
from zoo.errors import DataError
from zoo.training.randomness import Draws

ALL = Augmentation(rotation=20, shift=0.2, zoom=0.2, shear=10, horizontal_flip=True, vertical_flip=True)
IMAGES = torch.arange(6 * 2 * 9 * 15).remainder(256).to(torch.uint8).view(6, 2, 9, 15)
MEAN, STD = (0.2, 0.5), (0.3, 0.25)


def draws(count: int = 6) -> Draws:
    return Draws(0, 0, torch.arange(count))


def drawn(**values: float) -> Tensor:
    """Return draws `(1, 7)` that give each change the share -1 … 1 of its range named here, and no flip."""
    return torch.tensor(
        [[(values.get(name, 0.0) + 1) / 2 if "flip" not in name else values.get(name, 0.9) for name in COLUMNS]]
    )


def smooth(height: int, width: int) -> Tensor:
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (torch.sin(x / 3) * torch.cos(y / 4) * 100 + 120)[None, None]


def test_evaluation_scales_and_normalises() -> None:
    preprocess = Preprocess(MEAN, STD, ALL)
    mean, std = (torch.tensor(values).view(1, 2, 1, 1) for values in (MEAN, STD))
    torch.testing.assert_close(preprocess.evaluate(IMAGES), (IMAGES / 255 - mean) / std)
    floats = IMAGES.float() - 100
    torch.testing.assert_close(preprocess.evaluate(floats), (floats - mean) / std)
    assert preprocess.evaluate(IMAGES).dtype == torch.float32


def test_without_augmentation_training_is_evaluation_bit_for_bit() -> None:
    preprocess = Preprocess(MEAN, STD, Augmentation())
    assert torch.equal(preprocess.train(IMAGES, draws()), preprocess.evaluate(IMAGES))


def test_draws_at_their_middle_change_nothing() -> None:
    images = smooth(9, 15)
    torch.testing.assert_close(warp(images, matrices(ALL, drawn(), (9, 15))), images, atol=1e-3, rtol=0)


@pytest.mark.parametrize("size", [(24, 24), (20, 36), (36, 20)])
@pytest.mark.parametrize(
    "values", [{"rotation": 1}, {"rotation": -0.4}, {"zoom": 0.9}, {"shear": 1}, {"shift_x": 1, "shift_y": -0.5}, None]
)
def test_an_affine_change_is_that_of_torchvision_on_oblong_images_too(
    size: tuple[int, int], values: dict[str, float] | None
) -> None:
    values = (
        values if values is not None else {"rotation": 0.7, "zoom": -0.5, "shear": 0.8, "shift_x": 0.4, "shift_y": 0.3}
    )
    height, width = size
    images = smooth(height, width)
    ours = warp(images, matrices(ALL, drawn(**values), size))
    theirs = functional.affine(
        images,
        angle=20 * values.get("rotation", 0),
        translate=[values.get("shift_x", 0) * 0.2 * width, values.get("shift_y", 0) * 0.2 * height],
        scale=1 + 0.2 * values.get("zoom", 0),
        shear=[10 * values.get("shear", 0), 0.0],
        interpolation=functional.InterpolationMode.BILINEAR,
    )
    inside = (slice(None), slice(None), slice(height // 4, -(height // 4)), slice(width // 4, -(width // 4)))
    torch.testing.assert_close(ours[inside], theirs[inside], atol=0.2, rtol=0)


def test_a_quarter_turn_and_a_shift_move_every_pixel_where_it_belongs() -> None:
    images = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    turned = warp(images, matrices(Augmentation(rotation=90), drawn(rotation=1), (8, 8)))
    torch.testing.assert_close(turned, torch.rot90(images, -1, (2, 3)), atol=1e-5, rtol=0)
    shifted = warp(images, matrices(Augmentation(shift=0.25), drawn(shift_x=1, shift_y=-1), (8, 8)))
    expected = torch.zeros_like(images)
    expected[..., :6, 2:] = images[..., 2:, :6]
    torch.testing.assert_close(shifted, expected, atol=1e-5, rtol=0)


def test_what_comes_in_from_outside_is_black_before_normalisation() -> None:
    preprocess = Preprocess(MEAN, STD, Augmentation(shift=1.0))
    white = torch.full((64, 2, 8, 8), 255, dtype=torch.uint8)
    result = preprocess.train(white, draws(64))
    black = torch.tensor([-m / s for m, s in zip(MEAN, STD, strict=True)])
    torch.testing.assert_close(result.amin((0, 2, 3)), black)


def test_flips_alone_are_exact_and_happen_half_of_the_time() -> None:
    images = torch.randint(0, 256, (2000, 1, 4, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    preprocess = Preprocess((0.0,), (1.0,), Augmentation(horizontal_flip=True))
    result, plain = preprocess.train(images, draws(2000)), preprocess.evaluate(images)
    flipped = (result == plain.flip(3)).all(3).all(2).all(1)
    assert ((result == plain).all(3).all(2).all(1) | flipped).all()
    assert 900 < int(flipped.sum()) < 1100


def test_a_flip_within_a_warp_is_the_flip_alone() -> None:
    both = Augmentation(rotation=1e-6, horizontal_flip=True, vertical_flip=True)
    alone = Augmentation(horizontal_flip=True, vertical_flip=True)
    first, second = (Preprocess(MEAN, STD, a).train(IMAGES, draws()) for a in (both, alone))
    torch.testing.assert_close(first, second, atol=1e-3, rtol=0)


def test_augmentation_is_a_function_of_seed_epoch_and_sample() -> None:
    preprocess = Preprocess(MEAN, STD, ALL)
    result = preprocess.train(IMAGES, draws())
    assert torch.equal(result, preprocess.train(IMAGES, draws()))
    order = torch.tensor([3, 0, 5])
    torch.testing.assert_close(preprocess.train(IMAGES[order], Draws(0, 0, order)), result[order])
    for other in (Draws(1, 0, torch.arange(6)), Draws(0, 1, torch.arange(6)), Draws(0, 0, torch.arange(1, 7))):
        assert not torch.allclose(preprocess.train(IMAGES, other), result)


def test_draws_cover_their_range() -> None:
    u = Draws(0, 0, torch.arange(4000)).uniform("augment", len(COLUMNS))
    theta = matrices(Augmentation(rotation=30), u, (10, 20))
    angles = torch.rad2deg(torch.atan2(-theta[:, 1, 0] * 10 / 20, theta[:, 0, 0]))
    assert -30 <= float(angles.min()) < -29.5 and 29.5 < float(angles.max()) <= 30
    assert abs(float(angles.mean())) < 1
    assert float(angles.std()) == pytest.approx(60 / math.sqrt(12), rel=0.05)


def test_nothing_global_is_drawn_and_the_input_is_left_alone() -> None:
    before, images = torch.get_rng_state(), IMAGES.float()
    kept = images.clone()
    Preprocess(MEAN, STD, ALL).train(images, draws())
    Preprocess(MEAN, STD).evaluate(images)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(kept, images)


@pytest.mark.parametrize("name", ["rotation", "shift", "zoom", "shear", "horizontal_flip", "vertical_flip"])
def test_signals_refuse_geometric_changes(name: str) -> None:
    value = True if "flip" in name else 0.1
    signals = torch.zeros(3, 1, 1, 50)
    with pytest.raises(DataError, match="signals are one pixel high"):
        Preprocess((0.0,), (1.0,), Augmentation(**{name: value})).train(signals, draws(3))
    assert Preprocess((0.0,), (1.0,)).train(signals, draws(3)).shape == signals.shape


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize(
    ("a", "digest"),
    [
        (ALL, "88af53e9715bcdff"),
        (Augmentation(rotation=15), "c58e313d727adda5"),
        (Augmentation(horizontal_flip=True), "63081c2f2f071d09"),
        (Augmentation(shift=0.1, zoom=0.1), "6584065f8a93253c"),
        (Augmentation(), "38e8dd0db343c800"),
    ],
)
def test_the_law_of_affine_changes_and_flips_stays_as_it_was(a: Augmentation, digest: str, dtype: torch.dtype) -> None:
    """Digests of the values rounded to 0.02; processors differ in the last bits of sines."""
    images = IMAGES if dtype == torch.uint8 else IMAGES.float() / 255
    values = Preprocess(MEAN, STD, a).train(images, Draws(3, 2, torch.arange(6)))
    rounded = (values * 50).round().to(torch.int32).numpy().tobytes()
    assert hashlib.sha256(rounded).hexdigest()[:16] == digest


def test_erasing_fills_rectangles_with_the_mean_as_often_as_asked() -> None:
    images = torch.full((2000, 2, 12, 10), 250, dtype=torch.uint8)
    result = Preprocess(MEAN, STD, Augmentation(erasing=0.3)).train(images, draws(2000))
    plain = Preprocess(MEAN, STD).evaluate(images)
    erased = (result - plain).abs() > 1e-4
    assert float(result[erased].abs().max()) < 1e-5
    assert torch.equal(erased[:, 0], erased[:, 1])
    share = float(erased.flatten(1).any(1).float().mean())
    assert share == pytest.approx(0.3, abs=0.03)
    floats = torch.full((50, 2, 1, 30), 7.0)
    signals = Preprocess(MEAN, STD, Augmentation(erasing=1.0)).augment(floats, draws(50))
    assert signals[:, 0].unique().tolist() == pytest.approx([0.2, 7.0])


@pytest.mark.parametrize(
    "more", [{"erasing": 1.0}, {"padding_crop": 2}, {"random_resized_crop": ResizedCrop()}, {"contrast": 0.5}]
)
def test_switching_a_change_on_leaves_the_draws_of_the_others_as_they_were(more: dict[str, Any]) -> None:
    """Images of one grey: brightness alone decides how bright they are where they are not black."""
    grey = torch.full((6, 2, 9, 15), 100, dtype=torch.uint8)
    alone = Preprocess((0.0, 0.0), STD, Augmentation(brightness=0.5)).augment(grey, draws())
    both = Preprocess((0.0, 0.0), STD, Augmentation(brightness=0.5, **more)).augment(grey, draws())
    torch.testing.assert_close(both.amax((1, 2, 3)), alone.amax((1, 2, 3)))
