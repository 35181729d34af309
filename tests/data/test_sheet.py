from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.augmentation import Augmentation
from zoo.data.augment import Preprocess
from zoo.data.dataset import Dataset, Split
from zoo.data.sheet import CELL, Row, draw, rows, rows_with
from zoo.errors import DataError

Prepared = Callable[..., Dataset]
FLIP = Augmentation(horizontal_flip=True)


def preprocess(dataset: Dataset, a: Augmentation = FLIP) -> Preprocess:
    return Preprocess(dataset.mean, dataset.std, a)


def test_classes_take_turns_and_views_are_those_of_the_epochs(dataset: Prepared) -> None:
    digits = dataset("digits")
    shown = rows(digits, preprocess(digits), seed=0, samples=12, views=6)
    assert [row.class_name for row in shown] == list("001123456789")
    for row in shown:
        assert row.original.shape == (8, 8, 3) and len(row.views) == 6
        for view in row.views:
            assert np.array_equal(view, row.original) or np.array_equal(view, row.original[:, ::-1])
    views = np.stack([np.stack(row.views) for row in shown])
    assert not np.array_equal(views[:, 0], views[:, 1])
    again = rows(digits, preprocess(digits), seed=0, samples=12, views=6)
    assert np.array_equal(views, np.stack([np.stack(row.views) for row in again]))


def test_views_may_be_anything_that_is_made_of_images_and_samples(dataset: Prepared) -> None:
    digits = dataset("digits")

    def change(split: Split) -> list[torch.Tensor]:
        images = torch.from_numpy(split.pixels(digits.size, 0))
        return [255 - images, images * 0]

    shown = rows_with(digits, change, samples=3)
    for row in shown:
        assert np.array_equal(row.views[0], 255 - row.original) and not row.views[1].any()
    named, numbered = draw(shown, ["inverted", "black"]), draw(shown)
    assert named != numbered and Image.open(io.BytesIO(named)).size == Image.open(io.BytesIO(numbered)).size


def test_photos_are_shown_in_their_colours(dataset: Prepared, photos: Path) -> None:
    found = dataset("folder", path=str(photos))
    shown = rows(found, preprocess(found, Augmentation()), seed=0, samples=3, views=1)
    assert [row.class_name for row in shown] == ["digit 0", "digit 1", "digit 2"]
    first = found.splits["train"].pixels(found.size, 0)[0].transpose(1, 2, 0)
    assert np.array_equal(shown[0].original, first) and np.array_equal(shown[0].views[0], first)


def test_arrays_are_shown_in_their_own_range(dataset: Prepared, save_arrays: Callable[..., Path]) -> None:
    signals = np.linspace(-3, 5, 90 * 20, dtype=np.float32).reshape(90, 1, 1, 20)
    found = dataset("npz", path=str(save_arrays(x_train=signals)))
    (row,) = rows(found, preprocess(found, Augmentation(brightness=0.5)), seed=0, samples=1, views=2)
    assert (row.original.min(), row.original.max()) == (0, 255)
    with pytest.raises(DataError, match="signals are one pixel high"):
        rows(found, preprocess(found), seed=0, samples=1, views=1)


def test_a_sheet_shows_every_pixel_of_small_images() -> None:
    original = np.zeros((8, 8, 3), np.uint8)
    original[2, 5] = 200, 10, 60
    sheet = np.asarray(Image.open(io.BytesIO(draw([Row("hat", original, [original[:, ::-1]] * 3)] * 2))))
    area = ((sheet == (200, 10, 60)).all(2)).sum()
    assert area == 8 * (CELL // 8) ** 2
    assert Image.open(io.BytesIO(draw([Row("x", original, [])]))).format == "PNG"


def test_long_names_are_cut_and_signals_are_stripes() -> None:
    wide = np.full((1, 300, 3), 90, np.uint8)
    short, long = (
        Image.open(io.BytesIO(draw([Row(name, wide, [wide])]))).size for name in ("a", "a very long name " * 9)
    )
    assert long[0] - short[0] < 160
    assert short[1] == long[1] < 100
