from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import zoo
from zoo.training.events import Saved
from zoo.training.session import Session
from zoo_observers import tensorboard

Tiny = Callable[..., zoo.Recipe]
Points = dict[str, list[tuple[int, float]]]


def written(folder: Path) -> Points:
    """Return the (step, value) points of every figure, as TensorBoard shows them."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def expected(run: zoo.Run) -> Points:
    history = run.history()
    names = [name for name in history[0] if name not in {"epoch", "step"}]
    return {name: [(line["epoch"], pytest.approx(line[name], rel=1e-6)) for line in history] for name in names}


def test_every_figure_of_every_epoch_is_written(tiny: Tiny) -> None:
    run = zoo.train(tiny("training.epochs=3"))
    points = written(run.path)
    assert set(points) == {"train/loss", "train/accuracy", "validation/loss", "validation/accuracy", "lr"}
    assert [step for step, _ in points["train/loss"]] == [1, 2, 3]
    assert points == expected(run)
    assert run.path not in tensorboard._writers


@pytest.mark.parametrize("epochs", [1, 2])
def test_an_epoch_whose_checkpoint_was_lost_is_shown_once_after_a_resume(tiny: Tiny, epochs: int) -> None:
    session = Session.start(tiny("training.epochs=3"), catalog=zoo.catalog, run=Path("run"), device="cpu")
    events = session.events()
    saved = [next(event for event in events if isinstance(event, Saved)) for _ in range(1 + epochs)]
    events.close()
    assert [step for step, _ in written(Path("run"))["train/loss"]] == list(range(1, epochs + 1))
    (saved[-1].path / "tensors.safetensors").write_bytes(b"rot")
    time.sleep(1.1)  # event files are ordered by the second in their names
    resumed = Session.resume(Path("run"), catalog=zoo.catalog, device="cpu")
    assert resumed.run.start_epoch == epochs - 1
    list(resumed.events())
    assert [step for step, _ in written(Path("run"))["train/loss"]] == [1, 2, 3]
    assert written(Path("run")) == expected(resumed.run)
