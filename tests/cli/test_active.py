"""`zoo active` on tiny simulations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.benches import CATALOG, NET, TINY, lines

from zoo.active.proposal import begin
from zoo.cli.active import active, asked
from zoo.cli.main import main
from zoo.registry import Registry
from zoo.training.run import Run

REGISTRY = Registry.load(CATALOG)
SMALL = ["active", "conv-net-momentum", *TINY, *NET, "--device", "cpu"]
SHORT = [*SMALL, "--strategy", "margin", "--rounds", "1", "--steps", "2", "--seeds", "2", "--run", "al"]


def options(*words: str) -> dict[str, Any]:
    """Return what click makes of these words, without what the command takes itself."""
    context = active.make_context("active", ["recipe", *words])
    return {key: value for key, value in context.params.items() if key not in ("words", "device", "as_json")}


def test_options_are_settings_of_the_active_block() -> None:
    words = (
        "--init",
        "30",
        "--rounds",
        "4",
        "--warm",
        "--noise",
        "0.25",
        "--unknown",
        "photos",
        "--target-inputs",
        "wild",
        "--validation",
        "counted",
    )
    found = asked("recipe", ("optimizer.lr=0.1",), options(*words, "--seeds", "3", "--primary", "margin,random"))
    assert found.settings == (
        *("optimizer.lr=0.1", "active.init=30", "active.rounds=4", "active.start=warm", "active.validation=counted"),
        *("active.noise=0.25", "active.unknown=photos", "active.target_inputs=wild"),
    )
    assert (found.seeds, found.primary, found.data) == (3, (("margin", "random"),), None)
    several = asked("recipe", (), options("--strategy", "margin", "--strategy", "{name: batch-bald, candidates: 9}"))
    assert several.settings == ("active.strategies=[margin, {name: batch-bald, candidates: 9}]",)
    rules = asked("recipe", (), options("--stop", "stable", "--stop", "labels=90", "--schedule", "5,10", "--scratch"))
    assert rules.settings == ("active.start=scratch", "active.query=[5,10]", "active.stop=[stable, labels=90]")
    every = options("--query", "9", "--steps", "7", "--pool-subset", "50", "--passes", "4", "--corrupted", "0.5")
    more = options("--robustness", "20", "--until-test-error", "0.1")
    assert asked("recipe", (), {**every, "robustness": 20, "until_test_error": 0.1}).settings == (
        *("active.query=9", "active.steps=7", "active.passes=4", "active.pool_subset=50", "active.corrupted=0.5"),
        *("active.robustness=20", "active.until_test_error=0.1"),
    )
    assert (more["robustness"], more["until_test_error"]) == (20, 0.1) and asked("recipe", (), options()).settings == ()


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of simulations that are finished."""
    folder = tmp_path_factory.mktemp("done") / "al"
    assert main([*SHORT[:-1], str(folder)]) == 0
    return folder


def test_simulations_are_made_told_and_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(SHORT) == 0
    out, err = capsys.readouterr()
    assert "• " in out and "margin" in out and "random" in out and "\x1b" not in out + err
    assert "strategies margin, random" in " ".join(err.split()) and "2, the same initial labels" in err
    assert err.count(": 26 labels, accuracy 0.") == 4 and "4 of 4" in err
    assert "the least p that signs of 2 seeds can give" in " ".join(err.split())
    names = {path.name for path in Path("al").iterdir()}
    runs = {"margin-0", "margin-1", "random-0", "random-1"}
    assert names == {".lock", ".locks", "plan.json", "recipes.yaml", "analysis.json", "report.html", *runs}
    assert main([*SHORT, "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == json.loads(Path("al/analysis.json").read_text())
    assert "accuracy 0." not in err and "strategies" not in err  # nothing is simulated, or planned, again


def test_images_that_predictions_are_wanted_for_are_named_by_a_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen backbone embeds them as well, and a plan finds them from any folder."""
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8), np.uint8)
    np.savez("wild.npz", x_train=images, y_train=np.arange(30) % 2, x_test=images, y_test=np.arange(30) % 2)
    asking = (
        "--strategy",
        "epig",
        "--passes",
        "3",
        "--target-inputs",
        "wild.npz",
        "freeze=backbone",
        "augmentation=null",
    )
    command = [*SHORT[:-4], *SHORT[-2:]]
    assert main([*command, *asking, "--seeds", "1", "--json"]) == 0
    out, err = capsys.readouterr()
    assert "target inputs: 30 images" in err
    assert [row["name"] for row in json.loads(out)["strategies"]] == ["margin", "epig", "random"]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "al/epig-0/summary.json").unlink()
    assert main(["active", "--resume", str(tmp_path / "al")]) == 0


def test_what_is_there_is_analysed_again(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = json.loads((done / "analysis.json").read_text())
    (done / "analysis.json").unlink()
    assert main(["active", "--resume", str(done), "--report", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == before == json.loads((done / "analysis.json").read_text())
    assert main(["active", "--resume", str(done)]) == 0
    assert "analysis.json" in capsys.readouterr().err


def test_a_simulation_is_shown_round_by_round_with_what_its_rules_watch(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SHORT, "--stop", "labels=900", "--seeds", "1"]) == 0
    capsys.readouterr()
    assert main(["runs", "al/margin-0", "--json"]) == 0
    rounds = json.loads(capsys.readouterr().out)["history"]
    assert [(row["round"], row["labels"], row["stopping/labels=900"]) for row in rounds] == [(0, 20, 20), (1, 26, 26)]
    assert rounds[1]["test/accuracy"] == lines(Run(Path("al/margin-0")), "curve.jsonl")[1]["test"]["accuracy"]
    assert main(["runs", "al"]) == 0
    assert capsys.readouterr().out.count("conv-net-momentum") == 2


@pytest.mark.parametrize("how", ["--run", "--resume"])
def test_the_plan_of_a_folder_is_shown_and_nothing_simulated(how: str, capsys: pytest.CaptureFixture[str]) -> None:
    begin(
        asked("conv-net-momentum", tuple(SMALL[2:-2]), options("--strategy", "margin")),
        Path("al"),
        REGISTRY,
        device="cpu",
    )
    before = {path: path.stat().st_mtime_ns for path in Path("al").rglob("*")}
    assert main(["active", how, "al", "--plan"]) == 0
    assert "strategies margin, random" in " ".join(capsys.readouterr().out.split())
    assert main(["active", how, "al", "--plan", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(Path("al/plan.json").read_text())
    assert {path: path.stat().st_mtime_ns for path in Path("al").rglob("*")} == before


STOPS = """
from zoo import AcquisitionSpec, BatchStrategy, hookimpl

@hookimpl
def zoo_acquisitions():
    return [AcquisitionSpec(name="stops", factory="stops:build", summary="sends a signal", needs=frozenset())]

def build(params):
    import os, signal
    from pathlib import Path

    class Stops(BatchStrategy):
        def select(self, pool, k):
            if not Path("stopped").exists():
                Path("stopped").touch()
                os.kill(os.getpid(), signal.SIGTERM)
            return list(range(k))

    return Stops()
"""


def test_a_signal_ends_it_with_the_words_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    Path("plugins").mkdir()
    Path("plugins/stops.py").write_text(STOPS)
    words = [
        *SMALL,
        "--strategy",
        "local/stops",
        "--rounds",
        "1",
        "--steps",
        "2",
        "--seeds",
        "1",
        "--run",
        "my simulations",
    ]
    assert main(["--plugins-dir", "plugins", *words]) == 128 + 15
    out, err = capsys.readouterr()
    assert out == "" and "zoo --plugins-dir plugins active --resume 'my simulations'" in err and "SIGTERM" in err
    assert Run(Path("my simulations/local-stops-0")).status == "interrupted"
    again = ["active", "--resume", "my simulations", "--device", "cpu", "--json"]
    assert main(["--plugins-dir", "plugins", *again]) == 0
    assert {row["name"] for row in json.loads(capsys.readouterr().out)["strategies"]} == {"local-stops", "random"}
    assert [line["round"] for line in lines(Run(Path("my simulations/local-stops-0")))] == [0, 1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--run", "al"], "al has no simulations"),
        ([], "zoo active takes one recipe, got 0"),
        (["conv-net-momentum", "lenet5-adamw", "--run", "al"], "zoo active takes one recipe, got 2"),
        (["conv-net-momentum", "--strategy", "margin"], "a place for the simulations is missing"),
        (["conv-net-momentun", "--run", "al"], "did you mean 'conv-net-momentum'"),
        ([*SHORT, "--strategy", "entropi"], "did you mean 'entropy'"),
        ([*SHORT, "--strategy", "{name: bald, power: 2}"], "power"),
        ([*SHORT, "--strategy", "{name: bald"], "active.strategies"),
        ([*SHORT, "--strategy", "margin"], "a strategy is named twice"),
        ([*SHORT, "--query", "5", "--schedule", "5,6"], "--query and --schedule both say how many"),
        ([*SHORT, "--schedule", "5,x"], "active.query"),
        ([*SHORT, "--schedule", "5,,6"], "active.query"),
        ([*SHORT, "--stop", "sometime"], "stopping rule"),
        ([*SHORT, "--stop", "labels"], "labels=COUNT"),
        ([*SHORT, "--stop", "labels=20"], "'labels=20' is met before anything is asked: there are 20 initial labels"),
        ([*SHORT, "--stop", "labels=100", "--validation", "counted"], "20 initial labels and 360 of validation"),
        ([*SHORT, "--stop", "gain=0.5"], "watches validation, whose labels are not used"),
        ([*SHORT, "--noise", "1.5"], "--noise"),
        ([*SHORT, "--primary", "margin"], "is not a pair"),
        ([*SHORT, "--primary", "margin,bald"], "there is no strategy 'bald' to compare"),
        ([*SHORT, "--unknown", "nowhere"], "nowhere"),
        ([*SHORT, "--init", "3"], "no initial label is of class"),
        ([*SHORT, "--init", "9999"], "9999 initial labels of 200 samples"),
        ([*SHORT, "regularizers=[]", "--strategy", "bald"], "drops at a rate above 0"),
        ([*SHORT, "active.unknown_classes=['1', seven]"], "seven"),
        ([*SHORT, "--data", "nowhere"], "nowhere"),
        (["--resume", "nowhere"], "there is no plan.json"),
        (["--resume", "nowhere", "--rounds", "3"], "--rounds asks something, and the plan in nowhere is made"),
        (["--resume", "nowhere", "--noise", "0"], "--noise asks something"),
        (["--resume", "nowhere", "--warm"], "--warm asks something"),
        (["--resume", "nowhere", "--run", "al"], "--run al asks something"),
        (["--resume", "nowhere", "conv-net-momentum"], "conv-net-momentum asks something"),
    ],
)  # fmt: skip
def test_bad_input_is_told_and_leaves_nothing(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words if words[:1] == ["active"] else ["active", *words]) == 2
    out, err = capsys.readouterr()
    assert message in " ".join(err.split()) and out == "" and "Traceback" not in err
    assert not any(Path().iterdir())


def test_a_folder_of_other_simulations_is_left_alone(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in done.glob("*.json")}
    assert main([*SHORT[:-1], str(done), "--query", "9"]) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert "holds other simulations: settings was" in err and "--resume" in err
    assert main([*SHORT[:-1], str(done), "--seeds", "3"]) == 2
    assert "seeds was 2, now 3" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in done.glob("*.json")} == before


def test_a_plan_is_told_before_it_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["active", "conv-net-momentum", "--strategy", "margin", "--plan", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["strategies"] == ["margin", "random"] and told["primary"] == [["margin", "random"]]
    assert told["smallest"] == [pytest.approx(2 / 2**6)] and not list(tmp_path.iterdir())


def test_a_report_is_of_simulations_that_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["active", "conv-net-momentum", "--report", "--run", "new"]) == 2
    assert "zoo active --resume DIR --report" in capsys.readouterr().err and not Path("new").exists()
