"""What is asked of simulations, and what is kept of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fixtures.benches import CATALOG, recipe

from zoo.active import plan as plans
from zoo.active.plan import Plan, Question, cells, digest, make, read, require_same, strategies, with_block, write
from zoo.components import Provenance
from zoo.errors import RunError, ZooError
from zoo.recipe import Recipe
from zoo.rounds import Active

TWO = "active.strategies=[margin, {name: gate, strategy: bald}]"


def planned(asked: Recipe, **more: Any) -> Plan:
    question = Question(recipe=asked.name, **{"seeds": 2, **more})
    return make(question, asked, data="of digits", items=359, pool=200, validation=360, notes=("a note",))


def test_a_plan_names_its_strategies_with_random_last_and_declares_each_against_it() -> None:
    plan = planned(recipe(TWO))
    assert plan.strategies == ("margin", "gate-bald", "random")
    assert plan.primary == (("margin", "random"), ("gate-bald", "random"))
    assert plan.smallest == (1.0, 1.0) and planned(recipe(TWO), seeds=8).smallest == (2 * 2 / 2**8,) * 2
    assert (plan.items, plan.pool, plan.metric, plan.notes) == (359, 200, "accuracy", ("a note",))
    assert planned(recipe(TWO, "active.measure=dropout-mean")).metric == "mc_accuracy"
    own = planned(recipe(TWO), primary=(("margin", "gate-bald"),))
    assert own.primary == (("margin", "gate-bald"),) and len(own.smallest) == 1


def test_without_strategies_the_recipe_s_own_is_compared_with_random() -> None:
    assert planned(recipe()).strategies == ("margin", "random")
    with pytest.raises(ZooError, match="recipe conv-net-momentum names no strategy") as caught:
        strategies(recipe("acquisition=null"))
    assert caught.value.hint == "--strategy margin"


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("[random, margin]", ["margin"]),
        ("[bald, power-bald, prefilter]", ["bald", "power-bald", "prefilter-k-center"]),
        ("[bald, {name: prefilter, strategy: bald}, {name: prefilter, strategy: bald, keep: 3}]",
         ["bald", "prefilter-bald", "prefilter-bald-keep-3"]),
        ("[{name: batch-bald, candidates: 9}, {name: batch-bald, candidates: 5, samples: 7}]",
         ["batch-bald-candidates-9", "batch-bald-samples-7-candidates-5"]),
        ("[{name: committee, members: [a, b]}, {name: committee, members: [a, c]}]",
         ["committee-members-a+b", "committee-members-a+c"]),
    ],
)  # fmt: skip
def test_names_say_what_tells_strategies_apart(words: str, names: list[str]) -> None:
    found = strategies(recipe(f"active.strategies={words}"))
    assert list(found) == names
    assert not any(set(name) & set("/ '()[]") for name in found)


@pytest.mark.parametrize("words", ["[margin, margin]", "[random]", "[bald, {name: bald}]"])
def test_a_comparison_with_itself_is_none(words: str) -> None:
    with pytest.raises(ZooError, match=r"named twice|nothing but itself"):
        strategies(recipe(f"active.strategies={words}"))


def test_cells_are_all_strategies_of_one_seed_after_another(tmp_path: Path) -> None:
    asked = recipe(TWO)
    found = list(cells(asked, planned(asked), CATALOG))
    assert [(cell.strategy, cell.seed) for cell in found] == [
        (name, seed) for seed in (0, 1) for name in ("margin", "gate-bald", "random")
    ]
    assert [cell.recipe.acquisition.name for cell in found[:3]] == ["margin", "gate", "random"]  # type: ignore[union-attr]
    assert found[1].folder(tmp_path) == tmp_path / "gate-bald-0"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ((), "No label of validation is used"),
        (("active.validation=counted",), "The 360 labels of validation are part of every count"),
        (("active.validation=free",), "chosen on 360 labels of validation, which are not counted"),
        (("active.unknown_classes=['3']",), "an answer that a sample is of no known class counts as one"),
        (("active.until_test_error=0.045",), "A simulation ends once its test error is 4.5 % or less"),
        (("active.unknown=photos",), "an answer that a sample is of no known class counts as one"),
    ],
)
def test_a_plan_says_how_labels_are_counted(settings: tuple[str, ...], words: str) -> None:
    counting = planned(recipe(*settings)).counting
    assert words in counting and counting.startswith("Answers are counted with the 20 initial ones")


def test_a_plan_is_kept_with_its_recipe_and_read_again(tmp_path: Path) -> None:
    asked = recipe(TWO, "active.query=[3, 5]", "active.noise=0.25")
    write(tmp_path / "al", planned(asked), asked, ())
    plan, again = read(tmp_path / "al", CATALOG)
    assert plan == planned(asked) or plan.created  # made a moment before
    assert again.active == asked.active and again.to_dict() == asked.to_dict() and again.notes == ()
    assert plan.digest == digest(again, "of digits")


def test_a_digest_stands_for_recipe_rounds_and_data() -> None:
    asked = recipe(TWO)
    others = [recipe(TWO, "active.query=9"), recipe(TWO, "optimizer.lr=0.3"), recipe("active.strategies=[margin]")]
    found = {digest(each, "of digits") for each in (asked, *others)} | {digest(asked, "of other digits")}
    assert len(found) == 5 and digest(asked, "of digits") == digest(recipe(TWO), "of digits")


def test_what_differs_from_a_plan_is_named(tmp_path: Path) -> None:
    plan = planned(recipe(TWO))
    require_same(tmp_path, plan, plan.question, plan.digest)
    other = Question(recipe=plan.question.recipe, seeds=3, data="photos")
    with pytest.raises(RunError, match="data was None, now photos; seeds was 2, now 3") as caught:
        require_same(tmp_path, plan, other, plan.digest)
    assert caught.value.possible == f"zoo active --resume {tmp_path} goes on with them as they are"
    with pytest.raises(RunError, match="the recipe, its data, or the versions"):
        require_same(tmp_path, plan, plan.question, "another")


def test_damaged_plans_are_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"there is no plan\.json") as caught:
        read(tmp_path, CATALOG)
    assert caught.value.hint == f"zoo active RECIPE --run {tmp_path}"
    (tmp_path / plans.PLAN).write_text(json.dumps({"version": 1}))
    with pytest.raises(RunError, match="is not a plan of simulations"):
        read(tmp_path, CATALOG)


def test_a_question_is_a_command() -> None:
    asked = Question(
        recipe="r", settings=("active.rounds=5",), data="photos", seeds=3, primary=(("a", "random"), ("a", "b"))
    )
    assert asked.command("DIR") == [
        *("zoo", "active", "r", "active.rounds=5", "--run", "DIR", "--seeds", "3", "--data", "photos"),
        *("--primary", "a,random", "--primary", "a,b"),
    ]


def test_a_recipe_without_rounds_has_those_of_the_defaults() -> None:
    import zoo

    assert with_block(zoo.resolve("conv-net-momentum")).active == Active()
    assert with_block(recipe()).active == recipe().active != Active()
    control = plans.control(CATALOG)
    assert control.name == "random" and isinstance(control.provenance, Provenance)


def test_rounds_ask_by_a_list_whose_last_number_goes_on() -> None:
    assert [Active(query=7).asked(round) for round in (0, 5)] == [7, 7]
    assert [Active(query=[3, 5, 9]).asked(round) for round in range(5)] == [3, 5, 9, 9, 9]
