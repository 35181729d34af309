from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from fixtures.architectures import build, embeds, facts, images, on_meta, shaken, weights
from torch import nn
from torch.nn import functional

from zoo.evaluation.cost import count_macs
from zoo.modules import Dropout, attach_dropout
from zoo.training.randomness import stream
from zoo_architectures.base import AdaptivePool


def test_conv_net_has_these_layers_and_weights_on_mnist_images() -> None:
    model = build("conv-net", (1, 28, 28))
    assert [(name, tuple(p.shape)) for name, p in model.named_parameters()] == [
        ("conv.weight", (32, 1, 3, 3)),
        ("conv.bias", (32,)),
        ("hidden.weight", (1024, 32 * 14 * 14)),
        ("hidden.bias", (1024,)),
        ("head.weight", (10, 1024)),
        ("head.bias", (10,)),
    ]
    assert weights(model) == 6_434_122
    assert model.stages == (
        ("conv.weight", "conv.bias"),
        ("hidden.weight", "hidden.bias"),
        ("head.weight", "head.bias"),
    )


def test_conv_net_computes_what_its_description_says() -> None:
    model, batch = build("conv-net", (2, 12, 9), filters=3, hidden=5), images(4, 2, 12, 9)
    maps = functional.max_pool2d(functional.conv2d(batch, model.conv.weight, model.conv.bias, padding=1).relu(), 2)
    assert maps.shape == (4, 3, 6, 4)
    hidden = functional.linear(maps.flatten(1), model.hidden.weight, model.hidden.bias).relu()
    expected = functional.linear(hidden, model.head.weight, model.head.bias)
    assert torch.allclose(model(batch), expected, atol=1e-6)
    assert torch.equal(model.forward_head(model.forward_features(batch), pre_logits=True), hidden)


def test_conv_net_pools_large_images_to_14_and_stays_small() -> None:
    assert weights(on_meta("conv-net", (1, 224, 224))) == weights(on_meta("conv-net", (1, 28, 28)))
    assert weights(on_meta("conv-net", (1, 26, 224))) == 320 + 32 * 13 * 14 * 1024 + 1024 + 10_250
    model, batch = build("conv-net", (1, 56, 56), filters=2, hidden=4), images(2, 1, 56, 56)
    pooled = functional.max_pool2d(functional.conv2d(batch, model.conv.weight, model.conv.bias, padding=1).relu(), 2)
    assert torch.allclose(model.forward_features(batch), functional.avg_pool2d(pooled, 2), atol=1e-6)


@pytest.mark.parametrize("name", ["conv-net", "lenet5", "keras-cnn", "batchbald-cnn", "renet"])
def test_dropout_before_the_classifier_is_the_regularizers(name: str) -> None:
    """So it acts on cached embeddings as on images, and the embedding itself is whole."""
    model, batch = build(name, (1, 28, 28)), images(3, 1, 28, 28)
    assert not [m for m in model.modules() if isinstance(m, Dropout) and m.place == "head"]
    whole = model.forward_head(model.forward_features(batch), pre_logits=True)
    attach_dropout(model.head, "head").p = 0.5
    with stream(0, "forward", 0):
        embedding = model.train().forward_head(model.forward_features(batch), pre_logits=True)
        assert torch.equal(embedding, whole) and not torch.allclose(model.head(whole), model(batch))


def test_lenet5_has_the_published_layers_and_weights() -> None:
    model = build("lenet5", (1, 28, 28))
    assert [tuple(p.shape) for n, p in model.named_parameters() if n.endswith("weight")] == [
        (6, 1, 5, 5), (16, 6, 5, 5), (120, 400), (84, 120), (10, 84)
    ]  # fmt: skip
    assert weights(model) == 61_706
    assert embeds(model, images(3, 1, 28, 28)) and model.embedding_size == 84 and len(model.stages) == 5


@pytest.mark.parametrize(("activation", "pooling"), [("relu", "max"), ("tanh", "average")])
def test_lenet5_computes_what_its_description_says(activation: str, pooling: str) -> None:
    model, batch = build("lenet5", (2, 28, 20), activation=activation, pooling=pooling), images(3, 2, 28, 20)
    act = torch.relu if activation == "relu" else torch.tanh
    pool = functional.max_pool2d if pooling == "max" else functional.avg_pool2d
    maps = pool(act(functional.conv2d(batch, model.conv1.weight, model.conv1.bias, padding=2)), 2)
    maps = pool(act(functional.conv2d(maps, model.conv2.weight, model.conv2.bias)), 2)
    assert maps.shape == (3, 16, 5, 3)
    hidden = act(functional.linear(maps.flatten(1), model.dense1.weight, model.dense1.bias))
    hidden = act(functional.linear(hidden, model.dense2.weight, model.dense2.bias))
    assert torch.allclose(model(batch), model.head(hidden), atol=1e-6)


@pytest.mark.parametrize(("name", "size"), [("lenet5", 12), ("keras-cnn", 6), ("batchbald-cnn", 16)])
def test_the_smallest_image_leaves_one_pixel_and_large_ones_cost_no_more_weights(name: str, size: int) -> None:
    model = build(name, (1, size, size))
    assert model.forward_features(images(1, 1, size, size)).shape[2:] == (1, 1)
    assert weights(on_meta(name, (1, 224, 224))) == weights(on_meta(name, (1, 28, 28)))


@pytest.mark.parametrize("size", [(5, 4), (5, None), (None, None)])
def test_maps_of_the_size_asked_for_are_returned_themselves_and_others_are_averaged(size: Any) -> None:
    pool, torchs, maps, large = AdaptivePool(size), nn.AdaptiveAvgPool2d(size), images(2, 3, 5, 4), images(2, 3, 9, 8)
    assert pool(maps) is maps
    assert torch.equal(maps, torchs(maps))
    assert torch.equal(pool(large), torchs(large))


def test_keras_cnn_has_the_published_layers_and_weights() -> None:
    model, batch = build("keras-cnn", (1, 28, 28)), images(2, 1, 28, 28)
    assert weights(model) == 1_199_882
    maps = functional.conv2d(batch, model.conv1.weight, model.conv1.bias).relu()
    maps = functional.max_pool2d(functional.conv2d(maps, model.conv2.weight, model.conv2.bias).relu(), 2)
    assert maps.shape == (2, 64, 12, 12)
    hidden = functional.linear(maps.flatten(1), model.hidden.weight, model.hidden.bias).relu()
    assert torch.allclose(model(batch), model.head(hidden), atol=1e-5)
    assert embeds(model, batch)
    assert [m.place for m in model.modules() if isinstance(m, Dropout)] == ["body"]


def test_keras_cnn_draws_its_weights_as_its_layers_do_one_after_another() -> None:
    with stream(0, "init", 0):
        plain = (nn.Conv2d(1, 32, 3), nn.Conv2d(32, 64, 3), nn.Linear(9216, 128), nn.Linear(128, 10))
    expected = [p for layer in plain for p in layer.parameters()]
    assert all(map(torch.equal, build("keras-cnn", (1, 28, 28)).state_dict().values(), expected))


GAL = {"kernel": 4, "filters": [32, 32], "init": "glorot"}


def test_keras_cnn_can_be_the_network_of_deep_bayesian_active_learning() -> None:
    model, batch = build("keras-cnn", (1, 28, 28), **GAL), images(2, 1, 28, 28)
    assert [tuple(p.shape) for n, p in model.named_parameters() if n.endswith("weight")] == [
        (32, 1, 4, 4), (32, 32, 4, 4), (128, 32 * 11 * 11), (10, 128)
    ]  # fmt: skip
    assert weights(model) == 513_994 == weights(on_meta("keras-cnn", (1, 224, 224), **GAL))
    maps = functional.conv2d(batch, model.conv1.weight, model.conv1.bias).relu()
    maps = functional.max_pool2d(functional.conv2d(maps, model.conv2.weight, model.conv2.bias).relu(), 2)
    hidden = functional.linear(maps.flatten(1), model.hidden.weight, model.hidden.bias).relu()
    assert torch.allclose(model(batch), model.head(hidden), atol=1e-5)


def test_glorots_weights_fill_their_bounds_and_biases_are_0() -> None:
    """Uniform in ±√(6 / (inputs + outputs)), those of a convolution counted over its kernel."""
    model = build("keras-cnn", (1, 28, 28), **GAL)
    fans = {"conv1": 16 + 512, "conv2": 512 + 512, "hidden": 3872 + 128, "head": 128 + 10}
    for name, fan in fans.items():
        layer, bound = model.get_submodule(name), (6 / fan) ** 0.5
        drawn = layer.weight.detach()
        assert 0.97 * bound < float(drawn.abs().max()) <= bound * (1 + 1e-6)
        # The deviation of a uniform distribution is its bound over √3; the fewest weights, 512, give it within 8 %.
        assert float(drawn.std()) == pytest.approx(bound / 3**0.5, rel=0.08)
        assert not layer.bias.any()


@pytest.mark.parametrize("kernel", [1, 4, 7, 14])
def test_keras_cnn_needs_images_of_twice_its_kernel(kernel: int) -> None:
    size = facts("keras-cnn", kernel=kernel).min_size
    model = build("keras-cnn", (1, size, size), kernel=kernel)
    assert size == 2 * kernel and model.forward_features(images(1, 1, size, size)).shape[2:] == (1, 1)
    assert on_meta("keras-cnn", (1, 28, 28), kernel=kernel).hidden.in_features == 64 * (15 - kernel) ** 2


def test_a_width_multiplies_the_filters_that_are_given() -> None:
    slim = on_meta("keras-cnn", (1, 28, 28), filters=[10, 30], width=0.5)
    assert (slim.conv1.out_channels, slim.conv2.out_channels, slim.hidden.out_features) == (5, 15, 64)


@pytest.mark.parametrize(
    ("name", "classifier", "published"),
    [
        ("vgg16", "imagenet", 138_357_544),  # torchvision's documentation of its weights
        ("vgg16-bn", "imagenet", 138_365_992),
        ("vgg16", "small", 14_714_688 + 512 * 1000 + 1000),  # the convolutions alone, and one dense layer
        ("vgg16-bn", "small", 14_723_136 + 512 * 1000 + 1000),
    ],
)
def test_vgg_has_the_published_number_of_weights(name: str, classifier: str, published: int) -> None:
    model = on_meta(name, (3, 224, 224), 1000, classifier=classifier)
    assert weights(model) == published
    assert model.embedding_size == (4096 if classifier == "imagenet" else 512)


@pytest.mark.parametrize(("size", "embedding"), [((32, 32), 512), ((63, 200), 512), ((64, 64), 4096)])
def test_vggs_classifier_is_small_below_64_pixels(size: tuple[int, int], embedding: int) -> None:
    assert on_meta("vgg16", (3, *size)).embedding_size == embedding


def test_vgg_with_the_small_classifier_is_timms_convolutions_and_a_mean() -> None:
    model, batch = build("vgg16-bn", (3, 32, 32), 5), images(2, 3, 32, 32)
    maps = model.network.features(batch)
    assert torch.allclose(model(batch), model.network.head.fc(maps.mean((2, 3))), atol=1e-5)
    assert embeds(model, batch)
    with torch.device("meta"):
        theirs = timm.create_model("vgg16_bn").features
    assert [p.shape for p in theirs.parameters()] == [p.shape for p in model.network.features.parameters()]


def test_separable_small_factors_its_convolutions() -> None:
    model, batch = build("separable-small", (3, 16, 16), width=8, blocks=1), images(2, 3, 16, 16)
    shapes = [tuple(m.weight.shape) for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert shapes == [
        (8, 3, 3, 3), (8, 1, 3, 3), (16, 8, 1, 1), (16, 1, 3, 3), (32, 16, 1, 1), (32, 1, 3, 3), (64, 32, 1, 1)
    ]  # fmt: skip
    assert model.forward_features(batch).shape == (2, 64, 4, 4)
    assert embeds(shaken(model), batch)
    block = model.blocks[0].eval()
    maps = images(1, 8, 16, 16)
    by_map = torch.cat(
        [functional.conv2d(maps[:, i : i + 1], block[0].weight[i : i + 1], padding=1) for i in range(8)], 1
    )
    assert torch.allclose(block[0](maps), by_map, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "shape", "macs"),
    [
        ("lenet5", (1, 28, 28), 28 * 28 * 6 * 25 + 100 * 16 * 150 + 400 * 120 + 120 * 84 + 840),
        ("keras-cnn", (1, 28, 28), 676 * 32 * 9 + 576 * 64 * 288 + 9216 * 128 + 1280),
    ],
)
def test_macs_are_those_counted_by_hand(name: str, shape: tuple[int, int, int], macs: int) -> None:
    assert count_macs(lambda: build(name, shape), shape) == macs


def test_a_width_multiplies_the_layers_of_lenet5_and_of_keras_cnn() -> None:
    wide = [tuple(p.shape) for n, p in build("lenet5", (1, 28, 28), width=1.24).named_parameters() if "weight" in n]
    # 6, 16, 120 and 84 times 1.24 are 7.44, 19.84, 148.8 and 104.16.
    assert wide == [(7, 1, 5, 5), (20, 7, 5, 5), (149, 500), (104, 149), (10, 104)]
    slim = build("keras-cnn", (1, 28, 28), hidden=100, width=0.25)
    assert [tuple(p.shape) for n, p in slim.named_parameters() if "weight" in n] == [
        (8, 1, 3, 3), (16, 8, 3, 3), (25, 2304), (10, 25)
    ]  # fmt: skip


def test_separable_small_rounds_the_channels_of_each_stage() -> None:
    model = build("separable-small", (3, 16, 16), width=10.3, blocks=1)
    assert [m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d) and m.groups == 1] == [10, 21, 41, 82]
    assert embeds(shaken(model), images(2, 3, 16, 16))
