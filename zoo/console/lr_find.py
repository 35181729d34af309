"""What `zoo lr-find` prints: the curve, the rates of interest, what to type next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.text import Text

from zoo.console.lr_plot import Frame, braille, power_of_ten
from zoo.console.results import grid, plain_table

if TYPE_CHECKING:
    from zoo.training.lr_find import Sweep

_MARGIN = 8  # columns for the numbers beside the plot
_HEIGHT = 14
_ROWS = 20  # of the table that stands for the plot in a pipe
_WIDEST = 100
_ENDS = {
    "highest rate": "at the highest rate",
    "diverged": "the loss was four times its best",
    "not finite": "the loss was not finite any more",
}


def lr_card(sweep: Sweep, path: str | None) -> RenderableType:
    """Return the curve of a range test, the two rates, why it ended, and where the curve was drawn."""
    facts = grid()
    if sweep.steepest is None or sweep.tenth is None:
        facts.add_row("suggestion", "none: the loss fell nowhere; try a lower --from, or more --steps")
    else:
        facts.add_row("steepest descent", Text.assemble((f"{sweep.steepest:.2g}", "bold green"), "   (recommended)"))
        facts.add_row("minimum / 10", f"{sweep.tenth:.2g}")
    facts.add_row("recipe has", f"{sweep.current:g}")
    facts.add_row("ended", f"after {len(sweep.rates)} steps at {sweep.rates[-1]:.2g}: {_ENDS[sweep.ended]}")
    if path is not None:
        facts.add_row("written", Text(path, "cyan"))
    return Group(Curve(sweep), Text(), facts)


def next_step(command: str) -> Text:
    """Return what to type next; a command is to be copied, and is printed without folds."""
    return Text.assemble(("next: ", "bold"), (command, "cyan"))


class Curve:
    """The averaged loss over the rate: a plot on a terminal, some lines of figures elsewhere."""

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        if console.is_terminal:
            yield from self._plot(min(options.max_width, _WIDEST) - _MARGIN)
        else:
            yield self._table()

    def _table(self) -> RenderableType:
        sweep = self._sweep
        table = plain_table("learning rate", "loss")
        table.add_column("", justify="left")
        last = len(sweep.rates) - 1
        for index in sorted({round(i * last / (_ROWS - 1)) for i in range(_ROWS)} | self._marked().keys()):
            rate, loss = sweep.rates[index], sweep.smoothed[index]
            table.add_row(f"{rate:.2e}", f"{loss:.4f}", self._marked().get(index, ""))
        return table

    def _marked(self) -> dict[int, str]:
        steepest = self._sweep.steepest
        return {} if steepest is None else {self._sweep.rates.index(steepest): "steepest descent"}

    def _plot(self, width: int) -> Iterator[RenderableType]:
        frame = Frame.of(self._sweep)
        points = [frame.place(*point) for point in zip(self._sweep.rates, self._sweep.smoothed, strict=True)]
        labels = {round((1 - frame.place(frame.left, v)[1]) * (_HEIGHT - 1)): f"{v:.4g}" for v in frame.losses(4)}
        marker = None if self._sweep.steepest is None else self._column(frame, self._sweep.steepest, width)
        yield Text("loss", "bold")
        for row, dots in enumerate(braille(points, width, _HEIGHT)):
            yield Text.assemble((f"{labels.get(row, ''):>6} ", "dim"), "│", _marked(dots, marker))
        yield Text(" " * 7 + "└" + "─" * width)
        yield self._decades(frame, width)

    def _column(self, frame: Frame, rate: float, width: int) -> int:
        return round(frame.place(rate, frame.bottom)[0] * (width - 1))

    def _decades(self, frame: Frame, width: int) -> Text:
        """Return the powers of ten under the axis, as many as there is room for."""
        line = ""
        for exponent in frame.decades():
            label = power_of_ten(exponent)
            start = _MARGIN + self._column(frame, 10.0**exponent, width) - len(label) // 2
            if start > len(line) and start + len(label) <= _MARGIN + width:
                line = f"{line:<{start}}{label}"
        return Text(line, "dim")


def _marked(dots: str, column: int | None) -> Text:
    """Return a row of the plot with the upright of the recommended rate, where the curve leaves room for it."""
    text = Text(dots, "blue")
    if column is None:
        return text
    here = "┊" if dots[column] == " " else dots[column]
    return Text.assemble(text[:column], (here, "green"), text[column + 1 :])
