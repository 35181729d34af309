from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fixtures.simulations import PLAN, by_hand, drawn
from scipy import stats

from zoo.active.analysis import analyse
from zoo.active.compared import compared
from zoo.active.curves import Curve
from zoo.active.differences import declared, pairs, penalties, runs
from zoo.active.reaching import savings, targets
from zoo.comparison.crossed import accuracy, interval
from zoo.comparison.paired import holm, sign_flip
from zoo.errors import StatisticsError

Row = dict[str, Any]
SHORT = {"strategies": ["random", "entropy"], "targets": [0.5, 0.25, 0.1]}
# Of four items: random 25 %, 50 %, 50 %, 75 %; entropy 25 %, 75 %, 75 %, 100 %.
RANDOM = [[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 1, 0]]
ENTROPY = [[1, 0, 0, 0], [1, 1, 1, 0], [1, 1, 0, 1], [1, 1, 1, 1]]
COUNTS = [10, 20, 30, 40]


@pytest.fixture(scope="module")
def curves() -> list[Curve]:
    return drawn()


@pytest.fixture(scope="module")
def analysis(curves: list[Curve]) -> Row:
    return analyse(PLAN, curves)


def two(seeds: int = 1) -> list[Curve]:
    """Return random and entropy as above, all seeds alike."""
    tables = {"random": RANDOM, "entropy": ENTROPY}
    return [by_hand(name, seed, COUNTS, table) for name, table in tables.items() for seed in range(seeds)]


def texts(analysis: Row, about: str = "note") -> str:
    return " ".join(row["text"] for row in analysis["verdicts"] if row["about"] == about)


def test_the_analysis_is_json_and_repeats(analysis: Row, curves: list[Curve]) -> None:
    told = json.dumps(analysis, allow_nan=False)
    assert json.loads(told) == json.loads(json.dumps(analyse(PLAN, curves[::-1])))


def test_areas_are_those_counted_by_hand() -> None:
    random, entropy = analyse(SHORT, two())["strategies"]
    # 10 × (0.375 + 0.5 + 0.625) / 30 and 10 × (0.5 + 0.75 + 0.875) / 30
    assert random["area"]["mean"] == pytest.approx(0.5)
    assert entropy["area"]["mean"] == entropy["seeds"][0]["area"] == pytest.approx(21.25 / 30)
    assert entropy["final"] == {"answers": 40, "mean": 1.0, "interval": entropy["final"]["interval"]}


def test_answers_to_targets_are_those_counted_by_hand() -> None:
    random, entropy = targets(compared(SHORT, two()), SHORT["targets"])
    assert [each["text"] for each in random["reached"]] == ["20", "40", "> 40"]
    assert [each["answers"] for each in random["reached"]] == [20, 40, None]
    assert [each["text"] for each in entropy["reached"]] == ["20", "20", "40"]
    assert entropy["reached"][2]["seeds"] == [{"seed": 0, "answers": 40, "text": "40"}]


def test_smoothing_takes_the_mean_of_the_last_rounds() -> None:
    found = compared(SHORT, two())
    _, entropy = targets(found, [0.25], smooth=2)  # errors 75, 25, 25, 0 %; means of two: 75, 50, 25, 12.5 %
    assert entropy["reached"][0]["answers"] == 30


def test_a_stopped_seed_keeps_its_last_error_in_the_mean_that_is_held_against_targets() -> None:
    early = by_hand("entropy", 1, COUNTS[:2], ENTROPY[:2])  # errors 75, 25 %
    stopped = replace(early, rounds=(*early.rounds[:1], {**early.rounds[1], "stop": "plateau"}))
    whole = by_hand("entropy", 0, COUNTS, ENTROPY)  # errors 75, 25, 25, 0 %: with 25 held, means of 75, 25, 25, 12.5 %
    (row,) = targets(compared(SHORT, [whole, stopped]), [0.13, 0.12])
    assert [each["text"] for each in row["reached"]] == ["40", "> 40"]
    assert "a simulation that was stopped keeps its last one" in texts(analyse(SHORT, [whole, stopped]))
    # One that goes on may still fall: nothing is said beyond its last round.
    (row,) = targets(compared(SHORT, [whole, replace(stopped, finished=False)]), [0.13])
    assert row["reached"][0]["text"] == "> 20"
    assert "keeps its last one" not in texts(analyse(SHORT, [whole, early]))


def test_label_savings_are_those_counted_by_hand() -> None:
    (row,) = savings(compared(SHORT, two()), SHORT["targets"])
    half, quarter, tenth = row["targets"]
    # 50 %: random at 20, entropy half-way from 25 to 75 %; 75 %: random at 40, entropy at 20.
    assert (half["random"], half["answers"], half["factor"]) == pytest.approx((20, 15, 20 / 15))
    assert (quarter["random"], quarter["answers"], quarter["factor"]) == pytest.approx((40, 20, 2))
    assert row["final"]["factor"] == pytest.approx(2)
    # 90 % is 60 % of the way from 75 to 100 %; random never has it with 40 answers.
    assert (tenth["random"], tenth["answers"], tenth["factor"]) == (None, pytest.approx(36), None)
    assert (tenth["random_text"], tenth["text"], tenth["factor_text"]) == ("> 40", "36", "> 1.11")
    assert [each["accuracy"] for each in row["levels"]] == pytest.approx(np.linspace(0.25, 0.75, 10)[1:])


def test_a_strategy_that_never_gets_there_is_told_and_not_dropped() -> None:
    swapped = [by_hand("entropy" if c.strategy == "random" else "random", 0, COUNTS, c.correct) for c in two()]
    analysis = analyse(SHORT, swapped)
    (row,) = analysis["savings"]
    assert (row["final"]["answers"], row["final"]["text"], row["final"]["factor_text"]) == (None, "> 40", "< 1.00")
    assert savings(compared(SHORT, swapped), [0.0])[0]["targets"][0]["factor_text"] == "< 1.00"
    assert "entropy does not reach random's accuracy at 40 answers, 100.00 %, with 40 answers." in texts(
        analysis, "saving"
    )
    neither = savings(compared(SHORT, [by_hand(n, 0, COUNTS, RANDOM) for n in ("random", "entropy")]), [0.0])
    assert neither[0]["targets"][0]["factor_text"] == "not reached"


def test_the_penalty_matrix_counts_rounds_that_a_paired_t_test_finds() -> None:
    steps = {
        "random": [[1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0]],
        "entropy": [[1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0]],
    }
    made = [by_hand(name, seed, [10, 20, 30], table) for name, table in steps.items() for seed in (0, 1)]
    # At 20 the second seed of entropy gains nothing: differences 1/6 and 0, t = 1 of one degree, below 6.31. At 30 both gain 2/6.
    made[3] = by_hand("entropy", 1, [10, 20, 30], [steps["entropy"][0], steps["random"][1], steps["entropy"][2]])
    found = penalties(compared({}, made))
    assert found["strategies"] == ["random", "entropy"]
    assert found["matrix"] == [[None, 0.0], [0.5, None]]
    assert (found["better"], found["worse"]) == ([0.0, 0.5], [0.5, 0.0])


def test_the_penalty_matrix_agrees_with_a_paired_t_test_of_scipy(analysis: Row) -> None:
    rows = {row["name"]: np.array([seed["values"] for seed in row["seeds"]])[:, 1:] for row in analysis["strategies"]}
    p = stats.ttest_rel(rows["entropy"], rows["random"], alternative="greater").pvalue
    matrix = analysis["penalties"]["matrix"]
    assert matrix[1][0] == pytest.approx((p < 0.05).mean())
    assert matrix[1][0] > 0 == matrix[0][1]


def test_pairs_have_the_interval_over_seeds_and_items_of_their_areas(analysis: Row, curves: list[Curve]) -> None:
    weights = np.array([10, *[20] * 10, 10]) / 220
    tables = {
        name: np.stack([weights @ curve.correct for curve in curves if curve.strategy == name])
        for name in ("entropy", "random")
    }
    expected = interval(tables["entropy"] - tables["random"])
    row = analysis["pairs"][0]
    assert row["difference"]["low"] == pytest.approx(expected.low)
    assert row["difference"]["p"] == pytest.approx(expected.p)
    assert row["by_seed"] == pytest.approx((tables["entropy"] - tables["random"]).mean(axis=1))
    assert row["sign_flip"]["p"] == sign_flip(row["by_seed"]).p
    area = next(each for each in analysis["strategies"] if each["name"] == "entropy")["area"]
    assert area["mean"] == pytest.approx(tables["entropy"].mean())
    assert area["interval"]["low"] == pytest.approx(accuracy(tables["entropy"]).low)


def test_declared_pairs_are_corrected_by_holm_and_the_others_have_no_p(analysis: Row) -> None:
    first, others = analysis["pairs"][:3], analysis["pairs"][3:]
    assert [row["p_holm"] for row in first] == pytest.approx(holm([row["difference"]["p"] for row in first]))
    assert [row["smallest_holm"] for row in first] == PLAN["smallest"]
    assert {(row["a"], row["b"]) for row in others} == {
        ("entropy", "bald"), ("entropy", "coreset"), ("bald", "coreset"),
    }  # fmt: skip
    assert all(row["p_holm"] is row["difference"]["p"] is row["sign_flip"] is None for row in others)


def test_verdicts_say_what_is_shown_and_what_is_not(analysis: Row) -> None:
    said = [row["text"] for row in analysis["verdicts"] if row["about"] == "pair"]
    assert said[0].startswith("entropy is ahead of random by ")
    assert "points of mean accuracy over 20 to 240 answers (95 % interval" in said[0]
    assert said[2].startswith("No difference between coreset and random is shown over 20 to 240 answers (difference −")
    assert said[2].endswith("points would have been found with a power of 80 %.")
    assert "a sign-flip test cannot go below 0.094 after Holm" in texts(analysis)


def test_where_none_is_declared_each_strategy_stands_against_random(curves: list[Curve]) -> None:
    found = compared({}, curves)
    assert declared({}, found) == [("entropy", "random"), ("bald", "random"), ("coreset", "random")]
    row = pairs(found, declared({}, found))[0]
    assert row["smallest_holm"] == pytest.approx(3 * 2 / 64)
    assert "No pair was declared beforehand" in texts(analyse({}, curves))


def test_a_declared_pair_that_is_missing_counts_among_the_comparisons(curves: list[Curve]) -> None:
    plan = {
        **PLAN,
        "strategies": [*PLAN["strategies"], "badge"],
        "primary": [["entropy", "random"], ["badge", "random"]],
    }
    analysis = analyse(plan, curves)
    first, missing = analysis["pairs"][:2]
    assert first["p_holm"] == pytest.approx(2 * first["difference"]["p"])
    assert (missing["difference"], missing["p_holm"]) == (None, 1.0)
    assert "Nothing can be said of badge against random: badge has no simulation to compare." in texts(analysis, "pair")
    assert "Without a simulation to compare: badge." in texts(analysis)


def test_where_learning_actively_does_not_help_is_told_by_answers(analysis: Row) -> None:
    by_name = {row["strategy"]: row for row in analysis["against_random"]}
    assert by_name["entropy"]["area"]["outcome"] == "better"
    assert by_name["coreset"]["area"]["outcome"] == "open"
    assert [row["answers"] for row in by_name["bald"]["rounds"]] == [20.0 * k for k in range(2, 13)]
    for row in by_name["bald"]["rounds"]:
        assert row["outcome"] == ("better" if row["low"] > 0 else "worse" if row["high"] < 0 else "open")
    assert by_name["coreset"]["open"]
    assert f"no gain of coreset over random is shown at {by_name['coreset']['open']} answers" in texts(
        analysis, "helps"
    )


def test_counts_that_follow_each_other_are_told_as_a_range() -> None:
    assert runs([20, 40, 60, 80, 1000], [True, True, False, False, True]) == "20–40, 1,000"
    assert runs([20, 40], [False, False]) == ""


def test_other_figures_are_followed_round_by_round(analysis: Row) -> None:
    figures = analysis["figures"]
    assert "mc_accuracy" in figures and "robustness" in figures and "gate_auroc" in figures
    assert figures["purity"]["random"]["mean"][0] == pytest.approx(0.6)
    assert figures["purity"]["random"]["answers"] == [20.0 * k for k in range(1, 12)]  # nothing is asked last
    assert figures["repeats"]["entropy"]["overall"] == pytest.approx(0.1)
    assert set(figures["loss"]["bald"]["seeds"]) == {6}


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_few_seeds_are_defined_and_told(seeds: int) -> None:
    analysis = analyse(PLAN, drawn(seeds=seeds))
    json.dumps(analysis, allow_nan=False)
    assert f"A sign-flip test needs 6 paired seeds, and there are {seeds}." in texts(analysis)
    assert "cannot reach p = 0.05" in analysis["pairs"][0]["sign_flip"]["missing"]
    scope = "These simulations of one seed only" if seeds == 1 else f"Of {seeds} seeds, whose spread is hardly known"
    assert texts(analysis, "pair").startswith(scope)
    assert (analysis["strategies"][0]["band"] is None) == (seeds == 1)


def test_one_strategy_alone_has_its_curve_and_says_that_random_is_missing() -> None:
    analysis = analyse({"strategies": ["entropy"], "targets": [0.2]}, drawn(["entropy"]))
    assert analysis["pairs"] == analysis["savings"] == analysis["against_random"] == []
    assert analysis["penalties"]["matrix"] == [[None]]
    assert analysis["targets"][0]["reached"][0]["answers"]
    assert "Random was not simulated" in texts(analysis)


def test_equal_curves_show_no_difference() -> None:
    same = [by_hand(name, seed, COUNTS, RANDOM) for name in ("random", "entropy") for seed in range(6)]
    analysis = analyse(SHORT, same)
    row = analysis["pairs"][0]
    assert (row["difference"]["estimate"], row["p_holm"], row["sign_flip"]["p"]) == (0, 1, 1)
    assert "No difference between entropy and random is shown" in texts(analysis, "pair")
    assert analysis["penalties"]["matrix"] == [[None, 0.0], [0.0, None]]
    assert analysis["savings"][0]["final"]["factor"] == 1


def test_unfinished_simulations_are_compared_on_what_all_have(curves: list[Curve]) -> None:
    cut = [
        Curve(c.strategy, c.seed, c.rounds[:5], c.correct[:5], finished=False)
        if (c.strategy, c.seed) == ("bald", 2)
        else c
        for c in curves
    ]
    analysis = analyse(PLAN, cut)
    bald = next(row for row in analysis["strategies"] if row["name"] == "bald")
    assert analysis["range"] == [20, 100]
    assert bald["answers"] == [20, 40, 60, 80, 100]
    assert [row["seeds"] for row in bald["counts"]] == [6] * 5 + [5] * 7
    assert "Not finished: bald with seed 2 (100 answers)." in texts(analysis)
    assert "which all simulations reach, and not up to 240: the shortest is bald with seed 2 (100 answers)." in texts(
        analysis
    )


def test_seeds_that_are_not_there_are_told(curves: list[Curve]) -> None:
    fewer = [c for c in curves if (c.strategy, c.seed) not in {("bald", 5), ("bald", 0), ("random", 5)}]
    assert "Of 6 seeds that were planned random has 5, bald has 4." in texts(analyse(PLAN, fewer))
    assert "that were planned" not in texts(analyse(PLAN, curves))


def test_a_pair_is_compared_on_what_its_own_two_have(curves: list[Curve], analysis: Row) -> None:
    short = [
        replace(c, rounds=c.rounds[:2], correct=c.correct[:2], finished=False) if c.strategy == "bald" else c
        for c in curves
    ]
    cut = analyse(PLAN, short)
    assert cut["range"] == [20, 40]
    for before, after in zip(analysis["pairs"], cut["pairs"], strict=True):
        assert before["range"] == [20, 240]
        if "bald" in (after["a"], after["b"]):
            assert after["range"] == [20, 40]
        else:
            assert (after["difference"], after["range"]) == (before["difference"], before["range"])


def test_savings_hold_what_a_rule_has_stopped_and_name_the_answers_they_are_about() -> None:
    """A seed of random that was stopped at once would else cut the mean to the first rounds, and with it what is saved."""
    stopped = by_hand("random", 1, COUNTS[:2], RANDOM[:2], stop="enough")
    curves = [*two(), stopped, by_hand("entropy", 1, COUNTS, ENTROPY)]
    (row,) = savings(compared(SHORT, curves), [])
    # Random ends at the mean of 75 and 50 %, which entropy has three quarters of the way from 25 to 75 %.
    assert (row["random_last"], row["final"]["accuracy"]) == (40, pytest.approx(0.625))
    assert (row["final"]["random"], row["final"]["answers"]) == (40, pytest.approx(17.5))
    assert "reaches random's accuracy at 40 answers, 62.50 %, with 18 answers" in texts(
        analyse(SHORT, curves), "saving"
    )


def test_what_was_reached_before_anything_was_asked_has_no_saving_factor() -> None:
    falling = [by_hand("random", 0, COUNTS, RANDOM[::-1]), by_hand("entropy", 0, COUNTS, ENTROPY)]
    analysis = analyse(SHORT, falling)
    (row,) = analysis["savings"]
    assert (row["final"]["random"], row["final"]["factor"], row["final"]["factor_text"]) == (10, None, "–")
    assert "was reached before anything was asked: what entropy saves cannot be told." in texts(analysis, "saving")


def test_better_everywhere_names_the_numbers_of_answers() -> None:
    first, few, most = [0] * 40, [1] * 4 + [0] * 36, [1] * 36 + [0] * 4
    wins = [by_hand(n, s, COUNTS[:2], [first, t]) for n, t in (("random", few), ("entropy", most)) for s in range(6)]
    assert texts(analyse(SHORT, wins), "helps") == (
        "entropy is better than random at all numbers of answers after the initial set: 20."
    )


def test_an_unfinished_simulation_of_one_round_leaves_figures_at_that_count(curves: list[Curve]) -> None:
    begun = [*curves[:6], Curve("entropy", 0, curves[6].rounds[:1], curves[6].correct[:1])]
    analysis = analyse(PLAN, begun)
    assert analysis["range"] == [20, 20]
    assert analysis["against_random"][0]["rounds"] == []
    assert "has no round in common with random" in texts(analysis, "helps")
    (row, *_) = [row for row in analysis["pairs"] if row["a"] == "entropy"]
    assert (row["difference"], row["missing"]) == (None, "they share no round after the initial set")
    assert "Nothing can be said of entropy against random: they share no round after the initial set." in texts(
        analysis, "pair"
    )
    json.dumps(analysis, allow_nan=False)


def test_simulations_that_share_no_range_have_curves_but_no_areas() -> None:
    apart = [by_hand("random", 0, [10, 20], RANDOM[:2]), by_hand("entropy", 0, [30, 40], RANDOM[:2])]
    analysis = analyse(SHORT, apart)
    assert analysis["range"] is None
    assert all(row["area"] is None and row["mean"] for row in analysis["strategies"])
    assert "their simulations share no range of answers" in texts(analysis, "pair")


def test_a_metric_whose_answers_are_not_known_item_by_item_has_no_interval(curves: list[Curve]) -> None:
    analysis = analyse({**PLAN, "metric": "mc_accuracy"}, curves)
    assert not analysis["judged"]
    assert all(row["area"]["interval"] is row["final"]["interval"] is None for row in analysis["strategies"])
    assert "are of the accuracy without them" in texts(analysis)
    assert "mc_accuracy" not in analysis["figures"]


@pytest.mark.parametrize(
    ("curves", "problem"),
    [
        ([], "no simulation has finished a round yet"),
        ([by_hand("a", 0, [10], [[1, 0]])] * 2, "a with seed 0 was simulated twice"),
        ([by_hand("a", 0, [10], [[1, 0]]), by_hand("b", 0, [10], [[1, 0, 1]])], "the same two or more test items"),
        ([by_hand("a", 0, [10, 10], [[1, 0], [1, 0]])], "must grow from round to round"),
    ],
)
def test_curves_that_cannot_be_compared_are_refused(curves: list[Curve], problem: str) -> None:
    with pytest.raises(StatisticsError, match=problem):
        analyse({}, curves)


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(StatisticsError, match="accuracy, mc_accuracy"):
        analyse({"metric": "recall"}, two())
