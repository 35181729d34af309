from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import zoo
from zoo.cli.main import main
from zoo.errors import DataError
from zoo.training.run import Run

DIGITS = load_digits(n_class=2)
SMALL = ["conv-net-momentum", "architecture.filters=4", "architecture.hidden=16", "data.image_size=8"]
SMALL += ["training.epochs=1", "training.threads=1"]


def split(folder: Path, start: int, count: int) -> None:
    """Write real digits of two classes as PNG files."""
    for index in range(start, start + count):
        place = folder / f"number {DIGITS.target[index]}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray((DIGITS.images[index] * 15).astype(np.uint8)).save(place / f"{index}.png")


@pytest.fixture
def truncated(tmp_path: Path) -> Path:
    """Return a photo of `photos/test` that ends too soon; train and validation are whole."""
    for name, start in (("train", 0), ("validation", 30), ("test", 50)):
        split(tmp_path / "photos" / name, start, 20)
    photo = next((tmp_path / "photos/test").rglob("*.png"))
    photo.write_bytes(photo.read_bytes()[:-30])
    return photo


def test_a_truncated_photo_in_test_costs_the_figures_on_test_and_not_the_run(
    truncated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *SMALL, "--data", "photos", "--run", "here", "--json"]) == 2
    out, err = capsys.readouterr()
    summary = json.loads(out)
    run = Run(Path("here"))
    assert run.status == "finished"
    assert run.summary == summary
    assert summary["test"] is None
    assert summary["validation"]["samples"] == 20
    assert str(truncated) in summary["problem"]
    assert run.checkpoints.load_best()["model"]
    assert f"error: cannot decode {truncated}: image file is truncated" in err
    assert err.endswith(f"try: zoo eval here --data {truncated.parents[2]}\n")
    assert "failed" not in Path("here/status.json").read_text()


def test_the_command_that_is_said_tests_the_run_when_the_file_is_repaired_or_gone(
    truncated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["train", *SMALL, "--data", "photos", "--run", "here"])
    command = capsys.readouterr().err.rpartition("try: zoo ")[2].split()
    truncated.unlink()
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["samples"] == 19


def test_resuming_the_finished_run_says_again_what_is_missing(
    truncated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["train", *SMALL, "--data", "photos", "--run", "here"])
    capsys.readouterr()
    assert main(["train", "--resume", "here"]) == 0
    assert f"cannot decode {truncated}" in capsys.readouterr().err


def test_a_test_split_that_was_cut_from_train_asks_to_train_anew(tmp_path: Path) -> None:
    split(tmp_path / "photos", 0, 40)
    recipe = zoo.resolve(*SMALL, data="photos")
    cut = zoo.train(recipe).manifest["samples"]["test"]
    assert cut == 4
    for photo in (tmp_path / "photos").rglob("*.png"):
        whole = photo.read_bytes()
        photo.write_bytes(whole[:-30])
        try:
            zoo.train(recipe)
        except DataError as error:
            if "training is finished" in error.problem:
                assert error.hint.startswith("train anew then: test is cut from the files of train")
                return
        photo.write_bytes(whole)
    pytest.fail("no photo was of the test split")
