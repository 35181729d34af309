"""The figures here are those of the package mnist1d 0.0.2.post1 with its own settings and seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks import mnist1d_data

import zoo
from zoo.training.reading import prepare_data

Arrays = dict[str, np.ndarray[Any, Any]]


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return dict(mnist1d_data.arrays())


def test_train_and_test_are_the_packages(arrays: Arrays) -> None:
    assert arrays["x_train"].shape == (4000, 1, 1, 40) and arrays["x_test"].shape == (1000, 1, 1, 40)
    assert arrays["x_train"][0, 0, 0, :4] == pytest.approx([-0.332006, -0.47191, -0.778697, -1.009741], abs=1e-6)
    assert arrays["x_test"][-1, 0, 0, -4:] == pytest.approx([0.447233, 0.659876, 0.877734, 1.193152], abs=1e-6)
    assert np.square(arrays["x_train"].astype(np.float64)).sum() == pytest.approx(159248.2539, abs=0.01)
    assert arrays["y_train"][:12].tolist() == [2, 6, 4, 5, 6, 6, 6, 0, 3, 1, 6, 9]
    assert arrays["y_test"][-6:].tolist() == [1, 2, 5, 9, 6, 4]


def test_train_and_test_together_are_standardised_and_hold_as_many_of_each_digit(arrays: Arrays) -> None:
    both = np.concatenate([arrays["x_train"], arrays["x_test"]]).astype(np.float64)
    assert (both.mean(), both.std()) == pytest.approx((0, 1), abs=1e-6)
    assert np.bincount(np.concatenate([arrays["y_train"], arrays["y_test"]])).tolist() == [500] * 10


def test_validation_is_of_the_same_law_and_in_no_other_split(arrays: Arrays) -> None:
    validation, train = arrays["x_validation"][:, 0, 0], arrays["x_train"][:, 0, 0]
    assert np.bincount(arrays["y_validation"]).tolist() == [100] * 10
    assert (validation.mean(), validation.std()) == pytest.approx((0, 1), abs=0.05)
    others = {row.tobytes() for row in np.concatenate([train, arrays["x_test"][:, 0, 0]])}
    assert len(others) == 5000 and not any(row.tobytes() in others for row in validation)
    assert np.allclose(validation.std(axis=0), train.std(axis=0), atol=0.15)


def test_the_file_is_read_as_signals_with_all_three_splits() -> None:
    mnist1d_data.write(Path("here/mnist1d.npz"))
    dataset = prepare_data(zoo.resolve("mnist1d-cnn", data="here/mnist1d.npz"))
    assert {name: len(split) for name, split in dataset.splits.items()} == {
        "train": 4000,
        "validation": 1000,
        "test": 1000,
    }
    assert (dataset.channels, dataset.size, dataset.dtype) == (1, (1, 40), "float32")
    assert dataset.classes == tuple("0123456789")
