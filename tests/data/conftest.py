from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from zoo.components import Component, Provenance
from zoo.data.dataset import Dataset, prepare
from zoo.recipe import DataSettings
from zoo_data_sources.plugin import zoo_data_sources

SPECS = {spec.name: spec for spec in zoo_data_sources()}


@pytest.fixture
def source() -> Callable[..., Component[Any]]:
    """Return a function that gives a data source by name with its parameters."""

    def component(name: str, **params: Any) -> Component[Any]:
        spec = SPECS[name]
        return Component(spec, spec.name, spec.params(**params), Provenance("data-sources", "zoo-vision", "0"))

    return component


@pytest.fixture
def dataset(source: Callable[..., Component[Any]]) -> Callable[..., Dataset]:
    """Return a function that prepares a source for an architecture without wishes."""

    def prepared(name: str, settings: DataSettings | None = None, **params: Any) -> Dataset:
        settings = settings or DataSettings()
        return prepare(settings, source(name, **params), min_size=1, preferred_size=None, architecture="none")

    return prepared


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder of digits as colour files of 40×32 px: train with 12 files a class, validation and test with 4."""
    data = load_digits()
    root = tmp_path / "photos"
    for label in range(3):
        images = data.images[data.target == label]
        for split, low, high in (("train", 0, 12), ("validation", 12, 16), ("test", 16, 20)):
            folder = root / split / f"digit {label}"
            folder.mkdir(parents=True)
            for number in range(low, high):
                grey = np.kron(images[number], np.ones((5, 4))).astype(np.uint8) * 15
                pixels = np.stack([grey, grey // 2, 255 - grey], axis=-1)
                Image.fromarray(pixels).save(folder / f"{number:02}.{'jpg' if number % 2 else 'png'}")
    return root


@pytest.fixture
def train_only(photos: Path) -> Path:
    """Return a folder of class folders without splits."""
    for split in ("validation", "test"):
        shutil.rmtree(photos / split)
    return photos / "train"


@pytest.fixture
def save_arrays(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes 90 grey images of three classes, each filled with its index, and what it is given."""

    def save(**more: Any) -> Path:
        pixels = np.repeat(np.arange(90, dtype=np.uint8), 36).reshape(90, 6, 6)
        path = tmp_path / "arrays.npz"
        np.savez(path, **{"x_train": pixels, "y_train": np.arange(90) % 3, **more})
        return path

    return save
