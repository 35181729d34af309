"""The curve of a learning-rate range test, in the dots of braille or as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from zoo.drawing import ACCENT, CURVE, GRID, HEIGHT, INK, POINTS, SECOND, WIDTH, line, opening, round_figures, words

if TYPE_CHECKING:
    from zoo.training.lr_find import Sweep

Point = tuple[float, float]
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # bits of Unicode's braille patterns, row by row
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 64, 56  # margins of the SVG, in pixels


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
        return round_figures(self.bottom, self.top, count)


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
    inner = f'x="{_LEFT}" y="{_TOP}" width="{WIDTH - _LEFT - _RIGHT}" height="{HEIGHT - _TOP - _BOTTOM}"'
    curve = " ".join(f"{x:.1f},{y:.1f}" for x, y in _pixels(frame, sweep.rates, sweep.smoothed))
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2"/>' for x, y in _pixels(frame, sweep.rates, sweep.losses)]
    parts = [
        opening(),
        f'<defs><clipPath id="inside"><rect {inner}/></clipPath></defs>',
        words(_LEFT, 26, f"{sweep.recipe}: learning-rate range test", size=16),
        *_axes(frame),
        f'<g clip-path="url(#inside)"><g fill="{POINTS}">{"".join(dots)}</g>',
        f'<polyline points="{curve}" fill="none" stroke="{CURVE}" stroke-width="2.5" stroke-linejoin="round"/></g>',
        f'<rect {inner} fill="none" stroke="{INK}"/>',
        *_markers(frame, sweep),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _pixels(frame: Frame, rates: Sequence[float], losses: Sequence[float]) -> list[Point]:
    """Return pixel positions; what is far outside is brought near, because drawing programs dislike large numbers."""
    places = [frame.place(rate, loss) for rate, loss in zip(rates, losses, strict=True)]
    return [(_x(across), _y(min(max(up, -1.0), 3.0))) for across, up in places]


def _x(across: float) -> float:
    return _LEFT + across * (WIDTH - _LEFT - _RIGHT)


def _y(up: float) -> float:
    return HEIGHT - _BOTTOM - up * (HEIGHT - _TOP - _BOTTOM)


def _axes(frame: Frame) -> Iterator[str]:
    for exponent in frame.decades():
        x = _x(frame.place(10.0**exponent, frame.bottom)[0])
        yield line(x, _y(0), x, _y(1), GRID)
        yield words(x, _y(0) + 18, power_of_ten(exponent), anchor="middle")
    for loss in frame.losses():
        y = _y(frame.place(frame.left, loss)[1])
        yield line(_x(0), y, _x(1), y, GRID)
        yield words(_LEFT - 8, y + 4.5, f"{loss:.4g}", anchor="end")
    yield words(_x(0.5), HEIGHT - 14, "learning rate", anchor="middle")
    middle = _y(0.5)
    yield f'<g transform="rotate(-90 18 {middle:.1f})">{words(18, middle, "loss", anchor="middle")}</g>'


def _markers(frame: Frame, sweep: Sweep) -> Iterator[str]:
    """Yield a dashed line and a word for each rate; the words stand above the plot, one over the other."""
    rows = (("steepest descent", sweep.steepest, ACCENT, 56), ("minimum / 10", sweep.tenth, SECOND, 40))
    for word, rate, colour, y in rows:
        if rate is None or not frame.left <= rate <= frame.right:
            continue
        x = _x(frame.place(rate, frame.bottom)[0])
        yield line(x, y + 4, x, _y(0), colour, dash="5 4")
        left = x > WIDTH / 2
        yield words(
            x - 5 if left else x + 5, y, f"{word}: {rate:.2g}", anchor="end" if left else "start", colour=colour
        )
