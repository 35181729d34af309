from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

from zoo.active.selection import select
from zoo.bases import ScoreStrategy
from zoo.components import Component, Provenance
from zoo.errors import ComponentError
from zoo.testing.pool import MemoryPool
from zoo_acquisitions.plugin import zoo_acquisitions

SPECS = {spec.name: spec for spec in zoo_acquisitions()}
UNSURE = ("least-confidence", "margin", "entropy")


def strategy(name: str) -> ScoreStrategy:
    spec = SPECS[name]
    component: Component[Any] = Component(spec, name, spec.params(), Provenance("acquisitions", "zoo-vision", "0"))
    found = component.build()
    assert isinstance(found, ScoreStrategy)
    return found


def pool(probabilities: Tensor | list[list[float]], **fields: int) -> MemoryPool:
    log = torch.as_tensor(probabilities).log()
    ids = [f"{i:04d}" for i in range(len(log))]
    return MemoryPool(ids, {"log_probabilities": log}, frozenset({"log_probabilities"}), **fields)


def scores(name: str, probabilities: Tensor | list[list[float]], **fields: int) -> Tensor:
    samples = pool(probabilities, **fields)
    return strategy(name).score(samples, samples)


def softmax(rows: int, classes: int, scale: float = 3.0) -> Tensor:
    return (torch.randn(rows, classes, generator=torch.Generator().manual_seed(0)) * scale).softmax(1)


def test_the_plugin_announces_these() -> None:
    assert {name: spec.needs and set(spec.needs) for name, spec in SPECS.items()} == {
        "random": set(),
        "least-confidence": {"log_probabilities"},
        "margin": {"log_probabilities"},
        "entropy": None,
        "expected-gradient-length": {"log_probabilities", "embeddings"},
        "variation-ratio": {"mc_log_probabilities"},
        "mean-std": {"mc_log_probabilities"},
        "bald": {"mc_log_probabilities"},
        "power-bald": {"mc_log_probabilities"},
        "batch-bald": {"mc_log_probabilities"},
        "epig": {"mc_log_probabilities", "target"},
        "committee": {"committee"},
        "class-balanced": {"log_probabilities", "labeled"},
        "k-center": {"embeddings", "labeled"},
        "badge": {"embeddings", "log_probabilities"},
        "bait": {"embeddings", "log_probabilities", "labeled", "labeled_log_probabilities"},
        "cluster-margin": {"embeddings", "log_probabilities"},
        "typiclust": {"embeddings", "labeled"},
        "clue": {"embeddings", "log_probabilities"},
        "probcover": {"embeddings", "labeled"},
        "gate": None,
        "prefilter": None,
        "distinct": None,
    }


def test_entropy_by_hand() -> None:
    got = scores("entropy", [[0.5, 0.5, 0.0], [0.25, 0.25, 0.5], [1.0, 0.0, 0.0], [0.9, 0.1, 0.0]])
    expected = [math.log(2), 1.5 * math.log(2), 0.0, -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))]
    assert got.tolist() == pytest.approx(expected, abs=1e-6)


def test_margin_by_hand() -> None:
    got = scores("margin", [[0.5, 0.5, 0.0], [0.25, 0.25, 0.5], [1.0, 0.0, 0.0], [0.2, 0.1, 0.7]])
    assert got.tolist() == pytest.approx([1.0, 0.75, 0.0, 0.5], abs=1e-6)


@pytest.mark.parametrize("classes", [2, 3, 10, 1000])
def test_a_uniform_distribution_is_the_most_uncertain(classes: int) -> None:
    uniform = torch.full((1, classes), 1 / classes)
    assert float(scores("entropy", uniform)) == pytest.approx(math.log(classes), rel=1e-5)
    assert float(scores("margin", uniform)) == 1.0
    others = softmax(200, classes)
    assert bool((scores("entropy", others) < math.log(classes)).all())
    assert bool((scores("margin", others) < 1).all())


def test_entropy_is_scipys_and_margin_is_the_gap_of_the_sorted_probabilities() -> None:
    probabilities = softmax(300, 7).double()
    probabilities /= probabilities.sum(1, keepdim=True)
    first, second = probabilities.sort(dim=1, descending=True).values[:, :2].T
    assert torch.allclose(
        scores("entropy", probabilities), torch.from_numpy(stats.entropy(probabilities.numpy(), axis=1))
    )
    assert torch.allclose(scores("margin", probabilities), 1 - (first - second))


def test_in_two_classes_both_rank_alike() -> None:
    samples = pool(softmax(100, 2))
    assert select(strategy("entropy"), samples, 100) == select(strategy("margin"), samples, 100)


def test_entropy_and_margin_disagree_where_they_should() -> None:
    """Three classes at a third each beat a tie of two for entropy; for margin both are ties of the first two."""
    samples = pool([[0.49, 0.49, 0.02], [0.40, 0.31, 0.29]])
    assert select(strategy("entropy"), samples, 2) == [1, 0]
    assert select(strategy("margin"), samples, 2) == [0, 1]


@pytest.mark.parametrize("name", UNSURE)
def test_probabilities_of_exactly_nought_are_finite(name: str) -> None:
    certain = torch.eye(4)
    got = scores(name, certain)
    assert torch.equal(got, torch.zeros(4))
    extreme = torch.tensor([[0.0, -1e4, -200.0]]).log_softmax(1)
    samples = MemoryPool(["a"], {"log_probabilities": extreme}, frozenset({"log_probabilities"}))
    assert bool(strategy(name).score(samples, samples).isfinite().all())


def test_a_narrow_gap_keeps_its_digits() -> None:
    """The gap of two probabilities that differ by 1e-6 is 5e-7; single precision of 1 - 5e-7 holds it within 6e-8."""
    log = torch.tensor([[-math.log(2), -math.log(2) - 1e-6]])
    samples = MemoryPool(["a"], {"log_probabilities": log}, frozenset({"log_probabilities"}))
    assert 1 - float(strategy("margin").score(samples, samples).double()) == pytest.approx(5e-7, abs=7e-8)


@pytest.mark.parametrize("name", UNSURE)
def test_one_class_is_certain(name: str) -> None:
    assert scores(name, torch.ones(3, 1)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", ["random", *UNSURE])
def test_a_permuted_pool_gives_the_same_ids_ties_included(name: str) -> None:
    probabilities = softmax(60, 5)
    probabilities[20:40] = probabilities[20]
    samples = pool(probabilities, seed=3, round=2)
    chosen = [samples.ids[i] for i in select(strategy(name), samples, 45)]
    for shift in (1, 17, 59):
        turned = samples.taken(torch.arange(60).flip(0).roll(shift))
        assert [turned.ids[i] for i in select(strategy(name), turned, 45)] == chosen


def test_ties_of_scores_follow_the_seed_and_the_round() -> None:
    flat = torch.full((30, 4), 0.25)
    for name in UNSURE:
        choices = [select(strategy(name), pool(flat, seed=s, round=r), 30) for s, r in ((0, 0), (0, 1), (1, 0), (0, 0))]
        assert choices[0] == choices[3]
        assert choices[0] != choices[1] != choices[2] != choices[0]


def test_random_draws_follow_seed_round_and_id() -> None:
    flat = torch.full((500, 4), 0.25)
    first = scores("random", flat)
    assert torch.equal(first, scores("random", softmax(500, 4)))
    assert not torch.equal(first, scores("random", flat, seed=1))
    assert not torch.equal(first, scores("random", flat, round=1))
    assert first.dtype == torch.float64 and stats.kstest(first.numpy(), "uniform").pvalue > 1e-3


def test_random_takes_every_sample_equally_often() -> None:
    flat = torch.full((10, 2), 0.5)
    taken = torch.tensor([select(strategy("random"), pool(flat, seed=seed), 3) for seed in range(300)])
    counts = torch.bincount(taken.flatten(), minlength=10)
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


def test_nothing_but_the_announced_need_is_read() -> None:
    samples = MemoryPool(["a"], {"log_probabilities": torch.zeros(1, 1)}, frozenset())
    assert select(strategy("random"), samples, 1) == [0]
    for name in UNSURE:
        with pytest.raises(ComponentError, match="reads 'log_probabilities', which its `needs` does not name"):
            select(strategy(name), samples, 1)
