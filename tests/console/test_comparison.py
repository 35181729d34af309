from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from fixtures.comparisons import (
    CNN,
    QUESTION,
    RNN,
    Analysis,
    of_four_a_family,
    of_one_condition,
    of_one_seed,
    proposed,
    read,
    renamed,
    with_failed,
    without_declared,
)
from rich.console import Console, RenderableType

from zoo.comparison.plan import Plan
from zoo.comparison.proposal import Proposal
from zoo.console.comparison import comparison, plan_table
from zoo.report.numbers import p_value, percent, points, span


@pytest.fixture(scope="module")
def analysis(comparison_folder: Path) -> Analysis:
    return read(comparison_folder)


@pytest.fixture(scope="module")
def proposal() -> Proposal:
    return proposed()


def rendered(renderable: RenderableType, width: int = 80) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, markup=False, highlight=False).print(renderable)
    return stream.getvalue()


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_verdicts_come_first_and_everything_fits_80_columns(analysis: Analysis) -> None:
    text = rendered(comparison(analysis))
    assert text.startswith("• data.train_size = 100: ")
    assert max(map(len, text.splitlines())) <= 80
    words = " ".join(text.split())
    assert all(" ".join(row["text"].split()).replace("• ", "") in words for row in analysis["verdicts"])


def test_recipes_have_the_figures_of_the_analysis(analysis: Analysis) -> None:
    condition = analysis["conditions"][-1]
    text = rows(rendered(comparison(analysis)))
    for row, robust in zip(condition["recipes"], condition["robustness"]["recipes"], strict=True):
        found, corrupted = row["accuracy"], robust["corrupted"]["estimate"]
        line = next(line for line in text if line[:2] == [row["name"], percent(found["estimate"])])
        assert line[2] == f"{percent(found['low'], 1)}–{percent(found['high'], 1)}"
        assert line[-2:] == [f"{row['figures']['ece']:.3f}", percent(corrupted, 1)]


def test_declared_pairs_have_their_difference_interval_and_p(analysis: Analysis) -> None:
    text = rows(rendered(comparison(analysis)))
    for condition in analysis["conditions"]:
        pair = condition["pairs"][0]
        difference = pair["difference"]
        line = [CNN, "−", RNN, condition["value"], points(difference["estimate"])]
        assert [*line, *span(difference).split(), *p_value(pair["p_holm"]).split()] in text


def test_effects_are_marked_where_they_were_declared(analysis: Analysis) -> None:
    text = rows(rendered(comparison(analysis)))
    cnn, rnn = analysis["effects"]
    mark = {True: "✓", False: "✗", None: "?"}[cnn["expected"]["met"]]
    assert [CNN, mark, points(cnn["difference"]["estimate"])] in text
    assert [RNN, points(rnn["difference"]["estimate"])] in text


def test_without_a_varied_setting_there_is_one_table(analysis: Analysis) -> None:
    text = rendered(comparison(of_one_condition(analysis)))
    assert "data.train_size" not in text
    assert "change against" not in text


def test_rare_comparisons_are_told_as_they_are(analysis: Analysis) -> None:
    assert "not for other seeds" in rendered(comparison(of_one_seed(analysis)))
    assert "declared  " not in rendered(comparison(without_declared(analysis)))
    failed = rendered(comparison(with_failed(analysis)))
    assert f"{CNN} at 100     0  the loss became infinite <at step 3>" in failed
    four = rows(rendered(comparison(of_four_a_family(analysis))))
    assert ["cnn", "−", "rnn", "+19.50", "+16.25", "to", "+22.75", "0.029"] in four


def test_names_in_brackets_are_names(analysis: Analysis) -> None:
    assert "[red]<&>" in rendered(comparison(renamed(analysis, CNN, "[red]<&>")))


def taking(proposal: Proposal, seconds: dict[str, float]) -> Plan:
    """Return the plan with runs that take so many seconds at each value."""
    variants = {
        name: {value: msgspec.structs.replace(each, seconds=seconds[value]) for value, each in of.items()}
        for name, of in proposal.plan.variants.items()
    }
    return msgspec.structs.replace(proposal.plan, variants=variants)


def test_a_plan_has_its_runs_its_time_and_what_it_can_show(proposal: Proposal) -> None:
    text = rendered(plan_table(taking(proposal, {"100": 75.0, "200": 75.0})))
    lines = rows(text)
    assert [CNN, "cnn", "15.6", "k", "44.0", "k", "1:15"] in lines
    assert "8: 2 recipes × 2 values of data.train_size (100, 200) × 2 seeds" in text
    assert "about 10:00, one run after another" in text
    reach = f"{CNN} against {RNN}; exact test by sign flips of seeds: smallest p attainable 1: cannot reach 0.05"
    assert reach in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80


def test_a_plan_tells_the_shortest_and_the_longest_run_and_that_nothing_was_declared(proposal: Proposal) -> None:
    plan = taking(proposal, {"100": 60.0, "200": 120.0})
    bare = msgspec.structs.replace(plan, primary=(), smallest=())
    assert "rises by at least 1.00 points" in rendered(plan_table(bare))
    question = msgspec.structs.replace(plan.question, expect=())
    text = rendered(plan_table(msgspec.structs.replace(bare, question=question)))
    assert "1:00 to 2:00" in text
    assert "nothing: all differences will be exploratory" in text


def test_enough_seeds_can_reach_significance(proposal: Proposal) -> None:
    question = msgspec.structs.replace(QUESTION, seeds=8)
    plan = msgspec.structs.replace(proposal.plan, question=question, smallest=(0.016,))
    text = rendered(plan_table(plan))
    assert "smallest p attainable 0.016" in text
    assert "cannot reach" not in text
