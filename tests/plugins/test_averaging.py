"""Averages of weights: `ema` and `swa`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.bases import Context, Regularizer
from zoo.components import Component, Provenance
from zoo.errors import RecipeError
from zoo.modules import Dropout
from zoo.training.checkpoint import dumps, loads
from zoo.training.events import Saved
from zoo.training.session import Session
from zoo_regularizers.plugin import zoo_regularizers

SPECS = {spec.name: spec for spec in zoo_regularizers()}
TOY = (
    "architecture={name: conv-net, filters: 4, hidden: 16}",
    "data.train_size=100",
    "training={epochs: 4, batch_size: 25}",
)


class Net(nn.Module):
    """A norm and a classifier, with dropout between them."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)
        self.dropout = Dropout(0.5)
        self.head = nn.Linear(2, 3)

    def forward(self, values: Tensor) -> Tensor:
        logits: Tensor = self.head(self.dropout(self.norm(values)))
        return logits


def bound(model: nn.Module, name: str, *, epochs: int = 4, **params: Any) -> Regularizer:
    """Return the regularizer, bound to a training of two steps an epoch."""
    spec = SPECS[name]
    built = Component(spec, name, spec.params(**params), Provenance("regularizers", "zoo-vision", "0")).build()
    assert isinstance(built, Regularizer)
    built.bind(
        Context(
            model=model,
            num_classes=3,
            class_counts=[5, 5, 5],
            train_size=15,
            steps_per_epoch=2,
            total_steps=2 * epochs,
            loss="cross-entropy",
            weight_decay="coupled",
        )
    )
    return built


def walk(model: Net, regularizer: Regularizer, steps: int) -> Iterator[dict[str, Tensor]]:
    """Give the model random weights and statistics at each step and yield them."""
    generator = torch.Generator().manual_seed(0)
    for step in range(steps):
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator))
            else:
                value += 1
        regularizer.after_step(model, step, [{"lr": 0.1}])
        yield {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("decay", [0.5, 0.999])
def test_ema_is_the_recursion_with_a_rising_decay(decay: float) -> None:
    model = Net()
    regularizer = bound(model, "ema", decay=decay)
    assert regularizer.evaluation_model(model) is model
    expected: dict[str, Tensor] = {}
    for t, newest in enumerate(walk(model, regularizer, 12)):
        d = min(decay, (1 + t) / (10 + t)) if t else 0.0
        expected = {
            name: d * expected.get(name, value) + (1 - d) * value if value.is_floating_point() else value
            for name, value in newest.items()
        }
    got = regularizer.evaluation_model(model).state_dict()
    assert list(got) == list(expected)
    for name, value in expected.items():
        assert torch.allclose(got[name], value, atol=1e-6), name
    assert all(torch.equal(value, newest[name]) for name, value in model.state_dict().items())


def test_swa_is_the_mean_over_the_ends_of_the_last_epochs() -> None:
    model = Net()
    regularizer = bound(model, "swa", share=0.5)
    path = list(walk(model, regularizer, 4))
    assert regularizer.evaluation_model(model) is model, "the first half is not averaged"
    path = list(walk(model, regularizer, 8))  # steps 6 and 8 end the third and the fourth epoch
    got = regularizer.evaluation_model(model)
    for name, parameter in got.named_parameters():
        assert torch.allclose(parameter, (path[5][name] + path[7][name]) / 2, atol=1e-6), name


def test_swa_measures_running_statistics_of_the_averaged_weights() -> None:
    model = Net()
    regularizer = bound(model, "swa", share=1.0)
    list(walk(model, regularizer, 2))
    averaged = regularizer.evaluation_model(model)
    assert isinstance(averaged, Net)
    batches = [torch.randn(6, 2, generator=torch.Generator().manual_seed(i)) * 3 + 1 for i in range(3)]
    before = torch.default_generator.get_state()
    for _ in range(2):  # measured anew each time
        regularizer.finalize(averaged, iter(batches))
        assert torch.allclose(averaged.norm.running_mean, torch.stack([b.mean(0) for b in batches]).mean(0), atol=1e-6)  # type: ignore[arg-type]
        assert torch.allclose(averaged.norm.running_var, torch.stack([b.var(0) for b in batches]).mean(0), atol=1e-5)  # type: ignore[arg-type]
    assert averaged.norm.momentum == 0.1 and not averaged.norm.training and not averaged.dropout.training
    assert torch.equal(torch.default_generator.get_state(), before), "dropout was on"


@pytest.mark.parametrize("name", ["ema", "swa"])
def test_an_average_goes_on_after_a_restart(name: str) -> None:
    model = Net()
    regularizer = bound(model, name)
    steps = walk(model, regularizer, 8)
    for _ in range(7):
        next(steps)
    saved = {key: value.clone() for key, value in regularizer.evaluation_model(model).state_dict().items()}
    twin = Net()
    again = bound(twin, name)
    again.load_state_dict(loads(dumps(regularizer.state_dict())))
    again.evaluation_model(twin).load_state_dict(saved)
    last = next(steps)
    twin.load_state_dict(last)
    again.after_step(twin, 7, [{"lr": 0.1}])
    expected, got = regularizer.evaluation_model(model).state_dict(), again.evaluation_model(twin).state_dict()
    assert all(torch.equal(value, got[key]) for key, value in expected.items())


@pytest.mark.parametrize("name", ["ema", "swa"])
def test_what_is_frozen_is_left_alone_until_it_is_trained(name: str) -> None:
    model = Net()
    model.norm.requires_grad_(False)
    model.norm.pinned = True  # type: ignore[assignment]
    regularizer = bound(model, name, **({"decay": 0.5} if name == "ema" else {"share": 1.0}))
    generator = torch.Generator().manual_seed(0)

    def step(number: int, frozen: bool) -> None:
        for parameter in (model.head if frozen else model).parameters():
            parameter.data.copy_(torch.rand(parameter.shape, generator=generator))
        regularizer.after_step(model, number, [{"lr": 0.1}])

    step(1, frozen=True)
    averaged = regularizer.evaluation_model(model)
    assert isinstance(averaged, Net)
    versions = [value._version for value in averaged.norm.state_dict().values()]
    head = averaged.head.weight.clone()
    step(3, frozen=True)
    assert [value._version for value in averaged.norm.state_dict().values()] == versions, "it was written"
    assert not torch.equal(averaged.head.weight, head)
    model.norm.requires_grad_(True)
    model.norm.pinned = averaged.norm.pinned = False  # type: ignore[assignment]
    before = averaged.norm.weight.clone()
    assert torch.equal(before, model.norm.weight)
    step(5, frozen=False)
    share = 1 - min(0.5, 3 / 12) if name == "ema" else 1 / 3
    assert torch.allclose(averaged.norm.weight, before + share * (model.norm.weight - before), atol=1e-6)


def test_an_average_over_a_thaw_goes_on_bit_by_bit(tmp_path: Path) -> None:
    recipe = zoo.resolve(
        "conv-net-momentum", *TOY, "freeze={stages: backbone, unfreeze_after: 2}", "augmentation=null",
        "regularizers=[{name: ema, decay: 0.9}]", "training.threads=1", "training.checkpoint_every=2",
    )  # fmt: skip
    whole = zoo.train(recipe, run=tmp_path / "whole", device="cpu").checkpoints.load_last()[0]
    for stop in (6, 10):  # of four steps an epoch: frozen, and thawed
        session = Session.start(recipe, catalog=zoo.catalog, run=tmp_path / f"{stop}", device="cpu")
        events = session.events()
        next(event for event in events if isinstance(event, Saved) and event.step == stop)
        events.close()  # type: ignore[attr-defined]  # a generator
        resumed = Session.resume(tmp_path / f"{stop}", catalog=zoo.catalog, device="cpu")
        list(resumed.events())
        state = resumed.run.checkpoints.load_last()[0]
        for part in ("model", "evaluation"):
            assert all(torch.equal(value, state[part][key]) for key, value in whole[part].items()), (stop, part)


def test_two_averages_in_one_recipe_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"'ema'.*'swa'|'swa'.*'ema'"):
        zoo.resolve("conv-net-momentum", "regularizers.ema={}", "regularizers.swa={}")


@pytest.mark.parametrize("average", ["{name: ema, decay: 0.99}", "{name: swa, share: 0.5}"])
def test_a_run_keeps_and_serves_the_averaged_weights(average: str, tmp_path: Path) -> None:
    schedule = "schedule={name: constant, warmup: 0.1}"
    run = zoo.train(
        "conv-net-momentum", *TOY, schedule, f"regularizers=[{average}]", run=tmp_path / "run", device="cpu"
    )
    best = run.checkpoints.load_best()
    assert any(not torch.equal(best["evaluation"][key], value) for key, value in best["model"].items())
    kept = np.load(run.path / "predictions" / "test.npz")
    again = zoo.evaluate(run)
    assert run.summary is not None and again["accuracy"] == run.summary["test"]["accuracy"]
    assert again["loss"] == pytest.approx(run.summary["test"]["loss"], abs=1e-6) and len(kept["ids"]) == 359
