"""What dropout leaves of activations in one of several passes: the same for all rows, and a function of a seed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from zoo.errors import ComponentError
from zoo.training.randomness import uniform

_ALPHA = 1.7580993408473766  # what a self-normalising network's unit tends to far below 0, with its sign turned
_OF_CHANNELS = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.FeatureAlphaDropout)
_OF_ALPHA = (nn.AlphaDropout, nn.FeatureAlphaDropout)


class Masks:
    """What is dropped, as a function of a seed, the pass, the module's name and the shape of a row of what it drops.

    Masks are the same for all rows, and so for all batches: they are kept, since drawing them for each batch took half of the
    time of scoring on a fast device. A byte for each pass and unit is little beside a batch's activations.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._kept: dict[tuple[Any, ...], Tensor] = {}

    def kept(self, module: _DropoutNd, name: str, index: int, x: Tensor) -> Tensor:
        """Return bool `(1, …)` of what pass `index` leaves of the rows of activations `(b, …)`, on their device."""
        row = x[:1]
        key = (name, index, module.p, row.shape, row.stride(), x.device)
        if key not in self._kept:
            self._kept[key] = self._drawn(module, name, index, row)
        return self._kept[key]

    def _drawn(self, module: _DropoutNd, name: str, index: int, row: Tensor) -> Tensor:
        shape = row.shape[1:]
        if isinstance(module, _OF_CHANNELS):
            shape = torch.Size([*shape[:1], *(1 for _ in shape[1:])])
        positions = torch.arange(shape.numel(), device=row.device)
        kept: Tensor = uniform(self._seed, f"mc/{name}", index, positions)[:, 0] >= module.p
        # In the memory format of the activations: in another one, multiplying by it is seven times as slow.
        return torch.empty_like(row, dtype=torch.bool).copy_(kept.view(shape))


class Dropout:
    """Drops parts of activations, for all rows alike; `index` is the number of the pass, from 0, or None to drop nothing."""

    def __init__(self, masks: Masks, rows: int) -> None:
        self.index: int | None = 0
        self._masks, self._rows = masks, rows

    def drop(self, module: _DropoutNd, name: str, x: Tensor) -> Tensor:
        """Return activations with parts of them dropped, and the others scaled as the module scales them in training."""
        if x.ndim == 0 or len(x) % max(1, self._rows):
            raise ComponentError(
                f"dropout {name!r} must act on tensors whose first dimension counts the batch of {self._rows}, "
                f"got {tuple(x.shape)} instead"
            )
        if self.index is None:
            return x
        if module.p == 1:
            return torch.zeros_like(x)
        kept = self._masks.kept(module, name, self.index, x)
        if isinstance(module, _OF_ALPHA):
            return _alpha(x, kept, module.p)
        return x * (kept.to(x.dtype) * (1 / (1 - module.p)))  # one pass over the activations


def _alpha(x: Tensor, kept: Tensor, p: float) -> Tensor:
    """Return activations whose mean of 0 and variance of 1 stay (Klambauer et al., "Self-normalizing neural networks", NIPS 2017)."""
    scale = ((1 - p) * (1 + p * _ALPHA**2)) ** -0.5
    moved: Tensor = torch.where(kept, x, -_ALPHA) * scale + scale * p * _ALPHA
    return moved
