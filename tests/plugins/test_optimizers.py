from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from zoo.components import Component, OptimizerSpec, Provenance
from zoo.errors import ComponentError
from zoo_optimizers.plugin import zoo_optimizers

SPECS = {spec.name: spec for spec in zoo_optimizers()}


def build(name: str, groups: list[dict[str, Any]], **params: Any) -> Optimizer:
    spec = SPECS[name]
    component: Component[Any] = Component(
        spec, name, spec.params(**params), Provenance("optimizers", "zoo-vision", "0")
    )
    optimizer = component.build(groups)
    assert isinstance(optimizer, Optimizer)
    return optimizer


def group(*parameters: nn.Parameter, weight_decay: float = 0.0) -> dict[str, Any]:
    return {"params": [(f"p{i}", p) for i, p in enumerate(parameters)], "weight_decay": weight_decay}


def scalar(value: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor([value], dtype=torch.float64))


def walk(optimizer: Optimizer, weight: nn.Parameter, gradients: list[float]) -> list[float]:
    """Return the weight after each step along these gradients."""
    path = []
    for gradient in gradients:
        weight.grad = torch.full_like(weight, gradient)
        optimizer.step()
        path.append(float(weight.detach()))
    return path


def curvature(weight: Tensor) -> Tensor:
    """Return the loss of a stretched bowl `(5,)`, whose gradient changes from step to step."""
    return (torch.arange(1, 6, dtype=weight.dtype) * (weight - 1) ** 2).sum() / 2


def descend(optimizer: Optimizer, weight: nn.Parameter, steps: int) -> Tensor:
    for _ in range(steps):
        optimizer.zero_grad()
        curvature(weight).backward()
        optimizer.step()
    return weight.detach()


def pair() -> tuple[nn.Parameter, nn.Parameter]:
    start = torch.linspace(-2, 3, 5, dtype=torch.float64)
    return nn.Parameter(start.clone()), nn.Parameter(start.clone())


def test_the_plugin_announces_these_with_their_form_of_decay() -> None:
    assert all(isinstance(spec, OptimizerSpec) and spec.passes == 1 for spec in SPECS.values())
    assert {name: spec.weight_decay for name, spec in SPECS.items()} == {
        "momentum": "coupled",
        "sgd": "coupled",
        "adamw": "decoupled",
    }


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


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_is_torchs(nesterov: bool) -> None:
    ours, theirs = pair()
    optimizer = build("sgd", [group(ours, weight_decay=0.01)], lr=0.05, momentum=0.8, nesterov=nesterov)
    reference = SGD([theirs], lr=0.05, momentum=0.8, nesterov=nesterov, weight_decay=0.01)
    assert torch.equal(descend(optimizer, ours, 40), descend(reference, theirs, 40))


def test_sgd_cannot_look_ahead_without_momentum() -> None:
    with pytest.raises(
        ComponentError, match=r"nesterov.*momentum 0\n.*nesterov=false\n  try: optimizer\.momentum=0\.9"
    ):
        build("sgd", [group(scalar(1.0))], momentum=0.0, nesterov=True)


def test_adamw_is_torchs() -> None:
    ours, theirs = pair()
    settings = {"lr": 0.05, "eps": 1e-6}
    optimizer = build("adamw", [group(ours, weight_decay=0.2)], beta1=0.8, beta2=0.95, **settings)
    reference = AdamW([theirs], betas=(0.8, 0.95), weight_decay=0.2, **settings)
    assert torch.equal(descend(optimizer, ours, 40), descend(reference, theirs, 40))


def test_adamw_decays_apart_from_the_gradient() -> None:
    """Without a gradient a step multiplies the weight by 1 - lr · decay, however large the second average is."""
    weight = scalar(2.0)
    optimizer = build("adamw", [group(weight, weight_decay=0.1)], lr=0.5)
    assert walk(optimizer, weight, [0]) == pytest.approx([2 * (1 - 0.05)], abs=1e-12)


@pytest.mark.parametrize("name", SPECS)
def test_every_group_has_its_own_rate_and_decay_and_no_default_decays(name: str) -> None:
    decayed, spared, plain = scalar(1.0), scalar(1.0), scalar(1.0)
    groups = [
        {"params": [("a", decayed)], "weight_decay": 0.5, "lr": 0.2},
        {"params": [("b", spared)], "weight_decay": 0.0},
        {"params": [("c", plain)]},
    ]
    optimizer = build(name, groups, lr=0.1)
    assert [g["weight_decay"] for g in optimizer.param_groups] == [0.5, 0.0, 0.0]
    assert [g["lr"] for g in optimizer.param_groups] == [0.2, 0.1, 0.1]
    assert [g["param_names"] for g in optimizer.param_groups] == [["a"], ["b"], ["c"]]
    for weight in (decayed, spared, plain):
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    assert float(decayed.detach()) < 1 and float(spared.detach()) == float(plain.detach()) == 1


@pytest.mark.parametrize("name", SPECS)
def test_the_default_rate_is_the_schemas(name: str) -> None:
    optimizer = build(name, [group(scalar(1.0))])
    assert optimizer.param_groups[0]["lr"] == SPECS[name].params().lr  # type: ignore[attr-defined]
