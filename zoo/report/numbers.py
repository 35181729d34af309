"""Figures as tables and reports show them: accuracies in per cent, differences in percentage points, counts with a letter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOTHING = "–"
_LETTERS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_SMALLEST_P = 0.0001


def percent(share: float | None, digits: int = 2) -> str:
    """Return a share in per cent, without the sign."""
    return NOTHING if share is None else f"{100 * share:.{digits}f}"


def points(difference: float | None) -> str:
    """Return a difference of shares in percentage points, with its sign."""
    if difference is None:
        return NOTHING
    rounded = round(100 * difference, 2)
    return f"{rounded:+.2f}".replace("-", "−") if rounded else "0.00"


def decimal(value: float | None, digits: int = 3) -> str:
    """Return a figure with so many decimals; a missing one is a dash."""
    return NOTHING if value is None else f"{value:.{digits}f}".replace("-", "−")


def between(row: Mapping[str, Any]) -> str:
    """Return the ends of an accuracy's interval in per cent."""
    return f"{percent(row['low'])} to {percent(row['high'])}"


def span(row: Mapping[str, Any]) -> str:
    """Return the ends of a difference's interval in percentage points."""
    return f"{points(row['low'])} to {points(row['high'])}"


def compact(count: float | None) -> str:
    """Return a count to three digits: 999, 61.7 k, 2.24 M."""
    if count is None:
        return NOTHING
    # Rounding comes first, so that 999,999 is 1.00 M and not 1000 k.
    rounded = float(f"{count:.3g}")
    for size, letter in _LETTERS:
        if rounded >= size:
            value = rounded / size
            return f"{value:.{2 - len(str(int(value))) + 1}f} {letter}"
    return f"{rounded:g}"


def p_value(p: float | None) -> str:
    """Return a p to two digits; below 0.0001 it says so."""
    if p is None:
        return NOTHING
    return f"< {_SMALLEST_P}" if p < _SMALLEST_P else f"{p:.2g}"


def minutes(value: float) -> str:
    """Return minutes, in seconds or hours where these read better."""
    if value < 1:
        return f"{60 * value:.0f} s" if value >= 1 / 6 else f"{60 * value:.1f} s"
    return f"{value:.1f} min" if value < 120 else f"{value / 60:.1f} h"


def figure(value: float | None, metric: str) -> str:
    """Return a monitored figure: an accuracy in per cent, anything else to four decimals."""
    return percent(value) if metric.endswith("accuracy") else decimal(value, 4)


def settings(parameters: Mapping[str, Any]) -> str:
    """Return settings as `lr 0.0123, strength 0.05`: the last word of each name, floats to three digits."""
    shown = ((name.rpartition(".")[2], value) for name, value in parameters.items())
    return ", ".join(f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in shown)
