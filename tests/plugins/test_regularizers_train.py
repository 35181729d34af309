"""Each regularizer in a whole run: digits in, a loss that falls, weights that give the figures that were written down."""

from __future__ import annotations

from pathlib import Path

import pytest

import zoo
from zoo.training.events import EpochDone

CONV_NET = "architecture={name: conv-net, filters: 8, hidden: 32}"
RESIDUAL = "architecture={name: timm, model: test_resnet}"
SETTINGS = (
    "data.train_size=200",
    "optimizer={name: adamw, lr: 0.01}",
    "augmentation={rotation: 0, shift: 0, zoom: 0}",
    "training={epochs: 8, batch_size: 40, threads: 1}",
)


def losses(architecture: str, regularizers: str, folder: Path, *more: str) -> list[float]:
    """Train for 40 steps and return the validation loss after each of 8 epochs; the best weights are read and checked."""
    history: list[float] = []
    run = zoo.train(
        zoo.resolve("conv-net-momentum", architecture, f"regularizers={regularizers}", *SETTINGS, *more),
        run=folder,
        device="cpu",
        on_event=lambda e: history.append(e.metrics["validation/loss"]) if isinstance(e, EpochDone) else None,
    )
    again = zoo.evaluate(run)
    assert run.summary is not None and again["accuracy"] == run.summary["test"]["accuracy"]
    return history


@pytest.mark.parametrize(
    "regularizers",
    [
        "[{name: l1, strength: 0.0001}]",
        "[mixup]",
        "[{name: cutmix, probability: 0.5}]",
        "[{name: mixup-cutmix, probability: 0.8}, {name: label-smoothing, strength: 0.1}]",
        "[{name: random-erasing, probability: 0.5, fill: noise}, mixup]",
        "[{name: gradient-noise, eta: 0.0001}]",
        "[{name: layer-decay, strength: 0.25}, weight-decay]",
        "[weight-decay, layer-decay]",
        "[class-weights]",
        "[balanced-sampling, random-erasing]",
        "[logit-adjustment, cutmix]",
        "[focal]",
    ],
)
def test_the_loss_of_the_conv_net_falls(regularizers: str, tmp_path: Path) -> None:
    history = losses(CONV_NET, regularizers, tmp_path / "run")
    assert len(history) == 8 and history[-1] < 0.5 * history[0]


def test_the_loss_of_a_residual_network_with_drop_path_falls(tmp_path: Path) -> None:
    history = losses(RESIDUAL, "[{name: drop-path, rate: 0.2}]", tmp_path / "run")
    assert len(history) == 8 and history[-1] < 0.5 * history[0]


@pytest.mark.parametrize("regularizers", ["[mixup-cutmix, label-smoothing]", "[class-weights]", "[focal]"])
def test_the_binary_loss_falls(regularizers: str, tmp_path: Path) -> None:
    two = ("loss=bce", "data.classes=['3', '8']", "data.train_size=80")
    history = losses(CONV_NET, regularizers, tmp_path / "run", *two)
    assert history[-1] < 0.5 * history[0]
