from __future__ import annotations

import pytest
import torch
from scipy.stats import ks_2samp
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from zoo.augmentation import Augmentation, ResizedCrop
from zoo.data.augment import Preprocess
from zoo.data.crops import COLUMNS, boxes, pad_and_crop, within
from zoo.data.geometry import warp
from zoo.errors import DataError, ZooError
from zoo.training.randomness import Draws

USUAL = ResizedCrop()


def draws(count: int) -> Draws:
    return Draws(0, 0, torch.arange(count))


def drawn(count: int, size: tuple[int, int], crop: ResizedCrop = USUAL) -> Tensor:
    return boxes(draws(count).uniform("augment/crop", COLUMNS), size, crop.scale, crop.ratio)


def plain(a: Augmentation, channels: int = 1) -> Preprocess:
    return Preprocess((0.0,) * channels, (1.0,) * channels, a)


@pytest.mark.parametrize("size", [(64, 64), (40, 90)])
def test_boxes_have_the_law_of_torchvision(size: tuple[int, int]) -> None:
    transform = v2.RandomResizedCrop(64)
    image, state = torch.zeros(1, *size), torch.get_rng_state()
    torch.manual_seed(0)
    params = [transform.make_params([image]) for _ in range(1500)]
    torch.set_rng_state(state)
    ours = drawn(1500, size)
    for column, key in enumerate(("top", "left", "height", "width")):
        assert ks_2samp(ours[:, column].numpy(), [p[key] for p in params]).pvalue > 0.01
    if size == (40, 90):  # where most large rectangles do not fit anyway
        return
    narrower = drawn(1500, size, ResizedCrop(scale=(0.08, 0.8)))
    areas = [p["height"] * p["width"] for p in params]
    assert ks_2samp((narrower[:, 2] * narrower[:, 3]).numpy(), areas).pvalue < 0.01


@pytest.mark.parametrize("size", [(8, 8), (5, 60), (60, 5)])
def test_boxes_lie_inside_the_image(size: tuple[int, int]) -> None:
    box = drawn(2000, size)
    assert torch.equal(box, box.round()) and int(box[:, 2:].min()) >= 1 and int(box[:, :2].min()) >= 0
    assert ((box[:, :2] + box[:, 2:]) <= torch.tensor(size)).all()


def test_where_nothing_fits_the_largest_rectangle_in_the_middle_is_taken() -> None:
    whole = ResizedCrop(scale=(1.0, 1.0), ratio=(0.5, 0.75))
    assert torch.equal(drawn(3, (30, 30), whole), torch.tensor([[0.0, 4, 30, 22]]).expand(3, 4))
    image = torch.zeros(1, 30, 30)
    expected = v2.RandomResizedCrop(30, scale=(1.0, 1.0), ratio=(0.5, 0.75)).make_params([image])
    assert [expected[key] for key in ("top", "left", "height", "width")] == [0, 4, 30, 22]


def test_a_crop_is_resized_as_torchvision_does_away_from_its_edges_and_has_no_dark_frame() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(6, 3, 20, 24, generator=generator) * 200 + 50
    box = drawn(6, (20, 24))
    still = torch.tensor([[1.0, 0, 0], [0, 1, 0]]).expand(6, 2, 3)
    ours = warp(images, within(still, box, (20, 24)), clamp=True)
    for image, result, (top, left, height, width) in zip(images, ours, box.int().tolist(), strict=True):
        expected = functional.resized_crop(image, top, left, height, width, [20, 24])
        # torchvision repeats the pixels at the edge of a crop; here those beside it are seen.
        rows, columns = -(-20 // height), -(-24 // width)
        inside = (slice(None), slice(rows, -rows), slice(columns, -columns))
        torch.testing.assert_close(result[inside], expected[inside], atol=0.01, rtol=0)
    assert float(ours.min()) >= 50


def test_the_whole_image_is_a_crop_that_changes_nothing() -> None:
    images = torch.rand(4, 1, 9, 7, generator=torch.Generator().manual_seed(0))
    whole = Augmentation(random_resized_crop=ResizedCrop(scale=(1.0, 1.0), ratio=(7 / 9, 7 / 9)))
    torch.testing.assert_close(plain(whole).train(images, draws(4)), images, atol=1e-5, rtol=0)


def test_a_crop_and_a_flip_are_the_flip_of_the_crop() -> None:
    images = torch.rand(40, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    crop = plain(Augmentation(random_resized_crop=USUAL)).train(images, draws(40))
    both = plain(Augmentation(random_resized_crop=USUAL, horizontal_flip=True)).train(images, draws(40))
    mirrored = draws(40).uniform("augment", 7)[:, 5] < 0.5
    expected = torch.where(mirrored[:, None, None, None], crop.flip(3), crop)
    torch.testing.assert_close(both, expected, atol=1e-5, rtol=0)


def test_padding_and_cropping_moves_whole_pixels_and_leaves_black() -> None:
    images = torch.arange(1, 1 + 2 * 3 * 4 * 5).view(2, 3, 4, 5).to(torch.uint8)
    u = torch.tensor([[0.0, 0.5], [0.999, 0.999]])  # of five places each: first and third, last and last
    result = pad_and_crop(images, 2, u)
    expected = torch.zeros_like(images)
    expected[0, :, 2:] = images[0, :, :2]
    expected[1, :, :2, :3] = images[1, :, 2:, 2:]
    assert result.dtype == torch.uint8 and torch.equal(result, expected)


def test_every_place_of_a_padded_image_is_as_likely() -> None:
    images = torch.zeros(5000, 1, 5, 5, dtype=torch.uint8)
    images[:, :, 2, 2] = 255
    result = plain(Augmentation(padding_crop=2)).augment(images, draws(5000))
    counts = (result > 0).sum((0, 1))
    assert int(counts.sum()) == 5000 and int(counts.min()) > 140 and int(counts.max()) < 260  # 200 each


@pytest.mark.parametrize("a", [Augmentation(random_resized_crop=USUAL), Augmentation(padding_crop=1)])
def test_signals_refuse_to_be_cropped(a: Augmentation) -> None:
    with pytest.raises(DataError, match="signals are one pixel high"):
        plain(a).train(torch.zeros(2, 1, 1, 30), draws(2))


def test_a_range_whose_ends_are_exchanged_is_refused() -> None:
    with pytest.raises(ZooError, match=r"scale must be \[least, largest\], got \[1, 0.5\] instead"):
        ResizedCrop(scale=(1.0, 0.5))
