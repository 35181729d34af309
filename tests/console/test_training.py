from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from rich.console import Console

from zoo.console.training import TrainingReport, duration
from zoo.training.events import EpochDone, Evaluating, Finished, Noted, Saved, Started, StepDone

STARTED = Started(
    recipe="conv-net-momentum",
    run=Path("runs/conv-net-momentum-0-1"),
    step=0,
    epoch=0,
    total_steps=20,
    steps_per_epoch=10,
    parameters=3_274_634,
    sizes={"train": 1078, "validation": 359, "test": 360},
    classes=tuple("0123456789"),
    image=(1, 8, 8),
    device="cpu",
    precision="fp32",
    notes=("data.image_size auto: 8 px",),
)


def step(number: int, loss: float = 64.0) -> StepDone:
    return StepDone(
        step=number,
        epoch=(number - 1) // 10 + 1,
        loss=torch.tensor(loss),
        correct=torch.tensor(32),
        seen=64,
        samples=64,
        lr=0.05,
        seconds=0.1,
        waited=0.025,
    )


def epoch(number: int, best: bool = True) -> EpochDone:
    metrics = {
        "train/loss": 1.0,
        "train/accuracy": 0.5,
        "validation/loss": 0.75,
        "validation/accuracy": 0.875,
        "lr": 0.05,
    }
    timings = {"seconds": 2.0, "training_seconds": 1.0, "waited_seconds": 0.25}
    return EpochDone(epoch=number, step=number * 10, metrics=metrics, timings=timings, best=best)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def report(*, terminal: bool, width: int = 80) -> tuple[TrainingReport, io.StringIO, Clock]:
    stream, clock = io.StringIO(), Clock()
    console = Console(file=stream, width=width, force_terminal=terminal, color_system=None, legacy_windows=False)
    return TrainingReport(console, clock=clock), stream, clock


def test_elsewhere_than_on_a_terminal_an_epoch_is_one_plain_line() -> None:
    shown, stream, _ = report(terminal=False)
    with shown:
        shown.see(STARTED)
        for done in (1, 2):
            shown.see(Evaluating(split="embeddings of train", done=done, total=1078))
        shown.see(Noted(text="a decision"))
        for number in range(1, 11):
            shown.see(step(number))
        before = len(stream.getvalue().splitlines())
        shown.see(Evaluating(split="validation", done=359, total=359))
        shown.see(epoch(1))
        shown.see(Saved(path=Path("x"), step=10))
        shown.see(Finished(summary={}))
        lines = stream.getvalue().splitlines()
    assert lines[before - 4 : before - 1] == ["computing embeddings of train: 1,078", "a decision", ""]
    assert lines[before - 1].split() == [
        "epoch",
        "train",
        "loss",
        "accuracy",
        "validation",
        "loss",
        "accuracy",
        "images/s",
    ]
    assert [line.split() for line in lines[before:]] == [["1/2", "1.0000", "0.5000", "0.7500", "0.8750", "640", "best"]]
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in stream.getvalue()


def test_the_opening_lines_name_recipe_run_data_device_and_notes() -> None:
    shown, stream, _ = report(terminal=False)
    with shown:
        shown.see(STARTED)
    assert stream.getvalue().splitlines()[:4] == [
        "conv-net-momentum → runs/conv-net-momentum-0-1",
        "1,078 train, 359 validation, 360 test images of 1×8×8, 10 classes",
        "3,274,634 parameters, cpu, fp32",
        "data.image_size auto: 8 px",
    ]


@pytest.mark.parametrize("width", [80, 120])
def test_on_a_terminal_bars_show_every_figure_in_its_width(width: int) -> None:
    shown, stream, clock = report(terminal=True, width=width)
    with shown:
        shown.see(STARTED)
        clock.now = 1.0
        shown.see(step(5))
        text = stream.getvalue()
    for figure in (
        "loss 1.0000",
        "accuracy 0.5000",
        "lr 0.05",
        "640 images/s",
        "waiting 25%",
        "0:03 left",
        "1/2",
        "5/10",
    ):
        assert figure in text
    assert max(len(line.rpartition("\r")[2]) for line in text.splitlines()) <= width + len("\x1b[?25l\x1b[2K")


def test_tensors_are_read_at_most_four_times_a_second() -> None:
    shown, stream, clock = report(terminal=True)
    with shown:
        shown.see(STARTED)
        for number in range(1, 11):
            clock.now = number / 10
            shown.see(step(number, loss=float(number * 64)))
    drawn = [f"loss {number}.0000" for number in range(1, 11) if f"loss {number}.0000" in stream.getvalue()]
    assert drawn == ["loss 1.0000", "loss 4.0000", "loss 7.0000", "loss 10.0000"]


def test_time_left_counts_from_where_a_resumed_run_went_on() -> None:
    shown, stream, clock = report(terminal=True)
    resumed = Started(**{name: getattr(STARTED, name) for name in STARTED.__slots__} | {"step": 10, "epoch": 1})
    with shown:
        shown.see(resumed)
        clock.now = 2.0
        shown.see(step(12))
    assert "going on after step 10 of 20" in stream.getvalue()
    assert "0:08 left" in stream.getvalue()


def test_other_processes_than_the_first_show_nothing() -> None:
    stream = io.StringIO()
    with TrainingReport(Console(file=stream, force_terminal=True), quiet=True) as shown:
        for event in (STARTED, step(1), epoch(1)):
            shown.see(event)
    assert stream.getvalue() == ""


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3723, "1:02:03"), (-5, "0:00")])
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text
