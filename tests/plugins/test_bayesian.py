from __future__ import annotations

import math

import pytest
import torch
from fixtures.acquisitions import by_blocks, certain, distributions, ids, pool, scores, turned
from scipy import stats
from torch import Tensor

from zoo.testing.pool import MemoryPool

NAMES = ("variation-ratio", "mean-std", "bald", "power-bald")
DISAGREEMENT = ("mean-std", "bald")


def passes(log_p: Tensor | list[list[list[float]]], seed: int = 0, round: int = 0) -> MemoryPool:
    return pool(mc_log_probabilities=torch.as_tensor(log_p), seed=seed, round=round)


def probabilities(rows: list[list[list[float]]]) -> MemoryPool:
    return passes(torch.tensor(rows, dtype=torch.float64).log())


TWO = [[[0.6, 0.4, 0.0], [0.2, 0.8, 0.0]], [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]]


def test_the_variation_ratio_by_hand() -> None:
    assert scores("variation-ratio", probabilities(TWO)).tolist() == pytest.approx([0.4, 0, 0.5])
    three = probabilities([[[0.6, 0.4], [0.6, 0.4], [0.0, 1.0]], [[0.5, 0.5], [0.5, 0.5], [0.0, 1.0]]])
    assert scores("variation-ratio", three).tolist() == pytest.approx([0.4, 1 / 3])
    assert scores("variation-ratio", three, of="votes").tolist() == pytest.approx([1 / 3, 1 / 3])


def test_a_tie_within_a_pass_is_a_vote_for_the_lowest_class() -> None:
    agreed = probabilities([[[0.4, 0.4, 0.2], [0.5, 0.3, 0.2]], [[0.2, 0.4, 0.4], [0.1, 0.0, 0.9]]])
    assert scores("variation-ratio", agreed, of="votes").tolist() == [0, 0.5]


def test_votes_are_scipys_mode() -> None:
    log_p = distributions(50, 9, 4)
    modal = stats.mode(log_p.argmax(2).numpy(), axis=1).count
    assert scores("variation-ratio", passes(log_p), of="votes").tolist() == pytest.approx((1 - modal / 9).tolist())


def test_the_standard_deviation_by_hand_and_by_the_papers_formula() -> None:
    assert scores("mean-std", probabilities(TWO)).tolist() == pytest.approx([0.4 / 3, 0, 1 / 3])
    p = distributions(40, 7, 5).exp()
    expected = (p.square().mean(1) - p.mean(1).square()).sqrt().mean(1)
    assert torch.allclose(scores("mean-std", passes(p.log())), expected)


def test_bald_by_hand() -> None:
    mean = -(0.4 * math.log(0.4) + 0.6 * math.log(0.6))
    each = -(0.6 * math.log(0.6) + 0.4 * math.log(0.4) + 0.2 * math.log(0.2) + 0.8 * math.log(0.8)) / 2
    expected = [mean - each, 0, math.log(2)]
    assert scores("bald", probabilities(TWO)).tolist() == pytest.approx(expected, abs=1e-12)


def test_bald_is_the_mean_divergence_of_passes_from_their_mean() -> None:
    p = distributions(30, 6, 4).exp()
    expected = stats.entropy(p.numpy(), p.mean(1, keepdim=True).numpy(), axis=2).mean(1)
    assert scores("bald", passes(p.log())).tolist() == pytest.approx(expected.tolist())


def test_bald_is_not_the_entropy_of_the_mean() -> None:
    """Passes that agree on doubt tell nothing of the weights; passes that contradict each other do."""
    agreed, opposed = [[0.5, 0.5], [0.5, 0.5]], [[0.9, 0.1], [0.2, 0.8]]
    samples = probabilities([agreed, opposed])
    assert ids("bald", samples, 2) == ["0001", "0000"]
    assert ids("variation-ratio", samples, 2) == ["0000", "0001"]
    assert float(scores("bald", samples)[0]) == 0


@pytest.mark.parametrize("passes_of", [2, 3, 7, 20, 100])
@pytest.mark.parametrize("classes", [2, 10])
def test_bald_of_identical_passes_is_nought(passes_of: int, classes: int) -> None:
    """They would win over one another, and over passes without doubt, by their rounding otherwise."""
    for scale in (0.1, 3, 40):
        same = distributions(2000, 1, classes, scale=scale).float().expand(2000, passes_of, classes)
        assert torch.equal(scores("bald", passes(same)), torch.zeros(2000, dtype=torch.float64))
        assert torch.equal(scores("committee", pool(committee=same)), torch.zeros(2000, dtype=torch.float64))


def test_a_little_disagreement_of_the_nearly_certain_is_not_nought() -> None:
    log_p = torch.tensor([[[0.0, -24], [0, -26]], [[0, -27], [0, -30]]], dtype=torch.float64)
    p = log_p.log_softmax(2)[:, :, 1].exp()
    expected = torch.xlogy(p, p).mean(1) - torch.xlogy(p.mean(1), p.mean(1))
    assert torch.allclose(scores("bald", passes(log_p)), expected, rtol=1e-3, atol=0)


def test_the_variation_ratio_keeps_its_digits_near_certainty() -> None:
    gaps = torch.arange(5.0, 40.0, 0.5)
    log_p = torch.stack([torch.zeros_like(gaps), -gaps], dim=1).log_softmax(1)
    found = scores("variation-ratio", passes(log_p[:, None].expand(-1, 4, -1)))
    assert torch.allclose(found, torch.sigmoid(-gaps.double()), rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", DISAGREEMENT)
def test_identical_passes_disagree_by_nothing(name: str) -> None:
    for scale in (0.1, 3, 40):
        same = distributions(50, 1, 7, scale=scale).float().expand(50, 20, 7)
        got = scores(name, passes(same))
        assert bool((got >= 0).all()) and float(got.max()) < 1e-12
    assert float(scores(name, passes(distributions(50, 1, 7))).max()) < 1e-12


def test_bald_in_single_precision_is_that_of_normalised_rows() -> None:
    log_p = distributions(200, 20, 10, scale=5)
    assert torch.allclose(scores("bald", passes(log_p.float())), scores("bald", passes(log_p)), atol=1e-6)
    assert bool((scores("bald", passes(log_p.float())) >= 0).all())


def test_the_order_of_passes_and_of_classes_does_not_matter() -> None:
    log_p = distributions(20, 6, 4)
    for name in ("variation-ratio", *DISAGREEMENT):
        assert torch.allclose(scores(name, passes(log_p)), scores(name, passes(log_p.flip(1))))
        assert torch.allclose(scores(name, passes(log_p)), scores(name, passes(log_p.flip(2))))


def test_a_large_power_ranks_like_bald_and_no_power_ignores_it() -> None:
    samples = passes(distributions(60, 8, 4))
    assert ids("power-bald", samples, 60, power=1e6) == ids("bald", samples, 60)
    other = passes(distributions(60, 8, 4, seed=1))
    assert ids("power-bald", samples, 60, power=0) == ids("power-bald", other, 60, power=0)
    assert ids("power-bald", samples, 20) != ids("bald", samples, 20)


@pytest.mark.parametrize("power", [0.5, 1, 2])
def test_draws_are_in_proportion_to_a_power_of_bald(power: float) -> None:
    log_p = distributions(5, 6, 3)
    chances = scores("bald", passes(log_p)) ** power
    chances /= chances.sum()
    pairs = [ids("power-bald", passes(log_p, seed=s), 2, power=power) for s in range(400)]
    drawn = torch.bincount(torch.tensor([int(first) for first, _ in pairs]), minlength=5)
    assert stats.chisquare(drawn.numpy(), (400 * chances).numpy()).pvalue > 1e-3
    # Without replacement: the second is drawn from the others in the same proportion.
    second = sum(chances[first] * chances / (1 - chances[first]) * (torch.arange(5) != first) for first in range(5))
    drawn = torch.bincount(torch.tensor([int(second) for _, second in pairs]), minlength=5)
    assert stats.chisquare(drawn.numpy(), (400 * second).numpy()).pvalue > 1e-3


def test_draws_follow_the_seed_and_the_round_and_take_nought_last() -> None:
    log_p = distributions(30, 8, 4)
    log_p[:10] = log_p[:10, :1]
    choices = [ids("power-bald", passes(log_p, s, r), 30) for s, r in ((0, 0), (0, 1), (1, 0), (0, 0))]
    assert choices[0] == choices[3]
    assert choices[0] != choices[1] != choices[2] != choices[0]
    assert all(set(chosen[20:]) == {f"{i:04d}" for i in range(10)} for chosen in choices)


@pytest.mark.parametrize("name", NAMES)
def test_certain_passes_one_pass_and_one_class_give_finite_scores(name: str) -> None:
    for log_p in (certain(12, 5, 4), distributions(12, 1, 4), torch.zeros(12, 5, 1), distributions(1, 5, 4)):
        samples = passes(log_p)
        assert bool(scores(name, samples).isfinite().all())
        assert sorted(ids(name, samples, len(samples))) == samples.ids


@pytest.mark.parametrize("name", NAMES)
def test_scores_are_the_same_in_blocks_and_choices_in_another_order(name: str) -> None:
    samples = passes(distributions(40, 6, 4), seed=2, round=1)
    whole = by_blocks(name, samples, 1)
    assert all(torch.equal(by_blocks(name, samples, blocks), whole) for blocks in (2, 3))
    chosen = ids(name, samples, 40)
    for k in (1, 11, 40):
        assert ids(name, turned(samples), k) == chosen[:k]
