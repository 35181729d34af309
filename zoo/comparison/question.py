"""What is asked of a comparison, in plain values: two questions are the same when all of these are."""

from __future__ import annotations

from typing import Annotated

import msgspec

from zoo.errors import ZooError


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
    """Recipes to be compared on the same data, splits and seeds, and what is declared of them before the first run.

    `settings` are strings like `training.epochs=8`; `vary` is a setting that is given each of `values` in turn, and `expect` says
    what that does. `primary` are the declared pairs of recipes or families. `budget` brings all networks to one size, like
    `("macs", 2e6)`, `seconds` all trainings to one processor time, `trials` tunes each recipe first, with
    `trial_settings` for these alone; `larger` adds models of twice the size beside ensembles of two, `measure` latency and
    throughput. `margin` is the difference, a proportion, up to which two
    accuracies are equivalent; runs are kept in the folder `store`, beside the plan where it is relative.
    """

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
    trial_settings: tuple[str, ...] = ()
    larger: bool = False
    measure: bool = True
    margin: float = 0.005
    level: float = 0.95
    store: str = "runs"

    def __post_init__(self) -> None:
        """Raise ZooError where something is named twice, or paired with itself."""
        for what, names in (("recipe", self.recipes), ("value", self.values), ("pair", self.primary)):
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise ZooError(f"{what} {twice} is named twice", hint="name each once")
        if alone := next((pair for pair in self.primary if pair[0] == pair[1]), None):
            raise ZooError(f"the pair {alone[0]}, {alone[1]} compares one thing with itself", hint="--primary A,B")

    def command(self, folder: str) -> list[str]:
        """Return the words of `zoo compare` that ask this in another folder."""
        words = ["zoo", "compare", *self.recipes, *self.settings, "--run", folder, "--seeds", str(self.seeds)]
        words += ["--data", self.data] if self.data else []
        words += ["--vary", f"{self.vary}={','.join(self.values)}"] if self.vary else []
        words += [word for a, b in self.primary for word in ("--primary", f"{a},{b}")]
        for each in self.expect:
            words += ["--expect", f"{each.recipe}@{each.value}={each.sign}:{100 * each.margin:g}"]
        if self.corruptions:
            limit = self.corruptions.limit
            words += ["--corruptions", *(["--limit", str(limit)] if limit else [])]
            words += [word for severity in self.corruptions.severities for word in ("--severity", str(severity))]
        words += ["--budget", f"{self.budget[0]}={self.budget[1]:g}"] if self.budget else []
        words += ["--budget", f"seconds={self.seconds:g}"] if self.seconds else []
        words += ["--tune", str(self.trials)] if self.trials else []
        words += [word for setting in self.trial_settings for word in ("--tune-with", setting)]
        words += ["--larger"] if self.larger else []
        words += [] if self.measure else ["--no-measure"]
        return [*words, "--margin", f"{100 * self.margin:g}"]
