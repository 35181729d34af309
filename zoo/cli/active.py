"""`zoo active`."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from zoo.cli.command import Command
from zoo.cli.completion import complete_recipe
from zoo.cli.question import pair
from zoo.cli.train import device_option
from zoo.cli.workspace import Workspace
from zoo.console.output import print_json, print_note, print_result, stderr, working
from zoo.errors import Interrupted, ZooError
from zoo.guard import stdout_on_stderr

if TYPE_CHECKING:
    from zoo.active.plan import Question

# Options that are short for a setting of the recipe's `active` block.
SETTINGS = {
    "init": "init", "query": "query", "rounds": "rounds", "start": "start", "steps": "steps", "passes": "passes",
    "pool_subset": "pool_subset", "validation": "validation", "noise": "noise", "unknown": "unknown",
    "target_inputs": "target_inputs", "corrupted": "corrupted", "robustness": "robustness", "until_test_error": "until_test_error",
}  # fmt: skip
PLAIN = ("words", "folder", "resumed", "only_plan", "report_only", "device", "as_json")


@click.command("active", cls=Command)
@click.argument("words", nargs=-1, metavar="[RECIPE] [KEY=VALUE]...", shell_complete=complete_recipe)
@click.option(
    "--run",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the simulations are kept: plan, a folder each, analysis and report.",
)
@click.option(
    "--resume", "resumed", type=click.Path(path_type=Path), metavar="DIR", help="Go on with the simulations in DIR."
)
@click.option("--data", metavar="PATH|SOURCE", help="Data instead of the recipe's.")
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
    metavar="NAME",
    help="An acquisition strategy, or a mapping like '{name: batch-bald, candidates: 200}'; may be repeated. Random is always among them.",
)
@click.option(
    "--init", type=click.IntRange(1), metavar="N", help="Labels before the first round, as many of each class."
)
@click.option("--query", type=click.IntRange(1), metavar="N", help="Samples asked for in a round.")
@click.option(
    "--schedule", metavar="N1,N2,...", help="Samples asked for in one round after another; the last number goes on."
)
@click.option("--rounds", type=click.IntRange(1), metavar="N", help="Times that is asked.")
@click.option(
    "--seeds", type=click.IntRange(1), default=6, show_default=True, metavar="N", help="Simulations of each strategy."
)
@click.option("--scratch", "start", flag_value="scratch", help="Train new weights in each round.")
@click.option("--warm", "start", flag_value="warm", help="Go on with the weights of the round before.")
@click.option("--steps", type=click.IntRange(1), metavar="N", help="Optimizer steps of each training.")
@click.option(
    "--pool-subset", type=click.IntRange(1), metavar="N", help="Choose from so many samples drawn anew each round."
)
@click.option("--passes", type=click.IntRange(1), metavar="N", help="Dropout passes over each sample.")
@click.option(
    "--validation",
    type=click.Choice(["unused", "counted", "free"]),
    help="Whether weights are chosen on validation, and its labels counted.",
)
@click.option(
    "--stop",
    "stops",
    multiple=True,
    metavar="RULE",
    help="labels=N (answers, as they are counted), plateau[=N], stable[=KAPPA] or gain=POINTS; may be repeated.",
)
@click.option(
    "--noise", type=click.FloatRange(0, 1, max_open=True), metavar="P", help="Share of answers that are wrong."
)
@click.option("--unknown", metavar="PATH|SOURCE", help="Also put images of no known class into the pool.")
@click.option(
    "--target-inputs",
    metavar="PATH|SOURCE",
    help="Images that predictions are wanted for, for strategies that ask for them, as epig does; else some of the pool.",
)
@click.option(
    "--corrupted",
    type=click.FloatRange(0, 1, max_open=True),
    metavar="P",
    help="Share of the pool that is seen corrupted.",
)
@click.option(
    "--robustness", type=click.IntRange(1), metavar="N", help="Also test every model on N corrupted test images."
)
@click.option(
    "--primary", multiple=True, metavar="A,B", help="Declare this pair of strategies beforehand; may be repeated."
)
@click.option(
    "--until-test-error",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="X",
    help="For replications only: end a simulation once its test error is this low.",
)
@click.option("--plan", "only_plan", is_flag=True, help="Print what is simulated, and write nothing.")
@click.option(
    "--report", "report_only", is_flag=True, help="With --resume: analyse what there is, and simulate nothing."
)
@device_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.pass_obj
def active(
    workspace: Workspace,
    /,
    words: tuple[str, ...],
    folder: Path | None,
    resumed: Path | None,
    only_plan: bool,
    report_only: bool,
    device: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Simulate active learning: grow the labelled set by each strategy, on the same seeds, and compare what it is worth.

    The labels of train play the oracle. The same command again goes on where it stopped, and in another terminal shares the work.
    Ctrl-C loses the phase in progress at most.
    """
    with stdout_on_stderr(), working("loading …"):
        from zoo.active.simulate import report
    if resumed is None and not words and folder is not None:
        resumed, folder = folder, None  # as `zoo compare --run DIR` goes on
    if resumed is None and report_only:
        raise ZooError("--report analyses simulations that are there", hint="zoo active --resume DIR --report")
    if resumed is not None:
        _require_plain(resumed, folder)
        folder = resumed
        if only_plan:
            _show_made(workspace, folder, as_json)
            return
    elif only_plan:
        _show(workspace, _question(words, options), device, as_json)
        return
    else:
        folder = _begin(workspace, _question(words, options), folder, device)
    if report_only:
        with stdout_on_stderr(), working("analysing …"):
            analysis = report(folder, catalog=workspace.catalog)
        _tell(analysis, folder, as_json)
        return
    _conduct(workspace, folder, device, as_json)


def _require_plain(folder: Path, other: Path | None) -> None:
    """Raise ZooError for words and options that ask something, beside the folder of a plan: it stays as it was made."""
    context = click.get_current_context()
    asking = [f"--run {other}"] if other is not None else []
    for parameter in context.command.params:
        value = context.params[str(parameter.name)]
        given = context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
        if isinstance(parameter, click.Option) and parameter.is_flag and parameter.flag_value != value:
            continue  # --scratch, where --warm was given
        if parameter.name == "words":
            asking += value
        elif given and parameter.name not in PLAIN and value not in (None, ()):
            asking.append(parameter.opts[0])
    if asking:
        raise ZooError(
            f"{' '.join(asking)} asks something, and the plan in {folder} is made",
            possible=f"zoo active --resume {folder} goes on with it as it is",
            hint="zoo active RECIPE … --run DIR with another DIR",
        )


def _question(words: tuple[str, ...], options: dict[str, Any]) -> Question:
    recipes = [word for word in words if "=" not in word]
    if len(recipes) != 1:
        raise ZooError(
            f"zoo active takes one recipe, got {len(recipes)}",
            possible="several strategies of one recipe; zoo compare compares recipes",
            hint="zoo active conv-net-momentum --strategy margin --run DIR",
        )
    return asked(recipes[0], tuple(word for word in words if "=" in word), options)


def _show(workspace: Workspace, question: Question, device: str, as_json: bool) -> None:
    """Print the plan that would be made, and write nothing."""
    from zoo.active.proposal import propose
    from zoo.console.simulating import plan_table

    with stdout_on_stderr(), working("working the plan out …"):
        plan = propose(question, workspace.registry, device=device)
    print_json(plan) if as_json else print_result(plan_table(plan))


def _show_made(workspace: Workspace, folder: Path, as_json: bool) -> None:
    """Print the plan that a folder has."""
    from zoo.active import plan as plans
    from zoo.console.simulating import plan_table

    plan, _ = plans.read(folder, workspace.catalog)
    print_json(plan) if as_json else print_result(plan_table(plan))


def _begin(workspace: Workspace, question: Question, folder: Path | None, device: str) -> Path:
    from zoo.active.plan import PLAN
    from zoo.active.proposal import begin
    from zoo.console.simulating import plan_table

    if folder is None:
        raise ZooError("a place for the simulations is missing", hint=f"zoo active {question.recipe} --run DIR")
    new = not (folder / PLAN).exists()
    with stdout_on_stderr(), working("working the plan out …"):
        plan = begin(question, folder, workspace.registry, device=device)
    if new:
        stderr().print(plan_table(plan))
    return folder


def asked(recipe: str, words: tuple[str, ...], options: dict[str, Any]) -> Question:
    """Return what the words and options of the command ask."""
    from zoo.active.plan import Question

    settings = [f"active.{SETTINGS[key]}={options[key]}" for key in SETTINGS if options[key] is not None]
    if options["schedule"] is not None:
        if options["query"] is not None:
            raise ZooError("--query and --schedule both say how many samples a round asks for", hint="leave one out")
        settings.append(f"active.query=[{options['schedule']}]")
    if options["strategies"]:
        settings.append(f"active.strategies=[{', '.join(options['strategies'])}]")
    if options["stops"]:
        settings.append(f"active.stop=[{', '.join(options['stops'])}]")
    return Question(
        recipe=recipe,
        settings=(*words, *settings),
        data=options["data"],
        seeds=options["seeds"],
        primary=tuple(pair(text) for text in options["primary"]),
    )


def _conduct(workspace: Workspace, folder: Path, device: str, as_json: bool) -> None:
    from zoo.active import plan as plans
    from zoo.active.simulate import conduct
    from zoo.console.simulating import SimulationReport

    plan, recipe = plans.read(folder, workspace.catalog)
    assert recipe.active is not None
    total, again = len(plan.strategies) * plan.question.seeds, workspace.command("active", "--resume", str(folder))
    try:
        with stdout_on_stderr(), SimulationReport(stderr(), total, recipe.active.rounds) as shown:
            analysis = conduct(folder, catalog=workspace.catalog, device=device, progress=shown.see)
    except KeyboardInterrupt:
        problem = f"interrupted: what {folder} has is kept"
        raise Interrupted(signal.SIGINT, problem, hint=again) from None
    except Interrupted as error:
        raise Interrupted(error.exit_code - 128, error.problem, hint=again) from error
    _tell(analysis, folder, as_json)


def _tell(analysis: dict[str, Any], folder: Path, as_json: bool) -> None:
    from zoo.console.active import simulated

    if as_json:
        print_json(analysis)
        return
    print_result(simulated(analysis))
    print_note(f"{folder}: {', '.join(sorted(path.name for path in folder.glob('[!.]*') if path.is_file()))}")
