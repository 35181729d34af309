"""From a question to a plan: recipes resolved, brought to one budget, tuned alike, and proven to start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast, get_args

import msgspec

from zoo.comparison import plan as plans
from zoo.comparison.budget import TOLERANCE, Budget, match, steps_of_seconds
from zoo.comparison.identity import fingerprint
from zoo.comparison.plan import Contestant, Plan, Variant
from zoo.comparison.question import Question
from zoo.comparison.trials import Trial, settings
from zoo.comparison.tuning import nothing_complete, tune
from zoo.errors import ZooError
from zoo.evaluation.cost import Task, count
from zoo.plugins import Catalog
from zoo.recipe import Recipe
from zoo.registry import Registry
from zoo.settings import absolute_paths
from zoo.training.distillation import pinned
from zoo.training.dryrun import DryRun, dry_run
from zoo.training.reading import prepare_data

LARGER = "-larger"


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A plan that is not written yet, and its recipes."""

    plan: Plan
    recipes: tuple[Recipe, ...]


def propose(
    question: Question, registry: Registry, *, device: str = "auto", note: Callable[[str], None] = lambda text: None
) -> Proposal:
    """Return the plan for the question with untuned recipes, for a look at it; raises what `draft` and `prove` raise."""
    return prove(draft(question, registry, note=note), registry.catalog, device=device, note=note)


def draft(question: Question, registry: Registry, *, note: Callable[[str], None] = lambda text: None) -> Proposal:
    """Return the question's recipes at its budget, training cut to its seconds, as a plan that does not say yet what they cost.

    `note` hears what is being done. Raises what resolving and matching raise, and ZooError for recipes that cannot be compared.
    """
    asked = resolved(question, registry)
    plans.require_one_protocol(asked)
    _check(question)
    contestants: list[Contestant] = []
    recipes: list[Recipe] = []
    for recipe, larger in _sizes(question, asked):
        if question.budget or question.seconds:
            note(f"{recipe.name}: size and steps …")
        found, changed = _at_budget(question, recipe, 2 if larger else 1)
        found, steps = _timed(question, found)
        found = msgspec.structs.replace(found, name=recipe.name + LARGER * larger, notes=())
        contestants.append(
            Contestant(name=found.name, family=plans.family(found), changed=changed | steps, larger=larger)
        )
        recipes.append(found)
    plan = plans.make(question, contestants, {}, digests(question, registry))
    return Proposal(plan=plan, recipes=tuple(recipes))


def tune_all(
    folder: Path,
    catalog: Catalog,
    *,
    device: str = "auto",
    note: Callable[[str], None] = lambda text: None,
) -> Proposal:
    """Return the draft that is kept in `folder` with every recipe tuned by the question's trials on validation, in one study each.

    The question's settings of trials are those of the trials alone. Trials that ended are not repeated, and processes that do
    the same share them. Raises what `tune` raises, and ZooError where no trial of a recipe is complete.
    """
    drafted, registry = plans.read(folder), Registry.load(catalog, folder / plans.RECIPES)
    question = drafted.question
    recipes, contestants = [], []
    for contestant in drafted.contestants:
        name = contestant.name
        heard = partial(_trial_told, note, name, question.trials)
        tried = registry.resolve(name, question.trial_settings)
        found = tune(tried, catalog=catalog, run=folder / name, trials=question.trials, device=device, on_trial=heard)
        if found.best is None:
            raise nothing_complete(found)
        recipe = registry.resolve(name)
        best = registry.resolve(name, settings(recipe, found.best.parameters))
        recipes.append(msgspec.structs.replace(best, notes=()))
        changed = contestant.changed | _differences(recipe, best)
        contestants.append(msgspec.structs.replace(contestant, changed=changed))
    plan = msgspec.structs.replace(drafted, contestants=tuple(contestants))
    return Proposal(plan=plan, recipes=tuple(recipes))


def _trial_told(note: Callable[[str], None], name: str, trials: int, trial: Trial) -> None:
    figure = trial.state if trial.value is None else f"{trial.value:.4g} on validation"
    note(f"{name}: trial {trial.number + 1} of {trials}, {figure}")


def prove(
    proposal: Proposal, catalog: Catalog, *, device: str = "auto", note: Callable[[str], None] = lambda text: None
) -> Proposal:
    """Return the proposal with what its networks cost, after a dry run of every recipe at every value, which proves that its runs
    will start. Raises what dry runs raise, and ZooError for values that cannot be compared."""
    question, contestants = proposal.plan.question, proposal.plan.contestants
    variants = _proven(question, proposal.recipes, catalog, device, note)
    _require_budget(question, contestants, variants)
    return Proposal(plan=msgspec.structs.replace(proposal.plan, variants=variants), recipes=proposal.recipes)


def resolved(question: Question, registry: Registry) -> list[Recipe]:
    """Return the question's recipes as the registry has them."""
    return [registry.resolve(name, question.settings, data=question.data) for name in question.recipes]


def digests(question: Question, registry: Registry) -> list[str]:
    """Return a digest of each recipe as it is asked for, by which a change of registry or data is noticed."""
    found = (pinned(absolute_paths(recipe)) for recipe in resolved(question, registry))
    return [fingerprint(recipe, prepare_data(recipe).fingerprint) for recipe in found]


def _check(question: Question) -> None:
    _require_free(question, "training.seed", "each recipe is trained with every seed", "--seeds 6")
    if question.seconds is not None:
        for setting in ("training.epochs", "training.steps"):
            _require_free(question, setting, "seconds of processor time say how long training is", "leave it out")
    if question.larger and (question.budget is None or question.budget[0] != "macs"):
        raise ZooError(
            "one larger model stands beside ensembles of the same cost: that takes a budget of multiply-accumulates",
            hint="--budget macs=2e6",
        )
    if question.budget is not None and question.budget[0] not in get_args(Budget):
        raise ZooError(
            f"there is no budget of {question.budget[0]}", possible=", ".join((*get_args(Budget), "seconds"))
        )


def _require_free(question: Question, setting: str, why: str, hint: str) -> None:
    """Raise ZooError where the question sets or varies what the comparison itself sets."""
    for given in (*question.settings, *([f"{question.vary}=…"] if question.vary else [])):
        if given.partition("=")[0] == setting and given != f"{setting}=null":
            raise ZooError(f"{given} cannot be set here: {why}", hint=hint)


def _sizes(question: Question, asked: list[Recipe]) -> Iterator[tuple[Recipe, bool]]:
    """Yield each recipe at its size and, where the question asks for it, once more at twice its cost."""
    for recipe in asked:
        yield recipe, False
    if question.larger:
        for recipe in asked:
            yield recipe, True


def _at_budget(question: Question, recipe: Recipe, times: int) -> tuple[Recipe, dict[str, Any]]:
    if question.budget is None:
        return recipe, {}
    kind, value = question.budget
    matched = match(recipe, cast(Budget, kind), times * value)
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
    question: Question, recipes: Sequence[Recipe], catalog: Catalog, device: str, note: Callable[[str], None]
) -> dict[str, dict[str, Variant]]:
    """Return each contestant at each value, after a dry run; raises ZooError where they cannot be tested alike."""
    variants: dict[str, dict[str, Variant]] = {}
    first: DryRun | None = None
    with TemporaryDirectory() as place:
        plans.write_recipes(Path(place), recipes)
        registry = Registry.load(catalog, Path(place) / plans.RECIPES)
        for recipe, value in product(recipes, question.values or (None,)):
            note(f"{recipe.name}: dry run …")
            found = plans.varied(registry, recipe.name, question.vary, value, seed=0)
            proof = dry_run(found, device=device, catalog=catalog)
            first = first or proof
            _require_one_test(first, proof, value)
            counted = count(found, Task(proof.image, len(proof.classes)))
            variants.setdefault(recipe.name, {})[value or ""] = Variant(
                parameters=counted["parameters"],
                macs=counted["macs"],
                digest=fingerprint(found, proof.data),
                seconds=proof.estimated_seconds,
            )
    return variants


def _require_one_test(first: DryRun, other: DryRun, value: str | None) -> None:
    """Raise ZooError unless both have a test split of the same samples and the same classes."""
    at = "" if value is None else f" at {value}"
    if "test" not in other.sizes:
        raise ZooError(f"the data of {other.recipe}{at} has no test split", hint="data.test_fraction=0.2")
    if first.classes != other.classes or first.test != other.test:
        raise ZooError(
            f"{other.recipe}{at} is tested on other samples or classes than {first.recipe}",
            possible="a varied setting that leaves the test split as it is",
            hint="one comparison for each value",
        )


def _require_budget(
    question: Question, contestants: Sequence[Contestant], variants: dict[str, dict[str, Variant]]
) -> None:
    """Raise ZooError where the varied setting takes a network off its budget."""
    if question.budget is None:
        return
    kind, value = question.budget
    for contestant in contestants:
        wanted = value * (2 if contestant.larger else 1)
        for at, variant in variants[contestant.name].items():
            if abs(getattr(variant, kind) / wanted - 1) > TOLERANCE:
                raise ZooError(
                    f"{question.vary}={at} takes {contestant.name} off its budget: {getattr(variant, kind):,} {kind}",
                    possible="a varied setting that leaves the network as it is",
                    hint="one comparison for each value",
                )
