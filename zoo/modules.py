"""Layers that every architecture shares with the engine."""

from __future__ import annotations

from typing import Literal

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
