from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

import zoo
from zoo.comparison.trials import Tuning
from zoo.comparison.tuning import nothing_complete
from zoo.errors import Interrupted, RunError, ZooError
from zoo.training.events import EpochDone, Event, StepDone

SETTINGS = (
    "architecture.filters=2",
    "architecture.hidden=8",
    "data.train_size=100",
    "training.batch_size=50",
    "training.epochs=2",
    "training.threads=1",
    "training.best=validation/loss",  # no two trials tie
)
LR = "search={optimizer.lr: {low: 0.01, high: 1, log: true}}"


def study(*settings: str, run: str | Path = "study", **options: Any) -> Tuning:
    return zoo.tune(
        "conv-net-momentum", *SETTINGS, "search=null", *(settings or (LR,)), run=run, device="cpu", **options
    )


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_trials_are_runs_that_never_evaluate_test_and_the_best_is_trained_again_from_its_file() -> None:
    result = study(trials=3)
    assert [trial.state for trial in result.trials] == ["complete"] * 3
    for trial in result.trials:
        run = zoo.Run(Path(trial.run))
        assert run.summary is not None and run.summary["test"] is None and not (run.path / "ledger.jsonl").exists()
        assert [path.name for path in (run.path / "predictions").iterdir()] == ["validation.npz"]
        assert trial.value == run.summary["best"]["value"] and trial.epoch == run.summary["best"]["epoch"]
        assert trial.loss == lines(run.path / "metrics.jsonl")[trial.epoch - 1]["validation/loss"]
    assert result.best is not None and result.best.value == min(trial.value or 0 for trial in result.trials)
    assert result.expected[2] == pytest.approx(result.best.value) and result.importances == {"optimizer.lr": 1.0}
    for name in ("history.svg", "importance.svg"):
        assert ElementTree.parse(f"study/{name}").getroot().tag == "{http://www.w3.org/2000/svg}svg"
    again = zoo.train("conv-net-momentum", registry=result.registry, device="cpu")
    assert (again.path / "metrics.jsonl").read_bytes() == (Path(result.best.run) / "metrics.jsonl").read_bytes()
    assert len(lines(again.path / "ledger.jsonl")) == 1


def test_parameters_depend_on_the_trials_number_and_a_study_goes_on_where_it_ended() -> None:
    whole = study(trials=3, run="whole")
    first = study(trials=1, run="parts")
    seen: list[int] = []
    parts = study(trials=3, run="parts", on_trial=lambda trial: seen.append(trial.number))
    assert seen == [1, 2] and parts.trials[0] == first.trials[0]
    assert [t.parameters for t in parts.trials] == [t.parameters for t in whole.trials]
    assert [t.value for t in parts.trials] == [t.value for t in whole.trials]
    assert study(trials=2, run="parts").trials == parts.trials


def test_a_trial_that_diverges_is_recorded_and_the_others_go_on() -> None:
    result = study(
        "search={optimizer.lr: {choices: [0.1, 1000000000]}, training.check_finite: {choices: [true]}}", trials=4
    )
    failed = [trial for trial in result.trials if trial.state == "failed"]
    assert failed and all(trial.parameters["optimizer.lr"] == 1e9 for trial in failed)
    assert all("not finite" in trial.reason for trial in failed)
    assert result.best is not None and result.best.parameters["optimizer.lr"] == 0.1
    assert [zoo.Run(Path(trial.run)).status for trial in failed] == ["failed"] * len(failed)
    assert len(result.expected) == 4


def test_where_no_trial_is_complete_there_is_no_best() -> None:
    result = study("search={optimizer.lr: {choices: [1000000000]}}", trials=1)
    assert result.best is None and "not finite" in nothing_complete(result).problem
    assert not (Path(result.run) / "best.yaml").exists()


def test_a_trial_that_is_worse_than_the_median_is_pruned_and_keeps_what_it_has() -> None:
    settings = ("training.epochs=3", "search={optimizer.lr: {choices: [0.00001, 0.3]}}")
    result = study(*settings, trials=9, prune=True)
    pruned = [trial for trial in result.trials if trial.state == "pruned"]
    assert pruned and all(trial.parameters["optimizer.lr"] == 0.00001 for trial in pruned)
    for trial in pruned:
        run = zoo.Run(Path(trial.run))
        assert len(run.history()) == 2 and run.checkpoints.index().last is not None and run.status == "pruned"
        assert trial.value is not None and trial.number >= 5
    assert len(result.finished) == 9


def test_after_the_timeout_a_trial_stops_at_the_edge_of_an_epoch_and_goes_on_the_next_time() -> None:
    def slow(number: int, event: Event) -> None:
        time.sleep(2 * isinstance(event, EpochDone))

    stopped = study(trials=1, timeout=1.5, on_event=slow)
    assert [trial.state for trial in stopped.trials] == ["running"] and stopped.best is None
    run = zoo.Run(Path("study/trials/0-conv-net-momentum"))
    assert len(run.history()) == 1 and run.status == "interrupted"
    finished = study(trials=1)
    assert [trial.state for trial in finished.trials] == ["complete"]
    assert [row["epoch"] for row in lines(run.path / "timings.jsonl")] == [1, 2]
    assert run.summary is not None and run.summary["test"] is None and not (run.path / "ledger.jsonl").exists()


def test_ctrl_c_stops_after_a_checkpoint_and_says_how_to_go_on() -> None:
    def interrupt(number: int, event: Event) -> None:
        if number == 1 and isinstance(event, StepDone) and event.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="SIGINT at step 3; 1 of 2 trials have ended") as caught:
        study(trials=2, on_event=interrupt)
    assert caught.value.exit_code == 130 and "zoo.tune" in caught.value.hint
    assert Path("study/best.yaml").exists()
    steps: list[int] = []
    result = study(
        trials=2, on_event=lambda _, event: steps.append(event.step) if isinstance(event, StepDone) else None
    )
    assert steps == [4] and [trial.state for trial in result.trials] == ["complete"] * 2


PROCESSES = """
import os, pathlib, signal, sys, time
import zoo
from zoo.training.events import Saved

def tune(run, trials, see=None):
    zoo.tune("conv-net-momentum", *sys.argv[1:], run=run, trials=trials, device="cpu", on_event=see)

def victim(number, event):
    pathlib.Path("began").touch()
    if isinstance(event, Saved) and event.step == 2:  # the end of the first epoch
        os.kill(os.getpid(), signal.SIGKILL)

def survivor(number, event):
    while not pathlib.Path("began").exists():
        time.sleep(0.01)

def child(see):
    pid = os.fork()
    if pid == 0:
        tune("study", 5, see)
        os._exit(0)
    return pid

tune("first", 1)  # here, so that both children find all modules imported
print([os.waitpid(pid, 0)[1] for pid in [child(victim), child(survivor)]])
"""


def test_of_two_processes_one_is_killed_and_the_other_goes_on_with_its_trial() -> None:
    arguments = [sys.executable, "-c", PROCESSES, *SETTINGS, "search=null", LR]
    ended = subprocess.run(arguments, capture_output=True, text=True, timeout=240)
    assert ended.stdout == f"[{int(signal.SIGKILL)}, 0]\n", ended.stderr
    result = study(trials=5, on_trial=lambda trial: pytest.fail("nothing is left to do"))
    assert [trial.state for trial in result.trials] == ["complete"] * 5
    assert len(list(Path("study/trials").glob("[0-9]*"))) == 5
    for trial in result.trials:  # this file is only appended to: nothing was trained twice
        assert [row["epoch"] for row in lines(Path(trial.run) / "timings.jsonl")] == [1, 2]
    alone = study(trials=5, run="alone")
    assert [(t.parameters, t.value) for t in alone.trials] == [(t.parameters, t.value) for t in result.trials]


def test_the_line_that_a_killed_process_did_not_finish_is_cut_off() -> None:
    study(trials=1)
    with Path("study/study.journal").open("a") as file:
        file.write('{"op_code": 5, "wor')
    assert [trial.state for trial in study(trials=2).trials] == ["complete"] * 2


def test_a_trial_that_was_only_just_claimed_is_begun_by_the_next_process() -> None:
    from optuna.storages.journal import JournalFileBackend

    study(trials=1)
    backend = JournalFileBackend("study/study.journal")
    optuna.load_study(study_name="zoo", storage=optuna.storages.JournalStorage(backend)).ask()
    Path("study/trials/1-conv-net-momentum").mkdir()
    result = study(trials=2)
    assert [trial.state for trial in result.trials] == ["complete"] * 2
    assert result.trials[1].parameters == study(trials=2, run="other").trials[1].parameters


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"ranges": ["optimizer.lr=log:0.01..2"]},
            "study holds another study: search.optimizer.lr.high was 1.0, now 2.0",
        ),
        ({"seed": 4}, "training.seed was 0, now 4"),
        ({"sampler": "tpe"}, "sampler was random, now tpe"),
    ],
)
def test_another_recipe_range_or_sampler_is_refused_with_what_differs(change: dict[str, Any], message: str) -> None:
    study(trials=1, timeout=0.0)
    with pytest.raises(RunError, match=message):
        study(trials=1, **change)


def test_other_data_is_refused(tmp_path: Path) -> None:
    import numpy as np

    def save(shade: int) -> None:
        generator = np.random.default_rng(0)
        images = generator.integers(0, shade, (40, 8, 8), dtype=np.uint8)
        np.savez("data.npz", x_train=images, y_train=np.arange(40) % 2, x_test=images[:8], y_test=np.arange(8) % 2)

    save(200)
    settings = (LR, "data.train_size=null", "training.batch_size=8", "training.epochs=1")
    study(*settings, trials=1, data="data.npz")
    save(100)
    with pytest.raises(RunError, match="the data is not what the study in study began with"):
        study(*settings, trials=2, data="data.npz")
    assert len(study(*settings, trials=1, data="data.npz").trials) == 1  # nothing is to be done


def test_what_cannot_be_searched_is_refused_before_anything_is_written() -> None:
    bad: list[tuple[Callable[[], Any], str]] = [
        (lambda: study("training.epochs=1"), "no search block, and no range is given\n  try: zoo tune conv-net-momentum --run study --range optimizer.lr=log:0.05..5"),
        (lambda: study(LR, trials=0), "a study has one trial or more, got 0 instead"),
        (lambda: study(LR, sampler="grid"), "there is no sampler 'grid'\n  possible: random or tpe"),
        (lambda: study(LR, "training.best=train/loss"), "trials are judged on validation, and conv-net-momentum keeps the best epoch by train/loss"),
        (lambda: study(LR, data="absent.npz"), "there is no file or folder 'absent.npz'"),
    ]  # fmt: skip
    for search, message in bad:
        with pytest.raises(ZooError) as caught:
            search()
        assert message in str(caught.value)
    assert list(Path().iterdir()) == []
    Path("study").mkdir()
    Path("study/mine.txt").write_text("mine")
    with pytest.raises(RunError, match="study exists already, and is no study"):
        study()


def test_without_optuna_one_error_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['optuna'] = None\n"
        "from zoo.cli.main import main\n"
        "sys.exit(main(['tune', 'conv-net-momentum', '--run', 'study']))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 2 and ended.stdout == "" and not Path("study").exists()
    assert ended.stderr == (
        "error: zoo tune needs Optuna, which is not installed\n  try: pip install 'zoo-vision[tune]'\n"
    )
