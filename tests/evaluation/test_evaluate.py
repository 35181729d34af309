from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics as reference

import zoo
from zoo.data.dataset import Dataset
from zoo.errors import DataError, UnknownNameError
from zoo.evaluation.evaluate import evaluate
from zoo.training.events import Evaluating
from zoo.training.reading import prepare_data

SMALL = ("architecture.filters=4", "architecture.hidden=32", "training.epochs=4", "training.threads=1")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> zoo.Run:
    return zoo.train("conv-net-momentum", *SMALL, run=tmp_path_factory.mktemp("runs") / "digits")


@pytest.fixture
def run(trained: zoo.Run) -> Iterator[zoo.Run]:
    """Return a trained run with the ledger as training left it."""
    ledger = trained.path / "ledger.jsonl"
    before = ledger.read_bytes()
    yield trained
    ledger.write_bytes(before)


@pytest.fixture(scope="module")
def dataset(trained: zoo.Run) -> Dataset:
    return prepare_data(zoo.resolve("conv-net-momentum", registry=trained.path / "recipe.yaml"))


def ledger(run: zoo.Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.path / "ledger.jsonl").read_text().splitlines()]


def photos(root: Path, dataset: Dataset, count: int, names: str = "0123456789") -> list[int]:
    """Write the first `count` images of test as files in class folders, and return their positions in test."""
    split = dataset.splits["test"]
    chosen = [i for i in range(count) if str(split.labels[i]) in names]
    for i in chosen:
        folder = root / str(split.labels[i])
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(split.pixels(dataset.size, 0)[i, 0]).save(folder / f"{i:04d}.png")
    return chosen


def test_figures_of_test_are_those_at_the_end_of_training_and_go_through_the_ledger(run: zoo.Run) -> None:
    figures = zoo.evaluate(run, device="cpu")
    assert (figures["run"], figures["split"], figures["samples"]) == (str(run.path), "test", 359)
    assert run.summary is not None
    assert {name: figures[name] for name in run.summary["test"]} == run.summary["test"]
    assert set(figures["classes"]) == set("0123456789")
    lines = ledger(run)
    assert [(line["split"], line["purpose"], line["samples"]) for line in lines] == [
        ("test", "end of training", 359),
        ("test", "zoo eval", 359),
    ]
    assert lines[0]["when"] <= lines[1]["when"]


def test_figures_agree_with_scikit_learn_on_the_rows_that_are_kept(run: zoo.Run, dataset: Dataset) -> None:
    figures = zoo.evaluate(run, split="validation")
    rows = np.load(run.path / "predictions" / "validation.npz")
    assert np.array_equal(rows["labels"], dataset.splits["validation"].labels)
    assert rows["classes"].tolist() == list("0123456789")
    assert len(set(rows["ids"].tolist())) == figures["samples"] == 360
    guess = rows["logits"].argmax(1)
    assert figures["accuracy"] == pytest.approx(reference.accuracy_score(rows["labels"], guess), abs=1e-12)
    assert figures["macro_f1"] == pytest.approx(reference.f1_score(rows["labels"], guess, average="macro"), abs=1e-12)


@pytest.mark.parametrize(("split", "samples"), [("train", 1078), ("validation", 360)])
def test_other_splits_leave_the_ledger_alone(run: zoo.Run, split: str, samples: int) -> None:
    before = ledger(run)
    assert zoo.evaluate(run, split=split)["samples"] == samples
    assert ledger(run) == before
    assert (run.path / "predictions" / f"{split}.npz").exists()


def test_an_unknown_split_lists_what_there_is_and_is_no_use_of_test(run: zoo.Run) -> None:
    before = ledger(run)
    with pytest.raises(UnknownNameError, match=r"unknown split 'tests'\n  possible: did you mean 'test'\?"):
        zoo.evaluate(run, split="tests")
    with pytest.raises(UnknownNameError, match=r"unknown split 'holdout'\n  possible: test, train, validation"):
        zoo.evaluate(run, split="holdout")
    assert ledger(run) == before


def test_other_data_in_one_folder_is_evaluated_whole_in_the_form_of_the_run(
    run: zoo.Run, dataset: Dataset, tmp_path: Path
) -> None:
    chosen = photos(tmp_path / "photos", dataset, 80)
    zoo.evaluate(run)
    kept = (run.path / "predictions" / "test.npz").read_bytes()
    rows = np.load(run.path / "predictions" / "test.npz")
    figures = zoo.evaluate(run, data=str(tmp_path / "photos"))
    assert (figures["split"], figures["samples"]) == ("all", 80)
    labels, logits = rows["labels"][chosen], rows["logits"][chosen]
    assert figures["accuracy"] == (logits.argmax(1) == labels).mean()
    probabilities = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
    assert figures["loss"] == pytest.approx(reference.log_loss(labels, probabilities, labels=range(10)), abs=1e-5)
    last = ledger(run)[-1]
    assert (last["purpose"], last["samples"]) == (f"zoo eval --data {tmp_path / 'photos'}", 80)
    assert (run.path / "predictions" / "test.npz").read_bytes() == kept


def test_other_data_may_have_fewer_classes_and_is_mapped_by_name(
    run: zoo.Run, dataset: Dataset, tmp_path: Path
) -> None:
    chosen = photos(tmp_path / "photos", dataset, 120, "38")
    zoo.evaluate(run)
    rows = np.load(run.path / "predictions" / "test.npz")
    figures = zoo.evaluate(run, data=str(tmp_path / "photos"))
    assert figures["samples"] == len(chosen)
    assert figures["accuracy"] == (rows["logits"][chosen].argmax(1) == rows["labels"][chosen]).mean()
    counts = {name: row["samples"] for name, row in figures["classes"].items()}
    expected = {name: int((rows["labels"][chosen] == int(name)).sum()) for name in "0123456789"}
    assert counts == expected and counts["0"] == 0
    assert figures["classes"]["0"]["recall"] is None


def test_a_class_that_the_run_does_not_know_is_refused(run: zoo.Run, dataset: Dataset, tmp_path: Path) -> None:
    photos(tmp_path / "photos", dataset, 40)
    before = ledger(run)
    (tmp_path / "photos" / "3").rename(tmp_path / "photos" / "three")
    with pytest.raises(DataError, match=r"classes that the run does not know: 'three'\n  possible: 0, 1, 2, 3"):
        zoo.evaluate(run, data=str(tmp_path / "photos"))
    assert ledger(run) == before


def test_other_data_with_splits_is_asked_by_their_names(run: zoo.Run, dataset: Dataset, tmp_path: Path) -> None:
    for split, count in (("train", 30), ("test", 50)):
        photos(tmp_path / "photos" / split, dataset, count)
    assert [
        zoo.evaluate(run, data=str(tmp_path / "photos"), split=split)["samples"] for split in ("train", "test")
    ] == [30, 50]
    with pytest.raises(UnknownNameError, match=r"unknown split 'validation'\n  possible: test, train"):
        zoo.evaluate(run, data=str(tmp_path / "photos"), split="validation")


def test_arrays_of_another_size_are_resized_to_the_runs(run: zoo.Run, dataset: Dataset, tmp_path: Path) -> None:
    split = dataset.splits["test"]
    images = split.pixels(dataset.size, 0)[:60].repeat(2, axis=2).repeat(2, axis=3)
    np.savez(tmp_path / "digits.npz", x_train=images[:, 0], y_train=split.labels[:60])
    figures = zoo.evaluate(run, data=str(tmp_path / "digits.npz"))
    assert (figures["split"], figures["samples"]) == ("all", 60)
    zoo.evaluate(run)
    rows = np.load(run.path / "predictions" / "test.npz")
    assert figures["accuracy"] == (rows["logits"][:60].argmax(1) == rows["labels"][:60]).mean()


def test_progress_is_told_up_to_the_last_sample(run: zoo.Run) -> None:
    events: list[Evaluating] = []
    evaluate(run, catalog=zoo.catalog, split="validation", device="cpu", progress=events.append)
    assert {(event.split, event.total) for event in events} == {("validation", 360)}
    done = [event.done for event in events]
    assert len(done) > 1 and done == sorted(set(done)) and done[-1] == 360


def test_a_run_is_named_by_its_path(run: zoo.Run) -> None:
    assert zoo.evaluate(run.path, split="validation") == zoo.evaluate(str(run.path), split="validation")
    with pytest.raises(UnknownNameError, match="unknown run"):
        zoo.evaluate("nothing-like-it")


def test_data_that_has_changed_since_is_not_taken_for_the_runs_own(dataset: Dataset, tmp_path: Path) -> None:
    photos(tmp_path / "photos", dataset, 120, "38")
    run = zoo.train(
        "conv-net-momentum", *SMALL, "data.image_size=8", data=str(tmp_path / "photos"), run=tmp_path / "run"
    )
    assert zoo.evaluate(run)["split"] == "test"
    before = ledger(run)
    next((tmp_path / "photos/3").iterdir()).unlink()
    with pytest.raises(
        DataError, match=r"is not what it was trained on any more(.|\n)*try: zoo eval .*run --data .*photos"
    ):
        zoo.evaluate(run)
    assert ledger(run) == before
    assert zoo.evaluate(run, data=str(tmp_path / "photos"))["split"] == "all"
