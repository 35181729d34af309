from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from fixtures.pools import Largest, labelled, needs, noise, pool, strategy
from torch import Tensor
from torch.nn import functional

from zoo.active.selection import select
from zoo.errors import RecipeError
from zoo.testing.acquisition import Rounded
from zoo_acquisitions import coverage
from zoo_acquisitions.coverage import _pure_radius
from zoo_acquisitions.distances import BLOCK, Embeddings, squared

ANGLES = torch.tensor([0.0, 0.05, 0.1, 0.15, 1.0, 1.05, 2.0])
ARC = (torch.tensor([1.0, 3, 2, 5, 1, 4, 9])[:, None] * torch.stack([ANGLES.cos(), ANGLES.sin()], dim=1)).half()
GROUPS = (8 * noise(3, 5, seed=3)).repeat(30, 1) + noise(90, 5)


def test_probcover_by_hand() -> None:
    """Radius 0.07: around angles of 0.05 and 0.1 lie three, and whichever it is leaves one on the other side."""
    chosen = select(strategy("probcover", "radius=0.07"), pool(ARC), 4)
    assert chosen[0] in (1, 2) and chosen[1] in (4, 5) and {chosen[2], chosen[3]} & {6}
    assert select(strategy("probcover", "radius=0.12"), pool(ARC), 3)[0] in (1, 2)


def test_lengths_of_embeddings_do_not_matter_and_zeros_stay() -> None:
    lengths = 2.0 ** (torch.arange(90) % 5)[:, None]
    have = labelled(GROUPS[:2].half())
    for settings in ((), ("radius=0.5",)):
        chosen = [
            select(strategy("probcover", *settings), pool(rows.half(), labeled=have), 20)
            for rows in (GROUPS.half(), GROUPS.half() * lengths)
        ]
        assert chosen[0] == chosen[1]
    unit = Embeddings(torch.tensor([[3.0, 4.0], [0.0, 0.0]]).half(), torch.tensor([[0.0, -9.0]]).half(), unit=True)
    assert torch.allclose(unit.take(torch.arange(3)), torch.tensor([[0.6, 0.8], [0, 0], [0, -1]]))
    assert torch.allclose(unit.norms, torch.tensor([1.0, 0, 1]))


def test_what_is_near_to_a_labelled_sample_is_covered() -> None:
    """Of angles 0.07 and 1.02: the one has four within 0.1, the other two."""
    angles = torch.tensor([0.07, 1.02])
    near = labelled(torch.stack([angles.cos(), angles.sin()], dim=1).half())
    assert select(strategy("probcover", "radius=0.1"), pool(ARC, labeled=near), 1) == [6]


def test_a_ball_is_open() -> None:
    """Opposite embeddings are 2 apart: with that radius a labelled one leaves its opposite, which two balls hold, uncovered."""
    rows, have = torch.tensor([[1.0, 0.0], [-2.0, 0.0], [0.0, 5.0]]).half(), labelled(torch.tensor([[3.0, 0.0]]).half())

    def firsts(radius: float) -> set[int]:
        samples = (pool(rows, labeled=have, seed=seed) for seed in range(12))
        return {select(strategy("probcover", f"radius={radius}"), each, 1)[0] for each in samples}

    assert firsts(2) == {1, 2} and firsts(2.01) == {0, 1, 2}


@pytest.mark.parametrize("radius", [0.3, 0.8, 1.6])
@pytest.mark.parametrize("count", [0, 5])
def test_every_choice_covers_as_many_as_any_can(radius: float, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "BLOCK", 17)
    embeddings, centres = noise(120, 3).half(), noise(count, 3, seed=1).half()
    samples = pool(embeddings, labeled=labelled(centres))
    chosen = select(strategy("probcover", f"radius={radius}"), samples, 25)
    unit, centres = functional.normalize(embeddings.double()), functional.normalize(centres.double())
    near = torch.cdist(unit, unit) < radius
    uncovered = ~(torch.cdist(unit, centres) < radius).any(dim=1)
    for position in chosen:
        assert int((near[position] & uncovered).sum()) == int((near & uncovered).sum(dim=1).max())
        uncovered &= ~near[position]


def test_once_all_are_covered_the_rest_follows_the_seed() -> None:
    orders = [select(strategy("probcover", "radius=100"), pool(ARC, seed=seed), 7) for seed in (0, 1, 2)]
    assert all(sorted(order) == list(range(7)) for order in orders) and len({tuple(order[1:]) for order in orders}) > 1


@pytest.mark.parametrize(("purity", "judged"), [(1.0, 2000), (0.95, 2000), (0.8, 2000), (0.95, 40)])
def test_the_automatic_radius_is_the_largest_of_that_purity(
    purity: float, judged: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coverage, "_JUDGED", judged)
    embeddings = (GROUPS + noise(90, 5, seed=5)).half()
    radius = _pure_radius(pool(embeddings), Embeddings(embeddings), purity)
    group = torch.arange(90) % 3
    other = torch.where(group[:, None] != group, torch.cdist(embeddings.double(), embeddings.double()), torch.inf)
    shares = [float((other.amin(dim=1) >= each).double().mean()) for each in (radius * 0.999, radius * 1.001)]
    if judged > 90:
        assert shares[0] >= purity > shares[1]
    else:
        assert shares[0] >= purity - 0.1


def test_what_the_automatic_radius_leaves_out_is_outside_however_products_are_rounded() -> None:
    embeddings = (GROUPS + noise(90, 5, seed=5)).half()
    points, every = Embeddings(embeddings, unit=True), torch.arange(90)
    radius = _pure_radius(pool(embeddings), points, 1.0)
    other = every[:, None] % 3 != every % 3
    for seed in range(20):
        with Rounded(seed):
            distances = squared(points, every, every)
        assert not bool((other & (distances < radius**2)).any())


def test_one_ball_from_each_group_covers_groups_that_lie_apart() -> None:
    chosen = select(strategy("probcover"), pool(GROUPS.half()), 3)
    assert {position % 3 for position in chosen} == {0, 1, 2}


@pytest.mark.parametrize("rows", [noise(1, 3), torch.zeros(6, 3), noise(2, 3).repeat(3, 1)])
def test_one_sample_one_class_and_duplicates_work(rows: Tensor) -> None:
    for labeled in (None, labelled(rows[:1].half(), classes=1)):
        for k in range(1, len(rows) + 1):
            assert len(set(select(strategy("probcover"), pool(rows.half(), labeled=labeled), k))) == k


@pytest.mark.parametrize(("corners", "radius"), [(6, 1.0), (8, 2 * math.sin(math.pi / 8))])
def test_distances_as_long_as_the_radius_waste_no_answer(
    corners: int, radius: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the next corner of a polygon lies in a ball is up to rounding, and counts can be of what is covered already."""
    tried: list[tuple[int, bool]] = []
    cover = coverage._Balls.cover

    def noted(balls: Any, centre: int) -> bool:
        tried.append((centre, cover(balls, centre)))
        return tried[-1][1]

    monkeypatch.setattr(coverage._Balls, "cover", noted)
    angles = torch.arange(2 * corners) * (2 * math.pi / corners)
    rows, nothing = torch.stack([angles.cos(), angles.sin()], dim=1).double(), 0
    for seed in range(20):
        tried.clear()
        with Rounded(seed):
            chosen = select(strategy("probcover", f"radius={radius}"), pool(rows, seed=seed), 2 * corners)
        assert sorted(chosen) == list(range(2 * corners))
        fresh = [centre for centre, covers in tried if covers]
        assert chosen[: len(fresh)] == fresh
        nothing += len(tried) - len(fresh)
    assert nothing > 0


def test_a_permuted_pool_gives_the_same_ids() -> None:
    samples = pool(GROUPS.half(), seed=3, round=1)
    turned = samples.taken(torch.arange(90).flip(0).roll(11))
    first, second = (select(strategy("probcover"), each, 40) for each in (samples, turned))
    assert [samples.ids[i] for i in first] == [turned.ids[i] for i in second]


def test_memory_does_not_grow_with_the_square_of_the_pool() -> None:
    samples = pool(noise(3 * BLOCK, 4).half())
    with Largest() as largest:
        select(strategy("probcover", "radius=1"), samples, 5)
    assert largest.elements <= BLOCK * BLOCK


def test_needs_and_parameters() -> None:
    assert needs("probcover") == {"embeddings", "labeled"}
    with pytest.raises(RecipeError, match=r"acquisition\.radius must be auto or a number > 0"):
        strategy("probcover", "radius=-1")
