"""Recurrent networks that read an image as one sequence, of its rows or of its pixels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

from torch import Tensor, nn

from zoo_architectures import cells
from zoo_architectures.base import EmbeddingClassifier
from zoo_architectures.specs import recurrent as specs

Size = tuple[int, int]


class SequenceClassifier(EmbeddingClassifier):
    """A recurrent stack over the rows or the pixels of an image; the final state of its top layer is classified.

    `stack` makes it for so many values a step: one per channel of a pixel, or those of all pixels of a row. With `read`, a number
    of steps, the states of all these steps are classified, side by side.
    """

    depths = ("stack.layers",)

    def __init__(
        self,
        stack: Callable[[int], cells.Stack],
        steps: str,
        num_outputs: int,
        in_channels: int,
        width: int,
        read: int = 0,
    ) -> None:
        super().__init__()
        self.by_row = steps == "rows"
        self.all = read > 0
        self.stack = stack(in_channels * (width if self.by_row else 1))
        self.head = nn.Linear(self.stack.width * (read or 1), num_outputs)

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the top layer's outputs `(B, steps, width)`."""
        sequence = x.transpose(1, 2).flatten(2) if self.by_row else x.flatten(2).transpose(1, 2)
        return cast(Tensor, self.stack(sequence))

    def embed(self, features: Tensor) -> Tensor:
        """Return the final state `(B, width)`, of both directions where there are two, or all states `(B, steps · width)`."""
        return features.flatten(1) if self.all else self.stack.last(features)


def _gated(params: specs.Recurrent, bidirectional: bool = False) -> Callable[[int], cells.Stack]:
    return partial(
        cells.gated, params.cell, hidden=params.hidden, layers=params.layers,
        bidirectional=bidirectional, forget_bias=params.forget_bias,
    )  # fmt: skip


def build_row_lstm(params: specs.Recurrent, *, num_outputs: int, in_channels: int, image_size: Size) -> nn.Module:
    """Return the network; it reads `image_size[0]` steps of `in_channels * image_size[1]` values."""
    return SequenceClassifier(_gated(params), "rows", num_outputs, in_channels, image_size[1])


def build_row_bilstm(params: specs.Recurrent, *, num_outputs: int, in_channels: int, image_size: Size) -> nn.Module:
    """Return the network that reads the rows downwards and upwards (Graves and Schmidhuber, "Framewise phoneme
    classification with bidirectional LSTM and other neural network architectures", Neural Networks 2005); both final states are classified.
    """
    return SequenceClassifier(_gated(params, bidirectional=True), "rows", num_outputs, in_channels, image_size[1])


def build_pixel_lstm(params: specs.Pixels, *, num_outputs: int, in_channels: int, image_size: Size) -> nn.Module:
    """Return the network that reads pixels in scan-line order (the task of Le, Jaitly and Hinton, 2015).

    Bidirectional, as a GRU and with all states read it is the network of Greydanus and Kobak, "Scaling down deep learning with
    MNIST-1D", ICML 2024.
    """
    stack = _gated(params, params.bidirectional)
    read = image_size[0] * image_size[1] if params.readout == "all" else 0
    return SequenceClassifier(stack, "pixels", num_outputs, in_channels, image_size[1], read)


def build_irnn(params: specs.IRNN, *, num_outputs: int, in_channels: int, image_size: Size) -> nn.Module:
    """Return the network of rectified units that begin as the identity."""
    stack = partial(cells.rectified, hidden=params.hidden, layers=params.layers, scale=params.scale)
    return SequenceClassifier(stack, params.steps, num_outputs, in_channels, image_size[1])


def build_mingru(params: specs.MinGRU, *, num_outputs: int, in_channels: int, image_size: Size) -> nn.Module:
    """Return the network of minimal gated units."""
    stack = partial(
        cells.minimal, hidden=params.hidden, layers=params.layers,
        bidirectional=params.bidirectional, forget_bias=params.forget_bias,
    )  # fmt: skip
    return SequenceClassifier(stack, params.steps, num_outputs, in_channels, image_size[1])
