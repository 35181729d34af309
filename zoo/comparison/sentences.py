"""Verdicts in words, no stronger than the design of the comparison allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoo.comparison.paired import LEAST_PAIRS
from zoo.comparison.plan import Plan

Row = Mapping[str, Any]
CAME = {True: "as declared", False: "not as declared", None: "undecided"}
FEW_SEEDS = 4  # below, intervals at six seeds' coverage of 95 % cover 92 % (three) or 87 % (two)


def points(share: float) -> str:
    """Return a share of accuracy in percentage points."""
    return f"{100 * share:.2f}".replace("-", "−")


def span(row: Row) -> str:
    """Return an interval in points."""
    return f"{100 * row['level']:g} % interval {points(row['low'])} to {points(row['high'])}"


def upward(row: Row) -> Row:
    """Return a difference as that of the higher and the lower: where it is negative, turned round."""
    if row["estimate"] >= 0:
        return row
    return {**row, "estimate": -row["estimate"], "low": -row["high"], "high": -row["low"]}


def pair(row: Row, margin: float, alpha: float) -> str:
    """Return what a declared comparison of two recipes found."""
    found = row["difference"]
    scope = _scope(found, "These two trained models")
    if row["p_holm"] <= alpha:
        sure = f"{span(upward(found))}; p = {row['p_holm']:.2g} after Holm"
        return f"{scope}{_higher(row['a'], row['b'], found)} ({sure})."
    return scope + _undecided(row["a"], row["b"], found, row, margin)


def family(row: Row, alpha: float) -> str:
    """Return what a declared comparison of two families found: of families, of these architectures, or of one pair."""
    these, ours, theirs = row["these"], _named(row, "a"), _named(row, "b")
    if row["claim"] == "families":
        welch, exact = row["welch"], row["permutation"]
        test = f"exact permutation of architectures p = {row['p_holm']:.2g} after Holm, the least possible {row['smallest_holm']:.2g}"
        interval = f"{span(upward(welch) if row['p_holm'] <= alpha else welch)}; " if welch else ""
        sizes = f"{len(row['members_a'])} against {len(row['members_b'])} architectures"
        if row["p_holm"] <= alpha and welch and welch["low"] * welch["high"] > 0:
            return f"{_higher(row['a'], row['b'], exact)}: {sizes} ({interval}{test})."
        between = f"the families {row['a']} and {row['b']} is shown: {points(exact['estimate'])} points"
        return f"No difference between {between} of {sizes} ({interval}{test})."
    if these is None:
        return f"{ours} and {theirs} have no seed in common: nothing can be said."
    missing = f" For a claim about families it takes {' and '.join(row['missing'])}." if row["missing"] else ""
    scope = _scope(these, "These trained models")
    if row["p_holm"] <= alpha:
        sure = f"{span(upward(these))}; p = {row['p_holm']:.2g} after Holm"
        return f"{scope}{_higher(ours, theirs, these)} ({sure}).{missing}"
    fixed = {**these, "p_holm": row["p_holm"]}
    return scope + _undecided(ours, theirs, these, fixed, these["equivalence"]["margin"]) + missing


def _scope(found: Row, models: str) -> str:
    """Return what a sentence must begin with where seeds are too few to speak for others."""
    if not found["covers_seeds"]:
        return f"{models} only, on other test images: "
    if found["seeds"] < FEW_SEEDS:
        return f"Of {found['seeds']} seeds, whose spread is hardly known: "
    return ""


def effect(row: Row) -> str:
    """Return whether an effect came as it was declared."""
    expected, found = row["expected"], row["difference"]
    against = "" if row["against"] is None else f" against {row['against']}"
    declared = {
        "falls": f"a fall, estimated at {points(expected['margin'])} points or more and certain in its sign",
        "rises": f"a rise, estimated at {points(expected['margin'])} points or more and certain in its sign",
        "equivalent": f"equivalence within {points(expected['margin'])} points",
    }[expected["sign"]]
    return (
        f"{row['recipe']} at {row['value']}{against}: {'+' * (found['estimate'] > 0)}{points(found['estimate'])} points"
        f" ({span(found)}): {expected['came']}, {declared}."
    )


def notes(plan: Plan, conditions: Sequence[Row]) -> list[str]:
    """Return what a reader must know of the design: what was not declared, and what is missing for stronger words."""
    found = []
    if not plan.primary and not plan.question.expect:
        found.append("No comparison was declared beforehand: all differences are exploratory, given as intervals only.")
    sizes = {row["name"]: "×".join(map(str, row["image"])) for condition in conditions for row in condition["recipes"]}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name} {size}" for name, size in sizes.items())
        found.append(f"The networks saw images of different sizes, which may be all that differs: {told}.")
    seeds = plan.question.seeds
    if seeds == 1:
        found.append("One seed: the intervals are about these trained models; another seed may turn the order round.")
    elif seeds < FEW_SEEDS:
        found.append(f"{seeds} seeds: the intervals cover less than they say (about {'87' if seeds == 2 else '92'} %).")
    if seeds < LEAST_PAIRS:
        found.append(f"A sign-flip test needs {LEAST_PAIRS} paired seeds, and there are {seeds}.")
    for condition in conditions:
        short = [row["name"] for row in condition["recipes"] if len(row["seeds"]) < seeds]
        absent = {c.name for c in plan.contestants} - {row["name"] for row in condition["recipes"]}
        where = "" if condition["value"] is None else f" at {condition['value']}"
        if short or absent:
            found.append(f"Not all runs{where} are finished: {', '.join([*short, *sorted(absent)])}.")
    return found


def _higher(a: str, b: str, found: Row) -> str:
    first, second = (a, b) if found["estimate"] > 0 else (b, a)
    verb = "score" if first.startswith("these ") else "scores"
    return f"{_opening(first)} {verb} higher than {second} by {points(abs(found['estimate']))} points"


def _opening(name: str) -> str:
    """Return a subject as a sentence begins with it; names of recipes stay as they are."""
    return f"T{name[1:]}" if name.startswith("these ") else name


def _undecided(a: str, b: str, found: Row, tests: Row, margin: float) -> str:
    values = f"difference {points(found['estimate'])} points, {span(found)}"
    if tests["equivalence"]["equivalent"]:
        return f"{_opening(a)} and {b} are equivalent within {points(margin)} points ({values})."
    return (
        f"No difference between {a} and {b} is shown ({values}; p = {tests['p_holm']:.2g} after Holm); one of"
        f" {points(tests['detectable'])} points would have been found with a power of 80 %."
    )


def _named(row: Row, side: str) -> str:
    members = row[f"members_{side}"]
    if len(members) == 1:
        return str(members[0])
    return f"these {len(members)} {row[side]} architectures ({', '.join(members)})"
