"""Label smoothing."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from zoo.bases import Regularizer
from zoo_regularizers import schemas


class LabelSmoothing(Regularizer):
    """Cross-entropy to (1 - s) target + s / C (Szegedy et al., "Rethinking the Inception architecture", CVPR 2016).

    Under binary cross-entropy the logits are [0, z], where softmax cross-entropy is the same loss; so this holds there.
    """

    def __init__(self, strength: float) -> None:
        self._strength = strength

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor | None:
        """Return a loss per sample `(B,)` for int64 targets `(B,)` or distributions `(B, C)`; None at strength 0."""
        if self._strength == 0:
            return None
        return functional.cross_entropy(logits.float(), targets, reduction="none", label_smoothing=self._strength)


def build(params: schemas.LabelSmoothing) -> Regularizer:
    """Return the regularizer."""
    return LabelSmoothing(params.strength)
