from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

import zoo
from zoo.cli.main import main

TINY = [
    "conv-net-momentum",
    "architecture.filters=2",
    "architecture.hidden=8",
    "data.train_size=100",
    "training.epochs=1",
    "training.batch_size=50",
    "training.threads=1",
    "search=null",
]
COMMON = ["--run", "study", "--device", "cpu", "--range", "optimizer.lr=log:0.01..1"]


def test_it_prints_the_best_trials_and_what_to_type_next(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", *TINY, *COMMON, "--trials", "2"]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[:3] for line in err.splitlines()] == [["trial", str(n), "complete"] for n in range(2)]
    assert out.splitlines()[0].split() == ["trial", "state", "validation/accuracy", "epoch", "time", "lr"]
    (command,) = [line for line in out.splitlines() if line.startswith("next: ")]
    assert shlex.split(command)[1:] == ["zoo", "--registry", "study/best.yaml", "train", "conv-net-momentum"]
    assert "of trials  expected best" in out and "2 complete" in out
    assert main(["tune", *TINY, *COMMON, "--trials", "2", "--json"]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert err == "" and result == json.loads(Path("study/trials.json").read_text())
    rate = result["best"]["parameters"]["optimizer.lr"]
    assert zoo.resolve("conv-net-momentum", registry=result["registry"]).optimizer.params.lr == rate  # type: ignore[attr-defined]


def test_what_is_left_is_said_with_the_command_that_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", *TINY, *COMMON, "--trials", "3", "--prune", "--timeout", "0s"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    said, _, command = line.partition("; to go on: ")
    assert said == "0 of 3 trials have ended"
    assert shlex.split(command) == [
        "zoo", "tune", *TINY, "--run", "study", "--range", "optimizer.lr=log:0.01..1", "--trials", "3", "--prune", "--device", "cpu",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--run", "study"], "no search block, and no range is given\n  try: zoo tune conv-net-momentum --run study --range"),
        ([], "Missing option '--run'"),
        ([*COMMON, "--range", "optimizer.rate=1..2"], "command line: unknown setting 'optimizer.rate'; did you mean 'optimizer.lr'? (--range optimizer.rate=1..2)"),
        ([*COMMON, "--timeout", "soon"], "a time is like 45s, 30m or 1h30m, got 'soon' instead"),
        ([*COMMON, "--sampler", "grid"], "'grid' is not one of 'random', 'tpe'"),
        ([*COMMON, "--trials", "0"], "0 is not in the range x>=1"),
    ],
)  # fmt: skip
def test_bad_input_is_one_message_and_exit_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tune", *TINY, *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err
    assert list(Path().iterdir()) == []


def test_where_every_trial_fails_the_reason_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["tune", *TINY, "--run", "study", "--trials", "1", "--device", "cpu", "--range", "optimizer.lr=1e9"]) == 2
    )
    out, err = capsys.readouterr()
    assert "1 failed" in out and "error: of 1 trials that ended none is complete: " in err and "best.yaml" not in out
