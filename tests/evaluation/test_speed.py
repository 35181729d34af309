from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Any, ClassVar

import pytest
import torch

import zoo
from zoo.errors import ZooError
from zoo.evaluation.speed import Subject, Timing, highest, in_turn, measure, measure_all, peak_bytes


def test_figures_of_a_recipe_fit_together(tiny: Callable[..., Any]) -> None:
    found = measure(tiny(), seconds=0.0)
    assert found["parameters"] == 40 + 65 * 16 + 170 and found["input"] == (1, 8, 8) and found["batch_size"] == 40
    for timing, fewest in [(found["latency"]["1"], 30), (found["latency"]["64"], 30), (found["training_step"], 10)]:
        assert 0 < timing["lower_quartile"] <= timing["median"] <= timing["upper_quartile"]
        assert timing["calls"] >= fewest
    rates, cpu = found["images_per_second"], found["cpu_seconds_per_thousand"]
    assert rates["inference"] == pytest.approx(64 / found["latency"]["64"]["median"])
    assert rates["training"] == pytest.approx(40 / found["training_step"]["median"])
    assert cpu["training"] > cpu["inference"] > 0
    memory = found["memory_bytes"]
    assert memory["training"] > 3 * 4 * found["parameters"]  # weights, gradients and the momentum at least
    assert memory["inference"] > 4 * found["parameters"]
    assert found["environment"]["threads"] == 1 and found["environment"]["processor"]
    assert found["load_before"] >= 0 and found["load_after"] >= 0


class Noted(Subject):
    """A subject that writes down its turns."""

    turns: ClassVar[list[str]] = []

    def time(self, name: str, threads: int, calls: int = 5) -> None:
        self.turns.append(self.recipe.name)
        super().time(name, threads, calls)


def test_recipes_are_measured_in_turn(tiny: Callable[..., Any]) -> None:
    first, second = (Noted(tiny(recipe=name), "cpu") for name in ("conv-net-momentum", "conv-net-muon"))
    in_turn([first, second], threads=1, seconds=0.0)
    # 30 calls on one image, 30 on a batch, 10 steps, five in a row: neither recipe is ever far ahead.
    ones = [1 if name == "conv-net-momentum" else -1 for name in Noted.turns]
    assert ones.count(1) == ones.count(-1) == 6 + 6 + 2
    assert max(map(abs, accumulate(ones))) <= 3


def test_threads_are_those_asked_for_and_put_back(tiny: Callable[..., Any]) -> None:
    before = torch.get_num_threads()
    found = measure_all([tiny(), tiny(recipe="conv-net-muon")], seconds=0.0, threads=2)
    assert [row["recipe"] for row in found] == ["conv-net-momentum", "conv-net-muon"]
    assert torch.get_num_threads() == before and {row["environment"]["threads"] for row in found} == {2}


@pytest.mark.parametrize("name", ["conv-net-sam", "conv-net-schedule-free", "conv-net-swa", "row-lstm-gradient-noise"])
def test_recipes_of_every_sort_can_be_stepped_and_keep_finite_weights(name: str) -> None:
    subject = Subject(zoo.resolve(name, "architecture.hidden=8", "data.train_size=100"), "cpu")
    subject.warm_up(1)
    subject.time("training", 1, calls=2)
    subject.time("1", 1, calls=2)
    assert all(bool(p.isfinite().all()) for p in subject.experiment.model.parameters())
    assert len(subject.timings["training"].wall) == len(subject.timings["1"].cpu) == 2


def test_the_peak_of_memory_is_the_highest_sum_of_what_comes_and_goes() -> None:
    assert highest([100, 50, -100, 70, -120]) == 150
    assert highest([-10, 5]) == highest([]) == 0


def test_the_peak_of_a_call_holds_the_weights_and_what_the_call_allocates(tiny: Callable[..., Any]) -> None:
    x = Subject(tiny(), "cpu").experiment
    weights = sum(p.numel() * 4 for p in x.model.parameters())

    def call() -> None:
        first = torch.ones(1000)
        second = first + 1
        del first
        assert float((second + 1)[0]) == 3

    assert weights + 8000 <= peak_bytes(x, call) < weights + 9000


def test_a_timing_is_done_by_calls_and_by_time() -> None:
    timing = Timing(10, 4, wall=[0.1, 0.3], cpu=[0.2, 0.4])
    assert timing.progress(0.0) == 0.5 and timing.progress(4.0) == pytest.approx(0.1)
    assert timing.images_per_second == pytest.approx(50) and timing.cpu_seconds_per_thousand == pytest.approx(30)
    assert timing.quartiles() == pytest.approx(
        {"lower_quartile": 0.15, "median": 0.2, "upper_quartile": 0.25, "calls": 2}
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"threads": 0}, "threads must be 1 or more"), ({"seconds": -1.0}, "seconds must be 0 or more")],
)
def test_settings_that_measure_nothing_are_refused(
    tiny: Callable[..., Any], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ZooError, match=message):
        measure(tiny(), **settings)
    with pytest.raises(ZooError, match="there is no recipe to measure"):
        measure_all([])
