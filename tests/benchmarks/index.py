"""Write docs/results/README.md, the page that leads to all results: index.py

Every number on it comes from the lines and analyses in docs/results: NAME.jsonl of the benchmarks of accuracy, and FOLDER/analysis.json
of comparisons and simulations. The pages of the benchmarks write it anew as well.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.report.numbers import minutes, percent

FOLDER = Path(__file__).parents[2] / "docs/results"
HEADING = """# Results

Written by `tests/benchmarks/index.py` from the files beside it; no number here is typed by hand. Test accuracies are means over seeds
with the standard deviation between them, in percent; of several results of one seed the newest counts. Comparisons are those of
`tests/benchmarks/studies.py NAME --data FOLDER --work FOLDER`, on all training images and for 30 epochs with `--full`; simulations of
active learning those of `tests/benchmarks/simulations.py NAME --data FOLDER --work FOLDER`."""

Row = dict[str, Any]
# Figures of a simulation's rounds, of which the index has the mean over rounds and seeds.
FOLLOWED = {
    "purity": "purity of queries",
    "repeats": "repeats",
    "robustness": "robustness",
    "gate_auroc": "AUROC of the gate",
    "gate_fpr95": "FPR95 of the gate",
}


def page(folder: Path) -> str:
    """Return the text of the index of a folder of results."""
    parts = [HEADING]
    for path in sorted(folder.glob("*.jsonl")):
        parts += _benchmark(path)
    for path in sorted(folder.glob("*/analysis.json")):
        analysis: Row = json.loads(path.read_text("utf-8"))
        parts += _simulations(path, analysis) if "strategies" in analysis else _comparison(path, analysis)
    return "\n\n".join(parts) + "\n"


def write(folder: Path = FOLDER) -> None:
    """Write the index into the folder."""
    (folder / "README.md").write_text(page(folder), encoding="utf-8")


def _benchmark(path: Path) -> Iterator[str]:
    """Yield a heading that links to the page of a file of runs, and its studies as a table."""
    rows: list[Row] = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    beside = path.with_suffix(".md")
    target = beside if beside.exists() else path
    yield f"## [{_title(beside)}]({target.name})"
    studies: dict[str, dict[int, Row]] = {}
    for row in rows:
        if {"study", "recipe", "seed", "test"} <= set(row):
            studies.setdefault(row["study"], {})[row["seed"]] = row
    if not studies:
        yield f"{len(rows)} line{'s' * (len(rows) != 1)} in [{path.name}]({path.name})."
        return
    lines = [_line(study, list(found.values())) for study, found in studies.items()]
    yield "\n".join(["| study | recipe | test accuracy | seeds |", "|---|---|---:|---|", *lines])


def _title(beside: Path) -> str:
    """Return the heading of a page, or its name where there is none yet."""
    first = beside.read_text("utf-8").partition("\n")[0] if beside.exists() else ""
    return first.removeprefix("# ") if first.startswith("# ") else beside.stem


def _line(study: str, rows: list[Row]) -> str:
    values = [100 * row["test"] for row in rows]
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    seeds = ", ".join(str(seed) for seed in sorted(row["seed"] for row in rows))
    return f"| {study} | `{rows[0]['recipe']}` | {statistics.fmean(values):.2f}{spread} | {seeds} |"


def _heading(path: Path) -> str:
    target = next(iter(sorted(path.parent.glob("*.html"))), path)
    return f"## [{path.parent.name}]({path.parent.name}/{target.name})"


def _simulations(path: Path, analysis: Row) -> Iterator[str]:
    """Yield a heading that links to simulations of active learning, what they asked, and what they found in their own words."""
    plan = analysis["plan"]
    yield _heading(path)
    names = ", ".join(f"`{name}`" for name in plan["strategies"])
    yield (
        f"{names} with `{plan['question']['recipe']}`, {plan['question']['seeds']} seeds, a pool of {plan['pool']:,}."
        f" {plan['counting']}"
    )
    machine = analysis["machine"]
    yield f"{machine['runs']} simulations, {minutes(machine['cpu_minutes'])} of processor time ({', '.join(machine['processor'])})."
    yield "\n".join(_strategies(analysis))
    yield "\n".join(f"- {verdict['text']}" for verdict in analysis["verdicts"])


def _strategies(analysis: Row) -> Iterator[str]:
    """Yield the lines of a table of strategies: area, final accuracy, answers to target errors, and means of what was followed."""
    errors = analysis["plan"].get("targets") or ()
    followed = {name: analysis["figures"][name] for name in FOLLOWED if name in analysis["figures"]}
    reached = {row["strategy"]: row["reached"] for row in analysis["targets"]}
    names = [
        "strategy",
        "area, %",
        "final, %",
        "at answers",
        *(f"answers to {100 * each:g} % error" for each in errors),
    ]
    names += [f"{FOLLOWED[name]}, %" for name in followed]
    yield f"| {' | '.join(names)} |"
    yield f"|---|{'---:|' * (len(names) - 1)}"
    for row in analysis["strategies"]:
        area, final = row["area"] or {}, row["final"] or {}
        cells = [
            f"`{row['name']}`",
            percent(area.get("mean")),
            percent(final.get("mean")),
            f"{final['answers']:,.0f}" if final else "–",
        ]
        cells += [each["text"] for each in reached[row["name"]]]
        cells += [percent(series.get(row["name"], {}).get("overall"), 1) for series in followed.values()]
        yield f"| {' | '.join(cells)} |"


def _comparison(path: Path, analysis: Row) -> Iterator[str]:
    """Yield a heading that links to a comparison, what it asked, and what it found in its own words."""
    question = analysis["plan"]["question"]
    yield _heading(path)
    names = ", ".join(f"`{name}`" for name in question["recipes"])
    asked = [f"{names} on {question['data'] or 'the data of the recipes'}, {question['seeds']} seeds"]
    if question["vary"]:
        asked.append(f"{question['vary']} {', '.join(question['values'])}")
    yield f"{'; '.join(asked)}."
    if "machine" in analysis:
        yield _effort(analysis)
    if analysis["verdicts"]:
        yield "\n".join(f"- {_where(verdict, question)}{verdict['text']}" for verdict in analysis["verdicts"])


def _effort(analysis: Row) -> str:
    """Return how many runs, how long they took and where, and what trials took before them."""
    machine = analysis["machine"]
    told = (
        f"{machine['runs']} runs, {minutes(machine['cpu_minutes'])} of processor time"
        f" ({', '.join(machine['processor'])}, {' or '.join(machine['threads'])} thread a run)"
    )
    spent = sum(row["minutes"] for row in analysis.get("tuning", ()))
    trials = sum(len(row["trials"]) for row in analysis.get("tuning", ()))
    return f"{told}, after {trials} trials of {minutes(spent)} in all." if trials else f"{told}."


def _where(verdict: Row, question: Row) -> str:
    return f"{question['vary']} {verdict['value']}: " if question["vary"] and verdict.get("value") is not None else ""


if __name__ == "__main__":
    write()
