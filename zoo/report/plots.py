"""Plots of single figures with their intervals: accuracies, differences, effects, and accuracy against cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import Bbox

from zoo.report.figure import BAND, GRID, INK, PALE, PAPER, WIDTH, color, marker, plot
from zoo.report.numbers import compact

Row = Mapping[str, Any]
LEAST_SPAN = 1.5  # of costs, the largest over the smallest, in a plot that fits them closely
ROW = 0.36  # inches of a row with its name above it
_PLACES = ((7, 0), (-7, 0), (0, 8), (0, -8), (6, 7), (-6, 7), (6, -7), (-6, -7), (0, 16), (0, -16), (8, 15), (8, -15))


def accuracies(name: str, recipes: Sequence[Row]) -> str:
    """Return the accuracies of recipes with their intervals, one above the other; each seed is a faint dot."""

    def draw(figure: Figure) -> None:
        axes = _rows(figure, [row["name"] for row in recipes])
        for y, row in enumerate(recipes):
            found, ink = row["accuracy"], color(row["family"])
            axes.plot([100 * found["low"], 100 * found["high"]], [y, y], color=ink, linewidth=1.8, zorder=2)
            seeds = [100 * seed["accuracy"] for seed in row["seeds"]]
            axes.plot(seeds, [y + 0.17] * len(seeds), "o", color=ink, markersize=3.4, alpha=0.5, markeredgewidth=0)
            _dot(axes, 100 * found["estimate"], y, row["family"])
        axes.set_xlabel("accuracy on test, %")

    return plot(name, f"Accuracy of {len(recipes)} recipes with intervals", _tall(len(recipes)), draw)


def forest(name: str, rows: Sequence[Row], margin: float) -> str:
    """Return differences with their intervals; a row has `label`, `estimate`, `low`, `high` and `declared`.

    The band is where a difference counts as none; what was not declared is pale.
    """

    def draw(figure: Figure) -> None:
        axes = _rows(figure, [row["label"] for row in rows])
        axes.axvspan(-100 * margin, 100 * margin, color=BAND, alpha=0.18, linewidth=0)
        axes.axvline(0, color=PALE, linewidth=0.9)
        for y, row in enumerate(rows):
            ink = INK if row["declared"] else PALE
            width, face = (2.0, ink) if row["declared"] else (1.1, PAPER)
            axes.plot([100 * row["low"], 100 * row["high"]], [y, y], color=ink, linewidth=width, zorder=2)
            axes.plot(100 * row["estimate"], y, "D", color=ink, markerfacecolor=face, markersize=4.5, zorder=3)
        axes.set_xlabel("difference of accuracy, percentage points")

    return plot(name, f"{len(rows)} differences of accuracy with intervals", _tall(len(rows)), draw)


def effects(name: str, rows: Sequence[Row]) -> str:
    """Return the effects of one value of the varied setting on all recipes: bars with intervals, and what was declared."""

    def draw(figure: Figure) -> None:
        axes = _rows(figure, [f"{row['recipe']}{_came(row['expected'])}" for row in rows])
        axes.axvline(0, color=PALE, linewidth=0.9)
        for y, row in enumerate(rows):
            found, ink = row["difference"], color(row["family"])
            axes.barh(y, 100 * found["estimate"], height=0.26, color=ink, alpha=0.35, zorder=1)
            axes.plot([100 * found["low"], 100 * found["high"]], [y, y], color=ink, linewidth=1.8, zorder=2)
            _dot(axes, 100 * found["estimate"], y, row["family"])
        axes.set_xlabel("change of accuracy, percentage points")

    return plot(name, f"Change of accuracy of {len(rows)} recipes with intervals", _tall(len(rows)), draw)


def _came(expected: Row | None) -> str:
    return "" if expected is None else f" – {expected['came']}"


def pareto(name: str, title: str, recipes: Sequence[Row], cost: Callable[[Row], float | None]) -> str | None:
    """Return accuracy against a cost on a logarithmic axis, with the frontier of what nothing cheaper reaches.

    None where fewer than two recipes have the cost.
    """
    priced = [(value, row) for row in recipes if (value := cost(row))]
    if len(priced) < 2:
        return None

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.set_xscale("log")
        axes.margins(x=0.12, y=0.1)
        for value, row in priced:
            found, ink = row["accuracy"], color(row["family"])
            axes.plot([value] * 2, [100 * found["low"], 100 * found["high"]], color=ink, linewidth=1.2, alpha=0.5)
            _dot(axes, value, 100 * found["estimate"], row["family"])
        edge = frontier([(value, 100 * row["accuracy"]["estimate"]) for value, row in priced])
        corners = [
            (x, y)
            for before, (x, top) in zip([None, *edge], edge, strict=False)
            for y in ((before or (x, top))[1], top)
        ]
        axes.plot([x for x, _ in corners], [y for _, y in corners], color=PALE, linewidth=1, linestyle="--")
        axes.set(xlabel=title, ylabel="accuracy on test, %")
        least, most = min(value for value, _ in priced), max(value for value, _ in priced)
        if most < LEAST_SPAN * least:  # costs that hardly differ stand close together
            middle = (least * most) ** 0.5
            axes.set_xlim(middle / LEAST_SPAN, middle * LEAST_SPAN)
        _plain_logarithms(axes)
        figure.canvas.draw()
        _label(axes, [(value, 100 * row["accuracy"]["estimate"], row["name"]) for value, row in priced], _drawn(axes))

    return plot(name, f"Accuracy against {title}", (WIDTH, 3.3), draw)


def frontier(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return, in order of cost, the (cost, figure) pairs that are above all that cost no more."""
    best: list[tuple[float, float]] = []
    for cost, figure in sorted(points, key=lambda point: (point[0], -point[1])):
        if not best or figure > best[-1][1]:
            best.append((cost, figure))
    return best


def _rows(figure: Figure, labels: Sequence[str]) -> Axes:
    """Return axes with one row for each label, which stands above it, so that long names need no room beside the plot."""
    axes = figure.add_subplot()
    axes.set_ylim(len(labels) - 0.6, -0.75)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    for y, label in enumerate(labels):
        axes.annotate(
            label, (0, y), (0, 5.5), xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=8.5
        )
        axes.axhline(y, color=GRID, linewidth=0.6, zorder=0)
    axes.margins(x=0.05)
    return axes


def _tall(rows: int) -> tuple[float, float]:
    return WIDTH, 0.62 + ROW * rows


def _dot(axes: Axes, x: float, y: float, family: str) -> None:
    axes.plot(
        x, y, marker(family), color=color(family), markersize=7, markeredgecolor=PAPER, markeredgewidth=0.8, zorder=4
    )


def _plain_logarithms(axes: Axes) -> None:
    """Write the values of a logarithmic axis as counts: some at even steps, of 1, 2 and 5, or powers of ten, as it is wide."""
    low, high = axes.get_xlim()
    if high / low < 5:
        axes.xaxis.set_major_locator(MaxNLocator(4))
    else:
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 200 else (1,)))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: compact(value).replace(".00", "").replace(".0 ", " "))
    )
    axes.xaxis.set_minor_formatter(NullFormatter())


def _label(axes: Axes, points: Sequence[tuple[float, float, str]], lines: Sequence[Bbox]) -> None:
    """Write a name beside each point, at the first of some places where it covers nothing, else where it covers least."""
    taken = [*lines, *(_around(axes, x, y) for x, y, _ in points)]
    inside = axes.get_window_extent()
    for x, y, text in points:
        tried = []
        for place in _PLACES:
            written = _written(axes, x, y, text, place)
            box = written.get_window_extent()
            written.remove()
            outside = box.width * box.height - _overlap(box, inside)
            tried.append((sum(_overlap(box, other) for other in taken) + 4 * outside, place, box))
        _, best, box = min(tried, key=lambda each: round(each[0], 3))
        _written(axes, x, y, text, best)
        taken.append(box)


def _drawn(axes: Axes) -> list[Bbox]:
    """Return what the lines of a plot cover, each of their horizontal and vertical pieces."""
    paths = [axes.transData.transform(line.get_path().vertices) for line in axes.lines]
    corners = [pair for path in paths for pair in pairwise(path)]
    return [
        Bbox([[min(a[0], b[0]) - 1, min(a[1], b[1]) - 1], [max(a[0], b[0]) + 1, max(a[1], b[1]) + 1]])
        for a, b in corners
    ]


def _written(axes: Axes, x: float, y: float, text: str, place: tuple[int, int]) -> Annotation:
    right, up = place
    return axes.annotate(
        text,
        (x, y),
        place,
        textcoords="offset points",
        ha="left" if right > 0 else "right" if right < 0 else "center",
        va="bottom" if up > 0 else "top" if up < 0 else "center",
        fontsize=8,
    )


def _around(axes: Axes, x: float, y: float, reach: float = 5) -> Bbox:
    across, up = axes.transData.transform((x, y))
    return Bbox([[across - reach, up - reach], [across + reach, up + reach]])


def _overlap(a: Bbox, b: Bbox) -> float:
    shared = Bbox.intersection(a, b)
    return 0.0 if shared is None else float(shared.width * shared.height)
