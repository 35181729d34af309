from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from zoo.components import Component
from zoo.data.dataset import Dataset
from zoo.data.partition import Parts, Positions, cut
from zoo.errors import DataError, UnknownNameError
from zoo.recipe import DataSettings
from zoo.training.randomness import bits

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


def of_groups(groups: Positions, labels: Positions, **settings: Any) -> tuple[Parts, list[str]]:
    """Return the parts that are cut from a train split with these groups, and what is said of them."""
    notes: list[str] = []
    parts: Parts = {"train": (np.arange(len(labels)), labels)}
    return cut(parts, DataSettings(**settings), notes, groups), notes


def test_groups_stay_on_one_side_of_every_cut() -> None:
    """Sixty groups of one to four images, whose images are scattered over the split."""
    sizes = np.arange(60) % 4 + 1
    order = np.argsort(bits(0, "test", 0, torch.arange(int(sizes.sum())))[:, 0].numpy())
    groups = np.repeat(np.arange(60) * 7 - 100, sizes)[order]
    labels = groups % 3
    parts, notes = of_groups(groups, labels, test_fraction=0.2, validation_fraction=0.25, train_size=60)
    found = {name: set(groups[samples]) for name, (samples, _) in parts.items()}
    assert {name: len(each) for name, each in found.items() if name != "train"} == {"test": 12, "validation": 12}
    assert not (
        found["train"] & found["test"] | found["train"] & found["validation"] | found["test"] & found["validation"]
    )
    for name, (samples, own) in parts.items():
        assert np.array_equal(own, labels[samples])
        assert len(samples) == np.isin(groups, list(found[name])).sum()
        assert set(own) == {0, 1, 2}
    assert len(parts["train"][0]) == pytest.approx(60, abs=5)
    assert notes[0] == (
        f"test: {len(parts['test'][0])} of 150 images cut from train in whole groups, stratified, split_seed 0"
    )
    assert notes[2].endswith("images in whole groups, stratified")


def test_groups_are_stratified_by_their_first_image() -> None:
    groups, labels = np.repeat(np.arange(20), 3), np.tile([0, 1, 1], 20)
    labels[30:] = np.tile([1, 0, 0], 10)
    parts, _ = of_groups(groups, labels, test_fraction=0.2, validation_fraction=0.25)
    for name, share in (("test", 4), ("validation", 4), ("train", 12)):
        firsts = parts[name][1][::3]
        assert np.bincount(firsts).tolist() == [share // 2, share // 2]


def test_a_train_size_takes_whole_groups_of_equal_size_exactly() -> None:
    groups, labels = np.tile(np.arange(50), 3), np.tile(np.arange(50) % 5, 3)
    parts, _ = of_groups(groups, labels, test_fraction=0, validation_fraction=0.2, train_size=30)
    samples, own = parts["train"]
    assert len(samples) == 30 and np.bincount(own).tolist() == [6] * 5
    assert np.unique(groups[samples], return_counts=True)[1].tolist() == [3] * 10


def test_each_image_a_group_of_its_own_is_cut_as_without_groups() -> None:
    labels, settings = np.arange(90) % 3, {"test_fraction": 0.2, "train_size": 31}
    alone, _ = of_groups(np.arange(90), labels, **settings)
    notes: list[str] = []
    plain = cut({"train": (np.arange(90), labels)}, DataSettings(**settings), notes)  # type: ignore[arg-type]
    assert all(np.array_equal(alone[name][0], plain[name][0]) for name in plain) and len(plain["train"][0]) == 31


def test_classes_of_one_group_each_cannot_be_cut() -> None:
    with pytest.raises(DataError, match="no class has two groups of images"):
        of_groups(np.arange(30) % 3, np.arange(30) % 3)
