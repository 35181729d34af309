"""Parts of pictures in SVG: the opening, lines, words, and round figures for an axis."""

from __future__ import annotations

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 420  # pixels
INK, GRID, CURVE, POINTS, ACCENT, SECOND = "#1c2128", "#e4e8ee", "#1f6feb", "#b6c2d1", "#c9252d", "#6b7480"


def opening(height: float = HEIGHT) -> str:
    """Return the root element's beginning and a white ground of 720 pixels' width."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" height="{height:g}"'
        ' font-family="Helvetica, Arial, sans-serif" font-size="13">\n'
        f'<rect width="{WIDTH}" height="{height:g}" fill="#ffffff"/>'
    )


def line(x0: float, y0: float, x1: float, y1: float, colour: str, dash: str = "") -> str:
    """Return a line between two points."""
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{colour}"{dashes}/>'


def words(x: float, y: float, text: str, *, anchor: str = "start", colour: str = INK, size: int = 13) -> str:
    """Return text whose start, middle or end stands at a point."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="{size}">{escape(text)}</text>'
    )


def round_figures(low: float, high: float, count: int = 5) -> list[float]:
    """Return about so many round figures from low to high, in even steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
