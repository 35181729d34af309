"""`zoo runs`, `zoo eval` and `zoo predict` on one run of a folder of photos."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from zoo.cli.main import main
from zoo.evaluation.corruptions import CORRUPTIONS


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `photos/` (two classes of real digits) and a finished run of one epoch in `runs/`."""
    home = tmp_path_factory.mktemp("home")
    digits = load_digits()
    for split, start in (("train", 0), ("validation", 40), ("test", 60)):
        for label in (0, 1):
            folder = home / "photos" / split / f"class {label}"
            folder.mkdir(parents=True)
            for index, image in enumerate(digits.images[digits.target == label][start : start + 20]):
                Image.fromarray((image * 15.9).astype(np.uint8)).save(folder / f"{index:02}.png")
    arguments = ["train", "conv-net-momentum", "architecture.filters=4", "architecture.hidden=16", "data.image_size=8"]
    arguments += ["training.epochs=2", "training.batch_size=10", "training.threads=1"]
    assert main([*arguments, "--data", str(home / "photos"), "--run", str(home / "runs/photos-0-1")]) == 0
    return home


@pytest.fixture
def home(trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    monkeypatch.chdir(trained)
    capsys.readouterr()
    return trained


def document(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> Any:
    assert main([*arguments, "--json"]) == status
    return json.loads(capsys.readouterr().out)


def test_runs_lists_and_shows_history(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = document(capsys, "runs")
    assert (row["name"], row["recipe"], row["status"], row["epochs"]) == (
        "photos-0-1",
        "conv-net-momentum",
        "finished",
        2,
    )
    assert row["validation_accuracy"] is not None
    shown = document(capsys, "runs", "latest")
    assert [epoch["epoch"] for epoch in shown["history"]] == [1, 2]
    assert main(["runs"]) == 0
    assert "photos-0-1" in capsys.readouterr().out
    assert main(["runs", "photos-0-1"]) == 0
    assert "train\n" not in (out := capsys.readouterr().out)
    assert "accuracy" in out
    assert document(capsys, "runs", str(home / "runs")) == [row | {"path": str(home / "runs" / "photos-0-1")}]


def test_runs_without_any(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "no runs" in err
    assert document(capsys, "runs") == []


def test_eval_gives_the_figures_of_a_split(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = document(capsys, "eval", "latest")
    assert (result["run"], result["split"], result["samples"]) == ("runs/photos-0-1", "test", 40)
    assert set(result["classes"]) == {"class 0", "class 1"}
    summary = json.loads((home / "runs/photos-0-1/summary.json").read_text())
    assert result["accuracy"] == summary["test"]["accuracy"]
    assert main(["eval", "latest", "--split", "train"]) == 0
    out, err = capsys.readouterr()
    assert "class 0" in out
    assert err == "" or "\x1b" not in err


def test_eval_warns_of_other_data_with_images_that_the_run_was_trained_on(
    home: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for index, split in enumerate(("test", "train", "train")):
        for label in (0, 1):
            (folder := tmp_path / f"class {label}").mkdir(exist_ok=True)
            content = (home / f"photos/{split}/class {label}/0{index}.png").read_bytes()
            (folder / f"{index}.png").write_bytes(content)
    assert main(["eval", "latest", "--data", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert err == "warning: the run was trained on 4 of these 6 images: new ones may be answered worse\n"
    assert f"of {tmp_path}, not the run's own data" in out
    assert document(capsys, "eval", "latest", "--data", "photos")["trained_on"] == 0


def test_eval_says_where_it_cannot_tell_what_the_run_was_trained_on(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "photos").rename(home / "moved")
    try:
        assert document(capsys, "eval", "latest", "--data", "moved")["trained_on"] is None
        assert main(["eval", "latest", "--data", "moved"]) == 0
        assert "is unknown: its own data is not as it was" in capsys.readouterr().err
    finally:
        (home / "moved").rename(home / "photos")


def test_eval_of_an_unknown_split(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "latest", "--split", "tset"]) == 2
    assert "did you mean 'test'?" in capsys.readouterr().err


def test_eval_under_corruptions_gives_accuracy_by_severity(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["eval", "latest", "--corruptions", "--severity", "2", "--severity", "5", "--limit", "10"]
    result = document(capsys, *options, "--corruption", "fog", "--corruption", "jpeg")
    assert (result["split"], result["samples"]) == ("test", 10)
    assert {name: list(levels) for name, levels in result["corruptions"].items()} == {
        "fog": ["2", "5"],
        "jpeg": ["2", "5"],
    }
    kept = {path.name for path in (home / "runs/photos-0-1/predictions/corruptions-10").iterdir()}
    assert kept == {"clean.npz", "fog-2.npz", "fog-5.npz", "jpeg-2.npz", "jpeg-5.npz"}
    assert main(options) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].split() == ["corruption", "severity", "2", "5", "mean"]
    assert [line.split()[0] for line in out[1:18]] == [*CORRUPTIONS]
    assert out[18].startswith("mean of 17") and "10 of test" in out[20]
    assert "MNIST-C-like corruptions" in out[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--corruptions", "--corruption", "fgo"], "did you mean 'fog'?"),
        (["--corruptions", "--severity", "0"], "--severity"),
        (["--corruptions", "--limit", "1"], "limit 1 is too small for 2 classes"),
        (["--corruptions", "--data", "photos"], "--corruptions goes with none of --data, --tta and --arrangement"),
        (["--limit", "9"], "try: zoo eval latest --corruptions --limit 9"),
        (["--corruption", "fog", "--severity", "2"], "zoo eval latest --corruptions --corruption fog --severity 2"),
    ],
)
def test_eval_under_corruptions_refuses_bad_input(
    arguments: list[str], message: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = (home / "runs/photos-0-1/ledger.jsonl").read_text()
    assert main(["eval", "latest", *arguments]) == 2
    out, err = capsys.readouterr()
    assert message in err and out == ""
    assert (home / "runs/photos-0-1/ledger.jsonl").read_text() == ledger


def test_predict_answers_for_each_file_and_names_the_bad_one(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mixed = home / "mixed"
    mixed.mkdir(exist_ok=True)
    source = home / "photos/test/class 0/00.png"
    (mixed / "good.png").write_bytes(source.read_bytes())
    (mixed / "cut.png").write_bytes(source.read_bytes()[:60])
    (mixed / ".DS_Store").write_bytes(b"\0")
    (mixed / "notes.txt").write_text("not an image, and not meant as one")
    bad, good = document(capsys, "predict", "latest", "mixed", "--top", "2", status=3)
    assert set(bad) == set(good) == {"path", "class", "probability", "top", "error"}
    assert (bad["path"], bad["class"], bad["probability"], bad["top"]) == ("mixed/cut.png", None, None, [])
    assert "mixed/cut.png" in bad["error"]
    assert good["error"] is None
    assert good["path"] == "mixed/good.png"
    assert good["class"] == good["top"][0]["class"]
    assert sum(pair["probability"] for pair in good["top"]) == pytest.approx(1)
    assert good["probability"] == good["top"][0]["probability"] >= good["top"][1]["probability"]


def test_predict_as_csv_and_as_table(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = "photos/test/class 1"
    assert main(["predict", "latest", folder, "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 20
    assert set(rows[0]) == {"path", "class", "probability", "error"}
    assert main(["predict", "latest", f"{folder}/00.png"]) == 0
    assert "00.png" in capsys.readouterr().out


def test_predict_exits_2_where_no_file_could_be_classified(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "text.png").write_text("no image")
    (row,) = document(capsys, "predict", "latest", "text.png", status=2)
    assert "text.png is not an image" in row["error"]


def test_a_file_that_is_not_classified_stands_below_the_table_and_in_a_column_of_its_own(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "text.png").write_text("no image")
    arguments = ["predict", "latest", "text.png", "photos/test/class 1/00.png", "--top", "2"]
    assert main(arguments) == 3
    out, err = capsys.readouterr()
    heads = [line.split()[:2] for line in out.splitlines()]
    assert [heads[0], heads[2], heads[3]] == [["image", "class"], [], ["not", "classified"]]
    assert heads[4][0] == "text.png"
    assert err == "1 of 2 files could not be classified\n"
    assert main([*arguments, "--csv"]) == 3
    bad, good = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert [bad[name] for name in ("class", "probability", "class_2", "probability_2")] == [""] * 4
    assert "text.png" in bad["error"]
    assert good["error"] == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["latest", "nowhere.png"], "there is no file or folder nowhere.png"),
        (["latest", "empty"], "holds no images"),
        (["lattest", "photos"], "unknown run 'lattest'"),
        (["latest", "photos", "--json", "--csv"], "exclude each other"),
        (["latest", "photos", "--top", "0"], "--top"),
        (["latest"], "Missing argument"),
    ],
)
def test_predict_refuses_bad_input(
    arguments: list[str], message: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "empty").mkdir(exist_ok=True)
    assert main(["predict", *arguments]) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert out == ""
