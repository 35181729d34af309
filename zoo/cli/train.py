"""`zoo train`."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.command import Command
from zoo.cli.completion import complete_recipe, complete_run
from zoo.cli.processes import grouped, launch
from zoo.cli.workspace import Workspace
from zoo.console.output import print_json, print_note, print_result, stderr, working
from zoo.errors import DataError, Interrupted, UnknownNameError, ZooError
from zoo.guard import stdout_on_stderr
from zoo.recipe import Recipe

if TYPE_CHECKING:
    from zoo.training.session import Session

device_option = click.option(
    "--device", default="auto", show_default=True, metavar="NAME", help="auto, cpu, cuda, cuda:N or mps."
)


@click.command("train", cls=Command)
@click.argument("recipe", required=False, shell_complete=complete_recipe)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--data", metavar="PATH|SOURCE", help="Train on this folder or file, or data source, instead of the recipe's."
)
@click.option(
    "--run", type=click.Path(path_type=Path), metavar="DIR", help="Where the run is kept; default runs/RECIPE-SEED-N."
)
@click.option(
    "--resume",
    metavar="RUN",
    shell_complete=complete_run,
    help="Go on with this run: a path, a name under runs/, or latest.",
)
@click.option("--dry-run", is_flag=True, help="Prove with two real batches that the run will start; write nothing.")
@device_option
@click.option(
    "--devices",
    type=click.IntRange(1),
    default=1,
    metavar="N",
    help="Train in N processes: each cuda device has one, a CPU's cores are shared.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Short for training.seed=N.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.pass_obj
def train(
    workspace: Workspace,
    recipe: str | None,
    overrides: tuple[str, ...],
    data: str | None,
    run: Path | None,
    resume: str | None,
    dry_run: bool,
    device: str,
    devices: int,
    seed: int | None,
    as_json: bool,
) -> int | None:
    """Train RECIPE, or go on with a run that was stopped.

    KEY=VALUE changes one setting: optimizer.lr=0.05, architecture=resnet18, regularizers.dropout=null. `zoo show RECIPE`
    prints all of them. Ctrl-C saves the run and prints how to go on. With --devices a batch is shared by the processes, and
    training.batch_size stays the size of the whole.
    """
    if devices > 1 and dry_run:
        raise ZooError("a dry run is one process: it takes no --devices", hint="--dry-run without --devices")
    if resume is not None:
        words = () if recipe is None else (recipe, *overrides)
        _refuse_with_resume(resume, words, {"--data": data, "--seed": seed, "--run": run, "--dry-run": dry_run or None})
        return _resume(workspace, resume, device, devices, as_json)
    with stdout_on_stderr():  # what recognises data may be a plugin's
        resolved = _resolve(workspace, recipe, overrides, data, seed)
    if dry_run:
        _require_free(resolved, run)
        _dry_run(workspace, resolved, device, as_json)
        return None
    if devices > 1 and not grouped(devices):
        _require_free(resolved, run)
        return _launch(workspace, device, devices)
    _execute(lambda: _started(workspace, resolved, run, device), as_json)
    return None


def _launch(workspace: Workspace, device: str, devices: int) -> int:
    with working("starting the processes …"):
        from zoo.training.device import crowded, require_devices

        require_devices(device, devices)
        note = crowded(device, devices)
    if note is not None:
        print_note(note)
    return launch(workspace.arguments, devices)


def _require_free(recipe: Recipe, run: Path | None) -> None:
    from zoo.training.run import new_directory

    new_directory(recipe.name, recipe.training.seed, run)


def _refuse_with_resume(resume: str, words: tuple[str, ...], options: dict[str, Any]) -> None:
    """Raise ZooError where anything is asked of a run that goes on, with the command that trains anew with these changes."""
    settings = [word for word in words if "=" in word]
    given = {name: value for name, value in options.items() if value is not None}
    asked = [*(["RECIPE"] if words and words[0] not in settings else []), *settings, *given]
    if not asked:
        return
    changes = [part for name in ("--data", "--seed") if name in given for part in (name, str(given[name]))]
    raise ZooError(
        f"a resumed run keeps its recipe: --resume takes no {asked[0]}",
        possible=f"{shlex.join(['zoo', 'train', '--resume', resume])}, or a new run with the change",
        hint=shlex.join(["zoo", *_recipe_of(resume), *settings, *changes]) if settings or changes else "",
    )


def _recipe_of(name: str) -> list[str]:
    """Return the arguments that train the recipe of a run anew, as far as there is such a run."""
    from zoo.training.run import find_run

    try:
        run = find_run(name)
        return ["--registry", str(run.path / "recipe.yaml"), "train", run.recipe_name]
    except ZooError:
        return ["train", "RECIPE"]


def _resolve(
    workspace: Workspace, name: str | None, overrides: tuple[str, ...], data: str | None, seed: int | None
) -> Recipe:
    registry = workspace.registry
    if name is None:
        raise ZooError(
            "zoo train needs a RECIPE, or --resume RUN", possible=", ".join(registry.names()), hint="zoo list recipe"
        )
    if "=" in name and name not in registry.names():
        raise UnknownNameError("recipe", name, registry.names(), hint=f"zoo train RECIPE {name}")
    extra = () if seed is None else (f"training.seed={seed}",)
    return registry.resolve(name, (*overrides, *extra), data=data)


def _started(workspace: Workspace, recipe: Recipe, run: Path | None, device: str) -> Session:
    from zoo.training.session import Session

    return Session.start(recipe, catalog=workspace.catalog, run=run, device=device)


def _resume(workspace: Workspace, name: str, device: str, devices: int, as_json: bool) -> int | None:
    from zoo.training.device import resumed_device
    from zoo.training.run import find_run
    from zoo.training.session import Session

    run = find_run(name)
    if run.summary is not None:
        print_note(f"{run.path} is finished already")
        if "problem" in run.summary:
            print_note(run.summary["problem"])
        _report(run.summary, run.path, as_json)
        return None
    if devices > 1 and not grouped(devices):
        return _launch(workspace, resumed_device(device, run.manifest["environment"]["device"]), devices)
    _execute(lambda: Session.resume(run.path, catalog=workspace.catalog, device=device), as_json)
    return None


def _execute(begin: Callable[[], Session], as_json: bool) -> None:
    """Drive a session to its end; of several processes the first one alone prints."""
    from zoo.console.training import TrainingReport

    summary: dict[str, Any] = {}
    problem: DataError | None = None  # of the test split, when the run is finished
    with stdout_on_stderr():
        with working("reading the data, building the model …"), _told("before training began: nothing was written"):
            from zoo.training.run import resume_command  # imports torch, which takes a second or more

            session = begin()
        leads, path = session.experiment.world.leads, session.run.path
        resume = resume_command(path, session.experiment.world.size)
        with TrainingReport(stderr(), quiet=not leads) as report, _told("at once: the run is as last saved", resume):
            try:
                for event in session.events():
                    report.see(event)
                    summary = dict(getattr(event, "summary", summary))
            except DataError as error:
                if not summary:
                    raise
                problem = error
    if leads:
        _report(summary, path, as_json)
    if problem is not None:
        raise problem


@contextmanager
def _told(what: str, hint: str = "") -> Iterator[None]:
    """Say of a Ctrl-C inside what it left behind, and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(signal.SIGINT, f"interrupted {what}", hint=hint) from None


def _report(summary: dict[str, Any], path: Path, as_json: bool) -> None:
    from zoo.console.results import closing

    if as_json:
        print_json(summary)
    else:
        print_result(closing(summary, sorted(path.iterdir())))


def _dry_run(workspace: Workspace, recipe: Recipe, device: str, as_json: bool) -> None:
    from zoo.console.results import dry_run_card

    with stdout_on_stderr(), working("two steps on real batches …"):
        from zoo.training.dryrun import dry_run

        result = dry_run(recipe, device=device, catalog=workspace.catalog)
    for note in result.notes:
        print_note(note)
    if as_json:
        print_json(result)
    else:
        print_result(dry_run_card(result))
