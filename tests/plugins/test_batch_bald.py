from __future__ import annotations

from itertools import combinations, product

import pytest
import torch
from fixtures.acquisitions import certain, distributions, ids, pool, scores, turned
from torch import Tensor

from zoo.training.randomness import uniform_ids
from zoo_acquisitions.batch_bald import Labelings

EXACT = {"exact": 1_000_000}


def brute(p: Tensor) -> float:
    """Return the mutual information of the labels of samples `(b, T, C)` with the weights, from the table of all labelings."""
    b, passes, classes = p.shape
    table = [
        sum(float(torch.stack([p[i, t, y[i]] for i in range(b)]).prod()) for t in range(passes)) / passes
        for y in product(range(classes), repeat=b)
    ]
    joint = torch.tensor(table, dtype=torch.float64)
    return float(-torch.xlogy(joint, joint).sum() + torch.xlogy(p, p).sum(2).mean(1).sum())


def nothing(passes: int) -> Labelings:
    return Labelings.of_nothing(passes, torch.device("cpu"))


def draws(seed: int, count: int) -> Tensor:
    return uniform_ids(seed, "test", 0, ["a"], 2 * count).view(count, 2)


def test_exact_scores_of_all_subsets_are_those_of_the_table_of_labelings() -> None:
    p = distributions(5, 4, 3).exp()
    for size in range(1, 6):
        for subset in combinations(range(5), size):
            labelings, score = nothing(4), 0.0
            for i in subset:
                score += float(labelings.information(p[i : i + 1]))
                labelings = labelings.extended(p[i])
            assert score == pytest.approx(brute(p[list(subset)]), abs=1e-10)
            assert float(labelings.weights.sum()) == pytest.approx(1)


def test_the_choice_is_the_greedy_one_of_the_table() -> None:
    log_p = distributions(6, 4, 3)
    chosen: list[int] = []
    for _ in range(5):
        left = [i for i in range(6) if i not in chosen]
        chosen.append(max(left, key=lambda i: brute(log_p[[*chosen, i]].exp())))
    samples = pool(mc_log_probabilities=log_p)
    for k in range(1, 6):
        assert ids("batch-bald", samples, k, **EXACT) == [f"{i:04d}" for i in chosen[:k]]


def test_drawn_labelings_estimate_the_exact_score() -> None:
    p = distributions(5, 6, 3, scale=1.5).exp()
    exact = brute(p) - brute(p[:4])
    estimates = []
    for seed in range(60):
        labelings = nothing(6).extended(p[0])
        for i in range(1, 4):
            labelings = labelings.sampled(p[i], draws(1000 * seed + i, 200))
        estimates.append(labelings.information(p[4:]))
    found = torch.cat(estimates)
    assert abs(float(found.mean()) - exact) < 3 * float(found.std()) / 60**0.5
    assert float(found.std()) < 0.1 * exact


def test_as_many_drawn_labelings_as_there_are_go_on_each_once() -> None:
    labelings = nothing(4).sampled(distributions(4, 3).exp(), draws(0, 64))
    certainly = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64).expand(4, 3)
    assert torch.allclose(labelings.sampled(certainly, draws(1, 64)).posterior, labelings.posterior)


@pytest.mark.parametrize("limits", [{"exact": 1_000_000}, {"exact": 1, "samples": 50}])
def test_no_sample_takes_anything_from_a_batch_and_gains_fall(limits: dict[str, int]) -> None:
    p = distributions(8, 5, 3).exp()
    labelings, before = nothing(5), torch.full((8,), torch.inf, dtype=torch.float64)
    for i in range(6):
        gains = labelings.information(p)
        assert bool((gains >= 0).all())
        if "samples" not in limits:
            assert bool((gains <= before + 1e-12).all())
        before = gains
        labelings = labelings.sampled(p[i], draws(i, 50)) if "samples" in limits else labelings.extended(p[i])


def test_the_first_is_that_of_bald_and_all_first_gains_are_its_scores() -> None:
    log_p = distributions(50, 8, 4)
    samples = pool(mc_log_probabilities=log_p)
    bald = scores("bald", samples)
    assert torch.allclose(nothing(8).information(log_p.exp()), bald, atol=1e-12)
    for limits in (EXACT, {"exact": 1, "samples": 7}):
        assert ids("batch-bald", samples, 1, **limits) == ids("bald", samples, 1)


@pytest.mark.parametrize("seed", range(8))
def test_the_first_of_copies_is_that_of_bald(seed: int) -> None:
    """In single precision, where what is near to one another is not a tie, and where all passes agree."""
    log_p = distributions(40, 8, 4).float()
    best = int(scores("bald", pool(mc_log_probabilities=log_p)).argmax())
    log_p[::4] = log_p[best].clone()
    for rows in (log_p, log_p[:, :1].expand(-1, 8, -1)):
        samples = pool(mc_log_probabilities=rows, seed=seed, round=seed % 3)
        for settings in (EXACT, {"exact": 1, "samples": 7}, {"candidates": 3}):
            assert ids("batch-bald", samples, 1, **settings) == ids("bald", samples, 1)
            assert ids("batch-bald", samples, 5, **settings)[0] == ids("bald", samples, 5)[0]


def test_copies_of_the_best_sample_are_not_taken_as_bald_takes_them() -> None:
    log_p = distributions(12, 6, 3)
    best = int(scores("bald", pool(mc_log_probabilities=log_p)).argmax())
    samples = pool(mc_log_probabilities=torch.cat([log_p, log_p[best : best + 1].expand(4, 6, 3)]))
    copies = {f"{i:04d}" for i in (best, 12, 13, 14, 15)}
    assert set(ids("bald", samples, 5)) == copies
    assert len(copies & set(ids("batch-bald", samples, 5))) < 3


def test_only_the_candidates_of_the_highest_bald_are_looked_at() -> None:
    samples = pool(mc_log_probabilities=distributions(40, 6, 3))
    best = set(ids("bald", samples, 10))
    assert set(ids("batch-bald", samples, 10, candidates=10)) == best
    assert set(ids("batch-bald", samples, 10, candidates=3)) == best
    assert set(ids("batch-bald", samples, 5, candidates=10)) < best
    assert ids("batch-bald", samples, 10, candidates=40) == ids("batch-bald", samples, 10)


def test_large_batches_of_many_classes_neither_underflow_nor_repeat() -> None:
    """A product of 60 probabilities near e^-10 is below the smallest float64."""
    log_p = distributions(60, 4, 30, scale=8)
    labelings = nothing(4)
    for p in log_p.exp():
        labelings = labelings.sampled(p, draws(0, 20))
    assert bool(labelings.posterior.isfinite().all())
    assert torch.allclose(labelings.posterior.sum(0), torch.ones(20, dtype=torch.float64))
    samples = pool(mc_log_probabilities=log_p)
    assert sorted(ids("batch-bald", samples, 60, samples=20)) == samples.ids


@pytest.mark.parametrize("exact", [1, 100])
def test_certain_passes_one_pass_one_class_and_one_sample(exact: int) -> None:
    for log_p in (certain(12, 5, 4), distributions(12, 1, 4), torch.zeros(12, 5, 1), distributions(1, 5, 4)):
        samples = pool(mc_log_probabilities=log_p)
        assert sorted(ids("batch-bald", samples, len(samples), exact=exact, samples=8)) == samples.ids


@pytest.mark.parametrize("limits", [EXACT, {"exact": 20, "samples": 30}, {"candidates": 9}])
def test_another_order_of_the_pool_gives_the_same_ids_copies_included(limits: dict[str, int]) -> None:
    log_p = distributions(30, 6, 3)
    log_p[10:14] = log_p[10]
    samples = pool(mc_log_probabilities=log_p, seed=3, round=1)
    for k in (1, 6):
        assert ids("batch-bald", turned(samples), k, **limits) == ids("batch-bald", samples, k, **limits)


def test_drawn_labelings_follow_the_seed_and_the_round() -> None:
    log_p = distributions(60, 6, 4)
    choices = [
        ids("batch-bald", pool(mc_log_probabilities=log_p, seed=s, round=r), 20, exact=1, samples=5)
        for s, r in ((0, 0), (0, 1), (1, 0), (0, 0))
    ]
    assert choices[0] == choices[3]
    assert choices[0] != choices[1] != choices[2] != choices[0]
