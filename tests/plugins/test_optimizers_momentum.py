from __future__ import annotations

import pytest
import torch
from fixtures.optimizers import build, curvature, descend, group, pair, scalar, walk
from torch import nn
from torch.optim import SGD


def test_momentum_is_an_exponential_average_from_nought() -> None:
    """v = 0.5, 0.75, -0.125 for gradients 1, 1, -1 at momentum 0.5; the weight goes down by lr times v."""
    weight = scalar(1.0)
    optimizer = build("momentum", [group(weight)], lr=0.1, momentum=0.5)
    assert walk(optimizer, weight, [1, 1, -1]) == pytest.approx([0.95, 0.875, 0.8875], abs=1e-15)
    assert optimizer.state[weight]["velocity"].tolist() == pytest.approx([-0.125], abs=1e-15)


def test_momentum_nought_is_plain_gradient_descent() -> None:
    weight = scalar(1.0)
    optimizer = build("momentum", [group(weight)], lr=0.1, momentum=0.0)
    assert walk(optimizer, weight, [1, -2, 3]) == pytest.approx([0.9, 1.1, 0.8], abs=1e-15)
    ours, theirs = pair()
    descend(build("momentum", [group(ours)], lr=0.1, momentum=0.0), ours, 50)
    assert torch.equal(ours, descend(SGD([theirs], lr=0.1), theirs, 50))


@pytest.mark.parametrize("momentum", [0.5, 0.9, 0.99])
def test_momentum_is_the_heavy_ball_at_a_rate_smaller_by_one_minus_momentum(momentum: float) -> None:
    ours, theirs = pair()
    descend(build("momentum", [group(ours)], lr=0.2, momentum=momentum), ours, 300)
    descend(SGD([theirs], lr=0.2 * (1 - momentum), momentum=momentum), theirs, 300)
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-12)


def test_momentum_is_not_torchs_dampening_which_starts_with_the_whole_gradient() -> None:
    ours, theirs = scalar(1.0), scalar(1.0)
    path = walk(build("momentum", [group(ours)], lr=0.1, momentum=0.9), ours, [1, 1])
    other = walk(SGD([theirs], lr=0.1, momentum=0.9, dampening=0.9), theirs, [1, 1])
    assert path == pytest.approx([0.99, 0.971], abs=1e-15)
    assert other == pytest.approx([0.9, 0.8], abs=1e-15)


def test_momentum_decays_as_part_of_the_gradient() -> None:
    """At weight 2, gradient 1 and decay 0.5 the gradient is 2, then 1 + 0.5 · 1.9 = 1.95; v is 1, then 1.475."""
    weight = scalar(2.0)
    optimizer = build("momentum", [group(weight, weight_decay=0.5)], lr=0.1, momentum=0.5)
    assert walk(optimizer, weight, [1, 1]) == pytest.approx([1.9, 1.7525], abs=1e-15)
    assert weight.grad is not None and weight.grad.tolist() == [1.0]


@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_momentum_with_decay_is_the_heavy_ball_with_decay(decay: float) -> None:
    ours, theirs = pair()
    descend(build("momentum", [group(ours, weight_decay=decay)], lr=0.2, momentum=0.9), ours, 200)
    descend(SGD([theirs], lr=0.02, momentum=0.9, weight_decay=decay), theirs, 200)
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-12)


def test_momentum_follows_the_learning_rate_of_each_step() -> None:
    weight = scalar(0.0)
    optimizer = build("momentum", [group(weight)], lr=1.0, momentum=0.5)
    path = walk(optimizer, weight, [1])
    optimizer.param_groups[0]["lr"] = 0.1
    assert [*path, *walk(optimizer, weight, [1])] == pytest.approx([-0.5, -0.575], abs=1e-15)


def test_momentum_leaves_parameters_without_a_gradient_alone() -> None:
    used, idle = scalar(1.0), scalar(1.0)
    optimizer = build("momentum", [group(used, idle, weight_decay=0.1)], lr=0.1)
    walk(optimizer, used, [1])
    assert float(idle.detach()) == 1.0 and idle not in optimizer.state


def test_momentum_takes_a_closure_as_every_optimizer_does() -> None:
    weight, same = pair()
    optimizer = build("momentum", [group(weight)], lr=0.1)

    def closure() -> float:
        optimizer.zero_grad()
        loss = curvature(weight)
        loss.backward()
        return float(loss.detach())

    before = float(curvature(weight.detach()))
    assert optimizer.step(closure) == before
    assert torch.equal(weight, descend(build("momentum", [group(same)], lr=0.1), same, 1))


def test_momentum_keeps_the_memory_format_of_its_parameter() -> None:
    weight = nn.Parameter(torch.ones(2, 3, 4, 4).to(memory_format=torch.channels_last))
    optimizer = build("momentum", [group(weight)], lr=0.1)
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    assert optimizer.state[weight]["velocity"].is_contiguous(memory_format=torch.channels_last)
