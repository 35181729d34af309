"""The curve of a learning-rate range test, in the dots of braille or as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from zoo.training.lr_find import Sweep

Point = tuple[float, float]
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # bits of Unicode's braille patterns, row by row
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 720, 420, 64, 24, 64, 56  # of the SVG and its margins, in pixels
_CURVE, _BATCHES, _INK, _GRID, _ACCENT, _SECOND = "#1f6feb", "#b6c2d1", "#1c2128", "#e4e8ee", "#c9252d", "#6b7480"


@dataclass(frozen=True, slots=True)
class Frame:
    """The part of the plane that is drawn: rates on a logarithmic axis, losses on a linear one."""

    left: float
    right: float
    bottom: float
    top: float

    @classmethod
    def of(cls, sweep: Sweep) -> Frame:
        """Return all rates, and losses from the best to somewhat above where they fell from; a blow-up runs out of it."""
        best = min(sweep.smoothed)
        start = max(sweep.smoothed[: sweep.smoothed.index(best) + 1])
        span = start - best or abs(best) / 2 or 1.0
        return cls(sweep.rates[0], sweep.rates[-1], best - 0.15 * span, start + 0.35 * span)

    def place(self, rate: float, loss: float) -> Point:
        """Return where a point lies, (0, 0) at the lower left and (1, 1) at the upper right."""
        across = math.log(rate / self.left) / math.log(self.right / self.left)
        return across, (loss - self.bottom) / (self.top - self.bottom)

    def decades(self) -> list[int]:
        """Return the powers of ten among the rates."""
        return list(range(math.ceil(math.log10(self.left) - 1e-9), math.floor(math.log10(self.right) + 1e-9) + 1))

    def losses(self, count: int = 5) -> list[float]:
        """Return about so many round losses, in even steps of 1, 2 or 5 times a power of ten."""
        rough = (self.top - self.bottom) / count
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
        return [i * step for i in range(math.ceil(self.bottom / step), math.floor(self.top / step) + 1)]


def power_of_ten(exponent: int) -> str:
    """Return 10 with its exponent raised."""
    return f"10{str(exponent).translate(_SUPERSCRIPT)}"


def braille(points: Sequence[Point], width: int, height: int) -> list[str]:
    """Return the line through points of the unit square as `height` rows of `width` characters; what lies outside is left out."""
    cells = [[0] * width for _ in range(height)]
    for across, up in _dense(points, 8 * max(width, height)):
        column, row = round(across * (2 * width - 1)), round((1 - up) * (4 * height - 1))
        if 0 <= column < 2 * width and 0 <= row < 4 * height:
            cells[row // 4][column // 2] |= _DOTS[row % 4][column % 2]
    return ["".join(chr(0x2800 + bits) if bits else " " for bits in row) for row in cells]


def _dense(points: Sequence[Point], count: int) -> Iterator[Point]:
    """Yield points along the line, `count` for each unit of its longer extent."""
    for (x0, y0), (x1, y1) in pairwise(points):
        steps = max(1, math.ceil(count * min(4.0, max(abs(x1 - x0), abs(y1 - y0)))))
        yield from ((x0 + (x1 - x0) * i / steps, y0 + (y1 - y0) * i / steps) for i in range(steps + 1))


def svg(sweep: Sweep) -> str:
    """Return the plot as an SVG document of 720×420 pixels: batches, their average, and the two rates of interest."""
    frame = Frame.of(sweep)
    inner = f'x="{_LEFT}" y="{_TOP}" width="{_WIDTH - _LEFT - _RIGHT}" height="{_HEIGHT - _TOP - _BOTTOM}"'
    curve = " ".join(f"{x:.1f},{y:.1f}" for x, y in _pixels(frame, sweep.rates, sweep.smoothed))
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2"/>' for x, y in _pixels(frame, sweep.rates, sweep.losses)]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"'
        ' font-family="Helvetica, Arial, sans-serif" font-size="13">',
        f'<defs><clipPath id="inside"><rect {inner}/></clipPath></defs>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        _text(_LEFT, 26, f"{sweep.recipe}: learning-rate range test", size=16),
        *_axes(frame),
        f'<g clip-path="url(#inside)"><g fill="{_BATCHES}">{"".join(dots)}</g>',
        f'<polyline points="{curve}" fill="none" stroke="{_CURVE}" stroke-width="2.5" stroke-linejoin="round"/></g>',
        f'<rect {inner} fill="none" stroke="{_INK}"/>',
        *_markers(frame, sweep),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _pixels(frame: Frame, rates: Sequence[float], losses: Sequence[float]) -> list[Point]:
    """Return pixel positions; what is far outside is brought near, because drawing programs dislike large numbers."""
    places = [frame.place(rate, loss) for rate, loss in zip(rates, losses, strict=True)]
    return [(_x(across), _y(min(max(up, -1.0), 3.0))) for across, up in places]


def _x(across: float) -> float:
    return _LEFT + across * (_WIDTH - _LEFT - _RIGHT)


def _y(up: float) -> float:
    return _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)


def _axes(frame: Frame) -> Iterator[str]:
    for exponent in frame.decades():
        x = _x(frame.place(10.0**exponent, frame.bottom)[0])
        yield _line(x, _y(0), x, _y(1), _GRID)
        yield _text(x, _y(0) + 18, power_of_ten(exponent), anchor="middle")
    for loss in frame.losses():
        y = _y(frame.place(frame.left, loss)[1])
        yield _line(_x(0), y, _x(1), y, _GRID)
        yield _text(_LEFT - 8, y + 4.5, f"{loss:.4g}", anchor="end")
    yield _text(_x(0.5), _HEIGHT - 14, "learning rate", anchor="middle")
    middle = _y(0.5)
    yield f'<g transform="rotate(-90 18 {middle:.1f})">{_text(18, middle, "loss", anchor="middle")}</g>'


def _markers(frame: Frame, sweep: Sweep) -> Iterator[str]:
    """Yield a dashed line and a word for each rate; the words stand above the plot, one over the other."""
    rows = (("steepest descent", sweep.steepest, _ACCENT, 56), ("minimum / 10", sweep.tenth, _SECOND, 40))
    for word, rate, colour, y in rows:
        if rate is None or not frame.left <= rate <= frame.right:
            continue
        x = _x(frame.place(rate, frame.bottom)[0])
        yield _line(x, y + 4, x, _y(0), colour, dash="5 4")
        left = x > _WIDTH / 2
        yield _text(
            x - 5 if left else x + 5, y, f"{word}: {rate:.2g}", anchor="end" if left else "start", colour=colour
        )


def _line(x0: float, y0: float, x1: float, y1: float, colour: str, dash: str = "") -> str:
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{colour}"{dashes}/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = _INK, size: int = 13) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="{size}">{escape(text)}</text>'
    )
