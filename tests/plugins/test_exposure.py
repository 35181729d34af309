"""Learning from images of no known class: the loss by hand, which images, and what the energy is worth afterwards."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures import benches
from fixtures.regularizers import bound, component, context
from torch import Tensor, nn

from zoo.active.choosing import Situation, choose
from zoo.active.journal import Labels
from zoo.active.material import gather
from zoo.bases import Context
from zoo.cli.main import main
from zoo.data.augment import Preprocess
from zoo.data.dataset import Split
from zoo.data.sources import ArrayImages
from zoo.training.events import EpochDone
from zoo.training.losses import per_sample
from zoo.training.outliers import OUTLIERS, Outliers
from zoo.training.randomness import Draws
from zoo.training.regularizers import Regularizers

DRAWS = Draws(0, 3, torch.arange(10, 18))


def outliers(count: int) -> Outliers:
    """Return grey images of 4×4 pixels, each of another grey."""
    pixels = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 1, 4, 4)).copy()
    rows = np.arange(count)
    preprocess = Preprocess((0.0,), (1.0,), None, device=torch.device("cpu"))
    return Outliers(Split(OUTLIERS, ArrayImages(pixels), rows, 0 * rows), (4, 4), 0, preprocess)


def exposure(count: int, **params: Any) -> Regularizers:
    return Regularizers([component("outlier-exposure", **params)], among(outliers(count)))


def among(found: Outliers | None) -> Context:
    return replace(context(nn.Linear(2, 3), (5, 5, 5)), outliers=found)


def batch(regularizers: Regularizers) -> tuple[Tensor, Tensor]:
    return regularizers.on_batch(torch.zeros(8, 1, 4, 4), torch.arange(8) % 3, DRAWS)


def test_the_loss_by_hand() -> None:
    """Energies are -ln 3 and -ln 1.5; a third of a sample that is mixed with an outlier counts as known."""
    logits = torch.tensor([[0.0, 0.0, 0.0], [math.log(0.5)] * 3, [0.0, 0.0, 0.0]])
    targets = torch.tensor([[1.0, 0, 0], [0, 0, 0], [0, 1 / 3, 0]])
    got = exposure(5, strength=2.0).loss(logits, targets)
    expected = [
        math.log(3) + 2 * math.log(1 + 1 / 3),
        2 * math.log(1 + 1.5),
        math.log(3) / 3 + 2 * (math.log(1 + 1 / 3) / 3 + math.log(1 + 3) * 2 / 3),
    ]
    assert got.tolist() == pytest.approx(expected, abs=1e-6)


def test_outliers_stand_behind_a_batch_and_their_targets_are_zeros() -> None:
    images, targets = batch(exposure(100, share=0.3))
    assert images.shape == (8 + 3, 1, 4, 4) and targets.shape == (11, 3)
    assert torch.equal(targets[:8].argmax(1), torch.arange(8) % 3) and torch.equal(
        targets.sum(1), torch.tensor([1.0] * 8 + [0] * 3)
    )
    assert bool((images[:8] == 0).all()) and torch.equal(images, batch(exposure(100, share=0.3))[0])
    other = exposure(100, share=0.3).on_batch(torch.zeros(8, 1, 4, 4), torch.arange(8) % 3, Draws(0, 4, DRAWS.samples))[
        0
    ]
    assert not torch.equal(images[8:], other[8:])
    assert len(batch(exposure(2, share=1.0))[0]) == 10


def test_every_outlier_is_drawn_about_as_often() -> None:
    found = [outliers(4).drawn(3, Draws(0, epoch, torch.tensor([7, 8]))) for epoch in range(400)]
    counts = torch.bincount((torch.cat(found)[:, 0, 0, 0] * 255).round().long(), minlength=4)
    assert counts.sum() == 1200 and bool(((counts - 300).abs() < 75).all())  # five standard deviations


@pytest.mark.parametrize("found", [None, outliers(0)])
def test_without_outliers_nothing_changes(found: Outliers | None) -> None:
    regularizers = Regularizers([component("outlier-exposure")], among(found))
    images, targets = batch(regularizers)
    assert len(images) == 8 and targets.dtype == torch.int64
    logits = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(regularizers.loss(logits, targets), per_sample(logits, targets))
    assert regularizers.notes == (
        ["outlier-exposure: there are no images of no known class to learn from; zoo active … --unknown PATH has some"]
        if found is None
        else []
    )
    assert bound("outlier-exposure", strength=0.0).note() is None


def test_mixed_samples_are_mixed_with_one_another_alone() -> None:
    regularizers = Regularizers([component("outlier-exposure"), component("mixup")], among(outliers(9)))
    images, targets = batch(regularizers)
    assert len(images) == 12 and targets[:8].sum(1).tolist() == pytest.approx([1] * 8) and not targets[8:].any()
    assert bool((images[:8] == 0).all())


def test_a_training_that_nothing_is_unknown_to_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "conv-net-gate", "training.threads=1", "--dry-run"]
    assert main(words) == 0
    assert "no images of no known class" in " ".join("".join(capsys.readouterr()).split())


SETTINGS = (
    "active.unknown_classes=['8', '9']",
    "active.steps=200",
    "active.folds=2",
    "data.train_size=1000",
    "regularizers=[outlier-exposure]",
    "augmentation=null",
)


def test_after_a_few_answers_energies_tell_the_unknown_and_the_gate_keeps_them_out() -> None:
    """The eights and nines of digits, forty of which were asked for."""
    asked = benches.recipe(*SETTINGS)
    material = gather(asked)
    bench = benches.workbench(asked, material)
    known, unknown = np.flatnonzero(material.known)[:200], np.flatnonzero(~material.known)[:40]
    gate = benches.asking(asked, "gate").acquisition
    assert gate is not None
    told = []
    for answers in (unknown[:0], unknown):
        labels, metrics = Labels(known, material.labels[known], answers), list[float]()
        x = trained(bench.train(labels, 0), metrics)
        assert metrics[-1] > 0.85  # of the images with a class: outliers are no misses
        rows, found = benches.finished(choose(Situation(bench, material, labels, x, 0, 0), gate, 30))
        told.append({**found["gate"], "asked": material.known[rows].mean()})
    without, learned = told
    assert learned["auroc"] > max(0.9, without["auroc"] + 0.05) and learned["fpr95"] < without["fpr95"]
    assert learned["purity"] > max(0.9, without["purity"] + 0.05) and learned["asked"] > without["asked"]


def trained(steps: Generator[Any, None, Any], metrics: list[float]) -> Any:
    while True:
        try:
            event = next(steps)
        except StopIteration as end:
            return end.value
        if isinstance(event, EpochDone):
            metrics.append(event.metrics["train/accuracy"])
