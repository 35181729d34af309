"""Simulations of active learning in the terminal: what their analysis says, verdicts first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from zoo.console.results import grid, plain_table
from zoo.report.numbers import decimal, minutes, p_value, percent, points, span

Row = Mapping[str, Any]
OUTCOMES = {"better": "green", "worse": "red"}
LEAST_NAME = 14  # letters of a strategy's name in the narrowest window


def simulated(analysis: Row) -> RenderableType:
    """Return the tables of an analysis (see `zoo.active.analysis.analyse`)."""
    blocks = [
        _verdicts(analysis["verdicts"]),
        _strategies(analysis["strategies"]),
        *([_targets(analysis)] if analysis["plan"].get("targets") or analysis["savings"] else []),
        *([_pairs(analysis["pairs"])] if any(row["primary"] for row in analysis["pairs"]) else []),
        *([_where(analysis["against_random"])] if analysis["against_random"] else []),
        _closing(analysis),
    ]
    spaced = [part for block in blocks for part in (block, Text())]
    return Group(*spaced[:-1])


def _verdicts(rows: Sequence[Row]) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column()
    for row in rows:
        style = {"pair": "bold", "note": "dim"}.get(row["about"], "")
        table.add_row(" " if row["about"] == "note" else "•", Text(row["text"], style))
    return table


def _strategies(rows: Sequence[Row]) -> RenderableType:
    """Return the strategies by their area under the budget curve, in per cent, and the last accuracy that all seeds reach."""
    table = _named("strategy", "seeds", "area %", "interval", "final %", "interval", "answers")
    for row in sorted(rows, key=lambda row: -row["area"]["mean"] if row["area"] else 0.0):
        area, final = row["area"] or {}, row["final"] or {}
        table.add_row(
            row["name"],
            str(len(row["seeds"])),
            percent(area.get("mean")),
            _between(area.get("interval")),
            percent(final.get("mean")),
            _between(final.get("interval")),
            _count(final.get("answers")),
        )
    return table


def _targets(analysis: Row) -> RenderableType:
    """Return the answers to each target error, and how many times as many random needs to its accuracy at its last number of answers."""
    errors = analysis["plan"].get("targets") or ()
    saved = {row["strategy"]: row["final"]["factor_text"] for row in analysis["savings"]}
    table = _named("answers to error", *(f"{100 * error:g} %" for error in errors), *(["saving"] if saved else []))
    for row in analysis["targets"]:
        reached = [each["text"] for each in row["reached"]]
        table.add_row(row["strategy"], *reached, *([saved.get(row["strategy"], "–")] if saved else []))
    return table


def _pairs(rows: Sequence[Row]) -> RenderableType:
    """Return the declared differences of areas in points, over the answers that both reach; sign flips are a second look."""
    table = _named("declared", "over", "points", "interval", "p Holm", "flips", "detectable")
    for row in (row for row in rows if row["primary"]):
        found, name = row["difference"], f"{row['a']} − {row['b']}"
        if found is None:
            table.add_row(name, "–", "–", "–", p_value(row["p_holm"]), "–", "–")
            continue
        over, flips = "–".join(map(_count, row["range"])), p_value(row["sign_flip"].get("p"))
        figures = (points(found["estimate"]), span(found), p_value(row["p_holm"]), flips, percent(row["detectable"]))
        table.add_row(name, over, *figures)
    return table


def _where(rows: Sequence[Row]) -> RenderableType:
    """Return at which numbers of answers each strategy is not shown to help against random."""
    table = plain_table("against random", "whole budget", "better at", "no gain shown at", "worse at")
    for column in table.columns[1:]:
        column.justify, column.overflow = "left", "fold"
    for row in rows:
        outcome = "–" if row["area"] is None else row["area"]["outcome"]
        told = Text({"open": "no gain shown"}.get(outcome, outcome), OUTCOMES.get(outcome, ""))
        better, worse = (Text(row[key] or "–", style if row[key] else "") for key, style in OUTCOMES.items())
        table.add_row(row["strategy"], told, better, row["open"] or "–", worse)
    return table


def _closing(analysis: Row) -> RenderableType:
    facts, level = grid(), f"{100 * analysis['level']:g} %"
    if bounds := analysis["range"]:
        facts.add_row("area", f"mean {_metric(analysis)} over {bounds[0]:,.0f} to {bounds[1]:,.0f} answers")
    facts.add_row("intervals", f"{level}, over seeds and test images; against random, uncorrected")
    if analysis["savings"]:
        facts.add_row("saving", "answers of random over those of the strategy, to random's last accuracy")
    if analysis["smooth"] > 1:
        facts.add_row("targets", f"reached by the mean error of the last {analysis['smooth']} rounds")
    for name, shown in (("purity", "purity"), ("repeats", "repeats")):
        if series := analysis["figures"].get(name):
            facts.add_row(shown, ", ".join(f"{key} {decimal(row['overall'], 2)}" for key, row in series.items()))
    if counting := analysis["plan"].get("counting"):
        facts.add_row("counting", counting)
    if machine := analysis.get("machine"):
        spent = f"{minutes(machine['minutes'])}, {minutes(machine['cpu_minutes'])} of processor time"
        facts.add_row("time", f"{machine['runs']} simulations, {spent}")
    return facts


def _metric(analysis: Row) -> str:
    return "accuracy of Monte Carlo passes" if analysis["metric"] == "mc_accuracy" else "accuracy"


def _between(row: Row | None) -> str:
    return "–" if row is None else f"{percent(row['low'], 1)}–{percent(row['high'], 1)}"


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _named(first: str, *others: str) -> Table:
    table = plain_table(first, *others)
    table.columns[0].min_width = LEAST_NAME
    for column in table.columns[1:]:
        column.no_wrap = True
    return table
