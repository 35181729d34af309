"""A study as it happens, one line per trial on stderr, and what `zoo tune` prints at its end."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.status import Status
from rich.table import Table
from rich.text import Text

from zoo.console.lr_find import next_step as next_step
from zoo.console.results import grid, plain_table
from zoo.console.training import duration
from zoo.training.events import EpochDone, Event

if TYPE_CHECKING:
    from zoo.comparison.trials import Trial, Tuning

_SHOWN = 10  # trials in the table
_STYLES = {"complete": "green", "pruned": "yellow", "failed": "red", "running": "cyan"}


class TuningReport:
    """Follows the trials of this process; on a terminal the one in progress shows as well. A context manager."""

    def __init__(self, console: Console, trials: int) -> None:
        self.console = console
        self.trials = trials
        self._status: Status | None = None

    def __enter__(self) -> TuningReport:
        if self.console.is_terminal:
            self._status = self.console.status(Text("reading the data …", "dim"))
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def see(self, number: int, event: Event) -> None:
        """Show what an event of a trial tells."""
        if self._status is not None and isinstance(event, EpochDone):
            figures = f"validation accuracy {event.metrics['validation/accuracy']:.4f}"
            self._status.update(Text(f"trial {number}: epoch {event.epoch}, {figures}", "dim"))

    def ended(self, trial: Trial) -> None:
        """Print the line that a trial leaves behind."""
        value = "–" if trial.value is None else f"{trial.value:.4f}"
        text = Text.assemble(
            (f"trial {trial.number:>{len(str(self.trials))}}", "bold"),
            (f"  {trial.state:<8}", _STYLES[trial.state]),
            f"  {value:>7}  {_parameters(trial.parameters)}",
        )
        self.console.print(text.append(f"  {trial.reason}" if trial.reason else "", "dim"), soft_wrap=True)


def tuning_card(tuning: Tuning) -> RenderableType:
    """Return the best trials, what each parameter matters, the expected best figure of fewer trials, and what was written."""
    return Group(_trials(tuning), Text(), *_importances(tuning), *_expected(tuning), _facts(tuning))


def _trials(tuning: Tuning) -> Table:
    names = list(dict.fromkeys(name for trial in tuning.trials for name in trial.parameters))
    table = plain_table("trial", "state", tuning.metric, "epoch", "time", *(_short(name, names) for name in names))
    complete = [trial for trial in tuning.trials if trial.state == "complete"]
    losing = tuning.metric.endswith("loss")
    ranked = sorted(
        complete, key=lambda each: ((each.value or 0.0) * (1 if losing else -1), each.loss or 0.0, each.number)
    )
    others = [trial for trial in tuning.trials if trial.state != "complete"]
    for trial in [*ranked, *others][:_SHOWN]:
        cells = ["–" if trial.value is None else f"{trial.value:.4f}", "–" if trial.epoch is None else str(trial.epoch)]
        values = [_value(trial.parameters[name]) if name in trial.parameters else "–" for name in names]
        style = "bold" if tuning.best is not None and trial.number == tuning.best.number else ""
        state = Text(trial.state, _STYLES[trial.state])
        table.add_row(str(trial.number), state, *cells, duration(trial.seconds), *values, style=style)
    return table


def _importances(tuning: Tuning) -> Iterator[RenderableType]:
    if not tuning.importances:
        return
    table = plain_table("parameter", "share of variance")
    for name, share in tuning.importances.items():
        table.add_row(name, f"{share:.2f}")
    yield table
    if tuning.caution is not None:
        yield Text(tuning.caution, "dim")
    yield Text()


def _expected(tuning: Tuning) -> Iterator[RenderableType]:
    """Yield the expected best figure after 1, 2, 4, 8, … trials and after all."""
    n = len(tuning.expected)
    if n < 2:
        return
    counts = [k for k in (2**i for i in range(n.bit_length())) if k < n]
    table = plain_table("of trials", "expected best")
    for k in [*counts, n]:
        table.add_row(str(k), f"{tuning.expected[k - 1]:.4f}")
    yield table
    if tuning.sampler != "random":
        yield Text("trials of tpe build on one another: of fewer trials this expects too much", "dim")
    yield Text()


def _facts(tuning: Tuning) -> RenderableType:
    states = [trial.state for trial in tuning.trials]
    facts = grid()
    facts.add_row("trials", ", ".join(f"{states.count(state)} {state}" for state in _STYLES if state in states))
    if tuning.best is not None:
        facts.add_row("best", Text(f"trial {tuning.best.number}: {_parameters(tuning.best.parameters)}", "bold green"))
    facts.add_row("study", Text(tuning.run, "cyan"))
    written = [
        *(["best.yaml"] if tuning.registry else []),
        "trials.csv",
        "trials.json",
        "history.svg",
        "importance.svg",
    ]
    facts.add_row("written", ", ".join(written))
    return facts


def _parameters(parameters: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in parameters.items())


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _short(name: str, names: list[str]) -> str:
    """Return the last word of a setting where no other ends in it, its last two otherwise."""
    last = name.split(".")[-1]
    alone = sum(each.split(".")[-1] == last for each in names) == 1
    return last if alone and last not in ("strength", "rate") else ".".join(name.split(".")[-2:])
