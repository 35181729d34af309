from __future__ import annotations

import math

import pytest
import torch
from fixtures.acquisitions import certain, distributions, ids, pool, turned
from torch import Tensor

from zoo.bases import Labeled
from zoo.testing.pool import MemoryPool
from zoo_acquisitions import distributions as blocks


def labeled(*counts: int) -> Labeled:
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    return Labeled(embeddings=torch.zeros(len(labels), 2).half(), labels=labels, class_counts=torch.tensor(counts))


def samples(log_p: Tensor, *counts: int, seed: int = 0) -> MemoryPool:
    return pool(log_probabilities=log_p, labeled=labeled(*counts), seed=seed)


def leaning(*classes: int, classes_in_all: int = 3, p: float = 0.7) -> Tensor:
    """Return predictions that give one class this probability and the others even shares of the rest."""
    rows = torch.full((len(classes), classes_in_all), (1 - p) / (classes_in_all - 1), dtype=torch.float64)
    return rows.scatter_(1, torch.tensor(classes)[:, None], p).log()


def objective(p: Tensor, counts: Tensor, k: int, weight: float) -> float:
    """Return what a batch of predictions `(b, C)` is worth, from the formula."""
    share = (float(counts.sum()) + k) / len(counts)
    short = (share - counts - p.sum(0)).clamp(min=0).sum()
    return float(-torch.xlogy(p, p).sum() / math.log(p.shape[1]) - weight * short)


def test_the_class_that_lacks_labels_is_preferred() -> None:
    log_p = leaning(0, 1, 2, 0, 1, 2, 0, 1, 2)
    assert set(ids("class-balanced", samples(log_p, 20, 20, 2), 3)) == {"0002", "0005", "0008"}
    assert set(ids("class-balanced", samples(log_p, 2, 20, 20), 3)) == {"0000", "0003", "0006"}
    assert set(ids("class-balanced", samples(log_p, 20, 0, 20), 3)) == {"0001", "0004", "0007"}


def test_a_rare_class_is_preferred_to_a_more_uncertain_sample_of_a_common_one() -> None:
    log_p = torch.cat([leaning(0, p=0.4), leaning(2, p=0.8)])
    assert ids("class-balanced", samples(log_p, 20, 20, 2), 1) == ["0001"]
    assert ids("class-balanced", samples(log_p, 14, 14, 14), 1) == ["0000"]


def test_where_nothing_is_labelled_the_batch_is_even() -> None:
    log_p = leaning(*[0] * 12, *[1] * 4, *[2] * 4, p=0.98)
    chosen = [int(i) for i in ids("class-balanced", samples(log_p, 0, 0, 0), 9, weight=10)]
    predicted = torch.bincount(log_p.argmax(1)[chosen], minlength=3)
    assert predicted.tolist() == [3, 3, 3]


def test_the_choice_is_the_greedy_one_of_the_formula() -> None:
    log_p, counts = distributions(25, 4, scale=2), torch.tensor([6, 1, 0, 3])
    for k, weight in ((1, 1.0), (8, 0.3), (8, 5.0), (25, 1.0)):
        chosen: list[int] = []
        for _ in range(k):
            left = [i for i in range(25) if i not in chosen]
            chosen.append(max(left, key=lambda i: objective(log_p[[*chosen, i]].exp(), counts, k, weight)))
        got = ids("class-balanced", samples(log_p, *counts.tolist()), k, weight=weight)
        assert got == [f"{i:04d}" for i in chosen]


def test_without_weight_it_is_entropy() -> None:
    log_p = distributions(40, 5)
    log_p[10:20] = log_p[10]  # ties too
    for seed in range(4):
        found = samples(log_p, 9, 0, 3, 3, 3, seed=seed)
        assert ids("class-balanced", found, 40, weight=0) == ids("entropy", found, 40)


def test_small_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = samples(distributions(40, 5), 9, 0, 3, 3, 3)
    whole = ids("class-balanced", found, 15)
    monkeypatch.setattr(blocks, "_ELEMENTS", 20)
    assert ids("class-balanced", found, 15) == whole


def test_certain_predictions_one_class_and_one_sample() -> None:
    for log_p, counts in (
        (certain(12, 4), [5, 0, 0, 0]),
        (torch.zeros(12, 1), [3]),
        (distributions(1, 3), [0, 0, 0]),
        (distributions(6, 1).expand(6, 4).log_softmax(1), [1, 2, 3, 4]),
    ):
        found = samples(log_p, *counts)
        assert sorted(ids("class-balanced", found, len(found))) == found.ids


def test_another_order_of_the_pool_gives_the_same_ids_copies_included() -> None:
    log_p = distributions(40, 5)
    log_p[10:20] = log_p[10]
    found = samples(log_p, 9, 0, 3, 3, 3)
    for k in (1, 12, 40):
        assert ids("class-balanced", turned(found), k) == ids("class-balanced", found, k)


def test_the_seed_decides_nothing_but_ties() -> None:
    log_p = distributions(40, 5)
    choices = [ids("class-balanced", samples(log_p, 9, 0, 3, 3, 3, seed=seed), 10) for seed in (0, 1)]
    assert choices[0] == choices[1]
    flat = [ids("class-balanced", samples(log_p[:1].expand(20, 5), 9, 0, 3, 3, 3, seed=seed), 20) for seed in (0, 1)]
    assert flat[0] != flat[1]
