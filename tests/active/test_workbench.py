"""What every round trains on and is tested on."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures import benches
from fixtures.benches import asking, bench, finished, lines, recipe, simulated
from PIL import Image

from zoo.active.journal import Labels
from zoo.active.material import gather
from zoo.active.scoring import Scorer
from zoo.active.workbench import Workbench, round_seed, training
from zoo.evaluation.predictions import Predictions
from zoo.recipe import EarlyStopping, Training
from zoo.rounds import Active
from zoo.training.checkpoint import dumps, loads
from zoo.training.events import EpochDone, StepDone
from zoo.training.experiment import Experiment, build
from zoo.training.loop import fit
from zoo.training.outliers import OUTLIERS, energy
from zoo.training.progress import Progress

ROWS = np.array([150, 3, 77, 20, 21, 22, 5, 199, 100, 60, 61, 62])
DROPS = "regularizers=[{name: dropout, rate: 0.5}]"


@pytest.fixture(scope="module")
def plain() -> Workbench:
    return benches.workbench(recipe())


def classes(own: Workbench) -> Any:
    return own.x.dataset.splits["train"].labels[ROWS]


def labels(told: Any, unknown: Any = ROWS[:0]) -> Labels:
    return Labels(ROWS, told, unknown)


def trained(own: Workbench, seed: int = 0, start: Any = None) -> Experiment:
    x: Experiment = finished(own.train(labels(classes(own)), seed, start))
    return x


def answers(own: Workbench, x: Experiment, split: str = "test") -> Predictions:
    found: Predictions = finished(own.answers(x, split))
    return found


def test_each_training_has_the_seed_of_its_round() -> None:
    seeds = [round_seed(seed, round) for seed in range(3) for round in range(3)]
    assert seeds == [0, 1, 2, 1_000_000, 1_000_001, 1_000_002, 2_000_000, 2_000_001, 2_000_002]
    assert 0 <= round_seed(5000, 7) < 2**32


def test_a_training_is_as_long_as_the_rounds_say() -> None:
    settings = Training(epochs=7, early_stopping=EarlyStopping(), best="validation/loss")
    short = training(settings, Active(steps=30))
    assert (short.steps, short.epochs, short.early_stopping, short.best) == (30, None, None, None)
    own = training(settings, Active(steps=None, validation="free"))
    assert own == settings
    assert training(settings, Active(steps=None)).epochs == 7


def test_a_training_sees_the_labelled_rows_with_the_answers_alone(plain: Workbench) -> None:
    told = (classes(plain) + 1) % 10
    events = []
    steps = plain.train(labels(told), 0)
    with pytest.raises(StopIteration) as end:
        while True:
            events.append(next(steps))
    x: Experiment = end.value.value
    train = x.dataset.splits["train"]
    assert np.array_equal(train.labels, told) and np.array_equal(
        train.samples, plain.x.dataset.splits["train"].samples[ROWS]
    )
    assert sum(isinstance(event, StepDone) for event in events) == 5
    assert x.validation is None and all("validation/loss" not in e.metrics for e in events if isinstance(e, EpochDone))
    assert "validation" not in plain.data.splits and len(plain.data.splits["train"]) == 200


def test_the_model_of_the_workbench_is_never_trained(plain: Workbench) -> None:
    before = dumps(plain.x.model.state_dict())
    one, two = (trained(plain, seed) for seed in (0, 1))
    assert dumps(plain.x.model.state_dict()) == before
    assert dumps(one.model.state_dict()) == dumps(trained(plain, 0).model.state_dict()) != dumps(two.model.state_dict())


@pytest.mark.parametrize("regularizer", ["ema", "dropout"])
def test_what_is_restored_answers_as_what_was_trained(regularizer: str) -> None:
    own = benches.workbench(recipe(f"regularizers=[{regularizer}]"))
    x = trained(own, 3)
    state: dict[str, Any] = {"model": x.model.state_dict()}
    if x.regularizers.evaluation_model(x.model) is not x.model:
        state["evaluation"] = x.regularizers.evaluation_model(x.model).state_dict()
    again = own.restored(labels(classes(own)), 3, loads(dumps(state)))
    found = [answers(own, each) for each in (x, again)]
    assert np.array_equal(found[0].logits, found[1].logits) and ("evaluation" in state) == (regularizer == "ema")


def test_without_validation_the_last_weights_count_and_with_it_those_of_the_best_epoch() -> None:
    """A rate so high that the figures of the epochs go up and down."""
    settings = ("optimizer.lr=0.5", "active.steps=12", "training.batch_size=6", "active.validation=free")
    own = benches.workbench(recipe(*settings, "regularizers=[]"))
    events: list[Any] = []
    steps = own.train(labels(classes(own)), 1)
    with pytest.raises(StopIteration) as end:
        while True:
            events.append(next(steps))
    accuracies = [event.metrics["validation/accuracy"] for event in events if isinstance(event, EpochDone)]
    said = answers(own, end.value.value, "validation")
    assert float((said.logits.argmax(1) == said.labels).mean()) == pytest.approx(max(accuracies))
    assert accuracies[-1] < max(accuracies)
    assert own.counted == 0 and benches.workbench(recipe("active.validation=counted")).counted == 360


def test_a_warm_start_goes_on_from_weights(plain: Workbench) -> None:
    first = trained(plain, 0).model.state_dict()
    kept = copy.deepcopy(first)
    second = trained(plain, 1, first).model.state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in first.items())
    far = [
        sum(float((a[name] - b[name]).square().sum()) for name in a)
        for a, b in ((first, second), (first, trained(plain, 1).model.state_dict()))
    ]
    assert 0 < far[0] < far[1]


def test_both_answers_are_those_without_dropout_and_the_mean_of_passes() -> None:
    own = benches.workbench(recipe(DROPS))
    x = trained(own)
    plain, mean = finished(own.both_answers(x, "test", 9, 4))
    alone = answers(own, x)
    assert np.array_equal(plain.labels, alone.labels) and np.array_equal(plain.samples, alone.samples)
    assert np.allclose(plain.logits, torch.from_numpy(alone.logits).log_softmax(1).numpy(), atol=1e-5)
    scorer = Scorer(x, own.loader("test"), seed=9, passes=4)
    (fields,) = scorer([torch.arange(len(alone))], frozenset({"mc_log_probabilities"}))
    expected = fields["mc_log_probabilities"].exp().mean(dim=1).numpy()
    order = np.argsort(own.data.splits["test"].samples)
    assert np.allclose(np.exp(mean.logits), expected[order], atol=1e-5)
    assert np.allclose(np.exp(mean.logits).sum(axis=1), 1, atol=1e-5)


def test_the_classes_of_rows_are_those_that_the_model_answers(plain: Workbench) -> None:
    x = trained(plain)
    found = plain.classes_of(x, torch.from_numpy(ROWS))
    said = answers(plain, x, "train")
    place = np.searchsorted(said.samples, plain.data.splits["train"].samples[ROWS])
    assert np.array_equal(found, said.logits[place].argmax(axis=1))


@pytest.fixture
def frozen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    return benches.workbench(recipe("freeze=backbone", "regularizers=[]", "augmentation=null"))


def test_a_frozen_backbone_sees_each_image_once(frozen: Workbench) -> None:
    data = frozen.embedded
    assert data is not None and data.size == (1, 1) and data.channels == 16
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 200, "test": 359}
    x = trained(frozen)
    assert x.inputs.embedded and x.train.split.pixels((1, 1), 0).shape == (12, 16, 1, 1)
    scorer = Scorer(x, frozen.loader("train"), seed=0, passes=1)
    (fields,) = scorer([torch.from_numpy(ROWS)], frozenset({"embeddings"}))
    expected = torch.from_numpy(data.splits["train"].pixels((1, 1), 0)[ROWS])[:, :, 0, 0]
    assert torch.equal(fields["embeddings"], expected.half())
    images = torch.from_numpy(frozen.x.dataset.splits["test"].pixels((8, 8), 0))
    with torch.no_grad():
        through = x.model.eval()(frozen.x.preprocess.evaluate(images)).numpy()
    assert np.allclose(answers(frozen, x).logits, through, atol=1e-5)  # the whole model is one that can be kept


def test_a_head_on_embeddings_learns_what_it_learns_through_images(frozen: Workbench) -> None:
    x = trained(frozen, 4)
    images = build(x.recipe, device="cpu", dataset=_with_train(frozen, classes(frozen)), catalog=benches.CATALOG)
    assert not images.inputs.embedded
    state = images.model.state_dict()
    backbone = {
        name: value
        for name, value in frozen.x.model.state_dict().items()
        if not name.startswith(f"{frozen.x.model.classifier}.")
    }
    images.model.load_state_dict({**state, **backbone})
    images.frozen = None  # so that no epoch puts embeddings in place of images; what is frozen stays so
    assert sum(isinstance(event, StepDone) for event in fit(images, Progress(images.device))) == 5
    own, other = (each.model.get_submodule(str(each.model.classifier)) for each in (x, images))
    assert not images.inputs.embedded
    assert torch.allclose(own.weight, other.weight, atol=1e-5) and torch.allclose(own.bias, other.bias, atol=1e-5)


def test_a_head_learns_from_embeddings_of_what_is_of_no_known_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    settings = ("freeze=backbone", "augmentation=null", "active.unknown_classes=['8', '9']", "active.steps=200")
    energies = []
    for regularizers in ("[]", "[outlier-exposure]"):
        own = benches.workbench(recipe(*settings, f"regularizers={regularizers}"))
        assert own.embedded is not None
        known = gather(own.recipe).known
        rows, unknown = np.flatnonzero(known)[:60], np.flatnonzero(~known)[:20]
        told = Labels(rows, own.x.dataset.splits["train"].labels[rows], unknown)
        x = finished(own.train(told, 0))
        logits = Scorer(x, own.loader("train"), seed=0, passes=1)
        parts = [torch.from_numpy(part) for part in (rows, unknown)]
        energies.append([float(energy(fields["logits"]).mean()) for fields in logits(parts, frozenset({"logits"}))])
    without, learned = energies
    assert learned[1] - learned[0] > 2 * (without[1] - without[0]) > 0


@pytest.mark.parametrize("more", ["freeze.views=2", "freeze.unfreeze_after=1"])
def test_where_embeddings_stand_for_images_only_at_times_outliers_stay_images(more: str) -> None:
    settings = ("freeze=backbone", more, "active.unknown_classes=['8', '9']", "training.epochs=2", "active.steps=null")
    own = benches.workbench(recipe(*settings, "regularizers=[outlier-exposure]"))
    x = finished(own.train(labels(classes(own) % 8, np.flatnonzero(~gather(own.recipe).known)[:4]), 0))
    assert not x.inputs.embedded


def test_of_outliers_in_files_the_latest_that_memory_may_hold_are_learned_from(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    for kind in ("cat", "dog", "car"):
        for number in range(8):
            pixels = draws.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            (tmp_path / "photos" / "train" / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "photos" / "train" / kind / f"{number}.png")
    settings = ("active.unknown_classes=[car]", "data.memory_limit=0", "data.train_size=null", "training.batch_size=3")
    own = benches.workbench(recipe(*settings, data=str(tmp_path / "photos")))
    known = gather(own.recipe).known
    rows, unknown = np.flatnonzero(known)[:6], np.flatnonzero(~known)
    train = own.x.dataset.splits["train"]
    x = finished(own.train(Labels(rows, train.labels[rows], unknown), 0))
    assert np.array_equal(x.dataset.splits[OUTLIERS].samples, train.samples[unknown[-3:]]) and len(unknown) > 3


def _with_train(own: Workbench, labels: Any) -> Any:
    from dataclasses import replace

    train = replace(own.x.dataset.splits["train"].part(ROWS), labels=labels)
    return replace(own.x.dataset, splits={**own.x.dataset.splits, "train": train})


def test_a_simulation_on_embeddings_chooses_by_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    settings = (
        "freeze=backbone",
        DROPS,
        "augmentation=null",
        "active.robustness=10",
        "active.passes=3",
        "active.stop=[stable]",
    )
    asked = recipe(*settings, "active.measure=dropout-mean")
    shared = bench(asked)
    assert shared.own.embedded is not None
    for name in ("k-center", "bald", "badge"):
        run = simulated(tmp_path / name, asking(asked, name), shared)
        assert [len(line["ids"]) for line in lines(run)] == [20, 6, 6]
        assert all({"test", "mc", "robustness"} <= set(line) for line in lines(run, "curve.jsonl"))


def test_embeddings_of_corrupted_images_are_not_those_of_the_images_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    settings = ("freeze=backbone", "regularizers=[]", "augmentation=null")
    clean, corrupted = (benches.workbench(recipe(*settings, f"active.corrupted={share}")) for share in (0, 0.9))
    pixels = [own.data.splits["train"].pixels((1, 1), 0) for own in (clean, corrupted)]
    assert (np.abs(pixels[0] - pixels[1]).reshape(200, -1).max(axis=1) > 1e-3).mean() > 0.5
    tests = [own.data.splits["test"].pixels((1, 1), 0) for own in (clean, corrupted)]
    assert np.array_equal(tests[0], tests[1])
    assert gather(recipe(*settings)).known.all()
