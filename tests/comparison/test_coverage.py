"""A small form of benchmarks/coverage.py, whose bars are for 4,000 repetitions."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.coverage import CASES, Case, answers, simulate


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_the_verdict_keeps_its_level_where_a_nested_bootstrap_does_not(case: Case) -> None:
    figures = simulate(case, repetitions=600)
    assert 0.92 <= figures.covered <= 0.98
    assert 0.92 <= figures.accuracy_covered <= 0.98
    assert figures.wrong <= 0.08
    assert figures.bootstrap_covered < 0.92
    assert figures.bootstrap_wrong > 0.08


def test_the_model_of_the_simulation_has_the_accuracies_it_states() -> None:
    case, rng = CASES[1], np.random.default_rng(0)
    found = np.mean([answers(case, 6, 500, rng).mean(axis=(1, 2)) for _ in range(300)], axis=0)
    assert found == pytest.approx(case.accuracies(), abs=0.004)
