"""The report of a comparison: one HTML file that needs nothing else, made of the analysis and of nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from zoo import storage
from zoo.plugins import Catalog, load_catalog
from zoo.report import numbers

if TYPE_CHECKING:
    from jinja2 import Environment

Row = Mapping[str, Any]
TRAIN_SIZE = "data.train_size"
MOST_ROWS = 45  # of a plot of differences
MOST_CLASSES = 20  # whose recall is shown
EXAMPLES = {1: 12}  # pictures of a family against another by the number of such pairs, else:
FEW_EXAMPLES = 6


def write_report(analysis: Row, path: Path, *, catalog: Catalog | None = None) -> None:
    """Write the report of an analysis (see `zoo.comparison.analysis.analyse`) as one HTML file.

    Pictures of test images are read through the runs' own data, where it is there still; else the report says why not.
    """
    storage.write_text(path, render(analysis, catalog or load_catalog()))


def render(analysis: Row, catalog: Catalog) -> str:
    """Return the report as HTML: the same for the same analysis and data."""
    conditions = _lead_first(analysis)
    return (
        environment()
        .get_template("report.html")
        .render(
            analysis=analysis,
            plan=analysis["plan"],
            question=analysis["plan"]["question"],
            families=_families(analysis),
            verdicts=_verdicts(analysis, [condition["value"] for condition in conditions]),
            notes=[row["text"] for row in analysis["verdicts"] if row["about"] == "note"],
            conditions=[_condition(analysis, row, number, catalog) for number, row in enumerate(conditions)],
            curves=_curves(analysis),
            tuning_plots=_tuning(analysis),
            effects=_effects(analysis),
            test_time_only=any(row["test_time_only"] for row in analysis["effects"]),
        )
    )


def _lead_first(analysis: Row) -> list[Row]:
    """Return the conditions, first the one that matters most: with all training images, or the one without change."""
    conditions: list[Row] = [row for row in analysis["conditions"] if row["recipes"]]
    varied = analysis["plan"]["question"]["vary"] == TRAIN_SIZE
    return sorted(conditions, key=_train_samples, reverse=True) if varied else conditions


def _train_samples(condition: Row) -> int:
    return int(condition["train_samples"])


def _verdicts(analysis: Row, order: Sequence[str | None]) -> list[Row]:
    said = [row for row in analysis["verdicts"] if row["about"] != "note"]
    return sorted(said, key=lambda row: (row["about"] == "effect", row["value"] in order and order.index(row["value"])))


def _families(analysis: Row) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for contestant in analysis["plan"]["contestants"]:
        names.setdefault(contestant["family"], []).append(contestant["name"])
    return names


def _condition(analysis: Row, condition: Row, number: int, catalog: Catalog) -> Row:
    """Return a condition with its plots; pictures only for the first, so that the file stays small."""
    from zoo.report import curves, plots

    name, margin = f"c{number}", analysis["plan"]["question"]["margin"]
    ranked = sorted(condition["recipes"], key=lambda row: -row["accuracy"]["estimate"])
    declared, exploratory = _differences(condition, True), _differences(condition, False)
    families = {row["name"]: row["family"] for row in condition["recipes"]}
    robust = _robustness(condition["robustness"])
    return {
        **condition,
        "robustness": robust,
        "recalls": [recall for row in condition["recipes"] for recall in row["recall"].values()],
        "number": number,
        "ranked": ranked,
        "accuracy_plot": plots.accuracies(f"{name}-accuracy", ranked),
        "declared": declared,
        "exploratory": exploratory,
        "declared_plot": plots.forest(f"{name}-declared", declared, margin) if declared else None,
        "exploratory_plot": plots.forest(f"{name}-exploratory", exploratory, margin)
        if 0 < len(exploratory) <= MOST_ROWS
        else None,
        "costs": _costs(name, condition["recipes"]),
        "severities": curves.severities(f"{name}-severity", robust, families) if robust else [],
        "reliability": [(row, curves.reliability(f"{name}-r{i}", row)) for i, row in enumerate(condition["recipes"])],
        "risk_coverage": curves.risk_coverage(f"{name}-risk", condition["recipes"]),
        "examples": _examples(condition),
        "pictures": _pictures(condition, catalog) if number == 0 else None,
    }


def _costs(name: str, recipes: Sequence[Row]) -> list[str]:
    from zoo.report import plots

    found = [
        plots.pareto(f"{name}-parameters", "parameters", recipes, lambda row: row["parameters"]),
        plots.pareto(f"{name}-macs", "multiply-accumulates for one image", recipes, lambda row: row["macs"]),
        plots.pareto(f"{name}-latency", "milliseconds for one image", recipes, _milliseconds),
    ]
    return [svg for svg in found if svg is not None]


def _milliseconds(row: Row) -> float | None:
    """Return the measured latency of one image, where the analysis has it in the form of `zoo.evaluation.speed`."""
    latency = row.get("latency")
    return None if latency is None else 1000 * float(latency["1"]["median"])


def _robustness(row: Row | None) -> Row | None:
    """Return what was found under corruptions with `means`, over severities, by corruption and then in the order of recipes."""
    if row is None:
        return None
    kinds = row["recipes"][0]["by"]
    means = {kind: [fmean(recipe["by"][kind].values()) for recipe in row["recipes"]] for kind in kinds}
    return {**row, "means": means, "cells": [value for values in means.values() for value in values]}


def _differences(condition: Row, declared: bool) -> list[Row]:
    """Return what was declared, or all else: families first; each with `label`, `estimate`, `low`, `high` and its `row`."""
    found: list[Row] = []
    for row in condition["families"]:
        interval = row["welch"] if row["claim"] == "families" else row["these"]
        several = len(row["members_a"]) + len(row["members_b"]) > 2  # else it is a pair of recipes, below
        if row["primary"] is declared and interval is not None and (several or declared):
            label = f"{row['a']} − {row['b']}, {len(row['members_a'])} against {len(row['members_b'])} architectures"
            found.append({**interval, "label": label, "declared": declared, "row": row, "about": "family"})
    for row in condition["pairs"]:
        if row["primary"] is declared:
            label = f"{row['a']} − {row['b']}"
            found.append({**row["difference"], "label": label, "declared": declared, "row": row, "about": "pair"})
    return found


def _examples(condition: Row) -> list[tuple[str, str, list[Row]]]:
    """Return, for each family against each other, the samples that only it gets right."""
    rows = condition["overlap"]["families"]
    most = EXAMPLES.get(len(rows), FEW_EXAMPLES)
    sides = ((row[a], row[b], row[f"examples_{a}"][:most]) for row in rows for a, b in (("a", "b"), ("b", "a")))
    return [side for side in sides if side[2]]


def _pictures(condition: Row, catalog: Catalog) -> Any:
    from zoo.report.pictures import pictures

    samples = sorted({example["sample"] for _, _, examples in _examples(condition) for example in examples})
    runs = [seed["run"] for row in condition["recipes"] for seed in row["seeds"]]
    return pictures(runs, samples, catalog)


def _curves(analysis: Row) -> list[tuple[str, str]]:
    from zoo.report import curves

    if analysis["plan"]["question"]["vary"] != TRAIN_SIZE or len(analysis["conditions"]) < 2:
        return []
    conditions = sorted((row for row in analysis["conditions"] if row["recipes"]), key=_train_samples)
    return curves.learning("learning", conditions, TRAIN_SIZE)


def _tuning(analysis: Row) -> list[tuple[str, str]]:
    from zoo.report import curves

    return curves.tuning("tuning", analysis["tuning"])


def _effects(analysis: Row) -> list[tuple[str, str | None, list[Row]]]:
    """Return, for each value of the varied setting, the plot of its effects, if that is no learning curve, and their rows."""
    from zoo.report import plots

    drawn = analysis["plan"]["question"]["vary"] != TRAIN_SIZE
    by_value: dict[str, list[Row]] = {}
    for row in analysis["effects"]:
        by_value.setdefault(row["value"], []).append(row)
    return [
        (value, plots.effects(f"effect-{number}", rows) if drawn else None, rows)
        for number, (value, rows) in enumerate(by_value.items())
    ]


def environment() -> Environment:
    """Return the templates of all reports, with the filters that write figures."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    from zoo.report.figure import symbol

    made = Environment(
        loader=PackageLoader("zoo.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "percent": numbers.percent,
        "points": numbers.points,
        "decimal": numbers.decimal,
        "between": numbers.between,
        "span": numbers.span,
        "compact": numbers.compact,
        "p": numbers.p_value,
        "minutes": numbers.minutes,
        "figure": numbers.figure,
        "settings": numbers.settings,
        "plot": Markup,
        "symbol": lambda family: Markup(symbol(family)),
    }
    made.globals |= {"shade": _shade, "images": _images, "most_classes": MOST_CLASSES}
    return made


def _images(conditions: Sequence[Row]) -> list[str]:
    """Return the sizes of image that networks saw, each once."""
    rows = (row for condition in conditions for row in condition["recipes"])
    return list(dict.fromkeys("×".join(map(str, row["image"])) for row in rows))


def _shade(value: float | None, values: Sequence[float | None]) -> str:
    """Return how dark a cell is, from 0 at the lowest of all values to 1 at the highest."""
    known = [each for each in values if each is not None]
    if value is None or max(known) == min(known):
        return "0"
    return f"{(value - min(known)) / (max(known) - min(known)):.2f}"
