from __future__ import annotations

import copy
from pathlib import Path

import pytest
import timm
import torch
from fixtures.architectures import build, embeds, facts, images, on_meta, shaken, weights
from torch import nn

from zoo.errors import ComponentError
from zoo.facts import ArchitectureFacts
from zoo.training.randomness import stream
from zoo_architectures.specs.timm_models import CURATED

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


@pytest.mark.parametrize("name", CURATED)
def test_a_model_with_a_name_of_its_own_is_timms(name: str) -> None:
    model, family, smallest, _ = CURATED[name]
    assert facts(name) == facts("timm", model=model)
    assert (facts(name).family, facts(name).min_size) == (family, smallest)
    ours, theirs = on_meta(name, (3, 224, 224), 1000), timm.create_model(model)
    named = [(n.removeprefix("network."), p.shape) for n, p in ours.named_parameters()]
    assert named == [(n, p.shape) for n, p in theirs.named_parameters()]
