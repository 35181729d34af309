from __future__ import annotations

import pytest
import torch
from fixtures.optimizers import SPECS, build, component, form, group, scalar
from torch import nn
from torch.optim import Optimizer


def step(name: str, optimizer: Optimizer, *weights: nn.Parameter) -> None:
    """Do one step with a gradient of nought in each weight."""

    def gradients() -> None:
        for weight in weights:
            weight.grad = torch.zeros_like(weight)

    if SPECS[name].passes == 2:
        optimizer.step(gradients)  # type: ignore[arg-type]  # a two-pass optimizer asks for gradients
    else:
        gradients()
        optimizer.step()


def test_the_plugin_announces_these_with_their_form_of_decay() -> None:
    assert {name: form(name) for name in SPECS} == {
        "momentum": "coupled",
        "sgd": "coupled",
        "rmsprop": "coupled",
        "lion": "decoupled",
        "adam": "coupled",
        "adamw": "decoupled",
        "nadam": "coupled",
        "lamb": "decoupled",
        "schedule-free-adamw": "decoupled",
        "muon": "decoupled",
        "sam": "coupled",
        "timm": "decoupled",
    }


def test_sam_alone_takes_two_passes() -> None:
    assert [name for name, spec in SPECS.items() if spec.passes == 2] == ["sam"]


@pytest.mark.parametrize("name", SPECS)
def test_every_group_has_its_own_rate_and_decay_and_no_default_decays(name: str) -> None:
    decayed, spared, plain = scalar(1.0), scalar(1.0), scalar(1.0)
    groups = [
        {"params": [("a", decayed)], "weight_decay": 0.5, "lr": 0.2},
        {"params": [("b", spared)], "weight_decay": 0.0},
        {"params": [("c", plain)]},
    ]
    optimizer = build(name, groups, **({"base": "{name: sgd, lr: 0.1}"} if name == "sam" else {"lr": 0.1}))
    assert [g["weight_decay"] for g in optimizer.param_groups] == [0.5, 0.0, 0.0]
    assert [g["lr"] for g in optimizer.param_groups] == [0.2, 0.1, 0.1]
    assert [g["param_names"] for g in optimizer.param_groups] == [["a"], ["b"], ["c"]]
    step(name, optimizer, decayed, spared, plain)
    assert float(decayed.detach()) < 1 and float(spared.detach()) == float(plain.detach()) == 1


@pytest.mark.parametrize("name", SPECS)
def test_the_default_rate_is_the_schemas(name: str) -> None:
    optimizer, params = build(name, [group(scalar(1.0))]), component(name).params
    assert optimizer.param_groups[0]["lr"] == (params.base.params if name == "sam" else params).lr  # type: ignore[attr-defined]
