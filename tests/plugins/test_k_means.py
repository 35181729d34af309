from __future__ import annotations

import pytest
import torch
from fixtures.pools import Largest, labelled, noise, pool
from sklearn.cluster import KMeans

from zoo.training.randomness import uniform_ids
from zoo_acquisitions import k_means as module
from zoo_acquisitions.distances import BLOCK, Embeddings
from zoo_acquisitions.k_means import k_means, lloyd

GROUPS = (6 * noise(4, 5, seed=3)).repeat(30, 1) + noise(120, 5)


def test_the_centres_are_those_of_scikit_learn() -> None:
    start, weights = GROUPS[:7], noise(120, seed=4).abs()
    theirs = KMeans(7, init=start.numpy(), n_init=1, tol=0, max_iter=30).fit(
        GROUPS.numpy(), sample_weight=weights.numpy()
    )
    points = Embeddings(GROUPS, dtype=torch.float64)
    ours = lloyd(points, torch.arange(120), start, weights)
    assert torch.allclose(ours, torch.from_numpy(theirs.cluster_centers_))


def test_separate_groups_are_the_clusters() -> None:
    clusters = k_means(pool(GROUPS), Embeddings(GROUPS.half()), 4, "test")
    groups = clusters.labels.view(30, 4)
    assert bool((groups == groups[0]).all()) and len(set(groups[0].tolist())) == 4
    assert torch.allclose(clusters.centres[groups[0]], GROUPS.view(30, 4, 5).mean(dim=0).float(), atol=1e-2)


def test_a_sample_without_weight_moves_no_centre() -> None:
    rows = torch.tensor([[0.0], [2.0], [100.0]]).half()
    clusters = k_means(pool(rows), Embeddings(rows), 1, "test", torch.tensor([1.0, 3.0, 0.0]))
    assert clusters.centres.tolist() == [[1.5]] and clusters.labels.tolist() == [0, 0, 0]


def test_points_beside_the_pool_are_clustered_with_it() -> None:
    rows = torch.tensor([[0.0], [1.0], [10.0]]).half()
    points = Embeddings(rows, torch.tensor([[11.0], [2.0]]).half())
    clusters = k_means(pool(rows), points, 2, "test")
    assert sorted(clusters.centres.flatten().tolist()) == [1.0, 10.5]
    assert [int(clusters.labels[i]) == int(clusters.labels[0]) for i in range(5)] == [True, True, False, False, True]


def test_more_clusters_than_different_points_leave_some_empty() -> None:
    rows = torch.tensor([[0.0], [5.0]]).half().repeat(4, 1)
    clusters = k_means(pool(rows), Embeddings(rows), 6, "test")
    assert bool(clusters.centres.isfinite().all()) and len(set(clusters.labels.tolist())) == 2


def test_the_seeds_follow_the_seed() -> None:
    rows = noise(200, 6).half()
    found = [k_means(pool(rows, seed=seed), Embeddings(rows), 9, "test").centres for seed in (0, 0, 1)]
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


@pytest.mark.parametrize("count", [0, 4])
def test_centres_of_many_samples_are_fitted_to_some_of_them(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 50)
    monkeypatch.setattr(module, "_PER_CLUSTER", 1)
    points = Embeddings(GROUPS.half(), GROUPS[:count].half())
    labels = k_means(pool(GROUPS, labeled=labelled(GROUPS[:count])), points, 4, "test").labels
    groups = labels[:120].view(30, 4)
    assert bool((groups == groups[0]).all()) and torch.equal(labels[120:], groups[0][:count])


def test_heavy_samples_are_the_ones_that_centres_are_fitted_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 400 samples 40 are drawn: were weights left out, four of the forty heavy ones would be, which hold all but a trace."""
    monkeypatch.setattr(module, "_ROWS", 40)
    monkeypatch.setattr(module, "_PER_CLUSTER", 1)
    rows, weights = noise(400, 3).half(), torch.full((400,), 1e-6)
    weights[::10] = 1
    found, every = module._fitted(pool(rows), Embeddings(rows), 2, "test", weights)
    assert len(found) == 40 and sum(int(row) % 10 == 0 for row in found) >= 39
    weights[1::2] = 0
    found, every = module._fitted(pool(rows), Embeddings(rows), 2, "test", weights)
    assert bool((weights[found] > 0).all()) and bool(every.isfinite().all())
    few = torch.zeros(400).index_fill_(0, torch.arange(7), 2.0)
    found, every = module._fitted(pool(rows), Embeddings(rows), 2, "test", few)
    assert set(range(7)) < set(found.tolist()) and torch.equal(every[found], few[found])


def test_the_sums_over_drawn_samples_are_right_on_average(monkeypatch: pytest.MonkeyPatch) -> None:
    """One centre is the weighted mean; weights that counted in the draw and in the sums would take it beyond."""
    monkeypatch.setattr(module, "_ROWS", 30)
    monkeypatch.setattr(module, "_PER_CLUSTER", 1)
    rows, weights = torch.linspace(0, 1, 300)[:, None].half(), torch.linspace(0.02, 1, 300)
    expected = float((weights * rows[:, 0]).sum() / weights.sum())
    squared = float((weights**2 * rows[:, 0]).sum() / (weights**2).sum())
    found = [
        float(k_means(pool(rows, seed=seed), Embeddings(rows), 1, "test", weights).centres[0, 0]) for seed in range(40)
    ]
    assert abs(torch.tensor(found).mean() - expected) < 0.02 < (squared - expected) / 3


def test_without_weights_the_lowest_draws_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 50)
    monkeypatch.setattr(module, "_PER_CLUSTER", 1)
    samples = pool(GROUPS, seed=3)
    found, every = module._fitted(samples, Embeddings(GROUPS.half()), 4, "test", None)
    drawn = uniform_ids(3, "test/fitted", 0, samples.ids)[:, 0]
    assert found.tolist() == sorted(drawn.argsort()[:50].tolist()) and bool((every == 1).all())


@pytest.mark.parametrize("weighted", [False, True])
def test_what_is_drawn_does_not_depend_on_the_order_of_the_pool(
    weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ROWS", 20)
    monkeypatch.setattr(module, "_PER_CLUSTER", 1)
    samples, weights = pool(GROUPS), noise(120, seed=4).abs()
    order = torch.arange(120).flip(0).roll(11)
    turned = samples.taken(order)
    found = []
    for each, own in ((samples, weights), (turned, weights[order])):
        rows, every = module._fitted(each, Embeddings(each.embeddings), 4, "test", own if weighted else None)
        found.append({each.ids[row]: float(every[row]) for row in rows.tolist()})
    assert found[0] == found[1]


def test_no_more_than_a_block_is_converted_at_once() -> None:
    rows = noise(5 * BLOCK, 8).half()
    samples = pool(rows)
    with Largest() as largest:
        k_means(samples, Embeddings(rows), 10, "test")
    assert largest.elements <= BLOCK * 10
