"""Every optimizer trains and resumes a small network on digits, from end to end."""

from __future__ import annotations

import math
import os
import signal
from pathlib import Path

import pytest
import torch
from conftest import TINY
from fixtures.optimizers import SPECS

import zoo
from zoo.errors import Interrupted
from zoo.training.events import EpochDone, Evaluating, StepDone
from zoo.training.session import Session

# Rates above the defaults where these are meant for longer trainings than sixty steps.
RATES = {
    "momentum": "lr=0.3",
    "rmsprop": "lr=0.003",
    "lion": "lr=0.003",
    "adam": "lr=0.005",
    "adamw": "lr=0.005",
    "nadam": "lr=0.005",
    "lamb": "lr=0.03",
    "schedule-free-adamw": "lr=0.02",
    "muon": "lr=0.005",
    "sam": "base={name: sgd, lr: 0.1}",
    "timm": "lr=0.005",
}


def settings(name: str) -> list[str]:
    rate = [f"optimizer.{RATES[name]}"] if name in RATES else []
    return [*TINY, f"optimizer={name}", *rate, "schedule={name: constant, warmup: 0.1}"]


@pytest.mark.parametrize("name", SPECS)
def test_sixty_steps_bring_the_loss_below_half(name: str) -> None:
    run = zoo.train(
        "conv-net-momentum",
        *settings(name),
        "architecture.filters=8",
        "architecture.hidden=32",
        "training.epochs=12",
        "training.early_stopping=null",
        "regularizers=[{name: weight-decay, strength: 0.001}]",
        "augmentation=null",
    )
    assert run.summary is not None and run.summary["steps"] == 60
    last = run.history()[-1]
    assert last["train/loss"] < math.log(10) / 2  # half the loss of a guess
    assert last["validation/loss"] < math.log(10) / 2


# Twice four steps, with all that draws random numbers or keeps state, and an evaluation of eight batches.
SHORT = (
    "data.train_size=100",
    "training.batch_size=25",
    "training.clip_norm=1",
    "training.accumulate=2",
    "training.checkpoint_every=3",
    "training.evaluation_batch_size=45",
)


def interrupted(run: Path, recipe: zoo.Recipe, kind: type, number: int) -> None:
    """Train up to this event of its kind, where SIGINT comes: what is in progress is finished and saved."""
    seen = 0
    with pytest.raises(Interrupted):
        for event in Session.start(recipe, catalog=zoo.catalog, run=run, device="cpu").events():
            seen += isinstance(event, kind)
            if seen == number and isinstance(event, kind):
                os.kill(os.getpid(), signal.SIGINT)


def kept(run: zoo.Run) -> dict[str, object]:
    index = run.checkpoints.index()
    assert index.last is not None and index.best is not None
    return {"last": index.last.sha256, "best": index.best.sha256, "history": run.history()}


@pytest.mark.parametrize(
    "name",
    ["sam", "schedule-free-adamw", *(pytest.param(n, marks=pytest.mark.slow) for n in ("muon", "nadam", "lamb"))],
)
def test_a_run_that_is_interrupted_anywhere_goes_on_bit_by_bit(name: str, tmp_path: Path) -> None:
    recipe = zoo.resolve("conv-net-momentum", *settings(name), *SHORT)
    whole = kept(zoo.train(recipe, run=tmp_path / "whole", device="cpu"))
    for kind, number in ((StepDone, 1), (StepDone, 6), (Evaluating, 3), (EpochDone, 1), (Evaluating, 12)):
        run = tmp_path / f"{kind.__name__}-{number}"
        interrupted(run, recipe, kind, number)
        assert kept(zoo.resume(run, device="cpu")) == whole, f"after {kind.__name__} {number}"


def test_the_best_weights_of_a_schedule_free_run_are_the_average(tmp_path: Path) -> None:
    recipe = zoo.resolve("conv-net-momentum", *settings("schedule-free-adamw"), *SHORT)
    run = zoo.train(recipe, run=tmp_path / "run", device="cpu")
    state = run.checkpoints.load_best()
    names = [name for group in state["optimizer"]["param_groups"] for name in group["param_names"]]
    assert len(names) == len(state["optimizer"]["state"]) > 4
    for position, name in enumerate(names):
        assert torch.equal(state["model"][name], state["optimizer"]["state"][position]["average"]), name


@pytest.mark.slow
def test_sam_restores_the_weights_and_counts_its_batch_once() -> None:
    """With a radius of nought a run is that of its base, running statistics and metrics included."""
    short = ("data.train_size=40", "training.batch_size=20", "training.epochs=1", "training.threads=1")
    base, sharp = (
        zoo.train("resnet18-momentum", *short, f"optimizer={optimizer}")
        for optimizer in ("{name: sgd, lr: 0.05}", "{name: sam, rho: 0, base: {name: sgd, lr: 0.05}}")
    )
    first, second = (run.checkpoints.load_last()[0]["model"] for run in (base, sharp))
    assert base.history() == sharp.history()
    assert all(torch.equal(value, second[name]) for name, value in first.items())
