"""Sequencer2D (Tatsunami and Taki, "Sequencer: deep LSTM for image classification", NeurIPS 2022), as timm builds it."""

from __future__ import annotations

from typing import cast

import torch
from timm.models.sequencer import LSTM2d, Sequencer2d, Sequencer2dBlock
from torch import Tensor, nn

from zoo.facts import ArchitectureFacts
from zoo.modules import attach_dropout
from zoo_architectures import cells, timm_models
from zoo_architectures.adapter import TimmClassifier
from zoo_architectures.base import widened
from zoo_architectures.specs.recurrent import Sequencer as Params
from zoo_architectures.specs.timm_models import Timm

Size = tuple[int, int]


class BiLSTM2d(LSTM2d):
    """timm's pair of LSTMs in the precision that the processor has, with a place for dropout before their projection."""

    def __init__(self, mixer: LSTM2d) -> None:
        with torch.device("meta"):  # the layers are those of `mixer`
            super().__init__(mixer.input_size, mixer.hidden_size)
        self.rnn_v, self.rnn_h, self.fc = mixer.rnn_v, mixer.rnn_h, mixer.fc
        assert isinstance(self.fc, nn.Linear)
        attach_dropout(self.fc, "recurrent")

    def forward(self, x: Tensor) -> Tensor:
        with cells.full_precision(x):
            return cast(Tensor, super().forward(x.float()))  # type: ignore[no-untyped-call]  # timm's has no types


def describe(params: Params) -> ArchitectureFacts:
    """Return the facts of the size; those of timm's sizes are timm's."""
    if params.size == "nano":
        return ArchitectureFacts(family="rnn", embeddings=True, min_size=4, preferred_size=32)
    return timm_models.describe(Timm(model=f"sequencer2d_{params.size}"))


def build(
    params: Params, *, num_outputs: int, in_channels: int, image_size: Size, drop_path_rate: float = 0.0
) -> nn.Module:
    """Return the network; raises ComponentError for a size that the patches of timm's sizes, 7 px, do not fill.

    The nano size cuts patches of 2 px and has two stages of two blocks, of 64 and 128 channels at width 1.
    """
    if params.size == "nano":
        network: nn.Module = TimmClassifier(_nano(params, num_outputs, in_channels, drop_path_rate), "head.fc")
    else:
        network = timm_models.create(f"sequencer2d_{params.size}", num_outputs, in_channels, image_size, drop_path_rate)
    for block in [m for m in network.modules() if isinstance(m, Sequencer2dBlock)]:
        block.rnn_tokens = BiLSTM2d(cast(LSTM2d, block.rnn_tokens))
    for lstm in [m for m in network.modules() if isinstance(m, nn.LSTM)]:
        cells.set_forget_bias(lstm, params.forget_bias)
    return network


def _nano(params: Params, num_outputs: int, in_channels: int, drop_path_rate: float) -> nn.Module:
    network: nn.Module = Sequencer2d(
        num_classes=num_outputs,
        in_chans=in_channels,
        layers=(2, 2),
        patch_sizes=(2, 2),
        embed_dims=widened((64, 128), params.width),
        hidden_sizes=widened((16, 32), params.width),
        mlp_ratios=(params.expansion, params.expansion),
        drop_path_rate=drop_path_rate,
    )
    return network
