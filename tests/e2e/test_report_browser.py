"""The report of a comparison as a reader sees it, in headless Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.browser import Tab, executable, tab

BROWSER = executable()
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on the path, and ZOO_TEST_BROWSER names none")
# Pairs of texts of one plot whose boxes, less a pixel at each edge, share some place.
COVERED = """
[...document.querySelectorAll("svg.plot")].flatMap(plot => {
  const texts = [...plot.querySelectorAll("text")].map(text => [text.textContent, text.getBoundingClientRect()]);
  return texts.flatMap(([a, p], i) => texts.slice(i + 1)
    .filter(([b, q]) => Math.min(p.right, q.right) - Math.max(p.left, q.left) > 2
                     && Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > 2)
    .map(([b]) => `${plot.getAttribute("aria-label")}: ${a} / ${b}`));
})
"""
# Texts of plots that reach out of the window.
OUTSIDE = """
[...document.querySelectorAll("svg.plot text")].filter(text => {
  const box = text.getBoundingClientRect();
  return box.width && (box.left < 0 || box.right > document.documentElement.clientWidth);
}).map(text => text.textContent)
"""


@pytest.fixture(scope="module")
def page(comparison_folder: Path) -> Path:
    return comparison_folder / "report.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    assert BROWSER is not None
    with tab(BROWSER, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.parametrize("width", [1280, 400])
def test_the_report_loads_without_errors_and_asks_for_nothing_but_itself(page: Path, browser: Tab, width: int) -> None:
    browser.open(page, width=width)
    assert browser.evaluate("document.title") == "Comparison of lenet5-adamw, irnn-adam"
    assert browser.told("Log.entryAdded") == []
    assert browser.told("Runtime.exceptionThrown") == []
    asked = {each["request"]["url"] for each in browser.told("Network.requestWillBeSent")}
    assert {address for address in asked if not address.startswith("data:")} == {page.as_uri()}


@pytest.mark.parametrize("width", [1280, 400])
def test_every_plot_and_picture_is_seen_and_nothing_is_wider_than_the_window(
    page: Path, browser: Tab, width: int
) -> None:
    browser.open(page, width=width)
    browser.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert browser.evaluate("document.documentElement.scrollWidth") == width
    assert browser.evaluate("document.querySelectorAll('svg.plot').length") > 10
    smallest = "Math.min(...[...document.querySelectorAll('svg.plot')].map(each => each.getBoundingClientRect().width))"
    assert browser.evaluate(smallest) > 100
    assert browser.evaluate("[...document.images].every(each => each.complete && each.naturalWidth > 0)")
    assert browser.evaluate(OUTSIDE) == []


@pytest.mark.parametrize("width", [1280, 400])
def test_no_text_of_a_plot_covers_another(page: Path, browser: Tab, width: int) -> None:
    browser.open(page, width=width)
    browser.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert browser.evaluate(COVERED) == []


def test_dark_readers_get_dark_paper_and_light_ink_in_plots_too(page: Path, browser: Tab) -> None:
    brightness = {}
    for dark in (False, True):
        browser.open(page, width=1280, dark=dark)
        for name, code in (
            ("paper", "getComputedStyle(document.body).backgroundColor"),
            ("ink", "getComputedStyle(document.querySelector('svg.plot text')).fill"),
        ):
            channels = browser.evaluate(code).removeprefix("rgb(").removesuffix(")").split(",")
            brightness[name, dark] = sum(map(int, channels)) / 3
    assert brightness["paper", False] > 240 and brightness["ink", False] < 40
    assert brightness["paper", True] < 40 and brightness["ink", True] > 200
