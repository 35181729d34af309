from __future__ import annotations

import re
from typing import Any

import pytest

from zoo.report.curves import learning
from zoo.report.figure import color, inline, marker, spread, symbol
from zoo.report.plots import accuracies, forest, frontier, pareto

FAMILIES = ("cnn", "rnn", "hybrid", "attention", "mlp")


def recipe(name: str, estimate: float, **other: Any) -> dict[str, Any]:
    interval = {"estimate": estimate, "low": estimate - 0.01, "high": estimate + 0.01}
    row = {"name": name, "family": "cnn", "accuracy": interval, "parameters": 1000, "macs": 5000}
    return {**row, "seeds": [{"accuracy": estimate}], **other}


def written(svg: str) -> dict[str, tuple[float, float]]:
    """Return where each text of a plot stands, in points from the upper left."""
    found = re.findall(r'<text[^>]*transform="translate\(([\d.]+) ([\d.]+)\)"[^>]*>([^<]+)</text>', svg)
    moved = re.findall(r'<text[^>]*x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]+)</text>', svg)
    return {text: (float(x), float(y)) for x, y, text in found + moved}


def test_families_differ_in_colour_and_in_shape() -> None:
    assert len({color(family) for family in FAMILIES}) == len(FAMILIES)
    assert len({marker(family) for family in FAMILIES}) == len(FAMILIES)
    assert len({symbol(family) for family in (*FAMILIES, "another")}) == len(FAMILIES) + 1


def test_labels_that_would_touch_are_spread_and_others_stay() -> None:
    assert spread([1.0, 5.0, 9.0], 1, 0, 10) == [1, 5, 9]
    assert spread([5.0, 5.0], 2, 0, 10) == [4, 6]
    assert spread([5.0, 4.9, 5.1], 2, 0, 10) == pytest.approx([5, 3, 7])
    assert spread([10.0, 10.0], 3, 0, 10) == [7, 10]
    assert spread([0.0, 0.1, 9.0], 2, 0, 10) == pytest.approx([0, 2, 9])
    assert spread([], 1, 0, 10) == []


def test_labels_without_room_are_spread_over_all_there_is() -> None:
    assert spread([5.0, 5.0, 5.0], 8, 0, 10) == [0, 5, 10]


def test_the_frontier_is_what_nothing_cheaper_reaches() -> None:
    assert frontier([(3, 0.9), (1, 0.5), (2, 0.4), (4, 0.9), (5, 0.95), (1, 0.3)]) == [(1, 0.5), (3, 0.9), (5, 0.95)]


def test_a_cost_that_only_one_recipe_has_is_not_drawn() -> None:
    rows = [recipe("a", 0.5), recipe("b", 0.6, macs=0)]
    assert pareto("p", "macs", rows, lambda row: row["macs"]) is None
    assert pareto("p", "parameters", rows, lambda row: row["parameters"]) is not None


def test_names_of_points_at_one_place_do_not_cover_each_other() -> None:
    rows = [recipe(f"recipe-{n}", 0.5) for n in range(4)]
    svg = pareto("p", "parameters", rows, lambda row: row["parameters"])
    assert svg is not None
    places = [place for text, place in written(svg).items() if text.startswith("recipe")]
    assert len(places) == 4
    assert all(abs(a[0] - b[0]) > 11 or abs(a[1] - b[1]) > 7 for a in places for b in places if a is not b)


def test_a_row_has_its_name_above_its_interval() -> None:
    svg = accuracies("a", [recipe("first", 0.9), recipe("second", 0.8)])
    places = written(svg)
    assert places["first"][1] < places["second"][1]
    assert places["first"][0] == places["second"][0]


def test_names_in_any_script_are_drawn() -> None:
    assert "卷积网络" in written(accuracies("a", [recipe("卷积网络", 0.9)]))


def test_what_was_declared_is_drawn_in_ink_and_the_rest_pale() -> None:
    row = {"label": "a − b", "estimate": 0.01, "low": -0.01, "high": 0.03}
    declared, other = (forest("f", [{**row, "declared": is_declared}], 0.005) for is_declared in (True, False))
    assert "stroke: var(--ink)" in declared
    assert "stroke: var(--ink)" not in other
    assert all("fill: var(--band)" in svg for svg in (declared, other))


def test_learning_curves_have_a_plot_a_family_and_leave_out_what_is_not_there() -> None:
    conditions = [
        {"value": "100", "train_samples": 100, "recipes": [recipe("a", 0.5), recipe("b", 0.6, family="rnn")]},
        {"value": "1000", "train_samples": 1000, "recipes": [recipe("a", 0.8)]},
    ]
    plots = dict(learning("l", conditions, "data.train_size"))
    assert list(plots) == ["cnn", "rnn"]
    assert {"100", "1,000", "a"} <= set(written(plots["cnn"]))
    assert "b" in written(plots["rnn"])


def test_an_svg_in_a_page_has_no_address_no_date_and_only_ids_that_are_used() -> None:
    svg = (
        '<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="9pt" viewBox="0 0 9 9">'
        "<metadata><date>now</date></metadata><defs><style>*{x: y}</style></defs>"
        '<g id="figure_1"><path id="m1" d="M 0 0" style="fill: #1a1b1e"/><use xlink:href="#m1"/></g></svg>\n'
    )
    assert inline(svg, 'a "b" <c>') == (
        '<svg class="plot" viewBox="0 0 9 9" role="img" aria-label="a &quot;b&quot; &lt;c&gt;" style="--width: 9">'
        '<defs></defs><g><path id="m1" d="M 0 0" style="fill: var(--ink)"/><use href="#m1"/></g></svg>\n'
    )
