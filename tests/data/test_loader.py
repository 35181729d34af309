from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from zoo.data.dataset import Dataset
from zoo.data.loader import REPEAT, Batch, Loader, draw, repeats
from zoo.errors import DataError, UnknownNameError
from zoo.recipe import DataSettings
from zoo.training.randomness import order, uniform

Prepare = Callable[..., Dataset]


def loader(dataset: Dataset, split: str = "train", **options: Any) -> Loader:
    return Loader(dataset, split, **{"device": "cpu", "batch_size": 100, "workers": 0, "memory_limit": 2048, **options})


def joined(batches: Iterable[Batch]) -> tuple[Tensor, Tensor, Tensor]:
    parts = list(batches)
    return tuple(torch.cat([getattr(b, name) for b in parts]) for name in ("images", "labels", "samples"))  # type: ignore[return-value]


def test_an_epoch_has_every_sample_once_in_batches_of_nearly_one_size(dataset: Prepare) -> None:
    batches = loader(dataset("digits"))
    assert batches.batches_per_epoch == 11
    epoch = list(batches.training(0, 0))
    assert {len(b.samples) for b in epoch} == {98} and all(b.total == 98 for b in epoch)
    images, labels, samples = joined(epoch)
    assert sorted(samples.tolist()) == list(range(1078))
    split = batches.split
    assert torch.equal(labels, torch.from_numpy(split.labels)[samples])
    assert torch.equal(images, torch.from_numpy(split.images.data)[samples])  # type: ignore[union-attr]
    assert images.dtype == torch.uint8 and labels.dtype == samples.dtype == torch.int64
    assert all(b.waited >= 0 for b in epoch)
    uneven = [len(b.samples) for b in loader(dataset("digits"), batch_size=300).training(0, 0)]
    assert sum(uneven) == 1078 and set(uneven) == {269, 270}
    assert loader(dataset("digits"), batch_size=5000).batches_per_epoch == 1


def test_the_order_is_a_function_of_seed_and_epoch_and_can_start_anywhere(dataset: Prepare) -> None:
    batches = loader(dataset("digits"))
    first = joined(batches.training(0, 0))[2]
    assert torch.equal(first, order(0, 0, torch.arange(1078)))
    assert not torch.equal(first, joined(batches.training(0, 1))[2])
    assert not torch.equal(first, joined(batches.training(1, 0))[2])
    whole, rest = list(batches.training(0, 3)), list(batches.training(0, 3, start=4))
    assert len(rest) == 7
    assert all(torch.equal(a.images, b.images) for a, b in zip(whole[4:], rest, strict=True))
    assert list(batches.training(0, 0, start=11)) == []


def test_memory_stream_and_any_number_of_workers_give_the_same_bits(dataset: Prepare, photos: Path) -> None:
    data = dataset("folder", path=str(photos))
    expected = [joined(loader(data, batch_size=5).training(3, epoch)) for epoch in range(2)]
    for workers in (0, 1, 2):
        streamed = loader(data, batch_size=5, workers=workers, memory_limit=0)
        for epoch in range(2):
            assert all(map(torch.equal, joined(streamed.training(3, epoch)), expected[epoch]))
        resumed, reference = (joined(each.training(3, 1, start=5)) for each in (streamed, loader(data, batch_size=5)))
        assert all(map(torch.equal, resumed, reference))
        streamed.close()
        assert torch.equal(
            next(streamed.training(3, 0)).samples, expected[0][2][: len(next(streamed.training(3, 0)).samples)]
        )
        streamed.close()


def test_a_validation_split_cut_from_train_keeps_the_samples_of_train(dataset: Prepare, photos: Path) -> None:
    for split in ("validation", "test"):
        for path in sorted((photos / split).rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        (photos / split).rmdir()
    data = dataset("folder", DataSettings(validation_fraction=0.25), path=str(photos))
    for limit in (0, 2048):
        images, _, samples = joined(loader(data, "validation", memory_limit=limit).evaluation())
        assert samples.tolist() == data.splits["validation"].samples.tolist()
        assert torch.equal(images, torch.from_numpy(data.splits["validation"].pixels(data.size, 0)))


def test_evaluation_is_in_source_order(dataset: Prepare) -> None:
    batches = loader(dataset("digits"), "test", batch_size=128)
    sizes = [len(b.samples) for b in batches.evaluation()]
    assert sizes == [119, 120, 120]
    assert joined(batches.evaluation())[2].tolist() == list(range(359))


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_every_batch_and_every_sample(dataset: Prepare, world: int) -> None:
    data = dataset("digits")
    shares = [loader(data, rank=rank, world=world) for rank in range(world)]
    whole = list(loader(data).training(0, 0))
    for parts in zip(whole, *(share.training(0, 0) for share in shares), strict=True):
        batch, rest = parts[0], parts[1:]
        assert torch.equal(batch.samples, torch.cat([part.samples for part in rest]))
        assert all(part.total == len(batch.samples) and abs(len(part.samples) - 98 / world) < 1 for part in rest)
    tests = [loader(data, "test", batch_size=64, rank=rank, world=world) for rank in range(world)]
    assert torch.cat([joined(t.evaluation())[2] for t in tests]).tolist() == list(range(359))
    with pytest.raises(DataError, match="cannot be shared by 2 processes"):
        loader(data, batch_size=1, world=2)


def test_weights_draw_with_replacement_in_proportion(dataset: Prepare) -> None:
    data = dataset("digits")
    weights = torch.where(torch.from_numpy(data.splits["train"].labels) == 3, 9.0, 1.0)
    _, labels, samples = joined(loader(data).training(0, 0, 0, weights))
    assert len(labels) == 1078 and len((samples % REPEAT).unique()) < 1078 == len(samples.unique())
    assert float((labels == 3).float().mean()) == pytest.approx(0.5, abs=0.06)
    assert torch.equal(samples, joined(loader(data).training(0, 0, 0, weights))[2])
    assert not torch.equal(samples, joined(loader(data).training(0, 1, 0, weights))[2])
    only = torch.zeros(1078)
    only[-1] = 1e-3
    assert set(draw(only, 0, 0).tolist()) == {1077}
    for wrong in (torch.zeros(5), torch.tensor([1.0, -1.0, 3.0]), torch.tensor([1.0, float("nan")])):
        with pytest.raises(DataError, match="sample weights"):
            draw(wrong, 0, 0)


def test_loading_draws_nothing_global(dataset: Prepare, photos: Path) -> None:
    data = dataset("folder", path=str(photos))
    before = torch.get_rng_state()
    streamed = loader(data, workers=1, memory_limit=0)
    joined(streamed.training(0, 0))
    streamed.close()
    joined(loader(data).training(0, 0))
    assert torch.equal(before, torch.get_rng_state())


def test_a_damaged_file_is_named_when_its_batch_comes(dataset: Prepare, photos: Path) -> None:
    data = dataset("folder", DataSettings(memory_limit=0), path=str(photos))
    broken = photos / "validation" / "digit 2" / "13.jpg"
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.raises(DataError, match=r"digit 2/13.jpg"):
        joined(loader(data, "validation", memory_limit=0).evaluation())
    with pytest.raises(DataError, match=r"digit 2/13.jpg"):
        loader(data, "validation")
    assert len(joined(loader(data, "test").evaluation())[0]) == 12


def test_an_unknown_split_is_refused(dataset: Prepare) -> None:
    with pytest.raises(UnknownNameError, match="unknown split 'valid'"):
        loader(dataset("digits"), "valid")


@pytest.mark.slow
def test_photos_stream_to_the_same_bits(dataset: Prepare, test_data: Path) -> None:
    data = dataset("folder", DataSettings(train_size=300), path=str(test_data / "clothing"))
    expected = joined(loader(data).training(0, 0))
    streamed = loader(data, workers=2, memory_limit=0)
    assert all(map(torch.equal, joined(streamed.training(0, 0)), expected))
    streamed.close()
    assert len(np.unique(data.splits["train"].labels)) == 10


def test_a_sample_that_is_drawn_again_is_another_to_augmentation() -> None:
    assert repeats(torch.tensor([3, 1, 3, 3, 1, 0])).tolist() == [0, 0, 1, 2, 1, 0]
    visited = torch.tensor([7, 7 + REPEAT, 7 + 2 * REPEAT, 8])
    draws = uniform(0, "augment", 0, visited)
    assert len(set(draws[:, 0].tolist())) == 4


@pytest.mark.parametrize("count", [60, 100, 250])
def test_an_epoch_of_draws_has_each_image_in_its_turn(count: int, dataset: Prepare) -> None:
    data = dataset("digits", DataSettings(train_size=100))
    batches = loader(data, batch_size=30, draws=count)
    assert batches.batches_per_epoch == -(-count // 30)
    epoch = list(batches.training(3, 1))
    samples = joined(epoch)[2] % REPEAT
    assert len(samples) == count and sum(batch.total for batch in epoch) == count
    for turn in range(0, count, 100):
        part = samples[turn : turn + 100]
        assert len(part.unique()) == len(part)
    again = joined(epoch)[2] // REPEAT
    assert again.tolist() == [place // 100 for place in range(count)]
    split = torch.from_numpy(batches.split.samples)
    assert set(samples.tolist()) <= set(split.tolist())


def test_draws_that_are_as_many_as_images_are_an_epoch(dataset: Prepare) -> None:
    data = dataset("digits", DataSettings(train_size=100))
    assert all(map(torch.equal, joined(loader(data, draws=100).training(0, 2)), joined(loader(data).training(0, 2))))


def test_an_epoch_of_draws_can_start_anywhere_and_be_shared(dataset: Prepare) -> None:
    data = dataset("digits", DataSettings(train_size=100))
    batches = loader(data, batch_size=30, draws=250)
    whole, rest = list(batches.training(0, 1)), list(batches.training(0, 1, start=5))
    assert len(whole) == 9 and len(rest) == 4
    assert all(torch.equal(a.samples, b.samples) for a, b in zip(whole[5:], rest, strict=True))
    shares = [joined(loader(data, batch_size=30, draws=250, rank=rank, world=2).training(0, 1)) for rank in (0, 1)]
    assert sorted([*shares[0][2].tolist(), *shares[1][2].tolist()]) == sorted(joined(whole)[2].tolist())
    assert len(list(loader(data, "train", draws=250).evaluation())) == 1  # which sees each image once


def test_draws_by_weight_are_as_many(dataset: Prepare) -> None:
    data = dataset("digits", DataSettings(train_size=100))
    weights = torch.zeros(100)
    weights[7] = 1
    samples = joined(loader(data, draws=130).training(0, 0, 0, weights))[2]
    assert len(samples.unique()) == 130 and len((samples % REPEAT).unique()) == 1


def test_rows_are_batches_of_what_an_evaluation_sees(dataset: Prepare) -> None:
    data = dataset("digits", DataSettings(train_size=100))
    batches = loader(data)
    rows = [torch.tensor([5, 3]), torch.tensor([99])]
    found = list(batches.rows(rows))
    images, labels, samples = joined(batches.evaluation())
    assert [batch.total for batch in found] == [2, 1]
    for batch, row in zip(found, rows, strict=True):
        assert torch.equal(batch.images, images[row]) and torch.equal(batch.labels, labels[row])
        assert torch.equal(batch.samples, samples[row])
