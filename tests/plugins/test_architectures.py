from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.components import ArchitectureFacts, ArchitectureSpec, Component, Provenance
from zoo.errors import ComponentError
from zoo.modules import Dropout
from zoo.training.randomness import stream
from zoo_architectures.plugin import zoo_architectures

SPECS = {spec.name: spec for spec in zoo_architectures()}


def component(name: str, **params: Any) -> Component[Any]:
    spec = SPECS[name]
    return Component(spec, name, spec.params(**params), Provenance("architectures", "zoo-vision", "0"))


def build(name: str, shape: tuple[int, int, int], outputs: int = 10, **params: Any) -> Any:
    with stream(0, "init", 0):
        model = component(name, **params).build(num_outputs=outputs, in_channels=shape[0], image_size=shape[1:])
    assert isinstance(model, nn.Module)
    return model.eval()


def on_meta(name: str, shape: tuple[int, int, int], outputs: int = 10, **params: Any) -> Any:
    with torch.device("meta"):
        return component(name, **params).build(num_outputs=outputs, in_channels=shape[0], image_size=shape[1:])


def facts(name: str, **params: Any) -> ArchitectureFacts:
    return SPECS[name].facts(component(name, **params).params)


def images(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def weights(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def shaken(model: nn.Module) -> nn.Module:
    """Return the model with every weight moved, so that no norm is the identity and no layer scale is near nought."""
    with torch.no_grad(), stream(1, "shake", 0):
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.05)
    return model


def embeds(model: Any, batch: Tensor) -> bool:
    """Return whether logits are the classifier of the embedding, and the stages a partition that ends with it."""
    with torch.no_grad():
        embedding = model.forward_head(model.forward_features(batch), pre_logits=True)
        classifier = model.get_submodule(model.classifier)
        fits = embedding.shape == (len(batch), model.embedding_size)
        same = torch.allclose(classifier(embedding), model(batch), atol=1e-5)
    names = [name for stage in model.stages for name in stage]
    own = {f"{model.classifier}.{name}" for name, _ in classifier.named_parameters()}
    partition = sorted(names) == sorted(name for name, _ in model.named_parameters())
    return fits and same and partition and set(model.stages[-1]) == own and isinstance(classifier, nn.Linear)


def test_the_plugin_announces_these() -> None:
    assert all(isinstance(spec, ArchitectureSpec) for spec in SPECS.values())
    families = {name: spec.family for name, spec in SPECS.items()}
    assert families == {"conv-net": "cnn", "resnet18": "cnn", "resnet50": "cnn", "row-lstm": "rnn", "timm": None}


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


def test_conv_net_has_a_place_for_dropout_before_its_classifier() -> None:
    model, batch = build("conv-net", (1, 8, 8), hidden=64), images(3, 1, 8, 8)
    (place,) = [m for m in model.modules() if isinstance(m, Dropout)]
    assert (place.place, place.p) == ("head", 0.0)
    assert embeds(model, batch)
    place.p = 0.5
    with stream(0, "forward", 0):
        embedding = model.train().forward_head(model.forward_features(batch), pre_logits=True)
    assert int((embedding == 0).sum()) > 60


@pytest.mark.parametrize(("name", "published"), [("resnet18", 11_689_512), ("resnet50", 25_557_032)])
def test_resnets_have_the_published_number_of_weights(name: str, published: int) -> None:
    import torchvision

    model = on_meta(name, (3, 224, 224), 1000)
    assert weights(model) == published == sum(p.numel() for p in getattr(torchvision.models, name)().parameters())


@pytest.mark.parametrize(("name", "cifar"), [("resnet18", 11_173_962), ("resnet50", 23_520_842)])
def test_the_small_stem_keeps_the_size_of_small_images(name: str, cifar: int) -> None:
    small = on_meta(name, (3, 32, 32), stem="small")
    assert weights(small) == cifar
    batch = torch.zeros(1, 3, 32, 32, device="meta")
    features = {
        stem: on_meta(name, (3, 32, 32), stem=stem).eval().forward_features(batch) for stem in ("small", "imagenet")
    }
    shapes = {stem: maps.shape[2:] for stem, maps in features.items()}
    assert shapes == {"small": (4, 4), "imagenet": (1, 1)}


@pytest.mark.parametrize(("size", "kernel"), [((32, 32), 3), ((63, 200), 3), ((64, 64), 7), ((200, 64), 7)])
def test_the_stem_is_small_below_64_pixels(size: tuple[int, int], kernel: int) -> None:
    network = on_meta("resnet18", (1, *size)).network
    assert network.conv1.weight.shape == (64, 1, kernel, kernel)
    assert isinstance(network.maxpool, nn.Identity) is (kernel == 3)


def test_resnet18_computes_what_torchvisions_does() -> None:
    from torchvision.models import resnet18

    ours, theirs = shaken(build("resnet18", (3, 64, 64))), resnet18(num_classes=10).eval()
    theirs.load_state_dict({name.removeprefix("network."): value for name, value in ours.state_dict().items()})
    assert torch.allclose(ours(images(2, 3, 64, 64)), theirs(images(2, 3, 64, 64)), atol=1e-4)


@pytest.mark.parametrize("stem", ["small", "imagenet"])
def test_resnets_embed_and_have_six_stages(stem: str) -> None:
    model = shaken(build("resnet18", (1, 24, 24), stem=stem))
    assert embeds(model, images(3, 1, 24, 24)) and model.embedding_size == 512
    assert len(model.stages) == 6
    assert model.stages[0] == ("network.conv1.weight", "network.bn1.weight", "network.bn1.bias")
    assert model.stages[-1] == ("network.fc.weight", "network.fc.bias")


def sigmoid(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return 1 / (1 + np.exp(-x))


def recurrence(lstm: nn.LSTM, sequence: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the outputs `(B, T, hidden)` of the LSTM's equations, written out; gates are input, forget, cell, output."""
    w, u, b, c = (p.detach().double().numpy() for p in lstm.parameters())
    state = cell = np.zeros((len(sequence), lstm.hidden_size))
    outputs = []
    for step in range(sequence.shape[1]):
        i, f, g, o = np.split(sequence[:, step] @ w.T + state @ u.T + b + c, 4, axis=1)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        state = sigmoid(o) * np.tanh(cell)
        outputs.append(state)
    return np.stack(outputs, axis=1)


@pytest.mark.parametrize("layers", [1, 2])
def test_row_lstm_is_the_lstm_recurrence_over_the_rows(layers: int) -> None:
    model, batch = build("row-lstm", (2, 5, 3), 4, hidden=6, layers=layers), images(3, 2, 5, 3)
    rows = np.stack([batch[:, :, row].reshape(3, 6).double().numpy() for row in range(5)], axis=1)
    for lstm in model.lstms:
        rows = recurrence(lstm, rows)
    assert np.allclose(model.forward_features(batch).detach().numpy(), rows, atol=1e-6)
    weight, bias = (p.detach().double().numpy() for p in model.head.parameters())
    assert np.allclose(model(batch).detach().numpy(), rows[:, -1] @ weight.T + bias, atol=1e-6)


@pytest.mark.parametrize("bias", [1.0, 0.0, -2.5])
def test_the_forget_bias_is_the_sum_of_both_vectors(bias: float) -> None:
    model = build("row-lstm", (1, 8, 8), hidden=16, layers=2, forget_bias=bias)
    for lstm in model.lstms:
        total = (lstm.bias_ih_l0 + lstm.bias_hh_l0).detach().view(4, 16)
        assert total[1].tolist() == [bias] * 16
        assert all(0 < float(total[gate].abs().mean()) < 0.5 for gate in (0, 2, 3))


def test_row_lstm_stacks_layers_and_drops_after_each() -> None:
    model = build("row-lstm", (1, 28, 28), hidden=128, layers=3)
    assert [(lstm.input_size, lstm.hidden_size, lstm.num_layers) for lstm in model.lstms] == [
        (28, 128, 1), (128, 128, 1), (128, 128, 1)
    ]  # fmt: skip
    assert weights(model) == 4 * 128 * (28 + 128 + 2) + 2 * 4 * 128 * (128 + 128 + 2) + 1290
    places = [m for m in model.modules() if isinstance(m, nn.Dropout)]
    assert [type(m) for m in places] == [Dropout] * 3 and {m.place for m in places} == {"recurrent"}
    assert [len(stage) for stage in model.stages] == [4, 4, 4, 2] and embeds(model, images(2, 1, 28, 28))


def test_row_lstm_drops_the_vector_that_the_classifier_reads() -> None:
    model, batch = build("row-lstm", (1, 8, 8), hidden=200), images(1, 1, 8, 8)
    whole = model.forward_features(batch)
    model.dropouts[0].p = 0.5
    with stream(0, "forward", 0):
        dropped = model.train().forward_features(batch)
    kept = dropped != 0
    assert 60 < int(kept[0, -1].sum()) < 140
    assert torch.allclose(dropped[kept], 2 * whole[kept])


TIMM = {
    # model: family, embeddings, min_size, preferred_size
    "resnet18": ("cnn", True, 1, 224),
    "vgg11": ("cnn", True, 32, 224),
    "convnext_atto": ("cnn", True, 32, 224),
    "efficientnet_b0": ("cnn", True, 1, 224),
    "tf_efficientnet_lite0": ("cnn", True, 1, 224),
    "mobilenetv3_small_050": ("cnn", True, 1, 224),
    "vit_tiny_patch16_224": ("attention", True, 16, 224),
    "deit_tiny_distilled_patch16_224": ("attention", False, 16, 224),
    "mixer_s32_224": ("mlp", True, 32, 224),
    "sequencer2d_s": ("rnn", True, 14, 224),
    "mobilevit_xxs": ("hybrid", True, 16, 256),
    "halonet26t": ("hybrid", True, 256, 256),  # timm states the minimum
    "levit_256d": ("hybrid", False, 16, 224),  # its head normalises before the classifier
    "resnetv2_18": ("cnn", False, 1, 224),  # its classifier is a convolution
}


@pytest.mark.parametrize("model", TIMM)
def test_what_is_known_of_a_timm_model(model: str) -> None:
    family, embeddings, min_size, preferred = TIMM[model]
    assert facts("timm", model=model) == ArchitectureFacts(
        family=family,  # type: ignore[arg-type]  # the table holds plain strings
        embeddings=embeddings,
        min_size=min_size,
        preferred_size=preferred,
    )


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the size of a process is read from /proc")
def test_the_facts_of_a_large_model_cost_no_memory() -> None:
    import resource

    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + 2**28, hard))
    try:
        assert facts("timm", model="vgg13").min_size == 32  # 133 million weights, 532 MB
        with pytest.raises(ComponentError, match="allocate memory"):
            build("timm", (3, 32, 32), model="vgg13")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


SMALL = {
    "resnet18": [(3, 32, 32)],
    "vit_tiny_patch16_224": [(3, 32, 32), (1, 64, 64), (3, 32, 48)],
    "mobilenetv3_small_050": [(1, 32, 32)],
    "efficientnet_b0": [(3, 32, 32)],
    "mixer_s32_224": [(3, 64, 64)],
    "convnext_atto": [(1, 32, 32)],
    "tf_efficientnet_lite0": [(3, 24, 24)],
    "sequencer2d_s": [(1, 28, 28)],
    "mobilevit_xxs": [(3, 32, 32)],
}


@pytest.mark.parametrize(("model", "shape"), [(model, shape) for model, shapes in SMALL.items() for shape in shapes])
def test_a_timm_model_embeds_at_other_sizes_and_channels(model: str, shape: tuple[int, int, int]) -> None:
    built = shaken(build("timm", shape, 5, model=model))
    assert built(images(2, *shape)).shape == (2, 5)
    assert embeds(built, images(2, *shape))
    assert not any(m.p > 0 for m in built.modules() if isinstance(m, nn.Dropout))


@pytest.mark.parametrize("model", ["deit_tiny_distilled_patch16_224", "levit_256d", "resnetv2_18"])
def test_a_timm_model_without_embeddings_is_timms_own_and_classifies(model: str) -> None:
    built = build("timm", (1, 32, 32), 5, model=model)
    assert type(built).__module__.startswith("timm.")
    assert built(images(2, 1, 32, 32)).shape == built.train()(images(2, 1, 32, 32)).shape == (2, 5)


def test_vgg11_is_too_large_to_fill_and_still_has_the_published_weights() -> None:
    model = on_meta("timm", (3, 224, 224), 1000, model="vgg11")
    assert weights(model) == 132_863_336 and model.embedding_size == 4096
    assert model(torch.zeros(2, 3, 32, 32, device="meta")).shape == (2, 1000)
    assert set(model.stages[-1]) == {"network.head.fc.weight", "network.head.fc.bias"}


def test_a_timm_resnet_is_the_one_that_timm_gives() -> None:
    with stream(0, "init", 0):
        theirs = timm.create_model("resnet18", num_classes=5, in_chans=1).eval()
    ours = build("timm", (1, 32, 32), 5, model="resnet18")
    assert torch.equal(ours(images(2, 1, 32, 32)), theirs(images(2, 1, 32, 32)))
    assert weights(on_meta("timm", (3, 224, 224), 1000, model="vit_tiny_patch16_224")) == 5_717_416


def test_a_copy_of_a_timm_model_is_its_own() -> None:
    model = build("timm", (1, 32, 32), 5, model="mobilenetv3_small_050")
    twin = copy.deepcopy(model)
    with torch.no_grad():
        twin.get_submodule(twin.classifier).bias.add_(1.0)
    assert torch.allclose(twin(images(1, 1, 32, 32)) - model(images(1, 1, 32, 32)), torch.ones(1, 5), atol=1e-5)


def test_groups_that_timm_lacks_are_the_networks_children() -> None:
    model = build("timm", (1, 32, 32), 5, model="poolformer_s12")
    assert not hasattr(model.network, "group_matcher")
    assert model.stages[0] == tuple(
        f"network.{n}" for n, _ in model.network.named_parameters() if n.startswith("stem.")
    )
    assert embeds(model, images(1, 1, 32, 32))


def test_finding_facts_out_draws_nothing_from_the_generator_that_seeds_weights() -> None:
    before = torch.default_generator.get_state()
    assert facts("timm", model="test_vit").family == "attention"
    assert torch.equal(torch.default_generator.get_state(), before)


@pytest.mark.parametrize(
    ("name", "near", "first"),
    [
        ("resnet_18", "'resnet18'", "resnet18"),
        ("vit_tiny", "'vit_tiny_patch16_224'", "vit_tiny_patch16_224"),
        ("hf-hub:timm/resnet18", "", ""),
        ("xxxxxxxxxxxx", "one of timm's", "resnet18"),
    ],
)
def test_an_unknown_timm_model_is_refused_with_the_nearest_names(name: str, near: str, first: str) -> None:
    for call in (lambda: facts("timm", model=name), lambda: build("timm", (3, 32, 32), model=name)):
        with pytest.raises(ComponentError, match=f"^timm has no model {name!r}\n") as caught:
            call()
        assert near in caught.value.possible
        assert caught.value.hint.startswith(f"architecture.model={first}")


def test_a_timm_model_that_is_no_classifier_is_refused() -> None:
    with pytest.raises(ComponentError, match="timm model 'qwen3_vit_88m_enc' does not give one output per class"):
        facts("timm", model="qwen3_vit_88m_enc")


@pytest.mark.parametrize(
    ("model", "size", "patch", "fitting"),
    [
        ("vit_tiny_patch16_224", (28, 28), 16, 32),
        ("mixer_s32_224", (64, 80), 32, 96),
        ("sequencer2d_s", (32, 32), 7, 35),
    ],
)
def test_patches_that_would_lose_a_border_are_refused_with_the_next_size(
    model: str, size: tuple[int, int], patch: int, fitting: int
) -> None:
    with pytest.raises(ComponentError) as caught:
        build("timm", (3, *size), model=model)
    assert str(caught.value) == (
        f"{model} cuts images into patches of {patch}×{patch} px, which do not fill {size[0]}×{size[1]} px\n"
        f"  possible: multiples of {patch}\n  try: data.image_size={fitting}"
    )
