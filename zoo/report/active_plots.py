"""Plots of simulations of active learning: learning curves with bands, gains over random, and other figures round by round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor, log10
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from zoo.report.curves import limits_of
from zoo.report.figure import PALE, WIDTH, color, label_ends, look, marker, plot

Row = Mapping[str, Any]
Looks = Mapping[str, tuple[str, Any]]  # by strategy: the family whose colour and marker it has, and its kind of line
CONTROL, OTHER = "random", "other"
MOST_BANDS = 5  # in one plot: more hide each other
SMALL = (2.6, 2.1)  # inches
LINE = 0.16  # inches that the name of one more line takes


def looks(names: Sequence[str]) -> Looks:
    """Return the look of each strategy, all different as far as there are enough; random's is always the same."""
    others = [name for name in names if name != CONTROL]
    # The first look is as blue as random's: it is the last to be given.
    return {CONTROL: (OTHER, "-"), **{name: look(number) for number, name in enumerate(others, start=1)}}


def learning(name: str, strategies: Sequence[Row], shown: Looks, metric: str) -> str:
    """Return the mean curves of all strategies, with their bands where these can be told apart."""
    rows = [row for row in strategies if row["answers"]]

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for row in rows:
            _curve(axes, row, shown, bands=len(rows) <= MOST_BANDS)
        _finish(axes, f"{metric} on test, %", rows)
        label_ends(figure, axes, [_end(row, shown) for row in rows])

    return plot(name, "Accuracy against the number of answers", _tall(len(rows)), draw)


def _end(row: Row, shown: Looks) -> tuple[float, float, str, str]:
    return row["answers"][-1], 100 * row["mean"][-1], row["name"], color(shown[row["name"]][0])


def errors(name: str, strategies: Sequence[Row], shown: Looks, targets: Sequence[float]) -> str | None:
    """Return the errors of the mean curves on a logarithmic scale, the targets as dashed lines; None where there is no error."""
    lines = {
        row["name"]: [(x, log10(100 * (1 - y))) for x, y in zip(row["answers"], row["mean"], strict=True) if y < 1]
        for row in strategies
    }
    lines = {key: points for key, points in lines.items() if points}
    heights = [y for points in lines.values() for _, y in points]
    if not heights:
        return None

    def draw(figure: Figure) -> None:
        axes, room = figure.add_subplot(), 0.06 * (max(heights) - min(heights)) or 0.1
        for key, points in lines.items():
            _line(axes, [x for x, _ in points], [y for _, y in points], *shown[key])
        _axes(axes, "error on test, %")
        axes.set_ylim(min(heights) - room, max(heights) + room)
        _logarithms(axes)
        for target in targets:
            if min(heights) < log10(100 * target) < max(heights):
                axes.axhline(log10(100 * target), color=PALE, linewidth=0.9, linestyle="--")
        ends = [(*points[-1], key, color(shown[key][0])) for key, points in lines.items()]
        label_ends(figure, axes, ends)

    return plot(name, "Error against the number of answers", _tall(len(lines)), draw)


def _logarithms(axes: Axes) -> None:
    """Write the logarithms of an axis as what they are of, at steps of 1, 2 and 5, or at even steps where these are few."""
    low, high = axes.get_ylim()
    steps = [step * 10.0**power for power in range(floor(low), ceil(high) + 1) for step in (1, 2, 5)]
    places = [log10(step) for step in steps if low <= log10(step) <= high]
    if len(places) < 3:
        even = MaxNLocator(5).tick_values(10**low, 10**high)
        places = [log10(step) for step in even if step > 0 and low <= log10(step) <= high]
    axes.yaxis.set_major_locator(FixedLocator(places))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{10**value:g}"))


def seeds(name: str, row: Row, control: Row | None, shown: Looks, metric: str, rows: Sequence[Row]) -> str:
    """Return one strategy's curve with its band and each seed's curve, before random's; the scale is that of all `rows`."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        if control is not None:
            _curve(axes, control, shown, bands=True)
        for seed in row["seeds"]:
            ys = [100 * value for value in seed["values"]]
            axes.plot(seed["answers"], ys, color=color(shown[row["name"]][0]), linewidth=0.7, alpha=0.4)
        _curve(axes, row, shown, bands=True)
        _finish(axes, f"{metric}, %", rows)

    return plot(name, f"Accuracy of {row['name']} against the number of answers, each seed", SMALL, draw)


def gains(name: str, row: Row, shown: Looks, rows: Sequence[Row]) -> str:
    """Return one strategy's difference to random at each number of answers with its interval; the scale is that of all `rows`."""
    family, line = shown[row["strategy"]]
    ends = [
        value for each in rows for at in each["rounds"] for key in ("low", "high") if (value := at[key]) is not None
    ]

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.axhline(0, color=PALE, linewidth=0.9)
        points = [at for at in row["rounds"] if at["low"] is not None]
        xs = [at["answers"] for at in points]
        low, middle, high = ([100 * at[key] for at in points] for key in ("low", "estimate", "high"))
        axes.fill_between(xs, low, high, color=color(family), alpha=0.18, linewidth=0)
        _line(axes, xs, middle, family, line)
        _axes(axes, "points above random")
        low_end, high_end = max(-1.0, min(ends, default=0)), min(1.0, max(ends, default=0))  # an interval may go beyond
        room = 6 * max(high_end - low_end, 0.01)
        axes.set_ylim(min(0, 100 * low_end) - room, max(0, 100 * high_end) + room)

    return plot(name, f"Gain of {row['strategy']} over random against the number of answers", SMALL, draw)


def followed(name: str, title: str, unit: str, scale: float, series: Mapping[str, Row], shown: Looks) -> str:
    """Return a figure's mean over seeds round by round, a line for each strategy."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        ends = []
        for strategy, row in series.items():
            family, line = shown[strategy]
            ys = [scale * value for value in row["mean"]]
            _line(axes, row["answers"], ys, family, line)
            ends.append((row["answers"][-1], ys[-1], strategy, color(family)))
        _axes(axes, unit)
        label_ends(figure, axes, ends)

    return plot(name, f"{title} against the number of answers", _tall(len(series)), draw)


def _curve(axes: Axes, row: Row, shown: Looks, *, bands: bool) -> None:
    family, line = shown[row["name"]]
    if bands and row["band"]:
        low, high = ([100 * value for value in row["band"][end]] for end in ("low", "high"))
        axes.fill_between(row["answers"], low, high, color=color(family), alpha=0.15, linewidth=0)
    _line(axes, row["answers"], [100 * value for value in row["mean"]], family, line)


def _line(axes: Axes, xs: Sequence[float], ys: Sequence[float], family: str, line: Any) -> None:
    axes.plot(xs, ys, marker=marker(family), color=color(family), linestyle=line, linewidth=1.4, markersize=3.6)


def _finish(axes: Axes, label: str, rows: Sequence[Row]) -> None:
    _axes(axes, label)
    axes.set_ylim(limits_of([value for row in rows for seed in row["seeds"] for value in seed["values"]]))
    counts = [count for row in rows for seed in row["seeds"] for count in seed["answers"]]
    room = 0.04 * (max(counts) - min(counts)) or 1
    axes.set_xlim(min(counts) - room, max(counts) + room)


def _axes(axes: Axes, label: str) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set(xlabel="answers", ylabel=label)


def _tall(lines: int) -> tuple[float, float]:
    return WIDTH, max(2.9, 0.7 + LINE * lines)
