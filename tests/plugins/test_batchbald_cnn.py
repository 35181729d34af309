"""The network of the paper on BatchBALD, and its dropout of whole maps."""

from __future__ import annotations

import torch
from fixtures.architectures import build, embeds, images, on_meta, weights
from fixtures.regularizers import bound
from torch.nn import functional

from zoo.modules import Dropout2d
from zoo.training.randomness import stream


def test_it_has_the_published_layers_and_weights() -> None:
    model, batch = build("batchbald-cnn", (1, 28, 28)), images(3, 1, 28, 28)
    assert [tuple(p.shape) for n, p in model.named_parameters() if n.endswith("weight")] == [
        (32, 1, 5, 5), (64, 32, 5, 5), (128, 1024), (10, 128)
    ]  # fmt: skip
    assert weights(model) == 832 + 51_264 + 131_200 + 1_290
    maps = functional.max_pool2d(functional.conv2d(batch, model.conv1.weight, model.conv1.bias), 2).relu()
    maps = functional.max_pool2d(functional.conv2d(maps, model.conv2.weight, model.conv2.bias), 2).relu()
    assert maps.shape == (3, 64, 4, 4)
    hidden = functional.linear(maps.flatten(1), model.hidden.weight, model.hidden.bias).relu()
    assert torch.allclose(model(batch), model.head(hidden), atol=1e-5)
    assert embeds(model, batch) and len(model.stages) == 4


def test_a_width_multiplies_its_layers() -> None:
    slim = on_meta("batchbald-cnn", (1, 28, 28), width=0.25, hidden=60)
    assert (slim.conv1.out_channels, slim.conv2.out_channels, slim.hidden.out_features) == (8, 16, 15)


def test_dropout_in_all_places_drops_maps_twice_and_units_once() -> None:
    model = build("batchbald-cnn", (1, 28, 28)).train()
    assert bound("dropout", model, rate=0.5, where="all").apply_to_model(model) == 3
    assert [(type(m), m.p) for m in (model.dropout1, model.dropout2)] == [(Dropout2d, 0.5)] * 2
    assert model.head.get_submodule("dropout").p == 0.5
    with stream(0, "forward", 0):
        maps = model.dropout1(torch.ones(50, 32, 3, 3)).flatten(2)
    assert bool((maps == maps[:, :, :1]).all()) and maps.unique().tolist() == [0, 2]


def test_units_dropped_before_the_relu_are_those_dropped_after_it() -> None:
    """So the published order and ours are one network."""
    values, kept = images(4, 128), (images(4, 128) > 0).float() * 2
    assert torch.equal((values * kept).relu(), values.relu() * kept)


def test_dropout_of_maps_is_inert_in_evaluation_and_at_rate_nought() -> None:
    values = torch.rand(2, 3, 4, 4)
    assert torch.equal(Dropout2d(0.9).eval()(values), values)
    before = torch.default_generator.get_state()
    assert Dropout2d(0.0).train()(values) is values
    assert torch.equal(torch.default_generator.get_state(), before)
