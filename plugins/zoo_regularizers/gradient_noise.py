"""Noise on the gradients."""

from __future__ import annotations

import math

import torch
from torch import nn

from zoo.bases import Regularizer
from zoo.training.randomness import Draws, normal
from zoo_regularizers import schemas


class GradientNoise(Regularizer):
    """Adds N(0, eta / (1 + t)^gamma) to each gradient at step t, from 0.

    Neelakantan et al., "Adding gradient noise improves learning for very deep networks" (2015). The noise is a function of
    seed, step, parameter name and position, so it is the same in every process of a group and after a restart; the hash
    that gives it costs more than the update of a simple optimizer. It is added after clipping.
    """

    def __init__(self, eta: float, gamma: float) -> None:
        self._eta = eta
        self._gamma = gamma

    @torch.no_grad()
    def before_step(self, model: nn.Module, step: int, draws: Draws) -> None:
        """Add the noise to every gradient that there is."""
        deviation = math.sqrt(self._eta / (1 + step) ** self._gamma)
        if deviation == 0:
            return
        for name, p in model.named_parameters():
            if p.grad is not None:
                places = torch.arange(p.numel(), device=p.device)
                noise = normal(draws.seed, f"gradient noise {name}", step, places)
                p.grad.add_(noise.view(p.shape), alpha=deviation)


def build(params: schemas.GradientNoise) -> Regularizer:
    """Return the regularizer."""
    return GradientNoise(params.eta, params.gamma)
