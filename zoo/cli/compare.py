"""`zoo compare`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from zoo.cli.command import Command
from zoo.cli.completion import complete_recipe
from zoo.cli.question import asked
from zoo.cli.train import device_option
from zoo.cli.workspace import Workspace
from zoo.console.output import print_json, print_note, print_result, stderr, working
from zoo.errors import Interrupted, ZooError
from zoo.guard import stdout_on_stderr

if TYPE_CHECKING:
    from zoo.comparison.question import Question


@click.command("compare", cls=Command)
@click.argument("words", nargs=-1, metavar="[RECIPE]... [KEY=VALUE]...", shell_complete=complete_recipe)
@click.option(
    "--run",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    required=True,
    help="Where the comparison is kept: plan, runs, analysis and report.",
)
@click.option("--seeds", type=click.IntRange(1), default=6, show_default=True, metavar="N", help="Seeds per recipe.")
@click.option("--data", metavar="PATH|SOURCE", help="Data of all recipes instead of their own.")
@click.option(
    "--vary",
    multiple=True,
    metavar="KEY=V1,V2,...",
    help="Also vary one setting, such as data.train_size=1000,2500,5000.",
)
@click.option(
    "--primary",
    multiple=True,
    metavar="A,B",
    help="Declare this pair of recipes or families beforehand; may be repeated. All others are exploratory.",
)
@click.option(
    "--expect",
    multiple=True,
    metavar="RECIPE@VALUE=SIGN:POINTS",
    help="Declare an effect of the varied setting against its first value: falls, rises or equivalent.",
)
@click.option("--corruptions", is_flag=True, help="Also test every model on corrupted images.")
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="With --corruptions: on N samples, the same for all."
)
@click.option(
    "--severity", "severities", type=click.IntRange(1, 5), multiple=True, metavar="N", help="With --corruptions: these."
)
@click.option(
    "--budget",
    "budgets",
    multiple=True,
    metavar="KIND=X",
    help="Bring all networks to the same macs or parameters, or all trainings to the same seconds of processor time.",
)
@click.option(
    "--tune",
    "trials",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="First tune every recipe by N trials on validation.",
)
@click.option(
    "--tune-with",
    "trial_settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of these trials alone, such as data.train_size=5000; may be repeated.",
)
@click.option(
    "--larger",
    is_flag=True,
    help="With --budget macs=X: train models of twice the cost, to stand beside ensembles of two.",
)
@click.option("--no-measure", is_flag=True, help="Leave out latency, images per second and memory.")
@click.option(
    "--margin",
    type=click.FloatRange(0, min_open=True),
    default=0.5,
    show_default=True,
    metavar="POINTS",
    help="Differences this small count as equivalent.",
)
@click.option("--store", metavar="DIR", help="Where runs are kept, DIR/runs by default; comparisons may share one.")
@click.option(
    "--plan", "only_plan", is_flag=True, help="Print the plan with an estimate of its time, and write nothing."
)
@device_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.pass_obj
def compare(
    workspace: Workspace,
    /,
    words: tuple[str, ...],
    folder: Path,
    only_plan: bool,
    device: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Compare recipes on the same data, splits and seeds: train what is missing, then say what may be said.

    Without RECIPE, go on with the comparison in DIR. The same command in another terminal shares the work. Ctrl-C saves the run
    in progress.
    """
    recipes = tuple(word for word in words if "=" not in word)
    if not recipes and words:
        raise ZooError(
            "settings were given without recipes", hint=f"zoo compare RECIPE RECIPE {words[0]} --run {folder}"
        )
    with stdout_on_stderr(), working("loading …"):
        from zoo.comparison import plan as plans
    if not recipes:
        _require_plain(folder)
    question = asked(recipes, tuple(word for word in words if "=" in word), folder, options) if recipes else None
    if only_plan:
        _show(workspace, question, folder, device, as_json)
        return
    if question is not None:
        _begin(workspace, question, folder, device)
    plans.read(folder)
    _conduct(workspace, folder, device, as_json)


def _require_plain(folder: Path) -> None:
    """Raise ZooError for options that ask something, where no recipes do: a plan stays as it was made."""
    context = click.get_current_context()
    for parameter in context.command.params:
        given = context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
        if given and parameter.name not in ("words", "folder", "only_plan", "device", "as_json"):
            raise ZooError(
                f"{parameter.opts[0]} asks something, and the plan in {folder} is made",
                possible=f"zoo compare --run {folder} goes on with it as it is",
                hint=f"name the recipes, too, and another --run DIR; --store {folder}/runs reuses finished runs",
            )


def _show(workspace: Workspace, question: Question | None, folder: Path, device: str, as_json: bool) -> None:
    """Print the plan that is there, or that would be made for the question, and write nothing."""
    from zoo.comparison import plan as plans
    from zoo.comparison.execute import finished
    from zoo.comparison.proposal import propose
    from zoo.console.comparison import plan_table

    done = 0
    if question is None or (folder / plans.PLAN).exists():
        plan = plans.read(folder)
        done = finished(list(plans.cells(plan, folder, workspace.catalog)), folder / plan.question.store)
    else:
        with stdout_on_stderr(), working("working the plan out …"):
            plan = propose(question, workspace.registry, device=device, note=print_note).plan
    print_json(plan) if as_json else print_result(plan_table(plan, done))


def _begin(workspace: Workspace, question: Question, folder: Path, device: str) -> None:
    """Make the plan and print it, unless it is there."""
    from zoo.comparison.compare import begin
    from zoo.comparison.plan import PLAN
    from zoo.console.comparison import plan_table

    new = not (folder / PLAN).exists()
    try:
        with stdout_on_stderr(), working("working the plan out …"):
            plan = begin(question, folder, workspace.registry, device=device, note=print_note)
    except Interrupted as error:
        raise Interrupted(error.exit_code - 128, error.problem, hint="the same command again goes on") from error
    if new:
        stderr().print(plan_table(plan))


def _conduct(workspace: Workspace, folder: Path, device: str, as_json: bool) -> None:
    from zoo.comparison import plan as plans
    from zoo.comparison.compare import conduct
    from zoo.console.comparing import ComparisonReport
    from zoo.console.comparison import comparison

    plan = plans.read(folder)
    try:
        with stdout_on_stderr(), ComparisonReport(stderr(), plan.runs) as report:
            analysis = conduct(folder, catalog=workspace.catalog, device=device, progress=report.see)
    except Interrupted as error:
        hint = shlex.join(["zoo", "compare", "--run", str(folder)])
        raise Interrupted(error.exit_code - 128, error.problem, hint=hint) from error
    if as_json:
        print_json(analysis)
        return
    print_result(comparison(analysis))
    print_note(f"{folder}: {', '.join(sorted(path.name for path in folder.glob('[!.]*') if path.is_file()))}")
