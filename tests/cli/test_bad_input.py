"""Everything that a user can get wrong in `zoo train`: one message that names it, exit status 2, and nothing lost."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from zoo.cli.main import main

SMALL = [
    "conv-net-momentum",
    "architecture.filters=4",
    "architecture.hidden=16",
    "training.epochs=1",
    "data.image_size=8",
]
DIGITS = load_digits()


def photos(folder: Path, *classes: int, count: int = 6) -> Path:
    """Write real digits as PNG files into class folders."""
    for label in classes:
        (folder / f"number {label}").mkdir(parents=True)
        for index, image in enumerate(DIGITS.images[DIGITS.target == label][:count]):
            Image.fromarray((image * 15.9).astype(np.uint8)).save(folder / f"number {label}" / f"{index}.png")
    return folder


def spoil(folder: Path, what: str) -> list[str]:
    """Make the mistake and return the arguments that meet it."""
    match what:
        case "missing folder":
            return ["--data", "nowhere"]
        case "empty folder":
            (folder / "empty").mkdir()
            return ["--data", "empty"]
        case "class folder without images":
            (photos(folder / "photos", 0, 1) / "number 2").mkdir()
        case "one class only":
            photos(folder / "photos", 0)
        case "unreadable image":
            (photos(folder / "photos", 0, 1) / "number 1/3.png").write_bytes(b"no image at all")
        case "truncated image":
            image = photos(folder / "photos", 0, 1) / "number 1/3.png"
            image.write_bytes(image.read_bytes()[:-30])
        case "other classes in validation":
            photos(folder / "photos/train", 0, 1)
            photos(folder / "photos/validation", 0, 2)
        case "a file":
            (folder / "photos").write_text("no folder")
        case "size below the minimum":
            return ["architecture=resnet18", "data.image_size=4"]
        case "unknown component":
            return ["optimizer=momentun"]
        case "parts that do not fit":
            return ["loss=bce"]
        case "decay that the optimizer lacks":
            return ["regularizers=[{name: weight-decay, form: decoupled}]"]
        case "dropout without a place":
            return ["regularizers=[{name: dropout, where: recurrent}]"]
        case "run directory that exists":
            (folder / "taken").mkdir()
            (folder / "taken/thesis.txt").write_text("years of work")
            return ["--run", "taken"]
        case "no cuda":
            return ["--device", "cuda"]
        case "bf16 where auto is meant":
            return ["training.precision=fp16"]
    return ["--data", "photos"]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("missing folder", "there is no file or folder 'nowhere'"),
        ("empty folder", "empty has no class folders"),
        ("class folder without images", "class folder photos/number 2 has no images"),
        ("one class only", "the data has one class only: 'number 0'"),
        ("unreadable image", "photos/number 1/3.png is not an image that can be read"),
        ("truncated image", "cannot decode photos/number 1/3.png"),
        ("other classes in validation", "photos/validation has classes that train does not have: 'number 2'"),
        ("a file", "no data source reads 'photos'"),
        ("size below the minimum", "image size 4 px is too small: architecture 'resnet18' needs at least 8 px"),
        ("unknown component", "unknown optimizer 'momentun'; did you mean 'momentum'?"),
        ("parts that do not fit", "loss bce needs two classes, and the data has 10"),
        ("decay that the optimizer lacks", "weight-decay asks for the form 'decoupled'"),
        ("dropout without a place", "regularizer 'dropout' changed nothing"),
        ("run directory that exists", "the run directory taken exists already"),
        ("no cuda", "device 'cuda' is not on this machine"),
        ("bf16 where auto is meant", "did you mean 'bf16'?"),
    ],
)
def test_it_is_one_message_exit_2_and_nothing_is_lost(
    what: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if what == "no cuda":
        torch = pytest.importorskip("torch")
        if torch.cuda.is_available():
            pytest.skip("this machine has cuda")
    arguments = spoil(tmp_path, what)
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    assert main(["train", *SMALL, *arguments, "--json"]) == 2
    out, err = capsys.readouterr()
    assert message in err.replace(f"{tmp_path}/", "")
    assert err.count("error: ") == 1
    assert "Traceback" not in err
    assert out == ""
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before


def test_a_dry_run_finds_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = spoil(tmp_path, "class folder without images")
    assert main(["train", *SMALL, *arguments, "--dry-run"]) == 2
    assert "number 2 has no images" in capsys.readouterr().err


def test_a_place_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    # Root may write into any folder but those of the kernel.
    place = "closed/run" if os.geteuid() else "/sys/zoo-run"
    if not Path(place).parent.is_dir():
        pytest.skip("this system has no place that root cannot write")
    assert main(["train", *SMALL, "--run", place]) == 2
    err = capsys.readouterr().err
    assert f"error: cannot write {place}: " in err
    assert "try: choose another place with --run DIR" in err
