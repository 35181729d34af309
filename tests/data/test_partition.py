from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zoo.components import Component
from zoo.data.dataset import Dataset
from zoo.errors import DataError, UnknownNameError
from zoo.recipe import DataSettings

Prepare = Callable[..., Dataset]
SaveArrays = Callable[..., Path]
Source = Callable[..., Component[Any]]


def test_digits_keep_their_split_whatever_the_settings(dataset: Prepare) -> None:
    first, second = dataset("digits"), dataset("digits", DataSettings(split_seed=7, validation_fraction=0.5))
    assert first.fingerprint == second.fingerprint
    assert {name: len(split) for name, split in first.splits.items()} == {"train": 1078, "validation": 360, "test": 359}
    assert (first.channels, first.size, first.notes) == (1, (8, 8), ("images of 8×8 px, their own size",))


def test_settings_of_the_splits_that_change_nothing_are_said_once_each(dataset: Prepare, photos: Path) -> None:
    settings = DataSettings(split_seed=7, validation_fraction=0.3, test_fraction=0.2)
    assert dataset("digits", settings).notes[1:] == (
        "data.split_seed 7 changes no split: digits has a validation split of its own, and nothing is cut",
        "data.validation_fraction 0.3 changes nothing: digits has a validation split of its own",
        "data.test_fraction 0.2 changes nothing: digits has a test split of its own",
    )
    assert not any(
        "split_seed 7" in note for note in dataset("digits", DataSettings(split_seed=7, train_size=50)).notes
    )
    shutil.rmtree(photos / "test")
    assert dataset("folder", DataSettings(test_fraction=0.2), path=str(photos)).notes[1] == (
        "data.test_fraction 0.2 changes nothing: folder has a validation split of its own,"
        " and test is cut from a single split only"
    )


def test_settings_that_cut_are_not_among_them(dataset: Prepare, train_only: Path) -> None:
    settings = DataSettings(split_seed=7, validation_fraction=0.3, test_fraction=0.2)
    assert not any("changes" in note for note in dataset("folder", settings, path=str(train_only)).notes)


def test_validation_is_cut_from_train_and_never_from_test(dataset: Prepare, photos: Path) -> None:
    shutil.rmtree(photos / "validation")
    data = dataset("folder", DataSettings(validation_fraction=0.25), path=str(photos))
    train, validation, test = (data.splits[name] for name in ("train", "validation", "test"))
    assert validation.images is train.images and test.images is not train.images
    assert sorted([*train.samples, *validation.samples]) == list(range(36))
    assert np.bincount(validation.labels).tolist() == [3, 3, 3]
    assert len(test) == 12
    assert data.notes[1] == "validation: 9 of 36 images cut from train, stratified, split_seed 0"


def test_one_folder_is_cut_in_three(dataset: Prepare, train_only: Path) -> None:
    path = str(train_only)
    data = dataset("folder", DataSettings(test_fraction=0.25), path=path)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 24, "validation": 3, "test": 9}
    assert len({int(sample) for split in data.splits.values() for sample in split.samples}) == 36
    assert set(dataset("folder", DataSettings(test_fraction=0), path=path).splits) == {"train", "validation"}
    other = dataset("folder", DataSettings(test_fraction=0.25, split_seed=1), path=path)
    assert not np.array_equal(other.splits["test"].samples, data.splits["test"].samples)


def test_samples_are_positions_before_any_subset(dataset: Prepare, save_arrays: SaveArrays) -> None:
    path = str(save_arrays())
    data = dataset("npz", DataSettings(classes=["2", "0"], train_size=20), path=path)
    assert data.classes == ("0", "2")
    for split in data.splits.values():
        assert np.array_equal(split.pixels(data.size, 0)[:, 0, 0, 0], split.samples)
        assert np.array_equal(split.samples % 3, split.labels * 2)
    assert len(data.splits["train"]) == 20
    assert "train: 20 of 49 images, stratified" in data.notes


def test_classes_and_sizes_that_do_not_fit_are_refused(dataset: Prepare, save_arrays: SaveArrays) -> None:
    path = str(save_arrays())
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


def test_a_class_without_training_images_is_named(dataset: Prepare, save_arrays: SaveArrays) -> None:
    path = save_arrays(class_names=np.array(["cat", "dog", "owl", "emu"]))
    with pytest.raises(DataError, match="train has no images of class 'emu'"):
        dataset("npz", path=str(path))


def test_a_train_split_too_small_to_cut_is_refused(dataset: Prepare, tmp_path: Path) -> None:
    path = tmp_path / "small.npz"
    np.savez(path, x_train=np.zeros((2, 4, 4), dtype=np.uint8), y_train=[0, 1])
    with pytest.raises(DataError, match="too small to cut off test"):
        dataset("npz", path=str(path))
