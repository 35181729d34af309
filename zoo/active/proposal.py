"""From a question to a plan of simulations, after a look whether everything in it can be done."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from filelock import FileLock

from zoo import storage
from zoo.active import plan as plans
from zoo.active import stopping
from zoo.active.benches import asked, material_of, tried
from zoo.active.choosing import needs
from zoo.active.dropout_passes import require
from zoo.active.material import TARGET, Material
from zoo.active.oracle import Oracle, initial
from zoo.active.plan import Plan, Question
from zoo.active.workbench import Workbench
from zoo.components import AcquisitionSpec, Component
from zoo.errors import RunError, ZooError
from zoo.nesting import inner
from zoo.plugins import Catalog
from zoo.recipe import Recipe
from zoo.registry import Registry
from zoo.rounds import Active
from zoo.schedules import Plateau
from zoo.settings import absolute_paths

LOCK = ".lock"
PASSES = frozenset({"mc_log_probabilities", "target"})


def begin(question: Question, folder: Path, registry: Registry, *, device: str = "auto") -> Plan:
    """Return the plan in `folder`, made and kept there unless it is there already, after all was tried that can be wrong with it.

    Raises RunError where the folder has another plan; ZooError for strategies, data and settings that do not go together.
    """
    recipe, material = _looked_up(question, registry)
    new = storage.claim_folder(folder)
    with FileLock(folder / LOCK):
        if (folder / plans.PLAN).exists():
            plan, _ = plans.read(folder, registry.catalog)
            plans.require_same(folder, plan, question, plans.digest(recipe, material.fingerprint))
            return plan
        if not new and any(path.name != LOCK for path in folder.iterdir()):
            raise RunError(
                f"{folder} has other things in it", possible="a new or empty folder", hint="another --run DIR"
            )
        try:
            plan = draft(question, recipe, material, registry, device=device)
        except ZooError:
            if new:
                storage.remove_folder(folder)
            raise
        others = [registry.resolve(name) for name in asked(_strategies(recipe, plan, registry.catalog).values())]
        plans.write(folder, plan, recipe, others)
    return plan


def propose(question: Question, registry: Registry, *, device: str = "auto") -> Plan:
    """Return the plan that would be made for a question, for a look at it; raises what `begin` raises, but for the folder."""
    recipe, material = _looked_up(question, registry)
    return draft(question, recipe, material, registry, device=device)


def _looked_up(question: Question, registry: Registry) -> tuple[Recipe, Material]:
    require_alone()
    resolved = registry.resolve(question.recipe, question.settings, data=question.data)
    recipe = absolute_paths(plans.with_block(resolved))
    return recipe, material_of(recipe, registry)


def draft(question: Question, recipe: Recipe, material: Material, registry: Registry, *, device: str) -> Plan:
    """Return the plan of a question, after a look whether everything in it can be done."""
    active = recipe.active
    assert active is not None
    _require_watched(recipe, active)
    splits = material.dataset.splits
    validation = len(splits["validation"]) if "validation" in splits else 0
    _require_rounds(active, validation if active.validation == "counted" else 0)
    plan = plans.make(
        question, recipe, data=material.fingerprint, items=len(splits["test"]), pool=len(material.ids),
        validation=validation, notes=(*material.dataset.notes, *_initial(material, active, question.seeds)),
    )  # fmt: skip
    asks = max(active.asked(round) for round in range(active.rounds))
    if active.pool_subset is not None and active.pool_subset < asks:
        raise ZooError(
            f"a round asks for {asks} of {active.pool_subset} samples",
            hint=f"active.pool_subset={10 * asks}, or a smaller query",
        )
    if recipe.distill is not None:
        raise ZooError(
            "the teacher of distill may know the labels that are asked for", hint="distill=null, which leaves it out"
        )
    if active.init >= len(material.ids):
        raise ZooError(
            f"{active.init} initial labels leave nothing of {len(material.ids)} to ask for", hint="active.init"
        )
    strategies = _strategies(recipe, plan, registry.catalog)
    wanted = {need for strategy in strategies.values() for need in needs(strategy)}
    bench = tried(recipe, strategies.values(), material, registry, device)
    if wanted & PASSES or active.measure == "dropout-mean":
        require(bench.x.evaluation_network(), recipe.architecture.name)
    return msgspec.structs.replace(
        plan, notes=(*plan.notes, *bench.x.regularizers.notes, *_warnings(strategies, bench))
    )


def require_alone() -> None:
    """Raise ZooError in one of several processes of torchrun: each would take other simulations, and wait for the others."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ZooError(
            "simulations run in one process each",
            possible="the same command in another terminal, which shares the work",
        )


def _strategies(recipe: Recipe, plan: Plan, catalog: Catalog) -> dict[str, Component[Any]]:
    return {cell.strategy: cell.component for cell in plans.cells(recipe, plan, catalog)}


def _warnings(strategies: Mapping[str, Component[Any]], bench: Workbench) -> list[str]:
    """Return in words what can be done, and is not what was meant."""
    told = []
    unfit = sorted(name for name, strategy in strategies.items() if _wants_fixed_embeddings(strategy))
    if unfit and not bench.embeds:
        told.append(
            f"{', '.join(unfit)}: made for embeddings that no label has a part in, and here they come from the network that is"
            " being trained; freeze=backbone with weights gives such embeddings"
        )
    gated = sorted(name for name, strategy in strategies.items() if "held_out" in needs(strategy))
    if gated and not plans.has_unknown(bench.recipe):
        told.append(
            f"{', '.join(gated)}: nothing in the pool is of no known class; --unknown PATH puts something there"
        )
    if gated and bench.active.start == "warm":
        told.append(
            f"{', '.join(gated)}: the limit comes from models that are trained from scratch, and --warm trains the one that is"
            " judged for longer; --scratch makes them alike"
        )
    if bench.active.target_inputs is not None and not any("target" in needs(each) for each in strategies.values()):
        told.append(f"no strategy asks for {TARGET}; epig does")
    energies = sorted(name for name in gated if "logits" in needs(strategies[name]))
    if energies and bench.recipe.loss == "bce":
        told.append(
            f"{', '.join(energies)}: one sigmoid output has no energy that tells the unknown; loss=cross-entropy, or by=nearest"
        )
    return told


def _wants_fixed_embeddings(strategy: Component[Any]) -> bool:
    assert isinstance(strategy.spec, AcquisitionSpec)
    inside = inner(strategy, "acquisition").values()
    return strategy.spec.fixed_embeddings or any(_wants_fixed_embeddings(part) for part in inside)


def _initial(material: Material, active: Active, seeds: int) -> list[str]:
    """Return a note where wrong answers leave a class without an initial one. Raises DataError where a class has none at all."""
    lacking = []
    for seed in range(seeds):
        rows = initial(material, active.init, active.initial, seed)
        if not active.noise:
            continue
        answered = Oracle(material, seed=seed, noise=active.noise).answers(rows)
        if len(np.unique(answered)) < len(material.dataset.classes):
            lacking.append(str(seed))
    if not lacking:
        return []
    which = f"seed{'s' * (len(lacking) > 1)} {', '.join(lacking)}"
    return [f"with {which} wrong answers leave a class without an initial label; a larger --init has room for them"]


def _require_rounds(active: Active, counted: int) -> None:
    """Raise ZooError for a budget that is spent before anything is asked."""
    first = active.init + counted
    for text in active.stop:
        rule = stopping.parse(text)
        if isinstance(rule, stopping.Labels) and rule.count <= first:
            validation = f" and {counted:,} of validation" * bool(counted)
            raise ZooError(
                f"stopping rule {text!r} is met before anything is asked: there are {active.init} initial labels{validation}",
                possible=f"labels=N above {first}",
                hint=f"--stop labels={first + 10 * active.asked(0)}",
            )


def _require_watched(recipe: Recipe, active: Active) -> None:
    """Raise ZooError for rules that are not understood, and where something watches validation, which is not used."""
    rules = {f"stopping rule {text!r}": stopping.parse(text).needs for text in active.stop}
    watching = [words for words, needed in rules.items() if "validation" in needed]
    if isinstance(recipe.schedule, Plateau) and recipe.schedule.monitor.startswith("validation/"):
        watching.append("schedule plateau")
    if watching and active.validation == "unused":
        raise ZooError(
            f"{watching[0]} watches validation, whose labels are not used",
            possible="active.validation=counted, or free: without counting its labels",
            hint="--validation counted",
        )
