"""Random erasing."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.bases import Regularizer
from zoo.data.erasing import COLUMNS, rectangles
from zoo.training.randomness import Draws
from zoo_regularizers import schemas


class RandomErasing(Regularizer):
    """Covers a box in a share `probability` of the images (Zhong et al., "Random erasing data augmentation", AAAI 2020).

    The law of the box is that of `zoo.data.erasing`, which the augmentation `erasing` follows too; here the box may hold noise,
    and covers what a mixer has made. Images come normalised: the mean colour is 0.
    """

    def __init__(self, params: schemas.RandomErasing) -> None:
        self._params = params

    def on_batch(self, images: Tensor, targets: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Return float images `(B, C, H, W)`, some with a box covered, and the targets as they are."""
        if self._params.probability == 0:
            return images, targets
        p = self._params
        u = draws.uniform("erasing", 1 + COLUMNS)
        boxes = rectangles(u[:, 1:], images.shape[2:], area=(p.smallest, p.largest), aspect=(1 / p.aspect, p.aspect))
        erased = boxes & (u[:, 0] < p.probability)[:, None, None, None]
        if p.fill == "mean":
            return torch.where(erased, images.new_zeros(()), images), targets
        return _with_noise(images, erased.expand_as(images), draws), targets


def _with_noise(images: Tensor, erased: Tensor, draws: Draws) -> Tensor:
    """Return the images with noise in the place of erased pixels; each pixel of each sample has its own, drawn where it is seen."""
    # One wait for the device, to learn how many there are.
    rows, columns = erased.flatten(1).nonzero(as_tuple=True)
    return images.masked_scatter(erased, draws.normal_at("erasing noise", rows, columns).to(images.dtype))


def build(params: schemas.RandomErasing) -> Regularizer:
    """Return the regularizer."""
    return RandomErasing(params)
