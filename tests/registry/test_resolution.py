"""Checks of how the parts of a recipe fit together."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.benches import CATALOG

from zoo.components import Component
from zoo.errors import RecipeError
from zoo.registry import Registry

ENSEMBLE = "architecture=ensemble"


def refused(*settings: str) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        Registry.load(CATALOG).resolve("conv-net-momentum", settings)
    return caught.value


@pytest.mark.parametrize("strategy", ["class-balanced", "{name: prefilter, strategy: class-balanced}", "gate"])
def test_a_strategy_that_reads_no_embeddings_goes_with_every_architecture(strategy: str) -> None:
    found = Registry.load(CATALOG).resolve("conv-net-momentum", [ENSEMBLE, f"acquisition={strategy}"])
    assert isinstance(found.acquisition, Component)


@pytest.mark.parametrize(
    ("strategy", "named", "path"),
    [
        ("k-center", "acquisition 'k-center' needs", "acquisition"),
        ("{name: gate, by: nearest}", "acquisition 'gate' needs", "acquisition"),
        (
            "{name: prefilter, by: random, strategy: badge}",
            "acquisition 'badge' inside acquisition 'prefilter' needs",
            "acquisition.strategy",
        ),
        (
            "{name: gate, strategy: {name: prefilter, strategy: k-center}}",
            "acquisition 'k-center' inside acquisition 'gate' needs",
            "acquisition.strategy.strategy",
        ),
    ],
)
def test_the_innermost_strategy_that_needs_embeddings_is_named_with_what_may_take_its_place(
    strategy: str, named: str, path: str
) -> None:
    asked = (ENSEMBLE, f"acquisition={strategy}")
    error = refused(*asked)
    (problem,) = error.problems
    assert f"{named} embeddings, which architecture 'ensemble' does not give" in problem.message
    assert "acquisitions without them are least-confidence, margin, random; architectures with them are conv-net," in (
        problem.message
    )
    assert error.hint == f"{path}=least-confidence"
    Registry.load(CATALOG).resolve("conv-net-momentum", [*asked, error.hint])


@pytest.mark.parametrize(
    "strategy",
    ["{name: distinct, strategy: k-center}", "{name: gate, by: nearest, strategy: {name: prefilter, strategy: k-center}}"],
)  # fmt: skip
def test_where_a_strategy_around_it_needs_embeddings_too_another_architecture_is_proposed(strategy: str) -> None:
    asked = (ENSEMBLE, f"acquisition={strategy}")
    error = refused(*asked)
    assert error.hint == "architecture=conv-net"
    Registry.load(CATALOG).resolve("conv-net-momentum", [*asked, error.hint])


@pytest.mark.parametrize(("last", "hint"), [("margin", "acquisition.strategy.strategy=margin"), ("gate", None)])
def test_of_components_that_stand_too_deep_one_that_fits_is_proposed(last: str, hint: str | None) -> None:
    """A gate brings a strategy of its own, and would be one too deep again."""
    asked = f"acquisition={{name: gate, strategy: {{name: prefilter, strategy: {{name: distinct, strategy: {last}}}}}}}"
    error = refused(asked)
    assert "stand at most 3 deep inside one another" in error.problem
    assert (error.hint == hint) if hint else "strategy=gate" not in error.hint
    if hint:
        Registry.load(CATALOG).resolve("conv-net-momentum", [asked, hint])


def test_for_one_of_several_strategies_another_architecture_is_proposed() -> None:
    asked = (ENSEMBLE, "active.strategies=[margin, {name: prefilter, by: random, strategy: k-center}]")
    error = refused(*asked)
    assert "acquisition 'k-center' inside acquisition 'prefilter' needs" in error.problem
    assert error.hint == "architecture=conv-net"
    Registry.load(CATALOG).resolve("conv-net-momentum", [*asked, error.hint])


def test_a_strategy_inside_one_of_a_list_has_its_position(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "version: 1\nrecipes:\n  a:\n    extends: conv-net-momentum\n    architecture: ensemble\n"
        "    active:\n      strategies:\n      - margin\n      - {name: prefilter, by: random, strategy: k-center}\n"
    )
    with pytest.raises(RecipeError) as caught:
        Registry.load(CATALOG, tmp_path / "mine.yaml").resolve("a")
    assert [problem.where.rpartition("mine.yaml")[2] for problem in caught.value.problems] == [":9:49"]
