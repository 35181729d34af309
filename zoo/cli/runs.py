"""`zoo runs`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.command import Command
from zoo.cli.completion import complete_run
from zoo.console.output import print_json, print_note, print_result
from zoo.errors import RunError

if TYPE_CHECKING:
    from zoo.training.run import Run

FIGURES = ("loss", "accuracy")  # of a round of a simulation


@click.command("runs", cls=Command)
@click.argument("run", required=False, shell_complete=complete_run)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def runs(run: str | None, as_json: bool) -> None:
    """List the runs in ./runs, or show the history of RUN: a path, a name under runs/, or latest.

    Where RUN is a folder of runs, such as that of a comparison, these are listed.
    """
    from zoo.training.run import RUNS, find_run, list_runs

    found = list_runs(RUNS if run is None else Path(run))
    if run is not None and not found:
        _history(find_run(run), as_json)
        return
    rows = [_row(each) for each in found]
    if as_json:
        print_json(rows)
        return
    if not rows:
        print_note("there are no runs in ./runs yet; zoo train RECIPE makes one")
        return
    from zoo.console.results import runs_table

    print_result(runs_table(rows))


def _history(run: Run, as_json: bool) -> None:
    history = run.history() or _rounds(run)
    if as_json:
        print_json({**_row(run), "summary": run.summary, "history": history})
        return
    from zoo.console.results import history_table, runs_table

    print_result(runs_table([_row(run)]), "")
    if history:
        print_result(history_table(history))
    elif members := (run.summary or {}).get("members"):
        print_note(f"made without training of {', '.join(member['run'] for member in members)}")
    else:
        print_note("no epoch is complete yet")


def _rounds(run: Run) -> list[dict[str, Any]]:
    """Return the rounds of a simulation, none for another run."""
    if "simulation" not in run.manifest:
        return []
    from zoo.active.journal import CURVE, Journal

    return [
        {key: line[key] for key in ("round", "labels", "answers")}
        | {
            f"{split}/{figure}": line[split][figure]
            for split in ("test", "mc", "validation")
            if split in line
            for figure in FIGURES
        }
        | {f"stopping/{rule}": value for rule, value in line.get("stopping", {}).items()}
        for line in Journal(run).lines(CURVE)
    ]


def _row(run: Run) -> dict[str, Any]:
    """Return what the table says of a run; a damaged one is listed as `damaged`."""
    try:
        summary, history = run.summary or {}, run.history()
        scores = [row["validation/accuracy"] for row in history if "validation/accuracy" in row]
        return {
            "name": run.name,
            "path": str(run.path),
            "recipe": run.recipe_name,
            "status": run.status,
            "epochs": len(history),
            "validation_accuracy": max(scores, default=(summary.get("validation") or {}).get("accuracy")),
            "test_accuracy": (summary.get("test") or {}).get("accuracy"),
            "created": run.created,
        }
    except (RunError, ValueError, KeyError):
        empty = dict.fromkeys(("validation_accuracy", "test_accuracy"))
        return {
            "name": run.name,
            "path": str(run.path),
            "recipe": "",
            "status": "damaged",
            "epochs": 0,
            **empty,
            "created": "",
        }
