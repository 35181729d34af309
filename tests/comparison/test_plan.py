from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

import zoo
from tests.comparison.conftest import LSTM, NET, TINY, question, written
from zoo.comparison import plan as plans
from zoo.errors import RunError, ZooError


def test_a_plan_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    plan = written(tmp_path, question(seeds=3))
    assert plans.read(tmp_path) == plan
    assert plan.families == {"cnn": (NET,), "rnn": (LSTM,)}
    assert plan.primary == ((NET, LSTM),)
    assert plan.smallest == (0.25,)  # two signs of eight
    assert plan.runs == 6


def test_families_are_declared_where_both_are_there(tmp_path: Path) -> None:
    recipes = (NET, "lenet5-adamw", LSTM, "irnn-adam")
    plan = written(tmp_path, question(recipes=recipes))
    assert plan.primary == (("cnn", "rnn"),)
    assert plan.smallest == (pytest.approx(1 / 3),)  # two splits of six


def test_cells_pair_all_contestants_of_a_seed_and_differ_in_nothing_else(tmp_path: Path) -> None:
    plan = written(tmp_path, question(settings=TINY, vary="data.train_size", values=("100", "200")))
    cells = list(plans.cells(plan, tmp_path, zoo.catalog))
    assert [(c.seed, c.value, c.contestant) for c in cells[:4]] == [
        (0, "100", NET),
        (0, "100", LSTM),
        (0, "200", NET),
        (0, "200", LSTM),
    ]
    assert len({c.folder(tmp_path) for c in cells}) == len(cells) == 8
    assert {(c.recipe.training.seed, c.recipe.data.train_size) for c in cells} == {
        (s, n) for s in (0, 1) for n in (100, 200)
    }
    assert all(c.recipe.data.split_seed == 0 for c in cells)


def test_a_run_is_named_by_what_decides_its_figures(tmp_path: Path) -> None:
    recipe = zoo.resolve(NET)
    assert plans.fingerprint(recipe) == plans.fingerprint(msgspec.structs.replace(recipe, acquisition=None))
    assert plans.fingerprint(recipe) != plans.fingerprint(zoo.resolve(NET, "optimizer.lr=0.01"))


def test_another_question_in_the_same_folder_is_refused_with_what_differs(tmp_path: Path) -> None:
    plan = written(tmp_path, question(seeds=2))
    plans.require_same(tmp_path, plan, question(seeds=2))
    with pytest.raises(RunError, match="seeds was 2, now 3"):
        plans.require_same(tmp_path, plan, question(seeds=3))


def test_recipes_on_other_data_are_refused_with_the_fields(tmp_path: Path) -> None:
    recipes = [zoo.resolve(NET), zoo.resolve(LSTM, "data.split_seed=1", "data.train_size=90")]
    with pytest.raises(ZooError, match=r"data.split_seed is 0 and 1; data.train_size is None and 90"):
        plans.require_one_protocol(recipes)


@pytest.mark.parametrize("pair", [("cnn", LSTM), (NET, "resnet18"), ("cnn", "mlp")])
def test_a_declared_pair_is_two_recipes_or_two_families(tmp_path: Path, pair: tuple[str, str]) -> None:
    with pytest.raises(ZooError, match="neither two recipes"):
        written(tmp_path, question(primary=(pair,)))


def test_one_recipe_is_a_comparison_only_where_a_setting_varies(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match="needs two recipes"):
        written(tmp_path, question(recipes=(NET,)))
    assert written(tmp_path, question(recipes=(NET,), vary="data.train_size", values=("50", "90"))).runs == 4


def test_a_folder_without_a_plan_and_a_damaged_one_are_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a comparison"):
        plans.read(tmp_path)
    (tmp_path / plans.PLAN).write_text('{"version": 1}')
    with pytest.raises(RunError, match="damaged"):
        plans.read(tmp_path)
