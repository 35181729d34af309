from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from zoo.cli.main import main

ZOO = str(Path(sys.executable).with_name("zoo"))
TINY = [
    "conv-net-momentum",
    "architecture.filters=4",
    "architecture.hidden=16",
    "data.train_size=200",
    "training.epochs=2",
    "training.batch_size=40",
    "training.threads=1",
]


def test_train_prints_one_document_on_stdout_and_plain_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *TINY, "--run", "here", "--seed", "3", "--device", "cpu", "--json"]) == 0
    out, err = capsys.readouterr()
    summary = json.loads(out)
    assert {"run": "here", "status": "finished", "epochs": 2}.items() <= summary.items()
    assert 0 <= summary["validation"]["accuracy"] <= 1
    assert summary["test"]["samples"] == 359
    assert [line.split()[0] for line in err.splitlines() if "/2 " in line] == ["1/2", "2/2"]
    assert "\x1b" not in err
    assert json.loads(Path("here/manifest.json").read_text())["recipe"] == "conv-net-momentum"


def test_the_closing_table_names_figures_and_paths(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *TINY, "training.epochs=1"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()[:3]] == ["split", "validation", "test"]
    for part in ("runs/conv-net-momentum-0-1", "metrics.jsonl", "checkpoints/"):
        assert part in out


def test_a_dry_run_writes_nothing_and_says_what_regularizers_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *TINY, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "went well" in out
    assert "whole run" in out
    assert list(tmp_path.iterdir()) == []
    assert main(["train", *TINY, "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["total_steps"] == 10


def test_resuming_a_finished_run_reports_and_exits_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *TINY, "training.epochs=1", "--json"]) == 0
    first = capsys.readouterr().out
    assert main(["train", "--resume", "latest", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == json.loads(first)
    assert "is finished already" in err


def test_a_resumed_run_keeps_its_recipe_and_how_to_change_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *TINY, "training.epochs=1", "--run", "here", "--json"]) == 0
    capsys.readouterr()
    assert main(["train", "--resume", "here", "optimizer.lr=0.2", "--seed", "5"]) == 2
    err = capsys.readouterr().err
    assert "a resumed run keeps its recipe: --resume takes no optimizer.lr=0.2" in err
    command = "zoo --registry here/recipe.yaml train conv-net-momentum optimizer.lr=0.2 --seed 5"
    assert err.endswith(f"try: {command}\n")
    assert main([*command.split()[1:], "--run", "there", "--json"]) == 0
    recipe = Path("there/recipe.yaml").read_text()
    assert "lr: 0.2" in recipe
    assert "filters: 4" in recipe


def test_sigint_saves_and_prints_how_to_go_on() -> None:
    command = [ZOO, "train", *TINY, "training.epochs=2000", "--run", "long", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    metrics = Path("long/metrics.jsonl")
    deadline = time.monotonic() + 60
    while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert "zoo train --resume long" in err
    assert "Traceback" not in err


def interrupted(run: str, *arguments: str, after: Callable[[Path, int], bool]) -> tuple[int, str]:
    """Return exit status and messages of a training in a process of its own that SIGINT meets when `after` is true of its run
    and its number.
    """
    command = [ZOO, "train", *TINY, "--run", run, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    deadline = time.monotonic() + 60
    while not after(Path(run), process.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    return process.returncode, err.strip()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="what a process has loaded is seen on Linux only")
def test_sigint_before_training_says_that_nothing_was_written_and_how_to_begin_again(tmp_path: Path) -> None:
    status, err = interrupted("early run", after=lambda run, pid: "libtorch" in Path(f"/proc/{pid}/maps").read_text())
    assert status == 130
    assert "interrupted before training began: nothing was written\n  try: zoo train conv-net-momentum " in err
    assert err.endswith("--run 'early run'")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_sigint_while_the_run_is_made_leaves_one_that_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    status, err = interrupted("made", "training.epochs=2000", after=lambda run, pid: run.exists())
    assert status == 130
    assert "SIGINT at step " in err
    assert err.endswith("try: zoo train --resume made")
    assert Path("made/manifest.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "needs a RECIPE"),
        (["conv-net-momentun"], "did you mean 'conv-net-momentum'?"),
        (["optimizer.lr=3"], "unknown recipe 'optimizer.lr=3'"),
        (["conv-net-momentum", "optimizer.lr=fast"], "optimizer.lr"),
        (["conv-net-momentum", "--data", "missing-folder"], "missing-folder"),
        (["conv-net-momentum", "--device", "abacus"], "unknown device 'abacus'"),
        (["conv-net-momentum", "--run", "taken"], "taken exists already"),
        (["--resume", "no-such-run"], "unknown run 'no-such-run'"),
        (["conv-net-momentum", "--resume", "x"], "takes no RECIPE"),
        (["--resume", "x", "--seed", "1"], "takes no --seed\n"),
        (["--resume", "x", "lr=3"], "try: zoo train RECIPE lr=3"),
        (["--resume", "x", "--run", "y"], "possible: zoo train --resume x, or a new run with the change\n"),
        (["conv-net-momentum", "--seed", "-1"], "--seed"),
    ],
)
def test_bad_input_is_one_message_exit_2_and_loses_nothing(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/notes.txt").write_text("mine")
    assert main(["train", *arguments, "--json"]) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert "Traceback" not in err
    assert out == ""
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == [
        "taken",
        "taken/notes.txt",
    ]


def test_a_place_without_write_permission_is_said(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert main(["train", *TINY, "--run", str(closed / "run")]) == 2


def test_cuda_on_a_machine_without_one(capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has cuda")
    assert main(["train", *TINY, "--device", "cuda"]) == 2
    assert "is not on this machine" in capsys.readouterr().err
