from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zoo.components import Component
from zoo.data.dataset import Dataset, Split, prepare
from zoo.data.sources import ArrayImages
from zoo.errors import DataError, ImageError
from zoo.recipe import DataSettings, Normalization

Prepare = Callable[..., Dataset]
SaveArrays = Callable[..., Path]
Source = Callable[..., Component[Any]]


def test_splits_of_different_form_are_refused(dataset: Prepare, save_arrays: SaveArrays) -> None:
    path = save_arrays(x_test=np.zeros((4, 6, 5)), y_test=[0, 1, 2, 0])
    with pytest.raises(DataError, match=r"train has uint8 1×6×6; test has float32 1×6×5"):
        dataset("npz", path=str(path))


def test_normalisation_is_measured_on_train_only(dataset: Prepare, save_arrays: SaveArrays) -> None:
    test = {"x_test": np.full((3, 6, 6), 255, dtype=np.uint8), "y_test": [0, 1, 2]}
    path = str(save_arrays(**test))
    data = dataset("npz", path=path)
    scaled = data.splits["train"].samples / 255
    assert data.mean == pytest.approx([scaled.mean()]) and data.std == pytest.approx([scaled.std()])
    given = dataset("npz", DataSettings(normalization=Normalization(mean=[0.5], std=[0.25])), path=path)
    assert (given.mean, given.std) == ((0.5,), (0.25,))
    with pytest.raises(DataError, match="has 2 means and 1 deviations"):
        dataset("npz", DataSettings(normalization=Normalization(mean=[0.5, 1], std=[0.25])), path=path)


def test_normalisation_of_files_is_the_same_from_memory_and_from_the_stream(dataset: Prepare, photos: Path) -> None:
    memory, stream = (dataset("folder", DataSettings(memory_limit=limit), path=str(photos)) for limit in (2048, 0))
    assert (memory.mean, memory.std, memory.size) == (stream.mean, stream.std, (64, 64))
    assert memory.fits(1) and not memory.fits(0)
    assert memory.fingerprint == stream.fingerprint


def test_a_sample_of_the_files_is_measured_and_no_other_is_decoded(source: Source, photos: Path) -> None:
    folder = source("folder", path=str(photos))
    options: dict[str, Any] = {"min_size": 1, "preferred_size": None, "architecture": "none"}
    data = prepare(DataSettings(), folder, measured=9, **options)
    assert "mean and deviation measured on 9 of 36 training images" in data.notes
    assert not data.splits["train"].in_memory
    again = prepare(DataSettings(memory_limit=0), folder, measured=9, **options)
    assert (data.mean, data.std) == (again.mean, again.std)
    whole, same = (prepare(DataSettings(), folder, **options, **more) for more in ({}, {"measured": 36}))
    assert whole.mean == same.mean != data.mean and whole.splits["train"].in_memory and whole.notes == same.notes


def test_arrays_are_resized_when_a_size_is_asked_for(dataset: Prepare) -> None:
    data = dataset("digits", DataSettings(image_size=16))
    assert data.size == (16, 16)
    pixels = data.splits["test"].pixels(data.size, 0)
    assert pixels.shape == (359, 1, 16, 16) and pixels.dtype == np.uint8
    assert data.splits["test"].pixels(data.size, 0) is pixels


def test_a_runs_classes_size_and_channels_are_obeyed(source: Source, photos: Path) -> None:
    known = ("digit 2", "other", "digit 0", "digit 1")
    settings = DataSettings(normalization=Normalization(mean=[0.5], std=[0.5]))
    options: dict[str, Any] = {"min_size": 1, "preferred_size": None, "architecture": "none"}
    data = prepare(settings, source("folder", path=str(photos)), classes=known, size=(20, 30), channels=1, **options)
    assert data.classes == known
    assert np.bincount(data.splits["test"].labels).tolist() == [4, 0, 4, 4]
    assert data.splits["test"].pixels(data.size, 0).shape == (12, 1, 20, 30)
    with pytest.raises(DataError, match="classes that the run does not know: 'digit 1', 'digit 2'"):
        prepare(settings, source("folder", path=str(photos)), classes=("digit 0", "x"), channels=1, **options)
    with pytest.raises(DataError, match="the images have 1 channels"):
        prepare(settings, source("digits"), channels=3, **options)


def test_nothing_is_cut_where_the_splits_are_to_stay(source: Source, train_only: Path) -> None:
    folder = source("folder", path=str(train_only))
    data = prepare(DataSettings(), folder, min_size=1, preferred_size=None, architecture="none", cut=False)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 36}


def test_a_damaged_image_is_named(dataset: Prepare, photos: Path) -> None:
    broken = photos / "train" / "digit 1" / "03.jpg"
    broken.write_bytes(broken.read_bytes()[:300])
    for limit in (2048, 0):
        with pytest.raises(ImageError, match=r"digit 1/03.jpg"):
            dataset("folder", DataSettings(memory_limit=limit), path=str(photos))
    (photos / "train" / "digit 0" / "00.png").write_bytes(b"")
    with pytest.raises(DataError, match="2 images do not decode") as caught:
        dataset("folder", path=str(photos))
    assert "00.png" in str(caught.value) and "03.jpg" in str(caught.value)


def test_all_images_in_another_order_have_their_pixels_in_that_order() -> None:
    pixels, order = np.arange(20, dtype=np.uint8).reshape(5, 1, 2, 2), np.array([3, 0, 4, 1, 2])
    every = Split("train", ArrayImages(pixels), np.arange(5), np.zeros(5, np.int64))
    assert np.array_equal(every.part(order).pixels((2, 2), 0), pixels[order])
    assert every.pixels((2, 2), 0) is pixels


def test_groups_come_along_with_samples(source: Source) -> None:
    inner = source("replicas", base=source("digits"), times=2)
    given = DataSettings(classes=["3", "5"], normalization=Normalization(mean=[0.0], std=[1.0]))
    data = prepare(given, inner, min_size=1, preferred_size=None, architecture="none")
    train, test = data.splits["train"], data.splits["test"]
    assert train.groups is not None and np.array_equal(train.groups, train.samples % 1078)
    assert test.groups is None and test.part(np.arange(3)).groups is None
    few = train.part(train.groups == train.groups[0])
    assert few.groups is not None and few.groups.tolist() == [train.groups[0]] * 2
    assert few.labels.tolist() == [train.labels[0]] * 2 and len(few.pixels(data.size, 0)) == 2
