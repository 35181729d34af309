"""Optimizers that look at a batch twice (sharpness-aware minimisation and its kin), training without validation, and draws."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import zoo
from zoo.plugins import Catalog, load_catalog
from zoo.registry import Registry
from zoo.training.checkpoint import dumps
from zoo.training.events import EpochDone, Evaluating, StepDone
from zoo.training.experiment import build
from zoo.training.loop import fit, optimize, set_mode
from zoo.training.progress import Progress
from zoo.training.reading import prepare_data
from zoo.training.run import Run
from zoo.training.session import Session

PLUGIN = """
from zoo import OptimizerSpec, Regularizer, RegularizerSpec, Params, hookimpl

class Rate(Params, frozen=True, kw_only=True):
    lr: float = 0.1

class Strength(Params, frozen=True, kw_only=True):
    strength: float = 1.0

@hookimpl
def zoo_optimizers():
    return [OptimizerSpec(name="twice", factory="twice:optimizer", summary="asks for gradients twice", params=Rate, passes=2)]

@hookimpl
def zoo_regularizers():
    return [RegularizerSpec(name="counts", factory="twice:counts", summary="counts calls", params=Strength, strength="strength")]

def optimizer(params, groups):
    import torch

    class Twice(torch.optim.SGD):
        def step(self, gradients):
            gradients()
            self.first = [p.grad.clone() for p in self.param_groups[0]["params"]]
            gradients()
            self.second = [p.grad.clone() for p in self.param_groups[0]["params"]]
            super().step()

    return Twice(groups, lr=params.lr)

def counts(params):
    class Counts(Regularizer):
        steps = []

        def before_step(self, model, step, draws):
            self.steps.append(step)

    return Counts()
"""


@pytest.fixture
def twice(tmp_path: Path) -> Iterator[Catalog]:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/twice.py").write_text(PLUGIN)
    yield load_catalog(tmp_path / "plugins")
    del sys.modules["twice"]


def test_a_second_pass_sees_the_same_batch_and_counts_it_once(twice: Catalog) -> None:
    recipe = Registry.load(twice).resolve(
        "resnet18-momentum",
        [
            "optimizer=local/twice",
            "regularizers=[local/counts, {name: dropout, rate: 0.5}]",
            "augmentation={shift: 0.2}",
            "data.train_size=40",
            "training.batch_size=20",
        ],
    )
    x = build(recipe, device="cpu")
    progress = Progress(x.device)
    set_mode(x, training=True)
    for batch in x.train.training(0, 0):
        optimize(x, progress, batch)
        progress.step += 1
    assert all(torch.equal(a, b) for a, b in zip(x.optimizer.first, x.optimizer.second, strict=True))  # type: ignore[attr-defined]
    assert progress.seen == 40
    tracked = {int(value) for name, value in x.model.state_dict().items() if name.endswith("num_batches_tracked")}
    assert tracked == {2}
    counting = next(r for name, r in x.regularizers._named if name == "local/counts")
    assert counting.steps == [0, 0, 1, 1]  # type: ignore[attr-defined]


SMALL = (
    "architecture.filters=4",
    "architecture.hidden=16",
    "data.train_size=50",
    "training.batch_size=20",
    "training.threads=1",
)


def test_training_without_validation_ends_with_the_last_weights() -> None:
    recipe = zoo.resolve("conv-net-momentum", *SMALL, "training.epochs=3", "training.early_stopping=null")
    data = prepare_data(recipe)
    without = replace(data, splits={name: split for name, split in data.splits.items() if name != "validation"})
    trained = []
    for dataset in (data, without):
        x = build(recipe, device="cpu", dataset=dataset)
        progress = Progress(x.device)
        events = list(fit(x, progress))
        epochs = [event for event in events if isinstance(event, EpochDone)]
        assert [event.epoch for event in epochs] == [1, 2, 3] and progress.step == 9
        trained.append((x, epochs, any(isinstance(event, Evaluating) for event in events)))
    (one, _, evaluated), (two, epochs, alone) = trained
    assert evaluated and not alone and two.validation is None
    assert all(torch.equal(value, two.model.state_dict()[name]) for name, value in one.model.state_dict().items())
    assert all(event.best and set(event.metrics) == {"train/loss", "train/accuracy", "lr"} for event in epochs)


def test_an_epoch_of_draws_goes_on_in_its_middle_bit_by_bit(tmp_path: Path) -> None:
    recipe = zoo.resolve(
        "conv-net-momentum", *SMALL, "training.draws=130", "training.epochs=2", "training.checkpoint_every=2",
        "training.early_stopping=null", "augmentation={shift: 0.1}", "regularizers=[{name: dropout, rate: 0.5}]",
    )  # fmt: skip
    whole = Session.start(recipe, catalog=zoo.catalog, run=tmp_path / "whole", device="cpu", test=False)
    steps = [event for event in whole.events() if isinstance(event, StepDone)]
    assert len(steps) == 14 and sum(step.samples for step in steps) == 260
    cut = Session.start(recipe, catalog=zoo.catalog, run=tmp_path / "cut", device="cpu", test=False)
    events = cut.events()
    for event in events:
        if isinstance(event, StepDone) and event.step == 11:
            break
    events.close()  # type: ignore[attr-defined]  # it is a generator
    list(Session.resume(tmp_path / "cut", catalog=zoo.catalog, device="cpu").events())
    one, two = (Run(tmp_path / name) for name in ("whole", "cut"))
    assert dumps(one.checkpoints.load_last()[0]) == dumps(two.checkpoints.load_last()[0])
    assert one.history() == two.history() and len(one.history()) == 2
