"""Random crops of image files: taken from the originals as they are decoded, by the law of crops of arrays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torchvision.transforms.v2 import functional

from zoo.augmentation import Augmentation, ResizedCrop
from zoo.data.augment import Preprocess
from zoo.data.crops import COLUMNS, STREAM, boxes
from zoo.data.dataset import Dataset
from zoo.data.images import decode
from zoo.data.loader import Loader
from zoo.data.sheet import rows
from zoo.data.sources import FileImages
from zoo.data.streaming import decode_cropped
from zoo.errors import DataError
from zoo.recipe import DataSettings
from zoo.training.randomness import Draws

USUAL = ResizedCrop()
Prepare = Callable[..., Dataset]


def places(count: int, size: tuple[int, int]) -> Tensor:
    """Return top, left, height and width of each box as a share of the image's side."""
    box = boxes(Draws(0, 0, torch.arange(count)).uniform(STREAM, COLUMNS), size, USUAL.scale, USUAL.ratio)
    return box / torch.tensor(size).repeat(2)


def picture(height: int, width: int) -> np.ndarray:
    """Return smooth random colours, uint8 `(height, width, 3)`."""
    noise = gaussian_filter(np.random.default_rng(0).random((height, width, 3)), (6, 6, 0))
    low, high = noise.min(), noise.max()
    return np.rint((noise - low) / (high - low) * 255).astype(np.uint8)


@pytest.fixture
def large(tmp_path: Path) -> FileImages:
    """Return a picture of 240×320 px, twelve times as a PNG."""
    for number in range(12):
        Image.fromarray(picture(240, 320)).save(tmp_path / f"{number:02}.png")
    return FileImages(tmp_path, tuple(f"{number:02}.png" for number in range(12)))


def streamed(data: Dataset, **options: Any) -> Loader:
    return Loader(data, "train", **{"device": "cpu", "batch_size": 10, "workers": 0, "memory_limit": 2048, "crop": USUAL, **options})  # fmt: skip


def test_small_arrays_and_large_originals_are_cropped_at_the_same_places() -> None:
    small, large = places(2000, (64, 64)), places(2000, (960, 960))
    near = ((small - large).abs() <= 1.5 / 64).all(1)
    # Sides are whole pixels: a try that just fits one size is drawn anew in the other.
    assert float(near.float().mean()) > 0.97


def test_a_crop_of_a_file_is_that_rectangle_of_the_original_resized_once(large: FileImages) -> None:
    draws = Draws(3, 5, torch.arange(12))
    cropped = decode_cropped(large, np.arange(12), (32, 32), USUAL, draws)
    drawn = boxes(draws.uniform(STREAM, COLUMNS), (240, 320), USUAL.scale, USUAL.ratio)
    original = torch.from_numpy(picture(240, 320)).permute(2, 0, 1)
    assert len({tuple(box) for box in drawn.tolist()}) == 12
    for pixels, (top, left, height, width) in zip(cropped, drawn.int().tolist(), strict=True):
        expected = functional.resized_crop(original, top, left, height, width, [32, 32], antialias=True).numpy()
        # The reference repeats the pixels at a crop's edge; here those beside it are seen.
        assert np.abs(pixels.astype(int) - expected)[:, 1:-1, 1:-1].max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff"])
def test_a_window_is_meant_in_the_upright_original(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{suffix}"
    Image.fromarray(picture(480, 720)).save(path, exif=exif, **({"quality": 95} if suffix == "jpg" else {}))
    whole = decode(path, channels=3)
    seen: list[tuple[int, int]] = []

    def window(height: int, width: int) -> tuple[int, int, int, int]:
        seen.append((height, width))
        return 40, 100, 320, 256

    part = decode(path, channels=3, size=(80, 64), window=window)
    assert set(seen) == {whole.shape[1:]}
    expected = np.asarray(Image.fromarray(whole[:, 40:360, 100:356].transpose(1, 2, 0)).resize((64, 80), 2))
    assert np.abs(part.transpose(1, 2, 0)[1:-1, 1:-1].astype(int) - expected[1:-1, 1:-1]).mean() < 2


@pytest.mark.parametrize(("side", "scale"), [(1600, 8), (400, 2), (399, 1), (60, 1)])
def test_a_large_photo_is_decoded_at_the_scale_that_the_window_needs(tmp_path: Path, side: int, scale: int) -> None:
    path, size = tmp_path / "photo.jpg", (200, 200)
    Image.fromarray(picture(200, 200)).resize((1600, 1600)).save(path)
    with Image.open(path) as image:
        image.draft(None, (1600 // scale, 1600 // scale))
        assert image.size == (1600 // scale, 1600 // scale)
        expected = image.resize(size, Image.Resampling.BILINEAR, box=(0, 0, side / scale, side / scale))
    pixels = decode(path, channels=3, size=size, window=lambda *_: (0, 0, side, side))
    assert np.array_equal(pixels, np.asarray(expected).transpose(2, 0, 1))


def test_training_gets_crops_whatever_the_memory_the_workers_and_the_start(dataset: Prepare, photos: Path) -> None:
    data = dataset("folder", DataSettings(image_size=24), path=str(photos))
    split = data.splits["train"]
    assert isinstance(split.images, FileImages)
    expected = list(streamed(data).training(1, 2))
    for batch in expected:
        draws = Draws(1, 2, batch.samples)
        assert np.array_equal(
            batch.images, decode_cropped(split.images, batch.samples.numpy(), data.size, USUAL, draws)
        )
    for options in ({"workers": 2}, {"memory_limit": 0}, {"workers": 1, "memory_limit": 0}):
        loader = streamed(data, **options)
        got = list(loader.training(1, 2))
        assert all(torch.equal(a.images, b.images) for a, b in zip(got, expected, strict=True))
        resumed = list(loader.training(1, 2, start=2))
        assert all(torch.equal(a.images, b.images) for a, b in zip(resumed, expected[2:], strict=True))
        loader.close()
    shares = [streamed(data, rank=rank, world=2).training(1, 2) for rank in range(2)]
    for batch, *parts in zip(expected, *shares, strict=True):
        assert torch.equal(batch.images, torch.cat([part.images for part in parts]))


def test_evaluation_sees_whole_images_and_a_view_sees_the_crops_of_its_epoch(dataset: Prepare, photos: Path) -> None:
    data = dataset("folder", DataSettings(image_size=24), path=str(photos))
    loader, pixels = streamed(data), torch.from_numpy(data.splits["train"].pixels((24, 24), 0))
    assert torch.equal(torch.cat([batch.images for batch in loader.evaluation()]), pixels)
    view = torch.cat([batch.images for batch in loader.evaluation((1, 2))])
    by_sample = {int(s): image for b in loader.training(1, 2) for s, image in zip(b.samples, b.images, strict=True)}
    assert torch.equal(view, torch.stack([by_sample[int(sample)] for sample in data.splits["train"].samples]))


def test_an_image_that_is_drawn_again_is_cropped_elsewhere(dataset: Prepare, photos: Path) -> None:
    data = dataset("folder", DataSettings(image_size=24), path=str(photos))
    weights = torch.zeros(len(data.splits["train"]))
    weights[1] = 1.0
    (images,) = (b.images for b in streamed(data, batch_size=36).training(0, 0, 0, weights))
    assert len(images.flatten(1).unique(dim=0)) > 30


def test_the_batch_is_not_cropped_a_second_time(dataset: Prepare, photos: Path) -> None:
    a = Augmentation(random_resized_crop=USUAL, horizontal_flip=True)
    data = dataset("folder", DataSettings(image_size=24), path=str(photos))
    batch = next(iter(streamed(data).training(0, 0)))
    preprocess = Preprocess(data.mean, data.std, a, cropped=True)
    flipped = preprocess.augment(batch.images, Draws(0, 0, batch.samples))
    assert preprocess.augments and flipped.dtype == torch.uint8
    same = (flipped == batch.images).flatten(1).all(1) | (flipped.flip(3) == batch.images).flatten(1).all(1)
    assert same.all()


def test_what_is_decoded_whole_is_cropped_in_batches_and_flipped_as_what_is_cropped() -> None:
    a = Augmentation(random_resized_crop=USUAL, horizontal_flip=True)
    images, draws = torch.randint(0, 256, (6, 1, 24, 24), dtype=torch.uint8), Draws(0, 3, torch.arange(6))
    cropped, whole = (Preprocess((0.5,), (0.5,), a, cropped=one) for one in (True, False))
    assert torch.equal(cropped.of_whole_images().train(images, draws), whole.train(images, draws))
    assert not torch.equal(cropped.train(images, draws), whole.train(images, draws))


def test_arrays_are_cropped_in_batches(dataset: Prepare, photos: Path) -> None:
    a = Augmentation(random_resized_crop=USUAL)
    assert dataset("digits").crop(a) is None
    files = dataset("folder", path=str(photos))
    assert files.crop(a) == USUAL and files.crop(Augmentation()) is None


def test_the_sheet_shows_the_crops_that_training_sees(dataset: Prepare, photos: Path) -> None:
    a = Augmentation(random_resized_crop=USUAL)
    data = dataset("folder", DataSettings(image_size=24), path=str(photos))
    shown = rows(data, Preprocess(data.mean, data.std, a, cropped=True), seed=4, samples=3, views=2)
    crops = {int(s): image for b in streamed(data).training(4, 1) for s, image in zip(b.samples, b.images, strict=True)}
    first = crops[int(data.splits["train"].samples[0])]
    assert np.array_equal(shown[0].views[1], first.permute(1, 2, 0).numpy())


def test_a_damaged_file_is_named(dataset: Prepare, photos: Path) -> None:
    data = dataset("folder", DataSettings(image_size=24), path=str(photos))
    (photos / "train" / "digit 1" / "03.jpg").write_bytes(b"\xff\xd8\xff damaged")
    with pytest.raises(DataError, match=r"digit 1/03.jpg"):
        list(streamed(data).training(0, 0))
