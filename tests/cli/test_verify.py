from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from zoo.cli.main import main

ZOO = str(Path(sys.executable).with_name("zoo"))
RECIPE = """
version: 1
recipes:
  small:
    extends: conv-net-momentum
    architecture: {{filters: 4, hidden: 16}}
    data: {{name: digits, train_size: 200}}
    training: {{epochs: {epochs}, batch_size: 40, threads: 1, early_stopping: null}}
    target: {{value: {value}, tolerance: 0.5, seeds: 2, source: the author}}
"""


def write(value: float, epochs: int = 1) -> None:
    Path("registry.yaml").write_text(RECIPE.format(value=value, epochs=epochs))


def test_a_kept_promise_exits_0_and_a_broken_one_1(capsys: pytest.CaptureFixture[str]) -> None:
    write(0.5)
    assert main(["verify", "small", "--device", "cpu", "--runs", "there", "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["passed"] is True
    assert [Path(each["run"]).parent.name for each in found["seeds"]] == ["there", "there"]
    assert err.count("1/1 ") == 2
    write(2.0)
    assert main(["verify", "small", "--device", "cpu", "--runs", "there"]) == 1
    out = capsys.readouterr().out
    assert "not kept: mean test/accuracy " in out
    assert out.endswith("of small on digits, seeds 0, 1; 1.5000 … 2.5000 promised by the author\n")


@pytest.mark.slow
def test_sigint_saves_the_run_and_the_same_command_goes_on() -> None:
    write(0.5, epochs=2000)
    command = [ZOO, "verify", "small", "--device", "cpu", "--runs", "there"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(Path.cwd().glob("there/*/metrics.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "the run is saved" in err
    assert err.endswith("try: zoo verify small --device cpu --runs there\n")


def test_a_recipe_without_a_target_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "resnet18-sgd"]) == 2
    err = capsys.readouterr().err
    assert "recipe 'resnet18-sgd' has no target of its own" in err
    assert "target: {metric: test/accuracy, value: 0.98, tolerance: 0.01, seeds: 3" in err
