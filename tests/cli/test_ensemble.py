"""`zoo ensemble` on two runs of digits, and what is then done with the run that it makes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zoo.cli.main import main

TINY = ["training.epochs=1", "training.threads=1", "data.train_size=200", "architecture.hidden=16"]


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths of temporary folders are as long as they happen to be; tables need not break them."""
    monkeypatch.setenv("COLUMNS", "240")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the runs `net` and `lstm`."""
    home = tmp_path_factory.mktemp("home")
    for name, short in (("conv-net-momentum", "net"), ("row-lstm-momentum", "lstm")):
        assert main(["train", name, *TINY, "--run", str(home / "runs" / short)]) == 0
    return home


@pytest.fixture
def home(trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    monkeypatch.chdir(trained)
    capsys.readouterr()
    return trained


def test_the_table_has_each_network_and_all_of_them_together(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ensemble", "net", "lstm", "--run", "runs/both"]) == 0
    out, err = capsys.readouterr()
    summary = json.loads((home / "runs/both/summary.json").read_text())
    shown = [*summary["members"], summary]
    lines = out.splitlines()[1:4]
    assert [line.split()[0] for line in lines] == ["runs/net", "runs/lstm", "all,"]
    assert [float(line.split()[-1]) for line in lines] == [round(row["test"]["accuracy"], 4) for row in shown]
    assert "runs/both" in out and "\x1b" not in err
    assert main(["eval", "both", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == summary["test"]["accuracy"]
    assert main(["runs", "both"]) == 0
    out, err = capsys.readouterr()
    assert f"{summary['validation']['accuracy']:.4f}" in out
    assert "made without training of runs/net, runs/lstm" in err


def test_json_is_the_summary_of_the_run(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ensemble", "net", "runs/lstm", "--combine", "logits", "--device", "cpu", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary == json.loads(Path(summary["run"], "summary.json").read_text())
    assert (summary["run"], summary["combine"]) == ("runs/conv-net-momentum-ensemble-0-1", "logits")
    assert [member["run"] for member in summary["members"]] == ["runs/net", "runs/lstm"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument"),
        (["net"], "two runs or more"),
        (["net", "net"], "is named twice"),
        (["net", "lsmt"], "did you mean 'lstm'?"),
        (["net", "lstm", "--combine", "votes"], "--combine"),
        (["net", "lstm", "--run", "runs/net"], "exists already"),
        (["net", "lstm", "--device", "abacus"], "unknown device 'abacus'"),
    ],
)
def test_bad_input_is_one_message_and_exit_2(
    arguments: list[str], message: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ensemble", *arguments, "--json"]) == 2
    out, err = capsys.readouterr()
    assert message in err and "Traceback" not in err
    assert out == ""
