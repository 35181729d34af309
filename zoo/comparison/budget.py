"""Recipes at the same budget: of parameters, of multiply-accumulates, or of processor time."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any, Literal

import msgspec
import torch

from zoo.components import ArchitectureSpec, Component
from zoo.errors import ComponentError, ZooError
from zoo.evaluation.cost import Counts, Task, counts, network
from zoo.evaluation.speed import Subject
from zoo.recipe import Recipe
from zoo.settings import with_setting
from zoo.training.device import repeatable
from zoo.training.manifest import environment

Budget = Literal["parameters", "macs"]
TOLERANCE = 0.03
GRID = 100  # values between two whole numbers that a real scale is tried at: recipes stay readable
STEPS = 10  # training steps, at least, that processor time is measured of
_LARGEST = 2**12  # times the recipe's own value, where the schema sets no bound
_RUNGS = 5  # from the recipe's value of a scale to the one that suffices by itself

Point = tuple[int, ...]  # a value of each scale, in its unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """A recipe changed to meet a budget, what it counts now, and by which part of the budget it is off; the scales changed."""

    recipe: Recipe
    parameters: int
    macs: int
    deviation: float
    changed: dict[str, int | float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Training steps that take so many seconds of process-CPU time, the seconds of one, and where they were measured."""

    steps: int
    cpu_seconds_per_step: float
    measured_on: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scale:
    """A parameter that makes an architecture larger; `low`, `high` and `start`, the recipe's value, count `1 / grid`."""

    name: str
    grid: int
    low: int
    high: int
    start: int

    def value(self, point: int) -> int | float:
        """Return the parameter's value."""
        return point if self.grid == 1 else point / self.grid


def match(
    recipe: Recipe, budget: Budget, value: float, *, tolerance: float = TOLERANCE, task: Task | None = None
) -> Matched:
    """Return the recipe with its architecture made as large as the budget says, for its own data or another task.

    The first of the architecture's `scales` alone is changed where that comes within the tolerance, a part of `value`, and makes
    it at most four times as large or small. Otherwise one or two of them, or more where these are not enough, that change least in
    proportion, then most evenly, and then come nearest to the budget. Real scales become multiples of 0.01. Raises ZooError where nothing comes
    within the tolerance, ComponentError for an architecture without scales.
    """
    if not 0 < value < math.inf or not 0 <= tolerance < 1:
        raise ZooError(
            f"a budget must be above 0 and its tolerance from 0 to 1, got {value:g} and {tolerance:g} instead"
        )
    search = _Search(recipe, budget, value, task or Task.of(recipe))
    for points, most in search.stages():
        fitting = [
            p for p in points if abs(search.deviation(p)) <= tolerance and math.hypot(*search.changes(p)) <= most
        ]
        if fitting:
            return search.matched(min(fitting, key=search.rank))
    raise _unreachable(search, tolerance)


def scales(architecture: Component[Any]) -> list[Scale]:
    """Return the scales of an architecture with the bounds that its schema sets, and its parameters' values as the start."""
    assert isinstance(architecture.spec, ArchitectureSpec)
    info = msgspec.inspect.type_info(type(architecture.params))
    assert isinstance(info, msgspec.inspect.StructType)
    types = {field.name: field.type for field in info.fields}
    return [_scale(name, types[name], getattr(architecture.params, name)) for name in architecture.spec.scales]


def steps_of_seconds(recipe: Recipe, seconds: float, *, threads: int = 1, measured_steps: int = STEPS) -> Steps:
    """Return how many training steps of the recipe take `seconds` of process-CPU time on this machine's processor.

    Measured once, of real steps after some to warm up, with so many threads; at least 1. Evaluation, saving and what the recipe
    does before its first step are not in it. Raises ZooError for seconds or steps that are not above 0.
    """
    if not 0 < seconds < math.inf or measured_steps < 1:
        raise ZooError(f"a budget of {seconds:g} seconds cannot be measured by {measured_steps} steps")
    subject = Subject(recipe, "cpu")
    with repeatable(recipe.training, threads):
        subject.train()
        subject.train()
        began = time.process_time()
        for _ in range(measured_steps):
            subject.train()
        each = (time.process_time() - began) / measured_steps
    subject.experiment.close()
    return Steps(
        steps=max(1, int(seconds / each)),
        cpu_seconds_per_step=each,
        measured_on=environment(subject.experiment, threads),
    )


class _Search:
    """Looks for values of an architecture's scales; every network is counted once."""

    def __init__(self, recipe: Recipe, budget: Budget, value: float, task: Task) -> None:
        self.recipe, self.budget, self.value, self.task = recipe, budget, value, task
        self.scales = scales(recipe.architecture)
        if not self.scales:
            raise ComponentError(
                f"architecture {recipe.architecture.name!r} names no parameters that make it larger",
                hint="change its parameters by hand, and see what `zoo cost --count-only` says",
            )
        self.start: Point = tuple(scale.start for scale in self.scales)
        self.sizes: dict[Point, int] = {}

    def stages(self) -> Iterator[tuple[list[Point], float]]:
        """Yield points that are nearest to the budget along one scale, and how much they may change to be taken.

        First along the first scale, then along any, for values of none or one before it, then of two and so on.
        """
        axes = range(len(self.scales))
        yield [self.start, *self._nearest(self.start, (0,))], math.log(4)
        for others in range(1, max(2, len(self.scales))):
            orders = [(axis,) for axis in axes] + list(combinations(axes, others + 1))
            yield [point for order in orders for point in self._nearest(self.start, order)], math.inf

    def changed(self, point: Point) -> dict[str, int | float]:
        """Return the values that are not the recipe's."""
        return {s.name: s.value(k) for s, k in zip(self.scales, point, strict=True) if k != s.start}

    def matched(self, point: Point) -> Matched:
        """Return what a point stands for."""
        found, deviation = self._count(point), self.deviation(point)
        return Matched(
            recipe=self._at(point),
            parameters=found.parameters,
            macs=found.macs,
            deviation=deviation,
            changed=self.changed(point),
        )

    def deviation(self, point: Point) -> float:
        """Return by which part of the budget a point is above it."""
        return self.size(point) / self.value - 1

    def changes(self, point: Point) -> list[float]:
        """Return by how much each scale changes in proportion, as a logarithm."""
        return [math.log(k / s.start) for s, k in zip(self.scales, point, strict=True)]

    def rank(self, point: Point) -> tuple[float, float, float]:
        """Return how much a point changes, rounded so that like ones are equal; how unevenly; and how far it is off."""
        changes = self.changes(point)
        return round(sum(map(abs, changes)), 1), round(math.hypot(*changes), 1), abs(self.deviation(point))

    def size(self, point: Point) -> int:
        """Return what the budget is of, at a point; parameters are counted without a forward pass."""
        if point not in self.sizes:
            if self.budget == "macs":
                self.sizes[point] = self._count(point).macs
            else:
                with torch.device("meta"):
                    self.sizes[point] = sum(p.numel() for p in network(self._at(point), self.task).parameters())
        return self.sizes[point]

    def _count(self, point: Point) -> Counts:
        return counts(partial(network, self._at(point), self.task), self.task.shape)

    def _at(self, point: Point) -> Recipe:
        recipe = self.recipe
        for name, value in self.changed(point).items():
            recipe = with_setting(recipe, f"architecture.{name}", value)
        return recipe

    def _nearest(self, point: Point, order: Sequence[int]) -> list[Point]:
        """Return the points nearest to the budget along the last axis, for values of the axes before it."""
        axis, rest = order[0], order[1:]
        below, above = self._bracket(point, axis)
        if not rest:
            return [_moved(point, axis, below), _moved(point, axis, above)]
        values = self._between(point, axis, below, above) if point == self.start else {below, above}
        return [found for k in sorted(values) for found in self._nearest(_moved(point, axis, k), rest)]

    def _between(self, point: Point, axis: int, below: int, above: int) -> set[int]:
        """Return values of a scale from the recipe's to just past the two that are nearest to the budget."""
        scale, start = self.scales[axis], point[axis]
        rungs = {round(start * (below / start) ** (i / _RUNGS)) for i in range(1, _RUNGS)}
        past = {k for k in (below - 1, above + 1) if scale.low <= k <= scale.high}
        return {below, above} | rungs | past

    def _bracket(self, point: Point, axis: int) -> tuple[int, int]:
        """Return neighbouring values of one scale below and above the budget, or its bound twice; counts rise with it."""
        scale, below, above = self.scales[axis], point[axis], point[axis]
        while above < scale.high and self._less(point, axis, above):
            below, above = above, min(2 * above, scale.high)
        while below > scale.low and not self._less(point, axis, below):
            below, above = max(below // 2, scale.low), below
        while above - below > 1:
            middle = (below + above) // 2
            below, above = (middle, above) if self._less(point, axis, middle) else (below, middle)
        return below, above

    def _less(self, point: Point, axis: int, value: int) -> bool:
        return self.deviation(_moved(point, axis, value)) < 0


def _moved(point: Point, axis: int, value: int) -> Point:
    return (*point[:axis], value, *point[axis + 1 :])


def _scale(name: str, kind: Any, value: Any) -> Scale:
    while isinstance(kind, msgspec.inspect.Metadata):
        kind = kind.type
    if not isinstance(kind, (msgspec.inspect.IntType, msgspec.inspect.FloatType)):
        raise ComponentError(f"scale {name!r} must be a whole or a real number, got {value!r} instead")
    grid = 1 if isinstance(kind, msgspec.inspect.IntType) else GRID
    start = max(1, round(value * grid))
    lows = [1, *(math.ceil(b * grid) for b in (kind.ge,) if b is not None)]
    lows += [math.floor(b * grid) + 1 for b in (kind.gt,) if b is not None]
    highs = [math.floor(b * grid) for b in (kind.le,) if b is not None]
    highs += [math.ceil(b * grid) - 1 for b in (kind.lt,) if b is not None]
    return Scale(name, grid, max(lows), min([start * _LARGEST, *highs]), start)


def _unreachable(search: _Search, tolerance: float) -> ZooError:
    nearest = min(search.sizes, key=lambda point: abs(search.deviation(point)))
    found = search.size(nearest)
    settings = ", ".join(f"{name} {value:g}" for name, value in search.changed(nearest).items()) or "no change"
    noun = {"parameters": "parameters", "macs": "multiply-accumulates"}[search.budget]
    names = ", ".join(scale.name for scale in search.scales)
    return ZooError(
        f"{search.recipe.name} cannot have {search.value:,.0f} {noun} within {tolerance:.1%} by its {names}",
        possible=f"{found:,} {noun}, {search.deviation(nearest):+.1%}, with {settings}",
        hint=f"--budget {search.budget}={found}, or other settings of {search.recipe.architecture.name}",
    )
