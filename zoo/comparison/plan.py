"""What a comparison will run, fixed before its first run: recipes × values of one setting × seeds, and what it asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from math import comb
from pathlib import Path
from typing import Any, cast

import msgspec

from zoo import storage
from zoo.augmentation import Arrangement
from zoo.comparison.families import MOST_SPLITS, smallest_by_permutation
from zoo.comparison.paired import smallest_after_holm
from zoo.comparison.question import Corruptions, Question
from zoo.components import ArchitectureSpec
from zoo.errors import RunError, ZooError
from zoo.plugins import Catalog
from zoo.recipe import Recipe
from zoo.registry import Registry, recipe_document
from zoo.settings import absolute_paths
from zoo.training.distillation import pinned
from zoo.training.run import now

PLAN, RECIPES, LOCK = "plan.json", "recipes.yaml", ".lock"
CNN, RNN = "cnn", "rnn"
ARRANGEMENT, NONE = "data.arrangement", "null"


class Contestant(msgspec.Struct, frozen=True, kw_only=True):
    """One recipe of a comparison: its name, and its architecture's family.

    `changed` are the settings that a budget or tuning gave other values than the recipe's. A `larger` one stands beside
    ensembles of two of the others, as one model of their cost, and in no other comparison.
    """

    name: str
    family: str
    changed: dict[str, Any] = {}
    larger: bool = False


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """A contestant at one value of the varied setting: what its network counts there, the digest of its recipe and data but the
    seed, and the seconds that a run of it is estimated to take."""

    parameters: int
    macs: int
    digest: str
    seconds: float


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A question with what was worked out for it: the contestants at each value, the declared pairs, and the smallest p of the
    exact test of each after Holm.

    `variants` are by contestant and value, the empty text where no setting is varied; `asked` are digests of the recipes as the
    question found them.
    """

    version: int = 1
    created: str
    question: Question
    contestants: tuple[Contestant, ...]
    variants: dict[str, dict[str, Variant]] = {}
    asked: tuple[str, ...] = ()
    primary: tuple[tuple[str, str], ...]
    smallest: tuple[float, ...]

    def variant(self, contestant: str, value: str | None) -> Variant:
        """Return the contestant at a value."""
        return self.variants[contestant][value or ""]

    @property
    def comparisons(self) -> int:
        """How many comparisons are declared, for which p-values are corrected."""
        return len(self.primary) * len(self.values)

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
    """One run of a plan: a contestant, a value of the varied setting, a seed, its recipe, the digest of all but the seed, and what
    its model is tested on besides test."""

    contestant: str
    value: str | None
    seed: int
    recipe: Recipe
    digest: str
    corruptions: Corruptions | None = None
    arrangements: tuple[Arrangement, ...] = ()

    def folder(self, store: Path) -> Path:
        """Return where the run is kept: under a name that no other recipe or data has, so that comparisons share runs."""
        return store / f"{self.recipe.name.replace('/', '-')}-{self.seed}-{self.digest[:12]}"


def write(folder: Path, plan: Plan, recipes: Sequence[Recipe]) -> None:
    """Keep a plan and its recipes in the comparison's folder."""
    storage.make_folder(folder)
    write_recipes(folder, recipes)
    storage.write_json(folder / PLAN, msgspec.to_builtins(plan))


def write_recipes(folder: Path, recipes: Sequence[Recipe]) -> None:
    """Keep recipes in a folder as a registry file, paths made absolute."""
    storage.write_text(folder / RECIPES, recipe_document(*(pinned(absolute_paths(recipe)) for recipe in recipes)))


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


def require_same(folder: Path, plan: Plan, question: Question, asked: Sequence[str]) -> None:
    """Raise RunError, naming what differs, where a plan was made for another question or other recipes; `asked` as in the plan."""
    now_asked, made = msgspec.to_builtins(question), msgspec.to_builtins(plan.question)
    differing = [
        f"{key} was {_told(key, made[key])}, now {_told(key, now_asked[key])}"
        for key in made
        if made[key] != now_asked[key]
    ]
    if not differing:
        names = zip(question.recipes, plan.asked, asked, strict=True)
        differing = [f"recipe {name} or its data is not what it was" for name, before, now in names if before != now]
    if differing:
        raise RunError(
            f"{folder} holds another comparison: {'; '.join(differing)}",
            possible=f"zoo compare --run {folder} goes on with it as it is",
            hint=f"another --run DIR; --store {folder / plan.question.store} reuses finished runs",
        )


def _told(key: str, value: Any) -> str:
    return f"{100 * value:g} points" if key == "margin" else str(value)


def make(
    question: Question,
    contestants: Sequence[Contestant],
    variants: dict[str, dict[str, Variant]],
    asked: Sequence[str] = (),
) -> Plan:
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
    sizes = Counter(contestant.family for contestant in members)
    if any(comb(sizes[a] + sizes[b], sizes[a]) > MOST_SPLITS for a, b in primary):
        raise ZooError(
            f"two families have more than {MOST_SPLITS:,} splits of their architectures, too many for an exact test",
            hint="--primary RECIPE,RECIPE, or fewer recipes",
        )
    plan = Plan(
        created=now(),
        question=question,
        contestants=tuple(contestants),
        variants=variants,
        asked=tuple(asked),
        primary=tuple(primary),
        smallest=(),
    )
    return msgspec.structs.replace(plan, smallest=_smallest(plan))


def cells(plan: Plan, folder: Path, catalog: Catalog) -> Iterator[Cell]:
    """Yield every run of the plan, all contestants of a seed together, so that what is finished can be paired."""
    registry = Registry.load(catalog, folder / RECIPES)
    for seed, value, contestant in product(plan.seeds, plan.values, plan.contestants):
        yield Cell(
            contestant=contestant.name,
            value=value,
            seed=seed,
            recipe=varied(registry, contestant.name, plan.question.vary, value, seed),
            digest=plan.variant(contestant.name, value).digest,
            corruptions=plan.question.corruptions,
            arrangements=plan.arrangements(value),
        )


def varied(registry: Registry, name: str, setting: str | None, value: str | None, seed: int) -> Recipe:
    """Return a recipe of the registry with a seed and a value of the varied setting."""
    settings = [f"training.seed={seed}"] + ([f"{setting}={value}"] if value is not None else [])
    return msgspec.structs.replace(registry.resolve(name, settings), notes=())


def _smallest(plan: Plan) -> tuple[float, ...]:
    """Return the smallest p that each declared pair can reach, of recipes by their seeds, of families by their members."""
    sizes = {family: len(members) for family, members in plan.families.items()}
    return tuple(
        min(1.0, plan.comparisons * smallest_by_permutation(sizes[a], sizes[b]))
        if a in sizes and b in sizes
        else smallest_after_holm(plan.question.seeds, plan.comparisons)
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
