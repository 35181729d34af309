"""How the recipes of a comparison were tuned: every trial, and how good the best of fewer would have been."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zoo.comparison.plan import Plan
from zoo.comparison.tuning_report import TABLE

Row = dict[str, Any]
KEPT = ("number", "state", "value", "epoch", "seconds", "parameters", "reason")


def searches(plan: Plan, folder: Path) -> list[Row]:
    """Return for each contestant what its study under `folder` came to; nothing where the question asks for no trials.

    `expected` has, for k = 1, 2, …, the expected best figure of k trials, and `best` the trial whose parameters the
    comparison's recipe has.
    """
    if not plan.question.trials:
        return []
    return [
        {"name": contestant.name, "family": contestant.family, **_search(folder / contestant.name / TABLE)}
        for contestant in plan.contestants
    ]


def _search(table: Path) -> Row:
    study = json.loads(table.read_text(encoding="utf-8"))
    trials = [{key: trial[key] for key in KEPT} for trial in study["trials"] if trial["state"] != "running"]
    return {
        **{key: study[key] for key in ("metric", "sampler", "seed", "expected", "importances")},
        "best": {key: study["best"][key] for key in KEPT},
        "minutes": round(sum(trial["seconds"] for trial in trials) / 60, 3),
        "trials": trials,
    }
