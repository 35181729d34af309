"""The simulations of a plan: begun, carried on by as many processes as there are, and analysed."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import torch

from zoo import storage
from zoo.active import plan as plans
from zoo.active.analysis import analyse
from zoo.active.asked import PICTURE
from zoo.active.benches import Bench, material_of, set_up_all
from zoo.active.events import Begun, Done, Progress, Waiting
from zoo.active.journal import curve
from zoo.active.plan import Cell, Plan
from zoo.active.proposal import require_alone
from zoo.active.simulation import Simulation
from zoo.comparison.analysis import machine
from zoo.comparison.execute import WAIT_SECONDS, claimed
from zoo.comparison.plan import RECIPES
from zoo.errors import Interrupted, RunError, RunLockedError, StorageError, ZooError
from zoo.plugins import Catalog
from zoo.recipe import Recipe
from zoo.registry import Registry
from zoo.report.active import write_report
from zoo.training.device import repeatable
from zoo.training.events import Event
from zoo.training.run import Run
from zoo.training.signals import caught_signals

ANALYSIS, REPORT = "analysis.json", "report.html"


def conduct(
    folder: Path, *, catalog: Catalog, device: str = "auto", progress: Callable[[Progress], None] | None = None
) -> dict[str, Any]:
    """Bring the simulations of the plan in `folder` to their end, analyse them, keep the analysis there, and return it.

    May be called again after any stop, and by several processes at once. Raises Interrupted at the edge of a step, and RunError where
    simulations are missing and the data is not what the plan was made for.
    """
    require_alone()
    plan, recipe = plans.read(folder, catalog)
    with closing(_execute(plan, recipe, folder, catalog, device)) as steps:
        for event in steps:
            if progress is not None:
                progress(event)
    return report(folder, catalog=catalog)


def report(folder: Path, *, catalog: Catalog) -> dict[str, Any]:
    """Analyse what the simulations in a folder have done so far, keep analysis and report there, and return the analysis.

    Those that failed by what they do, and would again, are left out, and named with their reasons. Raises RunError where no other
    has finished a round.
    """
    plan, recipe = plans.read(folder, catalog)
    begun = [cell for cell in plans.cells(recipe, plan, catalog) if (cell.folder(folder) / "manifest.json").exists()]
    unknown = plans.has_unknown(recipe)
    curves, told, gone = [], [], list[str]()
    for cell in begun:
        run = Run(cell.folder(folder))
        if run.status == "failed" and run.would_fail_again:
            told.append(f"{cell.strategy} failed with seed {cell.seed}: {run.reason}")
            gone.append(str(run.path))
            continue
        if run.status == "failed":
            told.append(f"{cell.strategy} was stopped with seed {cell.seed}, and --resume goes on: {run.reason}")
        found = curve(run.path, cell.strategy, cell.seed, plan.items, unknown=unknown)
        curves += [found] if found.rounds else []
    if not curves:
        raise RunError(
            "; ".join([f"no simulation in {folder} has finished a round", *told]),
            hint=f"remove {', '.join(gone)}, then " * bool(gone) + f"zoo active --resume {folder}",
        )
    analysis = analyse({**msgspec.to_builtins(plan), "command": plan.question.command("DIR")}, curves)
    analysis["verdicts"] += [{"about": "note", "text": f"{text}."} for text in told]
    if gone:
        analysis["verdicts"].append({"about": "note", "text": "What failed is left out of every figure."})
    analysis["machine"] = machine([Run(cell.folder(folder)) for cell in begun])
    storage.write_bytes(folder / ANALYSIS, msgspec.json.format(msgspec.json.encode(analysis), indent=1))
    asked = {
        cell.strategy: (cell.seed, picture)
        for cell in reversed(begun)
        if (picture := cell.folder(folder) / PICTURE).exists()
    }
    write_report(analysis, folder / REPORT, asked)
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
            yield Done(
                cell=cell, run=run, seconds=0.0, reason=f"{run.reason} (as before; remove {run.path} to try it again)"
            )
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
    material = material_of(recipe, registry)
    if plans.digest(recipe, material.fingerprint) != plan.digest:
        raise RunError(
            f"the data of {folder}, or the versions of zoo and torch, are not what they were when it was planned",
            possible="what is finished stays as it is, and the simulations go on once they are restored",
            hint="restore them, or begin anew with another --run DIR",
        )
    strategies = [cell.component for cell in plans.cells(recipe, plan, catalog)]
    with repeatable(recipe.training, recipe.training.threads or torch.get_num_threads()), caught_signals() as caught:
        steps = set_up_all(recipe, strategies, material, registry, device)
        while True:
            try:
                event = next(steps)
            except StopIteration as end:
                event, bench = None, end.value
            if signum := caught():
                raise Interrupted(signum, f"{signal.Signals(signum).name}: what {folder} has done is kept")
            if event is None:
                return bench  # type: ignore[no-any-return]  # what the generator returns has no type here
            yield event
