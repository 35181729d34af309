from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fixtures.simulations import PLAN, by_hand, drawn

from zoo.active.analysis import analyse
from zoo.active.curves import Curve
from zoo.report.active import render, write_report
from zoo.report.active_plots import looks
from zoo.report.numbers import between, decimal, p_value, percent, points, span

Row = dict[str, Any]
VOID = {"meta", "br"}


class Page(HTMLParser):
    """What a page consists of; anything that is not closed, or closed twice, is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "srcset"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def analysis() -> Row:
    found: Row = json.loads(json.dumps(analyse(PLAN, drawn())))
    return found


@pytest.fixture(scope="module")
def html(analysis: Row) -> str:
    return render(analysis)


@pytest.fixture(scope="module")
def text(html: str) -> str:
    return Page(html).text


def test_the_page_is_well_formed_and_its_ids_are_its_own(html: str) -> None:
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))
    assert {address[1:] for address in page.addresses} <= set(page.ids)


def test_nothing_in_the_page_is_on_the_network(html: str) -> None:
    assert not re.search(r"https?://|@import|<script|<link", html)
    assert all(address.startswith("#") for address in Page(html).addresses)
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", html))


@pytest.mark.slow
def test_the_same_analysis_gives_the_same_bytes_in_another_process(html: str, analysis: Row, tmp_path: Path) -> None:
    (tmp_path / "analysis.json").write_text(json.dumps(analysis), encoding="utf-8")
    code = (
        "import json, sys; from pathlib import Path; from zoo.report.active import write_report\n"
        "write_report(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))"
    )
    subprocess.run([sys.executable, "-c", code, "analysis.json", "report.html"], check=True)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == html
    write_report(analysis, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == (tmp_path / "report.html").read_bytes()


def test_the_verdicts_come_first_and_word_by_word(text: str, analysis: Row) -> None:
    places = [text.index(row["text"]) for row in analysis["verdicts"]]
    assert max(places) < text.index("Mean accuracy on test over seeds")
    assert places == sorted(places)


def test_the_figures_are_those_of_the_analysis(text: str, analysis: Row) -> None:
    for row in analysis["strategies"]:
        area, final = row["area"], row["final"]
        assert f"{row['name']} 6 {percent(area['mean'])} {between(area['interval'])}" in text
        assert f"{percent(final['mean'])} {between(final['interval'])} 240" in text
    for row in analysis["pairs"]:
        found = row["difference"]
        assert f"{points(found['estimate'])} {span(found)}" in text
    for row in analysis["pairs"][:3]:
        assert f"{span(row['difference'])} {p_value(row['p_holm'])} {percent(row['detectable'])}" in text
        assert ", ".join(points(each) for each in row["by_seed"]) in text
    for row in analysis["savings"]:
        for each in (row["final"], *row["targets"], *row["levels"]):
            assert f"{each['random_text']} {each['text']} {each['factor_text']}" in text
    for row in analysis["targets"]:
        told = (f"{each['text']} {', '.join(seed['text'] for seed in each['seeds'])}" for each in row["reached"])
        assert f"{row['strategy']} {' '.join(told)}" in text
    for share, worse in zip(analysis["penalties"]["better"], analysis["penalties"]["worse"], strict=True):
        assert decimal(share, 2) in text and decimal(worse, 2) in text
    for row in analysis["against_random"]:
        assert f"{span(row['area'])} {row['open'] or '–'} {row['worse'] or '–'} {row['better'] or '–'}" in text


def test_every_figure_that_rounds_have_is_followed(html: str, text: str) -> None:
    for title in ("Purity of queries", "Repeats", "Robustness", "Gate: AUROC", "Gate: FPR95", "Gate: kept"):
        assert f"<h4>{title}</h4>" in html
        assert f"{title} as a table" in text
    assert "Round by round" not in Page(render(analyse({}, [by_hand("a", 0, [10, 20], [[1, 0], [1, 1]])]))).text


def test_the_plan_the_command_and_the_counting_are_told(text: str) -> None:
    assert f"How answers are counted: {PLAN['counting']}" in text
    assert PLAN["command"] in text
    assert "entropy against random; bald against random; coreset against random" in text
    assert "settings [training.steps=400]" in text


def test_the_band_is_said_to_be_for_the_mean_curve(text: str) -> None:
    assert "A band is for the mean curve over seeds (95 %, percentile bootstrap over seeds)" in text
    assert "smoothed as the mean of the last 2 rounds up to it" in text


def test_names_are_escaped_in_text_and_plots() -> None:
    name = "<i>\"bald\" & $x$ 'y'"
    curves = [Curve(name if c.strategy == "bald" else c.strategy, c.seed, c.rounds, c.correct) for c in drawn(seeds=2)]
    html = render(analyse({}, curves))
    assert "<i>" not in html
    assert name in Page(html).text


def test_looks_differ_and_random_keeps_its_own() -> None:
    names = ["random", *(f"s{number}" for number in range(19))]
    found = looks(names)
    assert len({(family, str(line)) for family, line in found.values()}) == 20
    assert found["random"] == looks(["a", "random"])["random"]


@pytest.mark.parametrize(
    ("plan", "curves"),
    [
        ({"strategies": ["entropy"]}, drawn(["entropy"], seeds=1, rounds=1)),
        (PLAN, drawn(["entropy"], seeds=2, rounds=3)),
        ({"metric": "mc_accuracy"}, drawn(["random", "entropy"], seeds=1, rounds=3)),
        ({"targets": [0.1]}, [by_hand(name, 0, [10, 20], [[1, 1], [1, 1]]) for name in ("random", "entropy")]),
        ({}, [by_hand("random", 0, [10], [[1, 0]]), by_hand("entropy", 0, [30], [[1, 0]])]),
    ],
    ids=["one round", "random missing", "Monte Carlo", "all right", "nothing shared"],
)
def test_rare_analyses_have_a_report_too(plan: Row, curves: list[Curve]) -> None:
    text = Page(render(json.loads(json.dumps(analyse(plan, curves))))).text
    assert "Verdicts" in text
    assert not {"nan", "None", "inf"} & set(text.split())
