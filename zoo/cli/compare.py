"""`zoo compare`."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from zoo.cli.command import Command
from zoo.cli.completion import complete_recipe
from zoo.cli.train import device_option
from zoo.cli.workspace import Workspace
from zoo.console.output import print_json, print_note, print_result, stderr, working
from zoo.errors import Interrupted, ZooError
from zoo.guard import stdout_on_stderr

if TYPE_CHECKING:
    from zoo.comparison.question import Corruptions, Expectation, Question

_EXPECTATION = re.compile(r"(?P<recipe>[^@=]+)@(?P<value>[^=]+)=(?P<sign>falls|rises|equivalent):(?P<points>[0-9.]+)")


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


def asked(recipes: tuple[str, ...], settings: tuple[str, ...], folder: Path, options: dict[str, Any]) -> Question:
    """Return what the words of the command ask."""
    from zoo.comparison.question import Question

    vary, values = _varied(options["vary"])
    return Question(
        recipes=recipes,
        settings=settings,
        data=options["data"],
        seeds=options["seeds"],
        vary=vary,
        values=values,
        primary=tuple(_pair(text) for text in options["primary"]),
        expect=tuple(_expectation(text, recipes, values) for text in options["expect"]),
        corruptions=_corruptions(options),
        **_budget(options["budgets"]),
        trials=options["trials"],
        trial_settings=_trial_settings(options),
        larger=options["larger"],
        measure=not options["no_measure"],
        margin=options["margin"] / 100,
        store=os.path.relpath(options["store"], folder) if options["store"] else "runs",
    )


def _varied(texts: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    if not texts:
        return None, ()
    text, *others = texts
    if others:
        raise ZooError(
            f"--vary {others[0]} is one too many", possible="one setting a comparison", hint=f"--vary {text}"
        )
    key, _, values = text.partition("=")
    found = tuple(value.strip() for value in values.split(",") if value.strip())
    if len(found) < 2:
        raise ZooError(f"--vary {text} names {len(found)} values", hint=f"--vary {key or 'data.train_size'}=1000,5000")
    return key, found


def _pair(text: str) -> tuple[str, str]:
    names = [name.strip() for name in text.split(",")]
    if len(names) != 2 or not all(names):
        raise ZooError(f"--primary {text} is not a pair", hint="--primary RECIPE,RECIPE or --primary cnn,rnn")
    return names[0], names[1]


def _expectation(text: str, recipes: tuple[str, ...], values: tuple[str, ...]) -> Expectation:
    from zoo.comparison.question import Expectation

    found = _EXPECTATION.fullmatch(text)
    if found is None or found["recipe"] not in recipes or found["value"] not in values[1:]:
        raise ZooError(
            f"--expect {text} is not understood",
            possible=f"RECIPE@VALUE=SIGN:POINTS with a recipe of {', '.join(recipes)}; a value of"
            f" {', '.join(values[1:]) or '(no setting is varied)'}; falls, rises or equivalent",
            hint=f"--expect {recipes[0]}@{values[-1] if values else 'VALUE'}=falls:2",
        )
    return Expectation(
        recipe=found["recipe"], value=found["value"], sign=found["sign"], margin=float(found["points"]) / 100
    )


def _budget(texts: tuple[str, ...]) -> dict[str, Any]:
    """Return what a question says of budgets: one of size, and one of seconds."""
    found: dict[str, Any] = {}
    for text in texts:
        kind, _, value = text.partition("=")
        try:
            amount = float(value)
        except ValueError:
            raise ZooError(
                f"--budget {text} is not understood", hint="--budget macs=2e6, or parameters=1e5, seconds=60"
            ) from None
        key, budget = ("seconds", amount) if kind == "seconds" else ("budget", (kind, amount))
        if key in found:
            raise ZooError(f"--budget {text} is one too many", possible="one of macs and parameters, and seconds")
        found[key] = budget
    return found


def _trial_settings(options: dict[str, Any]) -> tuple[str, ...]:
    if options["trial_settings"] and not options["trials"]:
        raise ZooError("--tune-with goes with --tune", hint=f"--tune 8 --tune-with {options['trial_settings'][0]}")
    return tuple(options["trial_settings"])


def _corruptions(options: dict[str, Any]) -> Corruptions | None:
    from zoo.comparison.question import Corruptions

    if options["corruptions"]:
        severities = tuple(sorted(set(options["severities"]))) or Corruptions().severities
        return Corruptions(limit=options["limit"], severities=severities)
    for name, option in (("limit", "--limit"), ("severities", "--severity")):
        if options[name]:
            raise ZooError(f"{option} goes with --corruptions", hint=f"--corruptions {option} …")
    return None


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
