"""Penalties on weights, and which parameters they spare."""

from __future__ import annotations

import pytest
import torch
from fixtures.architectures import build
from fixtures.regularizers import bound
from torch import nn

from zoo.errors import ComponentError
from zoo_regularizers.spared import spared


class Net(nn.Module):
    """A convolution, a norm, a recurrent layer, a free vector and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 2)
        self.norm = nn.LayerNorm([2, 3])
        self.rows = nn.LSTM(2, 2)
        self.scale = nn.Parameter(torch.ones(3))
        self.head = nn.Linear(2, 2)


def test_biases_norms_and_vectors_are_spared() -> None:
    assert spared(Net()) == {
        "conv.bias", "norm.weight", "norm.bias", "rows.bias_ih_l0", "rows.bias_hh_l0", "scale", "head.bias",
    }  # fmt: skip


def test_the_network_itself_may_be_a_norm() -> None:
    assert spared(nn.LayerNorm([2, 3])) == {"weight", "bias"}


def test_l1_is_the_sum_of_absolute_weights_by_hand() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, -2.0], [0.0, 3.0]]))
        model[1].weight.copy_(torch.tensor([[-0.5, 4.0]]))
    penalty = bound("l1", model, strength=0.1).penalty(model)
    assert penalty is not None and penalty.shape == () and float(penalty.detach()) == pytest.approx(0.1 * 10.5)
    penalty.backward()
    expected = 0.1 * torch.tensor([[1.0, -1.0], [0.0, 1.0]])
    assert model[0].weight.grad is not None and torch.allclose(model[0].weight.grad, expected)
    assert model[0].bias.grad is None and model[1].bias.grad is None


def test_l1_leaves_frozen_weights_alone() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    model[0].requires_grad_(False)
    penalty = bound("l1", model, strength=1.0).penalty(model)
    assert penalty is not None and float(penalty.detach()) == pytest.approx(float(model[1].weight.detach().abs().sum()))
    assert bound("l1", model, strength=1.0).penalty(model[0]) is None


def test_l1_of_nought_is_no_penalty() -> None:
    model = nn.Linear(2, 2)
    assert bound("l1", model, strength=0.0).penalty(model) is None


def test_l2_is_the_sum_of_squared_weights_by_hand() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, -2.0], [0.0, 3.0]]))
        model[1].weight.copy_(torch.tensor([[-0.5, 4.0]]))
    penalty = bound("l2", model, strength=0.1).penalty(model)
    assert penalty is not None and penalty.shape == ()
    assert float(penalty.detach()) == pytest.approx(0.1 * (1 + 4 + 9 + 0.25 + 16))
    penalty.backward()
    expected = 0.1 * torch.tensor([[2.0, -4.0], [0.0, 6.0]])
    assert model[0].weight.grad is not None and torch.allclose(model[0].weight.grad, expected)
    assert model[0].bias.grad is None and model[1].bias.grad is None


def test_l2_of_one_layer_shrinks_its_weights_by_the_number_of_samples_and_no_other() -> None:
    model = build("keras-cnn", (1, 8, 8), hidden=3)
    penalty = bound("l2", model, class_counts=(20, 30), strength=2.5, layers=("hidden",), per_sample=True).penalty(
        model
    )
    weight = model.hidden.weight.detach()
    assert penalty is not None and float(penalty.detach()) == pytest.approx(2.5 / 50 * float(weight.square().sum()))
    penalty.backward()
    assert torch.allclose(model.hidden.weight.grad, 2 * 2.5 / 50 * weight)
    assert [name for name, p in model.named_parameters() if p.grad is not None] == ["hidden.weight"]


def test_l2_takes_all_that_is_inside_a_module_and_leaves_frozen_weights_alone() -> None:
    model = nn.ModuleDict({"body": nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), "head": nn.Linear(2, 2)})
    first, second = (layer.weight.detach() for layer in model["body"])  # type: ignore[arg-type]
    penalty = bound("l2", model, strength=1.0, layers=("body",)).penalty(model)
    assert penalty is not None
    assert float(penalty.detach()) == pytest.approx(float(first.square().sum() + second.square().sum()))
    model["body"].requires_grad_(False)
    assert bound("l2", model, strength=1.0, layers=("body",)).penalty(model) is None
    assert bound("l2", model, strength=0.0).penalty(model) is None


@pytest.mark.parametrize("layer", ["dense", "relu", "hid", "norm", ""])
def test_a_layer_that_l2_does_not_find_is_refused_with_those_that_there_are(layer: str) -> None:
    with pytest.raises(ComponentError) as caught:
        bound("l2", Net(), layers=("head", layer))
    assert str(caught.value) == (
        f"l2 finds no layer {layer!r} with weights in Net\n"
        "  possible: conv, rows, head\n"
        "  try: regularizers.l2.layers=null   (takes all)"
    )
