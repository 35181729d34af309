"""What is asked of simulations, and what was worked out for it before the first of them began."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec

from zoo import storage
from zoo.comparison.identity import fingerprint
from zoo.comparison.paired import MOST_PAIRS, smallest_after_holm
from zoo.comparison.plan import RECIPES, write_recipes
from zoo.components import Component
from zoo.errors import RunError, ZooError
from zoo.nesting import inner
from zoo.plugins import Catalog
from zoo.recipe import Recipe, plain
from zoo.registry import Registry
from zoo.rounds import Active
from zoo.training.run import now

PLAN, CONTROL = "plan.json", "random"


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe whose `active` block says what is simulated; `settings` are strings like `active.rounds=50`.

    `primary` are the pairs of strategies declared beforehand, where none are each of them against random.
    """

    recipe: str
    settings: tuple[str, ...] = ()
    data: str | None = None
    seeds: Annotated[int, msgspec.Meta(ge=1)] = 6
    primary: tuple[tuple[str, str], ...] = ()
    level: float = 0.95

    def command(self, folder: str) -> list[str]:
        """Return the words of `zoo active` that ask this in another folder."""
        words = ["zoo", "active", self.recipe, *self.settings, "--run", folder, "--seeds", str(self.seeds)]
        words += ["--data", self.data] if self.data else []
        return [*words, *(word for a, b in self.primary for word in ("--primary", f"{a},{b}"))]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A question with the names of its strategies, the declared pairs, the smallest p that the exact test of each can give after
    Holm, none where there are too many seeds for it, and how labels are counted.

    `digest` stands for the recipe, its data and the versions that compute; `items` are the images of test.
    """

    version: int = 1
    created: str
    question: Question
    strategies: tuple[str, ...]
    primary: tuple[tuple[str, str], ...]
    smallest: tuple[float, ...]
    level: float
    metric: str
    smooth: int
    targets: tuple[float, ...]
    counting: str
    work: str
    notes: tuple[str, ...]
    digest: str
    items: int
    pool: int


@dataclass(frozen=True)
class Cell:
    """One simulation of a plan: the recipe has its strategy as acquisition."""

    strategy: str
    seed: int
    recipe: Recipe

    @property
    def component(self) -> Component[Any]:
        assert self.recipe.acquisition is not None
        return self.recipe.acquisition

    def folder(self, plan: Path) -> Path:
        """Return where the simulation is kept."""
        return plan / f"{self.strategy}-{self.seed}"


def strategies(recipe: Recipe) -> dict[str, Component[Any]]:
    """Return the strategies of a recipe by the names that they go by, without the control.

    Raises ZooError where there is none.
    """
    assert recipe.active is not None
    found = list(recipe.active.strategies) or ([recipe.acquisition] if recipe.acquisition is not None else [])
    if not found:
        raise ZooError(f"recipe {recipe.name} names no strategy", hint="--strategy margin")
    names = [_name(component) for component in found]
    for name, times in Counter(names).items():
        if times > 1:
            names = [_full_name(c) if n == name else n for c, n in zip(found, names, strict=True)]
    if len(set(names)) < len(names):
        raise ZooError("a strategy is named twice", hint="name each once")
    others = {name: component for name, component in zip(names, found, strict=True) if name != CONTROL}
    if not others:
        raise ZooError("random is compared with nothing but itself", hint="--strategy margin")
    return others


def cells(recipe: Recipe, plan: Plan, catalog: Catalog) -> Iterator[Cell]:
    """Yield the simulations of a plan, all strategies of one seed after another."""
    found = strategies(recipe)
    for seed in range(plan.question.seeds):
        for name in plan.strategies:
            component = found[name] if name in found else control(catalog)
            yield Cell(name, seed, msgspec.structs.replace(recipe, acquisition=component))


def control(catalog: Catalog) -> Component[Any]:
    """Return the strategy that asks at random."""
    entry = catalog.find("acquisition", CONTROL)
    return Component(entry.spec, entry.name, entry.spec.params(), entry.provenance)


def with_block(recipe: Recipe) -> Recipe:
    """Return the recipe with an `active` block, that of its own or one of defaults."""
    return recipe if recipe.active is not None else msgspec.structs.replace(recipe, active=Active())


def make(
    question: Question, recipe: Recipe, *, data: str, items: int, pool: int, validation: int, notes: Sequence[str]
) -> Plan:
    """Return the plan of a question for its recipe, whose data has this fingerprint and so many samples of each kind."""
    active = recipe.active
    assert active is not None
    names = (*strategies(recipe), CONTROL)
    primary = question.primary or tuple((name, CONTROL) for name in names[:-1])
    for pair in primary:
        if strange := next((name for name in pair if name not in names), None):
            raise ZooError(f"there is no strategy {strange!r} to compare", possible=", ".join(names))
        if len(set(pair)) == 1 or sum(set(pair) == set(other) for other in primary) > 1:
            raise ZooError(
                f"the pair {', '.join(pair)} compares nothing that is not compared already", hint="--primary A,B"
            )
    return Plan(
        created=now(),
        question=question,
        strategies=names,
        primary=primary,
        smallest=_smallest(question.seeds, len(primary)),
        level=question.level,
        metric="mc_accuracy" if active.measure == "dropout-mean" else "accuracy",
        smooth=active.smooth,
        targets=tuple(active.targets),
        counting=_counting(recipe, active, validation),
        work=_work(active, pool, validation if active.validation == "counted" else 0, len(names) * question.seeds),
        notes=tuple(notes),
        digest=digest(recipe, data),
        items=items,
        pool=pool,
    )


def _smallest(seeds: int, pairs: int) -> tuple[float, ...]:
    """Return the smallest p of each pair; nothing for more seeds than all signs can be tried of."""
    return (smallest_after_holm(seeds, pairs),) * pairs if pairs and seeds <= MOST_PAIRS else ()


def digest(recipe: Recipe, data: str) -> str:
    """Return what stands for a recipe with its `active` block, its data and the versions that compute."""
    assert recipe.active is not None
    # The data's fingerprint stands for other images.
    active = msgspec.structs.replace(recipe.active, unknown=None, target_inputs=None)
    asked = [{"name": name, **plain(component.params)} for name, component in strategies(recipe).items()]
    document = msgspec.json.encode([fingerprint(recipe, data), plain(active), asked], order="sorted")
    return hashlib.blake2b(document, digest_size=16).hexdigest()


def write(folder: Path, plan: Plan, recipe: Recipe, others: Sequence[Recipe]) -> None:
    """Keep a plan in a folder, with its recipe and others that it speaks of."""
    storage.make_folder(folder)
    write_recipes(folder, list({each.name: each for each in (*others, recipe)}.values()))
    storage.write_json(folder / PLAN, msgspec.to_builtins(plan))


def read(folder: Path, catalog: Catalog) -> tuple[Plan, Recipe]:
    """Return the plan of a folder and its recipe. Raises RunError where there is none, or it is damaged."""
    try:
        plan = msgspec.json.decode((folder / PLAN).read_bytes(), type=Plan)
    except FileNotFoundError:
        raise RunError(
            f"{folder} has no simulations: there is no {PLAN}", hint=f"zoo active RECIPE --run {folder}"
        ) from None
    except msgspec.MsgspecError as error:
        raise RunError(f"{folder / PLAN} is not a plan of simulations: {error}", hint="another --run DIR") from error
    recipe = Registry.load(catalog, folder / RECIPES).resolve(plan.question.recipe)
    return plan, msgspec.structs.replace(recipe, notes=())


def require_same(folder: Path, plan: Plan, question: Question, now_digest: str) -> None:
    """Raise RunError where a folder's plan is of another question, or its recipe or data has changed."""
    before, after = msgspec.to_builtins(plan.question), msgspec.to_builtins(question)
    differing = [f"{key} was {before[key]}, now {after[key]}" for key in before if before[key] != after[key]]
    if not differing and plan.digest != now_digest:
        differing = ["the recipe, its data, or the versions of zoo and torch are not what they were"]
    if differing:
        raise RunError(
            f"{folder} holds other simulations: {'; '.join(differing)}",
            possible=f"zoo active --resume {folder} goes on with them as they are",
            hint="another --run DIR",
        )


def _counting(recipe: Recipe, active: Active, validation: int) -> str:
    held = {
        "unused": "No label of validation is used: each training ends with its last weights",
        "counted": f"The {validation:,} labels of validation are part of every count",
        "free": f"Weights are chosen on {validation:,} labels of validation, which are not counted",
    }[active.validation]
    unknown = "; an answer that a sample is of no known class counts as one" if has_unknown(recipe) else ""
    wrong = f" {100 * active.noise:g} % of the answers name a wrong class." if active.noise else ""
    seen = f" {100 * active.corrupted:g} % of the pool is seen corrupted." if active.corrupted else ""
    ends = (
        ""
        if active.until_test_error is None
        else f" A simulation ends once its test error is {100 * active.until_test_error:g} % or less, as a replication's may."
    )
    how = " (as many of each class)" if active.initial == "balanced" else ""
    return f"Answers are counted with the {active.init} initial ones{how}{unknown}. {held}.{wrong}{seen}{ends}"


def _work(active: Active, pool: int, counted: int, simulations: int) -> str:
    """Return in words what will be asked and trained, as far as the pool goes; `counted` labels of validation are answers too."""
    left, rounds = pool - active.init, 0
    while rounds < active.rounds and left > 0:
        left -= active.asked(rounds)
        rounds += 1
    answers = counted + pool - max(left, 0)
    steps = "as long as the recipe says" if active.steps is None else f"{active.steps:,} steps"
    short = f", the last of which asks for {active.asked(rounds - 1) + left:,} only," if left < 0 else ""
    used = f"; the pool is used up after {rounds} of {active.rounds} rounds" if rounds < active.rounds else ""
    validation = f", with {counted:,} of validation," if counted else ""
    weights = "that go on with the weights of the round before" if active.start == "warm" else "from new weights"
    return (
        f"{active.init} initial labels{validation} and {rounds} round{'s' * (rounds != 1)}{short} make {answers:,} answers{used};"
        f" {simulations} simulations of {rounds + 1} trainings {weights}, each {steps}{_besides(active)}"
    )


def _besides(active: Active) -> str:
    """Return in words what changes a round: what is chosen from, what ends it early, and what else is tested."""
    told = []
    if active.pool_subset is not None:
        told.append(f"each round chooses from {active.pool_subset:,} samples that are drawn anew")
    if active.stop:
        told.append(f"a simulation ends early by {' or '.join(active.stop)}")
    if active.robustness is not None:
        told.append(f"every model is also tested on {active.robustness:,} test images under corruptions")
    return "".join(f"; {text}" for text in told)


def has_unknown(recipe: Recipe) -> bool:
    """Return whether some of the pool is of no known class."""
    active = recipe.active
    return active is not None and (active.unknown is not None or bool(active.unknown_classes))


def _name(component: Component[Any]) -> str:
    return "-".join([component.name.replace("/", "-"), *map(_name, inner(component).values())])


def _full_name(component: Component[Any]) -> str:
    """Return the name with every parameter that is not the default."""
    default = type(component.params)()
    parts = [component.name.replace("/", "-")]
    for field in component.params.__struct_fields__:
        value = getattr(component.params, field)
        if isinstance(value, Component):
            parts.append(_full_name(value))
        elif value != getattr(default, field):
            listed = value if isinstance(value, (list, tuple)) else [value]
            parts.append(f"{field}-{'+'.join(_full_name(v) if isinstance(v, Component) else str(v) for v in listed)}")
    return re.sub(r"[^A-Za-z0-9.+]+", "-", "-".join(parts)).strip("-")
