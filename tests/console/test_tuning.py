from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree
from typing import Any

from rich.console import Console

from zoo.comparison.trials import Trial, Tuning, best_trial, expected_of
from zoo.comparison.tuning_plot import history, importance
from zoo.console.tuning import TuningReport, tuning_card
from zoo.training.events import EpochDone


def trial(number: int, value: float | None, state: Any = "complete", reason: str = "") -> Trial:
    parameters = {
        "optimizer.lr": 0.1 / (number + 1),
        "regularizers.dropout.rate": 0.25,
        "regularizers.l1.strength": 0.5,
    }
    return Trial(
        number=number, state=state, value=value, epoch=None if value is None else 3, loss=1.0, seconds=65.0,
        parameters=parameters, run=f"trials/{number}", reason=reason,
    )  # fmt: skip


TRIALS = (
    trial(0, 0.8), trial(1, 0.9), trial(2, 0.4, "pruned", "worse"), trial(3, None, "failed", "not finite"),
    *(trial(n, 0.5) for n in range(4, 13)), trial(13, None, "running"),
)  # fmt: skip


def tuning(**changes: Any) -> Tuning:
    metric = "validation/accuracy"
    fields = {
        "recipe": "r", "run": "study", "metric": metric, "sampler": "random", "seed": 0, "trials": TRIALS,
        "best": best_trial(TRIALS, metric), "importances": {"optimizer.lr": 0.75, "regularizers.dropout.rate": 0.25},
        "expected": expected_of(TRIALS, metric), "registry": "study/best.yaml", "command": "zoo train",
    }  # fmt: skip
    return Tuning(**{**fields, **changes})


def printed(what: Any) -> str:
    file = io.StringIO()
    Console(file=file, width=160).print(what)
    return file.getvalue()


def test_the_card_has_the_best_trials_first_and_what_fewer_would_have_found() -> None:
    lines = printed(tuning_card(tuning())).splitlines()
    assert lines[0].split() == [
        "trial",
        "state",
        "validation/accuracy",
        "epoch",
        "time",
        "lr",
        "dropout.rate",
        "l1.strength",
    ]
    assert lines[1].split() == ["1", "complete", "0.9000", "3", "1:05", "0.05", "0.25", "0.5"]
    assert [line.split()[0] for line in lines[1:4]] == ["1", "0", "4"] and lines[11] == ""
    expected = [line.split() for line in lines if len(line.split()) == 2 and line.split()[0].isdigit()]
    assert [row[0] for row in expected] == ["1", "2", "4", "8", "13"] and expected[-1][1] == "0.9000"
    text = "\n".join(lines)
    assert "11 complete, 1 pruned, 1 failed, 1 running" in text and "best.yaml, trials.csv" in text
    assert "trial 1: optimizer.lr 0.05, regularizers.dropout.rate 0.25" in text and "tpe" not in text
    assert "expects too much" in printed(tuning_card(tuning(sampler="tpe")))


def test_a_loss_is_best_where_it_is_lowest() -> None:
    lines = printed(tuning_card(tuning(metric="validation/loss"))).splitlines()
    assert lines[1].split()[0] == "4"


def test_every_trial_leaves_a_line_with_its_reason() -> None:
    file = io.StringIO()
    with TuningReport(Console(file=file, width=160), 20) as report:
        report.see(0, EpochDone(epoch=1, step=5, metrics={"validation/accuracy": 0.5}, timings={}, best=True))
        report.ended(TRIALS[0])
        report.ended(TRIALS[3])
    first, second = file.getvalue().splitlines()
    assert first.startswith("trial  0  complete   0.8000  optimizer.lr 0.1, ")
    assert second.startswith("trial  3  failed          –  ") and second.endswith("  not finite")


def test_the_pictures_have_a_mark_for_each_trial_and_a_bar_for_each_parameter() -> None:
    root = ElementTree.fromstring(history(tuning()))
    svg = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{svg}circle")) == 12 and [t.text for t in root.findall(f"{svg}text")].count("×") == 1
    (steps,) = root.findall(f"{svg}polyline")
    heights = [float(point.split(",")[1]) for point in steps.attrib["points"].split()]
    assert heights == sorted(heights, reverse=True) and len(set(heights)) == 2  # it rises once, from 0.8 to 0.9
    bars = ElementTree.fromstring(importance(tuning())).findall(f"{svg}rect")[1:]
    lengths = [float(bar.attrib["width"]) for bar in bars]
    assert lengths[0] == 3 * lengths[1]
    assert "are needed" in importance(tuning(importances={}))


def test_a_study_without_a_figure_has_pictures_too() -> None:
    empty = tuning(trials=(trial(0, None, "failed"),), best=None, importances={}, expected=(), registry=None)
    ElementTree.fromstring(history(empty))
    assert "best.yaml" not in printed(tuning_card(empty)) and "1 failed" in printed(tuning_card(empty))


def test_shares_of_variance_by_few_trials_are_called_a_guess() -> None:
    """Ten complete trials are enough; pruned and failed ones do not count."""
    for complete, said in ((9, True), (10, False)):
        trials = (*(trial(n, n / 10) for n in range(complete)), *(trial(20 + n, 0.1, "pruned") for n in range(3)))
        study = tuning(trials=trials)
        ElementTree.fromstring(importance(study))
        for text in (printed(tuning_card(study)), importance(study)):
            assert ("a guess, from 9 complete trials only" in text) is said
    assert tuning(trials=TRIALS[:2], importances={}).caution is None
