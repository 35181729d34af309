"""Plots of lines: learning curves, tuning, accuracy against severity, risk against coverage, reliability."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from zoo.report.figure import LINES, PALE, WIDTH, color, label_ends, marker, plot

Row = Mapping[str, Any]
Limits = tuple[float, float]
HEIGHT = 2.9  # inches
Drawn = tuple[str, str]  # a family, and the SVG of its recipes


def learning(name: str, conditions: Sequence[Row], setting: str) -> list[Drawn]:
    """Return, for each family, accuracy against the number of training images, with the intervals as bands."""
    sizes = [float(condition["train_samples"]) for condition in conditions]
    found = [row["accuracy"] for condition in conditions for row in condition["recipes"]]
    limits = limits_of([row[end] for row in found for end in ("low", "high")])
    by_name = [{row["name"]: row["accuracy"] for row in condition["recipes"]} for condition in conditions]

    def draw(axes: Axes, row: Row, line: Any) -> tuple[float, float]:
        points = [(x, of[row["name"]]) for x, of in zip(sizes, by_name, strict=True) if row["name"] in of]
        xs, ink = [x for x, _ in points], color(row["family"])
        low, middle, high = ([100 * each[key] for _, each in points] for key in ("low", "estimate", "high"))
        axes.fill_between(xs, low, high, color=ink, alpha=0.13, linewidth=0)
        _line(axes, xs, middle, row["family"], line)
        return xs[-1], middle[-1]

    def finish(axes: Axes) -> None:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(sizes))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.set(xlabel=f"training images ({setting})", ylabel="accuracy on test, %", ylim=limits)

    every = {row["name"]: row for condition in conditions for row in condition["recipes"]}
    return _by_family(name, "Accuracy against training images", list(every.values()), draw, finish)


def tuning(name: str, searches: Sequence[Row]) -> list[Drawn]:
    """Return, for each family, the expected best figure on validation against the number of trials; nothing for several figures."""
    metrics = {row["metric"] for row in searches}
    if len(metrics) != 1:
        return []
    (metric,) = metrics
    share = metric.endswith("accuracy")
    unit, scale = ("%", 100.0) if share else ("nats", 1.0)
    figures = [value for row in searches for value in row["expected"]]
    room = 0.06 * (max(figures) - min(figures)) or 0.05
    limits = limits_of(figures) if share else (min(figures) - room, max(figures) + room)

    def draw(axes: Axes, row: Row, line: Any) -> tuple[float, float]:
        trials = list(range(1, len(row["expected"]) + 1))
        middle = [scale * value for value in row["expected"]]
        _line(axes, trials, middle, row["family"], line)
        return trials[-1], middle[-1]

    def finish(axes: Axes) -> None:
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.set(xlabel="trials", ylabel=f"expected best {metric}, {unit}", ylim=limits)

    return _by_family(name, "Expected best figure on validation against trials", searches, draw, finish)


def severities(name: str, robustness: Row, families: Mapping[str, str]) -> list[Drawn]:
    """Return, for each family, accuracy against severity, the mean over all corruptions; severity 0 is the images as they are."""
    levels = robustness["severities"]
    rows = [{**row, "family": families[row["name"]], "means": _means(row, levels)} for row in robustness["recipes"]]
    limits = limits_of([mean for row in rows for mean in row["means"]])

    def draw(axes: Axes, row: Row, line: Any) -> tuple[float, float]:
        middle = [100 * mean for mean in row["means"]]
        _line(axes, [0, *levels], middle, row["family"], line)
        return levels[-1], middle[-1]

    def finish(axes: Axes) -> None:
        axes.xaxis.set_major_locator(FixedLocator([0, *levels]))
        axes.set(xlabel="severity", ylabel="accuracy, %", ylim=limits)

    return _by_family(name, "Accuracy against severity of corruptions", rows, draw, finish)


def _means(row: Row, levels: Sequence[int]) -> list[float]:
    return [row["clean"], *(fmean(by[str(level)] for by in row["by"].values()) for level in levels)]


def risk_coverage(name: str, recipes: Sequence[Row]) -> list[Drawn]:
    """Return, for each family, the share of errors among the most confident answers; one line for each seed."""
    limits = limits_of([risk for row in recipes for seed in row["risk_coverage"] for _, risk in seed])

    def draw(axes: Axes, row: Row, line: Any) -> tuple[float, float]:
        for seed in row["risk_coverage"]:
            xs, ys = ([100 * value for value in column] for column in zip(*seed, strict=True))
            axes.plot(xs, ys, color=color(row["family"]), linestyle=line, linewidth=1.1, alpha=0.75)
        return 100.0, fmean(100 * seed[-1][1] for seed in row["risk_coverage"])

    def finish(axes: Axes) -> None:
        axes.set(xlabel="share of test answered, most confident first, %", ylabel="errors among them, %")
        axes.set_ylim(limits)

    return _by_family(name, "Errors among the most confident answers", recipes, draw, finish)


def reliability(name: str, row: Row) -> str:
    """Return the reliability diagram of one recipe: accuracy against confidence, the area of a dot being its share of samples."""
    bins = row["reliability"]
    most = max(each["samples"] for each in bins)

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot(aspect="equal")
        axes.plot([0, 100], [0, 100], color=PALE, linewidth=0.9, linestyle="--")
        xs, ys = ([100 * each[key] for each in bins] for key in ("confidence", "accuracy"))
        axes.plot(xs, ys, color=color(row["family"]), linewidth=1, alpha=0.6)
        sizes = [6 + 64 * each["samples"] / most for each in bins]
        axes.scatter(
            xs, ys, s=sizes, color=color(row["family"]), marker=marker(row["family"]), alpha=0.85, linewidths=0
        )
        axes.set(xlim=(0, 103), ylim=(0, 103), xticks=[0, 50, 100], yticks=[0, 50, 100])
        axes.set(xlabel="confidence, %", ylabel="accuracy, %")

    return plot(name, f"Reliability diagram of {row['name']}", (2.3, 2.2), draw)


def _by_family(
    name: str,
    title: str,
    rows: Sequence[Row],
    line: Callable[[Axes, Row, Any], tuple[float, float]],
    finish: Callable[[Axes], None],
) -> list[Drawn]:
    """Return one plot for each family, so that no more lines meet in it than can be told apart."""
    return [
        (family, _lines(f"{name}-{family}", f"{title}: {family}", members, line, finish))
        for family in dict.fromkeys(row["family"] for row in rows)
        if (members := [row for row in rows if row["family"] == family])
    ]


def _lines(
    name: str,
    title: str,
    rows: Sequence[Row],
    line: Callable[[Axes, Row, Any], tuple[float, float]],
    finish: Callable[[Axes], None],
) -> str:
    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        ends = [line(axes, row, LINES[index % len(LINES)]) for index, row in enumerate(rows)]
        axes.yaxis.set_major_locator(MaxNLocator(5))
        finish(axes)
        labels = zip(ends, rows, strict=True)
        label_ends(figure, axes, [(x, y, row["name"], color(row["family"])) for (x, y), row in labels])

    return plot(name, title, (WIDTH, HEIGHT), draw)


def _line(axes: Axes, xs: Sequence[float], ys: Sequence[float], family: str, line: Any) -> None:
    axes.plot(xs, ys, marker=marker(family), color=color(family), linestyle=line, linewidth=1.5, markersize=4.5)


def limits_of(shares: Sequence[float]) -> Limits:
    """Return what an axis in per cent shows, the same for all families, with room at either end but not beyond 0 and 100."""
    low, high = 100 * min(shares), 100 * max(shares)
    room = max(0.06 * (high - low), 0.5)
    return max(low - room, -2), min(high + room, 102)
