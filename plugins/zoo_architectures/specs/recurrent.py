"""Recurrent networks."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from zoo.components import ArchitectureSpec, Params

Units = Annotated[int, Meta(ge=1, description="units of each layer's state, per direction")]
Layers = Annotated[int, Meta(ge=1, description="number of stacked recurrent layers")]
Cell = Annotated[Literal["lstm", "gru"], Meta(description="recurrent cell")]
KeepBias = Annotated[float, Meta(description="initial bias of the gate that keeps the state")]
Steps = Annotated[Literal["rows", "pixels"], Meta(description="what the network reads at each step")]


class Recurrent(Params, frozen=True, kw_only=True):
    """Recurrent layers that read an image step by step; dropout between them: `dropout` with `where: recurrent`."""

    hidden: Units = 128
    layers: Layers = 1
    cell: Cell = "lstm"
    forget_bias: KeepBias = 1.0


class Pixels(Recurrent, frozen=True, kw_only=True):
    """Recurrent layers that read an image pixel by pixel."""

    bidirectional: Annotated[bool, Meta(description="also read backwards")] = False
    readout: Annotated[
        Literal["final", "all"], Meta(description="states that are classified: the final ones, or those of all pixels")
    ] = "final"


class IRNN(Params, frozen=True, kw_only=True):
    """Recurrent layers of rectified units, whose recurrent weights begin as the identity."""

    hidden: Units = 100
    layers: Layers = 1
    steps: Steps = "pixels"
    scale: Annotated[float, Meta(gt=0, description="the identity is multiplied by this")] = 1.0


class MinGRU(Params, frozen=True, kw_only=True):
    """Gated layers whose gates do not read the state, so that all steps are computed at once."""

    hidden: Units = 128
    layers: Layers = 2
    bidirectional: Annotated[bool, Meta(description="also read backwards")] = False
    steps: Steps = "rows"
    forget_bias: KeepBias = 1.0


class ReNet(Params, frozen=True, kw_only=True):
    """Sweeps over patches from all four sides."""

    size: Annotated[
        Literal["xs", "s", "paper"],
        Meta(description="units and dense layers: 16 and 64; 32 and 256; 256 and 4096 twice"),
    ] = "s"
    layers: Annotated[int, Meta(ge=1, le=6, description="layers of four sweeps, each halving the maps")] = 2
    cell: Cell = "gru"
    forget_bias: KeepBias = 1.0
    width: Annotated[float, Meta(gt=0, description="width multiplier of the size's units, which are rounded")] = 1.0
    dense: Annotated[float, Meta(gt=0, description="a further multiplier of the dense layers' units")] = 1.0


class Sequencer(Params, frozen=True, kw_only=True):
    """Blocks of a vertical and a horizontal bidirectional LSTM."""

    size: Annotated[Literal["nano", "s", "m", "l"], Meta(description="nano is for small images")] = "nano"
    forget_bias: KeepBias = 1.0
    width: Annotated[float, Meta(gt=0, description="width multiplier of channels and units of nano, rounded")] = 1.0
    expansion: Annotated[
        float, Meta(gt=0, description="width of the channel mixers' hidden layer of nano, in widths of their stage")
    ] = 3.0

    def __post_init__(self) -> None:
        if self.size != "nano" and (self.width, self.expansion) != (1.0, 3.0):
            raise ValueError(f"width and expansion are settings of size nano, and {self.size} has its paper's")


SPECS = [
    ArchitectureSpec(
        name="row-lstm",
        factory="zoo_architectures.recurrent:build_row_lstm",
        summary="stacked LSTMs that read an image as a sequence of its rows",
        params=Recurrent,
        scales=("hidden",),
        family="rnn",
        embeddings=True,
        preferred_size=28,
    ),
    ArchitectureSpec(
        name="row-bilstm",
        factory="zoo_architectures.recurrent:build_row_bilstm",
        summary="bidirectional LSTMs over the rows (Graves and Schmidhuber, 2005)",
        params=Recurrent,
        scales=("hidden",),
        family="rnn",
        embeddings=True,
        preferred_size=28,
    ),
    ArchitectureSpec(
        name="pixel-lstm",
        factory="zoo_architectures.recurrent:build_pixel_lstm",
        summary="stacked LSTMs that read an image pixel by pixel (Le et al., 2015)",
        params=Pixels,
        scales=("hidden",),
        family="rnn",
        embeddings=True,
        preferred_size=28,
    ),
    ArchitectureSpec(
        name="irnn",
        factory="zoo_architectures.recurrent:build_irnn",
        summary="rectified recurrent units that begin as the identity (Le et al., 2015)",
        params=IRNN,
        scales=("hidden",),
        family="rnn",
        embeddings=True,
        preferred_size=28,
    ),
    ArchitectureSpec(
        name="mingru",
        factory="zoo_architectures.recurrent:build_mingru",
        summary="minimal gated units, all steps at once by a scan (Feng et al., 2024)",
        params=MinGRU,
        scales=("hidden",),
        family="rnn",
        embeddings=True,
        preferred_size=28,
    ),
    ArchitectureSpec(
        name="renet",
        factory="zoo_architectures.renet:build",
        summary="recurrent sweeps over patches from four sides (Visin et al., 2015)",
        params=ReNet,
        scales=("width", "dense"),
        family="rnn",
        embeddings=True,
        min_size=4,
        preferred_size=28,
    ),
    ArchitectureSpec(
        name="sequencer2d",
        factory="zoo_architectures.sequencer:build",
        summary="bidirectional LSTMs over columns and rows (Tatsunami and Taki, NeurIPS 2022)",
        params=Sequencer,
        scales=("width", "expansion"),
        family=None,
        embeddings=None,
        min_size=None,
        describe="zoo_architectures.sequencer:describe",
    ),
]
