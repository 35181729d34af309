from __future__ import annotations

import io
from typing import Any

import pytest
from fixtures.simulations import PLAN, drawn
from rich.console import Console

from zoo.active.analysis import analyse
from zoo.console.active import simulated
from zoo.report.numbers import p_value, percent, points, span

Row = dict[str, Any]


@pytest.fixture(scope="module")
def analysis() -> Row:
    return analyse(PLAN, drawn())


def rendered(analysis: Row, width: int = 80) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, markup=False, highlight=False).print(simulated(analysis))
    return stream.getvalue()


def words(text: str) -> str:
    return " ".join(text.split())


def test_verdicts_come_first_and_everything_fits_80_columns(analysis: Row) -> None:
    text = rendered(analysis)
    assert text.startswith("• entropy is ahead of random by ")
    assert max(map(len, text.splitlines())) <= 80
    assert all(row["text"] in words(text) for row in analysis["verdicts"])
    assert "…" not in text


def test_strategies_stand_in_the_order_of_their_areas(analysis: Row) -> None:
    text = words(rendered(analysis))
    ranked = sorted(analysis["strategies"], key=lambda row: -row["area"]["mean"])
    places = [text.index(f"{row['name']} 6 {percent(row['area']['mean'])}") for row in ranked]
    assert places == sorted(places)


def test_declared_pairs_targets_and_savings_have_the_figures_of_the_analysis(analysis: Row) -> None:
    text = words(rendered(analysis))
    for row in analysis["pairs"][:3]:
        found = row["difference"]
        told = f"{row['a']} − {row['b']} 20–240 {points(found['estimate'])} {span(found)} {p_value(row['p_holm'])}"
        assert f"{told} {p_value(row['sign_flip']['p'])} {percent(row['detectable'])}" in text
    assert "bald − coreset" not in text
    for row in analysis["targets"]:
        assert f"{row['strategy']} {' '.join(each['text'] for each in row['reached'])}" in text
    assert "> 240" in text
    assert f" {analysis['savings'][0]['final']['factor_text']} " in text


def test_where_it_does_not_help_and_how_answers_were_counted_are_told(analysis: Row) -> None:
    text = words(rendered(analysis))
    coreset = analysis["against_random"][-1]
    assert f"coreset no gain shown {coreset['better'] or '–'} {coreset['open']}" in text
    assert f"counting {PLAN['counting']}" in text
    assert "reached by the mean error of the last 2 rounds" in text


@pytest.mark.parametrize(
    ("plan", "curves"),
    [
        ({"strategies": ["entropy"]}, drawn(["entropy"], seeds=1, rounds=1)),
        ({"primary": [["entropy", "badge"]]}, drawn(["entropy"], seeds=2, rounds=3)),
        ({"metric": "mc_accuracy"}, drawn(["random", "entropy"], seeds=1, rounds=3)),
    ],
)
def test_rare_analyses_have_tables_too(plan: Row, curves: list[Any]) -> None:
    text = rendered(analyse(plan, curves))
    assert "entropy" in text
    assert "None" not in text and "nan" not in text
