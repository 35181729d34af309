"""What a recipe promises, kept or not: its target's seeds trained on its target's data, and the mean of their figures."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import msgspec

from zoo.comparison.events import Done, Progress
from zoo.comparison.execute import finish
from zoo.comparison.identity import fingerprint
from zoo.comparison.plan import Cell
from zoo.errors import DataError, ZooError
from zoo.recipe import Target
from zoo.registry import Registry
from zoo.settings import absolute_paths
from zoo.training.distillation import pinned
from zoo.training.reading import prepare_data

EXAMPLE = '{metric: test/accuracy, value: 0.98, tolerance: 0.01, seeds: 3, data: digits, source: "who measured it"}'
ROUNDING = 1e-12  # of 0.98 + 0.01, which is not 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """One seed of a verification: its run and its figure, or the reason why it has none."""

    seed: int
    run: str
    figure: float | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was promised, `value` ± `tolerance` by `source`, and what each seed gave; `mean` is None unless all gave a figure."""

    recipe: str
    metric: str
    value: float
    tolerance: float
    source: str | None
    data: str
    promised_seeds: int
    seeds: tuple[Trained, ...]
    mean: float | None
    passed: bool


def verify(
    name: str,
    registry: Registry,
    *,
    store: Path,
    seeds: int | None = None,
    data: str | None = None,
    device: str = "auto",
    progress: Callable[[Progress], None] | None = None,
) -> Verification:
    """Train what is missing of the seeds of a recipe's target in the store of runs, and return how their mean compares with it.

    It passes where the mean is inside value ± tolerance, ends included. `seeds` and `data` take the place of the target's. May be
    called again after any stop. Raises ZooError for a recipe without a target of its own, and for a figure that its runs do not
    have; Interrupted after the step in progress.
    """
    target = _target(name, registry)
    try:
        cells = _cells(name, registry, target, seeds, data)
        done = finish(cells, store, catalog=registry.catalog, device=device, progress=progress)
    except DataError as error:
        if data is not None and not error.hint.startswith("data."):  # no setting can be typed after `zoo verify`
            raise
        raise DataError(error.problem, possible=error.possible, hint=_place(name, registry, target)) from error
    trained = tuple(_trained(each, target.metric) for each in done)
    figures = [each.figure for each in trained if each.figure is not None]
    mean = fmean(figures) if len(figures) == len(trained) else None
    return Verification(
        recipe=name,
        metric=target.metric,
        value=target.value,
        tolerance=target.tolerance,
        source=target.source,
        data=data or target.data or cells[0].recipe.source.name,
        promised_seeds=target.seeds,
        seeds=trained,
        mean=mean,
        passed=mean is not None and abs(mean - target.value) <= target.tolerance + ROUNDING,
    )


def _place(name: str, registry: Registry, target: Target) -> str:
    """Return how to say where the target's data is and, if its source can fetch it, the command that does."""
    where, settings = f"zoo verify {name} --data PATH", [] if target.data is None else [f"data={target.data}"]
    if not hasattr(registry.resolve(name, settings).source.params, "download"):
        return where
    fetch = shlex.join(["zoo", "data", "show", name, *settings, "data.download=true"])
    return f"{where}, or to fetch it: {fetch}"


def _target(name: str, registry: Registry) -> Target:
    """Return what stands in the target of the recipe itself: what it inherits was promised of another."""
    target = registry.resolve(name).target
    own = next(file.recipes[name] for file in registry.files if name in file.recipes)
    if target is None or "target" not in own.mapping:
        raise ZooError(
            f"recipe '{name}' has no target{' of its own, and another recipe promised the one it inherits' * bool(target)}",
            possible=", ".join(_with_targets(registry)) or "recipes that have one",
            hint=f"target: {EXAMPLE}   (in the recipe)",
        )
    if "value" not in (said := own.mapping["target"].mapping):
        raise ZooError(f"the target of recipe '{name}' has no value", hint=f"target: {EXAMPLE}   (in the recipe)")
    return Target(**{key: getattr(target, key) for key in said})


def _with_targets(registry: Registry) -> list[str]:
    found = {name for file in registry.files for name, node in file.recipes.items() if "target" in node.mapping}
    return sorted(found)


def _cells(name: str, registry: Registry, target: Target, seeds: int | None, data: str | None) -> Sequence[Cell]:
    """Return the runs to bring to their end; the target's data is what `data=…` would be on the command line."""
    settings = _data_settings(name, registry, target, data)
    found = []
    for seed in range(seeds or target.seeds):
        resolved = registry.resolve(name, [*settings, f"training.seed={seed}"], data=data)
        recipe = pinned(absolute_paths(msgspec.structs.replace(resolved, notes=())))
        digest = fingerprint(recipe, prepare_data(recipe).fingerprint)
        found.append(Cell(contestant=name, value=None, seed=seed, recipe=recipe, digest=digest))
    return found


def _data_settings(name: str, registry: Registry, target: Target, data: str | None) -> list[str]:
    """Return the settings that give a recipe its target's data; data that is elsewhere is cut in the same way."""
    if target.data is None:
        return []
    settings = [f"data={target.data}"]
    if data is None:
        return settings
    promised, plain = registry.resolve(name, settings).data, registry.resolve(name, data=data).data
    cuts = {
        key: getattr(promised, key)
        for key in promised.__struct_fields__
        if getattr(plain, key) != getattr(promised, key)
    }
    return [f"data.{key}={json.dumps(value)}" for key, value in cuts.items()]


def _trained(done: Done, metric: str) -> Trained:
    figure = None if done.reason is not None else _figure(done, metric)
    return Trained(seed=done.cell.seed, run=str(done.run.path), figure=figure, reason=done.reason)


def _figure(done: Done, metric: str) -> float:
    split, _, name = metric.partition("/")
    figures = (done.run.summary or {}).get(split) or {}
    if not isinstance(figures.get(name), (int, float)):
        known = [f"{part}/{key}" for part in ("validation", "test") for key in (done.run.summary or {}).get(part) or {}]
        raise ZooError(f"{done.run.path} has no {metric}", possible=", ".join(known), hint="zoo verify --data SOURCE")
    return float(figures[name])
