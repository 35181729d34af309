from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from zoo.errors import ZooError
from zoo.training.experiment import build
from zoo.training.lr_find import Sweep, _losses, average, rate_setting, suggest, sweep
from zoo.training.randomness import stream

Tiny = Callable[..., zoo.Recipe]


def geometric(low: float, high: float, count: int) -> list[float]:
    return [float(value) for value in np.geomspace(low, high, count)]


def test_the_average_starts_without_a_pull_towards_nought() -> None:
    """At 0.8 the sums are 0.2, 0.56, 1.048 for losses 1, 2, 3, and their weights 0.2, 0.36, 0.488."""
    assert average([1, 2, 3]) == pytest.approx([1, 0.56 / 0.36, 1.048 / 0.488])
    assert average([7.0] * 30) == pytest.approx([7.0] * 30)


def test_the_steepest_descent_of_a_known_curve_is_found() -> None:
    """A logistic step down at 1e-3, which is its steepest point, then a rise whose minimum is at 1e-1."""
    rates = geometric(1e-6, 1, 121)
    curve = [
        2 / (1 + (rate / 1e-3) ** 2) + max(0.0, math.log10(rate) + 1) - 0.01 * min(0.0, math.log10(rate) + 1)
        for rate in rates
    ]
    steepest, tenth = suggest(rates, curve)
    assert steepest == pytest.approx(1e-3, rel=0.13)  # to the next of twenty points a decade
    assert tenth == pytest.approx(1e-2, rel=0.13)


def test_a_loss_that_only_rises_suggests_nothing() -> None:
    assert suggest(geometric(1e-6, 1, 30), [float(i) for i in range(30)]) == (None, None)


def test_a_fall_after_the_minimum_counts_for_nothing() -> None:
    rates = geometric(1e-6, 1, 40)
    curve = [2 - 0.05 * i for i in range(20)] + [9.0] * 10 + [3.0] * 10
    steepest, tenth = suggest(rates, curve)
    assert steepest is not None and steepest < rates[20]
    assert tenth == pytest.approx(rates[19] / 10)


def test_a_steeper_fall_at_rates_that_are_too_high_counts_for_nothing() -> None:
    """The loss falls from 2 to 1.2, rises to 1.6, and falls at once to its minimum of 1."""
    rates = geometric(1e-6, 1, 40)
    curve = [2.0] * 10 + [2 - 0.08 * i for i in range(1, 11)] + [1.2 + 0.08 * i for i in range(6)] + [1.0] * 14
    steepest, tenth = suggest(rates, curve)
    assert steepest is not None and rates[9] <= steepest <= rates[19]
    assert tenth == pytest.approx(rates[19] / 10)


def test_rates_rise_geometrically_over_as_many_epochs_as_it_takes(tiny: Tiny, tmp_path: Path) -> None:
    before = torch.default_generator.get_state()
    found = sweep(tiny(), lowest=1e-5, highest=1e-1, steps=17, device="cpu")
    assert found.rates == pytest.approx(geometric(1e-5, 1e-1, 17))
    assert len(found.losses) == len(found.smoothed) == 17  # an epoch has five batches
    assert found.smoothed == pytest.approx(average(found.losses))
    assert found.ended == "highest rate" and found.setting == "optimizer.lr" and found.current == 0.5
    assert sweep(tiny(), lowest=1e-5, highest=1e-1, steps=17, device="cpu") == found
    assert torch.equal(torch.default_generator.get_state(), before)
    assert list(tmp_path.iterdir()) == []


def test_losses_are_those_of_training_whose_schedule_and_rate_play_no_part(tiny: Tiny) -> None:
    """At a rate of nearly nought the first epoch's losses are those of the untrained network on its batches."""
    still = sweep(tiny("augmentation=null", "regularizers=[]"), lowest=1e-12, highest=1e-11, steps=10, device="cpu")
    x = build(tiny("augmentation=null", "regularizers=[]"), device="cpu")
    with torch.no_grad(), stream(0, "forward", 0):
        expected = [
            float(torch.nn.functional.cross_entropy(x.network(x.preprocess.evaluate(batch.images)), batch.labels))
            for batch in x.train.training(0, 0)
        ]
    assert still.losses[:5] == pytest.approx(expected, abs=1e-5)
    other = ("optimizer.lr=0.01", "schedule={name: cosine, warmup: 0.5}")
    assert sweep(tiny(*other), steps=20, device="cpu").losses == pytest.approx(
        sweep(tiny(), steps=20, device="cpu").losses, abs=1e-5
    )


def test_groups_keep_their_ratios_to_the_rate(tiny: Tiny) -> None:
    x = build(tiny(), device="cpu")
    first, second = x.optimizer.param_groups
    second["initial_lr"] = first["initial_lr"] / 4
    _losses(x, [0.1, 0.2])
    assert (first["lr"], second["lr"]) == pytest.approx((0.1, 0.025))  # twice a tenth of 0.5, and a quarter of it


def test_it_ends_where_the_loss_is_four_times_its_best(tiny: Tiny) -> None:
    found = sweep(tiny("optimizer=sgd"), lowest=1e-3, highest=1e3, steps=60, device="cpu")
    assert found.ended in ("diverged", "not finite") and len(found.rates) < 60
    if found.ended == "diverged":
        assert found.smoothed[-1] > 4 * min(found.smoothed) and found.smoothed[-2] <= 4 * min(found.smoothed)
    assert found.steepest is not None and found.rates[0] < found.steepest < found.rates[-1]


def test_a_loss_that_is_not_finite_ends_it(tiny: Tiny) -> None:
    losses, ended = _losses(build(tiny("optimizer=sgd"), device="cpu"), [1e-9] * 6 + [1e38, 1e-9])
    assert ended == "not finite" and len(losses) == 7
    assert all(math.isfinite(loss) for loss in losses)


def test_a_start_that_is_too_high_is_an_error_that_says_so(tiny: Tiny) -> None:
    with pytest.raises(ZooError, match=r"after \d steps, at a rate of [1-9.]+e\+10\n  try: --from 1e\+07"):
        sweep(tiny("optimizer=sgd"), lowest=1e10, highest=1e12, steps=20, device="cpu")


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"lowest": 1.0, "highest": 0.1}, r"rises from 1 to 0.1.*\n  try: --from 1e-06 --to 10"),
        ({"lowest": 0.0}, "must be above 0"),
        ({"highest": math.inf}, "rises from 1e-06 to inf"),
        ({"steps": 9}, "a curve wants 10 steps or more, got 9 instead"),
    ],
)
def test_bounds_that_do_not_rise_are_refused(bounds: dict[str, float], message: str, tiny: Tiny) -> None:
    with pytest.raises(ZooError, match=message):
        sweep(tiny(), **bounds)  # type: ignore[arg-type]  # some are integers


def test_the_setting_of_the_rate_may_be_that_of_a_base(tiny: Tiny) -> None:
    assert rate_setting(tiny().optimizer) == ("optimizer.lr", 0.5)
    sharp = tiny("optimizer={name: sam, base: {name: adamw, lr: 0.002}}")
    assert rate_setting(sharp.optimizer) == ("optimizer.base.lr", 0.002)
    found = sweep(sharp, lowest=1e-5, highest=1e-2, steps=10, device="cpu")
    assert (found.setting, found.current) == ("optimizer.base.lr", 0.002)


def test_neither_validation_nor_test_is_looked_at(tmp_path: Path) -> None:
    """Their files are damaged here, which whoever decodes them would hear."""
    for split, label in [(s, c) for s in ("train", "validation", "test") for c in ("dark", "light")]:
        folder = tmp_path / "photos" / split / label
        folder.mkdir(parents=True)
        for number in range(8):
            Image.new("RGB", (12, 12), (number, 200 * (label == "light"), 9)).save(folder / f"{number}.png")
            if split != "train":
                data = (folder / f"{number}.png").read_bytes()
                (folder / f"{number}.png").write_bytes(data[: len(data) // 2])
    recipe = zoo.resolve("conv-net-momentum", "training.batch_size=4", "data.workers=0", data=str(tmp_path / "photos"))
    found: Sweep = zoo.lr_find(recipe, steps=12, device="cpu")
    assert len(found.losses) >= 10
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
