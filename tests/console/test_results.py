from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from zoo.console.results import closing, corruptions, evaluation, history_table, predictions, runs_table, write_csv

SUMMARY = {
    "run": "runs/conv-net-momentum-0-1",
    "status": "finished",
    "epochs": 12,
    "best": {"metric": "validation/accuracy", "value": 0.99, "epoch": 9},
    "stopped_early": True,
    "seconds": 75.2,
    "validation": {"samples": 359, "loss": 0.1, "accuracy": 0.9889, "balanced_accuracy": None},
    "test": {"samples": 360, "loss": 0.12, "accuracy": 0.9806, "balanced_accuracy": 0.98},
}
ROWS: list[dict[str, Any]] = [
    {
        "path": "a b.png",
        "class": "cat",
        "probability": 0.75,
        "top": [{"class": "cat", "probability": 0.75}, {"class": "dog", "probability": 0.25}],
        "error": None,
    },
    {"path": "bad.png", "class": None, "probability": None, "top": [], "error": "not an image"},
]


def rendered(renderable: RenderableType, width: int = 80) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width).print(renderable)
    return stream.getvalue()


def test_how_sure_the_figures_are_is_said() -> None:
    figures = {"loss": 0.3, "accuracy": 0.5, "auroc": 0.9, "average_precision": None, "brier": 0.4, "ece": 0.05}
    result = {
        "split": "test",
        "samples": 2,
        **figures,
        "ece_mass": 0.06,
        "aurc": 0.1,
        "intervals": {"accuracy": (0.4, 0.6), "loss": (0.2, 0.4)},
        "calibrated": {"temperature": 1.5, "loss": 0.25, "ece": 0.01, "reason": None},
        "confusions": [{"class": "cat", "taken_for": "dog", "samples": 7}],
    }
    text = rendered(evaluation(result))
    assert "accuracy 0.4000 to 0.6000, loss 0.2000 to 0.4000" in text and "this one trained model" in text
    assert "AUROC 0.9000, average precision –" in text and "calibration error 0.0500" in text
    assert "1.50 fits validation: loss 0.2500, error 0.0100" in text and "cat for dog (7)" in text
    none = {"temperature": None, "loss": None, "ece": None, "reason": "all 22 answers are right"}
    assert "none fits validation: all 22 answers are right" in rendered(evaluation({**result, "calibrated": none}))


def test_the_closing_table_has_both_splits_and_the_paths() -> None:
    text = rendered(closing(SUMMARY, [Path("runs/x/.lock"), Path("runs/x/metrics.jsonl")]))
    assert text.splitlines()[1].split() == ["validation", "359", "0.1000", "0.9889", "–"]
    assert text.splitlines()[2].split() == ["test", "360", "0.1200", "0.9806", "0.9800"]
    for part in (
        "12 (stopped early)",
        "9 by validation/accuracy",
        "1:15",
        "runs/conv-net-momentum-0-1",
        "metrics.jsonl",
    ):
        assert part in text
    assert ".lock" not in text


def test_a_run_without_test_split_has_no_row_for_it() -> None:
    assert "test" not in rendered(closing({**SUMMARY, "test": None}, []))


def test_corruptions_have_their_accuracies_their_means_and_what_is_left_out() -> None:
    result: dict[str, Any] = {
        "split": "test",
        "samples": 1000,
        "note": "not the benchmark of that name",
        "clean": {"accuracy": 0.9},
        "corruptions": {
            "fog": {1: {"accuracy": 0.8}, 5: {"accuracy": 0.4}},
            "jpeg": {1: {"accuracy": 0.9}, 5: {"accuracy": 0.7}},
        },
        "mean_corrupted_accuracy": 0.7,
        "relative_accuracy": 0.7 / 0.9,
        "left_out": [],
    }
    lines = [line.split() for line in rendered(corruptions(result)).splitlines()]
    assert lines[:4] == [
        ["corruption", "severity", "1", "5", "mean"],
        ["fog", "0.8000", "0.4000", "0.6000"],
        ["jpeg", "0.9000", "0.7000", "0.8000"],
        ["mean", "of", "2", "0.8500", "0.5500", "0.7000"],
    ]
    assert ["samples", "1,000", "of", "test"] in lines and ["ratio", "0.7778"] in lines
    assert lines[-1] == ["not", "the", "benchmark", "of", "that", "name"]
    fog = {**result, "corruptions": {"fog": result["corruptions"]["fog"]}, "left_out": ["rotate", "shear"]}
    text = rendered(corruptions(fog))
    assert "mean of 1" not in text and "rotate, shear: not defined for this data" in text


def test_evaluation_lists_the_classes_and_marks_missing_figures() -> None:
    classes = {
        "cat": {"samples": 2, "precision": 1.0, "recall": 0.5, "f1": 0.6667},
        "eel": {"samples": 0, "precision": None, "recall": None, "f1": None},
    }
    text = rendered(evaluation({"split": "test", "samples": 2, "loss": 0.3, "accuracy": 0.5, "classes": classes}))
    assert ["cat", "2", "1.0000", "0.5000", "0.6667"] in [line.split() for line in text.splitlines()]
    assert ["eel", "0", "–", "–", "–"] in [line.split() for line in text.splitlines()]


def test_evaluation_says_where_pixels_went_and_which_data_was_used() -> None:
    result = {"split": "all", "samples": 2, "loss": 0.3, "accuracy": 0.5}
    assert "all " in rendered(evaluation(result)) and "own data" not in rendered(evaluation(result))
    text = rendered(evaluation({**result, "data": "photos/other", "arrangement": "permute-rows"}))
    assert "all, pixels by permute-rows " in text and "of photos/other, not the run's own data" in text


def test_an_ensemble_is_called_one() -> None:
    figures = dict.fromkeys(("auroc", "average_precision", "brier", "ece", "ece_mass", "aurc"), 0.5)
    ends = {"accuracy": (0.4, 0.6), "loss": (0.2, 0.4)}
    result = {"split": "test", "samples": 2, **figures, "intervals": ends, "confusions": [], "members": 3}
    assert "of this one ensemble of 3 networks" in rendered(evaluation(result), 120)


def test_of_many_classes_the_worst_are_shown() -> None:
    classes = {f"c{i}": {"samples": 9, "precision": 0.5, "recall": 0.5, "f1": i / 100} for i in range(100)}
    text = rendered(evaluation({"split": "test", "samples": 900, "loss": 1.0, "accuracy": 0.5, "classes": classes}))
    assert "c0 " in text
    assert "c39 " in text
    assert "c40 " not in text
    assert "40 classes of lowest F1, of 100" in text


def test_predictions_name_what_did_not_decode() -> None:
    lines = [line.split() for line in rendered(predictions(ROWS)).splitlines()]
    assert lines[1] == ["a", "b.png", "cat", "0.7500", "dog", "0.250"]
    assert lines[2:] == [[], ["not", "classified", "why"], ["bad.png", "not", "an", "image"]]
    only = rendered(predictions(ROWS[1:])).splitlines()
    assert [line.split() for line in only] == lines[3:]


def test_csv_has_a_column_for_each_rank_and_for_errors() -> None:
    stream = io.StringIO()
    write_csv(stream, ROWS, top=2)
    assert list(csv.reader(io.StringIO(stream.getvalue()))) == [
        ["path", "class", "probability", "class_2", "probability_2", "error"],
        ["a b.png", "cat", "0.75", "dog", "0.25", ""],
        ["bad.png", "", "", "", "", "not an image"],
    ]


def test_runs_and_history_fit_80_columns() -> None:
    row = {
        "name": "resnet50-momentum-0-12",
        "recipe": "resnet50-momentum",
        "status": "interrupted",
        "epochs": 3,
        "validation_accuracy": 0.5,
        "test_accuracy": None,
        "created": "2025-01-02T03:04:05+00:00",
    }
    epoch = {"epoch": 1, "step": 17, "train/loss": 2.0, "train/accuracy": 0.25, "validation/loss": 1.0, "lr": 0.0001}
    text = rendered(runs_table([row])) + rendered(history_table([epoch]))
    assert max(map(len, text.splitlines())) <= 80
    assert "interrupted" in text
    assert ["1", "2.0000", "0.2500", "1.0000", "0.000100"] in [line.split() for line in text.splitlines()]
