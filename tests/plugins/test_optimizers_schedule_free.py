from __future__ import annotations

from typing import Any

import pytest
import torch
from fixtures.optimizers import build, descend, group, pair, scalar, walk


def published(rates: list[float], gradients: list[float], *, decay: float, betas: tuple[float, float]) -> list[float]:
    """Return y, then x, after each step from 1, by the algorithm of the paper, one line for one line."""
    z = x = 1.0
    v = total = 0.0
    points: list[float] = []
    for t, (lr, g) in enumerate(zip(rates, gradients, strict=True), 1):
        y = (1 - betas[0]) * z + betas[0] * x
        v = betas[1] * v + (1 - betas[1]) * g**2
        rate = lr * (1 - betas[1] ** t) ** 0.5
        z = z - rate * g / (v**0.5 + 1e-8) - rate * decay * y
        total += rate**2
        c = rate**2 / total
        x = (1 - c) * x + c * z
        points += [(1 - betas[0]) * z + betas[0] * x, x]
    return points


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_it_is_the_algorithm_of_the_paper_under_changing_rates(decay: float) -> None:
    rates, gradients = [0.05, 0.1, 0.2, 0.02], [1.0, -2.0, 0.5, 3.0]
    weight = scalar(1.0)
    optimizer: Any = build("schedule-free-adamw", [group(weight, weight_decay=decay)], beta1=0.8, beta2=0.9)
    points = []
    for lr, gradient in zip(rates, gradients, strict=True):
        optimizer.param_groups[0]["lr"] = lr
        points += walk(optimizer, weight, [gradient])
        optimizer.eval()
        points.append(float(weight.detach()))
        optimizer.train()
    assert points == pytest.approx(published(rates, gradients, decay=decay, betas=(0.8, 0.9)), abs=1e-14)


def test_the_first_step_is_adams_without_its_first_average() -> None:
    """γ / √v = lr √(1 - β₂) / √((1 - β₂) g²), so that the first step has the length of the rate."""
    weight = scalar(0.0)
    assert walk(build("schedule-free-adamw", [group(weight)], lr=0.1), weight, [5]) == pytest.approx([-0.1], abs=1e-8)


def test_evaluation_and_back_changes_no_bit() -> None:
    ours, same = pair()
    optimizer: Any = build("schedule-free-adamw", [group(ours)], lr=0.1)
    descend(optimizer, ours, 7)
    trained = ours.detach().clone()
    for _ in range(2):
        optimizer.eval()
        optimizer.eval()
        assert not torch.equal(ours, trained)
        optimizer.train()
        optimizer.train()
        assert torch.equal(ours, trained)
    descend(optimizer, ours, 7)
    assert torch.equal(ours, descend(build("schedule-free-adamw", [group(same)], lr=0.1), same, 14))


def test_the_average_is_nearer_to_the_minimum_than_the_points_that_noise_drives() -> None:
    """The slope of w² / 2 under noise that turns its sign at each step."""
    weight = scalar(1.0)
    optimizer: Any = build("schedule-free-adamw", [group(weight)], lr=0.3, beta1=0.1)
    for t in range(200):
        walk(optimizer, weight, [float(weight.detach()) + 2 * (-1) ** t])
    driven = abs(float(weight.detach()))
    optimizer.eval()
    assert abs(float(weight.detach())) < driven / 3


def test_a_rate_of_nought_counts_for_nothing_in_the_average() -> None:
    weight = scalar(1.0)
    optimizer: Any = build("schedule-free-adamw", [group(weight)])
    optimizer.param_groups[0]["lr"] = 0.0
    assert walk(optimizer, weight, [1, 1]) == [1.0, 1.0]
    optimizer.param_groups[0]["lr"] = 0.1
    (moved,) = walk(optimizer, weight, [1])
    assert moved < 1.0
    optimizer.param_groups[0]["lr"] = 0.0
    assert walk(optimizer, weight, [1]) == [moved]


def test_a_step_in_evaluation_mode_is_refused() -> None:
    weight = scalar(1.0)
    optimizer: Any = build("schedule-free-adamw", [group(weight)])
    optimizer.eval()
    with pytest.raises(RuntimeError, match=r"call train\(\) before step\(\)"):
        walk(optimizer, weight, [1])
