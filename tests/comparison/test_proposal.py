from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

import zoo
from tests.comparison.conftest import LSTM, NET, TINY, question
from zoo.comparison import plan as plans
from zoo.comparison.compare import conduct
from zoo.comparison.proposal import propose
from zoo.errors import ZooError
from zoo.registry import Registry


def registry() -> Registry:
    return Registry.load(zoo.catalog)


def test_every_recipe_is_proven_at_every_value_and_its_time_estimated() -> None:
    found = propose(question(settings=TINY, vary="data.train_size", values=("100", "200"), seeds=3), registry())
    variants = [found.plan.variant(name, value) for name in (NET, LSTM) for value in ("100", "200")]
    assert all(each.seconds > 0 for each in variants) and len({each.digest for each in variants}) == 4
    assert len(found.plan.asked) == 2
    assert not Path("runs").exists()


@pytest.mark.parametrize(("kind", "value"), [("macs", 1e5), ("parameters", 2e4)])
def test_networks_are_brought_to_one_budget_and_the_plan_says_what_was_achieved(kind: str, value: float) -> None:
    found = propose(question(budget=(kind, value)), registry())
    for contestant, recipe in zip(found.plan.contestants, found.recipes, strict=True):
        assert abs(getattr(found.plan.variant(contestant.name, None), kind) / value - 1) <= 0.03
        for path, changed in contestant.changed.items():
            assert getattr(recipe.architecture.params, path.removeprefix("architecture.")) == changed


def test_costs_are_those_of_each_value() -> None:
    asked = question(recipes=("lenet5-adamw",), vary="architecture.width", values=("1", "0.5"))
    plan = propose(asked, registry()).plan
    whole, half = (plan.variant("lenet5-adamw", value) for value in ("1", "0.5"))
    assert half.parameters < whole.parameters / 2 and half.macs < whole.macs / 2
    with pytest.raises(ZooError, match=r"architecture\.width=0\.5 takes lenet5-adamw off its budget"):
        propose(msgspec.structs.replace(asked, budget=("parameters", float(whole.parameters))), registry())


@pytest.mark.parametrize(
    ("setting", "values", "message"),
    [
        ("data.classes", ("null", "['0','1','2']"), "is tested on other samples or classes"),
        ("data.train_size", ("100", "100000"), "train_size 100000 does not fit"),
    ],
)
def test_values_that_cannot_be_compared_are_refused_before_training(
    setting: str, values: tuple[str, str], message: str
) -> None:
    with pytest.raises(ZooError, match=message):
        propose(question(settings=TINY, vary=setting, values=values), registry())


def test_a_budget_that_a_network_cannot_have_is_refused_with_the_nearest() -> None:
    with pytest.raises(ZooError, match="cannot have 10 parameters"):
        propose(question(budget=("parameters", 10)), registry())


def test_seconds_become_steps_once() -> None:
    asked = question(settings=("training.threads=1", "training.early_stopping=null"), seconds=0.5)
    found = propose(asked, registry())
    for contestant, recipe in zip(found.plan.contestants, found.recipes, strict=True):
        assert recipe.training.steps == contestant.changed["training.steps"] >= 1
        assert recipe.training.epochs is None


def test_one_larger_model_of_twice_the_cost_stands_beside_ensembles_of_two(tmp_path: Path) -> None:
    settings = (*TINY, "data.train_size=200", "training.batch_size=50")
    recipes = (NET, "lenet5-adamw")
    asked = question(budget=("macs", 1e5), larger=True, recipes=recipes, settings=settings, seeds=1)
    found = propose(asked, registry())
    assert [c.name for c in found.plan.contestants if c.larger] == [f"{NET}-larger", "lenet5-adamw-larger"]
    larger = [found.plan.variant(c.name, None).macs for c in found.plan.contestants if c.larger]
    assert all(abs(macs / 2e5 - 1) <= 0.03 for macs in larger)
    assert found.plan.primary == ((NET, "lenet5-adamw"),)
    plans.write(tmp_path, found.plan, found.recipes)
    analysis = conduct(tmp_path, catalog=zoo.catalog, device="cpu")
    (row,) = analysis["conditions"][0]["ensembles"]
    assert row["larger"]["recipe"].endswith("-larger") and len(analysis["conditions"][0]["recipes"]) == 4
    difference = row["accuracy"]["estimate"] - row["larger"]["accuracy"]["estimate"]
    assert row["above_larger"]["estimate"] == pytest.approx(difference)
    assert row["larger"]["macs"] == pytest.approx(row["macs"], rel=0.06)
    assert row["larger"]["training_macs"] == pytest.approx(row["training_macs"], rel=0.06)
    assert len(analysis["conditions"][0]["pairs"]) == 1
    with pytest.raises(ZooError, match="takes a budget of multiply-accumulates"):
        propose(question(larger=True), registry())
