"""Figures of finished work: closing table, evaluation, predictions, dry run, runs and their history."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import IO, TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from zoo.console.training import duration

if TYPE_CHECKING:
    from zoo.training.dryrun import DryRun

FIGURES = {
    "samples": "samples",
    "loss": "loss",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced acc.",
    "macro_f1": "macro F1",
    "top5": "top-5",
}
CLASSES_SHOWN = 40


def closing(summary: Mapping[str, Any], paths: Sequence[Path]) -> RenderableType:
    """Return the table that ends a training: validation and test figures, and the paths written."""
    splits = [(name, summary[name]) for name in ("validation", "test") if summary.get(name)]
    best = summary.get("best") or {}
    facts = grid()
    if "rounds" in summary:
        facts.add_row("rounds", f"{summary['rounds']} trainings, the last on {summary['labels']} labels")
    else:
        facts.add_row("epochs", f"{summary['epochs']}{' (stopped early)' if summary.get('stopped_early') else ''}")
    if best.get("epoch"):
        facts.add_row("best epoch", f"{best['epoch']} by {best['metric']}")
    if "seconds" in summary:
        facts.add_row("time", duration(summary["seconds"]))
    facts.add_row("run", Text(summary["run"], "cyan"))
    facts.add_row("written", _written(paths))
    return Group(_figures(splits), Text(), facts)


def combined(summary: Mapping[str, Any], paths: Sequence[Path]) -> RenderableType:
    """Return what a run made of others ends with: each member's figures, those of all together, and the paths written."""
    splits = [split for split in ("validation", "test") if summary.get(split)]
    table = plain_table("network", *(f"{split} {FIGURES[name]}" for split in splits for name in ("loss", "accuracy")))
    rows = [(f"{member['run']} ({member['architecture']})", member) for member in summary["members"]]
    for name, row in [*rows, (f"all, by their {summary['combine']}", summary)]:
        figures = [(row.get(split) or {}).get(key) for split in splits for key in ("loss", "accuracy")]
        table.add_row(name, *(number(figure) for figure in figures))
    facts = grid()
    facts.add_row("run", Text(summary["run"], "cyan"))
    facts.add_row("written", _written(paths))
    return Group(table, Text(), facts)


def evaluation(result: Mapping[str, Any]) -> RenderableType:
    """Return the figures of one split, and precision, recall and F1 of each class."""
    classes: Mapping[str, Mapping[str, Any]] = result.get("classes", {})
    rows = (
        sorted(classes.items(), key=lambda item: item[1]["f1"] or 0.0)
        if len(classes) > CLASSES_SHOWN
        else list(classes.items())
    )
    table = plain_table("class", "samples", "precision", "recall", "F1")
    for name, row in rows[:CLASSES_SHOWN]:
        table.add_row(name, f"{row['samples']:,}", *(number(row[key]) for key in ("precision", "recall", "f1")))
    parts: list[RenderableType] = [_figures(_rows(result)), Text()]
    if "data" in result:
        parts[1:1] = [Text(f"of {result['data']}, not the run's own data", "dim")]
    if "ece" in result:
        parts += [_trust(result), Text()]
    parts.append(table)
    if len(rows) > CLASSES_SHOWN:
        parts.append(Text(f"the {CLASSES_SHOWN} classes of lowest F1, of {len(rows):,}; --json has all", "dim"))
    return Group(*parts)


def caution(result: Mapping[str, Any]) -> str | None:
    """Return what speaks against the figures on other data: images that the run was trained on, or that this is unknown."""
    seen = result.get("trained_on", 0)
    if seen is None:
        return "whether the run was trained on some of these images is unknown: its own data is not as it was"
    if not seen:
        return None
    return f"warning: the run was trained on {seen:,} of these {result['samples']:,} images: new ones may be answered worse"


def _rows(result: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the rows of an evaluation by their names; with views the figures without them come first."""
    name = ", ".join([result["split"], *([f"pixels by {result['arrangement']}"] if result.get("arrangement") else [])])
    if not result.get("tta"):
        return [(name, result)]
    return [(name, result["plain"]), (f"{name}, {result['tta']} views", result)]


def corruptions(result: Mapping[str, Any]) -> RenderableType:
    """Return the accuracy under each corruption at each severity and their means, then that on the images as they are."""
    rows: Mapping[str, Mapping[Any, Mapping[str, Any]]] = result["corruptions"]
    first, *others = next(iter(rows.values()))
    table = plain_table("corruption", f"severity {first}", *map(str, others), "mean")
    for name, levels in rows.items():
        _accuracies(table, name, [figures["accuracy"] for figures in levels.values()])
    if len(rows) > 1:
        columns = zip(*(levels.values() for levels in rows.values()), strict=True)
        means = [fmean(figures["accuracy"] for figures in column) for column in columns]
        _accuracies(table, f"mean of {len(rows)}", means)
    facts = grid()
    facts.add_row("samples", f"{result['samples']:,} of {result['split']}")
    facts.add_row("accuracy", f"{number(result['clean']['accuracy'])} of the same images as they are")
    facts.add_row("corrupted", f"{number(result['mean_corrupted_accuracy'])}, the mean of all above")
    facts.add_row("ratio", number(result["relative_accuracy"]))
    if result["left_out"]:
        facts.add_row("left out", f"{', '.join(result['left_out'])}: not defined for this data")
    return Group(table, Text(), facts, Text(), Text(result["note"], "dim"))


def _accuracies(table: Table, name: str, accuracies: Sequence[float]) -> None:
    table.add_row(name, *(number(accuracy) for accuracy in accuracies), number(fmean(accuracies)))


def _trust(result: Mapping[str, Any]) -> RenderableType:
    """Return how sure the figures are, and how far the probabilities can be believed."""
    facts, ends = grid(), result["intervals"]
    spans = (f"{name} {number(ends[name][0])} to {number(ends[name][1])}" for name in ("accuracy", "loss"))
    members = result.get("members")
    whose = f"this one ensemble of {members} networks" if members else "this one trained model"
    facts.add_row("95 % intervals", f"{', '.join(spans)}: for other images, of {whose}")
    facts.add_row(
        "ranking", f"AUROC {number(result['auroc'])}, average precision {number(result['average_precision'])}"
    )
    errors = f"calibration error {number(result['ece'])} (bins of equal mass {number(result['ece_mass'])})"
    facts.add_row("probabilities", f"{errors}, Brier {number(result['brier'])}, AURC {number(result['aurc'])}")
    if after := result.get("calibrated"):
        facts.add_row("temperature", _temperature(after))
    if found := result["confusions"][:3]:
        pairs = (f"{row['class']} for {row['taken_for']} ({row['samples']})" for row in found)
        facts.add_row("mistaken most", ", ".join(pairs))
    return facts


def _temperature(after: Mapping[str, Any]) -> str:
    if after["temperature"] is None:
        return f"none fits validation: {after['reason']}"
    return (
        f"{number(after['temperature'], 2)} fits validation: loss {number(after['loss'])}, error {number(after['ece'])}"
    )


def predictions(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Return the table of predictions, and below it the files without one; a row is an entry of `zoo predict --json`."""
    classified = [row for row in rows if row["error"] is None]
    bad = [row for row in rows if row["error"] is not None]
    parts = [_predictions(classified)] if classified else []
    return Group(*parts, *([Text()] if parts and bad else []), *([_unclassified(bad)] if bad else []))


def _unclassified(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    table = plain_table("not classified", "why")
    table.columns[1].justify = "left"
    for row in rows:
        table.add_row(row["path"], Text(row["error"], "red"))
    return table


def _predictions(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    table = plain_table("image", "class", "probability")
    table.columns[1].justify = "left"
    longest = max(len(row["top"]) for row in rows)
    if longest > 1:
        table.add_column("then")
    for row in rows:
        others = ", ".join(f"{other['class']} {other['probability']:.3f}" for other in row["top"][1:])
        table.add_row(row["path"], row["class"], f"{row['probability']:.4f}", *([others] if longest > 1 else []))
    return table


def write_csv(file: IO[str], rows: Iterable[Mapping[str, Any]], top: int) -> None:
    """Write predictions as CSV: path, class, probability, the further `top` classes, error; what is not there is empty."""
    more = [name for rank in range(2, top + 1) for name in (f"class_{rank}", f"probability_{rank}")]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["path", "class", "probability", *more, "error"])
    for row in rows:
        pairs = [cell for other in row["top"][1:] for cell in (other["class"], other["probability"])]
        pairs += [""] * (len(more) - len(pairs))
        writer.writerow([row["path"], row["class"], row["probability"], *pairs, row["error"]])


def dry_run_card(result: DryRun) -> RenderableType:
    """Return what a dry run proved, and what the run will take."""
    table = grid()
    table.add_row("device", f"{result.device}, {result.precision}")
    table.add_row("images", f"{'×'.join(str(size) for size in result.image)}, {len(result.classes):,} classes")
    table.add_row("samples", ", ".join(f"{size:,} {name}" for name, size in result.sizes.items()))
    table.add_row("parameters", f"{result.parameters:,}")
    for index, (name, change) in enumerate(result.changes):
        table.add_row("regularizers" if index == 0 else "", f"{name}: {change}")
    table.add_row("loss", f"{result.loss:.4f} over two batches")
    table.add_row("peak memory", f"{result.memory_bytes / 2**20:,.0f} MiB")
    table.add_row("checkpoint", f"{result.checkpoint_bytes / 2**20:,.1f} MiB")
    table.add_row("step", f"{result.seconds_per_step * 1000:,.1f} ms, {result.total_steps:,} steps")
    table.add_row("whole run", f"about {duration(result.estimated_seconds)}")
    heading = Text.assemble((result.recipe, "bold cyan"), ": two steps, evaluation, save and restore went well")
    return Group(heading, Text(), table)


def runs_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Return the table of runs; a row is an entry of `zoo runs --json`."""
    table = plain_table("run", "recipe", "status", "epochs", "validation", "test", "created")
    for index in (1, 2):
        table.columns[index].justify = "left"
    table.columns[1].overflow = "fold"
    table.columns[2].no_wrap = table.columns[-1].no_wrap = True
    styles = {"finished": "green", "failed": "red", "interrupted": "yellow", "pruned": "yellow", "running": "cyan"}
    for row in rows:
        status = Text(row["status"], styles.get(row["status"], ""))
        created = row["created"].replace("T", " ")[5:16]  # the year is in --json
        scores = (number(row["validation_accuracy"]), number(row["test_accuracy"]))
        table.add_row(row["name"], row["recipe"], status, str(row["epochs"]), *scores, created)
    return table


def history_table(history: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Return one row per epoch; the columns are what the run recorded."""
    names = [name for name in history[0] if name != "step"]
    table = plain_table(*(name.replace("/", "\n") for name in names))
    for row in history:
        table.add_row(*(number(row.get(name), digits=6 if name == "lr" else 4) for name in names))
    return table


def number(value: Any, digits: int = 4) -> str:
    """Return a figure for a table; a missing one is a dash."""
    if value is None:
        return "–"
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def plain_table(first: str, *others: str) -> Table:
    """Return an empty table without rules: names on the left, figures to the right of them."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(first, style="cyan", overflow="fold")
    for name in others:
        table.add_column(name, justify="right")
    return table


def grid() -> Table:
    """Return an empty table of facts: a bold name, then what there is to say."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _written(paths: Sequence[Path]) -> str:
    return ", ".join(f"{path.name}{'/' if path.is_dir() else ''}" for path in paths if not path.name.startswith("."))


def _figures(splits: Sequence[tuple[str, Mapping[str, Any]]]) -> RenderableType:
    names = [name for name in FIGURES if any(name in figures for _, figures in splits)]
    table = plain_table("split", *(FIGURES[name] for name in names))
    for split, figures in splits:
        table.add_row(split, *(number(figures.get(name)) for name in names))
    return table
