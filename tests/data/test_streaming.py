from __future__ import annotations

import multiprocessing
import os
import random
import signal
import warnings
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
import torch

from zoo.data.images import decode
from zoo.data.sources import FileImages, canonical
from zoo.data.streaming import Stream, _collate, _Files, _start_worker, count_workers, decode_all
from zoo.errors import DataError, ImageError

SIZE = (16, 16)


@pytest.fixture
def images(photos: Path) -> FileImages:
    train = photos / "train"
    return FileImages(train, canonical(path.relative_to(train).as_posix() for path in train.rglob("*.*g")))


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_batches_come_in_the_order_asked_for(images: FileImages, workers: int) -> None:
    expected = np.stack([decode(images.root / path, channels=3, size=SIZE) for path in images.paths])
    stream = Stream(images, SIZE, workers=workers)
    rows = [np.array(row) for row in ([5, 0, 35], [7, 7], [1], [20, 19, 18])]
    for _ in range(2):
        for row, (batch, wrong) in zip(rows, stream.batches(rows), strict=True):
            assert np.array_equal(batch.numpy(), expected[row]) and wrong == []
    stream.close()
    assert np.array_equal(decode_all(images, np.arange(36), SIZE, workers), expected)


def test_a_pass_that_is_left_early_does_not_leak_into_the_next(images: FileImages) -> None:
    stream = Stream(images, SIZE, workers=2)
    first = [np.array([i]) for i in range(36)]
    next(stream.batches(first))
    ((batch, _),) = stream.batches([np.array([9, 8])])
    assert np.array_equal(batch.numpy(), decode_all(images, np.array([9, 8]), SIZE, 0))
    stream.close()


def test_nothing_global_is_drawn_and_nothing_is_warned(images: FileImages) -> None:
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]
    handler = signal.getsignal(signal.SIGCHLD)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # More workers than this machine has cores, which torch would warn about.
        stream = Stream(images, SIZE, workers=(os.cpu_count() or 1) + 1)
        assert len(list(stream.batches([np.arange(4)] * 3))) == 3
        stream.close()
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[index]
    assert signal.getsignal(signal.SIGCHLD) == handler


def test_a_worker_that_ends_is_a_clear_error_and_the_stream_can_start_again(images: FileImages) -> None:
    stream = Stream(images, SIZE, workers=1)
    rows = [np.array([i]) for i in range(36)]
    before = {child.pid for child in multiprocessing.active_children()}
    batches = stream.batches(rows)
    next(batches)
    (worker,) = (child for child in multiprocessing.active_children() if child.pid not in before)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(DataError, match="a process that decodes images ended unexpectedly"):
        list(batches)
    assert len(list(stream.batches(rows[:2]))) == 2
    stream.close()


def test_ctrl_c_does_not_end_the_workers(images: FileImages) -> None:
    stream = Stream(images, SIZE, workers=2)
    before = {child.pid for child in multiprocessing.active_children()}
    batches = stream.batches([np.array([i]) for i in range(36)])
    next(batches)
    for child in multiprocessing.active_children():
        if child.pid is not None and child.pid not in before:
            os.kill(child.pid, signal.SIGINT)
    assert len(list(batches)) == 35
    stream.close()


def test_closing_ends_the_workers(images: FileImages) -> None:
    before = {child.pid for child in multiprocessing.active_children()}
    stream = Stream(images, SIZE, workers=2)
    list(stream.batches([np.arange(3)]))
    assert len({child.pid for child in multiprocessing.active_children()} - before) == 2
    stream.close()
    assert {child.pid for child in multiprocessing.active_children()} <= before


def test_what_workers_receive_can_be_sent_to_spawned_processes(images: FileImages) -> None:
    for part in (_Files(images, SIZE), _collate, _start_worker):
        assert len(ForkingPickler.dumps(part)) > 0


def test_all_damaged_files_are_reported_together(images: FileImages) -> None:
    for path in images.paths[:12]:
        (images.root / path).write_bytes(b"\xff\xd8\xff damaged")
    with pytest.raises(DataError, match="12 images do not decode") as caught:
        decode_all(images, np.arange(36), SIZE, 2)
    message = str(caught.value)
    assert all(path in message for path in images.paths[:10]) and "… and 2 more" in message
    with pytest.raises(ImageError, match=images.paths[3]):
        decode_all(images, np.array([3, 30]), SIZE, 0)


def test_workers_auto_are_few() -> None:
    assert count_workers("auto", 10) == 0
    assert 1 <= count_workers("auto", 100_000) <= 8
    assert count_workers(3, 10) == 3
