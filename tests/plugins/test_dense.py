"""Networks for signals: dense layers alone, convolution along one axis, and the recurrent one that reads both ways."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fixtures.architectures import build, embeds, facts, images, shaken, weights
from torch import Tensor
from torch.nn import functional
from torch.nn.functional import linear

from zoo.errors import ComponentError, RecipeError
from zoo.evaluation.cost import count_macs

SIGNAL = (1, 1, 40)
PAPER = {"cell": "gru", "bidirectional": "true", "readout": "all", "hidden": 6}


@pytest.mark.parametrize(
    ("name", "settings", "published"),
    [
        ("linear", {}, 410),
        ("mlp", {"residual": "true"}, 15_210),
        ("signal-cnn", {}, 5_210),
        ("pixel-lstm", PAPER, 5_134),
    ],
)
def test_on_signals_of_40_values_the_weights_are_as_many_as_published(
    name: str, settings: dict[str, Any], published: int
) -> None:
    model = build(name, SIGNAL, **settings)
    assert weights(model) == published
    assert embeds(shaken(model), images(3, *SIGNAL))


def test_linear_is_logistic_regression() -> None:
    """Its gradient is that of softmax regression: (softmax - onehot) times the values."""
    model, batch = build("linear", (2, 3, 4), 5), images(6, 2, 3, 4)
    labels = torch.arange(6) % 5
    functional.cross_entropy(model(batch), labels).backward()
    error = model(batch).softmax(1) - functional.one_hot(labels, 5)
    assert torch.allclose(model.head.weight.grad, error.T @ batch.flatten(1) / 6, atol=1e-6)
    assert torch.equal(model.forward_head(model.forward_features(batch), pre_logits=True), batch.flatten(1))
    assert model.stages == ((), ("head.weight", "head.bias"))


@pytest.mark.parametrize("residual", ["false", "true"])
def test_mlp_is_dense_layers_with_relu(residual: str) -> None:
    model, batch = build("mlp", (1, 2, 5), 3, hidden="[7, 7, 4]", residual=residual), images(6, 1, 2, 5)
    first, second, third = model.layers
    x = linear(batch.flatten(1), first.weight, first.bias).relu()
    y = linear(x, second.weight, second.bias).relu()
    middle = x + y if residual == "true" else y
    expected = linear(middle, third.weight, third.bias).relu()
    assert torch.allclose(model.forward_features(batch), expected, atol=1e-6)
    assert torch.allclose(model(batch), linear(expected, model.head.weight, model.head.bias), atol=1e-6)
    assert [len(stage) for stage in model.stages] == [2, 2, 2, 2] and model.embedding_size == 4


def test_dense_networks_cost_what_their_layers_say() -> None:
    assert count_macs(lambda: build("linear", SIGNAL), SIGNAL) == 40 * 10
    assert count_macs(lambda: build("mlp", SIGNAL), SIGNAL) == 40 * 100 + 100 * 100 + 100 * 10
    assert facts("linear").family == facts("mlp").family == "mlp"


@pytest.mark.parametrize(("hidden", "message"), [("[]", "of at least 1 items"), ("[0]", "integer ≥ 1")])
def test_an_mlp_without_hidden_units_is_refused(hidden: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build("mlp", SIGNAL, hidden=hidden)


def convolved(signal: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return a convolution of stride 2 and padding 1 with ReLU, written out, of `(channels, length)`."""
    padded = functional.pad(signal, (1, 1))
    starts = range(0, padded.shape[1] - weight.shape[2] + 1, 2)
    columns = [(weight * padded[:, start : start + weight.shape[2]]).sum((1, 2)) + bias for start in starts]
    return torch.stack(columns, 1).relu()


def test_signal_cnn_is_three_convolutions_along_the_last_axis() -> None:
    model, batch = build("signal-cnn", SIGNAL, 4, filters=3), images(2, *SIGNAL)
    for image, features, outputs in zip(batch, model.forward_features(batch), model(batch), strict=True):
        maps, lengths = image[0], []
        for convolution in model.convolutions:
            maps = convolved(maps, convolution.weight, convolution.bias)
            lengths.append(maps.shape[1])
        assert lengths == [19, 10, 5]
        assert torch.allclose(features, maps, atol=1e-6)
        assert torch.allclose(outputs, linear(maps.flatten(), model.head.weight, model.head.bias), atol=1e-6)


def test_signal_cnn_takes_the_rows_of_an_image_for_channels() -> None:
    image, rows = build("signal-cnn", (2, 3, 12)), build("signal-cnn", (6, 1, 12))
    rows.load_state_dict(image.state_dict())
    batch = images(4, 2, 3, 12)
    assert torch.equal(image(batch), rows(batch.reshape(4, 6, 1, 12)))


def test_signal_cnn_moves_its_maps_with_the_signal() -> None:
    """Eight values are one step of the last map, but for the borders."""
    model, batch = build("signal-cnn", (1, 1, 96)), torch.zeros(1, 1, 1, 96)
    batch[..., 30:60] = images(30)
    here, there = (model.forward_features(batch.roll(shift, 3)) for shift in (0, 8))
    assert torch.allclose(here[..., 2:-3], there[..., 3:-2], atol=1e-6)
    assert not torch.allclose(here[..., 2:-3], there[..., 2:-3], atol=1e-3)


def test_signal_cnn_refuses_what_is_too_short_for_its_first_kernel() -> None:
    assert build("signal-cnn", (1, 1, 3))(images(2, 1, 1, 3)).shape == (2, 10)
    with pytest.raises(ComponentError, match="signals of 2 values\n  possible: 3 or more"):
        build("signal-cnn", (1, 8, 2))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_bidirectional_pixel_lstm_classifies_both_final_states(cell: str) -> None:
    model, batch = build("pixel-lstm", (2, 3, 4), 5, cell=cell, bidirectional="true", hidden=6), images(3, 2, 3, 4)
    (layer,) = model.stack.layers
    _, final = layer(batch.flatten(2).transpose(1, 2))
    state = final[0] if cell == "lstm" else final
    embedding = model.forward_head(model.forward_features(batch), pre_logits=True)
    assert torch.allclose(embedding, torch.cat([state[0], state[1]], 1), atol=1e-6)
    assert embeds(model, batch) and model.embedding_size == 12


def test_all_states_of_a_pixel_lstm_are_read_one_after_another() -> None:
    model, batch = build("pixel-lstm", SIGNAL, **PAPER), images(3, *SIGNAL)
    (gru,) = model.stack.layers
    outputs, _ = gru(batch[:, 0, 0, :, None])
    assert torch.allclose(model(batch), linear(outputs.reshape(3, 480), model.head.weight, model.head.bias), atol=1e-6)
    assert model.embedding_size == 2 * 6 * 40


def test_the_defaults_of_pixel_lstm_read_forwards_and_classify_the_last_state() -> None:
    model, batch = build("pixel-lstm", (1, 4, 4), hidden=6), images(2, 1, 4, 4)
    assert weights(model) == 4 * 6 * (1 + 6 + 2) + 70
    assert torch.equal(model.embed(model.forward_features(batch)), model.forward_features(batch)[:, -1])
