"""The loss of a recipe, one figure per sample."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def per_sample(logits: Tensor, targets: Tensor) -> Tensor:
    """Return cross-entropy `(B,)` in nats of logits `(B, C)` against int64 `(B,)` or float `(B, C)` targets.

    With `loss: bce` the logits are `[0, z]` of one sigmoid output z, and this is the binary cross-entropy of z.
    """
    return functional.cross_entropy(logits.float(), targets, reduction="none")


class SigmoidOutput(nn.Module):
    """Widen the one output z of a model for two classes to logits `[0, z]`, whose softmax is the sigmoid of z."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        z = self.model(images)
        return torch.cat([torch.zeros_like(z), z], dim=1)
