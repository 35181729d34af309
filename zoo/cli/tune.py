"""`zoo tune`."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from zoo.cli.command import Command
from zoo.cli.completion import complete_recipe
from zoo.cli.train import device_option
from zoo.cli.workspace import Workspace
from zoo.console.output import print_json, print_note, print_result, stderr, stdout, working
from zoo.guard import stdout_on_stderr

if TYPE_CHECKING:
    from zoo.comparison.trials import Tuning

_TIME = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")


def seconds(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Return the seconds in text like 90, 45s, 30m or 1h30m; raises BadParameter."""
    if value is None:
        return None
    found = _TIME.fullmatch(value)
    if found is None or not any(found.groups()):
        raise click.BadParameter(f"a time is like 45s, 30m or 1h30m, got {value!r} instead", ctx, param)
    hours, minutes, rest = (int(part or 0) for part in found.groups())
    return 3600.0 * hours + 60 * minutes + rest


@click.command("tune", cls=Command)
@click.argument("recipe", shell_complete=complete_recipe)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--run", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Where the study is kept.")
@click.option("--data", metavar="PATH|SOURCE", help="Train on this data instead of the recipe's.")
@click.option(
    "--range",
    "ranges",
    multiple=True,
    metavar="PATH=SPEC",
    help="Change or add a range: LOW..HIGH, log:LOW..HIGH or A,B,C; null takes one out. Several times for several.",
)
@click.option("--trials", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="How many in all.")
@click.option(
    "--sampler",
    type=click.Choice(["random", "tpe"]),
    default="random",
    show_default=True,
    help="random depends on the number of the trial only; tpe also on the trials before it.",
)
@click.option("--sampler-seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, metavar="N")
@click.option("--prune", is_flag=True, help="End a trial that is worse than the median of the others at an epoch.")
@click.option(
    "--timeout", callback=seconds, metavar="TIME", help="Begin no trial after this time, like 45s, 30m, 1h30m."
)
@device_option
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Short for training.seed=N, of every trial.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.pass_context
def tune(
    ctx: click.Context,
    recipe: str,
    overrides: tuple[str, ...],
    run: Path,
    data: str | None,
    ranges: tuple[str, ...],
    trials: int,
    sampler: str,
    sampler_seed: int,
    prune: bool,
    timeout: float | None,
    device: str,
    seed: int | None,
    as_json: bool,
) -> None:
    """Search hyper-parameters of RECIPE, over the ranges of its `search` block, by their figures on validation.

    Every trial is a run in DIR/trials that does not evaluate test. The same command again goes on, also after Ctrl-C, and in
    another terminal takes its share of the trials. DIR/best.yaml has the best recipe.
    """
    workspace, again = ctx.obj, _again(ctx)
    extra = () if seed is None else (f"training.seed={seed}",)
    with stdout_on_stderr():  # what recognises data may be a plugin's
        resolved = workspace.registry.resolve(recipe, (*overrides, *extra), data=data, ranges=ranges)
        with working("reading the data …"):
            from zoo.comparison.tuning import tune as search
            from zoo.console.tuning import TuningReport

        with TuningReport(stderr(), trials) as report:
            result = search(
                resolved,
                catalog=workspace.catalog,
                run=run,
                trials=trials,
                sampler=sampler,
                seed=sampler_seed,
                prune=prune,
                timeout=timeout,
                device=device,
                on_event=report.see,
                on_trial=report.ended,
                again=again,
            )
    _report(result, trials, again, as_json)


def _again(ctx: click.Context) -> str:
    """Return the command that goes on: as it was typed, without --timeout and --json."""
    assert isinstance(ctx.obj, Workspace)
    given: list[str] = []
    for option in ("run", "data", "ranges", "trials", "sampler", "sampler_seed", "prune", "device", "seed"):
        if ctx.get_parameter_source(option) == ParameterSource.COMMANDLINE:
            value, word = ctx.params[option], f"--{option.removesuffix('s') if option == 'ranges' else option}"
            values = value if isinstance(value, tuple) else (value,)
            given += (
                [word.replace("_", "-")]
                if value is True
                else [w for v in values for w in (word.replace("_", "-"), str(v))]
            )
    return ctx.obj.command("tune", ctx.params["recipe"], *ctx.params["overrides"], *given)


def _report(result: Tuning, trials: int, again: str, as_json: bool) -> None:
    if as_json:
        print_json(dataclasses.asdict(result))
    else:
        from zoo.console.tuning import next_step, tuning_card

        print_result(tuning_card(result))
        if result.command is not None:
            stdout().print(next_step(result.command), soft_wrap=True)
    if len(result.finished) < trials:
        print_note(f"{len(result.finished)} of {trials} trials have ended; to go on: {again}")
    elif result.best is None:
        from zoo.comparison.tuning import nothing_complete

        raise nothing_complete(result)
