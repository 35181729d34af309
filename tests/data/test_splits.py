from __future__ import annotations

import numpy as np
import pytest

from zoo.data.splits import apportion, cut, subset

COUNTS = [100, 50, 7, 2, 1]
LABELS = np.repeat(np.arange(5), COUNTS).astype(np.int64)
SAMPLES = np.arange(len(LABELS))


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5, 0.9])
def test_a_cut_is_stratified_and_leaves_every_class_in_both_parts(fraction: float) -> None:
    mask = cut(LABELS, SAMPLES, fraction, seed=0, name="validation")
    part = np.bincount(LABELS[mask], minlength=5)
    assert part[4] == 0
    assert (part[:4] >= 1).all() and (part[:4] < COUNTS[:4]).all()
    assert part[0] == pytest.approx(100 * fraction, abs=1.5)
    assert mask.sum() == max(4, round(160 * fraction)) or fraction == 0.9


def test_a_cut_is_a_function_of_seed_name_and_sample() -> None:
    first = cut(LABELS, SAMPLES, 0.3, seed=0, name="validation")
    assert np.array_equal(first, cut(LABELS, SAMPLES, 0.3, seed=0, name="validation"))
    assert not np.array_equal(first, cut(LABELS, SAMPLES, 0.3, seed=1, name="validation"))
    assert not np.array_equal(first, cut(LABELS, SAMPLES, 0.3, seed=0, name="test"))
    mixed = np.random.default_rng(0).permutation(len(LABELS))
    assert np.array_equal(first[mixed], cut(LABELS[mixed], SAMPLES[mixed], 0.3, seed=0, name="validation"))


@pytest.mark.parametrize("size", [5, 6, 31, 159, 160])
def test_a_subset_has_exactly_its_size_and_every_class(size: int) -> None:
    mask = subset(LABELS, SAMPLES, size, seed=0, name="train-size")
    assert mask.sum() == size
    assert (np.bincount(LABELS[mask], minlength=5) >= 1).all()


def test_a_larger_subset_of_equal_classes_holds_the_smaller() -> None:
    labels = np.repeat(np.arange(4), 25).astype(np.int64)
    small, large = (subset(labels, np.arange(100), size, seed=3, name="train-size") for size in (20, 40))
    assert (large & small).sum() == 20


def test_shares_are_the_largest_remainders() -> None:
    counts = np.array([50, 30, 20])
    assert apportion(counts, 7, low=np.zeros(3, int), high=counts).tolist() == [4, 2, 1]
    assert apportion(counts, 0, low=np.zeros(3, int), high=counts).tolist() == [0, 0, 0]
