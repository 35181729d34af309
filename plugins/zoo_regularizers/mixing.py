"""Batches whose samples are mixed with one another, images and targets alike.

Each sample has a partner of its own. The samples of a micro-batch, sorted by a draw of each, form a ring, and a sample's
partner is the next in it: nobody is their own, and everybody is one other's. Weight and box are draws of the sample as well,
where the papers take one of each for a whole batch. So a mixed sample is a function of seed, epoch and the samples that it
shares its micro-batch with, whatever their order; `training.accumulate` and the number of processes change who these are.
"""

from __future__ import annotations

import math

import torch
from scipy.special import betaincinv
from torch import Tensor
from torch.nn import functional

from zoo.bases import Context, Regularizer
from zoo.training.randomness import Draws
from zoo_regularizers import schemas

_QUANTILES = 4096  # of a Beta distribution; interpolated, its distribution function is off by less than 1 / 4096

# One column of draws each, so that a change of one parameter leaves the others' draws as they were.
_COLUMNS = ("ring", "apply", "switch", "weight", "centre_x", "centre_y")


class Mixing(Regularizer):
    """Mixes a share `probability` of the samples, of these a share `switch` by CutMix and the rest by mixup.

    mixup: Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018: the weighted mean of two images. CutMix: Yun
    et al., "CutMix: regularization strategy to train strong classifiers with localizable features", ICCV 2019: a box of the
    partner in the sample. The weight of the sample is drawn from Beta(alpha, alpha), of the partner it is the rest; of a box
    that reaches over the border only what is inside the image counts. Targets become float32 `(B, C)` with these weights.
    """

    def __init__(self, probability: float, switch: float, mixup_alpha: float, cutmix_alpha: float) -> None:
        self._probability = probability
        self._switch = switch
        self._quantiles = torch.stack([beta_quantiles(alpha) for alpha in (mixup_alpha, cutmix_alpha)])
        self._classes = 0

    def bind(self, context: Context) -> None:
        """Learn the number of classes."""
        self._classes = context.num_classes

    def on_batch(self, images: Tensor, targets: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Return float images `(B, C, H, W)` mixed and float32 targets `(B, C)`; at probability 0, both as they are."""
        if self._probability == 0:
            return images, targets
        u = draws.uniform("mixing", len(_COLUMNS))
        partners = ring(u[:, 0])
        cut = u[:, 2] < self._switch
        self._quantiles = self._quantiles.to(images.device)
        mixup, cutmix = (interpolated(quantiles, u[:, 3]) for quantiles in self._quantiles)
        weights = torch.where(u[:, 1] < self._probability, torch.where(cut, cutmix, mixup), torch.ones_like(mixup))
        box, rest = boxes(weights, u[:, 4:], images.shape[2:])
        weights = torch.where(cut, rest, weights)
        blend = torch.where(_image(cut), (~box).float(), _image(weights))
        labels = functional.one_hot(targets, self._classes).float()
        return (
            torch.lerp(images[partners], images, blend.to(images.dtype)),
            torch.lerp(labels[partners], labels, weights[:, None]),
        )


def ring(u: Tensor) -> Tensor:
    """Return each sample's partner, int64 `(B,)`: the next in the order of the draws `u` `(B,)`, the last one's being the first."""
    order = torch.argsort(u, stable=True)
    return torch.empty_like(order).index_copy_(0, order, order.roll(-1))


def beta_quantiles(alpha: float) -> Tensor:
    """Return float32 quantiles of Beta(alpha, alpha) at 0, 1/4096, …, 1; of alpha 0, whose weight is always 1, ones."""
    levels = torch.linspace(0, 1, _QUANTILES + 1, dtype=torch.float64)
    if alpha == 0:
        return torch.ones_like(levels, dtype=torch.float32)
    return torch.from_numpy(betaincinv(alpha, alpha, levels.numpy())).float()


def interpolated(quantiles: Tensor, u: Tensor) -> Tensor:
    """Return the quantiles at the levels `u` `(B,)` in [0, 1), linear in between."""
    place = u * (len(quantiles) - 1)
    low = place.long()
    return torch.lerp(quantiles[low], quantiles[low + 1], place - low)


def boxes(weights: Tensor, centres: Tensor, size: torch.Size) -> tuple[Tensor, Tensor]:
    """Return a mask bool `(B, 1, H, W)` of boxes, and the share of the image outside each, `(B,)`.

    A box is shaped like the image, and has the area 1 - weight but for whole pixels and the border; its centre is any pixel.
    """
    ratio = torch.sqrt(1 - weights)
    x_inside, y_inside = (
        _inside(torch.floor(u * side), torch.round(ratio * side), side)
        for u, side in zip(centres.T, reversed(size), strict=True)
    )
    area = x_inside.sum(1) * y_inside.sum(1)
    return y_inside[:, None, :, None] & x_inside[:, None, None, :], 1 - area / math.prod(size)


def _inside(centre: Tensor, length: Tensor, side: int) -> Tensor:
    low = (centre - torch.floor(length / 2))[:, None]
    pixels = torch.arange(side, device=centre.device)
    return (pixels >= low) & (pixels < low + length[:, None])


def _image(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def build_mixup(params: schemas.Mixup) -> Regularizer:
    """Return the regularizer."""
    return Mixing(float(params.alpha > 0), 0.0, params.alpha, 1.0)


def build_cutmix(params: schemas.CutMix) -> Regularizer:
    """Return the regularizer."""
    return Mixing(params.probability, 1.0, 1.0, params.alpha)


def build_both(params: schemas.MixupCutMix) -> Regularizer:
    """Return the regularizer."""
    return Mixing(params.probability, params.switch, params.mixup_alpha, params.cutmix_alpha)
