from __future__ import annotations

import math

import pytest
import torch
from fixtures.acquisitions import by_blocks, certain, distributions, ids, pool, scores, turned
from fixtures.pools import Largest
from torch.nn import functional

from zoo_acquisitions import distributions as distributions_module
from zoo_acquisitions.distributions import entropy, gumbel, information, log_mean, rows_within, vote_shares


def test_least_confidence_by_hand() -> None:
    log_p = torch.tensor([[0.5, 0.5, 0.0], [0.25, 0.25, 0.5], [1.0, 0.0, 0.0], [0.2, 0.1, 0.7]]).log()
    assert scores("least-confidence", pool(log_probabilities=log_p)).tolist() == pytest.approx([0.5, 0.5, 0, 0.3])


def test_least_confidence_keeps_its_digits_near_certainty() -> None:
    """In single precision 1 - p is 0 for all p above 1 - 3e-8."""
    log_p = torch.tensor([[0.0, -20.0], [0.0, -21.0]]).log_softmax(1).double()
    log_p[:, 0] = torch.log1p(-log_p[:, 1].exp())
    got = scores("least-confidence", pool(log_probabilities=log_p.float()))
    assert got.tolist() == pytest.approx([math.exp(-20), math.exp(-21)], rel=1e-5)


GAPS = torch.cat([torch.arange(5.0, 40.0, 0.25), torch.tensor([14.99, 15.01, 36.99, 37.01])])
SURE = torch.stack([torch.zeros_like(GAPS), -GAPS], dim=1).log_softmax(1)  # the first column is 0 from a gap of 17 on


def test_nearly_certain_samples_of_two_classes_are_told_apart_and_rank_alike() -> None:
    p = torch.sigmoid(-GAPS.double())
    samples = pool(log_probabilities=SURE)
    assert torch.allclose(scores("least-confidence", samples), p, rtol=1e-5, atol=0)
    assert torch.allclose(scores("margin", samples), 2 * p, rtol=1e-5, atol=0)
    exact = p * GAPS.double() + (-GAPS.double()).exp().log1p()
    assert torch.allclose(scores("entropy", samples), exact, rtol=1e-5, atol=0)
    expected = [samples.ids[i] for i in GAPS.argsort().tolist()]
    for name in ("least-confidence", "margin", "entropy", "expected-gradient-length"):
        with_embeddings = pool(log_probabilities=SURE, embeddings=torch.ones(len(GAPS), 3).half())
        assert ids(name, with_embeddings, len(GAPS)) == expected


def test_nearly_certain_samples_of_many_classes_are_told_apart() -> None:
    logits = torch.full((20, 1000), -50.0)
    logits[:, 7], logits[:, 9] = 0, -torch.arange(10.0, 30.0)
    others = logits.double().softmax(1)
    others[:, 7] = 0
    samples = pool(log_probabilities=logits.log_softmax(1))
    assert torch.allclose(scores("least-confidence", samples), others.sum(1), rtol=1e-5, atol=0)
    assert torch.allclose(scores("margin", samples), others.sum(1) + others[:, 9], rtol=1e-5, atol=0)


def test_narrow_gaps_keep_their_digits_too() -> None:
    gaps = torch.tensor([1e-3, 1e-5, 1e-7], dtype=torch.float64)
    log_p = torch.stack([gaps / 2, -gaps / 2], dim=1).log_softmax(1)
    found = 1 - scores("margin", pool(log_probabilities=log_p))
    assert torch.allclose(found, torch.tanh(gaps / 2), rtol=1e-6, atol=0)


def test_no_more_than_a_bounded_number_of_rows_is_converted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributions_module, "_ELEMENTS", 4000)
    samples = pool(log_probabilities=distributions(100, 1000).float())
    for name in ("least-confidence", "margin", "entropy"):
        with Largest() as largest:
            scores(name, samples)
        assert largest.elements == 4000


def test_in_two_classes_least_confidence_margin_and_entropy_rank_alike() -> None:
    samples = pool(log_probabilities=distributions(100, 2))
    choices = [ids(name, samples, 100) for name in ("least-confidence", "margin", "entropy")]
    assert choices[0] == choices[1] == choices[2]


def test_in_three_classes_they_differ() -> None:
    samples = pool(log_probabilities=torch.tensor([[0.49, 0.49, 0.02], [0.40, 0.31, 0.29], [0.45, 0.54, 0.01]]).log())
    assert ids("least-confidence", samples, 3) == ["0001", "0000", "0002"]
    assert ids("margin", samples, 3) == ["0000", "0001", "0002"]


def test_the_expected_gradient_length_is_that_of_autograd() -> None:
    hidden, classes = torch.randn(6, 5, generator=torch.Generator().manual_seed(1)).half(), 4
    layer = torch.nn.Linear(5, classes, dtype=torch.float64)
    log_p = layer(hidden.double()).log_softmax(1).detach()
    expected = []
    for row, h in enumerate(hidden.double()):
        lengths = []
        for label in range(classes):
            loss = functional.cross_entropy(layer(h[None]), torch.tensor([label]))
            gradients = torch.autograd.grad(loss, list(layer.parameters()))
            lengths.append(torch.cat([g.flatten() for g in gradients]).norm())
        expected.append(sum(log_p[row].exp() * torch.stack(lengths)))
    got = scores("expected-gradient-length", pool(log_probabilities=log_p, embeddings=hidden))
    assert torch.allclose(got, torch.stack(expected), rtol=1e-6)


def test_the_expected_gradient_length_by_hand() -> None:
    """Two classes: ||p - e_c|| is √2 times the other's probability, so the sum is 2√2 p (1 - p); (2, 1, 2) has length 3."""
    samples = pool(
        log_probabilities=torch.tensor([[0.5, 0.5], [0.9, 0.1], [1.0, 0.0]]).log(),
        embeddings=torch.tensor([[0, 0, 0], [2, 1, 2], [9, 9, 9]]).half(),
    )
    expected = [math.sqrt(2) / 2, 2 * math.sqrt(2) * 0.09 * math.sqrt(10), 0]
    assert scores("expected-gradient-length", samples).tolist() == pytest.approx(expected, abs=1e-6)


def test_a_longer_embedding_of_the_same_prediction_is_asked_first() -> None:
    samples = pool(
        log_probabilities=distributions(1, 4).expand(3, 4), embeddings=torch.tensor([[1.0], [3], [2]]).half()
    )
    assert ids("expected-gradient-length", samples, 3) == ["0001", "0002", "0000"]


@pytest.mark.parametrize("name", ["least-confidence", "expected-gradient-length"])
def test_certain_predictions_and_one_class_score_nought(name: str) -> None:
    for log_p in (certain(8, 4), torch.zeros(8, 1)):
        fields = {"log_probabilities": log_p, "embeddings": torch.ones(8, 3).half()}
        assert scores(name, pool(**fields)).tolist() == [0] * 8


def test_the_expected_gradient_length_is_the_same_in_blocks_and_in_another_order() -> None:
    samples = pool(log_probabilities=distributions(30, 4), embeddings=distributions(30, 6).half())
    whole = by_blocks("expected-gradient-length", samples, 1)
    for blocks in (2, 3):
        assert torch.allclose(by_blocks("expected-gradient-length", samples, blocks), whole)
    chosen = ids("expected-gradient-length", samples, 30)
    for k in (1, 7, 30):
        assert ids("expected-gradient-length", turned(samples), k) == chosen[:k]


def test_means_entropies_and_votes_of_passes() -> None:
    log_p = torch.tensor([[[0.5, 0.5, 0], [0.25, 0.5, 0.25]]], dtype=torch.float64).log()
    assert log_mean(log_p).exp().tolist()[0] == pytest.approx([0.375, 0.5, 0.125])
    assert entropy(log_p)[0].tolist() == pytest.approx([math.log(2), 1.5 * math.log(2)])
    assert vote_shares(log_p).tolist() == [[0.5, 0.5, 0]]  # the tie of the first goes to the lowest class
    assert float(information(log_p)) == pytest.approx(float(entropy(log_mean(log_p)) - entropy(log_p).mean()))


def test_gumbel_draws_are_finite_at_both_ends_and_of_that_distribution() -> None:
    ends = gumbel(torch.tensor([0.0, 1 - 2.0**-53], dtype=torch.float64))
    assert bool(ends.isfinite().all()) and float(ends[0]) < -3 and float(ends[1]) > 36
    middle = gumbel(torch.tensor([math.exp(-1)], dtype=torch.float64))
    assert float(middle) == pytest.approx(0, abs=1e-12)


def test_at_least_one_row_is_worked_on() -> None:
    assert rows_within(1 << 30) == 1
    assert rows_within(2, 8) == 1 << 17


def test_the_entropy_of_the_mean_is_not_the_mean_of_entropies() -> None:
    """Passes that are certain of different classes: each has entropy 0, and their mean has ln 2."""
    passes = torch.tensor(
        [[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]], [[1.0, 0, 0], [1.0, 0, 0]]]
    )
    samples = pool(mc_log_probabilities=passes.log())
    assert scores("entropy", samples, of="mean").tolist() == pytest.approx([math.log(2), math.log(2), 0])
    assert entropy(passes.log()).mean(dim=1).tolist() == pytest.approx([0, math.log(2), 0])


def test_the_entropy_of_the_mean_is_that_of_bald_and_the_mean_of_entropies() -> None:
    log_p = torch.randn(50, 6, 4, generator=torch.Generator().manual_seed(3)).mul(2).log_softmax(2)
    samples = pool(mc_log_probabilities=log_p)
    expected = scores("bald", samples) + entropy(log_p.double()).mean(dim=1)
    assert torch.allclose(scores("entropy", samples, of="mean"), expected, atol=1e-6)
    one = pool(mc_log_probabilities=log_p[:, :1], log_probabilities=log_p[:, 0])
    assert torch.allclose(scores("entropy", one, of="mean"), scores("entropy", one).double(), atol=1e-6)
