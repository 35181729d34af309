from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from zoo.schedules import Constant, Cosine, OneCycle, Plateau, Schedule, Step
from zoo.training.schedule import factor


def curve(schedule: Schedule, total: int) -> list[float]:
    return [factor(schedule, step, total) for step in range(total)]


def test_constant_rises_linearly_to_one_and_stays() -> None:
    assert curve(Constant(warmup=0.4), 10) == [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1]
    assert curve(Constant(), 3) == [1, 1, 1]


def test_cosine_is_torchs_annealing() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20, eta_min=0.1)
    for ours in curve(Cosine(final=0.1), 20):
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step()
        theirs.step()


def test_one_cycle_starts_low_peaks_at_the_rate_and_ends_low() -> None:
    rates = curve(OneCycle(warmup=0.25, start=0.04), 100)
    assert rates[0] == pytest.approx(0.04 + 0.96 / 25)
    assert max(rates) == pytest.approx(1) and rates.index(max(rates)) in {24, 25}
    assert all(a < b for a, b in pairwise(rates[:25]))
    assert all(a > b for a, b in pairwise(rates[25:]))
    assert rates[-1] == pytest.approx((1 + math.cos(math.pi * 74 / 75)) / 2)


def test_step_falls_at_each_milestone() -> None:
    assert curve(Step(milestones=[0.5, 0.75], gamma=0.1), 8) == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_plateau_follows_the_count_of_reductions() -> None:
    assert [factor(Plateau(factor=0.5), 3, 10, n) for n in range(3)] == [1, 0.5, 0.25]


@pytest.mark.parametrize("total", [1, 2, 3])
@pytest.mark.parametrize(
    "schedule", [Constant(warmup=1), Step(warmup=0.5), Cosine(warmup=0.3), OneCycle(), Plateau(warmup=0.9)]
)
def test_short_runs_never_divide_by_nothing(schedule: Schedule, total: int) -> None:
    assert all(0 < rate <= 1 for rate in curve(schedule, total))
