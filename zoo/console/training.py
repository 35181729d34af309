"""A run as it happens, on stderr: bars and figures on a terminal, one plain line per epoch elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from zoo.training.events import EpochDone, Evaluating, Event, Noted, Started, StepDone

SPLITS = ("train", "validation", "test")  # those of `zoo.data.sources`, which imports numpy

# Reading a tensor waits for the device, so figures are read, and the display drawn, at most four times per second.
REFRESH_SECONDS = 0.25

# The figures of an epoch: metric → its title and the width of its column.
COLUMNS = {
    "train/loss": ("train loss", 13),
    "train/accuracy": ("accuracy", 10),
    "validation/loss": ("validation loss", 18),
    "validation/accuracy": ("accuracy", 10),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the display shows at one moment; `left` is seconds, `waiting` the share of time spent waiting for data."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    lr: float
    speed: float
    left: float
    waiting: float


class TrainingReport:
    """Follows the events of one run; `quiet` shows nothing. A context manager, so that the display ends with it."""

    def __init__(self, console: Console, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console
        self.quiet = quiet
        self.clock = clock
        self._live: Live | None = None
        self._started: Started | None = None
        self._began = 0.0
        self._shown = -math.inf
        self._reset()
        self._headed = False
        self._computing = ""

    def __enter__(self) -> TrainingReport:
        if self.console.is_terminal and not self.quiet:
            self._live = Live(console=self.console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        if self._started is not None:
            self.console.print()

    def see(self, event: Event) -> None:
        """Show what an event tells."""
        if self.quiet:
            return
        match event:
            case Started():
                self._started, self._began = event, self.clock()
                for line in heading(event):
                    self.console.print(line, soft_wrap=True)
            case StepDone():
                self._head()
                self._step(event)
            case Evaluating() if event.split not in SPLITS and event.split != self._computing:
                self._computing = event.split
                self.console.print(Text(f"computing {event.split}: {event.total:,}"), soft_wrap=True)
            case Evaluating() if self._live is not None and self._due(event.done == event.total):
                self._live.update(evaluating(event), refresh=True)
            case Noted():
                self.console.print(Text(event.text), soft_wrap=True)
            case EpochDone() if self._started is not None:
                self._head()
                self.console.print(epoch_line(event, epochs(self._started), self._samples), soft_wrap=True)
                self._reset()

    def _head(self) -> None:
        """Print the line above the epochs', before the first of them."""
        if not self._headed and self._started is not None:
            self._headed = True
            for line in (Text(), epoch_header(epochs(self._started))):
                self.console.print(line, soft_wrap=True)

    def _step(self, event: StepDone) -> None:
        self._samples += event.samples
        self._seconds += event.seconds
        self._waited += event.waited
        if self._live is not None and self._started is not None and self._due(False):
            self._live.update(training(self._figures(event, self._started)), refresh=True)

    def _figures(self, event: StepDone, started: Started) -> Figures:
        per_step = (self.clock() - self._began) / max(1, event.step - started.step)
        return Figures(
            epoch=event.epoch,
            epochs=epochs(started),
            step=event.step - (event.epoch - 1) * started.steps_per_epoch,
            steps=started.steps_per_epoch,
            loss=float(event.loss) / event.seen,
            accuracy=float(event.correct) / event.seen,
            lr=event.lr,
            speed=self._samples / max(self._seconds, 1e-9),
            left=per_step * (started.total_steps - event.step),
            waiting=self._waited / max(self._seconds, 1e-9),
        )

    def _due(self, complete: bool) -> bool:
        now = self.clock()
        if not complete and now - self._shown < REFRESH_SECONDS:
            return False
        self._shown = now
        return True

    def _reset(self) -> None:
        self._samples, self._seconds, self._waited = 0, 0.0, 0.0


def epochs(started: Started) -> int:
    """Return the number of epochs, the last one perhaps cut short."""
    return math.ceil(started.total_steps / started.steps_per_epoch)


def heading(started: Started) -> list[Text]:
    """Return the lines that open a run: what is trained, on what, where, and what the engine chose."""
    channels, height, width = started.image
    sizes = ", ".join(f"{size:,} {name}" for name, size in started.sizes.items())
    lines = [
        Text.assemble((started.recipe, "bold cyan"), " → ", (str(started.run), "cyan")),
        Text(f"{sizes} images of {channels}×{height}×{width}, {len(started.classes):,} classes"),
        Text(f"{started.parameters:,} parameters, {started.device}, {started.precision}"),
    ]
    if started.step:
        lines.append(Text(f"going on after step {started.step:,} of {started.total_steps:,}"))
    return [*lines, *(Text(note, "dim") for note in started.notes)]


def training(now: Figures) -> RenderableType:
    """Return the bars of epochs and steps, with the figures beside them."""
    table = Table.grid(padding=(0, 1), expand=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(width=20)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    first = f"loss {now.loss:.4f}  accuracy {now.accuracy:.4f}  lr {now.lr:.2g}"
    second = f"{now.speed:,.0f} images/s  waiting {now.waiting:.0%}  {duration(now.left)} left"
    table.add_row("epoch", ProgressBar(now.epochs, now.epoch - 1, width=20), f"{now.epoch}/{now.epochs}", Text(first))
    table.add_row("step", ProgressBar(now.steps, now.step, width=20), f"{now.step}/{now.steps}", Text(second))
    return table


def evaluating(event: Evaluating) -> RenderableType:
    """Return the bar of an evaluation."""
    table = Table.grid(padding=(0, 1))
    bar = ProgressBar(event.total, event.done, width=20)
    verb = "evaluating" if event.split in SPLITS else "computing"
    table.add_row(Text(f"{verb} {event.split}", "bold"), bar, f"{event.done:,}/{event.total:,}")
    return table


def epoch_header(total: int) -> Text:
    """Return the line that names the figures of the epoch lines."""
    names = "".join(f"{name:>{width}}" for name, width in COLUMNS.values())
    return Text(f"{'epoch':>{_epoch_width(total)}}{names}{'images/s':>11}", "bold")


def epoch_line(event: EpochDone, total: int, samples: int) -> Text:
    """Return the line that an epoch leaves behind; `samples` were trained on in its time."""
    text = Text(f"{f'{event.epoch}/{total}':>{_epoch_width(total)}}", "bold")
    for metric, (_, width) in COLUMNS.items():
        text.append(f"{event.metrics[metric]:{width}.4f}" if metric in event.metrics else f"{'–':>{width}}", "not bold")
    seconds = event.timings.get("training_seconds", event.timings.get("seconds", 0.0))
    text.append(f"{samples / seconds:11,.0f}" if samples and seconds > 0 else f"{'–':>11}", "not bold dim")
    return text.append("  best" if event.best else "", "not bold green")


def _epoch_width(total: int) -> int:
    return max(len("epoch"), 2 * len(str(total)) + 1)


def duration(seconds: float) -> str:
    """Return seconds as `1:02:03` or `2:03`."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
