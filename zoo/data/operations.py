"""The operations of augmentation policies, on 8-bit images, each sample by its own magnitude; ranges as in torchvision."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as reference

from zoo.data import color
from zoo.data.geometry import warp

Operation = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Space:
    """What a policy draws from: names of operations, and their magnitudes at level 1; `color` is added to or taken from 1.

    `shear` is a tangent, `rotation` in degrees; `shift` gives pixels for the side that is moved along; `bits` are those
    that posterize leaves at level 0 and at level 1.
    """

    operations: tuple[str, ...]
    shear: float
    shift: Callable[[int], float]
    rotation: float
    color: float
    bits: tuple[int, int]


def apply(images: Tensor, space: Space, chosen: Tensor, level: Tensor, negative: Tensor) -> Tensor:
    """Return uint8 images `(B, C, H, W)`, each changed by the operation of its number `chosen` (int64 `(B,)`).

    `level` `(B,)` in [0, 1] is the strength, `negative` bool `(B,)` the direction where there are two. Rows whose number is
    past the last operation stay as they are.
    """
    result = images.clone()
    count = len(space.operations)
    # One wait for the device, to learn how many samples each operation has.
    sizes = torch.bincount(chosen, minlength=count + 1).tolist()
    groups = torch.argsort(chosen, stable=True).split(sizes)
    for name, rows in zip(space.operations, groups[:count], strict=True):
        if len(rows) and name != "identity":
            strength = magnitude(space, name, level[rows], negative[rows], images.shape[2:])
            result.index_copy_(0, rows, OPERATIONS[name](images[rows], strength))
    return result


def magnitude(space: Space, name: str, level: Tensor, negative: Tensor, size: Sequence[int]) -> Tensor:
    """Return the magnitude `(B,)` that an operation takes, in its own unit."""
    sign = torch.where(negative, -1.0, 1.0)
    match name:
        case "shear-x" | "shear-y":
            return sign * level * space.shear
        case "translate-x" | "translate-y":
            side = size[1] if name == "translate-x" else size[0]
            return sign * torch.floor(level * space.shift(side) + 1e-4)  # 15.99999 is 16
        case "rotate":
            return sign * level * space.rotation
        case "posterize":
            return torch.round(space.bits[0] + level * (space.bits[1] - space.bits[0]))
        case "solarize":
            return 255 * (1 - level)
    return 1 + sign * level * space.color


def shear_x(images: Tensor, tangent: Tensor) -> Tensor:
    """Return the images sheared along x, with the top edge in its place."""
    ratio = tangent * (images.shape[2] / images.shape[3])
    return _moved(images, xy=ratio, x=ratio)


def shear_y(images: Tensor, tangent: Tensor) -> Tensor:
    """Return the images sheared along y, with the left edge in its place."""
    ratio = tangent * (images.shape[3] / images.shape[2])
    return _moved(images, yx=ratio, y=ratio)


def translate_x(images: Tensor, pixels: Tensor) -> Tensor:
    """Return the images moved to the right."""
    return _moved(images, x=-2 * pixels / images.shape[3])


def translate_y(images: Tensor, pixels: Tensor) -> Tensor:
    """Return the images moved down."""
    return _moved(images, y=-2 * pixels / images.shape[2])


def rotate(images: Tensor, degrees: Tensor) -> Tensor:
    """Return the images turned about their centres, anticlockwise."""
    height, width = images.shape[2:]
    angle = degrees * (math.pi / 180)
    cos, sin = torch.cos(angle), torch.sin(angle)
    return _moved(images, xx=cos, xy=-sin * (height / width), yx=sin * (width / height), yy=cos)


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Return the images times their factors."""
    return color.brightness(images.float(), factor, 255).byte()


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Return the images with their distance from their mean grey times a factor."""
    return color.contrast(images.float(), factor, 255).byte()


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Return the images with their distance from grey times a factor."""
    return color.saturation(images.float(), factor, 255).byte()


def sharpness(images: Tensor, factor: Tensor) -> Tensor:
    """Return the images with their distance from a smoothed copy times a factor; the outermost pixels stay."""
    channels, height, width = images.shape[1:]
    if min(height, width) <= 2:
        return images
    kernel = torch.ones(3, 3, device=images.device)
    kernel[1, 1] = 5
    result = images.float()
    smooth = F.conv2d(result, (kernel / 13).expand(channels, 1, 3, 3), groups=channels).round()
    inner = result[:, :, 1:-1, 1:-1]
    inner.copy_(smooth + (inner - smooth) * factor[:, None, None, None])
    return result.clamp(0, 255).byte()


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Return the images with so many of their highest bits."""
    step = torch.pow(2.0, 8 - bits).int()[:, None, None, None]
    return (images.int() // step * step).byte()


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """Return the images with values from the threshold on inverted."""
    return torch.where(images >= threshold[:, None, None, None], 255 - images, images)


def autocontrast(images: Tensor, _: Tensor) -> Tensor:
    """Return the images with each channel stretched to 0 … 255."""
    stretched: Tensor = reference.autocontrast(images)
    return stretched


def equalize(images: Tensor, _: Tensor) -> Tensor:
    """Return the images with a flat histogram in each channel."""
    flat: Tensor = reference.equalize(images)
    return flat


OPERATIONS: dict[str, Operation] = {
    "shear-x": shear_x,
    "shear-y": shear_y,
    "translate-x": translate_x,
    "translate-y": translate_y,
    "rotate": rotate,
    "brightness": brightness,
    "saturation": saturation,
    "contrast": contrast,
    "sharpness": sharpness,
    "posterize": posterize,
    "solarize": solarize,
    "autocontrast": autocontrast,
    "equalize": equalize,
}


def _moved(images: Tensor, **entries: Tensor) -> Tensor:
    """Return the images sampled bilinearly by the matrix with these entries, the rest of it the identity's."""
    still = images.new_zeros(len(images), dtype=torch.float32)
    one = still + 1
    names, defaults = ("xx", "xy", "x", "yx", "yy", "y"), (one, still, still, still, one, still)
    rows = [entries.get(name, default) for name, default in zip(names, defaults, strict=True)]
    return warp(images.float(), torch.stack(rows, 1).view(-1, 2, 3)).round().byte()
