"""Brightness, contrast and saturation of a batch, each sample by its own factor, with torchvision's definitions."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.augmentation import Augmentation
from zoo.training.randomness import Draws

# One column of draws each, used or not.
COLUMNS = ("brightness", "contrast", "saturation")
LUMA = (0.2989, 0.587, 0.114)  # ITU-R BT.601


def jitter(images: Tensor, a: Augmentation, draws: Draws, bound: float | None) -> Tensor:
    """Return float32 images with brightness, contrast and saturation changed in this order, or as they are.

    `bound` is the largest value of a pixel; None for arrays without one, whose values are not clamped.
    """
    if not (a.brightness or a.contrast or a.saturation):
        return images
    signed = 2 * draws.uniform("augment/color", len(COLUMNS)) - 1
    changed = images.float()
    for column, (change, strength) in enumerate(
        ((brightness, a.brightness), (contrast, a.contrast), (saturation, a.saturation))
    ):
        if strength:
            changed = change(changed, 1 + signed[:, column] * strength, bound)
    return changed


def brightness(images: Tensor, factor: Tensor, bound: float | None) -> Tensor:
    """Return the images times their factors `(B,)`."""
    return _clamped(images * factor[:, None, None, None], bound)


def contrast(images: Tensor, factor: Tensor, bound: float | None) -> Tensor:
    """Return what lies `factor` of the way from the mean grey of each image to the image; 0 is a grey area."""
    return _blend(images, grey(images).mean((1, 2, 3), keepdim=True), factor, bound)


def saturation(images: Tensor, factor: Tensor, bound: float | None) -> Tensor:
    """Return what lies `factor` of the way from the grey image to the image; images without three channels as they are."""
    return _blend(images, grey(images), factor, bound) if images.shape[1] == 3 else images


def grey(images: Tensor) -> Tensor:
    """Return float32 `(B, 1, H, W)`, the luma of three channels; images of another number of channels as they are."""
    if images.shape[1] != 3:
        return images
    weights = torch.tensor(LUMA, device=images.device)
    return (images * weights[:, None, None]).sum(1, keepdim=True)


def _blend(images: Tensor, other: Tensor, factor: Tensor, bound: float | None) -> Tensor:
    share = factor[:, None, None, None]
    return _clamped(images * share + other * (1 - share), bound)


def _clamped(images: Tensor, bound: float | None) -> Tensor:
    return images if bound is None else images.clamp(0, bound)
