from __future__ import annotations

import json
import shlex
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import zoo
from zoo.cli.main import main

TINY = [
    "conv-net-momentum",
    "architecture.filters=4",
    "architecture.hidden=16",
    "data.train_size=200",
    "training.batch_size=40",
    "training.threads=1",
]


def test_it_prints_the_curve_the_rates_and_what_to_type_next(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lr-find", *TINY, "optimizer.lr=3", "--from", "1e-4", "--steps", "40", "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("learning rate    loss") and "\x1b" not in out
    (marked,) = [line for line in out.splitlines() if line.rstrip().endswith("steepest descent")]
    (named,) = [line for line in out.splitlines() if "(recommended)" in line]
    rate = float(named.split()[2])
    assert float(marked.split()[0]) == pytest.approx(rate, rel=0.06)
    (command,) = [line for line in out.splitlines() if line.startswith("next")]
    words = shlex.split(command.removeprefix("next: "))
    assert words[:3] == ["zoo", "train", "conv-net-momentum"]
    assert f"optimizer.lr={rate:.2g}" in words and "optimizer.lr=3" not in words
    assert zoo.resolve(*words[2:]).optimizer.params.lr == rate  # type: ignore[attr-defined]
    assert list(Path().iterdir()) == []


def test_json_has_every_point_and_the_file_is_a_picture(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lr-find", *TINY, "--to", "1", "--steps", "30", "--out", "lr.svg", "--json", "--device", "cpu"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert len(result["rates"]) == len(result["losses"]) == len(result["smoothed"]) == 30
    assert result["rates"][0] == pytest.approx(1e-6) and result["rates"][-1] == pytest.approx(1.0)
    assert result["recipe"] == "conv-net-momentum" and result["path"] == "lr.svg"
    root = ElementTree.parse("lr.svg").getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg" and root.get("viewBox") == "0 0 720 420"
    assert [path.name for path in Path().iterdir()] == ["lr.svg"]


def test_the_command_sets_the_rate_of_the_base(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lr-find", *TINY, "optimizer={name: sam}", "--from", "1e-4", "--json", "--device", "cpu"]) == 0
    result = json.loads(capsys.readouterr().out)
    words = shlex.split(result["command"])
    assert words[-1].startswith("optimizer.base.lr=")
    base = zoo.resolve(*words[2:]).optimizer.params.base  # type: ignore[attr-defined]
    assert base.params.lr == pytest.approx(result["steepest"], rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["conv-net-momentun"], "did you mean 'conv-net-momentum'?"),
        (["conv-net-momentum", "--out", "lr.png"], "drawn as SVG, and lr.png is not called so\n  try: --out lr.svg"),
        (["conv-net-momentum", "--out", "nowhere/lr.svg"], "there is no folder nowhere"),
        (["conv-net-momentum", "--from", "1", "--to", "0.1"], "rises from 1 to 0.1"),
        (["conv-net-momentum", "--from", "fast"], "'fast' is not a valid float"),
        (["conv-net-momentum", "--steps", "3"], "10 steps or more"),
    ],
)
def test_bad_input_is_one_message_and_exit_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lr-find", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err
