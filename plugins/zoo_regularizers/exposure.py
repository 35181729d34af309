"""Learning from images of no known class."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from zoo.bases import Context, Outliers, Regularizer
from zoo.training.losses import per_sample
from zoo.training.outliers import energy
from zoo.training.randomness import Draws
from zoo_regularizers import schemas


class OutlierExposure(Regularizer):
    """Cross-entropy + strength · ln(1 + e^±E), E = -ln Σ_c e^(z_c) being the energy of the logits: + for samples, - for outliers.

    So E is a logit of being of no known class, low for what is known. Learning from outliers is by Hendrycks, Mazeika and
    Dietterich, "Deep anomaly detection with outlier exposure", ICLR 2019, to bound energies by Liu, Wang, Owens and Li,
    "Energy-based out-of-distribution detection", NeurIPS 2020, whose two margins this logistic loss does without (as in Du, Wang,
    Cai and Li, "VOS: learning what you don't know by virtual outlier synthesis", ICLR 2022, whose boundary is learned). Each batch
    has up to a share `share` of its size in outliers behind it. Without outliers nothing changes.
    """

    def __init__(self, strength: float, share: float) -> None:
        self._strength, self._share = strength, share
        self._outliers: Outliers | None = None
        self._idle = False

    def bind(self, context: Context) -> None:
        """Take the outliers of the experiment."""
        self._idle = context.outliers is None and self._strength > 0
        self._outliers = context.outliers if self._strength and context.outliers else None

    def note(self) -> str | None:
        """Return that nothing changes where no image can be of no class."""
        return (
            "there are no images of no known class to learn from; zoo active … --unknown PATH has some"
            if self._idle
            else None
        )

    def outliers(self, size: int, draws: Draws) -> Tensor | None:
        """Return the outliers of a batch, `(n, C, H, W)`; of few, no more than there are."""
        if self._outliers is None:
            return None
        return self._outliers.drawn(min(len(self._outliers), math.ceil(self._share * size)), draws)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor | None:
        """Return a loss per sample `(B,)`; None where there are no outliers."""
        if self._outliers is None:
            return None
        known = targets.sum(dim=1) if targets.ndim > 1 else torch.ones_like(targets, dtype=logits.dtype)
        e = energy(logits)
        bounds = known * functional.softplus(e) + (1 - known) * functional.softplus(-e)
        return per_sample(logits, targets) + self._strength * bounds


def build(params: schemas.OutlierExposure) -> Regularizer:
    """Return the regularizer."""
    return OutlierExposure(params.strength, params.share)
