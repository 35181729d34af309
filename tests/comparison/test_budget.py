from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, Any

import pytest
from fixtures.architectures import component
from msgspec import Meta

import zoo
from zoo.comparison.budget import match, scales, steps_of_seconds
from zoo.components import ArchitectureSpec, Component, Params, Provenance
from zoo.errors import ComponentError, ZooError
from zoo.evaluation.cost import Task, count
from zoo.recipe import Recipe

MNIST = Task((1, 28, 28), 10)


def recipe(architecture: str, *overrides: str) -> Recipe:
    return zoo.resolve("conv-net-momentum", f"architecture={architecture}", *overrides)


def test_an_lstm_over_rows_meets_a_budget_of_multiply_accumulates_by_hand() -> None:
    """28 steps of 4 gates of h units that read 28 values and h states, and 10 outputs: 112 h (28 + h) + 10 h."""
    found = match(recipe("row-lstm"), "macs", 2e6, task=MNIST)
    hidden = min(range(1, 300), key=lambda h: abs(112 * h * (28 + h) + 10 * h - 2e6))
    assert found.changed == {"hidden": hidden} and hidden == 120
    assert found.macs == 112 * 120 * 148 + 1200 and found.deviation == pytest.approx(found.macs / 2e6 - 1)
    assert found.parameters == count(found.recipe, MNIST)["parameters"] == 4 * 120 * (28 + 120 + 2) + 1210
    assert found.recipe.architecture.params.hidden == 120  # type: ignore[attr-defined]  # of this schema


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("conv-net", ()),
        ("lenet5", ()),
        ("keras-cnn", ()),
        ("separable-small", ()),
        ("resnet20", ()),
        ("row-bilstm", ()),
        ("row-lstm", ("architecture.cell=gru",)),
        ("mingru", ()),
        ("renet", ()),
        ("sequencer2d", ()),
        ("crnn", ()),
        ("rcnn", ()),
        ("mixer-swap", ("architecture.mixer=pool",)),
    ],
)
def test_networks_of_every_family_meet_a_budget_of_parameters(name: str, settings: tuple[str, ...]) -> None:
    found = match(recipe(name, *settings), "parameters", 100_000, task=MNIST)
    assert abs(found.parameters / 100_000 - 1) <= 0.03
    assert found.parameters == count(found.recipe, MNIST)["parameters"]


def test_the_search_goes_up_as_it_goes_down_and_counts_rise_with_the_budget() -> None:
    found = [match(recipe("separable-small"), "macs", value, task=MNIST) for value in (2e6, 8e6, 32e6)]
    assert all(small.macs < large.macs and small.parameters < large.parameters for small, large in pairwise(found))
    assert all(abs(m.deviation) <= 0.03 for m in found)


def test_a_second_scale_fills_the_steps_of_the_first() -> None:
    """One more channel of resnet20's first stage is a sixteenth more width, and an eighth more parameters."""
    before = {w: count(recipe("resnet20", f"architecture.width={w}"), MNIST)["parameters"] for w in (16, 17)}
    budget = sum(before.values()) / 2
    assert min(abs(n / budget - 1) for n in before.values()) > 0.03
    found = match(recipe("resnet20"), "parameters", budget, task=MNIST)
    assert abs(found.deviation) <= 0.03 and "expansion" in found.changed


def test_a_recipe_that_meets_the_budget_stays_as_it_is(tiny: Callable[..., Any]) -> None:
    asked = tiny()
    counted = count(asked)
    found = match(asked, "parameters", counted["parameters"], tolerance=0.0)
    assert found.changed == {} and found.recipe == asked and found.deviation == 0.0


def test_what_cannot_be_met_is_refused_with_the_nearest_and_what_to_do() -> None:
    with pytest.raises(ZooError, match=r"cannot have 30 parameters within 3\.0% by its hidden") as caught:
        match(recipe("row-lstm"), "parameters", 30, task=MNIST)
    # One unit: 4 (28 + 1 + 2) and 2 · 10.
    assert caught.value.possible == "144 parameters, +380.0%, with hidden 1"
    assert caught.value.hint == "--budget parameters=144, or other settings of row-lstm"
    assert match(recipe("row-lstm"), "parameters", 144, task=MNIST).deviation == 0.0


def test_an_architecture_without_scales_is_refused() -> None:
    with pytest.raises(ComponentError, match="architecture 'linear' names no parameters that make it larger"):
        match(recipe("linear"), "macs", 1e6, task=MNIST)


@pytest.mark.parametrize(("value", "tolerance"), [(0, 0.03), (float("inf"), 0.03), (100, -0.1), (100, 1.0)])
def test_budgets_that_are_none_are_refused(value: float, tolerance: float) -> None:
    with pytest.raises(ZooError, match="a budget must be above 0 and its tolerance from 0 to 1"):
        match(recipe("row-lstm"), "macs", value, tolerance=tolerance, task=MNIST)


class Bounded(Params, frozen=True, kw_only=True):
    """Scales with bounds of every sort."""

    whole: Annotated[int, Meta(ge=4, le=12)] = 8
    real: Annotated[float, Meta(gt=0.5, lt=2)] = 1.0
    name: str = "text"


def bounded(*names: str) -> Component[Any]:
    spec = ArchitectureSpec(
        name="net", factory="a:b", summary="a net", params=Bounded, family="cnn", embeddings=False, scales=names
    )
    return Component(spec, "acme/net", Bounded(), Provenance("acme", "acme", "1"))


def test_scales_have_the_bounds_of_their_schema() -> None:
    whole, real = scales(bounded("whole", "real"))
    assert (whole.low, whole.high, whole.start, whole.value(5)) == (4, 12, 8, 5)
    assert (real.low, real.high, real.start, real.value(151)) == (51, 199, 100, 1.51)
    (hidden,) = scales(component("row-lstm", hidden=10))
    assert (hidden.low, hidden.start) == (1, 10) and hidden.high > 10_000
    with pytest.raises(ComponentError, match="scale 'name' must be a whole or a real number, got 'text' instead"):
        scales(bounded("name"))


def test_seconds_of_processor_time_become_steps(tiny: Callable[..., Any]) -> None:
    found = steps_of_seconds(tiny(), 5.0, measured_steps=3)
    assert found.cpu_seconds_per_step > 0
    assert found.steps == int(5.0 / found.cpu_seconds_per_step) >= 1
    assert found.measured_on["threads"] == 1 and found.measured_on["processor"]
    assert steps_of_seconds(tiny(), 1e-9, measured_steps=1).steps == 1
    with pytest.raises(ZooError, match="a budget of 0 seconds cannot be measured by 10 steps"):
        steps_of_seconds(tiny(), 0.0)
