"""`zoo compare` on two small recipes."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from zoo.cli.compare import compare
from zoo.cli.main import main
from zoo.cli.question import asked
from zoo.comparison.question import Corruptions, Expectation, Question

SMALL = ["conv-net-momentum", "row-lstm-momentum", "training.steps=8", "training.epochs=null", "training.threads=1"]
SMALL += ["training.early_stopping=null", "--seeds", "1", "--no-measure", "--run", "study"]


def test_a_plan_is_printed_and_nothing_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *SMALL, "--plan"]) == 0
    out, _ = capsys.readouterr()
    assert "conv-net-momentum" in out and "2 recipes × 1 seed" in out and "smallest p attainable" in out
    assert not any(Path().iterdir())
    assert main(["compare", *SMALL, "--plan", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["primary"] == [["conv-net-momentum", "row-lstm-momentum"]]
    assert found["variants"]["row-lstm-momentum"][""]["seconds"] > 0


def test_a_comparison_is_made_gone_on_with_and_kept_apart(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *SMALL]) == 0
    out, err = capsys.readouterr()
    assert "trained models only" in out and err.count("accuracy 0.") == 2 and "\x1b" not in err
    assert {path.name for path in Path("study").iterdir()} == {
        ".lock",
        "analysis.json",
        "plan.json",
        "recipes.yaml",
        "report.html",
        "runs",
    }
    assert main(["compare", "--run", "study", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["verdicts"] == json.loads(Path("study/analysis.json").read_text())["verdicts"]
    assert "accuracy 0." not in err  # nothing was trained again
    assert main(["compare", *SMALL, "--margin", "1"]) == 2
    assert "margin was 0.5 points, now 1 points" in capsys.readouterr().err
    assert main(["compare", "--run", "study", "--plan"]) == 0
    assert "2 recipes × 1 seed; 2 are finished" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["conv-net-momentum"], "a comparison needs two recipes"),
        ([], "study is not a comparison"),
        (["--seeds", "3"], "--seeds asks something, and the plan in study is made"),
        (["conv-net-momentum", "row-lstm-momentum", "training.seed=4"], "training.seed=4 cannot be set here"),
        (["conv-net-momentum", "--vary", "training.seed=4,5"], "training.seed=… cannot be set here"),
        (["conv-net-momentum", "--vary", "a=1,2", "--vary", "b=1,2"], "--vary b=1,2 is one too many"),
        (
            ["conv-net-momentum", "row-lstm-momentum", "training.epochs=2", "--budget", "seconds=1"],
            "cannot be set here",
        ),
        (["conv-net-momentum", "row-lstm-momentum", "--severity", "3"], "--severity goes with --corruptions"),
        (["training.steps=3"], "settings were given without recipes"),
        (["conv-net-momentum", "row-lstm-momentum", "--vary", "data.train_size=100"], "names 1 values"),
        (["conv-net-momentum", "row-lstm-momentum", "--primary", "cnn"], "is not a pair"),
        (["conv-net-momentum", "row-lstm-momentum", "--expect", "conv-net-momentum@x=falls:2"], "is not understood"),
        (["conv-net-momentum", "row-lstm-momentum", "--budget", "macs"], "--budget macs=2e6"),
        (["conv-net-momentum", "row-lstm-momentum", "--budget", "layers=3"], "there is no budget of layers"),
        (["conv-net-momentum", "row-lstm-momentum", "--limit", "9"], "--limit goes with --corruptions"),
        (["conv-net-momentum", "row-lstm-momentun"], "did you mean 'row-lstm-momentum'"),
    ],
)
def test_bad_input_loses_nothing(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *words, "--run", "study"]) == 2
    assert message in capsys.readouterr().err
    assert not Path("study").exists()


@pytest.mark.parametrize(
    "question",
    [
        Question(recipes=("conv-net-momentum", "row-lstm-momentum")),
        Question(
            recipes=("conv-net-momentum",),
            settings=("training.epochs=8",),
            data="fashion mnist.npz",
            seeds=3,
            vary="data.arrangement",
            values=("null", "transpose"),
            primary=(("cnn", "rnn"), ("conv-net-momentum", "row-lstm-momentum")),
            expect=(Expectation(recipe="conv-net-momentum", value="transpose", sign="falls", margin=0.02),),
            corruptions=Corruptions(limit=100, severities=(1, 5)),
            budget=("macs", 2e6),
            seconds=1.5,
            trials=8,
            trial_settings=("training.epochs=4",),
            larger=True,
            measure=False,
            margin=0.01,
        ),
    ],
    ids=["plain", "all"],
)
def test_the_command_that_a_report_prints_asks_the_same_question(question: Question) -> None:
    words = shlex.split(shlex.join(question.command("again")))
    options = compare.make_context("compare", words[2:]).params
    recipes = [word for word in options["words"] if "=" not in word]
    settings = [word for word in options["words"] if "=" in word]
    assert asked(tuple(recipes), tuple(settings), options["folder"], options) == question
