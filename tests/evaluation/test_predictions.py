from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.data.augment import Preprocess
from zoo.data.dataset import Dataset
from zoo.data.loader import Loader
from zoo.errors import DataError
from zoo.evaluation.predictions import Predictions, predict
from zoo.training.events import Evaluating
from zoo.training.experiment import prepare_data

CPU = torch.device("cpu")


class Echo(nn.Module):
    """Gives the sums of the upper and the lower half of each image as two logits."""

    def forward(self, images: Tensor) -> Tensor:
        assert not self.training
        return torch.stack([images[:, :, :4].sum((1, 2, 3)), images[:, :, 4:].sum((1, 2, 3))], dim=1)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return prepare_data(zoo.resolve("conv-net-momentum"))


def reading(dataset: Dataset, batch_size: int) -> Loader:
    return Loader(dataset, "test", device=CPU, batch_size=batch_size, workers=0, memory_limit=2048)


def reports(loader: Loader, precision: str = "fp32") -> Generator[Evaluating, None, Predictions]:
    plain = Preprocess((0.0,), (1.0,))
    return predict(Echo().train(), loader, plain, split="test", device=CPU, precision=precision)


def predicted(dataset: Dataset, batch_size: int, precision: str = "fp32") -> tuple[Predictions, list[int]]:
    """Return the predictions of Echo on the test split, and how many samples were done at each report."""
    steps, done = reports(reading(dataset, batch_size), precision), []
    while True:
        try:
            done.append(next(steps).done)
        except StopIteration as stop:
            return stop.value, done


@pytest.mark.parametrize("batch_size", [1000, 100, 7])
def test_every_sample_has_its_row_in_the_order_of_the_source(dataset: Dataset, batch_size: int) -> None:
    rows, done = predicted(dataset, batch_size)
    split = dataset.splits["test"]
    assert len(rows) == len(split) == done[-1] and done == sorted(done)
    assert np.array_equal(rows.samples, split.samples) and np.array_equal(rows.labels, split.labels)
    images = split.pixels(dataset.size, 0).astype(np.float64) / 255
    expected = np.stack([images[:, 0, :4].sum((1, 2)), images[:, 0, 4:].sum((1, 2))], axis=1)
    assert rows.logits.dtype == np.float32 and np.allclose(rows.logits, expected, atol=1e-4)


def test_low_precision_changes_the_forward_and_not_the_type_of_the_rows(dataset: Dataset) -> None:
    rows, _ = predicted(dataset, 1000, "bf16")
    assert rows.logits.dtype == np.float32 and np.isfinite(rows.logits).all()


@pytest.mark.parametrize("change", ["missing", "twice"])
def test_a_sample_that_is_missing_or_counted_twice_is_refused(dataset: Dataset, change: str) -> None:
    """The loader has begun to read when its split changes under it."""
    loader = reading(dataset, 200)
    steps, whole = reports(loader), loader.split.samples
    next(steps)
    loader.split.samples = np.append(whole, [9999]) if change == "missing" else whole[:-1]
    try:
        with pytest.raises(DataError, match="for the 359 samples of test: each must be counted once"):
            list(steps)
    finally:
        loader.split.samples = whole


def test_rows_are_saved_without_pickles(tmp_path: Path) -> None:
    rows = Predictions("test", np.array([4, 7]), np.array([1, 0]), np.array([[0.5, 2.0], [3.0, -1.0]], np.float32))
    rows.save(tmp_path / "test.npz", ["aé", "b#2"], ("cat", "dog, wet"))
    saved = np.load(tmp_path / "test.npz", allow_pickle=False)
    assert saved["ids"].tolist() == ["aé", "b#2"] and saved["classes"].tolist() == ["cat", "dog, wet"]
    assert np.array_equal(saved["samples"], rows.samples) and np.array_equal(saved["labels"], rows.labels)
    assert saved["logits"].dtype == np.float32 and np.array_equal(saved["logits"], rows.logits)
