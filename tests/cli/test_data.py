from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.cli.main import main
from zoo.data import sheet
from zoo.evaluation.corruptions import CORRUPTIONS


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder of two classes of colour photos, six each."""
    for label, colour in (("blue", (0, 0, 255)), ("red", (255, 0, 0))):
        folder = tmp_path / "photos" / label
        folder.mkdir(parents=True)
        for number in range(6):
            Image.new("RGB", (20, 20), colour).save(folder / f"{number}.png")
    return tmp_path / "photos"


def test_a_recipe_is_shown_on_a_sheet_that_says_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "show", "conv-net-momentum", "--samples", "3", "--views", "2"]) == 0
    out = capsys.readouterr().out
    assert "sheet.png" in out and "3 of train, 2 views each" in out and "8×8 pixels" in out
    with Image.open("sheet.png") as sheet:
        assert sheet.format == "PNG" and sheet.mode == "RGB"
        pixels = np.asarray(sheet)
    assert pixels.shape[0] > 3 * 112 and pixels.shape[1] > 3 * 112
    assert [path.name for path in Path().iterdir() if path.is_file()] == ["sheet.png"]


def test_json_says_what_is_on_the_sheet_and_settings_change_it(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["data", "show", "conv-net-momentum", "--samples", "2", "--views", "1", "--json"]
    assert main([*arguments, "augmentation=null", "--out", "plain.png"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == {
        "path": "plain.png", "recipe": "conv-net-momentum", "samples": 2, "views": 1, "size": [8, 8], "classes": ["0", "1"],
        "notes": ["images of 8×8 px, their own size"],
    }  # fmt: skip
    assert main([*arguments, "augmentation.policy={name: rand-augment, magnitude: 20}", "--out", "strong.png"]) == 0
    assert Path("plain.png").read_bytes() != Path("strong.png").read_bytes()


def test_corruptions_are_shown_at_a_severity(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["data", "show", "conv-net-momentum", "--data", str(photos), "data.image_size=32", "--corruptions"]
    assert main([*arguments, "--samples", "2"]) == 0
    assert "2 of train under 17 corruptions of severity 3" in capsys.readouterr().out
    assert main([*arguments, "--samples", "2", "--severity", "5", "--out", "worse.png", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["corruptions"], result["severity"]) == (list(CORRUPTIONS), 5) and "views" not in result
    mild, worse = (np.asarray(Image.open(name)) for name in ("sheet.png", "worse.png"))
    assert mild.shape == worse.shape and mild.shape[1] > 18 * 112 and (mild != worse).any()


def test_a_path_and_data_are_shown_with_a_recipes_augmentation(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "show", str(photos), "data.image_size=20", "--samples", "4", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["classes"] == ["blue", "blue", "red", "red"]
    assert "with the augmentation of recipe conv-net-momentum" in err
    assert main(["data", "show", "conv-net-momentum", "--data", str(photos), "--json", "--out", "other.png"]) == 0
    assert json.loads(capsys.readouterr().out)["samples"] == 8


def test_of_many_photos_a_sample_is_measured_and_the_caption_says_so(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sheet, "MEASURED", 4)
    assert main(["data", "show", str(photos), "data.image_size=20", "--samples", "2"]) == 0
    assert "mean and deviation measured on 4 of 8 training images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["conv-net-momentun"], "did you mean 'conv-net-momentum'?"),
        (["conv-net-momentum", "--out", "sheet.jpg"], "try: --out sheet.png"),
        (["conv-net-momentum", "--out", "nowhere/sheet.png"], "there is no folder nowhere"),
        (["conv-net-momentum", "--out", "taken.png"], "choose another place with --out FILE"),
        (["photos", "--data", "digits"], "photos is a path, and --data digits names other data"),
        (["conv-net-momentum", "--samples", "0"], "--samples"),
        (["digits", "--severity", "2"], "try: zoo data show digits --corruptions --severity 2"),
        (["conv-net-momentum", "--corruptions", "--severity", "6"], "--severity"),
        (["conv-net-momentum", "augmentation.policy=autoaugment"], "did you mean"),
        (["conv-net-momentum", "augmentation.policy={name: augmix, magnitude: 3}"], "takes width, depth, severity"),
        ([], "Missing argument"),
    ],
)
def test_bad_input_is_one_message(
    arguments: list[str], message: str, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("taken.png").mkdir()
    assert main(["data", "show", *arguments]) == 2
    out, err = capsys.readouterr()
    assert message in err and out == ""


def test_the_group_alone_shows_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data"]) == 0
    assert "show" in capsys.readouterr().out
