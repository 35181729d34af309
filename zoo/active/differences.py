"""Differences between strategies: over the whole budget with a verdict for those declared, and round by round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from scipy import stats

from zoo.active.compared import CONTROL, Compared
from zoo.active.curves import Curve, Floats, shared, together
from zoo.comparison import paired
from zoo.comparison.crossed import Estimate, detectable, interval
from zoo.comparison.verdicts import ALPHA, POWER, plain
from zoo.errors import StatisticsError

Row = dict[str, Any]
PENALTY_LEVEL = 0.9


def declared(plan: Mapping[str, Any], found: Compared) -> list[tuple[str, str]]:
    """Return the declared pairs; where none is declared, each strategy against random."""
    pairs = [(str(a), str(b)) for a, b in plan.get("primary") or ()]
    names = dict.fromkeys([*plan.get("strategies", ()), *found.names])
    return pairs or [(name, CONTROL) for name in names if name != CONTROL and CONTROL in names]


def pairs(found: Compared, primary: Sequence[tuple[str, str]], smallest: Sequence[float] = ()) -> list[Row]:
    """Return the declared pairs, then every other two strategies; the latter have intervals only.

    A difference is that of two areas, the mean accuracies over `range`, which all simulations of the two share, with the
    interval over seeds × test items, each item's own area being a cell. `p_holm` is corrected for the number of declared
    pairs; what could not be compared counts among them. `missing` says why there is no difference.
    """
    others = [pair for pair in combinations(found.names, 2) if not {pair, pair[::-1]} & set(primary)]
    rows = [_pair(found, a, b, len(primary)) for a, b in primary]
    ps = [row["difference"]["p"] if row["difference"] else 1.0 for row in rows]
    for number, (row, p) in enumerate(zip(rows, paired.holm(ps) if ps else (), strict=True)):
        count = len(row["seeds"])
        attainable = paired.smallest_after_holm(count, len(primary)) if 0 < count <= paired.MOST_PAIRS else None
        row |= {"p_holm": p, "smallest_holm": smallest[number] if number < len(smallest) else attainable}
    return rows + [_pair(found, a, b) for a, b in others]


def _pair(found: Compared, a: str, b: str, comparisons: int = 0) -> Row:
    row: Row = {"a": a, "b": b, "primary": comparisons > 0, "seeds": [], "range": None, "missing": None}
    row |= {"difference": None, "detectable": None, "sign_flip": None, "p_holm": None, "smallest_holm": None}
    try:
        seeds, bounds, table = _areas(found, a, b)
        estimate = interval(table, found.level)
    except StatisticsError as error:
        return {**row, "missing": error.problem}
    difference = plain(estimate) if comparisons else {**plain(estimate), "p": None}
    row |= {"seeds": seeds, "range": list(bounds), "by_seed": table.mean(axis=1).tolist(), "difference": difference}
    row["detectable"] = detectable(estimate, ALPHA / max(1, comparisons), POWER)
    return {**row, "sign_flip": _sign_flip(table.mean(axis=1)) if comparisons else None}


def _areas(found: Compared, a: str, b: str) -> tuple[list[int], tuple[float, float], Floats]:
    """Return the seeds that both strategies have, the range that these share, and differences of areas over it `(seeds, items)`.

    Raises StatisticsError where there is none, and where neither strategy has chosen yet: it would compare the initial sets.
    """
    for name in (a, b):
        if name not in found.curves:
            raise StatisticsError(f"{name} has no simulation to compare")
    ours, theirs = found.paired(a, b)
    if not ours:
        raise StatisticsError("they have no seed in common")
    bounds = shared([*ours, *theirs])
    if bounds is None:
        raise StatisticsError("their simulations share no range of answers")
    if bounds[1] <= _started(ours, theirs):
        raise StatisticsError("they share no round after the initial set")
    table = np.stack([found.area(x, *bounds) - found.area(y, *bounds) for x, y in zip(ours, theirs, strict=True)])
    return [curve.seed for curve in ours], bounds, table


def _sign_flip(figures: Floats) -> Row:
    try:
        return plain(paired.sign_flip(figures))
    except StatisticsError as error:
        return {"missing": error.problem}


def penalties(found: Compared, level: float = PENALTY_LEVEL) -> Row:
    """Return the pairwise penalty matrix: for each two strategies the share of rounds in which the first is shown to be better.

    Ash et al., "Deep batch active learning by diverse, uncertain gradient lower bounds", ICLR 2020: a two-sided paired t test
    over seeds at each number of answers, here at 90 %. Rounds count from the first in which both have chosen; uncorrected, as
    in the paper. `better` sums a row, `worse` a column. A cell is None on the diagonal, and where fewer than two seeds or no
    round is shared.
    """
    names = found.names
    matrix = [[None if a == b else _better(*found.paired(a, b), found.metric, level) for b in names] for a in names]
    return {
        "level": level,
        "strategies": names,
        "matrix": matrix,
        "better": [_sum(row) for row in matrix],
        "worse": [_sum(column) for column in zip(*matrix, strict=True)],
    }


def _sum(shares: Sequence[float | None]) -> float | None:
    known = [share for share in shares if share is not None]
    return sum(known) if known else None


def _better(ours: Sequence[Curve], theirs: Sequence[Curve], metric: str, level: float) -> float | None:
    if len(ours) < 2:
        return None
    every, count = together([*ours, *theirs], metric), len(ours)
    late = every.answers > _started(ours, theirs)
    # Differences that are equal on paper differ in their last bits.
    gaps = np.round(every.values[:count, late] - every.values[count:, late], 12)
    if not gaps.size:
        return None
    mean, error = gaps.mean(axis=0), gaps.std(axis=0, ddof=1) / np.sqrt(count)
    return float((mean > float(stats.t.isf((1 - level) / 2, count - 1)) * error).mean())


def _started(ours: Sequence[Curve], theirs: Sequence[Curve]) -> float:
    """Return the number of answers up to which one of the curves is at its initial set, which no strategy chose."""
    return max(float(curve.answers[0]) for curve in (*ours, *theirs))


def against_random(found: Compared) -> list[Row]:
    """Return, for each strategy, its difference to random over the budget and at each number of answers, with its outcome.

    An outcome is `better` or `worse` where the interval over seeds × items lies above or below zero, else `open`. Intervals
    of single rounds are not corrected for their number. Nothing where random was not simulated.
    """
    if CONTROL not in found.curves:
        return []
    return [_helps(found, name) for name in found.names if name != CONTROL]


def _helps(found: Compared, name: str) -> Row:
    ours, theirs = found.paired(name, CONTROL)
    rounds = _rounds(ours, theirs, found.level) if ours else []
    try:
        _, bounds, table = _areas(found, name, CONTROL)
        area = {"range": list(bounds), **_outcome(interval(table, found.level))}
    except StatisticsError:
        area = None
    counts = {
        outcome: runs([row["answers"] for row in rounds], [row["outcome"] == outcome for row in rounds])
        for outcome in ("better", "open", "worse")
    }
    return {"strategy": name, "seeds": len(ours), "area": area, "rounds": rounds, **counts}


def _rounds(ours: Sequence[Curve], theirs: Sequence[Curve], level: float) -> list[Row]:
    start, last = _started(ours, theirs), min(curve.answers[-1] for curve in (*ours, *theirs))
    counts = np.unique(np.concatenate([curve.answers for curve in (*ours, *theirs)]))
    rows = []
    for count in counts[(counts > start) & (counts <= last)].tolist():
        table = np.stack([a.right_at(count) - b.right_at(count) for a, b in zip(ours, theirs, strict=True)])
        try:
            rows.append({"answers": count, **_outcome(interval(table, level))})
        except StatisticsError:  # between rounds all items may differ alike, which leaves no interval
            rows.append(
                {"answers": count, "estimate": float(table.mean()), "low": None, "high": None, "outcome": "open"}
            )
    return rows


def _outcome(estimate: Estimate) -> Row:
    outcome = "better" if estimate.low > 0 else "worse" if estimate.high < 0 else "open"
    return {"estimate": estimate.estimate, "low": estimate.low, "high": estimate.high, "outcome": outcome}


def runs(counts: Sequence[float], chosen: Sequence[bool]) -> str:
    """Return the chosen of some counts as text, those that follow each other as a range: `40–80, 120`."""
    edges = [False, *chosen, False]
    turns = [index for index, (before, after) in enumerate(pairwise(edges)) if before != after]
    told = [(counts[first], counts[after - 1]) for first, after in zip(turns[::2], turns[1::2], strict=True)]
    return ", ".join(f"{low:,.0f}" if low == high else f"{low:,.0f}–{high:,.0f}" for low, high in told)
