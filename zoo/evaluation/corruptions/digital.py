"""What light, and what software, does to an image: brightness, contrast, coarse pixels, JPEG."""

from __future__ import annotations

import io

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from zoo.data import color
from zoo.evaluation.corruptions.noise import WHITE
from zoo.training.randomness import Draws


def brightness(images: Tensor, share: float, draws: Draws) -> Tensor:
    """Return the images plus this share of white. Augmentation multiplies instead, which leaves black digits' ground black."""
    return images + WHITE * share


def contrast(images: Tensor, factor: float, draws: Draws) -> Tensor:
    """Return the images with their distance from their mean grey times a factor."""
    return color.contrast(images, torch.full_like(images[:, 0, 0, 0], factor), None)


def pixelate(images: Tensor, share: float, draws: Draws) -> Tensor:
    """Return the images in blocks of one value, the mean of their pixels; there are as many a side as this share of its pixels."""
    for dimension in (2, 3):
        length = images.shape[dimension]
        count = max(1, round(length * share))
        edges = [round(block * length / count) for block in range(1, count)]
        blocks = images.tensor_split(edges, dimension)
        images = torch.cat([block.mean(dimension, keepdim=True).expand_as(block) for block in blocks], dimension)
    return images


def jpeg(images: Tensor, quality: float, draws: Draws) -> Tensor:
    """Return the images as Pillow reads them from a JPEG of this quality; other than grey or colour, each channel by itself."""
    colour = images.shape[1] == 3
    rows = images.byte().cpu().numpy()
    pictures = rows.transpose(0, 2, 3, 1) if colour else rows.reshape(-1, *rows.shape[2:])
    coded = np.stack([_coded(picture, int(quality)) for picture in pictures])
    restored = coded.transpose(0, 3, 1, 2) if colour else coded.reshape(rows.shape)
    return torch.from_numpy(restored).to(images.device).float()


def _coded(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer, formats=("JPEG",)) as image:
        return np.asarray(image)
