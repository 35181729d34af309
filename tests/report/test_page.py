from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fixtures.comparisons import (
    CNN,
    Analysis,
    of_four_a_family,
    of_one_condition,
    of_one_seed,
    read,
    renamed,
    with_failed,
    without_declared,
)

from zoo.plugins import load_catalog
from zoo.report.numbers import between, decimal, percent, points, span
from zoo.report.page import render

Told = Callable[[Callable[[Analysis], Analysis]], str]
VOID = {"meta", "br", "img", "link", "input", "hr"}
NAMES_OF_ADDRESSES = {"src", "href", "srcset", "data", "action", "poster", "xlink:href"}


class Page(HTMLParser):
    """What a page consists of; anything that is not closed, or closed twice, is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.addresses += [value or "" for name, value in attrs if name in NAMES_OF_ADDRESSES]
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
def analysis(comparison_folder: Path) -> Analysis:
    return read(comparison_folder)


@pytest.fixture(scope="module")
def html(comparison_folder: Path) -> str:
    return (comparison_folder / "report.html").read_text(encoding="utf-8")


def report(analysis: Analysis) -> str:
    return render(analysis, load_catalog())


@pytest.fixture(scope="module")
def told(analysis: Analysis) -> Told:
    """Return what the report of a variant of the analysis says; each is rendered once."""
    return cache(lambda variant: Page(report(variant(analysis))).text)


def test_conducting_a_comparison_leaves_its_report_which_is_that_of_its_analysis(html: str, analysis: Analysis) -> None:
    assert html == report(analysis)


@pytest.mark.slow
def test_the_same_analysis_gives_the_same_bytes_in_another_process(
    analysis: Analysis, comparison_folder: Path, tmp_path: Path
) -> None:
    code = (
        "import json, sys; from pathlib import Path; from zoo.report.page import write_report\n"
        "write_report(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))"
    )
    again = tmp_path / "again.html"
    subprocess.run([sys.executable, "-c", code, str(comparison_folder / "analysis.json"), str(again)], check=True)
    assert again.read_bytes() == (comparison_folder / "report.html").read_bytes()


def test_the_page_is_well_formed_and_its_ids_are_its_own(html: str) -> None:
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))
    assert set(page.tags) >= {"svg", "table", "details", "img", "section"}
    anchors = {address[1:] for address in page.addresses if address.startswith("#")}
    assert anchors <= set(page.ids)


def test_nothing_in_the_page_is_on_the_network(html: str) -> None:
    assert "http://" not in html
    assert "https://" not in html
    assert "@import" not in html
    assert "<script" not in html
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in Page(html).addresses)
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", html))


def test_the_verdicts_come_first_and_word_by_word(html: str, analysis: Analysis) -> None:
    text = Page(html).text
    places = [text.index(" ".join(row["text"].split())) for row in analysis["verdicts"]]
    assert max(places) < text.index("Declared before the first run")


def test_the_figures_are_those_of_the_analysis(html: str, analysis: Analysis) -> None:
    text = Page(html).text
    for condition in analysis["conditions"]:
        for row in condition["recipes"]:
            assert f"{row['name']} {percent(row['accuracy']['estimate'])} {between(row['accuracy'])}" in text
            assert decimal(row["figures"]["ece_mass"]) in text
            assert all(percent(recall, 1) in text for recall in row["recall"].values())
        for pair in condition["pairs"]:
            assert f"{points(pair['difference']['estimate'])} {span(pair['difference'])}" in text
            assert all(f"{each['only_first']} : {each['only_second']}" in text for each in pair["mcnemar"])
        for row in condition["robustness"]["recipes"]:
            assert percent(row["corrupted"]["estimate"], 1) in text
    for effect in analysis["effects"]:
        assert f"{points(effect['difference']['estimate'])} {span(effect['difference'])}" in text
    assert all(command in text for command in analysis["commands"])


def test_the_condition_with_most_training_images_is_open_and_first(html: str) -> None:
    assert html.index('<section id="condition-0"><h2>data.train_size = 200') < html.index(
        '<details class="condition" id="condition-1"><summary>data.train_size = 100'
    )
    assert "Learning curves" in html


def test_another_setting_has_its_effects_and_its_first_value_comes_first(analysis: Analysis) -> None:
    other = renamed(analysis, "data.train_size", "augmentation.shift")
    text = Page(report(other)).text
    assert "Learning curves" not in text
    assert "Effect of augmentation.shift" in text
    came = analysis["effects"][0]["expected"]["came"]
    assert f"{CNN} – {came}" in text
    assert text.index("augmentation.shift = 100 Accuracy") < text.index("augmentation.shift = 200 Accuracy")


def test_names_are_escaped_in_text_and_plots(analysis: Analysis) -> None:
    name = "<i>lenet & \"co\"</i> $x$ 'y'"
    text = report(renamed(analysis, CNN, name))
    assert "<i>" not in text
    page = Page(text)
    assert name in page.text
    in_plots = re.findall(r"<text[^>]*>(&lt;i&gt;[^<]*)</text>", text)
    assert len(in_plots) > 4


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant",
    [of_one_condition, of_one_seed, without_declared, with_failed, of_four_a_family],
    ids=lambda f: f.__name__,
)
def test_rare_comparisons_have_a_report_too(variant: Callable[[Analysis], Analysis], told: Told) -> None:
    text = told(variant)
    assert "Verdicts" in text
    assert "nan" not in text.split()
    assert "None" not in text.split()


def test_failed_runs_are_told_with_their_reason(told: Told) -> None:
    text = told(with_failed)
    assert "1 run of the plan failed and is in no figure" in text
    assert f"{CNN} 100 0 the loss became infinite <at step 3>" in text


def test_where_nothing_was_declared_nothing_is_concluded(told: Told) -> None:
    text = told(without_declared)
    assert "Nothing was declared beforehand, so nothing is concluded." in text
    assert "Declared beforehand" not in text
    assert "p after Holm 0" not in text


def test_one_seed_is_not_said_to_speak_for_others(told: Told) -> None:
    text = told(of_one_seed)
    assert "with one seed they are about these trained models only" in text


def test_families_of_four_have_the_interval_of_welch(analysis: Analysis, told: Told) -> None:
    found = of_four_a_family(analysis)["conditions"][0]["families"][0]["welch"]
    text = told(of_four_a_family)
    label = "cnn − rnn, 4 against 4 architectures"
    assert f"{label} {points(found['estimate'])} {span(found)} 0.029" in text


def test_latency_has_a_plot_where_it_was_measured(html: str, analysis: Analysis) -> None:
    unmeasured = copy.deepcopy(analysis)
    for condition in unmeasured["conditions"]:
        for row in condition["recipes"]:
            del row["latency"]
    assert "milliseconds for one image" in html
    assert "milliseconds for one image" not in report(unmeasured)


def test_pictures_are_shown_where_the_data_is_and_else_it_is_said_why_not(
    html: str, analysis: Analysis, tmp_path: Path
) -> None:
    examples = [row for pair in analysis["conditions"][-1]["overlap"]["families"] for row in pair["examples_a"]]
    assert examples
    assert "data:image/png;base64," in html
    text = report(json.loads(json.dumps(analysis).replace('"run": "', f'"run": "{tmp_path}/gone')))
    assert "data:image/png;base64," not in text
    assert "cannot be shown" in text
    assert f"sample {examples[0]['sample']}" in text


def test_the_report_is_written_whole(html: str, comparison_folder: Path) -> None:
    assert html.endswith("</html>")
    assert {path.name for path in comparison_folder.glob("[!.]*")} == {
        "analysis.json",
        "costs.json",
        "plan.json",
        "recipes.yaml",
        "report.html",
        "runs",
    }
