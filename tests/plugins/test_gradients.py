from __future__ import annotations

import pytest
import torch
from fixtures.pools import Largest, needs, noise, pool, strategy
from scipy import stats
from torch import Tensor
from torch.nn import functional

from zoo.active.selection import select
from zoo.testing.pool import MemoryPool
from zoo_acquisitions import gradients, nearest
from zoo_acquisitions.distances import BLOCK, squared
from zoo_acquisitions.gradients import Badge, Gradients
from zoo_acquisitions.ordered import Gumbel


def log_softmax(rows: int, classes: int, scale: float = 2.0, seed: int = 7) -> Tensor:
    return (scale * noise(rows, classes, seed=seed)).log_softmax(1)


def by_autograd(log_p: Tensor, embeddings: Tensor) -> Tensor:
    """Return the gradients `(n, C·D)` of the loss of the predicted class in the weights of a linear layer."""
    rows = []
    for logits, embedding in zip(log_p, embeddings, strict=True):
        weight = torch.zeros(len(logits), len(embedding), dtype=torch.float64, requires_grad=True)
        loss = functional.cross_entropy((weight @ embedding + logits)[None], logits.argmax()[None])
        rows.append(torch.autograd.grad(loss, weight)[0].flatten())
    return torch.stack(rows)


def naive(samples: MemoryPool, k: int) -> list[int]:
    """Return what the definition chooses: gradients of C·D numbers, and all distances after each draw."""
    exact = by_autograd(samples.log_probabilities.double(), samples.embeddings.double())
    chosen, gumbel = [int(exact.norm(dim=1).argmax())], Gumbel(samples, "badge/draws")
    for draw in range(k - 1):
        distances = torch.cdist(exact, exact[chosen], compute_mode="donot_use_mm_for_euclid_dist").amin(dim=1)
        keys = 2 * distances.log() + gumbel(draw)
        keys[chosen] = -torch.inf
        chosen.append(int(keys.argmax()))
    return chosen


def test_the_factors_give_the_distances_of_autograds_gradients() -> None:
    log_p, embeddings = log_softmax(12, 4), noise(12, 5)
    exact = by_autograd(log_p, embeddings)
    factored, rows = Gradients(log_p, embeddings, torch.float64), torch.arange(12)
    assert torch.allclose(factored.norms, exact.square().sum(dim=1))
    assert torch.allclose(squared(factored, rows, rows), torch.cdist(exact, exact).square())


@pytest.mark.parametrize("sweep", [1, 9, 128])
@pytest.mark.parametrize(("rows", "classes", "seed"), [(200, 3, 0), (200, 10, 1), (90, 40, 2)])
def test_badge_draws_what_the_definition_draws(
    rows: int, classes: int, seed: int, sweep: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest, "_SWEEP", sweep)
    monkeypatch.setattr(nearest, "_CHEAPER", 1000)  # so that a sweep always pays
    samples = pool(noise(rows, 6).half(), log_probabilities=log_softmax(rows, classes).float(), seed=seed)
    assert list(Badge(torch.float64).select(samples, 60)) == naive(samples, 60)


def test_single_precision_draws_the_same_where_nothing_is_close() -> None:
    samples = pool(noise(300, 8).half(), log_probabilities=log_softmax(300, 5).float())
    assert select(strategy("badge"), samples, 40) == list(Badge(torch.float64).select(samples, 40))


def test_the_error_of_a_class_that_is_nearly_certain_keeps_its_digits() -> None:
    """In single precision its log-probability is 0 and that of the other is not: their errors are p and -p."""
    gaps = torch.arange(5.0, 40.0, 0.5)
    log_p = torch.stack([torch.zeros_like(gaps), -gaps], dim=1).log_softmax(1)
    errors = Gradients(log_p, torch.ones(len(gaps), 1).half())._errors(torch.arange(len(gaps)))
    p = torch.sigmoid(-gaps)
    assert torch.allclose(errors, torch.stack([-p, p], dim=1), rtol=1e-5, atol=0)


def test_the_longest_gradient_comes_first() -> None:
    """At equal uncertainty the longer embedding, at equal length the less certain sample."""
    unsure, sure = [0.5, 0.5], [0.9, 0.1]
    log_p = torch.tensor([sure, unsure, sure, unsure]).log()
    embeddings = torch.tensor([[3.0], [1.0], [-1.0], [-3.0]]).half()
    assert select(strategy("badge"), pool(embeddings, log_probabilities=log_p), 1) == [3]


def test_the_second_is_drawn_in_proportion_to_the_squared_distance() -> None:
    """Two classes at one half: gradients ∓(h, -h) / 2, the first at h = 6; squared distances from it 16, 9, 4 by 1/2."""
    embeddings = torch.tensor([[6.0], [2.0], [3.0], [4.0]]).half()
    log_p = torch.full((4, 2), 0.5).log()
    drawn = [
        select(strategy("badge"), pool(embeddings, log_probabilities=log_p, seed=seed), 2)[1] for seed in range(400)
    ]
    counts = torch.bincount(torch.tensor(drawn), minlength=4)[1:]
    assert stats.chisquare(counts.numpy(), [400 * share / 29 for share in (16, 9, 4)]).pvalue > 1e-3


def test_certain_samples_are_left_for_last() -> None:
    """Their gradients are 0, as near to one another as duplicates are."""
    log_p = torch.cat([torch.eye(4), torch.full((3, 4), 0.25)]).log()
    embeddings = noise(7, 3).half()
    orders = [select(strategy("badge"), pool(embeddings, log_probabilities=log_p, seed=s), 7) for s in (0, 1, 2)]
    for chosen in orders:
        assert {4, 5, 6} <= set(chosen[:4]) and sorted(chosen) == list(range(7))
    assert len({tuple(chosen[4:]) for chosen in orders}) > 1


@pytest.mark.parametrize("classes", [1, 2])
def test_one_sample_one_class_and_duplicates_work(classes: int) -> None:
    for rows in (torch.zeros(1, 3), noise(1, 3).repeat(6, 1)):
        samples = pool(rows.half(), log_probabilities=torch.full((len(rows), classes), 1 / classes).log())
        assert sorted(select(strategy("badge"), samples, len(rows))) == list(range(len(rows)))


def test_the_draws_follow_seed_and_round_and_not_the_order_of_the_pool() -> None:
    log_p = log_softmax(80, 4).float()
    chosen = [
        select(strategy("badge"), pool(noise(80, 5).half(), log_probabilities=log_p, seed=s, round=r), 20)
        for s, r in ((0, 0), (1, 0), (0, 1), (0, 0))
    ]
    assert chosen[0] == chosen[3] and len({tuple(each) for each in chosen}) == 3
    samples = pool(noise(80, 5).half(), log_probabilities=log_p)
    turned = samples.taken(torch.arange(80).flip(0))
    assert [turned.ids[i] for i in select(strategy("badge"), turned, 20)] == [samples.ids[i] for i in chosen[0]]


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = pool(noise(90, 6).half(), log_probabilities=log_softmax(90, 4).float())
    chosen = []
    for block in (90, 45, 30):
        monkeypatch.setattr(nearest, "BLOCK", block)
        monkeypatch.setattr(gradients, "BLOCK", block)
        chosen.append(select(strategy("badge"), samples, 30))
    assert chosen[0] == chosen[1] == chosen[2]


def test_a_thousand_classes_take_no_gradient_of_classes_times_dimensions() -> None:
    """2,000 gradients of 1,000 × 256 numbers would take 2 GiB; nothing made here has more than a block of probabilities."""
    samples = pool(noise(2000, 256).half(), log_probabilities=log_softmax(2000, 1000).float())
    assert samples.log_probabilities.shape == (2000, 1000)  # what the pool itself keeps does not count
    with Largest() as largest:
        assert len(set(select(strategy("badge"), samples, 20))) == 20
    assert largest.elements == BLOCK * 1000


def test_it_needs_embeddings_and_log_probabilities() -> None:
    assert needs("badge") == {"embeddings", "log_probabilities"}
