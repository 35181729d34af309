"""The command `zoo`: global options, commands imported when they are run, and the one place where errors end."""

from __future__ import annotations

import io
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from zoo.cli.command import Command, Group
from zoo.components import import_object
from zoo.console.output import print_problem
from zoo.errors import Interrupted, ZooError
from zoo.guard import describe, sigint_seen
from zoo.version import __version__

LOOK, TRAIN, USE, COMPARE, SETUP = "Look around", "Train", "Use what was trained", "Find out", "Set up"
COMMANDS = {
    "list": ("zoo.cli.listing:list_components", LOOK, "List components and recipes."),
    "show": ("zoo.cli.show:show", LOOK, "Show one recipe or component in full."),
    "cost": ("zoo.cli.cost:cost", LOOK, "Count and measure what recipes cost."),
    "data": ("zoo.cli.data:data", LOOK, "Draw training images as the model sees them."),
    "train": ("zoo.cli.train:train", TRAIN, "Train a recipe, or resume a run."),
    "lr-find": ("zoo.cli.lr_find:lr_find", TRAIN, "Find a learning rate for a recipe."),
    "tune": ("zoo.cli.tune:tune", TRAIN, "Search hyper-parameters of a recipe on validation."),
    "ensemble": ("zoo.cli.ensemble:ensemble", TRAIN, "Make one run of several finished ones."),
    "verify": ("zoo.cli.verify:verify", TRAIN, "Train a recipe and see whether it reaches its target."),
    "runs": ("zoo.cli.runs:runs", TRAIN, "List runs, or show the history of one."),
    "eval": ("zoo.cli.evaluate:evaluate", USE, "Evaluate a run on one of its splits."),
    "predict": ("zoo.cli.predict:predict", USE, "Classify images with a run."),
    "compare": ("zoo.cli.compare:compare", COMPARE, "Compare recipes over seeds, with a report."),
    "active": ("zoo.cli.active:active", COMPARE, "Simulate active learning by several strategies."),
    "plugin": ("zoo.cli.plugin:plugin", SETUP, "List, show, create and check plugins."),
    "schema": ("zoo.cli.system:schema", SETUP, "Print the JSON Schema of registry files."),
    "doctor": ("zoo.cli.system:doctor", SETUP, "Check this machine and installation."),
}


class LazyGroup(Group):
    """A group whose commands are placeholders with a line of help; the module of one is imported when it is used."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, placeholder, rest = super().resolve_command(ctx, args)
        if name not in COMMANDS:
            return name, placeholder, rest
        command = import_object(COMMANDS[name][0])
        assert isinstance(command, click.Command)
        return name, command, rest


def _placeholders() -> dict[str, click.Command]:
    return {name: Command(name=name, help=text, section=section) for name, (_, section, text) in COMMANDS.items()}


@click.group(
    cls=LazyGroup,
    commands=_placeholders(),
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--registry", type=click.Path(path_type=Path), metavar="FILE", help="Use this registry file.")
@click.option(
    "--plugins-dir", type=click.Path(path_type=Path), metavar="DIR", help="Also load the plugins in this folder."
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(__version__, "--version", prog_name="zoo", message="%(prog)s %(version)s")
@click.pass_context
def zoo(ctx: click.Context, registry: Path | None, plugins_dir: Path | None, debug: bool) -> None:
    """Train, evaluate and use image classifiers; everything that varies is a plugin."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
        return
    from zoo.cli.workspace import Workspace

    ctx.obj = Workspace(registry, plugins_dir, arguments=tuple(ctx.obj or ()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status; every error ends here, as one message on stderr."""
    args = list(sys.argv[1:] if arguments is None else arguments)
    again = shlex.join(["zoo", *args])
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # not every system's encoding has ≥ or →
    try:
        with _interruptible():
            status = zoo.main(args, prog_name="zoo", standalone_mode=False, obj=args)
            sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except ZooError as error:
        _trace(args)
        if isinstance(error, Interrupted) and not error.hint:
            error.hint = again
        print_problem(error)
        return error.exit_code
    except click.ClickException as error:
        print_problem(_usage(error))
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _trace(args)
        print_problem(ZooError("interrupted", hint=again))
        return 128 + signal.SIGINT
    except (SystemExit, BrokenPipeError):  # outside its standalone mode click exits for one reason: a closed pipe
        _silence_stdout()
        return 128 + 13  # what a shell reports of a program that SIGPIPE ended
    except Exception as error:
        _trace(args)
        hint = "" if "--debug" in args else f"{shlex.join(['zoo', '--debug', *args])}   (shows where)"
        print_problem(ZooError(f"unexpected {describe(error)}", hint=hint))
        return 1


def _usage(error: click.ClickException) -> ZooError:
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context is not None else "zoo"
    return ZooError(error.format_message(), hint=f"{path} --help")


def _trace(args: Sequence[str]) -> None:
    if "--debug" in args:
        import traceback

        traceback.print_exc()


@contextmanager
def _interruptible() -> Iterator[None]:
    """Tell the fence around plugins of a person's Ctrl-C, so that one which they raise themselves is not taken for it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, _on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _on_interrupt(signum: int, frame: FrameType | None) -> None:
    sigint_seen()
    signal.default_int_handler(signum, frame)


def _silence_stdout() -> None:
    """Point fd 1 at nothing, so that the interpreter's last flush does not complain about the closed pipe."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, 1)
    os.close(descriptor)
