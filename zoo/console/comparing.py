"""The runs of a comparison as they are made, on stderr: one bar for all of them, one line for each that is finished."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from zoo.comparison.events import Begun, Done, Progress, Waiting
from zoo.console.training import REFRESH_SECONDS, duration
from zoo.training.events import EpochDone, Noted, Started

if TYPE_CHECKING:
    from zoo.comparison.plan import Cell


class ComparisonReport:
    """Follows the events of a comparison of so many runs. A context manager, so that the display ends with it."""

    def __init__(self, console: Console, total: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console
        self.total = total
        self.clock = clock
        self._live: Live | None = None
        self._done, self._trained, self._seconds = 0, 0, 0.0
        self._cell: Cell | None = None
        self._epoch = ""

    def __enter__(self) -> ComparisonReport:
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
                self._cell, self._epoch = event.cell, ""
            case Started():
                self._epoch = "begun"
            case EpochDone():
                accuracy = event.metrics.get("validation/accuracy")
                self._epoch = f"epoch {event.epoch}" + ("" if accuracy is None else f", validation {accuracy:.4f}")
            case Done():
                self._finish(event)
            case Waiting():
                self._cell = None
                self._print(Text(f"waiting for {event.left} runs that other processes train", "dim"))
            case Noted() if event.text.startswith("testing"):
                self._epoch = event.text

    def _finish(self, event: Done) -> None:
        self._done += 1
        if event.reason is not None:
            self._print(Text.assemble(named(event.cell), (": failed, ", "red"), event.reason))
        elif event.seconds:
            self._trained, self._seconds = self._trained + 1, self._seconds + event.seconds
            accuracy = ((event.run.summary or {}).get("test") or {}).get("accuracy")
            figure = "" if accuracy is None else f": accuracy {accuracy:.4f}"
            self._print(Text.assemble(named(event.cell), f"{figure}, {duration(event.seconds)}", (self._rest(), "dim")))

    def _rest(self) -> str:
        left = (self.total - self._done) * self._seconds / max(self._trained, 1)
        return f"   {self._done} of {self.total}" + (
            f", about {duration(left)} left" if self._done < self.total else ""
        )

    def _print(self, text: Text) -> None:
        self.console.print(text, soft_wrap=True)

    def _bar(self) -> Table:
        table = Table.grid(padding=(0, 1))
        doing = Text("") if self._cell is None else Text.assemble(named(self._cell), f"  {self._epoch}")
        table.add_row(
            Text("runs", "bold"), ProgressBar(self.total, self._done, width=20), f"{self._done}/{self.total}", doing
        )
        return table


def named(cell: Cell) -> Text:
    """Return which run of a plan it is, in words."""
    value = "" if cell.value is None else f", {cell.value}"
    return Text.assemble((cell.contestant, "cyan"), f"{value}, seed {cell.seed}")
