"""Sources whose training images stand several times, with noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures import mnist
from numpy.typing import NDArray
from PIL import Image

from zoo.components import Component, DataSourceSpec, NoParams
from zoo.data.dataset import prepare
from zoo.data.sources import ArrayImages, SourceData
from zoo.errors import DataError
from zoo.plugins import load_catalog
from zoo.recipe import DataSettings, Normalization
from zoo.registry import resolve_component
from zoo.training.randomness import normal
from zoo_data_sources import replicas

CATALOG = load_catalog(quiet=True)
DIGITS: SourceData = resolve_component(CATALOG, "data", "digits", []).build()


def component(**params: Any) -> Component[Any]:
    return resolve_component(CATALOG, "data", "replicas", [f"{key}={value}" for key, value in params.items()])


def build(**params: Any) -> SourceData:
    data: SourceData = component(**params).build()
    return data


def pixels(data: SourceData, split: str) -> NDArray[Any]:
    images = data.splits[split].images
    assert isinstance(images, ArrayImages)
    return images.data


def test_every_training_image_stands_so_often_and_with_its_label() -> None:
    data, count = build(times=3), len(DIGITS.splits["train"].labels)
    train = data.splits["train"]
    assert pixels(data, "train").shape == (3 * count, 1, 8, 8) and pixels(data, "train").dtype == np.float32
    assert np.array_equal(train.labels, np.tile(DIGITS.splits["train"].labels, 3))
    assert train.groups is not None and np.array_equal(train.groups, np.tile(np.arange(count), 3))
    assert data.classes == DIGITS.classes
    for name in ("validation", "test"):
        assert np.array_equal(data.splits[name].labels, DIGITS.splits[name].labels)
        assert data.splits[name].groups is None


def test_images_are_normalised_by_train_and_only_copies_in_train_have_noise() -> None:
    scaled = {name: pixels(DIGITS, name) / 255 for name in DIGITS.splits}
    mean, std = scaled["train"].mean(), scaled["train"].std()
    data = build(times=4, noise=0.1)
    for name in ("validation", "test"):
        assert np.allclose(pixels(data, name), (scaled[name] - mean) / std, atol=1e-5)
    noise = pixels(data, "train") - np.tile((scaled["train"] - mean) / std, (4, 1, 1, 1))
    # 275,968 draws: the deviation of their mean is 0.0002, that of their deviation 0.00013.
    assert float(noise.mean()) == pytest.approx(0, abs=0.001) and float(noise.std()) == pytest.approx(0.1, abs=0.0007)
    first, second = noise[: len(scaled["train"])].ravel(), noise[-len(scaled["train"]) :].ravel()
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.02


def test_without_noise_copies_are_the_image() -> None:
    data = build(times=2, noise=0.0)
    first, second = np.split(pixels(data, "train"), 2)
    assert np.array_equal(first, second)
    assert float(first.mean()) == pytest.approx(0, abs=1e-5) and float(first.std()) == pytest.approx(1, abs=1e-5)


def test_a_seed_gives_the_same_bits_in_chunks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    first, other = pixels(build(times=2, seed=5), "train"), pixels(build(times=2, seed=6), "train")
    monkeypatch.setattr(replicas, "CHUNK", 1000)
    assert np.array_equal(first, pixels(build(times=2, seed=5), "train"))
    assert not np.array_equal(first, other)
    plain = pixels(build(times=2, noise=0.0), "train")
    drawn = normal(5, "replicas", 0, torch.tensor([1500]), 64).numpy().reshape(1, 8, 8)
    assert np.allclose(first[1500], plain[1500] + 0.1 * drawn, atol=1e-6)


def test_colours_are_normalised_each_by_itself_and_floats_in_their_own_units(tmp_path: Path) -> None:
    values = normal(0, "images", 0, torch.arange(40), 3 * 4 * 4).numpy().reshape(40, 3, 4, 4)
    values = values * np.array([1, 20, 300], dtype=np.float32)[:, None, None] + np.float32(7)
    np.savez(tmp_path / "a.npz", x_train=values, y_train=np.arange(40) % 2)
    data = build(base="{name: npz, path: " + f"{tmp_path}/a.npz" + "}", noise=0)
    assert set(data.splits) == {"train"}
    assert np.allclose(pixels(data, "train").mean((0, 2, 3)), 0, atol=1e-5)
    assert np.allclose(pixels(data, "train").std((0, 2, 3)), 1, atol=1e-5)


def test_groups_of_the_base_stay_groups() -> None:
    train = build(base="{name: replicas, base: digits, times: 2}").splits["train"]
    assert train.groups is not None and np.array_equal(train.groups, np.tile(np.arange(1078), 6))


def test_validation_cut_from_copies_holds_no_copy_of_a_training_image(tmp_path: Path) -> None:
    arrays = DIGITS.splits["train"]
    np.savez(tmp_path / "a.npz", x_train=pixels(DIGITS, "train")[:, 0], y_train=arrays.labels)
    settings = DataSettings(normalization=Normalization(mean=[0.0], std=[1.0]), test_fraction=0)
    source = component(base="{name: npz, path: " + f"{tmp_path}/a.npz" + "}")
    data = prepare(settings, source, min_size=1, preferred_size=None, architecture="none")
    train, validation = data.splits["train"].groups, data.splits["validation"].groups
    assert train is not None and validation is not None and not set(train) & set(validation)
    assert (len(train), len(validation), len(set(validation))) == (2910, 324, 108)


def test_a_base_of_files_is_refused(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.zeros((4, 4), dtype=np.uint8)).save(tmp_path / name / "1.png")
    with pytest.raises(DataError, match="images in memory, and those of train are files") as caught:
        build(base="{name: folder, path: " + str(tmp_path) + "}")
    assert "data.base={name: npz" in str(caught.value)


def no_train(params: NoParams) -> SourceData:
    return SourceData(DIGITS.classes, {"test": DIGITS.splits["test"]})


def test_a_base_without_training_images_is_refused() -> None:
    spec = DataSourceSpec(name="no-train", factory=f"{__name__}:no_train", summary="test images alone")
    outer = component()
    base: Component[Any] = Component(spec, "no-train", NoParams(), outer.provenance)
    with pytest.raises(DataError, match="no train split to replicate"):
        replicas.build(type(outer.params)(base=base))


def test_what_the_base_lacks_is_said_with_settings_of_the_base(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read MNIST") as caught:
        build(base="{name: torchvision, dataset: MNIST, path: " + str(tmp_path) + "}")
    assert caught.value.hint == "data.base.path=ROOT, or data.base.download=true"


def test_mnist_is_repeated(tmp_path: Path) -> None:
    images, labels = np.arange(12 * 16).reshape(12, 4, 4), np.arange(12) % 10
    mnist.write(tmp_path, (images, labels), (images[:3], labels[:3]))
    data = build(base="{name: torchvision, dataset: MNIST, path: " + str(tmp_path) + "}")
    assert {name: len(split.labels) for name, split in data.splits.items()} == {"train": 36, "test": 3}


def of_arrays(tmp_path: Path, count: int = 40) -> Path:
    """Write an npz of noise in four classes without a validation split."""
    images = np.random.default_rng(0).integers(0, 256, (2 * count, 6, 6), np.uint8)
    labels = np.arange(2 * count) % 4
    path = tmp_path / "own.npz"
    np.savez(path, x_train=images[:count], y_train=labels[:count], x_test=images[count:], y_test=labels[count:])
    return path


def test_images_of_train_are_set_aside_for_validation_without_noise_or_copies(tmp_path: Path) -> None:
    base = f"{{name: npz, path: {of_arrays(tmp_path)}}}"
    data, plain = build(base=base, times=2, validation=8), build(base=base, times=1, validation=8, noise=0)
    train, aside = data.splits["train"], data.splits["validation"]
    assert pixels(data, "train").shape == (64, 1, 6, 6) and pixels(data, "validation").shape == (8, 1, 6, 6)
    assert np.bincount(aside.labels).tolist() == [2, 2, 2, 2] and np.bincount(train.labels).tolist() == [16] * 4
    assert aside.groups is None and train.groups is not None and np.array_equal(train.groups, np.tile(np.arange(32), 2))
    own = pixels(data, "validation")
    assert np.array_equal(pixels(plain, "validation"), own)
    # Each is one of the base's images, moved and scaled by the mean and deviation of those that were left.
    with np.load(of_arrays(tmp_path)) as arrays:
        whole, labels = arrays["x_train"].reshape(40, -1), arrays["y_train"]
    kept = pixels(plain, "train").reshape(32, -1)
    places = [np.corrcoef(part, whole)[: len(part), len(part) :].argmax(axis=1) for part in (own.reshape(8, -1), kept)]
    assert sorted(np.concatenate(places).tolist()) == list(range(40))
    assert labels[places[0]].tolist() == aside.labels.tolist()
    assert abs(kept.mean()) < 1e-5 and kept.std() == pytest.approx(1, abs=1e-5)
    again, other = build(base=base, validation=8), build(base=base, validation=8, seed=1)
    assert np.array_equal(pixels(again, "validation"), own)
    assert not np.array_equal(pixels(other, "validation"), own)


@pytest.mark.parametrize("count", [3, 37, 400])
def test_both_sides_of_what_is_set_aside_need_an_image_of_each_class(count: int, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{count} images of train cannot be set aside") as caught:
        build(base=f"{{name: npz, path: {of_arrays(tmp_path)}}}", validation=count)
    assert caught.value.hint == "data.validation=0"


def test_a_base_with_a_validation_split_keeps_it() -> None:
    with pytest.raises(DataError, match="cannot be set aside for validation"):
        build(validation=100)
