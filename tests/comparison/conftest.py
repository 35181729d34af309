from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import zoo
from zoo.comparison import plan as plans
from zoo.comparison.compare import conduct
from zoo.comparison.events import Done, Progress
from zoo.comparison.identity import fingerprint
from zoo.comparison.plan import Contestant, Plan, Variant
from zoo.comparison.question import Corruptions, Expectation, Question
from zoo.recipe import Recipe
from zoo.registry import Registry
from zoo.training.reading import prepare_data

TINY = ("training.steps=12", "training.epochs=null", "training.threads=1", "training.early_stopping=null")
NET, LSTM = "conv-net-momentum", "row-lstm-momentum"


@dataclass
class Comparison:
    """A comparison that was carried out: its folder, plan, analysis and events."""

    folder: Path
    plan: Plan
    analysis: dict[str, Any]
    events: list[Progress]

    @property
    def done(self) -> list[Done]:
        return [event for event in self.events if isinstance(event, Done)]


def question(**changes: Any) -> Question:
    """Return a question about two small recipes on digits."""
    settings = (*TINY, "data.train_size=200")
    return Question(**{"recipes": (NET, LSTM), "settings": settings, "seeds": 2, "measure": False, **changes})


def written(folder: Path, asked: Question) -> Plan:
    """Keep the plan of a question in a folder without a dry run, and return it."""
    recipes: list[Recipe] = [zoo.resolve(name, *asked.settings, data=asked.data) for name in asked.recipes]
    contestants = [Contestant(name=r.name, family=plans.family(r)) for r in recipes]
    variants: dict[str, dict[str, Variant]] = {}
    folder.mkdir(parents=True, exist_ok=True)
    plans.write_recipes(folder, recipes)
    registry = Registry.load(zoo.catalog, folder / plans.RECIPES)
    for recipe, value in product(recipes, asked.values or (None,)):
        found = plans.varied(registry, recipe.name, asked.vary, value, seed=0)
        digest = fingerprint(found, prepare_data(found).fingerprint)
        counted = Variant(parameters=100, macs=1000, digest=digest, seconds=1.0)
        variants.setdefault(recipe.name, {})[value or ""] = counted
    plan = plans.make(asked, contestants, variants)
    plans.write(folder, plan, recipes)
    return plan


def conducted(folder: Path, asked: Question) -> Comparison:
    """Carry a question out."""
    plan, events = written(folder, asked), list[Progress]()
    return Comparison(folder, plan, conduct(folder, catalog=zoo.catalog, device="cpu", progress=events.append), events)


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Two recipes, two training-set sizes, two seeds, corruptions and a declared effect."""
    asked = question(
        settings=TINY,
        measure=True,
        primary=((NET, LSTM),),
        vary="data.train_size",
        values=("100", "300"),
        corruptions=Corruptions(limit=50, severities=(2,)),
        expect=(Expectation(recipe=NET, value="300", sign="rises", margin=0.01),),
    )
    return conducted(tmp_path_factory.mktemp("comparison"), asked)
