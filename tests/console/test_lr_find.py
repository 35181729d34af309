from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from typing import Any

import pytest
from rich.console import Console

from zoo.console.lr_find import lr_card
from zoo.console.lr_plot import Frame, braille, power_of_ten, svg
from zoo.training.lr_find import Sweep, average

RATES = tuple(10 ** (-6 + i / 10) for i in range(61))
LOSSES = tuple(2.3 - 0.03 * max(0, i - 30) + (9.0 if i > 55 else 0.0) for i in range(61))


def result(**fields: Any) -> Sweep:
    common: dict[str, Any] = {
        "recipe": "a<b",
        "setting": "optimizer.lr",
        "current": 0.1,
        "rates": RATES,
        "losses": LOSSES,
        "smoothed": tuple(average(LOSSES)),
        "steepest": RATES[45],
        "tenth": RATES[50] / 10,
        "ended": "diverged",
        "notes": (),
    }
    return Sweep(**{**common, **fields})


def printed(sweep: Sweep, *, terminal: bool, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, no_color=True, legacy_windows=False)
    console.print(lr_card(sweep, None))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_lines_are_drawn_in_dots() -> None:
    assert braille([(0, 0), (0, 1)], 2, 1) == ["⡇ "]
    assert braille([(0, 1), (1, 1)], 3, 2) == ["⠉⠉⠉", "   "]
    assert braille([(0, 0.5), (1, 5)], 2, 1)[0].strip() != ""  # what lies above is left out


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_terminal_shows_a_plot_within_its_width(width: int) -> None:
    lines = printed(result(), terminal=True, width=width).splitlines()
    assert all(len(line) <= max(width, 100) for line in lines) and lines[0].strip() == "\x1b[1mloss\x1b[0m"
    text = "\n".join(lines)
    assert any("\u2800" < sign <= "\u28ff" for sign in text) and "┊" in text and "10⁻³" in text


def test_a_pipe_gets_lines_of_figures() -> None:
    text = printed(result(), terminal=False)
    rows = [line for line in text.splitlines() if "e-" in line]
    assert 20 <= len(rows) <= 21 and not any("\u2800" < sign <= "\u28ff" for sign in text)
    assert [row.split()[0] for row in rows if "steepest descent" in row] == ["3.16e-02"]


def test_the_card_says_what_is_recommended_and_why_it_ended() -> None:
    text = printed(result(), terminal=False)
    for part in ("0.032   (recommended)", "minimum / 10", "four times its best"):
        assert part in text
    without = printed(result(steepest=None, tenth=None), terminal=True)
    assert "none: the loss fell nowhere" in without


def test_the_frame_holds_the_fall_and_leaves_the_blow_up_out() -> None:
    sweep = result()
    frame = Frame.of(sweep)
    assert frame.place(frame.left, frame.bottom) == (0, 0) and frame.place(frame.right, frame.top) == (1, 1)
    assert frame.bottom < min(sweep.smoothed) and 2.3 < frame.top < max(sweep.smoothed)
    assert frame.decades() == [-6, -5, -4, -3, -2, -1, 0]
    ticks = frame.losses()
    assert 3 <= len(ticks) <= 8 and all(frame.bottom <= tick <= frame.top for tick in ticks)
    assert len({round(b - a, 9) for a, b in pairwise(ticks)}) == 1


def test_a_flat_curve_has_a_frame_too() -> None:
    frame = Frame.of(result(losses=(1.0,) * 61, smoothed=(1.0,) * 61))
    assert frame.bottom < 1 < frame.top and frame.losses()


def test_the_picture_has_axes_curve_batches_and_the_two_rates() -> None:
    root = ElementTree.fromstring(svg(result()))
    space = "{http://www.w3.org/2000/svg}"
    words = [element.text for element in root.iter(f"{space}text")]
    assert words[0] == "a<b: learning-rate range test"
    assert {"10⁻⁶", "10⁰", "learning rate", "loss", "steepest descent: 0.032", "minimum / 10: 0.01"} <= set(words)
    (curve,) = root.iter(f"{space}polyline")
    points = [tuple(map(float, pair.split(","))) for pair in (curve.get("points") or "").split()]
    assert len(points) == 61 and points[0][0] == 64.0 and points[-1][0] == 696.0
    assert all(before[0] < after[0] for before, after in pairwise(points))
    assert len(list(root.iter(f"{space}circle"))) == 61
    dashed = [element for element in root.iter(f"{space}line") if element.get("stroke-dasharray")]
    assert [float(element.get("x1") or 0) for element in dashed] == pytest.approx(
        [64 + 632 * 0.75, 64 + 632 * 4 / 6], abs=0.1
    )


def test_powers_of_ten_are_written_with_raised_exponents() -> None:
    assert [power_of_ten(k) for k in (-12, 0, 3)] == ["10⁻¹²", "10⁰", "10³"]
