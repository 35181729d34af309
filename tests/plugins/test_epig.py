from __future__ import annotations

import math

import pytest
import torch
from fixtures.acquisitions import by_blocks, certain, distributions, ids, pool, scores, turned
from torch import Tensor

from zoo.errors import ComponentError
from zoo_acquisitions import distributions as blocks


def naive(log_p: Tensor, target: Tensor) -> list[float]:
    """Return the scores sample by sample and target by target, from the definition of mutual information."""
    found = []
    for sample in log_p.exp():
        total = 0.0
        for other in target.exp():
            joint = torch.stack([torch.outer(a, b) for a, b in zip(sample, other, strict=True)]).mean(0)
            apart = torch.outer(sample.mean(0), other.mean(0))
            total += float((joint * (joint / apart).log()).sum())
        found.append(total / len(target))
    return found


def test_it_is_the_mean_of_all_pairs() -> None:
    log_p, target = distributions(9, 6, 4), distributions(7, 6, 4, seed=1)
    got = scores("epig", pool(mc_log_probabilities=log_p, target=target))
    assert got.tolist() == pytest.approx(naive(log_p, target), abs=1e-12)


def test_small_blocks_of_pool_and_targets_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = pool(mc_log_probabilities=distributions(9, 6, 4), target=distributions(7, 6, 4, seed=1))
    whole = scores("epig", samples)
    monkeypatch.setattr(blocks, "_ELEMENTS", 64)  # two samples beside two target inputs
    assert torch.allclose(scores("epig", samples), whole, atol=1e-14)


def test_passes_that_decide_both_labels_share_one_bit_and_others_share_nothing() -> None:
    sides, agreed = [[1.0, 0.0], [0.0, 1.0]], [[0.5, 0.5], [0.5, 0.5]]
    target = torch.tensor([sides]).log()
    samples = pool(mc_log_probabilities=torch.tensor([sides, agreed, sides[::-1]]).log(), target=target)
    assert scores("epig", samples).tolist() == pytest.approx([math.log(2), 0, math.log(2)], abs=1e-12)
    other = pool(mc_log_probabilities=torch.tensor([sides]).log(), target=torch.tensor([agreed]).log())
    assert scores("epig", other).tolist() == pytest.approx([0], abs=1e-12)


def test_what_tells_of_weights_that_no_target_depends_on_is_not_asked() -> None:
    """Passes 0, 1 differ from 2, 3 in the first sample, 0, 2 from 1, 3 in the second; the target follows the second."""
    first = [[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]]
    second = [[0.8, 0.2], [0.2, 0.8], [0.8, 0.2], [0.2, 0.8]]
    samples = pool(mc_log_probabilities=torch.tensor([first, second]).log(), target=torch.tensor([second]).log())
    assert ids("epig", samples, 2) == ["0001", "0000"]
    assert float(scores("bald", samples).diff()) < 0


def test_it_is_at_most_bald_and_never_negative() -> None:
    samples = pool(mc_log_probabilities=distributions(40, 8, 5).float(), target=distributions(20, 8, 5, seed=1).float())
    got = scores("epig", samples)
    assert bool((got >= 0).all()) and bool((got <= scores("bald", samples) + 1e-12).all())


def test_certain_passes_one_pass_and_one_class_give_finite_scores() -> None:
    for log_p in (certain(12, 5, 4), distributions(12, 1, 4), torch.zeros(12, 5, 1), distributions(1, 5, 4)):
        samples = pool(mc_log_probabilities=log_p, target=log_p[:3])
        assert bool(scores("epig", samples).isfinite().all())
        assert sorted(ids("epig", samples, len(samples))) == samples.ids


def test_target_inputs_of_other_passes_are_refused() -> None:
    samples = pool(mc_log_probabilities=distributions(3, 5, 4), target=distributions(3, 6, 4))
    with pytest.raises(ComponentError, match=r"must be \(5, 4\) as in the pool, got \(6, 4\) instead"):
        scores("epig", samples)


def test_scores_are_the_same_in_blocks_and_choices_in_another_order() -> None:
    samples = pool(mc_log_probabilities=distributions(40, 6, 4), target=distributions(11, 6, 4, seed=1))
    whole = by_blocks("epig", samples, 1)
    assert all(torch.allclose(by_blocks("epig", samples, n), whole, atol=1e-14) for n in (2, 3))
    chosen = ids("epig", samples, 40)
    for k in (1, 11, 40):
        assert ids("epig", turned(samples), k) == chosen[:k]
