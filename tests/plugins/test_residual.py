from __future__ import annotations

import pytest
import torch
from fixtures.architectures import build, embeds, images, on_meta, shaken, weights
from torch import nn
from torch.nn import functional

from zoo.evaluation.cost import count_macs


@pytest.mark.parametrize(
    ("name", "published"),
    [("resnet18", 11_689_512), ("resnet34", 21_797_672), ("resnet50", 25_557_032), ("resnet101", 44_549_160)],
)
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


@pytest.mark.parametrize(("layers", "published"), [(20, 269_722), (32, 464_154), (56, 853_018)])
def test_cifar_resnets_have_the_published_number_of_weights(layers: int, published: int) -> None:
    """The paper rounds to 0.27, 0.46 and 0.85 million."""
    assert weights(on_meta(f"resnet{layers}", (3, 32, 32))) == published
    assert weights(on_meta(f"resnet{layers}", (1, 28, 28))) == published - 288
    convolutions = [m for m in on_meta(f"resnet{layers}", (3, 32, 32)).modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == layers - 1 and {m.kernel_size for m in convolutions} == {(3, 3)}


def test_the_shortcut_of_cifar_resnets_has_no_weights() -> None:
    """Where maps are halved it takes every second pixel, and the new channels are nought on both sides."""
    block = build("resnet20", (3, 32, 32)).blocks[3]
    maps = images(2, 16, 7, 8)
    with torch.no_grad():
        block.bn2.weight.zero_()
    expected = functional.pad(maps[:, :, ::2, ::2], (0, 0, 0, 0, 8, 8)).relu()
    assert torch.equal(block(maps), expected) and expected.shape == (2, 32, 4, 4)


def test_cifar_resnets_embed_and_stage_block_by_block() -> None:
    model = shaken(build("resnet20", (1, 12, 9), width=4))
    assert embeds(model, images(3, 1, 12, 9)) and model.embedding_size == 16
    assert len(model.stages) == 1 + 9 + 1
    assert model.forward_features(images(1, 1, 12, 9)).shape == (1, 16, 3, 3)


@pytest.mark.parametrize(
    ("name", "shape", "gmacs"),
    [("resnet50", (3, 224, 224), 4.089), ("resnet20", (3, 32, 32), 0.0406)],
)
def test_macs_are_the_published_ones(name: str, shape: tuple[int, int, int], gmacs: float) -> None:
    assert count_macs(lambda: build(name, shape, 1000 if shape[1] == 224 else 10), shape) == pytest.approx(
        gmacs * 1e9, rel=0.005
    )


def test_an_expansion_changes_what_lies_between_the_convolutions_of_a_block() -> None:
    model = build("resnet20", (3, 16, 16), width=8, expansion=1.1)
    between = [block.conv1.out_channels for block in model.blocks]
    assert between == [9] * 3 + [18] * 3 + [35] * 3 and model.embedding_size == 32
    assert [block.conv2.out_channels for block in model.blocks] == [8] * 3 + [16] * 3 + [32] * 3
    assert embeds(shaken(model), images(2, 3, 16, 16))
