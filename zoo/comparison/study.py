"""A comparison from its question to its analysis: `zoo compare`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch

from zoo import storage
from zoo.comparison import plan as plans
from zoo.comparison.analysis import analyse
from zoo.comparison.execute import Done, Progress, execute
from zoo.comparison.plan import Plan, Question
from zoo.evaluation.cost import count_macs
from zoo.plugins import Catalog
from zoo.recipe import Recipe
from zoo.registry import Registry
from zoo.training.dryrun import DryRun, dry_run

ANALYSIS = "analysis.json"


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A plan that is not written yet, its recipes, and the estimated seconds of each contestant's run at each value."""

    plan: Plan
    recipes: tuple[Recipe, ...]
    seconds: Mapping[tuple[str, str | None], float]

    @property
    def total_seconds(self) -> float:
        """The estimate of all runs one after another."""
        return sum(self.seconds.values()) * self.plan.question.seeds


def propose(question: Question, registry: Registry, *, device: str = "auto") -> Proposal:
    """Return a plan for the question, after a dry run of every recipe at every value, which proves that its runs will start.

    Raises what resolving and dry runs raise, and ZooError for recipes that cannot be compared.
    """
    recipes = tuple(registry.resolve(name, question.settings, data=question.data) for name in question.recipes)
    proofs: dict[tuple[str, str | None], DryRun] = {}
    for name in question.recipes:
        for value in question.values or (None,):
            varied = () if value is None else (f"{question.vary}={value}",)
            recipe = registry.resolve(name, (*question.settings, *varied), data=question.data)
            proofs[name, value] = dry_run(recipe, device=device, catalog=registry.catalog)
    first = (question.values or (None,))[0]
    costs = [(proofs[recipe.name, first].parameters, _macs(recipe, proofs[recipe.name, first])) for recipe in recipes]
    seconds = {key: proof.estimated_seconds for key, proof in proofs.items()}
    return Proposal(plan=plans.make(question, recipes, costs), recipes=recipes, seconds=seconds)


def _macs(recipe: Recipe, proof: DryRun) -> int:
    channels, *size = proof.image

    def build() -> torch.nn.Module:
        model: torch.nn.Module = recipe.architecture.build(
            num_outputs=len(proof.classes), in_channels=channels, image_size=tuple(size)
        )
        return model

    return count_macs(build, proof.image)


def conduct(
    folder: Path, *, catalog: Catalog, device: str = "auto", progress: Callable[[Progress], None] | None = None
) -> dict[str, Any]:
    """Bring the runs of the plan in `folder` to their end, analyse them, keep the analysis there, and return it.

    May be called again after any stop, and by several processes at once. Raises Interrupted after the step in progress.
    """
    plan = plans.read(folder)
    cells = list(plans.cells(plan, folder, catalog))
    done: list[Done] = []
    steps = execute(
        cells, folder / plan.question.store, catalog=catalog, device=device, corruptions=plan.question.corruptions
    )
    with contextlib.closing(steps):
        for event in steps:
            if isinstance(event, Done):
                done.append(event)
            if progress is not None:
                progress(event)
    order = {id(cell): number for number, cell in enumerate(cells)}
    analysis = analyse(plan, sorted(done, key=lambda each: order[id(each.cell)]), folder)
    storage.write_bytes(folder / ANALYSIS, msgspec.json.format(msgspec.json.encode(analysis), indent=1))
    return analysis
