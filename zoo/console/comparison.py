"""A comparison in the terminal: its plan before the first run, and what its analysis says, verdicts first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from zoo.console.results import grid, plain_table
from zoo.console.training import duration
from zoo.report.numbers import compact, decimal, minutes, p_value, percent, points, span

if TYPE_CHECKING:
    from zoo.comparison.plan import Plan

Row = Mapping[str, Any]
ALPHA = 0.05
TRAIN_SIZE = "data.train_size"
LEAST_NAME = 16  # letters of a recipe's name in the narrowest window


def comparison(analysis: Row) -> RenderableType:
    """Return the tables of an analysis (see `zoo.comparison.analysis.analyse`)."""
    question = analysis["plan"]["question"]
    conditions = [row for row in analysis["conditions"] if row["recipes"]]
    if question["vary"] == TRAIN_SIZE:
        conditions.reverse()
    blocks = [
        _verdicts(analysis["verdicts"], question["vary"]),
        *([_failed(analysis["failed"])] if analysis["failed"] else []),
        *([Text(f"{question['vary']} = {conditions[0]['value']}", "bold")] if question["vary"] else []),
        _recipes(conditions[0]),
        *_declared(analysis["conditions"], question["vary"]),
        *([_values(analysis)] if question["vary"] else []),
        *([_effects(analysis["effects"])] if analysis["effects"] else []),
        *([_ensembles(conditions[0]["ensembles"])] if conditions[0]["ensembles"] else []),
        _closing(analysis),
    ]
    spaced = [part for block in blocks for part in (block, Text())]
    return Group(*spaced[:-1])


def _verdicts(rows: Sequence[Row], setting: str | None) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column()
    for row in rows:
        note = row["about"] == "note"
        where = Text.assemble((f"{setting} = {row['value']}: ", "cyan")) if row["value"] is not None else Text()
        table.add_row(" " if note else "•", where.append(row["text"], "dim" if note else "bold"))
    return table


def _failed(rows: Sequence[Row]) -> RenderableType:
    table = plain_table("failed", "seed", "why")
    table.columns[2].justify = "left"
    for row in rows:
        at = "" if row["value"] is None else f" at {row['value']}"
        table.add_row(f"{row['recipe']}{at}", str(row["seed"]), Text(row["reason"], "red"))
    return table


def _recipes(condition: Row) -> RenderableType:
    """Return accuracy in per cent with its interval, costs, loss and calibration, and accuracy under corruptions."""
    robust = {row["name"]: row["corrupted"]["estimate"] for row in (condition["robustness"] or {}).get("recipes", ())}
    corrupted = ("corr.",) if robust else ()
    table = _named("recipe", "acc. %", "interval", "param.", "MACs", "loss", "ECE", *corrupted)
    for row in condition["recipes"]:
        found = row["accuracy"]
        table.add_row(
            row["name"],
            percent(found["estimate"]),
            f"{percent(found['low'], 1)}–{percent(found['high'], 1)}",
            compact(row["parameters"]),
            compact(row["macs"]),
            decimal(row["loss"]["estimate"]),
            decimal(row["figures"]["ece"]),
            *([percent(robust[row["name"]], 1)] if robust else []),
        )
    return table


def _declared(conditions: Sequence[Row], setting: str | None) -> list[RenderableType]:
    """Return the table of what was declared, in percentage points, where anything was."""
    table = _named("declared", *([setting] if setting else []), "points", "interval", "p Holm")
    for condition in conditions:
        families = [
            (row, row["welch"] if row["claim"] == "families" else row["these"]) for row in condition["families"]
        ]
        pairs = [(row, row["difference"]) for row in condition["pairs"]]
        for row, found in families + pairs:
            if row["primary"] and found is not None:
                at = [str(condition["value"])] if setting else []
                name = f"{row['a']} − {row['b']}"
                table.add_row(name, *at, points(found["estimate"]), span(found), p_value(row["p_holm"]))
    return [table] if table.row_count else []


def _values(analysis: Row) -> RenderableType:
    """Return the accuracy of each recipe at each value of the varied setting."""
    names = [row["name"] for row in analysis["plan"]["contestants"]]
    by_value = [{row["name"]: row["accuracy"]["estimate"] for row in c["recipes"]} for c in analysis["conditions"]]
    table = _named("accuracy, % at", *(str(condition["value"]) for condition in analysis["conditions"]))
    for name in names:
        table.add_row(name, *(percent(found.get(name)) for found in by_value))
    return table


def _effects(rows: Sequence[Row]) -> RenderableType:
    """Return the changes of accuracy against the first value in percentage points, a mark at those that were declared."""
    values = list(dict.fromkeys(row["value"] for row in rows))
    found = {(row["recipe"], row["value"]): row for row in rows}
    table = _named(f"change against {rows[0]['against']}, points", *values)
    for name in dict.fromkeys(row["recipe"] for row in rows):
        table.add_row(name, *(_change(found.get((name, value))) for value in values))
    return table


def _change(row: Row | None) -> Text:
    if row is None:
        return Text("–")
    change, expected = points(row["difference"]["estimate"]), row["expected"]
    if expected is None:
        return Text(change)
    mark, style = {True: ("✓", "green"), False: ("✗", "red"), None: ("?", "yellow")}[expected["met"]]
    return Text(f"{mark} {change}", style)


def _ensembles(rows: Sequence[Row]) -> RenderableType:
    """Return what two models answer together: in per cent, and in points above the better of both and above a larger one."""
    larger = ("vs larger",) if rows[0].get("larger") else ()
    table = _named("two models together", "acc. %", "vs better", "interval", *larger, "MACs")
    for row in rows:
        gain, more = row["gain"], [points(row["above_larger"]["estimate"])] if larger else []
        accuracy = percent(row["accuracy"]["estimate"])
        table.add_row(
            f"{row['a']} + {row['b']}", accuracy, points(gain["estimate"]), span(gain), *more, compact(row["macs"])
        )
    return table


def _closing(analysis: Row) -> RenderableType:
    machine = analysis["machine"]
    looks = sum(row["looks"] for row in analysis["ledger"] if row["split"] == "test")
    question, facts = analysis["plan"]["question"], grid()
    seeds = "other seeds and other test images" if question["seeds"] > 1 else "other test images, not for other seeds"
    processor = minutes(machine["cpu_minutes"])
    facts.add_row(
        "runs", f"{machine['runs']:,}, {minutes(machine['minutes'])} of training, {processor} of processor time"
    )
    if searches := analysis["tuning"]:
        spent = minutes(sum(row["minutes"] for row in searches))
        facts.add_row("tuned", f"on validation first, {_count(question['trials'], 'trial')} a recipe, {spent} in all")
    facts.add_row("test", f"looked at {looks:,} times by all runs together")
    facts.add_row("intervals", f"{100 * question['level']:g} %, for {seeds}")
    if any(row["expected"] for row in analysis["effects"]):
        facts.add_row("marks", "✓ came as declared, ✗ did not, ? undecided")
    return facts


def plan_table(plan: Plan, done: int = 0) -> RenderableType:
    """Return what a plan will run, about how long that takes, and what it can show; `done` runs of it are finished."""
    table = _named("recipe", "family", "parameters", "MACs", "time a run")
    table.columns[1].justify = "left"
    for each in plan.contestants:
        variants = [plan.variant(each.name, value) for value in plan.values]
        changed = (f"\n  {path.removeprefix('architecture.')} {value}" for path, value in each.changed.items())
        name = Text.assemble(each.name, ("".join(changed), "dim"))
        table.add_row(
            name,
            each.family,
            _range([each.parameters for each in variants], compact),
            _range([each.macs for each in variants], compact),
            _range([each.seconds for each in variants], duration),
        )
    return Group(table, Text(), _outlook(plan, done))


def _range(values: Sequence[float], shown: Callable[[float], str]) -> str:
    low, high = shown(min(values)), shown(max(values))
    return low if low == high else f"{low} to {high}"


def _outlook(plan: Plan, done: int) -> RenderableType:
    """Return the number of runs, their time, and the smallest p that each declared pair can reach."""
    question, facts = plan.question, grid()
    runs = len(plan.contestants) * len(plan.values) * question.seeds
    factors = [_count(len(plan.contestants), "recipe"), _count(question.seeds, "seed")]
    if question.vary:
        values = _count(len(question.values), "value")
        factors.insert(1, f"{values} of {question.vary} ({', '.join(question.values)})")
    finished = f"; {done:,} are finished" if done else ""
    facts.add_row("runs", f"{runs:,}: {' × '.join(factors)}{finished}")
    once = sum(variant.seconds for variants in plan.variants.values() for variant in variants.values())
    if question.trials:
        facts.add_row("tuning", f"first, {_count(question.trials, 'trial')} a recipe: {_tuning_time(plan)}")
    facts.add_row("time", f"about {duration(once * question.seeds)}, one run after another")
    for number, ((a, b), smallest) in enumerate(zip(plan.primary, plan.smallest, strict=True)):
        test = "architectures" if a in plan.families else "sign flips of seeds"
        facts.add_row("" if number else "declared", _reach(f"{a} against {b}", test, smallest))
    for number, each in enumerate(question.expect):
        sign = "stays within" if each.sign == "equivalent" else f"{each.sign} by at least"
        told = f"{each.recipe} at {each.value} {sign} {percent(each.margin)} points"
        facts.add_row("" if number or plan.primary else "declared", told)
    if not plan.primary and not question.expect:
        facts.add_row("declared", "nothing: all differences will be exploratory, given as intervals only")
    return facts


def _tuning_time(plan: Plan) -> str:
    """Return about how long all trials take, each as long as a run at the first value."""
    once = sum(plan.variant(contestant.name, plan.values[0]).seconds for contestant in plan.contestants)
    told = f"about {duration(once * plan.question.trials)}"
    return (
        f"at most {told}, less with {' '.join(plan.question.trial_settings)}" if plan.question.trial_settings else told
    )


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _reach(pair: str, test: str, smallest: float) -> Text:
    text = Text(f"{pair}; exact test by {test}: smallest p attainable {p_value(smallest)}")
    if smallest > ALPHA:
        text.append(f": cannot reach {ALPHA}", "yellow")
    return text


def _named(first: str, *others: str) -> Table:
    table = plain_table(first, *others)
    table.columns[0].min_width = LEAST_NAME
    for column in table.columns[1:]:
        column.no_wrap = True
    return table
