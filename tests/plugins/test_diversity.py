from __future__ import annotations

from itertools import combinations

import pytest
import torch
from fixtures.pools import labelled, needs, noise, pool, strategy
from torch import Tensor

from zoo.active.selection import select
from zoo_acquisitions import nearest
from zoo_acquisitions.distances import Embeddings, squared
from zoo_acquisitions.nearest import Nearest
from zoo_acquisitions.ordered import ties


def farthest_first(embeddings: Tensor, centres: Tensor, k: int) -> list[int]:
    """Return the choices of the definition, all distances from all centres after each choice."""
    chosen: list[int] = []
    for _ in range(k):
        taken = torch.tensor(chosen, dtype=torch.int64)
        distances = torch.cdist(embeddings, torch.cat([centres, embeddings[taken]])).amin(dim=1)
        distances[taken] = -1
        chosen.append(int(distances.argmax()))
    return chosen


def radius(embeddings: Tensor, centres: Tensor) -> float:
    return float(torch.cdist(embeddings, centres).amin(dim=1).max())


def test_distances_by_hand() -> None:
    points = Embeddings(torch.tensor([[0.0, 0.0], [3.0, 4.0]]).half(), torch.tensor([[6.0, 8.0]]).half())
    rows = torch.tensor([1, 2, 0])
    assert squared(points, rows, rows).tolist() == [[0, 25, 25], [25, 0, 100], [25, 100, 0]]
    assert points.norms.tolist() == [0, 25, 100] and len(points) == 3


def test_points_that_differ_by_rounding_only_are_at_distance_0() -> None:
    row = noise(1, 200).half()
    points = Embeddings(row.repeat(30, 1))
    assert not bool(squared(points, torch.arange(30), torch.arange(30)).any())


def test_k_center_by_hand() -> None:
    """On a line from 0, labelled: 10 is the farthest, then 5, the middle, then 8 and 2 at distances of 2."""
    line = torch.tensor([[2.0], [10.0], [5.0], [8.0], [0.5]]).half()
    samples = pool(line, labeled=labelled(torch.zeros(1, 1).half()))
    chosen = select(strategy("k-center"), samples, 5)
    assert chosen[:2] == [1, 2] and set(chosen[2:4]) == {0, 3} and chosen[4] == 4


def test_k_center_begins_far_from_the_mean_where_nothing_has_a_label() -> None:
    line = torch.tensor([[1.0], [2.0], [3.0], [30.0], [4.0]]).half()
    assert select(strategy("k-center"), pool(line), 2) == [3, 0]


@pytest.mark.parametrize("sweep", [1, 9, 128])
@pytest.mark.parametrize("few", [1, 64])
@pytest.mark.parametrize("many", [2, 256])
@pytest.mark.parametrize("count", [0, 7])
def test_k_center_chooses_as_by_its_definition(
    sweep: int, few: int, many: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest, "_SWEEP", sweep)
    monkeypatch.setattr(nearest, "_FEW", few)
    monkeypatch.setattr(nearest, "_MANY", many)
    monkeypatch.setattr(nearest, "BLOCK", 50)
    embeddings, centres = noise(300, 6).half(), noise(count, 6, seed=1).half()
    start = centres.double()
    if not count:
        start = embeddings[[int((embeddings.double() - embeddings.double().mean(dim=0)).norm(dim=1).argmax())]].double()
    expected = farthest_first(embeddings.double(), start, 60)
    chosen = select(strategy("k-center"), pool(embeddings, labeled=labelled(centres)), 60)
    assert chosen[0 if count else 1 :] == expected[: 60 if count else 59]


@pytest.mark.parametrize("seed", range(5))
def test_the_radius_is_at_most_twice_the_least_possible(seed: int) -> None:
    embeddings = noise(11, 2, seed=seed).half()
    for k in (1, 2, 3):
        chosen = select(strategy("k-center"), pool(embeddings), k)
        least = min(radius(embeddings.double(), embeddings[list(some)].double()) for some in combinations(range(11), k))
        assert radius(embeddings.double(), embeddings[chosen].double()) <= 2 * least + 1e-9


def test_duplicates_are_chosen_last_in_an_order_that_follows_the_seed() -> None:
    embeddings = noise(4, 5).half().repeat(6, 1)
    orders = [select(strategy("k-center"), pool(embeddings, seed=seed), 24) for seed in (0, 1)]
    for chosen in orders:
        assert {i % 4 for i in chosen[:4]} == {0, 1, 2, 3} and sorted(chosen) == list(range(24))
    assert orders[0][4:] != orders[1][4:]


@pytest.mark.parametrize("rows", [noise(1, 3).half(), torch.zeros(5, 3).half()])
def test_a_single_sample_and_one_point_many_times_work(rows: Tensor) -> None:
    for labeled in (None, labelled(torch.zeros(2, 3).half())):
        assert sorted(select(strategy("k-center"), pool(rows, labeled=labeled), len(rows))) == list(range(len(rows)))


def test_a_permuted_pool_gives_the_same_ids() -> None:
    samples = pool(torch.cat([noise(40, 6), noise(1, 6).repeat(20, 1)]).half(), seed=2, round=3)
    turned = samples.taken(torch.randperm(60, generator=torch.Generator().manual_seed(5)))
    first, second = (select(strategy("k-center"), each, 50) for each in (samples, turned))
    assert [samples.ids[i] for i in first] == [turned.ids[i] for i in second]


def test_few_distances_are_computed_where_points_lie_in_groups() -> None:
    """Fifty groups: those of a group that holds a centre are no candidates while others are without."""

    class Counting(Embeddings):
        pairs = 0

        def products(self, rows: Tensor, others: Tensor) -> Tensor:
            self.pairs += len(rows) * len(others)
            return super().products(rows, others)

    embeddings = (20 * noise(50, 8, seed=1)).repeat(60, 1) + noise(3000, 8)
    points = Counting(embeddings.half())
    chosen = Nearest(points, 3000, [0]).choose(99, ties(pool(embeddings), "k-center"))
    assert len({i % 50 for i in [0, *chosen[:49]]}) == 50
    assert points.pairs < 0.5 * 3000 * 100


def test_it_needs_embeddings_and_what_is_labelled() -> None:
    assert needs("k-center") == {"embeddings", "labeled"}
