from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

CODE = """
import json, os, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
import zoo
recipe = zoo.resolve("conv-net-momentum", "architecture.filters=4", "architecture.hidden=16", "training.epochs=1", "training.batch_size=64",
                     "training.threads=1", "training.evaluation_batch_size=500", "regularizers=[]", data=sys.argv[1])
run = zoo.train(recipe, run=sys.argv[2], device="cpu")
if os.environ.get("RANK", "0") == "0":
    print(json.dumps({"history": run.history(), "summary": run.summary}))
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


def launch(digits: Path, run: Path, world: int) -> dict[str, object]:
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
        command = [sys.executable, "-c", CODE, str(digits), str(run)]
        processes.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
    ended = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * world, ended
    return json.loads(ended[0][0])  # type: ignore[no-any-return]


def test_two_processes_train_an_epoch_and_evaluate_each_sample_once(digits: Path, tmp_path: Path) -> None:
    alone, together = launch(digits, tmp_path / "one", 1), launch(digits, tmp_path / "two", 2)
    assert together["summary"]["test"]["samples"] == 1001  # type: ignore[index]
    rows = np.load(tmp_path / "two" / "predictions" / "test.npz")
    assert rows["samples"].tolist() == list(range(1001)) and len(set(rows["ids"].tolist())) == 1001
    # The same samples in the same order: figures differ by rounding of sums only.
    (one,), (two,) = alone["history"], together["history"]  # type: ignore[misc]
    assert two == pytest.approx(one, rel=1e-3)
    assert together["summary"]["test"] == pytest.approx(alone["summary"]["test"], rel=5e-3)  # type: ignore[index]
