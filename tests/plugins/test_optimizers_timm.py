from __future__ import annotations

import math

import pytest
import timm.optim
import torch
from fixtures.optimizers import build, descend, form, group, pair, scalar, walk
from torch import nn

from zoo.errors import ComponentError


def test_lion_steps_along_the_sign_of_a_blend_of_average_and_gradient() -> None:
    """At β = (0.5, 0.75) and gradients 1, -3, 1: the blends are 0.5, -1.375, 0.21875, the averages 0.25, -0.5625, -0.171875."""
    weight = scalar(1.0)
    optimizer = build("lion", [group(weight)], lr=0.1, beta1=0.5, beta2=0.75)
    assert walk(optimizer, weight, [1, -3, 1]) == pytest.approx([0.9, 1.0, 0.9], abs=1e-15)
    assert optimizer.state[weight]["exp_avg"].tolist() == pytest.approx([-0.171875], abs=1e-15)


def test_lion_decays_apart_from_the_gradient() -> None:
    weight = scalar(2.0)
    assert walk(build("lion", [group(weight, weight_decay=0.5)], lr=0.1), weight, [0, 1]) == pytest.approx([1.9, 1.705])


def test_lamb_steps_as_far_as_the_weights_are_long() -> None:
    """The first step of Adam is the sign of the gradient, of norm √2; the weights have norm 5: the step is 0.1 · 5 / √2."""
    weight = nn.Parameter(torch.tensor([3.0, 4.0], dtype=torch.float64))
    optimizer = build("lamb", [group(weight)], lr=0.1, eps=1e-12)
    weight.grad = torch.tensor([2.0, -1.0], dtype=torch.float64)
    optimizer.step()
    length = 0.1 * 5 / math.sqrt(2)
    assert weight.tolist() == pytest.approx([3 - length, 4 + length], abs=1e-9)


def test_lamb_adds_the_decay_before_it_measures() -> None:
    """At decay 0.5 the step from (3, 4) is along (1 + 1.5, -1 + 2), made as long as 0.1 · 5."""
    weight = nn.Parameter(torch.tensor([3.0, 4.0], dtype=torch.float64))
    optimizer = build("lamb", [group(weight, weight_decay=0.5)], lr=0.1, eps=1e-12)
    weight.grad = torch.tensor([2.0, -1.0], dtype=torch.float64)
    optimizer.step()
    length = 0.5 / math.hypot(2.5, 1.0)
    assert weight.tolist() == pytest.approx([3 - 2.5 * length, 4 - length], abs=1e-9)
    assert optimizer.state[weight]["exp_avg"].tolist() == pytest.approx([0.2, -0.1])


def test_lamb_leaves_clipping_to_the_recipe() -> None:
    small, large = (nn.Parameter(torch.ones(2, dtype=torch.float64)) for _ in range(2))
    for weight, scale in ((small, 1.0), (large, 1e6)):
        optimizer = build("lamb", [group(weight)], lr=0.1)
        weight.grad = torch.tensor([scale, 2 * scale], dtype=torch.float64)
        optimizer.step()
        assert optimizer.state[weight]["exp_avg"].tolist() == pytest.approx([0.1 * scale, 0.2 * scale])


@pytest.mark.parametrize("name", ["adopt", "nadamw", "laprop", "lars", "adan"])
def test_timm_builds_what_timm_has_by_this_name(name: str) -> None:
    ours, theirs = pair()
    optimizer = build("timm", [group(ours, weight_decay=0.1)], optimizer=name, lr=0.02)
    reference = timm.optim.create_optimizer_v2([theirs], opt=name, lr=0.02, weight_decay=0.1)
    assert torch.equal(descend(optimizer, ours, 20), descend(reference, theirs, 20))


def test_timm_hands_on_the_settings_that_are_given() -> None:
    weight = scalar(1.0)
    (first,) = build("timm", [group(weight)], optimizer="adopt", betas=[0.7, 0.8], eps=1e-3).param_groups
    assert (tuple(first["betas"]), first["eps"]) == ((0.7, 0.8), 1e-3)
    (second,) = build("timm", [group(weight)], optimizer="lars", momentum=0.3).param_groups
    assert second["momentum"] == 0.3


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sgd", "coupled"),
        ("sgdw", "decoupled"),
        ("adam", "coupled"),
        ("adamw", "decoupled"),
        ("adopt", "coupled"),
        ("adoptw", "decoupled"),
        ("adan", "decoupled"),
        ("lars", "coupled"),
        ("lion", "decoupled"),
        ("muon", "decoupled"),
        ("madgrad", "coupled"),
        ("madgradw", "decoupled"),
        ("novograd", "coupled"),
        ("radam", "coupled"),
        ("radamw", "decoupled"),
        ("rmsproptf", "coupled"),
        ("rmsproptfw", "decoupled"),
        ("sgdp", "decoupled"),
    ],
)
def test_a_step_tells_the_form_of_weight_decay(name: str, expected: str) -> None:
    assert form("timm", optimizer=name) == expected


def test_without_averages_the_forms_of_decay_are_one() -> None:
    assert form("timm", optimizer="momentum", momentum=0.0) == "coupled"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": "adoptt"}, r"timm has no optimizer 'adoptt'\n  possible: did you mean 'adopt'.*\n.*=adopt"),
        ({"optimizer": "adahessian"}, "'adahessian' needs second derivatives.*\n  try: optimizer.optimizer=nadamw"),
        ({"optimizer": "kronw"}, "'kronw' draws random numbers of its own"),
        ({"optimizer": "fusedadam"}, "'fusedadam' needs the package 'apex', which is not installed"),
        ({"optimizer": "adamw", "momentum": 0.9}, "'adamw' has no momentum\n  possible: lr, betas, eps"),
        ({"optimizer": "sgd", "betas": [0.9, 0.99]}, "'sgd' has no betas\n  possible: lr, momentum"),
        ({"optimizer": "adan", "betas": [0.9, 0.99]}, r"'adan' takes 3 betas, got 2 instead"),
    ],
)
def test_timm_says_what_is_wrong_with_a_name_or_setting(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ComponentError, match=message):
        build("timm", [group(scalar(1.0))], **settings)
