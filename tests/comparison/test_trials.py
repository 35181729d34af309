from __future__ import annotations

import csv
import io
from itertools import combinations

import pytest

from zoo.comparison.trials import Trial, Tuning, as_csv, best_trial, expected_best, expected_of


def trial(number: int, value: float | None, state: str = "complete", loss: float = 1.0) -> Trial:
    return Trial(
        number=number, state=state, value=value, epoch=1, loss=loss, seconds=2.0,  # type: ignore[arg-type]
        parameters={"optimizer.lr": 0.1}, run=f"trials/{number}", reason="",
    )  # fmt: skip


def test_the_expected_best_of_k_is_the_mean_over_all_subsets_of_k() -> None:
    values = [0.3, 0.9, 0.5, 0.5, 0.7]
    for larger, best in ((True, max), (False, min)):
        expected = expected_best(values, larger=larger)
        for k in range(1, 6):
            subsets = list(combinations(values, k))
            assert expected[k - 1] == pytest.approx(sum(best(subset) for subset in subsets) / len(subsets))


def test_by_hand_the_best_of_two_of_three_is_the_top_twice_and_the_middle_once() -> None:
    assert expected_best([1.0, 2.0, 4.0]) == pytest.approx((7 / 3, (4 + 4 + 2) / 3, 4))


def test_a_failed_trial_counts_as_the_worst_and_one_that_runs_does_not_count() -> None:
    trials = [trial(0, 0.8), trial(1, None, "failed"), trial(2, 0.4, "pruned"), trial(3, None, "running")]
    assert expected_of(trials, "validation/accuracy") == pytest.approx(expected_best([0.8, 0.4, 0.4]))
    assert expected_of(trials, "validation/loss") == pytest.approx(expected_best([0.8, 0.8, 0.4], larger=False))
    assert expected_of([trial(0, None, "failed")], "validation/accuracy") == ()


def test_the_best_trial_is_complete_and_ties_go_to_the_lower_loss_then_to_the_earlier() -> None:
    trials = [trial(0, 0.8, loss=0.6), trial(1, 0.8, loss=0.5), trial(2, 0.8, loss=0.5), trial(3, 0.9, "pruned")]
    assert best_trial(trials, "validation/accuracy") == trials[1]
    assert best_trial([trial(0, 0.8), trial(1, 0.3)], "validation/loss") == trial(1, 0.3)
    assert best_trial([trial(0, None, "failed")], "validation/accuracy") is None


def test_the_table_has_a_column_for_each_parameter() -> None:
    tuning = Tuning(
        recipe="r", run="s", metric="validation/accuracy", sampler="random", seed=0, best=None, importances={},
        trials=(trial(0, 0.5), trial(1, None, "failed")), expected=(), registry=None, command=None,
    )  # fmt: skip
    first, second = csv.DictReader(io.StringIO(as_csv(tuning)))
    assert first == {
        "trial": "0", "state": "complete", "validation/accuracy": "0.5", "epoch": "1", "validation/loss": "1.0",
        "seconds": "2.0", "optimizer.lr": "0.1", "run": "trials/0", "reason": "",
    }  # fmt: skip
    assert second["validation/accuracy"] == "" and second["state"] == "failed"
