"""`zoo verify`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.command import Command
from zoo.cli.completion import complete_recipe
from zoo.cli.train import device_option
from zoo.cli.workspace import Workspace
from zoo.console.output import print_json, print_note, print_result, stderr, working
from zoo.errors import Interrupted
from zoo.guard import stdout_on_stderr

if TYPE_CHECKING:
    from zoo.comparison.events import Progress
    from zoo.comparison.verification import Verification


@click.command("verify", cls=Command)
@click.argument("recipe", shell_complete=complete_recipe)
@click.option(
    "--runs",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    metavar="DIR",
    help="Where the runs are kept, and found the next time.",
)
@click.option(
    "--seeds", type=click.IntRange(1), metavar="N", help="Train seeds 0 … N-1 instead of the target's number."
)
@click.option("--data", metavar="PATH|SOURCE", help="The target's data at this place, a folder or a file.")
@device_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.pass_obj
def verify(
    workspace: Workspace,
    recipe: str,
    runs: Path,
    seeds: int | None,
    data: str | None,
    device: str,
    as_json: bool,
) -> int:
    """Train RECIPE on its target's data and seeds, and pass where the mean is what its target promises.

    The exit status is 0 inside the target's tolerance, and 1 outside. Finished runs are not trained again; after Ctrl-C the
    same command goes on.
    """
    with stdout_on_stderr(), _Reports() as reports:
        with working("reading the recipe …"):
            from zoo.comparison import verification
        try:
            result = verification.verify(
                recipe, workspace.registry, store=runs, seeds=seeds, data=data, device=device, progress=reports.see
            )
        except Interrupted as stop:  # not the run alone is to go on
            raise Interrupted(stop.exit_code - 128, stop.problem) from None
    _report(result, as_json)
    return 0 if result.passed else 1


class _Reports(ExitStack):
    """Shows each run as `zoo train` does."""

    def see(self, event: Progress) -> None:
        from zoo.comparison.events import Begun, Done, Waiting
        from zoo.console.training import TrainingReport

        match event:
            case Begun():
                self.close()
                self.report = self.enter_context(TrainingReport(stderr()))
            case Waiting():
                print_note(f"{event.left} of the runs are being trained by other processes")
            case Done():
                self.close()
            case _:
                self.report.see(event)


def _report(result: Verification, as_json: bool) -> None:
    from zoo.console.verification import verified

    if as_json:
        print_json(result)
    else:
        print_result(verified(result))
