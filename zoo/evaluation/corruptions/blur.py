"""Blur: out of focus, moved, and zoomed while the shutter was open. Images go on as their mirror image beyond their edges.

Sums are of shifted copies, not convolutions, which round differently from device to device and from batch to batch.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.augmentation import Augmentation
from zoo.evaluation.corruptions.geometry import moved
from zoo.training.randomness import Draws

ZOOMS = 11  # that are averaged
COPIES = 33  # along a line at most; half a pixel apart, or, on a line of more than 16 pixels, further


def gaussian_blur(images: Tensor, share: float, draws: Draws) -> Tensor:
    """Return the images smoothed by a normal law whose deviation is this share of the side. Nothing is drawn."""
    deviation = share * side(images)
    radius = int(4 * deviation + 0.5)
    weights = [math.exp(-0.5 * (step / deviation) ** 2) for step in range(-radius, radius + 1)]
    for dimension in (2, 3):
        length = images.shape[dimension]
        wide = images.index_select(dimension, mirrored(length, radius, images.device))
        parts = (wide.narrow(dimension, i, length) * (w / sum(weights)) for i, w in enumerate(weights))
        images = sum(parts, torch.zeros_like(images))
    return images


def motion_blur(images: Tensor, share: float, draws: Draws) -> Tensor:
    """Return the images smeared along a line whose length is this share of the side; its direction is drawn."""
    angle = math.pi * draws.uniform("corruption/motion_blur")[:, 0]
    return smeared(images, share * side(images), torch.zeros_like(angle) if images.shape[2] == 1 else angle)


def zoom_blur(images: Tensor, zoom: float, draws: Draws) -> Tensor:
    """Return the mean over the images and enlarged ones, up to 1 + `zoom`. Nothing is drawn."""
    outwards = torch.ones_like(images[:, 0, 0, 0])
    steps = (zoom * step / (ZOOMS - 1) for step in range(ZOOMS))
    return sum(
        (moved(images, Augmentation(zoom=step), zoom=outwards, clamp=True) / ZOOMS for step in steps),
        torch.zeros_like(images),
    )


def smeared(images: Tensor, length: float, angle: Tensor) -> Tensor:
    """Return the mean over copies of the images along a line of so many pixels, which turns clockwise from x by `angle` `(B,)`."""
    height, width = images.shape[2:]
    margin = math.ceil(length / 2) + 1
    vertical = margin if height > 1 else 0
    wide = images.index_select(2, mirrored(height, vertical, images.device))
    wide = wide.index_select(3, mirrored(width, margin, images.device))
    x, y = torch.cos(angle) / wide.shape[3], torch.sin(angle) / wide.shape[2]
    copies = min(2 * math.ceil(length) + 1, COPIES)
    total = torch.zeros_like(wide)
    for copy in range(copies):
        place = length * (copy / (copies - 1) - 0.5)
        total = total + moved(wide, Augmentation(shift=1), shift_x=place * x, shift_y=place * y) / copies
    return total[:, :, vertical : vertical + height, margin : margin + width]


def side(images: Tensor) -> int:
    """Return the pixels of the shorter side; of a signal, its length."""
    height, width = images.shape[2:]
    return int(width if height == 1 else min(height, width))


def mirrored(length: int, margin: int, device: torch.device) -> Tensor:
    """Return the positions of a side with a margin on both ends, where it goes on as its mirror image; the edge counts twice."""
    place = torch.arange(-margin, length + margin, device=device) % (2 * length)
    return torch.where(place < length, place, 2 * length - 1 - place)
