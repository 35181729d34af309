"""From a question to a plan: recipes resolved, brought to one budget, tuned alike, and proven to start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast, get_args

import msgspec

from zoo.comparison import plan as plans
from zoo.comparison.budget import Budget, match, steps_of_seconds
from zoo.comparison.plan import Contestant, Plan, Question
from zoo.comparison.tuning import tuned
from zoo.errors import ZooError
from zoo.evaluation.cost import Task, count
from zoo.plugins import Catalog
from zoo.recipe import Recipe
from zoo.registry import Registry
from zoo.training.dryrun import dry_run

TUNING = "tuning"
LARGER = "-larger"


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A plan that is not written yet, its recipes, and the estimated seconds of each contestant's run at each value."""

    plan: Plan
    recipes: tuple[Recipe, ...]
    seconds: Mapping[tuple[str, str | None], float]

    @property
    def total_seconds(self) -> float:
        """The estimate of all runs one after another; what tuning takes is not in it."""
        return sum(self.seconds.values()) * self.plan.question.seeds


def propose(
    question: Question,
    registry: Registry,
    *,
    folder: Path | None = None,
    device: str = "auto",
    note: Callable[[str], None] = lambda text: None,
) -> Proposal:
    """Return a plan for the question, after a dry run of every recipe at every value, which proves that its runs will start.

    Networks are brought to the question's budget first, training is cut to its seconds, then, with a `folder`, every recipe is
    tuned there with the same number of trials, on validation; without one the recipes stay untuned, for a look at the plan.
    `note` hears what is being done. Raises what resolving, matching, tuning and dry runs raise, and ZooError for recipes that
    cannot be compared.
    """
    asked = [registry.resolve(name, question.settings, data=question.data) for name in question.recipes]
    plans.require_one_protocol(asked)
    _check(question)
    contestants: list[Contestant] = []
    recipes: list[Recipe] = []
    for recipe, larger in _sizes(question, asked):
        note(f"{recipe.name}: size, steps, tuning …")
        task = Task.of(recipe)  # an architecture may need larger images than another
        found, changed = _at_budget(question, recipe, task, 2 if larger else 1)
        found, more = _timed(question, found)
        found = msgspec.structs.replace(found, name=recipe.name + LARGER * larger, notes=())
        if question.trials and folder is not None:
            before, found = (
                found,
                tuned(
                    found,
                    catalog=registry.catalog,
                    folder=folder / TUNING / found.name,
                    trials=question.trials,
                    device=device,
                ),
            )
            more |= _differences(before, found)
        counted = count(found, task)
        contestants.append(
            Contestant(
                name=found.name,
                family=plans.family(found),
                parameters=counted["parameters"],
                macs=counted["macs"],
                changed=changed | more,
                larger=larger,
            )
        )
        recipes.append(found)
    plan = plans.make(question, contestants)
    return Proposal(
        plan=plan, recipes=tuple(recipes), seconds=dict(_proven(plan, recipes, registry.catalog, device, note))
    )


def _check(question: Question) -> None:
    if question.larger and (question.budget is None or question.budget[0] != "macs"):
        raise ZooError(
            "one larger model stands beside ensembles of the same cost: that takes a budget of multiply-accumulates",
            hint="--budget macs=2e6",
        )
    if question.budget is not None and question.budget[0] not in get_args(Budget):
        raise ZooError(
            f"there is no budget of {question.budget[0]}", possible=", ".join((*get_args(Budget), "seconds"))
        )


def _sizes(question: Question, asked: list[Recipe]) -> Iterator[tuple[Recipe, bool]]:
    """Yield each recipe at its size and, where the question asks for it, once more at twice its cost."""
    for recipe in asked:
        yield recipe, False
    if question.larger:
        for recipe in asked:
            yield recipe, True


def _at_budget(question: Question, recipe: Recipe, task: Task, times: int) -> tuple[Recipe, dict[str, Any]]:
    if question.budget is None:
        return recipe, {}
    kind, value = question.budget
    matched = match(recipe, cast(Budget, kind), times * value, task=task)
    return matched.recipe, {f"architecture.{name}": value for name, value in matched.changed.items()}


def _timed(question: Question, recipe: Recipe) -> tuple[Recipe, dict[str, Any]]:
    """Return the recipe with as many steps as take the question's seconds of processor time, measured this once."""
    if question.seconds is None:
        return recipe, {}
    steps = steps_of_seconds(recipe, question.seconds, threads=recipe.training.threads or 1).steps
    training = msgspec.structs.replace(recipe.training, epochs=None, steps=steps)
    return msgspec.structs.replace(recipe, training=training), {"training.steps": steps}


def _differences(before: Recipe, after: Recipe) -> dict[str, Any]:
    """Return the searched settings that tuning gave other values."""
    first, second = before.to_dict(), after.to_dict()
    found = {path: _value(second, path) for path in before.search}
    return {path: value for path, value in found.items() if value != _value(first, path)}


def _value(document: Any, path: str) -> Any:
    for key in path.split("."):
        if isinstance(document, list):
            document = next((item for item in document if item.get("name") == key), {})
        else:
            document = document.get(key)
    return document


def _proven(
    plan: Plan, recipes: list[Recipe], catalog: Catalog, device: str, note: Callable[[str], None]
) -> Iterator[tuple[tuple[str, str | None], float]]:
    """Yield what a run of each contestant at each value will take, after a dry run of it."""
    once = msgspec.structs.replace(plan, question=msgspec.structs.replace(plan.question, seeds=1))
    with TemporaryDirectory() as place:
        plans.write(Path(place), once, recipes)
        for cell in plans.cells(once, Path(place), catalog):
            note(f"{cell.contestant}: dry run …")
            yield (cell.contestant, cell.value), dry_run(cell.recipe, device=device, catalog=catalog).estimated_seconds
