"""Optimizers that look at a batch twice (sharpness-aware minimisation and its kin)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from zoo.plugins import Catalog, load_catalog
from zoo.registry import Registry
from zoo.training.experiment import build
from zoo.training.loop import optimize, set_mode
from zoo.training.progress import Progress

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
