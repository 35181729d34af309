"""What simulations of active learning say, as one JSON-ready mapping from which the terminal's tables and the report are made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.active import sentences
from zoo.active.compared import Compared, compared
from zoo.active.curves import METRICS, Curve, Floats, area, band, figure
from zoo.active.differences import against_random, declared, pairs, penalties
from zoo.active.reaching import savings, targets
from zoo.comparison.crossed import accuracy
from zoo.comparison.verdicts import ALPHA, plain
from zoo.errors import StatisticsError

Row = dict[str, Any]
# Figures of a round beside the metric, by their group and key.
FIGURES = {
    "mc_accuracy": ("mc", "accuracy"),
    "balanced_accuracy": ("test", "balanced_accuracy"),
    "loss": ("test", "loss"),
    "robustness": ("robustness", "accuracy"),
    "classes": ("labelled", "classes"),
    "purity": ("queries", "known"),
    "repeats": ("queries", "repeats"),
    "gate_auroc": ("gate", "auroc"),
    "gate_fpr95": ("gate", "fpr95"),
    "gate_kept": ("gate", "kept"),
}


def analyse(plan: Mapping[str, Any], curves: Sequence[Curve]) -> Row:
    """Return the analysis of simulations, finished or not, of the strategies of a plan.

    `strategies` has each one's curve, area under the budget curve and final accuracy; `targets`, `savings`, `pairs`,
    `penalties` and `against_random` compare them, `figures` follows what else a round has, and `verdicts` says it in
    sentences. Areas are over `range`, the numbers of answers that all simulations reach; a pair has its own. Raises StatisticsError where there
    is no curve, and for curves that cannot be compared.
    """
    found = compared(plan, curves)
    primary, errors = declared(plan, found), plan.get("targets") or ()
    analysis: Row = {
        "plan": dict(plan),
        "command": plan.get("command"),
        "metric": found.metric,
        "judged": found.judged,
        "level": found.level,
        "smooth": plan.get("smooth") or 1,
        "range": list(found.range) if found.range else None,
        "strategies": [_strategy(found, name) for name in found.names],
        "targets": targets(found, errors, plan.get("smooth") or 1),
        "savings": savings(found, errors),
        "pairs": pairs(found, primary, plan.get("smallest") or ()),
        "penalties": penalties(found),
        "against_random": against_random(found),
        "figures": _figures(found),
    }
    return {**analysis, "verdicts": _verdicts(plan, found, primary, analysis)}


def _strategy(found: Compared, name: str) -> Row:
    """Return the curve of a strategy.

    `answers` and `mean` are where all its seeds are, `band` is for the mean over seeds, and `counts` says how many seeds
    have a round at each number of answers.
    """
    own, curves = found.together(name), found.curves[name]
    ends = band(own.values, found.level)
    return {
        "name": name,
        "answers": own.answers.tolist(),
        "mean": own.mean.tolist() if len(own.answers) else [],
        "band": {"low": ends[0].tolist(), "high": ends[1].tolist()} if ends else None,
        "counts": [{"answers": count, "seeds": seeds} for count, seeds in _counts(curves)],
        "seeds": [_seed(found, curve) for curve in curves],
        "area": _area(found, name),
        "final": _final(found, name, float(own.answers[-1])) if len(own.answers) else None,
    }


def _counts(curves: Sequence[Curve]) -> list[tuple[float, int]]:
    return sorted(Counter(count for curve in curves for count in curve.answers.tolist()).items())


def _seed(found: Compared, curve: Curve) -> Row:
    return {
        "seed": curve.seed,
        "answers": curve.answers.tolist(),
        "labels": [row.get("labels", row["answers"]) for row in curve.rounds],
        "values": curve.values(found.metric).tolist(),
        "area": area(curve, found.metric, *found.range) if found.range else None,
        "finished": curve.finished,
        "stop": curve.rounds[-1].get("stop"),
    }


def _area(found: Compared, name: str) -> Row | None:
    """Return the mean area of a strategy's seeds, with the interval of a mean accuracy over seeds × items."""
    if found.range is None:
        return None
    curves = found.curves[name]
    mean = float(np.mean([area(curve, found.metric, *found.range) for curve in curves]))
    return {"mean": mean, "interval": _interval(found, [found.area(curve, *found.range) for curve in curves])}


def _final(found: Compared, name: str, count: float) -> Row:
    """Return the accuracy at the highest number of answers that all seeds of a strategy reach, and its interval."""
    table = [curve.right_at(count) for curve in found.curves[name]]
    return {"answers": count, "mean": float(found.together(name).mean[-1]), "interval": _interval(found, table)}


def _interval(found: Compared, rows: Sequence[Floats]) -> Row | None:
    """Return the interval of an accuracy, None where items were not judged by the metric or do not differ at all."""
    if not found.judged:
        return None
    try:
        return plain(accuracy(np.stack(rows), found.level))
    except StatisticsError:  # all seeds' areas are the same on all items, which leaves no interval
        return None


def _figures(found: Compared) -> Row:
    """Return, by figure and strategy, its mean over the seeds that have it at each number of answers, and their number."""
    shown = {name: place for name, place in FIGURES.items() if place != METRICS[found.metric]}
    by_name = {
        name: {strategy: series for strategy in found.names if (series := _series(found.curves[strategy], *place))}
        for name, place in shown.items()
    }
    return {name: series for name, series in by_name.items() if series}


def _series(curves: Sequence[Curve], group: str, key: str) -> Row | None:
    by_count: dict[float, list[float]] = {}
    for row in (row for curve in curves for row in curve.rounds):
        if (value := figure(row, group, key)) is not None:
            by_count.setdefault(float(row["answers"]), []).append(value)
    if not by_count:
        return None
    values = dict(sorted(by_count.items()))
    means = [float(np.mean(each)) for each in values.values()]
    every = [value for each in values.values() for value in each]
    seeds = [len(each) for each in values.values()]
    return {"answers": list(values), "mean": means, "seeds": seeds, "overall": float(np.mean(every))}


def _verdicts(plan: Mapping[str, Any], found: Compared, primary: Sequence[tuple[str, str]], analysis: Row) -> list[Row]:
    """Return sentences: a row has `text`, and `about`: `pair`, `saving`, `helps` or `note`."""
    told = [("pair", sentences.pair(row, ALPHA)) for row in analysis["pairs"] if row["primary"]]
    told += [("saving", sentences.saving(row)) for row in analysis["savings"]]
    told += [("helps", sentences.helps(row)) for row in analysis["against_random"]]
    told += [("note", text) for text in sentences.notes(plan, found, primary, analysis["pairs"])]
    return [{"about": about, "text": text} for about, text in told]
