from __future__ import annotations

import pytest
import torch
from fixtures.optimizers import build, descend, group, pair, scalar, walk
from torch.optim import SGD, Adam, AdamW, NAdam, RMSprop

from zoo.errors import ComponentError


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


def test_adam_is_torchs() -> None:
    ours, theirs = pair()
    optimizer = build("adam", [group(ours, weight_decay=0.2)], lr=0.05, beta1=0.8, beta2=0.95, eps=1e-6)
    reference = Adam([theirs], lr=0.05, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.2)
    assert torch.equal(descend(optimizer, ours, 40), descend(reference, theirs, 40))


def test_adam_decays_as_part_of_the_gradient() -> None:
    """Decay alone is a gradient like any other: the first step has the length of the rate, whatever the decay."""
    weight = scalar(2.0)
    optimizer = build("adam", [group(weight, weight_decay=0.1)], lr=0.5)
    assert walk(optimizer, weight, [0]) == pytest.approx([1.5], abs=1e-6)


def test_adams_first_steps_are_those_of_the_paper() -> None:
    """m = 0.1, 0.29 and v = 0.001, 0.004999 for gradients 1, 2; with the biases 0.1, 0.19 and 0.001, 0.001999 divided out."""
    weight = scalar(0.0)
    path = walk(build("adam", [group(weight)], lr=0.1), weight, [1, 2])
    second = (0.29 / 0.19) / (0.004999 / 0.001999) ** 0.5
    assert path == pytest.approx([-0.1, -0.1 - 0.1 * second], abs=1e-8)


def test_nadam_is_torchs() -> None:
    ours, theirs = pair()
    optimizer = build("nadam", [group(ours, weight_decay=0.2)], lr=0.05, beta1=0.8, beta2=0.95, eps=1e-6)
    reference = NAdam([theirs], lr=0.05, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.2)
    assert torch.equal(descend(optimizer, ours, 40), descend(reference, theirs, 40))


@pytest.mark.parametrize("centered", [False, True])
def test_rmsprop_is_torchs(centered: bool) -> None:
    ours, theirs = pair()
    settings = {"lr": 0.05, "alpha": 0.9, "eps": 1e-6, "momentum": 0.5}
    optimizer = build("rmsprop", [group(ours, weight_decay=0.1)], centered=centered, **settings)
    reference = RMSprop([theirs], centered=centered, weight_decay=0.1, **settings)
    assert torch.equal(descend(optimizer, ours, 40), descend(reference, theirs, 40))


def test_rmsprop_divides_by_the_root_of_the_averaged_square() -> None:
    """The average is 0.5, then 0.5 · 0.5 + 0.5 · 4 = 2.25 for gradients 1, 2."""
    weight = scalar(0.0)
    path = walk(build("rmsprop", [group(weight)], lr=0.1, alpha=0.5), weight, [1, 2])
    assert path == pytest.approx([-0.1 / 0.5**0.5, -0.1 / 0.5**0.5 - 0.2 / 1.5], abs=1e-7)
