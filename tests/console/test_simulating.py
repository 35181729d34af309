"""What is told of simulations as they run."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from fixtures.benches import recipe
from rich.console import Console

from zoo import storage
from zoo.active.events import Begun, Done, Phase, RoundDone, Waiting
from zoo.active.plan import Cell, Question, make
from zoo.console.simulating import SimulationReport, named, plan_table
from zoo.training.events import Evaluating
from zoo.training.run import Run

CELL = Cell("margin", 3, recipe())


class Clock:
    """Seconds that pass when they are told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Told:
    """A report on a stream, and what it printed."""

    def __init__(self, total: int = 4, terminal: bool = False) -> None:
        self.stream, self.clock = io.StringIO(), Clock()
        self.console = Console(file=self.stream, width=100, force_terminal=terminal, color_system=None)
        self.report = SimulationReport(self.console, total, 2, clock=self.clock)

    def see(self, *events: Any) -> str:
        before = len(self.stream.getvalue())
        for event in events:
            self.report.see(event)
        return self.stream.getvalue()[before:]


def line(accuracy: float, **more: Any) -> RoundDone:
    return RoundDone(line={"round": 1, "labels": 26, "test": {"accuracy": accuracy}, **more})


def finished(folder: Path, seconds: float, stop: str | None = None, reason: str | None = None) -> Done:
    storage.make_folder(folder)
    storage.write_json(folder / "summary.json", {"labels": 32, "stop": stop})
    return Done(cell=CELL, run=Run(folder), seconds=seconds, reason=reason)


def test_a_finished_simulation_is_one_line_with_what_is_left(tmp_path: Path) -> None:
    told = Told()
    with told.report:
        assert told.see(Begun(cell=CELL, done=0, total=4), Phase(name="train", round=0, labels=20), line(0.5)) == ""
        text = told.see(line(0.8125), finished(tmp_path, 50.0))
        assert text == "margin, seed 3: 32 labels, accuracy 0.8125, 0:50   1 of 4, about 2:30 left\n"
        assert told.see(finished(tmp_path / "two", 0.0)) == ""  # it was there already
        text = told.see(line(0.9), finished(tmp_path / "three", 30.0, stop="there are 32 labels"))
        assert (
            text == "margin, seed 3: 32 labels, accuracy 0.9000, 0:30; there are 32 labels   3 of 4, about 0:40 left\n"
        )
        assert told.see(line(0.9), finished(tmp_path / "four", 40.0)).endswith("0:40   4 of 4\n")


def test_the_answers_that_count_are_told() -> None:
    told = Told()
    told.see(Begun(cell=CELL, done=0, total=4))
    told.clock.now += 31
    assert told.see(line(0.5, mc={"accuracy": 0.75})) == "margin, seed 3: 26 labels, accuracy 0.7500\n"


def test_a_long_simulation_is_told_of_twice_a_minute() -> None:
    told = Told()
    told.see(Begun(cell=CELL, done=0, total=4))
    texts = []
    for _ in range(8):
        told.clock.now += 11
        texts.append(told.see(line(0.5)))
    assert [bool(text) for text in texts] == [False, False, True, False, False, True, False, False]


def test_failures_and_waiting_are_told(tmp_path: Path) -> None:
    told = Told()
    told.see(Begun(cell=CELL, done=0, total=4))
    assert told.see(finished(tmp_path, 3.0, reason="the loss is not finite")) == (
        "margin, seed 3: failed, the loss is not finite\n"
    )
    assert told.see(Waiting(left=2)) == "waiting for 2 simulations of other processes\n"
    told.clock.now += 99
    assert told.see(line(0.5)) == ""


def test_a_terminal_has_a_bar_that_says_what_is_being_done() -> None:
    told = Told(terminal=True)

    def shown() -> str:
        stream = io.StringIO()
        Console(file=stream, width=120).print(told.report._bar())
        return stream.getvalue().rstrip()

    told.see(Evaluating(split="embeddings of train", done=1000, total=2000))
    assert shown().endswith("0/4 embeddings of train: 1,000 of 2,000")
    told.see(Begun(cell=CELL, done=0, total=4), Phase(name="choose", round=1, labels=26), line(0.5))
    assert shown().endswith("0/4 margin, seed 3  round 1 of 2, 26 labels, choosing  accuracy 0.5000")
    told.see(Evaluating(split="test", done=1, total=2))
    assert "choosing" in shown() and "test" not in shown()
    with told.report:
        pass
    assert told.report._live is None


@pytest.mark.parametrize("seeds", [2, 6])
def test_a_plan_says_what_it_will_do(seeds: int) -> None:
    question = Question(recipe="conv-net-momentum", seeds=seeds)
    plan = make(
        question, recipe(), data="", items=359, pool=12_000, validation=360, notes=("train: 200 of 1078 images",)
    )
    stream = io.StringIO()
    Console(file=stream, width=200).print(plan_table(plan))
    text = stream.getvalue()
    assert "strategies margin, random" in text and "12,000 samples; test has 359" in text
    assert f"margin against random; the least p that signs of {seeds} seeds can give is {2 / 2**seeds:.2g}" in text
    assert "Answers are counted with the 20 initial ones" in text and "train: 200 of 1078 images" in text
    assert str(named(CELL)) == "margin, seed 3"
