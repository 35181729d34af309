"""Recurrent layers that every recurrent and hybrid network is built of."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal, cast

import torch
from torch import Tensor, nn

from zoo.modules import Dropout

Cell = Literal["lstm", "gru"]


class Stack(nn.Module):
    """Recurrent layers one upon another, each followed by dropout (`where: recurrent`).

    Maps sequences `(B, T, inputs)` to the top layer's outputs `(B, T, width)`, where a bidirectional layer gives both directions
    side by side. Layers are stacked by hand: the `dropout` of torch's own skips the top layer and is no module that can be found.
    """

    def __init__(self, layers: list[nn.Module], width: int, bidirectional: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.dropouts = nn.ModuleList(Dropout(0.0, place="recurrent") for _ in layers)
        self.width = width
        self.bidirectional = bidirectional

    def forward(self, sequence: Tensor) -> Tensor:
        with full_precision(sequence):
            sequence = sequence.float()
            for layer, dropout in zip(self.layers, self.dropouts, strict=True):
                outputs = layer(sequence)
                sequence = dropout(outputs[0] if isinstance(outputs, tuple) else outputs)
        return sequence

    def last(self, outputs: Tensor) -> Tensor:
        """Return the final state `(B, width)` of these outputs, of both directions: the backward one ends at the first step."""
        if not self.bidirectional:
            return outputs[:, -1]
        half = self.width // 2
        return torch.cat([outputs[:, -1, :half], outputs[:, 0, half:]], 1)


def full_precision(x: Tensor) -> AbstractContextManager[None]:
    """Return a context in which recurrences run in fp32 on the CPU: oneDNN has no bf16 LSTM without AVX-512."""
    if x.device.type != "cpu":
        return nullcontext()
    return cast(AbstractContextManager[None], torch.autocast("cpu", enabled=False))


def gated(
    cell: Cell, inputs: int, hidden: int, *, layers: int = 1, bidirectional: bool = False, forget_bias: float = 1.0
) -> Stack:
    """Return a stack of LSTM (Hochreiter and Schmidhuber, 1997) or GRU layers (Cho et al., EMNLP 2014)."""
    kind = nn.LSTM if cell == "lstm" else nn.GRU
    width = hidden * (1 + bidirectional)
    sizes = [inputs] + [width] * (layers - 1)
    built = [kind(size, hidden, batch_first=True, bidirectional=bidirectional) for size in sizes]
    for layer in built:
        set_forget_bias(layer, forget_bias)
    return Stack(list(built), width, bidirectional)


@torch.no_grad()
def set_forget_bias(layer: nn.RNNBase, value: float) -> None:
    """Set the bias of the gate that keeps the state, in each layer and direction (Jozefowicz et al., ICML 2015).

    It is the LSTM's forget gate and the GRU's update gate, both the second of torch's. torch adds two bias vectors, so the second
    is set to 0 and their sum to `value`.
    """
    gate = slice(layer.hidden_size, 2 * layer.hidden_size)
    for name, parameter in layer.named_parameters():
        if name.startswith("bias_ih"):
            parameter[gate] = value
        elif name.startswith("bias_hh"):
            parameter[gate] = 0.0


def rectified(inputs: int, hidden: int, *, layers: int, scale: float) -> Stack:
    """Return layers h ← max(0, W x + U h + b) with U = scale · I and b = 0 at first, and W drawn with deviation 0.001.

    Le, Jaitly and Hinton, "A simple way to initialize recurrent networks of rectified linear units" (2015).
    """
    built = [nn.RNN(size, hidden, nonlinearity="relu", batch_first=True) for size in [inputs] + [hidden] * (layers - 1)]
    for layer in built:
        nn.init.normal_(layer.get_parameter("weight_ih_l0"), std=0.001)
        nn.init.eye_(layer.get_parameter("weight_hh_l0"))
        with torch.no_grad():
            layer.get_parameter("weight_hh_l0").mul_(scale)
        nn.init.zeros_(layer.get_parameter("bias_ih_l0"))
        nn.init.zeros_(layer.get_parameter("bias_hh_l0"))
    return Stack(list(built), hidden, bidirectional=False)


class MinGRULayer(nn.Module):
    """h_t = (1 - z_t) h_{t-1} + z_t g(c_t), z_t = σ(gate x_t), c_t = candidate x_t, from h = 0; all steps at once.

    g(c) = c + 1/2 where c ≥ 0, else σ(c), always positive (Feng et al., "Were RNNs all we needed?", 2024, appendix B).
    """

    def __init__(self, inputs: int, hidden: int, forget_bias: float) -> None:
        super().__init__()
        self.gate = nn.Linear(inputs, hidden)
        self.candidate = nn.Linear(inputs, hidden)
        nn.init.constant_(self.gate.bias, -forget_bias)  # 1 - z keeps the state

    def forward(self, sequence: Tensor) -> Tensor:
        z, c = self.gate(sequence).sigmoid(), self.candidate(sequence)
        return scan(1 - z, z * torch.where(c >= 0, c + 0.5, c.sigmoid()))


def scan(kept: Tensor, added: Tensor) -> Tensor:
    """Return all h_t = kept_t h_{t-1} + added_t of `(B, T, …)`, from h = 0, in log2 T rounds.

    After a round each step is one step over twice as many (Hillis and Steele, "Data parallel algorithms", 1986). Without
    logarithms, which torch sums slowly, and as exact as the steps one by one.
    """
    steps, span = added.shape[1], 1
    while span < steps:
        later = kept[:, span:]
        added = torch.cat([added[:, :span], added[:, span:] + later * added[:, :-span]], 1)
        kept = torch.cat([kept[:, :span], later * kept[:, :-span]], 1)
        span *= 2
    return added


class BothWays(nn.Module):
    """One layer forwards and one backwards, their outputs side by side."""

    def __init__(self, forwards: nn.Module, backwards: nn.Module) -> None:
        super().__init__()
        self.forwards, self.backwards = forwards, backwards

    def forward(self, sequence: Tensor) -> Tensor:
        return torch.cat([self.forwards(sequence), self.backwards(sequence.flip(1)).flip(1)], 2)


def minimal(inputs: int, hidden: int, *, layers: int, bidirectional: bool, forget_bias: float) -> Stack:
    """Return a stack of minimal gated layers."""
    width = hidden * (1 + bidirectional)

    def layer(size: int) -> nn.Module:
        forwards = MinGRULayer(size, hidden, forget_bias)
        return BothWays(forwards, MinGRULayer(size, hidden, forget_bias)) if bidirectional else forwards

    return Stack([layer(size) for size in [inputs] + [width] * (layers - 1)], width, bidirectional)
