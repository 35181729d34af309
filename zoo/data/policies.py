"""Augmentation policies: which operations an image undergoes, and how strongly, by draws of its own.

Operations sample between pixels bilinearly; outside the image is black.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.augmentation import Policy
from zoo.data.operations import OPERATIONS, Space
from zoo.data.operations import apply as operate
from zoo.training.randomness import Draws

GEOMETRIC = ("shear-x", "shear-y", "translate-x", "translate-y", "rotate")
BINS = 31  # of magnitudes, 0 … 30
LEVELS = 10  # of AugMix
DEEPEST = 3  # operations of a chain whose depth is drawn

WIDE = Space(("identity", *OPERATIONS), 0.99, lambda side: min(32.0, side), 135.0, 0.99, (8, 2))
RAND = Space(("identity", *OPERATIONS), 0.3, lambda side: side * 150 / 331, 30.0, 0.9, (8, 4))
# Without those that the corruptions of ImageNet-C resemble.
MIX = Space((*GEOMETRIC, "posterize", "solarize", "autocontrast", "equalize"), 0.3, lambda s: s / 3, 30.0, 0.9, (4, 0))


def apply(policy: Policy, images: Tensor, draws: Draws) -> Tensor:
    """Return images `(B, C, H, W)` with values in 0 … 255, uint8 or rounded to it first, after the policy."""
    whole = images if images.dtype == torch.uint8 else images.round().clamp(0, 255).byte()
    if policy.name == "trivial-augment":
        return trivial_augment(whole, draws)
    if policy.name == "rand-augment":
        assert policy.operations is not None and policy.magnitude is not None
        return rand_augment(whole, draws, policy.operations, policy.magnitude)
    assert policy.width is not None and policy.severity is not None
    return augmix(whole, draws, policy.width, policy.depth, policy.severity)


def trivial_augment(images: Tensor, draws: Draws) -> Tensor:
    """Return uint8 images after one operation of a random magnitude each: the wide space.

    Müller and Hutter, "TrivialAugment: tuning-free yet state-of-the-art data augmentation", ICCV 2021. Translations are
    those of the paper, up to 32 pixels, but never more than the side of the image.
    """
    u = draws.uniform("augment/trivial", 3)
    return operate(images, WIDE, _number(u[:, 0], WIDE), torch.floor(u[:, 1] * BINS) / (BINS - 1), u[:, 2] < 0.5)


def rand_augment(images: Tensor, draws: Draws, operations: int, magnitude: int) -> Tensor:
    """Return uint8 images after so many random operations of one magnitude, 0 … 30.

    Cubuk et al., "RandAugment: practical automated data augmentation with a reduced search space", NeurIPS 2020.
    """
    u = draws.uniform("augment/rand", 2 * operations) if operations else None
    for index in range(operations):
        assert u is not None
        chosen, direction = u[:, 2 * index], u[:, 2 * index + 1]
        level = torch.full_like(chosen, magnitude / (BINS - 1))
        images = operate(images, RAND, _number(chosen, RAND), level, direction < 0.5)
    return images


def augmix(images: Tensor, draws: Draws, width: int, depth: int | None, severity: int) -> Tensor:
    """Return float32 images, each mixed with `width` chains of `depth` operations (None: of 1, 2 or 3).

    Hendrycks et al., "AugMix: a simple data processing method to improve robustness and uncertainty", ICLR 2020: the shares
    of the chains are Dirichlet(1, …, 1), that of the image is Beta(1, 1). The mixing alone: the paper's Jensen–Shannon loss
    over three views of an image is not part of it.
    """
    deepest = depth or DEEPEST
    u = draws.uniform("augment/augmix", 1 + width * (2 + 3 * deepest))
    kept, chains = u[:, 0], u[:, 1:].reshape(len(u), width, -1)
    shares = -torch.log1p(-chains[:, :, 0])  # exponential draws, over their sum, are Dirichlet's
    shares = shares / shares.sum(1, keepdim=True).clamp_min(1e-12)
    mixed = _share(kept) * images
    for chain in range(width):
        length = torch.full_like(kept, deepest) if depth else 1 + torch.floor(chains[:, chain, 1] * DEEPEST)
        steps = chains[:, chain, 2:].reshape(len(u), deepest, 3)
        mixed = mixed + _share((1 - kept) * shares[:, chain]) * _chain(images, steps, length, severity)
    return mixed


def _chain(images: Tensor, steps: Tensor, length: Tensor, severity: int) -> Tensor:
    for index in range(steps.shape[1]):
        chosen, level, direction = steps[:, index].unbind(1)
        number = torch.where(length > index, _number(chosen, MIX), len(MIX.operations))
        images = operate(images, MIX, number, torch.floor(level * severity) / (LEVELS - 1), direction < 0.5)
    return images


def _number(u: Tensor, space: Space) -> Tensor:
    return torch.floor(u * len(space.operations)).long()


def _share(values: Tensor) -> Tensor:
    return values[:, None, None, None]
