from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zoo.components import Component
from zoo.data.dataset import Dataset, prepare
from zoo.errors import DataError, ImageError, UnknownNameError
from zoo.recipe import DataSettings, Normalization

Prepare = Callable[..., Dataset]
Source = Callable[..., Component[Any]]


def only_train(photos: Path) -> Path:
    for split in ("validation", "test"):
        shutil.rmtree(photos / split)
    return photos / "train"


def save_arrays(path: Path, **more: Any) -> Path:
    """Write 90 grey images of three classes, each image filled with its index."""
    pixels = np.repeat(np.arange(90, dtype=np.uint8), 36).reshape(90, 6, 6)
    np.savez(path, **{"x_train": pixels, "y_train": np.arange(90) % 3, **more})
    return path


def test_digits_keep_their_split_whatever_the_settings(dataset: Prepare) -> None:
    first, second = dataset("digits"), dataset("digits", DataSettings(split_seed=7, validation_fraction=0.5))
    assert first.fingerprint == second.fingerprint
    assert {name: len(split) for name, split in first.splits.items()} == {"train": 1078, "validation": 360, "test": 359}
    assert (first.channels, first.size, first.notes) == (1, (8, 8), ("images of 8×8 px, their own size",))


def test_validation_is_cut_from_train_and_never_from_test(dataset: Prepare, photos: Path) -> None:
    shutil.rmtree(photos / "validation")
    data = dataset("folder", DataSettings(validation_fraction=0.25), path=str(photos))
    train, validation, test = (data.splits[name] for name in ("train", "validation", "test"))
    assert validation.images is train.images and test.images is not train.images
    assert sorted([*train.samples, *validation.samples]) == list(range(36))
    assert np.bincount(validation.labels).tolist() == [3, 3, 3]
    assert len(test) == 12
    assert data.notes[1] == "validation: 9 of 36 images cut from train, stratified, split_seed 0"


def test_one_folder_is_cut_in_three(dataset: Prepare, photos: Path) -> None:
    path = str(only_train(photos))
    data = dataset("folder", DataSettings(test_fraction=0.25), path=path)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 24, "validation": 3, "test": 9}
    assert len({int(sample) for split in data.splits.values() for sample in split.samples}) == 36
    assert set(dataset("folder", DataSettings(test_fraction=0), path=path).splits) == {"train", "validation"}
    other = dataset("folder", DataSettings(test_fraction=0.25, split_seed=1), path=path)
    assert not np.array_equal(other.splits["test"].samples, data.splits["test"].samples)


def test_samples_are_positions_before_any_subset(dataset: Prepare, tmp_path: Path) -> None:
    path = str(save_arrays(tmp_path / "a.npz"))
    data = dataset("npz", DataSettings(classes=["2", "0"], train_size=20), path=path)
    assert data.classes == ("0", "2")
    for split in data.splits.values():
        assert np.array_equal(split.pixels(data.size, 0)[:, 0, 0, 0], split.samples)
        assert np.array_equal(split.samples % 3, split.labels * 2)
    assert len(data.splits["train"]) == 20
    assert "train: 20 of 49 images, stratified" in data.notes


def test_classes_and_sizes_that_do_not_fit_are_refused(dataset: Prepare, tmp_path: Path) -> None:
    path = str(save_arrays(tmp_path / "a.npz"))
    with pytest.raises(UnknownNameError, match="unknown class '3'"):
        dataset("npz", DataSettings(classes=["3", "0"]), path=path)
    with pytest.raises(DataError, match="one class only: '1'"):
        dataset("npz", DataSettings(classes=["1"]), path=path)
    for size in (2, 5000):
        with pytest.raises(DataError, match=f"train_size {size} does not fit"):
            dataset("npz", DataSettings(train_size=size), path=path)


def test_one_class_only_is_refused(dataset: Prepare, photos: Path) -> None:
    for split in ("train", "validation", "test"):
        for label in (1, 2):
            shutil.rmtree(photos / split / f"digit {label}")
    with pytest.raises(DataError, match="one class only: 'digit 0'"):
        dataset("folder", path=str(photos))


def test_a_class_that_validation_lacks_shifts_no_label(dataset: Prepare, photos: Path) -> None:
    shutil.rmtree(photos / "validation" / "digit 0")
    data = dataset("folder", path=str(photos))
    assert data.classes == ("digit 0", "digit 1", "digit 2")
    assert np.unique(data.splits["validation"].labels).tolist() == [1, 2]
    paths = [data.splits["validation"].images.paths[sample] for sample in data.splits["validation"].samples]  # type: ignore[union-attr]
    assert all(f"digit {label}/" in path for path, label in zip(paths, data.splits["validation"].labels, strict=True))


def test_a_class_without_training_images_is_named(dataset: Prepare, tmp_path: Path) -> None:
    path = save_arrays(tmp_path / "a.npz", class_names=np.array(["cat", "dog", "owl", "emu"]))
    with pytest.raises(DataError, match="train has no images of class 'emu'"):
        dataset("npz", path=str(path))


def test_a_train_split_too_small_to_cut_is_refused(dataset: Prepare, tmp_path: Path) -> None:
    path = tmp_path / "small.npz"
    np.savez(path, x_train=np.zeros((2, 4, 4), dtype=np.uint8), y_train=[0, 1])
    with pytest.raises(DataError, match="too small to cut off test"):
        dataset("npz", path=str(path))


def test_splits_of_different_form_are_refused(dataset: Prepare, tmp_path: Path) -> None:
    path = save_arrays(tmp_path / "a.npz", x_test=np.zeros((4, 6, 5)), y_test=[0, 1, 2, 0])
    with pytest.raises(DataError, match=r"train has uint8 1×6×6; test has float32 1×6×5"):
        dataset("npz", path=str(path))


def test_normalisation_is_measured_on_train_only(dataset: Prepare, tmp_path: Path) -> None:
    test = {"x_test": np.full((3, 6, 6), 255, dtype=np.uint8), "y_test": [0, 1, 2]}
    data = dataset("npz", path=str(save_arrays(tmp_path / "a.npz", **test)))
    scaled = data.splits["train"].samples / 255
    assert data.mean == pytest.approx([scaled.mean()]) and data.std == pytest.approx([scaled.std()])
    given = dataset(
        "npz", DataSettings(normalization=Normalization(mean=[0.5], std=[0.25])), path=str(tmp_path / "a.npz")
    )
    assert (given.mean, given.std) == ((0.5,), (0.25,))
    with pytest.raises(DataError, match="has 2 means and 1 deviations"):
        dataset(
            "npz", DataSettings(normalization=Normalization(mean=[0.5, 1], std=[0.25])), path=str(tmp_path / "a.npz")
        )


def test_normalisation_of_files_is_the_same_from_memory_and_from_the_stream(dataset: Prepare, photos: Path) -> None:
    memory, stream = (dataset("folder", DataSettings(memory_limit=limit), path=str(photos)) for limit in (2048, 0))
    assert (memory.mean, memory.std, memory.size) == (stream.mean, stream.std, (64, 64))
    assert memory.fits(1) and not memory.fits(0)
    assert memory.fingerprint == stream.fingerprint


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


def test_nothing_is_cut_where_the_splits_are_to_stay(source: Source, photos: Path) -> None:
    folder = source("folder", path=str(only_train(photos)))
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
