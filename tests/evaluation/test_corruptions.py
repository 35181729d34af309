"""Each corruption against what can be computed by hand or by another library, and the law that draws them."""

from __future__ import annotations

import io
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage, stats
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F

from zoo.augmentation import Augmentation
from zoo.errors import DataError, UnknownNameError, ZooError
from zoo.evaluation import corruptions
from zoo.evaluation.corruptions import CORRUPTIONS, SEVERITIES, applicable, blur, corrupt, digital, geometry, weather
from zoo.training.randomness import Draws

GEOMETRIC = ("rotate", "scale", "shear", "translate")
UNDRAWN = ("gaussian_blur", "zoom_blur", "brightness", "contrast", "scale", "pixelate", "jpeg")
SIGNALS = ("gaussian_noise", "impulse_noise", "gaussian_blur", "motion_blur", "brightness", "contrast", "pixelate")


def digits(count: int = 12, size: int = 28, channels: int = 1) -> Tensor:
    """Return uint8 real digits enlarged to `size`; with three channels on coloured grounds that are not black."""
    small = torch.from_numpy(load_digits().images[:count]).float()[:, None] * (255 / 16)
    large = F.interpolate(small, (size, size), mode="bilinear").round().byte()
    if channels == 1:
        return large
    ground = torch.tensor([40, 90, 140], dtype=torch.uint8)[:, None, None]
    return torch.maximum(large // torch.tensor([1, 2, 3], dtype=torch.uint8)[:, None, None], ground)


def plain(level: int, count: int = 8, size: int = 64) -> Tensor:
    return torch.full((count, 1, size, size), level, dtype=torch.uint8)


def rows(images: Tensor) -> Tensor:
    return torch.arange(len(images))


def draws(count: int) -> Draws:
    return Draws(0, 0, torch.arange(count))


def changed(images: Tensor, name: str, severity: int, seed: int = 0) -> Tensor:
    return corrupt(images, name, severity, rows(images), seed)


def centre(images: Tensor) -> Tensor:
    """Return `(B, 2)`, the centres of gravity (x, y) in pixels."""
    mass = images.double().sum(1)
    y, x = (torch.arange(n, dtype=torch.float64) for n in mass.shape[1:])
    total = mass.sum((1, 2))
    return torch.stack([(mass.sum(1) * x).sum(1) / total, (mass.sum(2) * y).sum(1) / total], 1)


@pytest.mark.parametrize(("size", "channels"), [(28, 1), (64, 3)])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_images_change_more_with_every_severity(name: str, size: int, channels: int) -> None:
    images = digits(size=size, channels=channels)
    kept = images.clone()
    distances = []
    for severity in SEVERITIES:
        result = changed(images, name, severity)
        assert result.dtype == torch.uint8 and result.shape == images.shape
        distances.append(float((result.float() - images.float()).abs().mean()))
    assert distances == sorted(set(distances)) and distances[0] > 0.4
    assert torch.equal(images, kept)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_sample_looks_the_same_in_any_batch_and_order(name: str) -> None:
    images, samples = digits(17), torch.arange(17) * 31 + 5
    whole = corrupt(images, name, 4, samples)
    place = torch.randperm(17, generator=torch.Generator().manual_seed(1))
    assert torch.equal(corrupt(images[place], name, 4, samples[place]), whole[place])
    parts = [corrupt(images[a:b], name, 4, samples[a:b]) for a, b in ((0, 1), (1, 4), (4, 17))]
    assert torch.equal(torch.cat(parts), whole)
    assert torch.equal(corrupt(images, name, 4, samples), whole)


def test_nor_does_it_matter_how_many_are_corrupted_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    images = digits(7, channels=3)
    whole = [changed(images, name, 3) for name in CORRUPTIONS]
    monkeypatch.setattr(corruptions, "CHUNK", 2 * images[0].numel())
    assert all(torch.equal(changed(images, name, 3), one) for name, one in zip(CORRUPTIONS, whole, strict=True))


@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name not in UNDRAWN])
def test_another_seed_and_another_sample_look_another_way(name: str) -> None:
    one = digits(1).expand(9, 1, 28, 28)
    first, other = changed(one, name, 5), changed(one, name, 5, seed=1)
    assert not torch.equal(first, other)
    assert any(not torch.equal(first[0], row) for row in first[1:])


def test_the_callers_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    for name in CORRUPTIONS:
        changed(digits(2), name, 2)
    assert torch.equal(torch.get_rng_state(), before)


def test_gaussian_noise_has_its_deviation_about_the_image() -> None:
    for severity, share in zip((1, 2), CORRUPTIONS["gaussian_noise"].strengths, strict=False):
        noise = changed(plain(128), "gaussian_noise", severity).double() - 128
        assert float(noise.mean()) == pytest.approx(0, abs=0.5)
        assert float(noise.std()) == pytest.approx(255 * share, rel=0.02)


def test_shot_noise_is_poissons_law() -> None:
    black, grey = changed(plain(0), "shot_noise", 5), changed(plain(85), "shot_noise", 5)
    assert not black.any()
    counts = torch.bincount((grey.double() / 85).round().long().flatten(), minlength=4)[:4]
    # 3 photons at white are 1 at a third of it; from 3 on the sensor is full.
    law = stats.poisson(1)
    expected = torch.tensor([law.pmf(0), law.pmf(1), law.pmf(2), law.sf(2)]) * grey.numel()
    assert torch.allclose(counts.double(), expected, rtol=0.05)
    faint = changed(plain(100), "shot_noise", 1).double()
    assert float(faint.mean()) == pytest.approx(100, abs=0.5)
    assert float(faint.std()) == pytest.approx(math.sqrt(100 / 255 * 60) * 255 / 60, rel=0.02)


def test_impulse_noise_makes_its_share_black_or_white_and_keeps_what_it_has_changed() -> None:
    results = [changed(plain(100), "impulse_noise", severity) for severity in SEVERITIES]
    for result, share in zip(results, CORRUPTIONS["impulse_noise"].strengths, strict=True):
        for level in (0, 255):
            assert float((result == level).double().mean()) == pytest.approx(share / 2, rel=0.1)
        assert set(result.unique().tolist()) == {0, 100, 255}
    for earlier, later in pairwise(results):
        assert torch.equal(later[earlier != 100], earlier[earlier != 100])


@pytest.mark.parametrize(("height", "width"), [(28, 28), (64, 40)])
def test_gaussian_blur_is_scipys(height: int, width: int) -> None:
    images = torch.rand(3, 2, height, width, generator=torch.Generator().manual_seed(0)) * 255
    for share in CORRUPTIONS["gaussian_blur"].strengths:
        ours = blur.gaussian_blur(images, share, draws(3)).numpy()
        deviation = share * min(height, width)
        theirs = ndimage.gaussian_filter(images.double().numpy(), (0, 0, deviation, deviation), mode="reflect")
        assert np.abs(ours - theirs).max() < 1e-3


def test_blur_keeps_the_mean() -> None:
    noise = (torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 255).byte()
    blurred = changed(noise, "gaussian_blur", 5)
    assert float(blurred.double().mean()) == pytest.approx(float(noise.double().mean()), abs=0.05)
    for name in ("gaussian_blur", "motion_blur", "zoom_blur"):
        assert torch.equal(changed(plain(77), name, 5), plain(77))
    framed = F.pad(digits(), [20] * 4)
    before, after = (images.double().sum((1, 2, 3)) for images in (framed, changed(framed, "motion_blur", 5)))
    assert torch.allclose(before, after, rtol=0.02)


def test_a_dot_in_motion_is_a_line_of_its_length() -> None:
    dot = torch.zeros(1, 1, 41, 41)
    dot[0, 0, 20, 20] = 255
    line = blur.smeared(dot, 10.0, torch.zeros(1))[0, 0]
    assert torch.allclose(line.sum(), torch.tensor(255.0)) and torch.allclose(line[20].sum(), torch.tensor(255.0))
    assert torch.nonzero(line[20] > 1e-3).flatten().tolist() == list(range(15, 26))
    upright = blur.smeared(dot, 10.0, torch.tensor([math.pi / 2]))[0, 0]
    assert torch.allclose(upright, line.T, atol=1e-2)


def test_zoom_blur_leaves_the_middle_and_draws_out_the_edge() -> None:
    images = plain(0, 1, 41)
    images[0, 0, 20, 20] = images[0, 0, 20, 33] = 255
    result = changed(images, "zoom_blur", 5)[0, 0].float()
    assert result[20, 20] > 2 * result[20, 33] > 0
    assert torch.nonzero(result[20, 25:] > 4).flatten().add(25).tolist() == list(
        range(33, 39)
    )  # 13 · 1.35 = 17.6 from 20


def test_brightness_adds_and_contrast_draws_together() -> None:
    images = digits(channels=3, size=64)
    assert torch.equal(changed(images, "brightness", 3), (images.int() + 77).clamp(max=255).byte())  # 0.3 · 255 = 76.5
    grey = digits()
    mean = grey.double().mean((1, 2, 3), keepdim=True)
    expected = mean + (grey - mean) * CORRUPTIONS["contrast"].strengths[4]
    assert float((changed(grey, "contrast", 5) - expected).abs().max()) < 0.51


def test_pixelated_blocks_are_constant_and_keep_their_means() -> None:
    images = digits(channels=3, size=64)
    blocks = changed(images, "pixelate", 3).unfold(2, 2, 2).unfold(3, 2, 2)  # half of the pixels a side
    assert (blocks == blocks[..., :1, :1]).all()
    means = images.float().unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
    assert float((blocks[..., 0, 0] - means).abs().max()) <= 0.5
    odd = digital.pixelate(torch.arange(10.0).view(1, 1, 1, 10), 0.4, draws(1))
    assert odd.flatten().tolist() == [0.5, 0.5, 3, 3, 3, 6, 6, 6, 8.5, 8.5]


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_what_pillow_reads_back(channels: int) -> None:
    images = digits(3, 40, channels)
    for image, result in zip(images, changed(images, "jpeg", 2), strict=True):
        buffer = io.BytesIO()
        pixels = image[0].numpy() if channels == 1 else image.permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=25)
        expected = np.asarray(Image.open(buffer))
        assert np.array_equal(result.permute(1, 2, 0).numpy().reshape(expected.shape), expected)


def test_other_numbers_of_channels_are_corrupted_as_well() -> None:
    images = torch.cat([digits(3), digits(3).flip(3)], 1)
    for name in CORRUPTIONS:
        assert changed(images, name, 3).shape == images.shape
    assert torch.equal(changed(images, "jpeg", 1)[:, :1], changed(images[:, :1], "jpeg", 1))


def test_translate_moves_by_its_share_of_the_sides() -> None:
    images = F.pad(digits(), [18] * 4)
    for severity, share in zip(SEVERITIES, CORRUPTIONS["translate"].strengths, strict=True):
        way = centre(changed(images, "translate", severity)) - centre(images)
        assert torch.allclose(way.norm(dim=1), torch.full((12,), share * 64, dtype=torch.float64), atol=0.05)
    right = geometry.moved(images.float(), Augmentation(shift=4 / 64), shift_x=torch.ones(12))
    assert torch.allclose(right[..., 4:], images[..., :-4].float(), atol=1e-2)


def test_scale_shrinks_about_the_centre() -> None:
    halved = changed(plain(200, 1), "scale", 5)[0, 0]
    assert (halved[16:48, 16:48] == 200).all() and halved.sum() == 200 * 32 * 32


def test_rotate_turns_a_mark_by_its_angle_one_way_or_the_other() -> None:
    images = plain(0, 40, 65)
    images[:, :, 31:34, 51:54] = 255  # 20 pixels to the right of the middle
    for severity, degrees in zip(SEVERITIES, CORRUPTIONS["rotate"].strengths, strict=True):
        x, y = (centre(changed(images, "rotate", severity)) - 32).T
        angle = torch.rad2deg(torch.atan2(y, x))
        assert torch.allclose(angle.abs(), torch.full_like(angle, degrees), atol=0.2)
        assert torch.allclose(torch.hypot(x, y), torch.full_like(x, 20), atol=0.1)
        assert 10 < int((angle > 0).sum()) < 30


def test_shear_leans_what_is_upright_by_its_angle() -> None:
    images = plain(0, 40, 65)
    images[:, :, 12:15, 31:34] = 255  # 19 pixels above the middle
    x, y = (centre(changed(images, "shear", 5)) - 32).T
    assert torch.allclose(x.abs(), torch.full_like(x, 19 * math.tan(math.radians(36))), atol=0.1)
    assert torch.allclose(y, torch.full_like(y, -19), atol=0.1)
    assert 10 < int((x > 0).sum()) < 30


def test_fog_is_a_veil_between_half_of_its_thickness_and_all_of_it() -> None:
    black = changed(plain(0), "fog", 4).float() / 225
    assert torch.allclose(black.amin((1, 2, 3)), torch.tensor(0.31), atol=0.005)
    assert torch.allclose(black.amax((1, 2, 3)), torch.tensor(0.62), atol=0.005)
    assert torch.equal(changed(plain(225), "fog", 5), plain(225))


def test_snow_whitens_and_never_darkens() -> None:
    images = digits(channels=3, size=64)
    results = [changed(images, "snow", severity) for severity in SEVERITIES]
    for earlier, later in zip([images, *results], results, strict=False):
        assert (later.int() >= earlier.int() - 1).all()
    assert torch.equal(changed(plain(255), "snow", 5), plain(255))


def test_spatter_covers_its_share_and_leaves_the_rest() -> None:
    for severity, share in zip(SEVERITIES, CORRUPTIONS["spatter"].strengths, strict=True):
        result = changed(plain(255), "spatter", severity)
        assert float((result < 192).double().mean()) == pytest.approx(share, abs=0.01)
        assert result.min() == 128 and (result == 255).any()


def test_clouds_scale_with_the_image() -> None:
    small, large = (weather.clouds("fog", (2, 4), (size, size), draws(3)) for size in (33, 129))
    assert torch.allclose(large[:, :, ::4, ::4], small, atol=0.05)


def test_signals_and_float_arrays_have_those_corruptions_that_are_defined_for_them() -> None:
    assert applicable("uint8", 28) == tuple(CORRUPTIONS)
    assert applicable("float32", 1) == applicable("uint8", 1) == SIGNALS
    assert set(applicable("float32", 28)) == {*SIGNALS, *GEOMETRIC, "zoom_blur"}
    signals = torch.sin(torch.arange(800.0) / 5).view(20, 1, 1, 40) * 3
    for name in SIGNALS:
        results = [changed(signals, name, severity) for severity in SEVERITIES]
        assert all(result.dtype == torch.float32 and result.isfinite().all() for result in results)
        distances = [float((result - signals).abs().mean()) for result in results]
        assert distances == sorted(set(distances)) and distances[0] > 0
    for name in set(CORRUPTIONS) - set(SIGNALS):
        with pytest.raises(DataError, match=f"corruption {name} is not defined for signals, which are one pixel high"):
            changed(signals, name, 1)
    with pytest.raises(DataError, match="corruption fog is not defined for float32 arrays"):
        changed(signals.view(20, 1, 5, 8), "fog", 1)


def test_of_float_arrays_the_range_of_a_sample_is_black_to_white() -> None:
    images = digits()
    arrays = images.float() / 255 * 7 - 3
    for name in ("rotate", "gaussian_blur", "pixelate"):
        expected = changed(images, name, 4).float() / 255 * 7 - 3
        assert torch.allclose(changed(arrays, name, 4), expected, atol=0.03)
    assert torch.equal(changed(torch.full((2, 1, 1, 9), 2.5), "contrast", 5), torch.full((2, 1, 1, 9), 2.5))


@pytest.mark.parametrize("size", [1, 2, 8])
def test_tiny_images_are_corrupted_too(size: int) -> None:
    images = (torch.rand(3, 1, 2, size, generator=torch.Generator().manual_seed(0)) * 255).byte()
    for name in CORRUPTIONS:
        assert changed(images, name, 5).shape == images.shape


def test_unknown_names_and_severities_are_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown corruption 'rotation'\n  possible: did you mean 'rotate'"):
        changed(digits(1), "rotation", 1)
    for severity in (0, 6):
        with pytest.raises(ZooError, match=rf"severity must be 1 … 5, got {severity} instead"):
            changed(digits(1), "fog", severity)
