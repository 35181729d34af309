from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score

from zoo.active.stopping import Gain, Labels, Plateau, Rule, Seen, Stable, kappa, parse
from zoo.errors import ComponentError, UnknownNameError, ZooError


def classes(text: str) -> NDArray[np.int64]:
    """Return one class for each digit."""
    return np.array([int(digit) for digit in text], dtype=np.int64)


def validated(*accuracies: float, start: int = 20, step: int = 20) -> list[Seen]:
    return [Seen(answers=start + step * i, validation=accuracy) for i, accuracy in enumerate(accuracies)]


def predicted(*rounds: str) -> list[Seen]:
    return [Seen(answers=20 + 20 * i, predictions=classes(text)) for i, text in enumerate(rounds)]


def on_curve(slope: float, labels: Sequence[int]) -> list[Seen]:
    """Return rounds whose accuracy rises by `slope` with each ln label."""
    return [Seen(answers=n, validation=0.2 + slope * math.log(n)) for n in labels]


@pytest.mark.parametrize(
    ("text", "rule", "needs"),
    [
        ("labels=500", Labels(500), set()),
        ("plateau", Plateau(5), {"validation"}),
        ("plateau=3", Plateau(3), {"validation"}),
        ("stable", Stable(0.99), {"predictions"}),
        ("stable=.95", Stable(0.95), {"predictions"}),
        (" gain=0.5 ", Gain(0.5), {"validation"}),
    ],
)
def test_a_rule_is_what_its_text_says(text: str, rule: Rule, needs: set[str]) -> None:
    assert parse(text) == rule and parse(text).needs == needs


@pytest.mark.parametrize("rule", ["labels=500", "plateau", "stable", "gain=1"])
def test_no_rule_stops_before_the_first_round(rule: str) -> None:
    assert parse(rule).reason([]) is None


def test_what_a_rule_watches_is_told_from_the_first_round_that_has_it() -> None:
    accuracies = validated(0.5, 0.6, 0.6, 0.55)
    assert [parse("plateau").watched(accuracies[:n]) for n in range(5)] == [None, 0, 0, 1, 2]
    assert [parse("labels=9").watched(accuracies[:n]) for n in range(5)] == [None, 20, 40, 60, 80]
    rounds = predicted("0000011111", "0000111100", "0000111100", "0000111100")  # kappas 0.4, 1 and 1
    assert [parse("stable").watched(rounds[:n]) for n in (0, 3)] == [None, None]
    assert parse("stable").watched(rounds) == pytest.approx(0.8)
    curve = on_curve(0.1, [60, 80, 100, 120, 140])
    assert parse("gain=1").watched(curve[:4]) is None
    assert parse("gain=1").watched(curve) == pytest.approx(10 * math.log(240 / 140))


@pytest.mark.parametrize(
    "text",
    ["labels", "labels=", "labels=0", "labels=1.5", "labels=many", "plateau=0", "plateau=", "plateau=-1", "stable=0",
     "stable=1.1", "stable=nan", "stable=", "gain", "gain=0", "gain=-1", "gain=inf", "gain=a=b"],
)  # fmt: skip
def test_numbers_that_are_missing_or_out_of_range_are_refused_with_what_is_possible(text: str) -> None:
    name = text.partition("=")[0]
    with pytest.raises(
        ZooError, match=rf"stopping rule '{text}' is not understood\n  possible: {name}.*\n  try: {name}="
    ):
        parse(text)


@pytest.mark.parametrize(("text", "near"), [("platau=5", "plateau"), ("label=500", "labels"), ("stabel", "stable")])
def test_an_unknown_rule_is_told_its_like(text: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match=rf"unknown stopping rule '\w+'\n  possible: did you mean '{near}'\?"):
        parse(text)
    with pytest.raises(UnknownNameError, match="possible: gain, labels, plateau, stable\n  try: plateau=5"):
        parse("=7")


def test_every_suggestion_is_a_rule() -> None:
    for name in ("labels=x", "plateau=x", "stable=x", "gain=x", "x"):
        with pytest.raises(ZooError) as caught:
            parse(name)
        assert isinstance(parse(str(caught.value).rpartition("try: ")[2]), Rule)


def test_the_budget_is_spent_at_so_many_labels() -> None:
    rule = parse("labels=60")
    assert rule.reason([Seen(answers=40), Seen(answers=59)]) is None
    assert rule.reason([Seen(answers=60)]) == "there are 60 answers, and 60 were to be asked for"
    assert rule.reason([Seen(answers=40), Seen(answers=70)]) == "there are 70 answers, and 60 were to be asked for"


def test_a_plateau_is_so_many_rounds_without_a_better_one() -> None:
    rule = parse("plateau=2")
    assert rule.reason(validated(0.5)) is None
    assert rule.reason(validated(0.5, 0.4)) is None
    assert rule.reason(validated(0.5, 0.4, 0.45)) == (
        "validation accuracy has not risen for 2 rounds: 50.00% at 20 answers is the best"
    )
    assert rule.reason(validated(0.5, 0.4, 0.6, 0.55)) is None
    assert "60.00% at 60 answers" in str(rule.reason(validated(0.5, 0.4, 0.6, 0.55, 0.59)))


def test_a_round_as_good_as_the_best_is_no_better() -> None:
    assert parse("plateau=2").reason(validated(0.5, 0.5)) is None
    assert "50.00% at 20 answers" in str(parse("plateau=2").reason(validated(0.5, 0.5, 0.5)))


def test_kappa_is_agreement_beyond_chance() -> None:
    # seven of ten agree; by chance 0.5 · 0.6 + 0.5 · 0.4 = 0.5
    assert kappa(classes("0000011111"), classes("0000111100")) == pytest.approx((0.7 - 0.5) / 0.5)
    assert kappa(classes("0011"), classes("1100")) == -1
    assert kappa(classes("0101"), classes("0011")) == 0
    assert kappa(classes("0123"), classes("0123")) == 1


def test_kappa_of_one_class_is_full_agreement_and_of_two_single_classes_none() -> None:
    assert kappa(classes("222"), classes("222")) == 1
    assert kappa(classes("222"), classes("000")) == 0
    assert kappa(classes("222"), classes("202")) == 0


@pytest.mark.parametrize("seed", range(4))
def test_kappa_is_that_of_scikit_learn(seed: int) -> None:
    a, b = (np.random.default_rng((seed, side)).integers(0, 5, 60) for side in (0, 1))
    b[:40] = a[:40]
    assert kappa(a, b) == pytest.approx(cohen_kappa_score(a, b), abs=1e-12)


def test_predictions_are_stable_when_the_last_three_pairs_of_rounds_agree() -> None:
    rule, same = parse("stable"), "0123012301"
    assert rule.reason(predicted(same, same, same)) is None
    assert rule.reason(predicted(same, same, same, same)) == (
        "predictions on 10 samples of the stop set are stable: mean kappa 1.0000 over the last 3 pairs of rounds, at least 0.99"
    )
    assert rule.reason(predicted("0000000000", same, same, same)) is None
    assert rule.reason(predicted("0000000000", same, same, same, same)) is not None


def test_the_mean_kappa_decides_and_may_equal_the_threshold() -> None:
    rounds = ["0000011111", "0000111100", "0000111100", "0000111100"]  # kappas 0.4, 1 and 1
    mean = sum(kappa(classes(a), classes(b)) for a, b in pairwise(rounds)) / 3
    assert mean == pytest.approx(0.8)
    assert "mean kappa 0.8000" in str(Stable(0.8).reason(predicted(*rounds)))
    assert Stable(0.81).reason(predicted(*rounds)) is None


def test_a_model_that_predicts_one_class_alone_is_stable() -> None:
    assert "mean kappa 1.0000" in str(parse("stable").reason(predicted("111", "111", "111", "111")))


def test_a_stop_set_that_changes_or_is_empty_is_refused() -> None:
    with pytest.raises(ComponentError, match="same samples in every round, at least one, got 3 and 4 instead"):
        parse("stable").reason(predicted("012", "012", "012", "0123"))
    with pytest.raises(ComponentError, match="got 0 and 0 instead"):
        parse("stable").reason(predicted("", "", "", ""))


def test_the_gain_of_100_labels_is_the_slope_times_their_logarithm() -> None:
    curve = on_curve(0.1, [60, 80, 100, 120, 140])
    points = 10 * math.log(240 / 140)  # 5.39
    assert Gain(points - 0.01).reason(curve) is None
    assert Gain(points + 0.01).reason(curve) == (
        "100 answers more than 140 promise 5.39 percentage points of validation accuracy by the slope of the last 5 rounds, "
        f"fewer than {points + 0.01:g}"
    )


def test_the_gain_is_measured_over_the_last_five_rounds_that_had_labels() -> None:
    rule, steep = parse("gain=0.1"), on_curve(0.2, [10, 20, 40])
    flat = [Seen(answers=n, validation=0.99) for n in (100, 120, 140, 160, 180)]
    assert rule.reason(flat[1:]) is None
    assert "promise 0.00 percentage points" in str(rule.reason(flat))
    assert rule.reason([*steep, *flat]) == rule.reason(flat)
    assert rule.reason([*steep, *flat[:2]]) is None
    assert rule.reason([Seen(answers=0, validation=0.1), *flat[1:]]) is None


def test_one_odd_round_does_not_move_the_slope() -> None:
    curve = on_curve(0.1, [60, 80, 100, 120, 140])
    odd = [*curve[:2], Seen(answers=100, validation=0.0), *curve[3:]]
    assert Gain(5.38).reason(odd) is None and Gain(5.41).reason(odd) is not None


def test_rounds_of_equally_many_labels_have_no_slope() -> None:
    assert parse("gain=50").reason([Seen(answers=50, validation=0.1 * i) for i in range(6)]) is None


def test_falling_accuracy_promises_less_than_nothing() -> None:
    assert "promise -5.39 percentage points" in str(parse("gain=0.1").reason(on_curve(-0.1, [60, 80, 100, 120, 140])))


@pytest.mark.parametrize("text", ["plateau", "gain=1"])
@pytest.mark.parametrize("missing", [None, math.nan])
def test_a_round_without_validation_is_refused(text: str, missing: float | None) -> None:
    with pytest.raises(ComponentError, match="1 of 2 rounds have no validation accuracy"):
        parse(text).reason([*validated(0.5), Seen(answers=40, validation=missing)])


def test_a_round_without_predictions_is_refused() -> None:
    with pytest.raises(ComponentError, match="the round of 100 answers has no predictions on the stop set"):
        parse("stable").reason([*predicted("01", "01", "01", "01"), Seen(answers=100)])
