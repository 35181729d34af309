from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from zoo.components import Component, Provenance
from zoo.evaluation.cost import Counts, Task, count, count_macs, counts, layers
from zoo_architectures.plugin import zoo_architectures

SPECS = {spec.name: spec for spec in zoo_architectures()}


class Sequence(nn.Module):
    """An LSTM over the rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(28, 128, batch_first=True)

    def forward(self, images: Tensor) -> Tensor:
        return self.lstm(images[:, 0])[0][:, -1]  # type: ignore[no-any-return]


class Tied(nn.Module):
    """Calls one layer twice, reads another without calling it, and has a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.twice = nn.Linear(4, 4)
        self.read = nn.Linear(4, 2, bias=False)
        self.same = self.read
        self.idle = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        rows = self.twice(self.twice(images.mean(1))) * self.scale.sum()
        return nn.functional.linear(rows, self.read.weight).mean(1)


def built(name: str, outputs: int, shape: tuple[int, int, int]) -> nn.Module:
    spec = SPECS[name]
    component = Component(spec, name, spec.params(), Provenance("architectures", "zoo-vision", "0"))
    model = component.build(num_outputs=outputs, in_channels=shape[0], image_size=shape[1:])
    assert isinstance(model, nn.Module)
    return model


def sequencer2d_s(size: int) -> int:
    """Return the multiply-accumulates of Sequencer2D-S (Tatsunami and Taki, NeurIPS 2022) by its table of stages.

    A block of width d with hidden size h has at each position two directions of an LSTM along each of two axes, a
    dense layer from 4h to d, and two of a ratio of 3.
    """
    positions, half = (size // 7) ** 2, (size // 14) ** 2

    def block(d: int, h: int) -> int:
        return 4 * 4 * h * (d + h) + 4 * h * d + 2 * 3 * d * d

    stem, shrink, head = 3 * 49 * 192 * positions, 192 * 4 * 384 * half, 384 * 1000
    same_width = 2 * 384 * 384 * half  # 1×1 convolutions between the last three stages
    return stem + 4 * block(192, 48) * positions + shrink + (3 + 8 + 3) * block(384, 96) * half + same_width + head


def test_the_published_count_of_resnet50() -> None:
    shape = (3, 224, 224)
    assert round(count_macs(lambda: built("resnet50", 1000, shape), shape) / 1e9, 3) == 4.089


def test_a_network_of_lstms_along_both_axes_is_counted_by_its_table() -> None:
    assert round(sequencer2d_s(224) / 1e9, 3) == 8.334
    assert count_macs(lambda: timm.create_model("sequencer2d_s"), (3, 14, 14)) == sequencer2d_s(14)


@pytest.mark.slow
def test_the_published_count_of_sequencer2d_s() -> None:
    assert count_macs(lambda: timm.create_model("sequencer2d_s"), (3, 224, 224)) == sequencer2d_s(224)


def test_a_recurrent_layer_counts_every_step() -> None:
    """4 gates of 128 units read 28 values and 128 states in each of 28 steps."""
    assert count_macs(Sequence, (1, 28, 28)) == 28 * 4 * 128 * (28 + 128) == 2_236_416


def test_a_small_network_by_hand() -> None:
    shape = (1, 8, 8)
    model = built("conv-net", 10, shape)
    conv, hidden, head = 32 * 9 * 64, 32 * 16 * 1024, 1024 * 10
    assert count_macs(lambda: built("conv-net", 10, shape), shape) == conv + hidden + head
    rows = {row.name: row for row in layers(model, shape)}
    assert {name: row.macs for name, row in rows.items() if row.macs} == {"conv": conv, "hidden": hidden, "head": head}
    assert [(row.name, row.kind, row.output_shape) for row in rows.values()] == [
        ("conv", "Conv2d", (32, 8, 8)),
        ("relu", "ReLU", (32, 8, 8)),
        ("pool", "MaxPool2d", (32, 4, 4)),
        ("adapt", "AdaptivePool", (32, 4, 4)),
        ("flatten", "Flatten", (512,)),
        ("hidden", "Linear", (1024,)),
        ("hidden_relu", "ReLU", (1024,)),
        ("head", "Linear", (10,)),
    ]


def test_counting_leaves_the_model_and_its_device_alone() -> None:
    model = built("conv-net", 10, (1, 8, 8)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    layers(model, (1, 8, 8))
    assert model.training and next(model.parameters()).device.type == "cpu"
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_layers_add_up_to_the_model() -> None:
    for name, shape in (("resnet18", (3, 32, 32)), ("row-lstm", (1, 28, 28)), ("conv-net", (1, 28, 28))):
        model = built(name, 10, shape)
        rows = layers(model, shape)
        assert sum(row.parameters for row in rows) == sum(p.numel() for p in model.parameters())
        assert sum(row.macs for row in rows) == count_macs(lambda n=name, s=shape: built(n, 10, s), shape)


def test_layers_of_a_network_of_lstms_add_up() -> None:
    with torch.device("meta"):
        model = timm.create_model("sequencer2d_s")
    rows = layers(model, (3, 14, 14))
    assert sum(row.parameters for row in rows) == sum(p.numel() for p in model.parameters()) == 27_651_688
    assert sum(row.macs for row in rows) == sequencer2d_s(14)


def test_shared_repeated_and_uncalled_layers_count_once() -> None:
    model = Tied()
    rows = {row.name: row for row in layers(model, (1, 4, 4))}
    assert rows["twice"].parameters == 20 and rows["twice"].macs == 2 * 4 * 16
    assert rows["read"].parameters == 8 and rows["read"].output_shape == () and rows["read"].macs == 0
    # Its own parameter makes the network a layer too, with the products that happen outside all others.
    assert rows[""].parameters == 3 and rows[""].macs == 4 * 8
    assert set(rows) == {"", "twice", "read"}
    assert sum(row.macs for row in rows.values()) == count_macs(Tied, (1, 4, 4))


class Stacked(nn.Module):
    """Two bidirectional LSTM layers with projection over the rows of an image, steps first, and one cell state read."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(5, 6, num_layers=2, bidirectional=True, proj_size=2)

    def forward(self, images: Tensor) -> Tensor:
        states, (final, cell) = self.lstm(images[:, 0].transpose(0, 1))
        assert final.shape == (4, len(images), 2) and cell.shape == (4, len(images), 6)
        return states[-1]  # type: ignore[no-any-return]


class Attention(nn.Module):
    """One head of attention over the rows of an image."""

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.scaled_dot_product_attention(images, images, images)


def test_activations_of_a_convolution_and_of_a_dense_layer_are_their_outputs() -> None:
    def network() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 5))

    found = counts(network, (3, 8, 8))
    assert found.activations == 8 * 4 * 4 + 5
    assert found.macs == 27 * 8 * 16 + 128 * 5 and found.parameters == 27 * 8 + 8 + 128 * 5 + 5


def test_activations_of_a_recurrent_layer_are_its_states() -> None:
    assert counts(Sequence, (1, 28, 28)) == Counts(4 * 128 * (28 + 128 + 2), 2_236_416, 28 * 128)
    # 7 steps, 2 layers, 2 directions, of 2 values each after their projection.
    assert counts(Stacked, (1, 7, 5)).activations == 7 * 2 * 2 * 2
    assert counts(Stacked, (1, 7, 5)).macs == count_macs(Stacked, (1, 7, 5))


def test_attention_is_counted_with_what_it_gives() -> None:
    found = counts(Attention, (2, 4, 8))
    assert found.macs == count_macs(Attention, (2, 4, 8)) == 2 * 2 * 4 * 4 * 8
    assert found.activations >= 2 * 4 * 8


@pytest.mark.parametrize(
    "name", ["conv-net", "resnet20", "mixer-swap", "row-bilstm", "mingru", "renet", "sequencer2d", "crnn", "rcnn"]
)
def test_counting_recurrent_layers_at_once_counts_what_single_steps_do(name: str) -> None:
    def network() -> nn.Module:
        return built(name, 10, (1, 12, 12))

    assert counts(network, (1, 12, 12)).macs == count_macs(network, (1, 12, 12))


def test_a_recipe_is_counted_for_its_data_or_for_another_task(tiny: Callable[..., Any]) -> None:
    small = count(tiny())
    assert small["input"] == (1, 8, 8) and small["classes"] == 10
    assert small["parameters"] == (4 * 9 + 4) + (4 * 16 + 1) * 16 + 17 * 10
    large = count(tiny(), Task((3, 28, 28), 5))
    assert large["parameters"] == (4 * 27 + 4) + (4 * 196 + 1) * 16 + 17 * 5
    assert large["macs"] == 27 * 4 * 784 + 4 * 196 * 16 + 16 * 5 and large["activations"] == 4 * 784 + 16 + 5
    assert (large["recipe"], large["architecture"]) == ("conv-net-momentum", "conv-net")


def test_a_network_of_one_output_is_counted_as_such(tiny: Callable[..., Any]) -> None:
    two = count(tiny("loss=bce", "data.classes=['0', '1']"))
    assert two["classes"] == 2 and two["parameters"] == 40 + 65 * 16 + 17
