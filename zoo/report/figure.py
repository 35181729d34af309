"""The look of all plots, and how one becomes SVG inside a page: colours by CSS variables, no date, no address, no chance."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH = 4.6  # inches: with letters of 9 points this is read on a phone, and may be drawn larger on a wide screen
INK, PALE, GRID, PAPER, BAND = "#1a1b1e", "#6f7480", "#d9dce1", "#fefefd", "#2f9e44"
# Colours of Okabe and Ito, "Color universal design", 2008, which most kinds of colour blindness tell apart.
_LOOKS = {
    "cnn": ("#0072b2", "o"),
    "rnn": ("#d55e00", "s"),
    "hybrid": ("#009e73", "^"),
    "attention": ("#cc79a7", "D"),
    "mlp": ("#e69f00", "v"),
}
OTHER = ("#56b4e9", "P")
# What stands in the SVG for a colour, so that a page in dark colours has its own.
_VARIABLES = {
    INK: "--ink",
    PALE: "--pale",
    GRID: "--grid",
    PAPER: "--paper",
    BAND: "--band",
    OTHER[0]: "--family-other",
    **{color: f"--family-{family}" for family, (color, _) in _LOOKS.items()},
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": PALE,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "axes.labelsize": 9,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": PALE,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.color": PALE,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8.5,
}
_SHAPES = {
    "o": '<circle cx="6" cy="6" r="4.6"/>',
    "s": '<path d="M2 2h8v8H2z"/>',
    "^": '<path d="M6 1l5.2 9.6H.8z"/>',
    "D": '<path d="M6 .4L11.6 6 6 11.6.4 6z"/>',
    "v": '<path d="M6 11L.8 1.4h10.4z"/>',
    "P": '<path d="M4 1h4v3h3v4H8v3H4V8H1V4h3z"/>',
}
LINES: tuple[Any, ...] = (
    "-",
    (0, (5, 2)),
    (0, (1, 1.5)),
    (0, (5, 1.5, 1, 1.5)),
)  # of the members of one family, in turn


def color(family: str) -> str:
    """Return the colour of a family."""
    return _LOOKS.get(family, OTHER)[0]


def look(number: int) -> tuple[str, Any]:
    """Return the family whose colour and marker the nth of several things has that belong to none, and its kind of line."""
    return list(_LOOKS)[number % len(_LOOKS)], LINES[number // len(_LOOKS) % len(LINES)]


def marker(family: str) -> str:
    """Return the marker of a family, so that it is told without its colour too."""
    return _LOOKS.get(family, OTHER)[1]


def symbol(family: str) -> str:
    """Return the marker of a family in its colour as a small SVG that stands in a line of text."""
    shape = _SHAPES[marker(family)]
    return f'<svg class="symbol" viewBox="0 0 12 12" aria-hidden="true" fill="var({_VARIABLES[color(family)]})">{shape}</svg>'


def style(name: str) -> AbstractContextManager[None]:
    """Return a context in which a plot of this name is made and becomes SVG; names of one page must differ."""
    return matplotlib.style.context(["default", {**_STYLE, "svg.hashsalt": name}])  # whatever the user's own style is


def plot(name: str, title: str, size: tuple[float, float], draw: Callable[[Figure], None]) -> str:
    """Return the SVG of a plot of this size in inches; `title` is what a reader who does not see it is told."""
    with style(name), warnings.catch_warnings():
        # A letter that the font lacks is measured wrong by a little; the reader's own font has it.
        warnings.filterwarnings("ignore", r"Glyph \d+")
        figure = Figure(figsize=size, layout="constrained")
        figure.patch.set_visible(False)
        draw(figure)
        for axes in figure.axes:
            axes.patch.set_visible(False)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg")
    return inline(buffer.getvalue(), title)


def inline(svg: str, title: str) -> str:
    """Return matplotlib's SVG as an element of a page: nothing that names an address, no id without use, colours by name."""
    body = svg[svg.index("<svg") :]
    for pattern in (r"<metadata>.*?</metadata>", r"<style.*?</style>", r"<!--.*?-->"):
        body = re.sub(pattern, "", body, flags=re.DOTALL)
    # Only the two halves of every use of a clip path or a marker are needed.
    used = set(re.findall(r"url\(#([^)]+)\)", body)) | set(re.findall(r'href="#([^"]+)"', body))
    body = re.sub(r' id="([^"]+)"', lambda match: match[0] if match[1] in used else "", body)
    body = body.replace("xlink:href", "href").replace("<defs>\n  \n </defs>", "")
    body = re.sub(r"font-family: [^;\"]+", "font-family: inherit", body)
    body = re.sub(r"font: ([\d.]+px) [^;\"]+", r"font-size: \1", body)
    body = re.sub("#[0-9a-f]{6}", lambda match: _by_variable(match[0]), body)
    box = re.search(r'viewBox="([^"]+)"', body)
    assert box is not None
    opening = f'<svg class="plot" viewBox="{box[1]}" role="img" aria-label="{_escaped(title)}"'
    opening += f' style="--width: {float(box[1].split()[2]):g}">'
    return opening + re.sub(r"[ \n]*\n[ \n]*", "\n", body[body.index(">") + 1 :])


def _by_variable(color: str) -> str:
    return f"var({_VARIABLES[color]})" if color in _VARIABLES else color


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")


def spread(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return positions in the same order, at least `gap` apart, as near to the given ones as can be, within low and high.

    Where they do not fit, they are evenly spread from low to high.
    """
    order = sorted(range(len(positions)), key=lambda index: (positions[index], index))
    if not order or gap * (len(order) - 1) >= high - low:
        step = (high - low) / max(1, len(order) - 1)
        return [low + order.index(index) * step for index in range(len(order))]
    blocks: list[tuple[float, int]] = []  # the lowest position of labels that touch, and how many these are
    for index in order:
        start, count = min(max(positions[index], low), high), 1
        while blocks and blocks[-1][0] + blocks[-1][1] * gap > start:
            before, members = blocks.pop()
            # The middle of all that touch is the mean of where they would be alone.
            start = (before * members + (start - members * gap) * count) / (members + count)
            count += members
            start = min(max(start, low), high - (count - 1) * gap)
        blocks.append((start, count))
    placed = [start + number * gap for start, count in blocks for number in range(count)]
    return [placed[order.index(index)] for index in range(len(order))]


def label_ends(figure: Figure, axes: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Write names at the right of lines that end at (x, y), in their colours; names never overlap."""
    low, high = axes.get_ylim()
    height = axes.get_position().height * figure.get_figheight() * 72 * 0.85  # points, less what labels below take
    gap = (high - low) * 10.5 / height
    heights = spread([y for _, y, _, _ in ends], gap, low + gap / 2, high - gap / 2)
    for (x, y, text, ink), place in zip(ends, heights, strict=True):
        axes.annotate(
            text,
            (x, y),
            (1.04, place),
            xycoords="data",
            textcoords=("axes fraction", "data"),
            color=ink,
            fontsize=8.5,
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": PALE,
                "linewidth": 0.5,
                "relpos": (0, 0.5),
                "shrinkA": 1,
                "shrinkB": 2,
            },
        )
