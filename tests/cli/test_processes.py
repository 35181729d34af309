from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from zoo.cli import processes
from zoo.cli.main import main
from zoo.errors import DeviceError, ZooError
from zoo.training.checkpoint import dumps
from zoo.training.device import require_devices
from zoo.training.run import Run, list_runs

ZOO = str(Path(sys.executable).with_name("zoo"))
EPOCHS = 20
# Without batch norm, whose statistics are of each process's own part of a batch.
SMALL = (
    "train", "conv-net-momentum", "architecture.filters=4", "architecture.hidden=16", "data.train_size=200",
    "training.batch_size=40", "training.threads=1", "training.early_stopping=null", "regularizers=[]", "optimizer.lr=0.1",
    f"training.epochs={EPOCHS}", "--device", "cpu",
)  # fmt: skip


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([ZOO, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process: subprocess.Popen[str], timeout: float = 120) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def state(run: Run) -> dict[str, bytes]:
    return dumps(run.checkpoints.load_last()[0])


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run that two processes have trained, one SIGINT between, after looking at what they printed."""
    run = Run(tmp_path_factory.mktemp("together") / "two")
    process = start(*SMALL, "--run", str(run.path), "--devices", "2", "--json")
    metrics, deadline = run.path / "metrics.jsonl", time.monotonic() + 60
    while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    status, out, first = end(process)
    assert (status, out) == (130, "")
    assert first.count("SIGINT at step ") == 1
    assert first.endswith(f"try: zoo train --resume {run.path} --devices 2\n")
    assert "Traceback" not in first
    assert run.status == "interrupted"
    status, out, second = end(start("train", "--resume", str(run.path), "--devices", "2", "--json"))
    result = json.loads(out)
    assert (status, result["run"], result["exact"]) == (0, str(run.path), True), second
    told = [line.split()[0] for line in (first + second).splitlines() if f"/{EPOCHS} " in line]
    assert told == [f"{epoch}/{EPOCHS}" for epoch in range(1, EPOCHS + 1)]
    assert "process 1" not in first + second
    return run


def figures(run: Run, epochs: int) -> list[dict[str, Any]]:
    return run.history()[:epochs]


def test_two_processes_share_a_batch_and_learn_as_one_does(together: Run) -> None:
    """Figures differ by the rounding of sums, which grows with every step: those of the first epochs are compared."""
    assert main([*SMALL, "--run", "one", "--json"]) == 0
    for one, two in zip(figures(Run(Path("one")), 3), figures(together, 3), strict=True):
        assert two == pytest.approx(one, rel=1e-3)
    assert together.manifest["environment"]["processes"] == 2
    assert (together.summary or {})["test"]["samples"] == 359
    assert [run.path for run in list_runs(together.path.parent)] == [together.path]


def test_one_sigint_stops_both_with_one_checkpoint_and_they_go_on_together(together: Run) -> None:
    assert together.status == "finished" and [row["epoch"] for row in together.history()] == list(range(1, EPOCHS + 1))


@pytest.mark.slow
def test_what_was_stopped_and_went_on_is_bit_by_bit_what_was_never_stopped(together: Run) -> None:
    status, out, err = end(start(*SMALL, "--run", "whole", "--devices", "2", "--json"))
    assert (status, json.loads(out)["exact"]) == (0, True), err
    assert state(Run(Path("whole"))) == state(together)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_ends_all_with_its_own_status(tmp_path: Path) -> None:
    status, out, err = end(start(*SMALL, "optimizer.lr=1e30", "--run", "diverged", "--devices", "2", "--json"))
    assert (status, out) == (76, "")
    assert err.count("is not finite at step") == 1
    assert "process 1" not in err
    assert Run(Path("diverged")).status == "failed"


@pytest.mark.slow
def test_one_process_goes_on_with_a_run_of_two_and_says_that_it_is_not_exact(
    capsys: pytest.CaptureFixture[str],
) -> None:
    process = start(*SMALL, "training.epochs=2000", "--run", "stopped", "--devices", "2")
    metrics, deadline = Path("stopped/metrics.jsonl"), time.monotonic() + 60
    while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert end(process)[0] == 143
    recipe = Path("stopped/recipe.yaml")
    recipe.write_text(recipe.read_text().replace("epochs: 2000", "epochs: 1"))
    assert main(["train", "--resume", "stopped", "--device", "cpu", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["exact"] is False
    assert "not exact any more: processes was 2, now 1" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dry-run"], "a dry run is one process: it takes no --devices"),
        (["--data", "missing"], "there is no file or folder 'missing'"),
        (["--device", "abacus"], "unknown device 'abacus'"),
        (["--run", "taken"], "taken exists already"),
    ],
)
def test_bad_input_is_told_once_before_any_process_begins(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/notes.txt").write_text("mine")
    assert main([*SMALL, *arguments, "--devices", "2"]) == 2
    assert message in capsys.readouterr().err


def test_more_processes_than_cuda_devices_are_refused_with_their_number() -> None:
    if not torch.cuda.is_available():
        pytest.skip("this machine has no cuda")
    count = torch.cuda.device_count()
    with pytest.raises(DeviceError, match=f"needs {count + 1} cuda devices, and this machine has {count}"):
        require_devices("cuda", count + 1)


@pytest.mark.slow
def test_more_processes_than_cores_are_told_in_one_note() -> None:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system does not bind processes to cores")
    one = {min(os.sched_getaffinity(0))}
    command = [ZOO, *SMALL, "training.epochs=1", "--devices", "2"]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, preexec_fn=lambda: os.sched_setaffinity(0, one)
    )
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0
    assert err.count("2 processes share 1 core of the CPU and wait for one another: one process is faster") == 1


def test_the_processes_of_another_group_are_not_multiplied(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not processes.grouped(2)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert processes.grouped(2)
    with pytest.raises(ZooError, match="--devices 4 in one of 2 processes"):
        processes.grouped(4)


@pytest.mark.parametrize(
    ("statuses", "status", "told"),
    [
        ({0: 0, 1: 0}, 0, ""),
        ({0: 76, 1: 76}, 76, ""),
        ({0: 1, 1: 74}, 74, "process 1 of 2:\n  error: no space left\n"),
        ({0: 1}, 1, "process 1 of 2:\n  error: no space left\n"),
    ],
)
def test_the_status_is_that_of_a_named_error_and_what_only_another_process_knows_is_told(
    statuses: dict[int, int], status: int, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "1.txt").write_text("error: no space left\n")
    for rank in (0, 1):
        (tmp_path / f"{rank}.pid").write_text(str(os.getpid()))
    for rank, number in statuses.items():
        (tmp_path / f"{rank}.status").write_text(str(number))
    assert processes._ended(tmp_path, 2) == status
    assert capsys.readouterr().err == told
