"""When to stop asking for labels, as functions of what the rounds so far have shown."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, pairwise
from statistics import median
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from zoo.errors import ComponentError, UnknownNameError, ZooError

PAIRS = 3  # of rounds whose agreement is averaged, as Bloodgood and Vijay-Shanker have it
WINDOW = 5  # rounds that a slope is measured over
AHEAD = 100  # answers that a gain is estimated for


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """What a round has shown: how many answers there were, and what the rules may ask for.

    `validation` is the accuracy on validation, from 0 to 1; `predictions` are classes, int64 `(s,)`, of the stop set: unlabelled
    samples, the same ones in every round.
    """

    answers: int
    validation: float | None = None
    predictions: NDArray[np.int64] | None = None


class Rule(ABC):
    """When to stop; `needs` names the fields of `Seen` that the rule reads beside `answers`."""

    needs: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def reason(self, history: Sequence[Seen]) -> str | None:
        """Return why to stop after the last of these rounds, in words with figures, or None to go on.

        Raises ComponentError where a round lacks what the rule needs.
        """

    @abstractmethod
    def watched(self, history: Sequence[Seen]) -> float | None:
        """Return the figure that the rule judges these rounds by, None where they are too few; raises what `reason` raises."""


@dataclass(frozen=True, slots=True)
class Labels(Rule):
    """Stops when there are so many answers, those of validation included where they are counted."""

    count: int

    def watched(self, history: Sequence[Seen]) -> float | None:
        """Return the number of answers."""
        return history[-1].answers if history else None

    def reason(self, history: Sequence[Seen]) -> str | None:
        """Return that the budget is spent."""
        if not history or history[-1].answers < self.count:
            return None
        return f"there are {history[-1].answers} answers, and {self.count} were to be asked for"


@dataclass(frozen=True, slots=True)
class Plateau(Rule):
    """Stops when so many rounds in a row are no better on validation than the best before them; a tie is no better."""

    needs: ClassVar[frozenset[str]] = frozenset({"validation"})
    rounds: int = 5

    def watched(self, history: Sequence[Seen]) -> int | None:
        """Return how many rounds ago the best one was."""
        accuracies = _accuracies(history)
        return len(accuracies) - 1 - accuracies.index(max(accuracies)) if accuracies else None

    def reason(self, history: Sequence[Seen]) -> str | None:
        """Return how long ago the best round was."""
        since = self.watched(history)
        if since is None or since < self.rounds:
            return None
        accuracies = _accuracies(history)
        best = len(accuracies) - 1 - since
        return (
            f"validation accuracy has not risen for {since} rounds: "
            f"{accuracies[best]:.2%} at {history[best].answers} answers is the best"
        )


@dataclass(frozen=True, slots=True)
class Stable(Rule):
    """Stops when predictions on the stop set hardly change: mean kappa of the last three pairs of rounds at least so high.

    Bloodgood and Vijay-Shanker, "A method for stopping active learning based on stabilizing predictions and the need for
    user-adjustable stopping", CoNLL 2009.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"predictions"})
    kappa: float = 0.99

    def watched(self, history: Sequence[Seen]) -> float | None:
        """Return the mean kappa."""
        mean = _mean_kappa(history)
        return None if mean is None else float(mean)

    def reason(self, history: Sequence[Seen]) -> str | None:
        """Return the agreement."""
        mean = _mean_kappa(history)
        if mean is None or mean < Fraction(str(self.kappa)):
            return None
        return (
            f"predictions on {len(_predictions(history[-1]))} samples of the stop set are stable: mean kappa {float(mean):.4f} "
            f"over the last {PAIRS} pairs of rounds, at least {self.kappa:g}"
        )


@dataclass(frozen=True, slots=True)
class Gain(Rule):
    """Stops when 100 further answers promise fewer than so many percentage points of validation accuracy.

    The stopping by a gradient of Laws and Schütze, "Stopping criteria for active learning of named entity recognition", COLING
    2008. The slope is the median over pairs of the last five rounds of the rise in accuracy by that of ln answers (Theil, 1950; Sen,
    "Estimates of the regression coefficient based on Kendall's tau", JASA 1968), which one odd round does not move.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"validation"})
    points: float

    def reason(self, history: Sequence[Seen]) -> str | None:
        """Return the gain to be expected."""
        points = self.watched(history)
        if points is None or points >= self.points:
            return None
        return (
            f"{AHEAD} answers more than {history[-1].answers} promise {points:.2f} percentage points of validation accuracy by the "
            f"slope of the last {WINDOW} rounds, fewer than {self.points:g}"
        )

    def watched(self, history: Sequence[Seen]) -> float | None:
        """Return the percentage points that further answers promise."""
        curve = [(seen.answers, accuracy) for seen, accuracy in zip(history, _accuracies(history), strict=True)]
        curve = [(answers, accuracy) for answers, accuracy in curve if answers > 0][-WINDOW:]
        slope = _slope(curve)
        if len(curve) < WINDOW or slope is None:
            return None
        return 100 * slope * math.log1p(AHEAD / curve[-1][0])


def _mean_kappa(history: Sequence[Seen]) -> Fraction | None:
    if len(history) <= PAIRS:
        return None
    last = [_predictions(seen) for seen in history[-PAIRS - 1 :]]
    return sum((kappa(before, after) for before, after in pairwise(last)), Fraction()) / PAIRS


def _slope(curve: Sequence[tuple[int, float]]) -> float | None:
    """Return the median rise in accuracy by ln answers over all pairs of rounds that differ in answers, or None without any."""
    slopes = [(b[1] - a[1]) / math.log(b[0] / a[0]) for a, b in combinations(curve, 2) if a[0] != b[0]]
    return median(slopes) if slopes else None


def kappa(a: NDArray[np.int64], b: NDArray[np.int64]) -> Fraction:
    """Return Cohen's kappa of two predictions of the same samples, (p_o - p_e) / (1 - p_e), from -1 to 1, without rounding.

    Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 1960. Where both predict
    one class alone, the same, it is 1. Raises ComponentError for no samples and for two numbers of them.
    """
    if len(a) != len(b) or not len(a):
        raise ComponentError(
            f"the stop set must have the same samples in every round, at least one, got {len(a)} and {len(b)} instead"
        )
    classes = max(int(a.max()), int(b.max())) + 1
    square = len(a) ** 2
    agreed = len(a) * int((a == b).sum())
    chance = int(np.bincount(a, minlength=classes) @ np.bincount(b, minlength=classes))
    return Fraction(1) if chance == square else Fraction(agreed - chance, square - chance)


def _accuracies(history: Sequence[Seen]) -> list[float]:
    found = [seen.validation for seen in history]
    known = [accuracy for accuracy in found if accuracy is not None and math.isfinite(accuracy)]
    if len(known) != len(found):
        raise ComponentError(f"{len(found) - len(known)} of {len(found)} rounds have no validation accuracy")
    return known


def _predictions(seen: Seen) -> NDArray[np.int64]:
    if seen.predictions is None:
        raise ComponentError(f"the round of {seen.answers} answers has no predictions on the stop set")
    return seen.predictions


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """How a rule is written: a number of this kind above `above` and up to `upto`, and one that goes without saying."""

    build: Callable[..., Rule]
    kind: type[int] | type[float]
    possible: str
    hint: str
    above: float = 0
    upto: float = math.inf
    default: float | None = None

    def number(self, text: str) -> float | None:
        """Return the number, or None for what is none or lies outside."""
        try:
            number = self.kind(text)
        except ValueError:
            return None
        return number if self.above < number <= self.upto else None


_FORMS = {
    "labels": _Form(
        build=Labels, kind=int, possible="labels=COUNT, a number of answers from 1 on", hint="labels=500"
    ),
    "plateau": _Form(
        build=Plateau, kind=int, default=5, possible="plateau or plateau=ROUNDS, from 1 on", hint="plateau=5"
    ),
    "stable": _Form(
        build=Stable, kind=float, upto=1, default=0.99, possible="stable or stable=KAPPA, above 0 and up to 1", hint="stable=0.99"
    ),
    "gain": _Form(
        build=Gain, kind=float, upto=100, possible="gain=POINTS, percentage points above 0 and up to 100", hint="gain=0.5"
    ),
}  # fmt: skip


def parse(text: str) -> Rule:
    """Return the rule that `labels=500`, `plateau[=5]`, `stable[=0.99]` or `gain=0.5` names.

    Raises ZooError for other names, and for a number that is missing, is none, or lies outside of what is possible.
    """
    name, given, value = text.strip().partition("=")
    form = _FORMS.get(name)
    if form is None:
        raise UnknownNameError("stopping rule", name, _FORMS, hint="plateau=5")
    number = form.number(value) if given else form.default
    if number is None:
        raise ZooError(f"stopping rule {text!r} is not understood", possible=form.possible, hint=form.hint)
    return form.build(number)
