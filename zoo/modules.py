"""Layers that every architecture shares with the engine."""

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
