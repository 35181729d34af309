from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import nn

from zoo.training.randomness import Draws, bits, id_words, normal, order, stream, uniform, uniform_ids, uniform_words


def test_a_draw_depends_on_its_words_and_on_nothing_else() -> None:
    samples = torch.arange(1000)
    whole = uniform(3, "rotation", 7, samples, 4)
    chosen = torch.tensor([999, 0, 512])
    assert torch.equal(uniform(3, "rotation", 7, chosen, 4), whole[chosen])
    assert torch.equal(uniform(3, "rotation", 7, samples, 2), whole[:, :2])
    for other in (
        uniform(4, "rotation", 7, samples, 4),
        uniform(3, "shift", 7, samples, 4),
        uniform(3, "rotation", 8, samples, 4),
    ):
        assert (other == whole).float().mean() < 0.01


def test_known_bits_stay() -> None:
    """Stored runs replay only while these never change."""
    assert bits(0, "order", 0, torch.tensor([0, 1, 2]))[:, 0].tolist() == [
        -1491001952166555568,
        6333014034592232934,
        4813236864109172550,
    ]


def test_draws_are_uniform_and_independent_across_samples_epochs_and_columns() -> None:
    u = uniform(0, "a", 0, torch.arange(50_000), 3).double().numpy()
    assert u.min() >= 0 and u.max() < 1
    for column in u.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4
    later = uniform(0, "a", 1, torch.arange(50_000), 1)[:, 0].double().numpy()
    pairs = [(u[:, 0], u[:, 1]), (u[:-1, 0], u[1:, 0]), (u[:, 0], later)]
    for a, b in pairs:
        assert abs(stats.pearsonr(a, b).statistic) < 0.02


def test_order_is_a_permutation_that_changes_with_the_epoch() -> None:
    samples = torch.arange(500)
    first, second = order(0, 0, samples), order(0, 1, samples)
    assert sorted(first.tolist()) == list(range(500))
    assert not torch.equal(first, second)
    assert torch.equal(first, order(0, 0, samples))


def test_the_relative_order_of_samples_does_not_depend_on_which_others_are_there() -> None:
    subset = torch.arange(0, 500, 3)
    visited = torch.arange(500)[order(0, 0, torch.arange(500))]
    assert torch.equal(visited[torch.isin(visited, subset)], subset[order(0, 0, subset)])


def test_draws_by_id_follow_the_id() -> None:
    ids = ["a", "b", "c#2"]
    forward, backward = uniform_ids(1, "ties", 4, ids), uniform_ids(1, "ties", 4, ids[::-1])
    assert torch.equal(forward, backward.flip(0))
    assert len(set(forward[:, 0].tolist())) == 3


def test_any_column_of_the_draws_by_id_can_be_had_by_itself() -> None:
    ids = ["a", "b", "c#2"]
    all_four = uniform_ids(1, "ties", 4, ids, 4)
    assert torch.equal(uniform_words(1, "ties", 4, id_words(ids), torch.tensor([3, 1])), all_four[:, [3, 1]])
    assert id_words([]).shape == (0,)


def test_a_stream_repeats_dropout_and_gives_the_callers_generator_back() -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    masks = []
    for step in (0, 0, 1):
        with stream(0, "forward", step):
            masks.append(nn.functional.dropout(torch.ones(64)))
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])
    assert torch.equal(torch.rand(3), expected)


def test_a_stream_gives_the_generator_back_after_an_error() -> None:
    before = torch.default_generator.get_state()
    with pytest.raises(ZeroDivisionError), stream(0, "forward", 0):
        torch.rand(1)
        raise ZeroDivisionError
    assert torch.equal(torch.default_generator.get_state(), before)


def test_draws_of_a_batch_have_a_row_per_sample() -> None:
    draws = Draws(seed=5, epoch=2, samples=torch.tensor([9, 4]))
    assert torch.equal(draws.uniform("x", 3), uniform(5, "x", 2, torch.tensor([9, 4]), 3))


def test_normal_draws_are_normal_and_belong_to_their_sample() -> None:
    samples = torch.arange(20_000)
    drawn = normal(3, "noise", 1, samples, 2)
    assert drawn.dtype == torch.float32 and bool(drawn.isfinite().all())
    assert all(stats.kstest(column, "norm").pvalue > 0.001 for column in drawn.double().numpy().T)
    # Standard deviation of a correlation of 20,000 independent pairs: 0.007.
    assert abs(float(torch.corrcoef(drawn.T)[0, 1])) < 0.03
    assert torch.equal(normal(3, "noise", 1, samples.flip(0)[:7], 2), drawn.flip(0)[:7])
    assert torch.equal(Draws(3, 1, samples).normal("noise", 2), drawn)


def test_single_elements_are_those_of_all() -> None:
    draws = Draws(3, 1, torch.tensor([5, 9, 2]))
    rows, columns = torch.tensor([0, 2, 2, 1]), torch.tensor([7, 0, 3, 7])
    torch.testing.assert_close(draws.normal_at("noise", rows, columns), draws.normal("noise", 8)[rows, columns])
