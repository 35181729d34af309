from __future__ import annotations

from typing import Any

import pytest
import torch
from fixtures.architectures import build, component, embeds, facts, images, shaken, weights
from torch import Tensor, nn
from torch.nn import functional

from zoo.components import Component
from zoo.errors import RecipeError
from zoo.evaluation.cost import count_macs
from zoo.training.randomness import stream

MIXERS = {
    # mixer: family, multiply-accumulates of one mixer per patch at width 16, hidden 3, kernel 5
    "bilstm2d": ("rnn", 2 * 2 * 4 * 3 * (16 + 3) + 12 * 16),
    "bigru2d": ("rnn", 2 * 2 * 3 * 3 * (16 + 3) + 12 * 16),
    "depthwise-conv": ("cnn", 25 * 16 + 16 * 16),
    "conv3": ("cnn", 9 * 16 * 16),
    "pool": ("cnn", 0),
    "identity": ("mlp", 0),
}


def test_crnn_reads_the_columns_of_its_maps_from_both_sides() -> None:
    model, batch = build("crnn", (1, 8, 12), 4, filters=3, hidden=5), images(2, 1, 8, 12)
    maps = model.convolutions[1](model.convolutions[0](batch))
    assert maps.shape == (2, 6, 2, 3)
    columns = torch.stack([maps[:, :, :, i].flatten(1) for i in range(3)], 1)
    (lstm,) = model.stack.layers
    outputs, (final, _) = lstm(columns)
    assert torch.allclose(model.forward_features(batch), outputs, atol=1e-6)
    embedding = model.forward_head(model.forward_features(batch), pre_logits=True)
    assert torch.allclose(embedding, torch.cat([final[0], final[1]], 1), atol=1e-6)
    assert embeds(shaken(model), batch)


def test_crnn_does_not_grow_with_high_images() -> None:
    assert weights(build("crnn", (1, 64, 32))) == weights(build("crnn", (1, 32, 200)))
    assert isinstance(build("crnn", (1, 16, 16), cell="gru", layers=2).stack.layers[1], nn.GRU)


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_rcnn_feeds_its_layers_back_into_themselves(steps: int) -> None:
    layer = build("rcnn", (1, 8, 8), filters=8, layers=1, steps=steps).layers[0]
    maps = images(2, 8, 4, 4)
    constant = functional.conv2d(maps, layer.feedforward.weight, layer.feedforward.bias, padding=1)

    def normalised(x: Tensor) -> Tensor:
        """f / (1 + α / N · sum of squares over N neighbouring maps)^β, N = 8 / 8 + 1 = 2."""
        squares = functional.pad(x.square(), (0, 0, 0, 0, 1, 0))
        return x / (1 + 0.001 / 2 * (squares[:, :-1] + squares[:, 1:])) ** 0.75

    state = normalised(constant.relu())
    for _ in range(steps):
        state = normalised((constant + functional.conv2d(state, layer.recurrent.weight, padding=1)).relu())
    assert torch.allclose(layer(maps), state, atol=1e-5)


def test_rcnn_can_have_other_channels_after_its_maps_are_halved() -> None:
    model = build("rcnn", (1, 16, 16), filters=8, growth=1.3, layers=4)
    assert [(layer.feedforward.in_channels, layer.feedforward.out_channels) for layer in model.layers] == [
        (8, 8), (8, 8), (8, 10), (10, 10)
    ]  # fmt: skip
    assert embeds(shaken(model), images(2, 1, 16, 16)) and model.embedding_size == 10


def test_more_steps_of_rcnn_add_depth_and_no_weights() -> None:
    assert weights(build("rcnn", (3, 16, 16), steps=1)) == weights(build("rcnn", (3, 16, 16), steps=5))
    model = build("rcnn", (3, 16, 16), 4, filters=8)
    assert model.forward_features(images(2, 3, 16, 16)).shape == (2, 8, 4, 4)
    assert embeds(shaken(model), images(2, 3, 16, 16)) and len(model.stages) == 6


@pytest.mark.parametrize("mixer", MIXERS)
def test_only_the_mixer_of_mixer_swap_changes(mixer: str) -> None:
    family, macs = MIXERS[mixer]
    settings: dict[str, Any] = {"width": 16, "depth": 2, "hidden": 3, "kernel": 5, "mixer": mixer}
    model, plain = (
        build("mixer-swap", (1, 8, 12), **settings),
        build("mixer-swap", (1, 8, 12), **{**settings, "mixer": "identity"}),
    )
    others = [(n, p.shape) for n, p in model.named_parameters() if ".mixer." not in n]
    assert others == [(n, p.shape) for n, p in plain.named_parameters()]
    assert facts("mixer-swap", **settings).family == family
    counted = [
        count_macs(lambda m=m: build("mixer-swap", (1, 8, 12), **{**settings, "mixer": m}), (1, 8, 12))
        for m in (mixer, "identity")
    ]  # type: ignore[misc]
    assert counted[0] - counted[1] == 2 * 24 * macs
    assert embeds(shaken(model), images(2, 1, 8, 12)) and len(model.stages) == 5


@pytest.mark.parametrize("mixer", ["bilstm2d", "bigru2d"])
def test_a_recurrent_mixer_reads_each_row_and_each_column_both_ways(mixer: str) -> None:
    mixing = build("mixer-swap", (1, 8, 8), width=6, hidden=3, mixer=mixer).blocks[0].mixer
    x = images(2, 3, 4, 6)
    (columns,), (rows,) = mixing.columns.layers, mixing.rows.layers
    down = torch.stack([columns(x[:, :, i])[0] for i in range(4)], 2)
    across = torch.stack([rows(x[:, i])[0] for i in range(3)], 1)
    assert torch.allclose(mixing(x), mixing.project(torch.cat([down, across], 3)), atol=1e-6)


def test_the_pooling_mixer_is_the_mean_of_neighbours_less_the_pixel() -> None:
    mixing = build("mixer-swap", (1, 8, 8), width=4, mixer="pool").blocks[0].mixer
    x = images(1, 3, 3, 4)
    mixed = mixing(x)
    assert torch.allclose(mixed[0, 1, 1], x[0].mean((0, 1)) - x[0, 1, 1], atol=1e-6)
    assert torch.allclose(mixed[0, 0, 0], x[0, :2, :2].mean((0, 1)) - x[0, 0, 0], atol=1e-6)


def test_blocks_without_a_mixer_do_not_mix() -> None:
    model = build("mixer-swap", (1, 8, 8), mixer="identity")
    batch = images(1, 1, 8, 8)
    changed = batch.clone()
    changed[0, 0, :2, :2] += 1
    difference = (model.forward_features(batch) - model.forward_features(changed)).detach().abs().sum(3)[0]
    assert difference[0, 0] > 0 and float(difference.sum() - difference[0, 0]) == 0


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(RecipeError, match="kernel must be odd, got 4 instead"):
        component("mixer-swap", kernel=4)


@pytest.mark.parametrize("name", ["ensemble", "joint-ensemble"])
def test_an_ensemble_is_the_log_of_the_mean_softmax_of_its_members(name: str) -> None:
    model, batch = (
        build(name, (1, 8, 8), 4, members="[conv-net, row-lstm, {name: row-lstm, cell: gru}]"),
        images(3, 1, 8, 8),
    )
    outputs = model.member_outputs(batch)
    assert outputs.shape == (3, 3, 4)
    assert all(torch.equal(outputs[:, i], member(batch)) for i, member in enumerate(model.members))
    assert torch.allclose(model(batch).exp(), outputs.softmax(2).mean(1), atol=1e-6)


def test_an_ensemble_may_average_logits() -> None:
    model, batch = build("ensemble", (1, 8, 8), 4, combine="logits"), images(3, 1, 8, 8)
    assert torch.allclose(model(batch), model.member_outputs(batch).mean(1))


def test_an_ensemble_with_one_output_averages_the_sigmoid() -> None:
    model, batch = build("ensemble", (1, 8, 8), 1), 3 * images(5, 1, 8, 8)
    assert torch.allclose(model(batch).sigmoid(), model.member_outputs(batch).sigmoid().mean(1), atol=1e-6)


def test_the_log_of_a_mean_stays_finite_where_members_are_certain() -> None:
    model, batch = build("ensemble", (1, 8, 8), 3), images(2, 1, 8, 8)
    with torch.no_grad():
        for member, value in zip(model.members, (1e4, -1e4), strict=True):
            member.head.bias.copy_(torch.tensor([value, 0.0, 0.0]))
    logits = model(batch)
    assert bool(logits.isfinite().all())
    assert torch.allclose(logits.softmax(1)[:, 0], torch.tensor(0.5), atol=1e-4)


def test_members_begin_with_weights_of_their_own() -> None:
    model = build("joint-ensemble", (1, 8, 8), members="[conv-net, conv-net]")
    assert not torch.equal(model.members[0].conv.weight, model.members[1].conv.weight)


def test_what_is_known_of_an_ensemble_follows_from_its_members() -> None:
    both = facts("ensemble", members="[lenet5, keras-cnn]")
    assert (both.family, both.min_size, both.preferred_size, both.embeddings) == ("cnn", 12, 28, False)
    assert facts("ensemble").family == "hybrid"


def test_an_ensemble_needs_two_members() -> None:
    with pytest.raises(RecipeError, match="members must be at least 2 networks, got 1 instead"):
        component("ensemble", members="[conv-net]")


def test_training_an_ensemble_reaches_every_member() -> None:
    model: Any = build("joint-ensemble", (1, 8, 8), 4).train()
    with stream(0, "forward", 0):
        functional.cross_entropy(model(images(8, 1, 8, 8)), torch.arange(8) % 4).backward()
    assert all(bool(p.grad.ne(0).any()) for member in model.members for p in member.head.parameters())
    members = component("joint-ensemble").params.members
    assert all(isinstance(member, Component) for member in members)
