"""What a simulation shows in words, no stronger than its design allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoo.active.compared import CONTROL, Compared
from zoo.active.curves import METRICS, Curve
from zoo.active.reaching import UNTOLD
from zoo.comparison.paired import LEAST_PAIRS
from zoo.comparison.sentences import FEW_SEEDS, points, span, upward

Row = Mapping[str, Any]
FEW_ITEMS = 200  # of which one is half a point of accuracy or more


def pair(row: Row, alpha: float) -> str:
    """Return what a declared comparison of two strategies found."""
    a, b, found = row["a"], row["b"], row["difference"]
    if found is None:
        return f"Nothing can be said of {a} against {b}: {row['missing']}."
    over, scope, p = _over(*row["range"]), _scope(found), f"p = {row['p_holm']:.2g} after Holm"
    if row["p_holm"] <= alpha:
        first, second = (a, b) if found["estimate"] > 0 else (b, a)
        gain = points(abs(found["estimate"]))
        return f"{scope}{first} is ahead of {second} by {gain} points of mean accuracy {over} ({span(upward(found))}; {p})."
    return (
        f"{scope}No difference between {a} and {b} is shown {over} (difference {points(found['estimate'])} points,"
        f" {span(found)}; {p}); one of {points(row['detectable'])} points would have been found with a power of 80 %."
    )


def _over(low: float, high: float) -> str:
    return f"at {low:,.0f} answers" if low == high else f"over {low:,.0f} to {high:,.0f} answers"


def _scope(found: Row) -> str:
    if not found["covers_seeds"]:
        return "These simulations of one seed only, on other test images: "
    if found["seeds"] < FEW_SEEDS:
        return f"Of {found['seeds']} seeds, whose spread is hardly known: "
    return ""


def saving(row: Row) -> str:
    """Return how many answers a strategy saves on the way to random's accuracy at its last number of answers."""
    final, name = row["final"], row["strategy"]
    aim = f"random's accuracy at {row['random_last']:,.0f} answers, {100 * final['accuracy']:.2f} %,"
    if final["answers"] is None:
        return f"{name} does not reach {aim} with {final['last']:,.0f} answers."
    if final["factor_text"] == UNTOLD:
        return f"{aim[0].upper()}{aim[1:]} was reached before anything was asked: what {name} saves cannot be told."
    return (
        f"{name} reaches {aim} with {final['text']} answers, random with {final['random_text']}: a saving factor of"
        f" {final['factor_text']} (of mean curves, without an interval)."
    )


def helps(row: Row) -> str:
    """Return at which numbers of answers a strategy does not help against random."""
    name = row["strategy"]
    if not row["rounds"]:
        return f"{name} has no round in common with random after the initial set."
    if not row["open"] and not row["worse"]:
        return f"{name} is better than random at all numbers of answers after the initial set: {row['better']}."
    told = [f"{name} is better than random at {row['better']} answers"] if row["better"] else []
    told += [f"no gain of {name} over random is shown at {row['open']} answers"] if row["open"] else []
    told += [f"{name} is worse than random at {row['worse']} answers"] if row["worse"] else []
    return f"Round by round, {'; '.join(told)}."


def notes(plan: Row, found: Compared, primary: Sequence[tuple[str, str]], pairs: Sequence[Row]) -> list[str]:
    """Return what a reader must know of the design, and what is missing for stronger words."""
    told = []
    if not plan.get("primary"):
        told.append("No pair was declared beforehand: the verdicts are of each strategy against random.")
    if CONTROL not in found.curves:
        told.append(
            "Random was not simulated: what learning actively saves, and where it does not help, cannot be told."
        )
    if not found.judged:
        told.append(
            f"The answers to single images are not those of {METRICS[found.metric][0]} passes: differences between"
            " strategies and all intervals over images are of the accuracy without them."
        )
    items = found.every[0].correct.shape[1]
    if items < FEW_ITEMS:
        told.append(f"{items} test images: each is {points(1 / items)} points of accuracy.")
    return [*told, *_of_seeds(found, primary, pairs), *_of_lengths(plan, found)]


def _of_seeds(found: Compared, primary: Sequence[tuple[str, str]], pairs: Sequence[Row]) -> list[str]:
    counts = [len(row["seeds"]) for row in pairs if row["primary"] and row["seeds"]]
    seeds, told = min(counts or [len(curves) for curves in found.curves.values()]), []
    if seeds == 1:
        told.append("One seed: intervals are about these simulations; another seed may turn the order round.")
    elif seeds < FEW_SEEDS:
        told.append(f"{seeds} seeds: the intervals cover less than they say (about {'87' if seeds == 2 else '92'} %).")
    if seeds < LEAST_PAIRS:
        told.append(f"A sign-flip test needs {LEAST_PAIRS} paired seeds, and there are {seeds}.")
    least = max([row["smallest_holm"] for row in pairs if row["primary"] and row["smallest_holm"]], default=0.0)
    if seeds >= LEAST_PAIRS and least > 0.05:
        told.append(
            f"With {seeds} seeds and {len(primary)} declared pairs a sign-flip test cannot go below {least:.2g} after Holm;"
            " the verdicts rest on the intervals over seeds and images."
        )
    return told


def _of_lengths(plan: Row, found: Compared) -> list[str]:
    told, absent = [], [name for name in plan.get("strategies", ()) if name not in found.curves]
    if absent:
        told.append(f"Without a simulation to compare: {', '.join(absent)}.")
    wanted = (plan.get("question") or {}).get("seeds", 0)
    if fewer := [f"{name} has {len(curves)}" for name, curves in found.curves.items() if len(curves) < wanted]:
        told.append(f"Of {wanted} seeds that were planned {', '.join(fewer)}.")
    if unfinished := [_ending(curve) for curve in found.every if not curve.finished]:
        told.append(f"Not finished: {', '.join(unfinished)}.")
    if (plan.get("targets") or CONTROL in found.curves) and any(curve.stopped for curve in found.every):
        told.append(
            "Answers to an accuracy are read from means in which a simulation that was stopped keeps its last one."
        )
    longest = max(curve.answers[-1] for curve in found.every)
    if found.range is None:
        told.append("The simulations share no range of answers: areas of strategies cannot be told.")
    elif found.range[1] < longest:
        first = [_ending(curve) for curve in found.every if curve.answers[-1] == found.range[1]]
        told.append(
            f"The areas of strategies are {_over(*found.range)}, which all simulations reach, and not up to {longest:,.0f}:"
            f" the shortest {'is' if len(first) == 1 else 'are'} {', '.join(first)}. A difference is over what its own two reach."
        )
    return told


def _ending(curve: Curve) -> str:
    return f"{curve.strategy} with seed {curve.seed} ({curve.answers[-1]:,.0f} answers)"
