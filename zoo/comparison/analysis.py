"""What the runs of a plan say, as one JSON-ready mapping from which the terminal's tables and the report are made."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from math import ceil
from pathlib import Path
from typing import Any

import msgspec

from zoo.comparison import overlap, verdicts
from zoo.comparison.answers import Answers, read, require_one_protocol
from zoo.comparison.crossed import accuracy, interval
from zoo.comparison.ensembles import ensembles
from zoo.comparison.events import Done
from zoo.comparison.plan import RECIPES, Contestant, Plan
from zoo.comparison.robustness import robustness
from zoo.errors import ZooError
from zoo.evaluation.calibration import BINS, fit_temperature
from zoo.evaluation.figures import describe
from zoo.evaluation.metrics import mean
from zoo.evaluation.predictions import Saved
from zoo.training.run import Run, now

Row = dict[str, Any]
FIGURES = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "top5",
    "auroc",
    "loss",
    "brier",
    "ece",
    "ece_mass",
    "temperature",
    "ece_calibrated",
    "aurc",
)


def analyse(
    plan: Plan,
    done: Sequence[Done],
    folder: Path,
    *,
    costs: Mapping[str, Row] | None = None,
    searches: Sequence[Row] = (),
) -> Row:
    """Return the analysis of the finished runs of a plan; `costs` is what was measured of each contestant, and `searches` how each
    was tuned.

    Per value of the varied setting: `recipes` (figures with intervals over seeds and test samples), `pairs` (every two recipes),
    `families`, `overlap`; and for a varied setting the `effects` of its values against the first. `verdicts` are sentences on
    what was declared. Runs that failed are in `failed`; a recipe without a finished run at a value is left out of it, and two
    are compared on the seeds that they share. Raises RunError for runs that cannot be compared, ZooError where none is finished.
    """
    finished = [each for each in done if each.reason is None]
    if not finished:
        raise ZooError("no run of the comparison is finished", hint=f"zoo compare --run {folder}")
    for value in plan.values:
        require_one_protocol([each.run for each in finished if each.cell.value == value])
    require_one_protocol([each.run for each in finished], same_train=False)
    tables = _tables(plan, finished)
    conditions = [
        _condition(plan, value, [t for t in tables if t.value == value], costs or {}) for value in plan.values
    ]
    effects = verdicts.effects(plan, tables)
    return {
        "plan": msgspec.to_builtins(plan),
        "analysed": now(),
        "machine": machine([each.run for each in finished]),
        "data": _data(finished[0]),
        "verdicts": verdicts.conclude(plan, conditions, effects),
        "conditions": conditions,
        "effects": effects,
        "tuning": list(searches),
        "failed": [
            {"recipe": each.cell.contestant, "value": each.cell.value, "seed": each.cell.seed, "reason": each.reason}
            for each in done
            if each.reason is not None
        ],
        "ledger": _ledger(finished),
        "commands": _commands(plan, folder),
    }


def _tables(plan: Plan, finished: Sequence[Done]) -> list[Answers]:
    cells: dict[tuple[str, str | None], dict[int, Done]] = {}
    for each in finished:
        cells.setdefault((each.cell.contestant, each.cell.value), {})[each.cell.seed] = each
    tables = []
    for value, contestant in product(plan.values, plan.contestants):
        if found := cells.get((contestant.name, value)):
            batch_size = next(iter(found.values())).cell.recipe.training.batch_size
            runs = {seed: each.run for seed, each in sorted(found.items())}
            tables.append(read(contestant.name, value, batch_size, runs))
    return tables


def _condition(plan: Plan, value: str | None, tables: Sequence[Answers], costs: Mapping[str, Row]) -> Row:
    contestants = {contestant.name: contestant for contestant in plan.contestants}
    members = [table for table in tables if not contestants[table.contestant].larger]
    first = plan.values[0]
    rows = []
    for table in tables:
        variant, before = (plan.variant(table.contestant, at) for at in (value, first))
        counted = {"parameters": variant.parameters, "macs": variant.macs}
        # Measured is the network at the first value.
        same = counted == {"parameters": before.parameters, "macs": before.macs}
        measured = costs.get(table.contestant, {}) if same else {}
        rows.append({**_recipe(contestants[table.contestant], table, plan.question.level), **counted, **measured})
    return {
        "value": value,
        "train_samples": tables[0].runs[0].manifest["samples"]["train"] if tables else None,
        "recipes": rows,
        "pairs": verdicts.pairs(plan, members),
        "families": verdicts.families(plan, members),
        "overlap": overlap.overlap(plan, members),
        "robustness": robustness(plan, members),
        "ensembles": ensembles(plan, tables),
    }


def _recipe(contestant: Contestant, table: Answers, level: float) -> Row:
    described = [_described(run, saved) for run, saved in zip(table.runs, table.saved, strict=True)]
    seeds = [
        {
            "seed": seed,
            "run": str(run.path),
            "minutes": minutes(run),
            "cpu_minutes": minutes(run, "cpu_seconds"),
            **{key: row[key] for key in FIGURES if key in row},
        }
        for seed, run, row in zip(table.seeds, table.runs, described, strict=True)
    ]
    return {
        **msgspec.to_builtins(contestant),
        "image": table.runs[0].manifest["image"],
        "accuracy": verdicts.plain(accuracy(table.right, level)),
        "loss": {**verdicts.plain(interval(table.losses, level)), "p": None},
        "figures": {key: mean([row.get(key) for row in seeds]) for key in FIGURES if key in seeds[0]},
        "recall": {
            name: mean([row["classes"][name]["recall"] for row in described]) for name in described[0]["classes"]
        },
        "reliability": _pooled([row["reliability"] for row in described]),
        "risk_coverage": [row["risk_coverage"] for row in described],
        "seeds": seeds,
    }


def _described(run: Run, saved: Saved) -> Row:
    validation = run.predictions("validation")
    temperature = fit_temperature(Saved.load(validation).predictions) if validation.exists() else None
    row = describe(saved.predictions, saved.classes, temperature)
    if calibrated := row.pop("calibrated", None):
        row |= {"temperature": calibrated["temperature"], "ece_calibrated": calibrated["ece"]}
    return row


def _pooled(diagrams: Sequence[Sequence[Row]]) -> list[Row]:
    """Return one reliability diagram of all seeds' samples."""
    bins: dict[int, list[Row]] = {}
    for each in (each for diagram in diagrams for each in diagram):
        bins.setdefault(ceil(each["confidence"] * BINS), []).append(each)
    pooled = []
    for _, members in sorted(bins.items()):
        total = sum(each["samples"] for each in members)
        shares = {
            key: sum(each["samples"] * each[key] for each in members) / total for key in ("confidence", "accuracy")
        }
        pooled.append({"samples": total, **shares})
    return pooled


def minutes(run: Run, clock: str = "seconds") -> float:
    """Return the minutes of wall time that the run's epochs took, or with `cpu_seconds` those of its processors."""
    path = run.path / "timings.jsonl"
    timings = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    seconds: float = sum(json.loads(line).get(clock, 0.0) for line in timings)
    return round(seconds / 60, 3)


def machine(runs: Sequence[Run]) -> Row:
    """Return what runs were made with, and how long they took."""
    environments = [run.manifest["environment"] for run in runs]
    keys = ("processor", "device", "threads", "precision", "platform", "python", "torch", "zoo")
    # Runs that several comparisons share may come from several machines.
    return {
        **{key: sorted({str(environment[key]) for environment in environments}) for key in keys},
        "minutes": round(sum(minutes(run) for run in runs), 3),
        "cpu_minutes": round(sum(minutes(run, "cpu_seconds") for run in runs), 3),
        "runs": len(runs),
    }


def _data(done: Done) -> Row:
    """Return what the runs were trained on, as the first of them has it."""
    manifest = done.run.manifest
    return {
        "source": done.cell.recipe.source.name,
        "name": Path(getattr(done.cell.recipe.source.params, "path", "")).name or done.cell.recipe.source.name,
        **{key: manifest[key] for key in ("classes", "image", "samples")},
    }


def _ledger(finished: Sequence[Done]) -> list[Row]:
    """Return what test was looked at for, and how often, over all runs."""
    looks: Counter[tuple[str, str]] = Counter()
    for each in finished:
        path = each.run.path / "ledger.jsonl"
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            entry = json.loads(line)
            looks[entry["split"], entry["purpose"]] += 1
    return [{"split": split, "purpose": purpose, "looks": n} for (split, purpose), n in sorted(looks.items())]


def _commands(plan: Plan, folder: Path) -> list[str]:
    vary = [f"{plan.question.vary}={plan.values[-1]}"] if plan.question.vary else []
    first = plan.contestants[0].name
    return [
        shlex.join(plan.question.command(f"{folder}-again")),
        shlex.join(["zoo", "compare", "--run", str(folder)]),
        shlex.join(
            ["zoo", "--registry", str(folder / RECIPES), "train", first, f"training.seed={plan.seeds[-1]}", *vary]
        ),
    ]
