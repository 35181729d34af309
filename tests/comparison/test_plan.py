from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

import zoo
from tests.comparison.conftest import LSTM, NET, TINY, question, written
from zoo.comparison import plan as plans
from zoo.comparison.identity import fingerprint
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


def test_a_run_is_named_by_what_decides_its_figures() -> None:
    recipe = zoo.resolve(NET)
    same = (
        msgspec.structs.replace(recipe, acquisition=None),
        zoo.resolve(NET, "training.seed=5"),
        zoo.resolve(NET, "data.workers=2", "training.checkpoint_every=7"),
        zoo.resolve(NET, "search.optimizer.lr={low: 0.1, high: 0.2}"),
    )
    assert {fingerprint(other, "data") for other in same} == {fingerprint(recipe, "data")}
    here, there = (zoo.resolve(NET, f"data={{name: replicas, base: {{name: npz, path: {p}}}}}") for p in ("a", "b"))
    assert fingerprint(here, "data") == fingerprint(there, "data")
    others = (zoo.resolve(NET, "optimizer.lr=0.01"), zoo.resolve(NET, "training.epochs=3"))
    assert fingerprint(recipe, "data") not in {fingerprint(other, "data") for other in others}
    assert fingerprint(recipe, "data") != fingerprint(recipe, "other data")


def test_what_a_run_chooses_among_and_the_weights_it_begins_from_are_in_its_name(tmp_path: Path) -> None:
    head = ("freeze={choose: true}", "weights=w.safetensors")
    settings = [(*head, f"search.optimizer.lr={{choices: [{rate}]}}") for rate in (0.1, 0.2)]
    Path("w.safetensors").write_bytes(b"one")
    one, other = (fingerprint(zoo.resolve(NET, *each), "data") for each in settings)
    assert one != other
    Path("w.safetensors").write_bytes(b"two, longer")
    assert fingerprint(zoo.resolve(NET, *settings[0]), "data") != one


def test_another_question_in_the_same_folder_is_refused_with_what_differs(tmp_path: Path) -> None:
    made = msgspec.structs.replace(written(tmp_path, question(seeds=2)), asked=("a", "b"))
    plans.require_same(tmp_path, made, question(seeds=2), ("a", "b"))
    with pytest.raises(RunError, match="seeds was 2, now 3"):
        plans.require_same(tmp_path, made, question(seeds=3), ("a", "b"))
    with pytest.raises(RunError, match=f"recipe {LSTM} or its data is not what it was"):
        plans.require_same(tmp_path, made, question(seeds=2), ("a", "c"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipes": (NET, NET)}, f"recipe {NET} is named twice"),
        ({"vary": "optimizer.lr", "values": ("0.1", "0.1")}, "value 0.1 is named twice"),
        ({"primary": ((NET, NET),)}, "compares one thing with itself"),
    ],
)
def test_nothing_is_named_twice(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ZooError, match=message):
        question(**changes)


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
