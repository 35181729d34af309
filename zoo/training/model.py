"""A recipe's model: built, given weights from elsewhere, and wrapped for training."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from zoo.components import ArchitectureSpec
from zoo.errors import ComponentError
from zoo.guard import guarded
from zoo.recipe import Recipe
from zoo.training.distributed import World
from zoo.training.losses import SigmoidOutput
from zoo.training.randomness import stream
from zoo.training.regularizers import build_arguments
from zoo.training.weights import load_weights

LARGE = 200_000_000


def build_model(
    recipe: Recipe, *, classes: int, channels: int, size: tuple[int, int], device: torch.device
) -> nn.Module:
    """Return the recipe's architecture with seeded weights on the device.

    Raises ComponentError when it does not accept images of `(channels, *size)` or gives other than one output per class.
    """
    if recipe.loss == "bce" and classes != 2:
        raise ComponentError(
            f"loss bce needs two classes, and the data has {classes}",
            possible="loss: cross-entropy, or two classes",
            hint="loss=cross-entropy, or data.classes=[…,…]",
        )
    outputs = 1 if recipe.loss == "bce" else classes
    extra = build_arguments(recipe.architecture, recipe.regularizers)
    with stream(recipe.training.seed, "init", 0):
        model = recipe.architecture.build(num_outputs=outputs, in_channels=channels, image_size=size, **extra)
        if not isinstance(model, nn.Module):
            raise ComponentError(
                f"{recipe.architecture!r} must build a torch.nn.Module, got {type(model).__name__} instead"
            )
        label = f"{recipe.architecture!r} on images of {channels}×{size[0]}×{size[1]}"
        with guarded(label, ComponentError), torch.inference_mode():
            shape = tuple(model.eval()(torch.zeros(2, channels, *size)).shape)
    if shape != (2, outputs):
        raise ComponentError(f"{label} must give logits of shape (2, {outputs}), got {shape} instead")
    memory = torch.channels_last if recipe.training.channels_last else torch.preserve_format
    return model.to(device).to(memory_format=memory)


def fill(model: nn.Module, recipe: Recipe) -> list[str]:
    """Put the weights that the recipe names into its model, and return in words what was left out or changed."""
    spec = recipe.architecture.spec
    assert isinstance(spec, ArchitectureSpec) and recipe.weights is not None
    published = spec.published(recipe.architecture.params)
    return load_weights(model, recipe.weights, published, recipe.architecture.name)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the context in which a forward pass of this precision runs."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def with_head(model: nn.Module, recipe: Recipe) -> nn.Module:
    """Return the model with one logit per class at its end."""
    return SigmoidOutput(model) if recipe.loss == "bce" else model


def wrapped(network: nn.Module, recipe: Recipe, device: torch.device, world: World) -> nn.Module:
    """Return the network compiled, where the recipe asks for it, and sharing gradients with other processes."""
    if recipe.training.compile:
        network = cast(nn.Module, torch.compile(network))
    if world.size > 1:
        network = DistributedDataParallel(network, device_ids=[device] if device.type == "cuda" else None)
    return network


def size_note(recipe: Recipe, model: nn.Module) -> list[str]:
    """Return a warning where the model is large."""
    count = sum(p.numel() for p in model.parameters())
    if count <= LARGE:
        return []
    return [
        f"{recipe.architecture.name} has {count / 1e6:,.0f} million weights at this image size ({math.ceil(count * 12 / 2**30)} GiB to train)"
    ]
