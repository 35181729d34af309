"""How many answers strategies need: to errors that were named beforehand, and against random sampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.active.compared import CONTROL, Compared
from zoo.active.curves import Floats, Together, first_within, held, needed, smoothed

Row = dict[str, Any]
LEVELS = 9  # accuracies at which savings are given
UNTOLD = "–"  # instead of a factor, where something was reached before anything was chosen


def targets(found: Compared, errors: Sequence[float], smooth: int = 1) -> list[Row]:
    """Return, for each strategy, the answers to each target error: of its mean curve over seeds, and of each seed.

    It is the first round at which the mean error of the last `smooth` rounds up to it is at most the target. Where there is
    none, `answers` is None and `text` says `> N` with the last number of answers. A seed that a rule has stopped keeps its last
    error in the mean, so that the first to stop does not cut the others short.
    """
    return [
        {"strategy": name, "reached": [_target(found, name, each, smooth) for each in errors]} for name in found.names
    ]


def _target(found: Compared, name: str, error: float, smooth: int) -> Row:
    own = held(found.curves[name], found.metric)
    seeds = [
        {"seed": curve.seed, **_first(curve.answers, curve.values(found.metric), error, smooth)}
        for curve in found.curves[name]
    ]
    return {"error": error, **_first(own.answers, own.mean, error, smooth), "seeds": seeds}


def _first(answers: Floats, accuracies: Floats, error: float, smooth: int) -> Row:
    if not len(answers):
        return {"answers": None, "text": "–"}
    count = first_within(answers, smoothed(1 - accuracies, smooth), error)
    return {"answers": count, "text": _text(count, answers)}


def savings(found: Compared, errors: Sequence[float]) -> list[Row]:
    """Return, for each strategy but random, how many times as many answers random needs to the same accuracy.

    Both needs are read from the running maximum of the mean curve over seeds, straight between rounds: at `levels` that both
    curves reach above the higher of their starts, at the `targets`, and, `final`, at random's accuracy at its last number of
    answers, `random_last`. A seed that a rule has stopped keeps its last accuracy in the mean. What was not reached has the
    answers None and a text: a factor `> x` where random alone did not reach it, `< x` where the strategy alone did not. What
    was reached before anything was chosen tells of no saving. Nothing where random was not simulated.
    """
    if CONTROL not in found.curves:
        return []
    control, rows = held(found.curves[CONTROL], found.metric), []
    for name in found.names:
        own = held(found.curves[name], found.metric)
        if name != CONTROL and len(own.answers) and len(control.answers):
            targets = [{"error": error, **_saving(control, own, 1 - error)} for error in errors]
            final = _saving(control, own, float(control.mean[-1]))
            levels = [_saving(control, own, value) for value in _levels(control, own)]
            last = float(control.answers[-1])
            row = {"strategy": name, "against": CONTROL, "random_last": last}
            rows.append({**row, "levels": levels, "targets": targets, "final": final})
    return rows


def _levels(a: Together, b: Together) -> list[float]:
    low, high = max(a.mean[0], b.mean[0]), min(a.mean.max(), b.mean.max())
    return [] if low >= high else [float(value) for value in np.linspace(low, high, LEVELS + 1)[1:]]


def _saving(control: Together, own: Together, accuracy: float) -> Row:
    theirs, ours = (needed(each.answers, each.mean, accuracy) for each in (control, own))
    return {
        "accuracy": accuracy,
        "random": theirs,
        "random_text": _text(theirs, control.answers),
        "answers": ours,
        "text": _text(ours, own.answers),
        "last": float(own.answers[-1]),
        **_factor(control, own, theirs, ours),
    }


def _factor(control: Together, own: Together, theirs: float | None, ours: float | None) -> Row:
    if theirs == control.answers[0] or ours == own.answers[0]:
        return {"factor": None, "factor_text": UNTOLD}
    if theirs is not None and ours is not None:
        return {"factor": theirs / ours, "factor_text": f"{theirs / ours:.2f}"}
    if ours is not None:
        return {"factor": None, "factor_text": f"> {control.answers[-1] / ours:.2f}"}
    text = "not reached" if theirs is None else f"< {theirs / own.answers[-1]:.2f}"
    return {"factor": None, "factor_text": text}


def _text(count: float | None, answers: Floats) -> str:
    return f"> {answers[-1]:,.0f}" if count is None else f"{count:,.0f}"
