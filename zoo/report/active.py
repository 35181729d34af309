"""The report of simulations of active learning: one HTML file that needs nothing else, made of their analysis alone."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo import storage
from zoo.report.page import environment
from zoo.report.pictures import data_uri
from zoo.version import __version__
from zoo.wording import in_yaml

Row = Mapping[str, Any]
CONTROL = "random"
METRICS = {"accuracy": "accuracy", "mc_accuracy": "accuracy of Monte Carlo passes"}
# Of the figures that are followed: title, unit, what a share is multiplied by, and what it is.
FOLLOWED: dict[str, tuple[str, str, float, str]] = {
    "mc_accuracy": (
        "Accuracy of Monte Carlo passes",
        "accuracy, %",
        100,
        "Answers by the mean of passes with dropout.",
    ),
    "balanced_accuracy": ("Balanced accuracy", "balanced accuracy, %", 100, "The mean recall over classes."),
    "loss": ("Loss", "loss, nats", 1, "Mean negative log-likelihood on test."),
    "robustness": ("Robustness", "accuracy, %", 100, "Accuracy on corrupted test images."),
    "classes": (
        "Classes among the labels",
        "effective classes",
        1,
        "How many classes the labels are of, rare ones counting little: exp of the entropy of their shares.",
    ),
    "purity": ("Purity of queries", "known, %", 100, "Which of the images asked for belonged to a known class."),
    "repeats": ("Repeats", "repeats, %", 100, "Which of the images asked for were copies of one in the same batch."),
    "gate_auroc": (
        "Gate: AUROC",
        "AUROC, %",
        100,
        "How well the gate tells known classes from others; 50 % is chance.",
    ),
    "gate_fpr95": ("Gate: FPR95", "FPR95, %", 100, "Others let through where 95 % of the known are kept; 0 is best."),
    "gate_kept": ("Gate: kept", "kept, %", 100, "The share that the gate let through of the samples that it judged."),
}


def write_report(analysis: Row, path: Path, asked: Mapping[str, tuple[int, Path]] | None = None) -> None:
    """Write the report of an analysis (see `zoo.active.analysis.analyse`) as one HTML file.

    `asked` has, for strategies, a JPEG of what the simulation of one seed asked for (see `zoo.active.asked.sheet`).
    """
    storage.write_text(path, render(analysis, asked))


def render(analysis: Row, asked: Mapping[str, tuple[int, Path]] | None = None) -> str:
    """Return the report as HTML: the same for the same analysis and pictures."""
    from zoo.report import active_plots, plots

    strategies, gained = analysis["strategies"], analysis["against_random"]
    shown = active_plots.looks([row["name"] for row in strategies])
    declared, others = ([row for row in analysis["pairs"] if row["primary"] is kind] for kind in (True, False))
    metric, found = METRICS[analysis["metric"]], [_difference(row) for row in declared if row["difference"]]
    return (
        environment()
        .get_template("active.html")
        .render(
            analysis=analysis,
            plan=analysis["plan"],
            question=_settings(analysis["plan"].get("question") or {}),
            version=__version__,
            metric=metric,
            families={name: family for name, (family, _) in shown.items()},
            ranked=sorted(strategies, key=lambda row: -row["area"]["mean"] if row["area"] else 0.0),
            verdicts=_told(analysis, "pair"),
            beside=_told(analysis, "saving", "helps"),
            notes=_told(analysis, "note"),
            learning=active_plots.learning("learning", strategies, shown, metric),
            errors_plot=active_plots.errors("errors", strategies, shown, analysis["plan"].get("targets") or ()),
            bands=len(strategies) <= active_plots.MOST_BANDS,
            seeds=_seeds(strategies, shown, metric),
            declared=declared,
            others=[row for row in others if row["difference"]],
            forest=plots.forest("pairs", found, 0.0) if found else None,
            gains=[
                (row, active_plots.gains(f"gain-{number}", row, shown, gained) if row["rounds"] else None)
                for number, row in enumerate(gained)
            ],
            shares=[share for row in analysis["penalties"]["matrix"] for share in row],
            followed=_followed(analysis["figures"], shown),
            asked={
                name: (seed, data_uri("jpeg", picture.read_bytes())) for name, (seed, picture) in (asked or {}).items()
            },
            commands=_lines(analysis.get("command")),
        )
    )


def _told(analysis: Row, *about: str) -> list[str]:
    return [row["text"] for row in analysis["verdicts"] if row["about"] in about]


def _difference(row: Row) -> Row:
    return {**row["difference"], "label": f"{row['a']} − {row['b']}", "declared": True}


def _seeds(strategies: Sequence[Row], shown: Any, metric: str) -> list[tuple[str, str]]:
    """Return, for each strategy, the plot of its seeds before random's mean curve."""
    from zoo.report import active_plots

    control = next((row for row in strategies if row["name"] == CONTROL and row["answers"]), None)
    return [
        (
            row["name"],
            active_plots.seeds(f"seeds-{number}", row, None if row is control else control, shown, metric, strategies),
        )
        for number, row in enumerate(strategies)
    ]


def _followed(figures: Row, shown: Any) -> list[Row]:
    """Return the figures beside the metric, each with its plot and what it is."""
    from zoo.report import active_plots

    return [
        {
            "title": title,
            "what": what,
            "scale": scale,
            "series": figures[name],
            "plot": active_plots.followed(f"followed-{name}", title, unit, scale, figures[name], shown),
            "counts": sorted({count for row in figures[name].values() for count in row["answers"]}),
        }
        for name, (title, unit, scale, what) in FOLLOWED.items()
        if name in figures
    ]


def _settings(question: Row) -> dict[str, str]:
    """Return what was asked, without what was left out, as one writes it in a recipe."""
    return {name: in_yaml(value) for name, value in question.items() if value not in (None, [], {}, "")}


def _lines(command: str | Sequence[str] | None) -> list[str]:
    return [] if not command else [command if isinstance(command, str) else shlex.join(command)]
