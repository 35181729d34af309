"""Changes of where pixels stand, made to every image alike: what is left to a network when its idea of a place is wrong.

A fixed permutation of all pixels is the permuted MNIST of Goodfellow, Mirza, Xiao, Courville and Bengio, "An empirical
investigation of catastrophic forgetting in gradient-based neural networks" (2013), and of Le, Jaitly and Hinton, "A simple way
to initialize recurrent networks of rectified linear units" (2015).
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.augmentation import Arrangement
from zoo.errors import DataError
from zoo.training.randomness import Draws, bits

REACH = 1 / 7  # of a side, to which `translate` moves at most: four pixels of 28


def arrange(images: Tensor, arrangement: Arrangement) -> Tensor:
    """Return the images `(B, C, H, W)` arranged, in their own type.

    Permutations depend on the size of the image alone, so that training and every test see the same one. `translate` moves each
    image by whole pixels that depend on its pixels, and fills up with 0. Raises DataError for a transposition of images that
    are not square.
    """
    height, width = images.shape[2:]
    match arrangement:
        case "permute-pixels":
            return images.flatten(2)[:, :, permutation(arrangement, height * width, images.device)].view_as(images)
        case "permute-rows":
            return images[:, :, permutation(arrangement, height, images.device)]
        case "permute-columns":
            return images[:, :, :, permutation(arrangement, width, images.device)]
        case "transpose":
            if height != width:
                raise DataError(
                    f"images of {height}×{width} pixels cannot be transposed", possible="square ones: data.image_size=N"
                )
            return images.transpose(2, 3)
        case "translate":
            return _translated(images)


def permutation(name: str, length: int, device: torch.device | str = "cpu") -> Tensor:
    """Return int64 `(length,)`, the fixed permutation of this name."""
    return torch.argsort(bits(0, f"arrangement/{name}", 0, torch.arange(length, device=device))[:, 0])


def _translated(images: Tensor) -> Tensor:
    height, width = images.shape[2:]
    draws = Draws(0, 0, keys(images)).uniform("arrangement/translate", 2)
    reach = torch.tensor([round(REACH * height), round(REACH * width)], device=images.device)
    offsets = (draws * (2 * reach + 1)).long() - reach
    rows, columns = (
        torch.arange(size, device=images.device)[None] - offsets[:, axis, None]
        for axis, size in ((0, height), (1, width))
    )
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None]
    each = torch.arange(len(images), device=images.device)[:, None, None]
    moved = images.permute(0, 2, 3, 1)[
        each, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None]
    ]
    return torch.where(inside[:, None], moved.permute(0, 3, 1, 2), 0).to(images.dtype)


def keys(images: Tensor) -> Tensor:
    """Return int64 `(B,)`, a hash of the pixels of each image `(B, C, H, W)`, uint8 or float32."""
    whole = images.contiguous().flatten(1)
    place = torch.arange(whole.shape[1], device=images.device)
    # Odd, so that a change of any one pixel changes the sum.
    weights = bits(0, "tta", 0, place)[:, 0] | 1
    integers = whole.view(torch.int32) if whole.dtype == torch.float32 else whole
    # A few at a time: the products are eight times as large as 8-bit images.
    return torch.cat([(part.long() * weights).sum(1) for part in integers.split(16)])
