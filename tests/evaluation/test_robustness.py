from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import zoo
from zoo.data.dataset import Dataset
from zoo.data.ids import content_ids
from zoo.errors import DataError, UnknownNameError, ZooError
from zoo.evaluation.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from zoo.evaluation.predictions import Saved
from zoo.evaluation.robustness import evaluate_corruptions, subset
from zoo.training.events import Evaluating
from zoo.training.reading import prepare_data

SMALL = ("architecture.filters=4", "architecture.hidden=32", "training.epochs=4", "training.threads=1")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> zoo.Run:
    return zoo.train("conv-net-momentum", *SMALL, run=tmp_path_factory.mktemp("runs") / "digits")


@pytest.fixture
def run(trained: zoo.Run) -> Iterator[zoo.Run]:
    """Return a trained run with the ledger as training left it."""
    before = (trained.path / "ledger.jsonl").read_bytes()
    yield trained
    (trained.path / "ledger.jsonl").write_bytes(before)


@pytest.fixture(scope="module")
def dataset(trained: zoo.Run) -> Dataset:
    return prepare_data(zoo.resolve("conv-net-momentum", registry=trained.path / "recipe.yaml"))


def ledger(run: zoo.Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.path / "ledger.jsonl").read_text().splitlines()]


def test_every_corruption_has_figures_at_every_severity_and_means_are_theirs(run: zoo.Run) -> None:
    result = zoo.evaluate_corruptions(run, limit=60, device="cpu")
    assert (result["run"], result["split"], result["samples"]) == (str(run.path), "test", 60)
    assert {name: tuple(levels) for name, levels in result["corruptions"].items()} == dict.fromkeys(
        CORRUPTIONS, SEVERITIES
    )
    accuracies = [figures["accuracy"] for levels in result["corruptions"].values() for figures in levels.values()]
    assert len(accuracies) == 85
    assert result["mean_corrupted_accuracy"] == pytest.approx(np.mean(accuracies), abs=1e-12)
    assert result["relative_accuracy"] == pytest.approx(np.mean(accuracies) / result["clean"]["accuracy"], abs=1e-12)
    assert result["clean"]["accuracy"] > result["mean_corrupted_accuracy"] > 0.2
    assert result["left_out"] == [] and "MNIST-C-like" in result["note"]


def test_the_answers_are_those_to_the_corrupted_images_and_are_kept_for_each_sample(
    run: zoo.Run, dataset: Dataset
) -> None:
    result = zoo.evaluate_corruptions(run, names=["rotate"], severities=[4], limit=60)
    saved = Saved.load(run.predictions("corruptions-60/rotate-4"))
    kept = saved.predictions
    chosen = subset(dataset.splits["test"], 60)
    assert np.array_equal(kept.samples, chosen.samples) and np.array_equal(kept.labels, chosen.labels)
    assert [each.decode() for each in saved.ids] == content_ids(chosen)
    classifier = zoo.load(run.path, device="cpu")
    images = torch.from_numpy(chosen.pixels(dataset.size, 0))
    changed = corrupt(images, "rotate", 4, torch.from_numpy(chosen.samples))
    guesses = [answer.class_name for answer in classifier.predict(list(changed.numpy()))]
    assert [str(label) for label in kept.logits.argmax(1)] == guesses
    assert result["corruptions"]["rotate"][4]["accuracy"] == (kept.logits.argmax(1) == chosen.labels).mean()


def test_clean_figures_of_a_whole_split_are_those_of_evaluate(run: zoo.Run) -> None:
    result = zoo.evaluate_corruptions(run, split="validation", names=["fog"], severities=[1])
    plain = zoo.evaluate(run, split="validation")
    assert result["samples"] == plain["samples"] == 360
    assert result["clean"] == {name: plain[name] for name in result["clean"]}
    folder = run.path / "predictions" / "corruptions" / "validation"
    assert sorted(path.name for path in folder.iterdir()) == ["clean.npz", "fog-1.npz"]


def test_figures_depend_neither_on_batches_nor_on_what_else_is_asked(run: zoo.Run, tmp_path: Path) -> None:
    wide = zoo.evaluate_corruptions(run, split="validation", severities=[2, 5], limit=100)
    narrow = zoo.evaluate_corruptions(run, split="validation", names=["snow"], severities=[5], limit=100)
    assert narrow["corruptions"]["snow"][5] == wide["corruptions"]["snow"][5]
    text = (run.path / "recipe.yaml").read_text()
    try:
        (run.path / "recipe.yaml").write_text(text.replace("evaluation_batch_size: 256", "evaluation_batch_size: 7"))
        small = zoo.evaluate_corruptions(run, split="validation", names=["snow"], severities=[5], limit=100)
    finally:
        (run.path / "recipe.yaml").write_text(text)
    assert small["corruptions"]["snow"][5]["accuracy"] == narrow["corruptions"]["snow"][5]["accuracy"]
    assert small["corruptions"]["snow"][5]["loss"] == pytest.approx(narrow["corruptions"]["snow"][5]["loss"], abs=1e-5)


def test_a_subset_is_stratified_and_a_function_of_the_data_alone(dataset: Dataset) -> None:
    split = dataset.splits["test"]
    chosen = subset(split, 100)
    assert len(chosen) == 100 and set(chosen.samples) < set(split.samples)
    shares, whole = (np.bincount(part.labels, minlength=10) / len(part) for part in (chosen, split))
    assert np.abs(shares - whole).max() <= 0.01
    assert np.array_equal(subset(split, 100).samples, chosen.samples)
    assert subset(split, 359) is split and subset(split, 1000) is split and subset(split, None) is split
    with pytest.raises(ZooError, match=r"limit 9 is too small for 10 classes(.|\n)*possible: 10 … 359"):
        subset(split, 9)


def test_test_is_read_through_the_ledger_and_validation_is_not(run: zoo.Run) -> None:
    before = len(ledger(run))
    zoo.evaluate_corruptions(run, names=["fog", "jpeg"], severities=[1, 2, 3], limit=50)
    zoo.evaluate_corruptions(run, split="validation", names=["fog"], severities=[1], limit=50)
    (line,) = ledger(run)[before:]
    assert (line["split"], line["samples"]) == ("test", 50)
    assert line["purpose"] == "zoo eval --corruptions, 7 passes over 50 samples"


def test_what_cannot_be_asked_is_refused_before_test_is_read(run: zoo.Run) -> None:
    before = ledger(run)
    with pytest.raises(UnknownNameError, match="did you mean 'translate'"):
        zoo.evaluate_corruptions(run, names=["translation"])
    with pytest.raises(ZooError, match="severity must be 1 … 5, got 0 instead"):
        zoo.evaluate_corruptions(run, severities=[0])
    with pytest.raises(UnknownNameError, match="unknown split 'tset'"):
        zoo.evaluate_corruptions(run, split="tset")
    with pytest.raises(ZooError, match="limit 3 is too small"):
        zoo.evaluate_corruptions(run, limit=3)
    assert ledger(run) == before


def test_progress_is_told_up_to_the_last_pass(run: zoo.Run) -> None:
    events: list[Evaluating] = []
    evaluate_corruptions(
        run, catalog=zoo.catalog, split="validation", names=["fog"], severities=[1, 5], limit=40, progress=events.append
    )
    assert {(event.split, event.total) for event in events} == {("corruptions of validation", 120)}
    assert [event.done for event in events] == [40, 80, 120]


def test_of_signals_those_are_evaluated_that_are_defined_and_the_rest_is_named(tmp_path: Path) -> None:
    waves = np.sin(np.arange(40, dtype=np.float32) * np.linspace(0.1, 0.9, 90, dtype=np.float32)[:, None])
    np.savez(tmp_path / "waves.npz", x_train=waves[:, None, None], y_train=np.arange(90) // 30)
    run = zoo.train(
        "mnist1d-linear",
        "training.steps=3",
        "training.threads=1",
        data=str(tmp_path / "waves.npz"),
        run=tmp_path / "r",
    )
    result = zoo.evaluate_corruptions(run)
    assert set(result["corruptions"]) == {
        "gaussian_noise", "impulse_noise", "gaussian_blur", "motion_blur", "brightness", "contrast", "pixelate"
    }  # fmt: skip
    assert result["left_out"] == [name for name in CORRUPTIONS if name not in result["corruptions"]]
    with pytest.raises(DataError, match="corruption rotate is not defined for signals"):
        zoo.evaluate_corruptions(run, names=["rotate"])
