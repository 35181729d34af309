"""The simulations of a plan: begun, carried on by as many processes as there are, and analysed."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock

from zoo import storage
from zoo.active import plan as plans
from zoo.active import stopping
from zoo.active.analysis import analyse
from zoo.active.choosing import members, needs
from zoo.active.dropout_passes import require
from zoo.active.events import Begun, Done, Progress, Waiting
from zoo.active.material import Material, gather
from zoo.active.oracle import initial
from zoo.active.plan import Cell, Plan, Question
from zoo.active.simulation import Bench, Simulation, curve
from zoo.active.workbench import Workbench, set_up
from zoo.comparison.execute import WAIT_SECONDS, claimed
from zoo.comparison.plan import RECIPES
from zoo.errors import Interrupted, RunError, RunLockedError, StorageError, ZooError
from zoo.plugins import Catalog
from zoo.recipe import Recipe
from zoo.registry import Registry
from zoo.report.active import write_report
from zoo.rounds import Active
from zoo.schedules import Plateau
from zoo.training.events import Event
from zoo.training.run import Run

ANALYSIS, REPORT, LOCK = "analysis.json", "report.html", ".lock"
PASSES = frozenset({"mc_log_probabilities", "target"})


def begin(question: Question, folder: Path, registry: Registry, *, device: str = "auto") -> Plan:
    """Return the plan in `folder`, made and kept there unless it is there already, after all was tried that can be wrong with it.

    Raises RunError where the folder has another plan; ZooError for strategies, data and settings that do not go together.
    """
    recipe = plans.with_block(registry.resolve(question.recipe, question.settings, data=question.data))
    material = gather(recipe, _unknown(recipe, registry))
    new = storage.claim_folder(folder)
    with FileLock(folder / LOCK):
        if (folder / plans.PLAN).exists():
            plan, _ = plans.read(folder, registry.catalog)
            plans.require_same(folder, plan, question, plans.digest(recipe, material.dataset.fingerprint))
            return plan
        try:
            plan = draft(question, recipe, material, registry, device=device)
        except ZooError:
            if new:
                storage.remove_folder(folder)
            raise
        others = [registry.resolve(name) for name in _asked(recipe, plan, registry) if name != recipe.name]
        plans.write(folder, plan, recipe, others)
    return plan


def draft(question: Question, recipe: Recipe, material: Material, registry: Registry, *, device: str) -> Plan:
    """Return the plan of a question, after a look whether everything in it can be done."""
    active = recipe.active
    assert active is not None
    _require_watched(recipe, active)
    splits = material.dataset.splits
    plan = plans.make(
        question, recipe, data=material.dataset.fingerprint, items=len(splits["test"]), pool=len(material.ids),
        validation=len(splits["validation"]), notes=material.dataset.notes,
    )  # fmt: skip
    for seed in range(question.seeds):
        initial(material, active.init, active.initial, seed)
    if active.init >= len(material.ids):
        raise ZooError(
            f"{active.init} initial labels leave nothing of {len(material.ids)} to ask for", hint="active.init"
        )
    bench = _driven(set_up(recipe, material.dataset, device, registry.catalog))
    wanted = {need for cell in plans.cells(recipe, plan, registry.catalog) for need in needs(_strategy(cell))}
    if wanted & PASSES or active.measure == "dropout-mean":
        require(bench.x.evaluation_network(), recipe.architecture.name)
    _committee(recipe, plan, material, registry, device)
    return plan


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


def conduct(
    folder: Path, *, catalog: Catalog, device: str = "auto", progress: Callable[[Progress], None] | None = None
) -> dict[str, Any]:
    """Bring the simulations of the plan in `folder` to their end, analyse them, keep the analysis there, and return it.

    May be called again after any stop, and by several processes at once. Raises Interrupted at the edge of a step, and RunError where
    simulations are missing and the data is not what the plan was made for.
    """
    plan, recipe = plans.read(folder, catalog)
    with closing(_execute(plan, recipe, folder, catalog, device)) as steps:
        for event in steps:
            if progress is not None:
                progress(event)
    return report(folder, catalog=catalog)


def report(folder: Path, *, catalog: Catalog) -> dict[str, Any]:
    """Analyse what the simulations in a folder have done so far, keep analysis and report there, and return the analysis.

    Raises RunError where none has finished a round.
    """
    plan, recipe = plans.read(folder, catalog)
    curves = [
        curve(cell.folder(folder), cell.strategy, cell.seed, plan.items)
        for cell in plans.cells(recipe, plan, catalog)
        if (cell.folder(folder) / "curve.jsonl").exists()
    ]
    curves = [each for each in curves if each.rounds]
    if not curves:
        raise RunError(f"no simulation in {folder} has finished a round", hint=f"zoo active --resume {folder}")
    analysis = analyse({**msgspec.to_builtins(plan), "command": plan.question.command("DIR")}, curves)
    storage.write_bytes(folder / ANALYSIS, msgspec.json.format(msgspec.json.encode(analysis), indent=1))
    write_report(analysis, folder / REPORT)
    return analysis


def _execute(plan: Plan, recipe: Recipe, folder: Path, catalog: Catalog, device: str) -> Generator[Progress]:
    todo, done, bench = list(plans.cells(recipe, plan, catalog)), 0, None
    total = len(todo)
    while todo:
        taken: list[Cell] = []
        for cell in todo:
            run = Run(cell.folder(folder))
            if run.summary is None and bench is None:
                bench = yield from _bench(plan, recipe, folder, catalog, device)
            try:
                yield from _finish(cell, run, bench, catalog, (done, total))
            except RunLockedError:
                taken.append(cell)
                continue
            done += 1
        if taken:
            yield Waiting(left=len(taken))
            if len(taken) == len(todo):
                time.sleep(WAIT_SECONDS)
        todo = taken


def _finish(cell: Cell, run: Run, bench: Bench | None, catalog: Catalog, count: tuple[int, int]) -> Generator[Progress]:
    """Bring one simulation to its end. Raises RunLockedError while another process has it."""
    began = time.monotonic()
    if run.summary is not None or bench is None:
        yield Done(cell=cell, run=run, seconds=0.0)
        return
    with claimed(run.path):
        if run.status == "failed" and run.would_fail_again:
            yield Done(cell=cell, run=run, seconds=0.0, reason=run.reason)
            return
        yield Begun(cell=cell, done=count[0], total=count[1])
        try:
            yield from Simulation(run, cell.recipe, cell.seed, bench, catalog).events()
        except (Interrupted, RunLockedError, StorageError):
            raise
        except ZooError as error:  # of one strategy: the others go on
            yield Done(cell=cell, run=run, seconds=time.monotonic() - began, reason=error.problem)
            return
    yield Done(cell=cell, run=run, seconds=time.monotonic() - began)


def _bench(plan: Plan, recipe: Recipe, folder: Path, catalog: Catalog, device: str) -> Generator[Event, None, Bench]:
    """Return what all simulations share. Raises RunError where the data is not what the plan was made for."""
    registry = Registry.load(catalog, folder / RECIPES)
    material = gather(recipe, _unknown(recipe, registry))
    if plans.digest(recipe, material.dataset.fingerprint) != plan.digest:
        raise RunError(
            f"the data of {folder}, or the versions of zoo and torch, are not what they were when it was planned",
            possible="what is finished stays as it is, and the simulations go on once they are restored",
            hint="restore them, or begin anew with another --run DIR",
        )
    own = yield from set_up(recipe, material.dataset, device, catalog)
    return Bench(own, material, _committee(recipe, plan, material, registry, device))


def _committee(
    recipe: Recipe, plan: Plan, material: Material, registry: Registry, device: str
) -> Mapping[str, Workbench]:
    """Return the workbench of each recipe that a committee is made of."""
    benches = {}
    for name in _asked(recipe, plan, registry):
        member = registry.resolve(name)
        shared = {"source": recipe.source, "active": recipe.active, "acquisition": None}
        settings = msgspec.structs.replace(recipe.data, image_size=member.data.image_size)
        member = msgspec.structs.replace(member, data=settings, **shared)
        own = gather(member, _unknown(member, registry))
        if own.ids != material.ids:
            raise ZooError(f"committee member {name} sees other data than {recipe.name}")
        benches[name] = _driven(set_up(member, own.dataset, device, registry.catalog))
    return benches


def _asked(recipe: Recipe, plan: Plan, registry: Registry) -> list[str]:
    """Return the names of the recipes that committees are made of."""
    return sorted({name for cell in plans.cells(recipe, plan, registry.catalog) for name in members(_strategy(cell))})


def _strategy(cell: Cell) -> Any:
    return cell.recipe.acquisition


def _unknown(recipe: Recipe, registry: Registry) -> Any:
    """Return the source that the recipe's unknown images come from, if any."""
    assert recipe.active is not None
    if recipe.active.unknown is None:
        return None
    return registry.resolve(recipe.name, data=recipe.active.unknown).source


def _driven(steps: Generator[Event, None, Workbench]) -> Workbench:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            bench: Workbench = end.value
            return bench
