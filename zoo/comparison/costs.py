"""What the contestants of a comparison cost where it runs: measured once, in turn, and kept beside the plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock

from zoo import storage
from zoo.comparison.plan import LOCK, RECIPES, Plan
from zoo.evaluation.speed import measure_all
from zoo.plugins import Catalog
from zoo.registry import Registry
from zoo.training.device import choose_device

COSTS = "costs.json"
SECONDS = 0.5  # at least, that each sort of call of each contestant is measured for
KEPT = ("activations", "latency", "images_per_second", "cpu_seconds_per_thousand", "memory_bytes", "load_before")


def costs(plan: Plan, folder: Path, catalog: Catalog, device: str) -> dict[str, dict[str, Any]]:
    """Return for each contestant what `zoo.evaluation.speed.measure_all` says of it; nothing where the question asks for none.

    What was measured before is read. Threads are those of the first recipe, 1 where it names none.
    """
    if not plan.question.measure:
        return {}
    path = folder / COSTS
    with FileLock(folder / LOCK):  # another process that measured at the same time would slow both
        if not path.exists():
            _measure(plan, folder, catalog, device)
    measured: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return measured


def _measure(plan: Plan, folder: Path, catalog: Catalog, device: str) -> None:
    registry = Registry.load(catalog, folder / RECIPES)
    recipes = [registry.resolve(contestant.name) for contestant in plan.contestants]
    threads = recipes[0].training.threads or 1
    found = measure_all(recipes, device=str(choose_device(device)), threads=threads, seconds=SECONDS)
    rows = {c.name: {key: row[key] for key in KEPT} for c, row in zip(plan.contestants, found, strict=True)}
    storage.write_bytes(folder / COSTS, msgspec.json.format(msgspec.json.encode(rows), indent=1))
