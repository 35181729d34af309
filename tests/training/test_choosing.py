from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import zoo
from zoo.errors import RecipeError, ZooError
from zoo.settings import with_setting
from zoo.training.choosing import combinations
from zoo.training.events import Noted

SETTINGS = (
    "data.train_size=100", "training.epochs=3", "training.threads=1", "augmentation=null",
    "regularizers=[weight-decay]", "freeze={stages: backbone, choose: true}", "training.best=validation/loss",
    "training.early_stopping=null",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))


def search(**choices: list[Any]) -> str:
    return "search=" + json.dumps({path.replace("__", "."): {"choices": values} for path, values in choices.items()})


def test_the_choice_is_the_one_that_training_each_alone_shows_to_be_best(tmp_path: Path) -> None:
    rates = [0.0001, 0.3, 0.01]
    alone = {}
    for rate in rates:
        run = zoo.train(
            "conv-net-momentum", *SETTINGS, "freeze.choose=false", f"optimizer.lr={rate}", run=tmp_path / str(rate)
        )
        alone[rate] = (run.summary or {})["best"]["value"]
    notes: list[str] = []
    chosen = zoo.train(
        "conv-net-momentum", *SETTINGS, search(optimizer__lr=rates), run=tmp_path / "chosen",
        on_event=lambda event: notes.append(event.text) if isinstance(event, Noted) else None,
    )  # fmt: skip
    best = min(alone, key=lambda rate: alone[rate])
    assert (chosen.summary or {})["best"]["value"] == alone[best]
    seen = "; ".join(f"optimizer.lr {rate}: {alone[rate]:.4g}" for rate in rates)
    assert notes == [f"optimizer.lr {best} chosen by validation/loss ({seen})"]
    assert notes[0] in chosen.manifest["notes"]


def test_the_run_keeps_what_was_chosen_as_its_recipe(tmp_path: Path) -> None:
    run = zoo.train("conv-net-momentum", *SETTINGS, search(optimizer__lr=[0.0001, 0.1]), run=tmp_path / "r")
    (kept,) = yaml.safe_load((run.path / "recipe.yaml").read_text())["recipes"].values()
    assert kept["optimizer"]["lr"] == 0.1 and kept["freeze"]["choose"] is False
    again = zoo.train(zoo.resolve(run.recipe_name, registry=run.path / "recipe.yaml"), run=tmp_path / "again")
    figures = [{**(r.summary or {}), "run": "", "seconds": 0} for r in (run, again)]
    assert figures[0] == figures[1]


def test_a_head_that_diverges_is_not_chosen(tmp_path: Path) -> None:
    notes: list[str] = []
    run = zoo.train(
        "conv-net-momentum", *SETTINGS, search(optimizer__lr=[1e30, 0.1]), run=tmp_path / "r",
        on_event=lambda event: notes.append(event.text) if isinstance(event, Noted) else None,
    )  # fmt: skip
    assert "optimizer.lr 0.1 chosen" in notes[0] and "optimizer.lr 1e+30: diverged" in notes[0]
    assert (run.summary or {})["status"] == "finished"


def test_every_combination_of_choices_is_tried() -> None:
    recipe = zoo.resolve(
        "conv-net-momentum",
        *SETTINGS,
        search(optimizer__lr=[0.1, 0.2], **{"regularizers__weight-decay__strength": [0, 1]}),
    )
    assert combinations(recipe) == [
        {"optimizer.lr": lr, "regularizers.weight-decay.strength": strength} for lr in (0.1, 0.2) for strength in (0, 1)
    ]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("optimizer.lr", 0, "optimizer.lr cannot be 0: Expected `float` > 0.0"),
        ("optimizer.rate", 1, "the recipe has no setting 'optimizer.rate'"),
        ("regularizers.dropout.rate", 1, "the recipe has no setting 'regularizers.dropout.rate'"),
        ("nothing", 1, "the recipe has no setting 'nothing'"),
        ("distill.weight", 1, "the recipe has no setting 'distill.weight'"),
    ],
)
def test_a_setting_that_the_recipe_does_not_take(path: str, value: object, message: str) -> None:
    with pytest.raises(ZooError, match=message):
        with_setting(zoo.resolve("conv-net-momentum", "regularizers=[weight-decay]"), path, value)


def test_a_setting_is_changed_and_the_recipe_is_not() -> None:
    recipe = zoo.resolve("conv-net-momentum")
    changed = with_setting(recipe, "regularizers.dropout.rate", 0.1)
    rates = [r.params.rate for c in (recipe, changed) for r in c.regularizers if r.name == "dropout"]  # type: ignore[attr-defined]
    assert rates == [0.3, 0.1] and changed.origins["regularizers.dropout.rate"] == "chosen"
    assert with_setting(recipe, "training.epochs", 2).training.epochs == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["freeze={stages: 1, choose: true}"], "freeze.choose needs the whole backbone frozen"),
        (["freeze={stages: 2, views: 3}"], "freeze.views needs the whole backbone frozen"),
        (["freeze={stages: backbone, choose: true}"], "freeze.choose needs choices"),
        (
            ["freeze={stages: backbone, choose: true}", search(architecture__hidden=[8, 16])],
            "freeze.choose cannot try 'architecture.hidden', which is not of the head alone",
        ),
        (
            ["freeze={stages: backbone, choose: true}", search(training__batch_size=[8, 16])],
            "freeze.choose cannot try 'training.batch_size', which is not of the head alone",
        ),
        (["freeze=all"], "freeze.stages must be backbone or an integer ≥ 1, got 'all' instead"),
    ],
)
def test_a_freeze_that_cannot_be_is_refused(settings: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        zoo.resolve("conv-net-momentum", *settings)


def test_a_choice_for_a_regularizer_that_is_taken_out_goes_with_it() -> None:
    ranges = search(**{"regularizers__weight-decay__strength": [0, 1], "optimizer__lr": [0.1, 0.2]})
    kept = zoo.resolve("conv-net-momentum", *SETTINGS, "search=null", ranges, "regularizers.weight-decay=null")
    assert list(kept.search) == ["optimizer.lr"]
    assert "search leaves regularizers.weight-decay.strength out: the recipe has no such regularizer" in kept.notes
    none = zoo.resolve("photos-transfer", "regularizers=[mixup, label-smoothing]")
    assert none.search == {} and none.freeze is not None and none.freeze.choose is False
