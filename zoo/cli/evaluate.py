"""`zoo eval`."""

from __future__ import annotations

import click

from zoo.cli.command import Command
from zoo.cli.completion import complete_run
from zoo.cli.workspace import Workspace
from zoo.console.output import print_json, print_result, stderr, working
from zoo.guard import stdout_on_stderr

tta_option = click.option(
    "--tta",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Average over N augmented views of each image as well.",
)


@click.command("eval", cls=Command)
@click.argument("run", shell_complete=complete_run)
@click.option("--split", default="test", show_default=True, metavar="NAME", help="train, validation or test.")
@click.option("--data", metavar="PATH|SOURCE", help="Evaluate on this data instead of the run's own.")
@tta_option
@click.option("--device", default="auto", show_default=True, metavar="NAME", help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.pass_obj
def evaluate(
    workspace: Workspace, run: str, split: str, data: str | None, tta: int, device: str, as_json: bool
) -> None:
    """Evaluate the best weights of RUN: a path, a name under runs/, or latest.

    Each look at test is written to the run's ledger.
    """
    from zoo.console.results import evaluation
    from zoo.console.training import TrainingReport

    with stdout_on_stderr():
        with working("loading the run …"):
            from zoo.evaluation import evaluate as engine
            from zoo.training.run import find_run

        with TrainingReport(stderr()) as report:
            result = engine.evaluate(
                find_run(run),
                catalog=workspace.catalog,
                split=split,
                device=device,
                data=data,
                tta=tta,
                progress=report.see,
            )
    if as_json:
        print_json(result)
    else:
        print_result(evaluation(result))
