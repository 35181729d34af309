from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

CODE = """
import json, os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
import zoo
from zoo.errors import Interrupted
from zoo.training.events import StepDone
from zoo.training.run import Run
from zoo.training.session import Session

data, run, settings, stop = sys.argv[1], Path(sys.argv[2]), sys.argv[3:-1], int(sys.argv[-1])
rank = int(os.environ.get("RANK", "0"))
if settings == ["resume"]:
    session = Session.resume(run, catalog=zoo.catalog, device="cpu")
else:
    recipe = zoo.resolve(
        "conv-net-momentum", "architecture.filters=4", "architecture.hidden=16", "training.epochs=1",
        "training.batch_size=64", "training.threads=1", "training.evaluation_batch_size=500", "regularizers=[]",
        *settings, data=data,
    )
    session = Session.start(recipe, catalog=zoo.catalog, run=run, device="cpu")
try:
    for event in session.events():
        if isinstance(event, StepDone) and event.step == stop and rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)
except Interrupted as error:
    print(json.dumps({"stopped": error.exit_code, "step": session.progress.step}))
else:
    if rank == 0:
        done = Run(session.run.path)
        print(json.dumps({"history": done.history(), "summary": done.summary}))
if torch.distributed.is_initialized():
    torch.distributed.destroy_process_group()
"""


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an npz of real digits with 1,001 test samples, a number that two processes cannot share evenly."""
    data = load_digits()
    images = np.round(data.images * (255 / 16)).astype(np.uint8)
    path = tmp_path_factory.mktemp("digits") / "digits.npz"
    np.savez(path, x_train=images[:796], y_train=data.target[:796], x_test=images[796:], y_test=data.target[796:])
    return path


def launch(digits: Path, run: Path, world: int, *settings: str, stop: int = 0) -> list[dict[str, Any]]:
    """Train in `world` processes, the second of which gets a SIGTERM at step `stop`; return what each printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    processes = []
    for rank in range(world):
        group = {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(world),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
        }
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **(group if world > 1 else {})}
        command = [sys.executable, "-c", CODE, str(digits), str(run), *settings, str(stop)]
        processes.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
    ended = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * world, ended
    return [json.loads(out) for out, _ in ended if out]


def test_two_processes_train_an_epoch_and_evaluate_each_sample_once(digits: Path, tmp_path: Path) -> None:
    (alone,), (together,) = launch(digits, tmp_path / "one", 1), launch(digits, tmp_path / "two", 2)
    assert together["summary"]["test"]["samples"] == 1001
    rows = np.load(tmp_path / "two" / "predictions" / "test.npz")
    assert rows["samples"].tolist() == list(range(1001)) and len(set(rows["ids"].tolist())) == 1001
    # The same samples in the same order: figures differ by rounding of sums only.
    (one,), (two,) = alone["history"], together["history"]
    assert two == pytest.approx(one, rel=1e-3)
    assert together["summary"]["test"] == pytest.approx(alone["summary"]["test"], rel=5e-3)


@pytest.mark.slow
def test_a_signal_to_one_of_two_processes_stops_both_and_they_go_on(digits: Path, tmp_path: Path) -> None:
    """Batch norm has statistics of each process's own, also in averaged weights: the leader's count."""
    settings = (
        "architecture={name: timm, model: test_resnet}", "data.train_size=120", "training.batch_size=40", "training.epochs=2",
        "schedule={name: constant}", "regularizers=[{name: swa, share: 0.6}]",
    )  # fmt: skip
    (whole,) = launch(digits, tmp_path / "whole", 2, *settings)
    first = launch(digits, tmp_path / "stopped", 2, *settings, stop=4)
    assert first == [{"stopped": 143, "step": 4}] * 2
    (resumed,) = launch(digits, tmp_path / "stopped", 2, "resume")
    assert resumed["history"][-1] == whole["history"][-1]
    assert resumed["summary"]["test"] == whole["summary"]["test"]


@pytest.mark.slow
def test_two_processes_share_embeddings_a_choice_and_a_thaw(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = (
        "data.train_size=120", "training.batch_size=40", "training.epochs=3", "schedule={name: constant}",
        "augmentation=null", "regularizers=[weight-decay]", "freeze={stages: backbone, unfreeze_after: 2, choose: true}",
        "search={optimizer.lr: {choices: [0.001, 0.2]}}",
    )  # fmt: skip
    printed = []
    for world in (1, 2):
        monkeypatch.setenv("ZOO_CACHE", str(tmp_path / f"cache-{world}"))
        printed += launch(digits, tmp_path / str(world), world, *settings)
    alone, together = printed
    for one, two in zip(alone["history"], together["history"], strict=True):
        assert two == pytest.approx(one, rel=1e-3)
    assert alone["history"][0]["lr"] == 0.2
    assert len(list((tmp_path / "cache-2/embeddings").iterdir())) == 2
