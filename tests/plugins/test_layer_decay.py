from __future__ import annotations

from typing import Any

import pytest
from fixtures.regularizers import bound, component, context
from torch import nn

import zoo
import zoo_architectures.convolutional as convolutional
from zoo.errors import ComponentError
from zoo.training.experiment import build
from zoo.training.loop import fit
from zoo.training.progress import Progress
from zoo.training.regularizers import Regularizers
from zoo_architectures.specs.convolutional import ConvNet

TOY = ("architecture={name: conv-net, filters: 2, hidden: 4}", "data.train_size=50")


def conv_net() -> nn.Module:
    return convolutional.build(ConvNet(filters=2, hidden=4), num_outputs=3, in_channels=1, image_size=(8, 8))


def settings(groups: list[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """Return (lr_scale, weight_decay) of each parameter."""
    return {name: (group["lr_scale"], group["weight_decay"]) for group in groups for name, _ in group["params"]}


def test_each_stage_has_a_share_of_the_rate_of_the_stage_above_it() -> None:
    groups = Regularizers([component("layer-decay", strength=0.2)], context(conv_net(), (5, 5, 5))).parameter_groups()
    assert [[name for name, _ in group["params"]] for group in groups] == [
        ["head.weight", "head.bias"], ["hidden.weight", "hidden.bias"], ["conv.weight", "conv.bias"],
    ]  # fmt: skip
    assert [group["lr_scale"] for group in groups] == pytest.approx([1, 0.8, 0.64])


def test_weight_decay_may_come_before_or_after() -> None:
    parts = [component("layer-decay", strength=0.5), component("weight-decay", strength=0.01)]
    first, second = (
        Regularizers(order, context(conv_net(), (5, 5, 5))).parameter_groups() for order in (parts, parts[::-1])
    )
    assert settings(first) == settings(second) == {
        "head.weight": (1, 0.01), "head.bias": (1, 0), "hidden.weight": (0.5, 0.01), "hidden.bias": (0.5, 0),
        "conv.weight": (0.25, 0.01), "conv.bias": (0.25, 0),
    }  # fmt: skip
    assert first[0]["lr_scale"] == second[0]["lr_scale"] == 1, "the first group's rate is the one that is reported"


def test_many_groups_are_told_in_one_line() -> None:
    parts = [component("weight-decay", strength=0.01), component("layer-decay", strength=0.5)]
    regularizers = Regularizers(parts, context(conv_net(), (5, 5, 5)))
    regularizers.parameter_groups()
    assert regularizers.changes[1] == ("layer-decay", "6 groups: lr_scale 0.25 to 1, weight_decay 0 to 0.01")


@pytest.mark.parametrize("optimizer", ["{name: sgd, lr: 0.1}", "{name: adamw, lr: 0.1}"])
def test_the_optimizer_gets_the_rates(optimizer: str) -> None:
    recipe = zoo.resolve("conv-net-momentum", *TOY, f"optimizer={optimizer}", "regularizers=[layer-decay]")
    x = build(recipe, device="cpu")
    assert [group["initial_lr"] for group in x.optimizer.param_groups] == pytest.approx([0.1, 0.075, 0.05625])


def test_the_schedule_goes_on_from_each_rate() -> None:
    schedule = "schedule={name: step, milestones: [0.5], gamma: 0.1}"
    length = "training={epochs: 2, threads: 1}"
    rates: list[list[float]] = []
    recipe = zoo.resolve("conv-net-momentum", *TOY, schedule, length, "regularizers=[layer-decay]", "optimizer.lr=1")
    x = build(recipe, device="cpu")
    for _ in fit(x, Progress(x.device)):
        rates.append([group["lr"] for group in x.optimizer.param_groups])
    assert rates[0] == pytest.approx([1, 0.75, 0.5625]) and rates[-1] == pytest.approx([0.1, 0.075, 0.05625])


def test_a_model_without_stages_is_refused_with_the_way_out() -> None:
    with pytest.raises(ComponentError) as caught:
        bound("layer-decay", nn.Linear(2, 3))
    assert str(caught.value) == (
        "regularizer 'layer-decay' needs the stages of the architecture, and Linear has none\n"
        "  possible: architectures with embeddings, which name their stages\n"
        "  try: regularizers.layer-decay=null   (leaves it out)"
    )


def test_decay_of_nought_needs_no_stages_and_leaves_the_groups() -> None:
    model = nn.Linear(2, 3)
    groups = [{"params": list(model.named_parameters()), "weight_decay": 0.0}]
    assert bound("layer-decay", model, strength=0.0).parameter_groups(groups) is groups


def test_a_step_of_a_frozen_network_takes_what_trains() -> None:
    model = conv_net()
    model.get_parameter("conv.weight").requires_grad_(False)
    groups = Regularizers([component("layer-decay", strength=0.5)], context(model, (5, 5, 5))).parameter_groups()
    names = [[name for name, _ in group["params"]] for group in groups]
    assert names == [["head.weight", "head.bias"], ["hidden.weight", "hidden.bias"], ["conv.bias"]]
    assert groups[2]["lr_scale"] == 0.25
