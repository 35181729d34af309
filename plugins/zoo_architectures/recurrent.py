"""Recurrent networks that read an image as a sequence."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import pairwise

import torch
from torch import Tensor, nn

from zoo.modules import Dropout
from zoo_architectures import plugin


class RowLSTM(nn.Module):
    """Stacked LSTMs (Hochreiter and Schmidhuber, 1997) over the rows; the last state of the top layer is classified.

    Layers are stacked by hand: nn.LSTM's own dropout skips the top layer and is no module that can be found.
    """

    classifier = "head"

    def __init__(self, params: plugin.RowLSTM, num_outputs: int, in_channels: int, width: int) -> None:
        super().__init__()
        sizes = [in_channels * width] + [params.hidden] * params.layers
        self.lstms = nn.ModuleList(nn.LSTM(a, b, batch_first=True) for a, b in pairwise(sizes))
        self.dropouts = nn.ModuleList(Dropout(0.0, place="recurrent") for _ in range(params.layers))
        self.head = nn.Linear(params.hidden, num_outputs)
        self.embedding_size = params.hidden
        for lstm in self.lstms:
            assert isinstance(lstm, nn.LSTM)
            set_forget_bias(lstm, params.forget_bias)

    @property
    def stages(self) -> tuple[tuple[str, ...], ...]:
        """All parameter names, bottom layer first, classifier last."""
        layers = [
            tuple(f"lstms.{i}.{name}" for name, _ in lstm.named_parameters()) for i, lstm in enumerate(self.lstms)
        ]
        return (*layers, ("head.weight", "head.bias"))

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the top layer's outputs `(B, height, hidden)`."""
        sequence = x.transpose(1, 2).flatten(2)
        # oneDNN has no bf16 LSTM for processors without AVX-512, so on the CPU the recurrence is always fp32.
        with torch.autocast(x.device.type, enabled=False) if x.device.type == "cpu" else nullcontext():
            for lstm, dropout in zip(self.lstms, self.dropouts, strict=True):
                sequence = dropout(lstm(sequence)[0])
        return sequence

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Return the last state `(B, hidden)` with `pre_logits`, else the outputs `(B, num_outputs)`."""
        embedding = features[:, -1]
        return embedding if pre_logits else self.head(embedding)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))


@torch.no_grad()
def set_forget_bias(lstm: nn.LSTM, value: float) -> None:
    """Set the forget gate's bias of a one-layer LSTM (Jozefowicz et al., ICML 2015).

    torch adds two bias vectors, so the second is set to 0 and their sum to `value`.
    """
    gate = slice(lstm.hidden_size, 2 * lstm.hidden_size)  # order of the gates: input, forget, cell, output
    lstm.get_parameter("bias_ih_l0")[gate] = value
    lstm.get_parameter("bias_hh_l0")[gate] = 0.0


def build(params: plugin.RowLSTM, *, num_outputs: int, in_channels: int, image_size: tuple[int, int]) -> nn.Module:
    """Return the network; it reads `image_size[0]` steps of `in_channels * image_size[1]` values."""
    return RowLSTM(params, num_outputs, in_channels, image_size[1])
