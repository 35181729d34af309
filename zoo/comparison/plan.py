"""What a comparison will run, fixed before its first run: recipes × values of one setting × seeds, and what it asks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec

from zoo import storage
from zoo.augmentation import Arrangement
from zoo.comparison.families import smallest_by_permutation
from zoo.comparison.paired import smallest_after_holm
from zoo.components import ArchitectureSpec
from zoo.errors import RunError, ZooError
from zoo.plugins import Catalog
from zoo.recipe import Recipe
from zoo.registry import Registry, recipe_document
from zoo.settings import absolute_paths
from zoo.training.distillation import pinned
from zoo.training.run import now

PLAN, RECIPES = "plan.json", "recipes.yaml"
CNN, RNN = "cnn", "rnn"
ARRANGEMENT, NONE = "data.arrangement", "null"
# What a run's figures do not depend on.
_BESIDES = ("acquisition", "search", "target")


class Contestant(msgspec.Struct, frozen=True, kw_only=True):
    """One recipe of a comparison: its name, its architecture's family, and what its network costs for one image.

    `changed` are the settings that a budget or tuning gave other values than the recipe's. A `larger` one stands beside
    ensembles of two of the others, as one model of their cost, and in no other comparison.
    """

    name: str
    family: str
    parameters: int
    macs: int
    changed: dict[str, Any] = {}
    larger: bool = False


class Corruptions(msgspec.Struct, frozen=True, kw_only=True):
    """Corruptions under which every model is tested: `limit` samples, a stratified choice that is the same for all."""

    limit: int | None = None
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """What is declared beforehand of one recipe at one value of the varied setting, against the first value.

    `sign` is `falls`, `rises` or `equivalent`; `margin`, a proportion, is the least change wanted or the largest allowed.
    """

    recipe: str
    value: str
    sign: str
    margin: float


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, as it was asked: a plan is gone on with only for the same question."""

    recipes: tuple[str, ...]
    settings: tuple[str, ...] = ()
    data: str | None = None
    seeds: Annotated[int, msgspec.Meta(ge=1)] = 6
    vary: str | None = None
    values: tuple[str, ...] = ()
    primary: tuple[tuple[str, str], ...] = ()
    expect: tuple[Expectation, ...] = ()
    corruptions: Corruptions | None = None
    budget: tuple[str, float] | None = None
    seconds: float | None = None
    trials: int = 0
    larger: bool = False
    measure: bool = True
    margin: float = 0.005
    level: float = 0.95
    store: str = "runs"  # of the runs; beside the plan where it is relative


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A question with what was worked out for it: the contestants, the declared pairs, and the smallest p of each after Holm."""

    version: int = 1
    created: str
    question: Question
    contestants: tuple[Contestant, ...]
    primary: tuple[tuple[str, str], ...]
    smallest: tuple[float, ...]

    @property
    def seeds(self) -> range:
        return range(self.question.seeds)

    @property
    def runs(self) -> int:
        """How many runs the plan has."""
        return len(self.seeds) * len(self.values) * len(self.contestants)

    @property
    def values(self) -> tuple[str | None, ...]:
        """The values of the varied setting, or one None where none is varied."""
        return self.question.values or (None,)

    def arrangements(self, value: str | None) -> tuple[Arrangement, ...]:
        """Return the arrangements of pixels that models trained without one are tested under as well."""
        varied = self.question.vary == ARRANGEMENT and value == NONE
        return tuple(cast(Arrangement, other) for other in self.question.values if other != NONE) if varied else ()

    @property
    def members(self) -> tuple[Contestant, ...]:
        """The contestants that are compared with one another."""
        return tuple(contestant for contestant in self.contestants if not contestant.larger)

    @property
    def families(self) -> dict[str, tuple[str, ...]]:
        """The members' names by family, in order."""
        names: dict[str, list[str]] = {}
        for contestant in self.members:
            names.setdefault(contestant.family, []).append(contestant.name)
        return {family: tuple(members) for family, members in names.items()}


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a plan: a contestant, a value of the varied setting, a seed, its recipe, and what its model is tested on
    besides test."""

    contestant: str
    value: str | None
    seed: int
    recipe: Recipe
    corruptions: Corruptions | None = None
    arrangements: tuple[Arrangement, ...] = ()

    def folder(self, store: Path) -> Path:
        """Return where the run is kept: under a name that no other recipe has, so that comparisons share runs."""
        return store / f"{self.recipe.name.replace('/', '-')}-{self.seed}-{fingerprint(self.recipe)[:8]}"


def fingerprint(recipe: Recipe) -> str:
    """Return a digest of everything in the recipe that decides what a run gives."""
    document = {key: value for key, value in recipe.to_dict().items() if key not in _BESIDES}
    return hashlib.blake2b(json.dumps(document, sort_keys=True).encode(), digest_size=16).hexdigest()


def write(folder: Path, plan: Plan, recipes: Sequence[Recipe]) -> None:
    """Keep a plan and its recipes in the comparison's folder."""
    storage.make_folder(folder)
    storage.write_text(folder / RECIPES, recipe_document(*(pinned(absolute_paths(recipe)) for recipe in recipes)))
    storage.write_json(folder / PLAN, msgspec.to_builtins(plan))


def read(folder: Path) -> Plan:
    """Return the plan of a comparison's folder. Raises RunError where there is none, or it is damaged."""
    try:
        return msgspec.json.decode((folder / PLAN).read_bytes(), type=Plan)
    except FileNotFoundError:
        raise RunError(
            f"{folder} is not a comparison: it has no {PLAN}", hint=f"zoo compare RECIPE RECIPE --run {folder}"
        ) from None
    except msgspec.MsgspecError as error:
        raise RunError(f"{folder / PLAN} is damaged: {error}") from error


def require_same(folder: Path, plan: Plan, question: Question) -> None:
    """Raise RunError, naming what differs, where a plan was made for another question."""
    asked, made = msgspec.to_builtins(question), msgspec.to_builtins(plan.question)
    if differing := [f"{key} was {made[key]}, now {asked[key]}" for key in made if made[key] != asked[key]]:
        raise RunError(
            f"{folder} holds another comparison: {'; '.join(differing)}",
            possible=f"zoo compare --run {folder} goes on with it as it is",
            hint="another --run DIR",
        )


def make(question: Question, contestants: Sequence[Contestant]) -> Plan:
    """Return the plan for a question whose contestants are known.

    Raises ZooError for fewer than two recipes (one, where a setting is varied), and for a declared pair that names neither two
    of them nor two of their families.
    """
    members = [contestant for contestant in contestants if not contestant.larger]
    if len(members) < (1 if question.values else 2):
        raise ZooError("a comparison needs two recipes", hint="zoo compare RECIPE RECIPE --run DIR")
    primary = question.primary or (() if question.expect else _default_pairs(members))
    names, families = ({getattr(c, part) for c in members} for part in ("name", "family"))
    for pair in primary:
        if not (set(pair) <= names or set(pair) <= families):
            raise ZooError(
                f"'{pair[0]}' and '{pair[1]}' are neither two recipes of the comparison nor two families of them",
                possible=f"recipes {', '.join(sorted(names))}; families {', '.join(sorted(families))}",
            )
    plan = Plan(created=now(), question=question, contestants=tuple(contestants), primary=tuple(primary), smallest=())
    return msgspec.structs.replace(plan, smallest=_smallest(plan))


def cells(plan: Plan, folder: Path, catalog: Catalog) -> Iterator[Cell]:
    """Yield every run of the plan, all contestants of a seed together, so that what is finished can be paired."""
    registry = Registry.load(catalog, folder / RECIPES)
    for seed, value, contestant in product(plan.seeds, plan.values, plan.contestants):
        settings = [f"training.seed={seed}"] + ([f"{plan.question.vary}={value}"] if value is not None else [])
        recipe = msgspec.structs.replace(registry.resolve(contestant.name, settings), notes=())
        yield Cell(
            contestant=contestant.name,
            value=value,
            seed=seed,
            recipe=recipe,
            corruptions=plan.question.corruptions,
            arrangements=plan.arrangements(value),
        )


def _smallest(plan: Plan) -> tuple[float, ...]:
    """Return the smallest p that each declared pair can reach, of recipes by their seeds, of families by their members."""
    comparisons = len(plan.primary) * len(plan.values)
    sizes = {family: len(members) for family, members in plan.families.items()}
    return tuple(
        min(1.0, comparisons * smallest_by_permutation(sizes[a], sizes[b]))
        if a in sizes and b in sizes
        else smallest_after_holm(plan.question.seeds, comparisons)
        for a, b in plan.primary
    )


def family(recipe: Recipe) -> str:
    """Return the family of a recipe's architecture."""
    spec = recipe.architecture.spec
    assert isinstance(spec, ArchitectureSpec)
    return spec.facts(recipe.architecture.params).family


def require_one_protocol(recipes: Sequence[Recipe]) -> None:
    """Raise ZooError, naming what differs, where recipes do not see the same samples in the same splits."""
    first, *rest = (_protocol(recipe) for recipe in recipes)
    for recipe, other in zip(recipes[1:], rest, strict=True):
        keys = dict.fromkeys((*first, *other))
        if differing := [f"{key} is {a} and {b}" for key in keys if (a := first.get(key)) != (b := other.get(key))]:
            raise ZooError(
                f"{recipes[0].name} and {recipe.name} do not share their data: {'; '.join(f'data.{each}' for each in differing)}",
                possible="recipes that differ in anything but their samples and splits",
                hint="give the data to all: --data PATH|SOURCE, or data.KEY=VALUE",
            )


def _protocol(recipe: Recipe) -> dict[str, Any]:
    data = recipe.to_dict()["data"]
    free = ("image_size", "normalization", "workers", "memory_limit")
    return {key: value for key, value in data.items() if key not in free}


def _default_pairs(contestants: Sequence[Contestant]) -> tuple[tuple[str, str], ...]:
    """Return what is declared where nothing is: the one pair of two recipes, else convolutional against recurrent."""
    if len(contestants) == 2:
        return ((contestants[0].name, contestants[1].name),)
    families = {contestant.family for contestant in contestants}
    return ((CNN, RNN),) if {CNN, RNN} <= families else ()
