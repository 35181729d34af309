from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from zoo.data import contents
from zoo.training import features
from zoo.training.events import EpochDone, Evaluating
from zoo.training.experiment import Experiment, build
from zoo.training.features import Embedder
from zoo.training.loop import fit
from zoo.training.progress import Progress
from zoo.training.randomness import Draws
from zoo.training.reading import prepare_data

SETTINGS = ("data.train_size=60", "training.batch_size=20", "training.threads=1", "regularizers=[]", "freeze=backbone")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/embeddings"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder of two classes of ten photos, changed long ago."""
    for number in range(20):
        path = tmp_path / f"photos/class {number % 2}/{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), (12 * number, 99, 0)).save(path)
        os.utime(path, (1_600_000_000, 1_600_000_000))
    return tmp_path / "photos"


def begun(*settings: str) -> tuple[Experiment, list[Evaluating]]:
    """Return an experiment at its first epoch, and what it said on the way there."""
    x = build(zoo.resolve("conv-net-momentum", *SETTINGS, "augmentation=null", *settings), device="cpu")
    return x, list(x.begin_epoch(0))


def test_embeddings_are_what_the_classifier_reads_of_each_sample() -> None:
    x, events = begun()
    split = x.images.dataset.splits["train"]
    pixels = torch.from_numpy(split.pixels((8, 8), 0))
    with torch.no_grad():
        expected = x.model.eval().forward_head(
            x.model.forward_features(x.images.preprocess.evaluate(pixels)), pre_logits=True
        )  # type: ignore[operator]
    for batch in x.train.training(3, 5):
        rows = [int(np.flatnonzero(split.samples == sample)[0]) for sample in batch.samples.tolist()]
        assert torch.allclose(batch.images[:, :, 0, 0], expected[rows], atol=1e-6)
        assert batch.labels.tolist() == split.labels[rows].tolist()
    assert [(event.split, event.done, event.total) for event in events if event.done == event.total] == [
        ("embeddings of train", 60, 60),
        ("embeddings of validation", 360, 360),
    ]


def test_they_are_computed_once_and_found_by_the_next_run(cache: Path) -> None:
    _, events = begun()
    files = sorted(cache.iterdir())
    assert events and len(files) == 2
    again, silent = begun("optimizer.lr=0.01", "training.batch_size=30", "training.epochs=3")
    assert silent == [] and sorted(cache.iterdir()) == files
    assert again.inputs is not again.images


@pytest.mark.parametrize(
    "settings",
    [
        ["training.seed=1"],  # other weights
        ["architecture.hidden=512"],
        ["data.image_size=10"],
        ["data.normalization={mean: [0.2], std: [0.5]}"],
        ["data.train_size=59"],
        ["freeze.views=1", "augmentation={shift: 0.1}"],
    ],
)
def test_whatever_they_depend_on_makes_others(settings: list[str]) -> None:
    begun()
    _, events = begun(*settings)
    assert "embeddings of train" in events[0].split


def test_code_that_was_edited_makes_others(monkeypatch: pytest.MonkeyPatch) -> None:
    begun()
    from zoo_architectures.convolutional import ConvNet

    plain = ConvNet.embed
    monkeypatch.setattr(ConvNet, "embed", lambda self, features: plain(self, features) * 2)
    _, events = begun()
    assert events


def test_a_cache_that_cannot_be_written_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "file"))
    x, events = begun()
    assert events and x.inputs is not x.images


def test_a_damaged_file_is_computed_anew(cache: Path) -> None:
    begun()
    for file in cache.iterdir():
        file.write_bytes(file.read_bytes()[:200])
    _, events = begun()
    assert {event.split for event in events} == {"embeddings of train", "embeddings of validation"}


def test_views_are_the_augmented_images_of_the_first_epochs_in_turn() -> None:
    x, _ = begun("freeze.views=2", "augmentation={rotation: 20, horizontal_flip: true}")
    pixels = torch.from_numpy(x.images.dataset.splits["train"].pixels((8, 8), 0))
    samples = torch.from_numpy(x.images.dataset.splits["train"].samples)
    order = torch.argsort(samples)
    for epoch in range(4):
        augmented = x.images.preprocess.train(pixels, Draws(0, epoch % 2, samples))
        with torch.no_grad():
            expected = x.model.eval().forward_head(x.model.forward_features(augmented), pre_logits=True)  # type: ignore[operator]
        batches = list(x.train.training(0, epoch))
        got = torch.cat([batch.images[:, :, 0, 0] for batch in batches])
        visited = torch.cat([batch.samples for batch in batches])
        assert torch.allclose(got[torch.argsort(visited)], expected[order], atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        ["augmentation={shift: 0.1}"],  # new views each epoch
        ["regularizers=[mixup]"],  # looks at images
        ["freeze=1"],  # a part of the backbone learns
        ["freeze=none"],
    ],
)
def test_images_stay_where_embeddings_would_be_others(settings: list[str], cache: Path) -> None:
    x, events = begun(*settings)
    assert x.inputs is x.images and events == [] and not cache.exists()


def test_a_pass_that_was_stopped_goes_on_and_gives_the_same_bits(cache: Path) -> None:
    settings = ("training.evaluation_batch_size=40",)
    expected, _ = begun(*settings)
    for file in cache.iterdir():
        file.unlink()
    x = build(zoo.resolve("conv-net-momentum", *SETTINGS, "augmentation=null", *settings), device="cpu")
    steps = x.begin_epoch(0)
    stopped = [next(steps) for _ in range(5)]
    assert (stopped[-1].split, stopped[-1].done) == ("embeddings of validation", 80)
    steps.close()
    again, events = begun(*settings)
    assert (events[0].split, events[0].done, events[-1].done) == ("embeddings of validation", 120, 360)
    for ours, theirs in ((again.train, expected.train), (again.validation, expected.validation)):
        for left, right in zip(ours.evaluation(), theirs.evaluation(), strict=True):
            assert torch.equal(left.images, right.images)


def test_they_stay_on_disk_and_those_of_the_run_are_not_dropped(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "KEPT", 1000)
    x, _ = begun()
    assert {file.suffix for file in cache.iterdir()} == {".npy"} and len(list(cache.iterdir())) == 2
    assert isinstance(x.inputs.dataset.splits["validation"].pixels((1, 1), 0).base, np.memmap)
    begun("training.seed=1")
    assert len(list(cache.iterdir())) == 2
    assert begun()[1] != []


def test_the_files_of_photos_are_read_once_and_their_pass_is_told(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "FEW", 1)

    def told(*settings: str) -> list[str]:
        contents._table.cache_clear()
        recipe = zoo.resolve(
            "conv-net-momentum", *SETTINGS, "data.train_size=null", "data.image_size=16", "augmentation=null", *settings,
            data=str(photos),
        )  # fmt: skip
        return list(dict.fromkeys(event.split for event in build(recipe, device="cpu").begin_epoch(0)))

    passes = ["digests of train", "embeddings of train", "digests of validation", "embeddings of validation"]
    assert told() == passes
    assert told() == []
    assert told("data.image_size=20") == [passes[1], passes[3]]


def test_a_finished_run_evaluates_and_predicts_images(tmp_path: Path) -> None:
    run = zoo.train("conv-net-momentum", *SETTINGS, "augmentation=null", "training.epochs=2", run=tmp_path / "r")
    figures = zoo.evaluate(run, split="test")
    assert figures["accuracy"] == (run.summary or {})["test"]["accuracy"]


def test_embeddings_of_all_splits_take_the_place_of_images() -> None:
    recipe = zoo.resolve("conv-net-momentum", *SETTINGS, "augmentation=null")
    first = build(recipe, device="cpu")
    steps = Embedder(recipe, first.model, first.images, first.device, first.precision, first.world).whole()
    with pytest.raises(StopIteration) as end:
        while True:
            next(steps)
    data = end.value.value
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 60, "validation": 360, "test": 359}
    assert data.size == (1, 1) and data.channels == first.model.embedding_size
    part = replace(data, splits={**data.splits, "train": data.splits["train"].part(np.arange(10, 30))})
    images = replace(
        first.dataset, splits={**first.dataset.splits, "train": first.dataset.splits["train"].part(np.arange(10, 30))}
    )
    x = build(recipe, device="cpu", dataset=images, embedded=part)
    assert x.inputs.embedded and x.train.batches_per_epoch == 1 and x.validation is not None
    assert list(x.begin_epoch(0)) == []
    (batch,) = x.train.training(0, 0)
    assert batch.images.shape == (20, data.channels, 1, 1)
    whole = torch.from_numpy(data.splits["train"].pixels((1, 1), 0))
    places = [int(np.flatnonzero(data.splits["train"].samples == sample)[0]) for sample in batch.samples.tolist()]
    assert torch.equal(batch.images, whole[places]) and set(places) == set(range(10, 30))
    assert all(
        part.requires_grad == name.startswith(f"{x.model.classifier}.") for name, part in x.model.named_parameters()
    )


def test_a_head_trains_on_embeddings_without_validation() -> None:
    recipe = zoo.resolve(
        "conv-net-momentum",
        *SETTINGS,
        "augmentation=null",
        "training.steps=4",
        "training.epochs=null",
        "training.early_stopping=null",
    )
    data = prepare_data(recipe)
    data = replace(data, splits={name: split for name, split in data.splits.items() if name != "validation"})
    x = build(recipe, device="cpu", dataset=data)
    epochs = [event for event in fit(x, Progress(x.device)) if isinstance(event, EpochDone)]
    assert x.inputs.embedded and x.validation is None and len(epochs) == 2
    assert not any(name.startswith("validation/") for event in epochs for name in event.metrics)
