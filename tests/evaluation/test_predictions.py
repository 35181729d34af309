from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.data.augment import Preprocess
from zoo.data.dataset import Dataset
from zoo.data.loader import Batch, Loader
from zoo.errors import DataError
from zoo.evaluation import columns
from zoo.evaluation.predictions import Predictions, Saved, predict
from zoo.training.events import Evaluating
from zoo.training.reading import prepare_data

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


class Faulty(Loader):
    """Delivers one batch too few, or one twice."""

    change = "missing"

    def evaluation(self) -> Iterator[Batch]:
        batches = list(super().evaluation())
        yield from batches[:-1] if self.change == "missing" else [*batches, batches[0]]


@pytest.mark.parametrize("change", ["missing", "twice"])
def test_a_sample_that_is_missing_or_counted_twice_is_refused(dataset: Dataset, change: str) -> None:
    loader = Faulty(dataset, "test", device=CPU, batch_size=200, workers=0, memory_limit=2048)
    loader.change = change
    with pytest.raises(DataError, match="for the 359 samples of test: each must be counted once"):
        list(reports(loader))


def saved(folder: Path) -> tuple[Predictions, Path]:
    rows = Predictions("test", np.array([4, 7]), np.array([1, 0]), np.array([[0.5, 2.0], [3.0, -1.0]], np.float32))
    rows.save(folder / "test.npz", ["a", "b#2"], ("cat", "dog, wét"))
    return rows, folder / "test.npz"


def test_rows_are_saved_without_pickles(tmp_path: Path) -> None:
    rows, path = saved(tmp_path)
    archive = np.load(path, allow_pickle=False)
    assert archive["ids"].tolist() == [b"a", b"b#2"] and archive["classes"].tolist() == ["cat", "dog, wét"]
    assert archive["logits"].dtype == np.float32 and np.array_equal(archive["logits"], rows.logits)


@pytest.mark.parametrize("in_memory", [True, False])
def test_saved_rows_are_read_back(tmp_path: Path, in_memory: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, path = saved(tmp_path)
    if not in_memory:
        monkeypatch.setattr(columns, "IN_MEMORY", 0)
    found = Saved.load(path)
    assert isinstance(found.predictions.logits, np.memmap) is not in_memory
    assert found.ids.tolist() == [b"a", b"b#2"] and found.classes == ("cat", "dog, wét")
    for name in ("samples", "labels", "logits"):
        assert np.array_equal(getattr(found.predictions, name), getattr(rows, name))


def test_a_damaged_or_missing_file_is_told(tmp_path: Path) -> None:
    _, path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="damaged"):
        Saved.load(path)
    with pytest.raises(DataError, match="no predictions"):
        Saved.load(tmp_path / "train.npz")
