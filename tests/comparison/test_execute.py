from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import zoo
from tests.comparison.conftest import LSTM, NET, TINY, Comparison, conducted, question, written
from zoo.comparison import plan as plans
from zoo.comparison.compare import conduct
from zoo.comparison.events import Begun, Done, Progress
from zoo.comparison.execute import claimed, execute
from zoo.errors import Interrupted, RunError
from zoo.training.events import StepDone
from zoo.training.run import Run


def runs(folder: Path) -> Iterator[Progress]:
    plan = plans.read(folder)
    cells = list(plans.cells(plan, folder, zoo.catalog))
    return execute(cells, folder / "runs", catalog=zoo.catalog, device="cpu")


def test_every_run_of_the_plan_is_made_once(compared: Comparison) -> None:
    assert len(compared.done) == compared.plan.runs == len(list((compared.folder / "runs").glob("[!.]*")))
    assert all(each.reason is None and each.seconds > 0 for each in compared.done)
    again = [event for event in runs(compared.folder) if isinstance(event, (Begun, Done))]
    assert [type(event) for event in again] == [Done] * compared.plan.runs
    assert all(isinstance(event, Done) and event.seconds == 0 for event in again)


def test_every_model_is_tested_under_the_corruptions(compared: Comparison) -> None:
    folders = [each.run.path / "predictions/corruptions-50" for each in compared.done]
    assert all(len(list(folder.glob("*-2.npz"))) == 17 and (folder / "clean.npz").exists() for folder in folders)


def test_two_comparisons_share_runs(compared: Comparison, tmp_path: Path) -> None:
    store = str(compared.folder / "runs")
    other = conducted(tmp_path, question(seeds=1, settings=TINY, vary="data.train_size", values=("300",), store=store))
    assert [each.seconds for each in other.done] == [0, 0]
    before = {each.run.path for each in compared.done}
    assert {each.run.path for each in other.done} <= before


def test_a_killed_comparison_goes_on_without_repeating_what_is_finished(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    expected = conducted(whole, question())
    written(cut, question())
    child = multiprocessing.get_context("fork").Process(target=_die_in_the_third_run, args=(cut,))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    finished = {path: path.stat().st_mtime_ns for path in (cut / "runs").glob("*/summary.json")}
    found = [event for event in runs(cut) if isinstance(event, Done)]
    assert [each.seconds == 0 for each in found] == [True, True, False, False]
    assert len(finished) == 2 and all(path.stat().st_mtime_ns == when for path, when in finished.items())
    for mine, theirs in zip(found, expected.done, strict=True):
        weights = [Run(each.run.path).checkpoints.load_best()["model"] for each in (mine, theirs)]
        assert all(bool((weights[0][name] == weights[1][name]).all()) for name in weights[0])


def _die_in_the_third_run(folder: Path) -> None:
    begun = steps = 0
    for event in runs(folder):
        begun += isinstance(event, Begun)
        steps += isinstance(event, StepDone) and begun == 3
        if steps == 5:
            os.kill(os.getpid(), signal.SIGKILL)


def test_a_run_that_another_process_holds_is_left_to_it(tmp_path: Path) -> None:
    written(tmp_path, question(seeds=1))
    plan = plans.read(tmp_path)
    first, second = plans.cells(plan, tmp_path, zoo.catalog)
    store = tmp_path / "runs"
    zoo.train(first.recipe, run=first.folder(store))
    (first.folder(store) / "summary.json").unlink()
    order = []
    with claimed(first.folder(store)):
        for event in execute([first, second], store, catalog=zoo.catalog, device="cpu"):
            if isinstance(event, Done):
                order.append(event.cell.contestant)
                break
    assert order == [LSTM]


def test_a_run_that_diverges_is_told_and_ends_no_other(tmp_path: Path) -> None:
    found = conducted(tmp_path, question(seeds=1, vary="optimizer.lr", values=("0.05", "1e30")))
    failed = [each for each in found.done if each.reason]
    assert {each.cell.value for each in failed} == {"1e30"} and len(found.done) == 4
    assert all("not finite" in str(each.reason) for each in failed)
    assert [row["value"] for row in found.analysis["failed"]] == ["1e30"] * len(failed)
    assert len(found.analysis["conditions"][0]["recipes"]) == 2
    again = [event for event in runs(tmp_path) if isinstance(event, (Begun, Done))]
    assert not any(isinstance(event, Begun) for event in again)


def test_an_interruption_saves_the_run_in_progress(tmp_path: Path) -> None:
    written(tmp_path, question(seeds=1))

    def stop(event: Progress) -> None:
        if isinstance(event, StepDone) and event.step == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        conduct(tmp_path, catalog=zoo.catalog, device="cpu", progress=stop)
    (run,) = (Run(path) for path in (tmp_path / "runs").glob("[!.]*"))
    assert run.status == "interrupted" and NET in run.name
    analysis = conduct(tmp_path, catalog=zoo.catalog, device="cpu")
    assert len(analysis["conditions"][0]["recipes"]) == 2


def test_two_processes_that_begin_at_once_share_the_work(tmp_path: Path) -> None:
    written(tmp_path, question(seeds=2))
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_conduct, args=(tmp_path,)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert len(list((tmp_path / "runs").glob("*/summary.json"))) == 4
    assert all(
        len((run / "ledger.jsonl").read_text().splitlines()) == 1
        for run in (tmp_path / "runs").iterdir()
        if not run.name.startswith(".")
    )


def _conduct(folder: Path) -> None:
    conduct(folder, catalog=zoo.catalog, device="cpu")


def test_what_a_process_left_before_it_was_a_run_is_made_anew(tmp_path: Path) -> None:
    written(tmp_path, question(seeds=1))
    first = next(iter(plans.cells(plans.read(tmp_path), tmp_path, zoo.catalog)))
    first.folder(tmp_path / "runs").mkdir(parents=True)
    assert all(each.reason is None for each in runs(tmp_path) if isinstance(each, Done))


def test_a_run_that_a_full_disk_ended_is_tried_again_and_one_that_diverged_is_not(tmp_path: Path) -> None:
    found = conducted(tmp_path, question(seeds=1))
    (run, _) = (each.run for each in found.done)
    (run.path / "summary.json").unlink()
    run.set_status("failed", "no space left on device", "StorageError")
    again = [each for each in runs(tmp_path) if isinstance(each, Done)]
    assert [each.reason for each in again] == [None, None] and again[0].seconds > 0
    (run.path / "summary.json").unlink()
    run.set_status("failed", "loss is not finite", "NonFiniteError")
    assert [each.reason for each in runs(tmp_path) if isinstance(each, Done)] == ["loss is not finite", None]


def test_data_that_changed_since_the_plan_stops_a_comparison_before_it_trains(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    arrays = {
        f"{name}_{split}": values
        for split in ("train", "test")
        for name, values in (("x", images), ("y", np.arange(60) % 3))
    }
    np.savez(tmp_path / "data.npz", **arrays)
    folder = tmp_path / "comparison"
    written(folder, question(seeds=1, settings=TINY, data=str(tmp_path / "data.npz")))
    np.savez(tmp_path / "data.npz", **{**arrays, "x_train": 255 - images})
    with pytest.raises(RunError, match="its data, or the versions of zoo and torch, are not what they were"):
        conduct(folder, catalog=zoo.catalog, device="cpu")
    assert not (folder / "runs").exists()
    np.savez(tmp_path / "data.npz", **arrays)
    assert conduct(folder, catalog=zoo.catalog, device="cpu")["machine"]["runs"] == 2
