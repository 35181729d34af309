"""Simulations as they run, on stderr: one bar for all of them, one line for each that is finished."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from zoo.active.events import Begun, Done, Meter, Phase, Progress, RoundDone, Waiting
from zoo.console.training import REFRESH_SECONDS, duration
from zoo.training.events import Evaluating

if TYPE_CHECKING:
    from zoo.active.plan import Cell, Plan

SECONDS = 30.0  # between two lines about one simulation, where there is no terminal
DOING = {"train": "training", "test": "testing", "choose": "choosing"}


def plan_table(plan: Plan) -> RenderableType:
    """Return what a plan will do, in words."""
    table = Table.grid(padding=(0, 1))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    table.add_row("strategies", ", ".join(plan.strategies))
    table.add_row("seeds", f"{plan.question.seeds}, the same initial labels for all strategies of a seed")
    table.add_row("pool", f"{plan.pool:,} samples; test has {plan.items:,}")
    pairs = "; ".join(f"{a} against {b}" for a, b in plan.primary)
    signs = f"signs of {plan.question.seeds} seed{'s' * (plan.question.seeds != 1)}"
    least = (
        f"the least p that {signs} can give is {plan.smallest[0]:.2g} after Holm"
        if plan.smallest
        else f"{signs} are too many to try: the intervals speak alone"
    )
    table.add_row("declared", f"{pairs}; {least}")
    table.add_row("work", plan.work)
    table.add_row("counting", plan.counting)
    return Group(table, *(Text(note, "dim") for note in plan.notes))


class SimulationReport:
    """Follows the events of so many simulations of up to so many rounds. A context manager, so that the display ends with it."""

    def __init__(
        self, console: Console, total: int, rounds: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.console = console
        self.total = total
        self.rounds = rounds
        self.clock = clock
        self._live: Live | None = None
        self._done, self._simulated, self._seconds = 0, 0, 0.0
        self._cell: Cell | None = None
        self._doing, self._figure, self._told_at = "", "", 0.0
        self._meter = Meter()

    def __enter__(self) -> SimulationReport:
        if self.console.is_terminal:
            self._live = Live(
                console=self.console, get_renderable=self._bar, refresh_per_second=1 / REFRESH_SECONDS, transient=True
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def see(self, event: Progress) -> None:
        """Show what an event tells."""
        match event:
            case Begun():
                self._cell, self._doing, self._figure, self._told_at = event.cell, "", "", self.clock()
            case Phase():
                self._doing = f"round {event.round} of {self.rounds}, {event.labels} labels, {DOING[event.name]}"
                self._meter = event.meter
            case Evaluating() if self._cell is None:
                self._doing = f"{event.split}: {event.done:,} of {event.total:,}"
            case RoundDone():
                self._round(event.line)
            case Done():
                self._finish(event)
            case Waiting():
                self._cell = None
                self._print(Text(f"waiting for {event.left} simulations of other processes", "dim"))

    def _round(self, line: Any) -> None:
        figures = line["mc"] if "mc" in line else line["test"]
        self._figure = f"accuracy {figures['accuracy']:.4f}"
        if self._live is None and self._cell is not None and self.clock() - self._told_at > SECONDS:
            self._told_at = self.clock()
            self._print(Text.assemble(named(self._cell), f": {line['labels']} labels, {self._figure}"))

    def _finish(self, event: Done) -> None:
        self._done += 1
        if event.reason is not None:
            self._print(Text.assemble(named(event.cell), (": failed, ", "red"), event.reason))
        elif event.seconds:
            self._simulated, self._seconds = self._simulated + 1, self._seconds + event.seconds
            summary = event.run.summary or {}
            labels, stop = summary.get("labels"), summary.get("stop")
            words = f": {labels} labels, {self._figure}, {duration(event.seconds)}" + (f"; {stop}" if stop else "")
            self._print(Text.assemble(named(event.cell), words, (self._rest(), "dim")))

    def _rest(self) -> str:
        left = (self.total - self._done) * self._seconds / max(self._simulated, 1)
        more = f", about {duration(left)} left" if self._done < self.total else ""
        return f"   {self._done} of {self.total}{more}"

    def _print(self, text: Text) -> None:
        self.console.print(text, soft_wrap=True)

    def _bar(self) -> Table:
        table = Table.grid(padding=(0, 1))
        doing = Text(self._doing)
        if self._cell is not None:
            seen = f", {self._meter.seen:,} samples seen" if self._meter.seen else ""
            doing = Text.assemble(named(self._cell), f"  {self._doing}{seen}  {self._figure}")
        bar = ProgressBar(self.total, self._done, width=20)
        table.add_row(Text("simulations", "bold"), bar, f"{self._done}/{self.total}", doing)
        return table


def named(cell: Cell) -> Text:
    """Return which simulation it is, in words."""
    return Text.assemble((cell.strategy, "cyan"), f", seed {cell.seed}")
