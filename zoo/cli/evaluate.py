"""`zoo eval`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import click

from zoo.augmentation import Arrangement
from zoo.cli.command import Command
from zoo.cli.completion import complete_run
from zoo.cli.workspace import Workspace
from zoo.console.output import print_json, print_note, print_result, stderr, working
from zoo.errors import ZooError
from zoo.guard import stdout_on_stderr

tta_option = click.option(
    "--tta",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Average over each image and N augmented views of it.",
)


@click.command("eval", cls=Command)
@click.argument("run", shell_complete=complete_run)
@click.option("--split", default="test", show_default=True, metavar="NAME", help="train, validation or test.")
@click.option("--data", metavar="PATH|SOURCE", help="Evaluate on this data instead of the run's own.")
@tta_option
@click.option(
    "--arrangement",
    type=click.Choice(get_args(Arrangement)),
    help="Let pixels change places in the test alone, for a run that was trained without.",
)
@click.option("--corruptions", is_flag=True, help="Evaluate on corrupted images: 17 ways, five severities.")
@click.option(
    "--corruption", "names", multiple=True, metavar="NAME", help="With --corruptions: this one only; may be repeated."
)
@click.option(
    "--severity",
    "severities",
    type=click.IntRange(1, 5),
    multiple=True,
    metavar="N",
    help="With --corruptions: this one of 1 … 5 only; may be repeated.",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    help="With --corruptions: N samples, stratified, the same for every run.",
)
@click.option("--device", default="auto", show_default=True, metavar="NAME", help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.pass_obj
def evaluate(
    workspace: Workspace,
    run: str,
    split: str,
    data: str | None,
    tta: int,
    arrangement: Arrangement | None,
    corruptions: bool,
    names: tuple[str, ...],
    severities: tuple[int, ...],
    limit: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Evaluate the best weights of RUN: a path, a name under runs/, or latest.

    Each look at test is written to the run's ledger.
    """
    from zoo.console import results
    from zoo.console.training import TrainingReport

    options = [f"--corruption {name}" for name in names] + [f"--severity {severity}" for severity in severities]
    options += [] if limit is None else [f"--limit {limit}"]
    _check(run, corruptions, options, other=data is not None or tta > 0 or arrangement is not None)
    with stdout_on_stderr():
        with working("loading the run …"):
            from zoo.evaluation.evaluate import evaluate as evaluate_split
            from zoo.evaluation.robustness import evaluate_corruptions
            from zoo.training.run import find_run

        with TrainingReport(stderr()) as report:
            engine: Callable[..., dict[str, Any]]
            if corruptions:
                engine = partial(evaluate_corruptions, names=names, severities=severities, limit=limit)
            else:
                engine = partial(evaluate_split, data=data, tta=tta, arrangement=arrangement)
            result = engine(find_run(run), catalog=workspace.catalog, split=split, device=device, progress=report.see)
    if (caution := results.caution(result)) is not None:
        print_note(caution)
    if as_json:
        print_json(result)
    else:
        print_result(results.corruptions(result) if corruptions else results.evaluation(result))


def _check(run: str, corruptions: bool, options: list[str], *, other: bool) -> None:
    if corruptions and other:
        raise ZooError(
            "--corruptions goes with none of --data, --tta and --arrangement: it corrupts the run's own data, and shows it once",
            hint=f"zoo eval {run} --corruptions",
        )
    if options and not corruptions:
        raise ZooError(
            "--corruption, --severity and --limit choose among corruptions",
            hint=" ".join([f"zoo eval {run} --corruptions", *options]),
        )
