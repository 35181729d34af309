"""Random erasing."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.bases import Regularizer
from zoo.training.randomness import Draws
from zoo_regularizers import schemas

# One column of draws each, so that a change of one parameter leaves the others' draws as they were.
_COLUMNS = ("apply", "area", "aspect", "x", "y")


class RandomErasing(Regularizer):
    """Covers a box in a share `probability` of the images (Zhong et al., "Random erasing data augmentation", AAAI 2020).

    The area is uniform between its bounds and the logarithm of height / width between those of the aspect; a side longer than
    the image's is cut to it, where the paper draws again. Images come normalised: the mean colour is 0.
    """

    def __init__(self, params: schemas.RandomErasing) -> None:
        self._params = params

    def on_batch(self, images: Tensor, targets: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Return float images `(B, C, H, W)`, some with a box covered, and the targets as they are."""
        if self._params.probability == 0:
            return images, targets
        u = draws.uniform("erasing", len(_COLUMNS))
        erased = self._boxes(u, images.shape[2:]) & (u[:, 0] < self._params.probability)[:, None, None, None]
        return torch.where(erased, self._fill(images, draws), images), targets

    def _boxes(self, u: Tensor, size: torch.Size) -> Tensor:
        """Return a mask bool `(B, 1, H, W)`."""
        height, width = size
        p = self._params
        area = (p.smallest + (p.largest - p.smallest) * u[:, 1]) * height * width
        stretch = torch.exp((u[:, 2] - 0.5) * math.log(p.aspect))  # the square root of the aspect
        x_inside = _inside(torch.sqrt(area) / stretch, u[:, 3], width)
        y_inside = _inside(torch.sqrt(area) * stretch, u[:, 4], height)
        return y_inside[:, None, :, None] & x_inside[:, None, None, :]

    def _fill(self, images: Tensor, draws: Draws) -> Tensor:
        if self._params.fill == "mean":
            return images.new_zeros(())
        return draws.normal("erasing noise", images[0].numel()).view(images.shape).to(images.dtype)


def _inside(length: Tensor, u: Tensor, side: int) -> Tensor:
    """Return bool `(B, side)`: the pixels of a stretch of at least one, anywhere within the side."""
    whole = torch.round(length).clamp(1, side)
    low = torch.floor(u * (side - whole + 1))[:, None]
    pixels = torch.arange(side, device=u.device)
    return (pixels >= low) & (pixels < low + whole[:, None])


def build(params: schemas.RandomErasing) -> Regularizer:
    """Return the regularizer."""
    return RandomErasing(params)
