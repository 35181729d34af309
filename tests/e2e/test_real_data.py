"""Real data sets at their own size, on the command line: the folder that ZOO_TEST_DATA names. Minutes; run with -m slow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from zoo.cli.main import main

pytestmark = pytest.mark.slow
TWO_EPOCHS = ["conv-net-momentum", "training.epochs=2", "augmentation={shift: 0.05}", "training.early_stopping=null"]


def trained(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["train", *arguments, "--json"]) == 0
    summary: dict[str, Any] = json.loads(capsys.readouterr().out)
    return summary


def test_two_epochs_on_mnist_from_npz(test_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary = trained(capsys, *TWO_EPOCHS, "--data", str(test_data / "mnist.npz"))
    assert summary["test"]["samples"] == 10_000
    assert summary["test"]["accuracy"] >= 0.985


def test_two_epochs_on_mnist_from_torchvisions_layout(
    test_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unpack = test_data.parent / "tools/unpack-data.py"
    if not unpack.exists():
        pytest.skip("there is no script that writes torchvision's layout")
    subprocess.run([sys.executable, str(unpack), str(tmp_path / "layout")], check=True, capture_output=True)
    (root,) = {path.parent.parent for path in tmp_path.rglob("raw") if path.parent.name == "MNIST"}
    summary = trained(capsys, *TWO_EPOCHS, f"data={{name: torchvision, path: {root}, dataset: MNIST}}")
    assert summary["test"]["samples"] == 10_000
    assert summary["test"]["accuracy"] >= 0.985


def test_photos_of_clothing_from_training_to_prediction(test_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = test_data / "clothing"
    summary = trained(capsys, "conv-net-momentum", "training.epochs=2", "--data", str(photos), "--run", "clothes")
    assert (summary["validation"]["samples"], summary["test"]["samples"]) == (341, 372)
    assert summary["test"]["accuracy"] > 0.25  # the largest class alone would give 0.20
    assert main(["eval", "clothes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == summary["test"]["accuracy"]
    assert main(["predict", "clothes", str(photos / "test"), "--top", "3", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    right = sum(row["class"] == Path(row["path"]).parent.name for row in rows)
    assert right / len(rows) == summary["test"]["accuracy"]
