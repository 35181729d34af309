"""The report of active learning as a reader sees it, in headless Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.browser import Tab, executable, tab
from fixtures.simulations import PLAN, drawn

from zoo.active.analysis import analyse
from zoo.report.active import write_report

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
OUTSIDE = """
[...document.querySelectorAll("svg.plot text")].filter(text => {
  const box = text.getBoundingClientRect();
  return box.width && (box.left < 0 || box.right > document.documentElement.clientWidth);
}).map(text => text.textContent)
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("simulation") / "report.html"
    write_report(analyse(PLAN, drawn()), path)
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    assert BROWSER is not None
    with tab(BROWSER, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.parametrize("width", [1280, 400])
def test_the_report_loads_without_errors_and_asks_for_nothing_but_itself(page: Path, browser: Tab, width: int) -> None:
    browser.open(page, width=width)
    assert browser.evaluate("document.title") == "Active learning with bald, coreset, entropy, random"
    assert browser.told("Log.entryAdded") == []
    assert browser.told("Runtime.exceptionThrown") == []
    asked = {each["request"]["url"] for each in browser.told("Network.requestWillBeSent")}
    assert asked == {page.as_uri()}


@pytest.mark.parametrize("width", [1280, 400])
def test_every_plot_is_seen_and_legible_and_nothing_is_wider_than_the_window(
    page: Path, browser: Tab, width: int
) -> None:
    browser.open(page, width=width)
    browser.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert browser.evaluate("document.documentElement.scrollWidth") == width
    smallest = "Math.min(...[...document.querySelectorAll('svg.plot')].map(each => each.getBoundingClientRect().width))"
    assert browser.evaluate(smallest) > 100
    assert browser.evaluate(OUTSIDE) == []
    assert browser.evaluate(COVERED) == []
