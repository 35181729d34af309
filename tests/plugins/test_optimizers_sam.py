from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from fixtures.optimizers import build, component, curvature, descend, form, group, pair
from torch import Tensor, nn
from torch.optim import SGD

from zoo.errors import ComponentError
from zoo.training.checkpoint import dumps, loads
from zoo.training.experiment import restore_optimizer


def sharpened(optimizer: Any, weight: nn.Parameter, steps: int, seen: list[Tensor] | None = None) -> Tensor:
    """Take steps down the stretched bowl, and note where gradients were asked for."""

    def gradients() -> None:
        if seen is not None:
            seen.append(weight.detach().clone())
        optimizer.zero_grad()
        curvature(weight).backward()

    for _ in range(steps):
        optimizer.step(gradients)
    return weight.detach()


def by_hand(weight: Tensor, steps: int, climb: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return plain gradient descent at rate 0.05 along gradients at `weight + climb(weight, gradient)`."""

    def gradient(at: Tensor) -> Tensor:
        return torch.arange(1, 6, dtype=at.dtype) * (at - 1)

    for _ in range(steps):
        weight = weight - 0.05 * gradient(weight + climb(weight, gradient(weight)))
    return weight


def test_gradients_are_taken_at_distance_rho_along_the_gradient() -> None:
    weight, start = pair()
    seen: list[Tensor] = []
    optimizer = build("sam", [group(weight)], rho=0.5, base="{name: sgd, lr: 0.05, momentum: 0}")
    sharpened(optimizer, weight, 30, seen)
    assert torch.equal(seen[0], start.detach())
    assert float((seen[1] - seen[0]).norm()) == pytest.approx(0.5, abs=1e-12)
    expected = by_hand(start.detach(), 30, lambda w, g: 0.5 * g / g.norm())
    assert torch.allclose(weight.detach(), expected, atol=1e-12, rtol=0)


def test_adaptive_distance_is_measured_in_units_of_each_weight() -> None:
    """ε = ρ T² g / ‖T g‖ with T = |w| + 0.01 (Kwon et al., equation 6)."""
    weight, start = pair()
    optimizer = build("sam", [group(weight)], rho=0.5, adaptive=True, base="{name: sgd, lr: 0.05, momentum: 0}")
    sharpened(optimizer, weight, 30)

    def climb(w: Tensor, g: Tensor) -> Tensor:
        scale = w.abs() + 0.01
        return 0.5 * scale**2 * g / (scale * g).norm()

    assert torch.allclose(weight.detach(), by_hand(start.detach(), 30, climb), atol=1e-12, rtol=0)


@pytest.mark.parametrize("base", ["sgd", "adamw", "muon", "lamb"])
def test_rho_nought_is_the_base_bit_by_bit(base: str) -> None:
    ours, theirs = pair()
    optimizer = build("sam", [group(ours, weight_decay=0.1)], rho=0.0, base=f"{{name: {base}, lr: 0.05}}")
    sharpened(optimizer, ours, 20)
    assert torch.equal(ours, descend(build(base, [group(theirs, weight_decay=0.1)], lr=0.05), theirs, 20))


def test_the_norm_is_taken_over_all_parameters() -> None:
    one, two = nn.Parameter(torch.tensor([1.0])), nn.Parameter(torch.tensor([1.0]))
    optimizer: Any = build("sam", [group(one), group(two)], rho=1.0, base="{name: sgd, lr: 1, momentum: 0}")
    seen: list[list[float]] = []

    def gradients() -> None:
        seen.append([float(one.detach()), float(two.detach())])
        one.grad, two.grad = torch.tensor([3.0]), torch.tensor([4.0])

    optimizer.step(gradients)
    assert seen[1] == pytest.approx([1.6, 1.8])
    assert [float(one.detach()), float(two.detach())] == [-2.0, -3.0]


def test_the_weights_are_back_bit_by_bit_before_the_base_steps() -> None:
    weight = nn.Parameter(torch.tensor([0.1, 1e-8, 3e7]))
    optimizer: Any = build("sam", [group(weight)], rho=2.0)
    for each in optimizer.param_groups:
        each["lr"] = 0.0
    start = weight.detach().clone()

    def gradients() -> None:
        weight.grad = torch.tensor([0.3, -7.0, 1e-3])

    optimizer.step(gradients)
    assert torch.equal(weight, start)


def test_a_gradient_of_nought_moves_nothing() -> None:
    weight, start = pair()
    optimizer: Any = build("sam", [group(weight)], adaptive=True)

    def gradients() -> None:
        weight.grad = torch.zeros_like(weight)

    optimizer.step(gradients)
    assert torch.equal(weight, start)


def test_outside_changes_of_rate_and_decay_reach_the_base() -> None:
    ours, theirs = pair()
    optimizer = build("sam", [group(ours)], rho=0.0)
    reference = SGD([theirs], lr=0.02, momentum=0.9, weight_decay=0.3)
    optimizer.param_groups[0].update(lr=0.02, weight_decay=0.3)
    assert torch.equal(sharpened(optimizer, ours, 15), descend(reference, theirs, 15))


def test_its_state_is_the_bases() -> None:
    whole, part = pair()
    settings = {"base": "adamw", "rho": 0.1}
    sharpened(build("sam", [group(whole)], **settings), whole, 10)
    first = build("sam", [group(part)], **settings)
    sharpened(first, part, 4)
    saved = loads(dumps(first.state_dict()))
    assert set(saved["state"][0]) == {"step", "exp_avg", "exp_avg_sq"}
    second = build("sam", [group(part)], **settings)
    restore_optimizer(second, saved)
    assert torch.equal(sharpened(second, part, 6), whole)


def test_a_schedule_free_base_is_switched_with_it() -> None:
    weight, _ = pair()
    optimizer: Any = build("sam", [group(weight)], base="schedule-free-adamw")
    trained = sharpened(optimizer, weight, 5).clone()
    optimizer.eval()
    assert not torch.equal(weight, trained)
    optimizer.train()
    assert torch.equal(weight, trained)


def test_its_form_of_decay_is_the_bases() -> None:
    assert (form("sam"), form("sam", base="adamw"), form("sam", base="{name: timm, optimizer: lars}")) == (
        "coupled",
        "decoupled",
        "coupled",
    )


def test_a_base_of_two_passes_is_refused() -> None:
    with pytest.raises(ComponentError, match=r"sam cannot have sam as its base.*\n.*\n  try: optimizer\.base=sgd"):
        component("sam", base="sam").build([group(pair()[0])])
