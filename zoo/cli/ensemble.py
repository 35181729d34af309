"""`zoo ensemble`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.command import Command
from zoo.cli.completion import complete_run
from zoo.cli.train import device_option
from zoo.cli.workspace import Workspace
from zoo.console.output import print_json, print_result, stderr, working
from zoo.guard import stdout_on_stderr

if TYPE_CHECKING:
    from zoo.training.combining import Combine


@click.command("ensemble", cls=Command)
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...", shell_complete=complete_run)
@click.option(
    "--combine",
    type=click.Choice(["probabilities", "logits"]),
    default="probabilities",
    show_default=True,
    help="What is averaged.",
)
@click.option(
    "--run",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where it is kept; default runs/RECIPE-ensemble-SEED-N.",
)
@device_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.pass_obj
def ensemble(
    workspace: Workspace, runs: tuple[str, ...], combine: Combine, run: Path | None, device: str, as_json: bool
) -> None:
    """Make one run of finished runs, whose networks answer together, without training.

    RUN is a path, a name under runs/, or latest; all must have the same data, images and loss. What comes out is used like
    any other run: `zoo eval`, `zoo predict`.
    """
    from zoo.console.results import combined
    from zoo.console.training import TrainingReport

    with stdout_on_stderr():
        with working("loading the runs …"):
            from zoo.training import combining
            from zoo.training.run import find_run

        with TrainingReport(stderr()) as report:
            summary = combining.combine(
                [find_run(name) for name in runs],
                catalog=workspace.catalog,
                how=combine,
                run=run,
                device=device,
                progress=report.see,
            )
    if as_json:
        print_json(summary)
    else:
        print_result(combined(summary, sorted(Path(summary["run"]).iterdir())))
