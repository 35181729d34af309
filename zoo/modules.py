"""Layers that architectures share with the engine."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

Place = Literal["head", "recurrent", "body"]


class Dropout(nn.Dropout):
    """Dropout that the engine can find: `place` says where in the network it acts.

    Architectures put it in with rate 0, which is the identity; the `dropout` regularizer sets the rate.
    """

    def __init__(self, p: float = 0.0, place: Place = "body") -> None:
        super().__init__(p)
        self.place = place

    def forward(self, input: Tensor) -> Tensor:
        return input if self.p == 0 else super().forward(input)


class Dropout2d(nn.Dropout2d):
    """Dropout of whole maps `(B, C, H, W)`, which the engine finds and sets as it does `Dropout`.

    Tompson et al., "Efficient object localization using convolutional networks", CVPR 2015.
    """

    def __init__(self, p: float = 0.0, place: Place = "body") -> None:
        super().__init__(p)
        self.place = place

    def forward(self, input: Tensor) -> Tensor:
        return input if self.p == 0 else super().forward(input)


DROPOUTS = (Dropout, Dropout2d)


def attach_dropout(layer: nn.Linear, place: Place) -> Dropout:
    """Put dropout before a linear layer of a finished model and return it.

    It becomes the layer's child `dropout`, so that no path and no key of the state changes.
    """
    dropout = Dropout(0.0, place=place)
    layer.add_module("dropout", dropout)
    layer.register_forward_pre_hook(drop_input)
    return dropout


def drop_input(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Apply the module's child `dropout` to its input; a module-level function, so that copies of the model keep it."""
    return (module.get_submodule("dropout")(args[0]), *args[1:])


class DropPath(nn.Module):
    """Stochastic depth: in training, zeroes whole samples of a residual branch with probability `drop_prob`.

    What stays is divided by 1 - drop_prob, so that the mean is kept (Huang et al., "Deep networks with stochastic depth",
    ECCV 2016). Architectures whose factory takes `drop_path_rate` put it at the end of each branch, with rates that rise
    linearly from 0 at the first block to that rate at the last, as in timm, whose module of this name has the same attribute.
    """

    def __init__(self, drop_prob: float = 0.0) -> None:
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, branch: Tensor) -> Tensor:
        if self.drop_prob == 0 or not self.training:
            return branch
        kept = branch.new_empty((len(branch),) + (1,) * (branch.ndim - 1)).bernoulli_(1 - self.drop_prob)
        return branch * (kept / (1 - self.drop_prob))


def rising(rate: float, blocks: int) -> list[float]:
    """Return the rate of stochastic depth of each block: from 0 at the first to `rate` at the last."""
    return [rate * block / max(1, blocks - 1) for block in range(blocks)]
