"""What a strategy asks for, given what a round's model knows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fixtures import benches
from fixtures.benches import CATALOG, finished, permuted, recipe
from msgspec.structs import replace as changed

from zoo.active.choosing import Situation, choose, members, needs
from zoo.active.journal import Labels
from zoo.active.material import Material, Rows, gather
from zoo.active.workbench import Workbench
from zoo.components import Component
from zoo.errors import DataError, ZooError
from zoo.recipe import Recipe
from zoo.registry import resolve_component

NOTHING = np.array([], np.int64)


def strategy(name: str, *settings: str) -> Component[Any]:
    found: Component[Any] = resolve_component(CATALOG, "acquisition", name, settings)
    return found


class Round:
    """A round on digits of which some classes are unknown, with its model trained."""

    def __init__(self, asked: Recipe, material: Material | None = None) -> None:
        self.material = material or gather(asked)
        self.bench: Workbench = benches.workbench(asked, self.material)
        names = sorted(self.material.ids)
        known = [name for name in names if self.material.known[self.material.ids.index(name)]][:30]
        self.rows = np.array([self.material.ids.index(name) for name in known])
        self.x = finished(self.bench.train(Labels(self.rows, self.material.labels[self.rows], NOTHING), 0))

    def now(self, *, asked: Rows = NOTHING, round: int = 0, seed: int = 0) -> Situation:
        """Return the situation in which more was asked for, of no known class."""
        labels = Labels(self.rows, self.material.labels[self.rows], asked)
        return Situation(self.bench, self.material, labels, self.x, seed, round)

    def ids(self, rows: Rows) -> list[str]:
        return [self.material.ids[row] for row in rows.tolist()]


SETTINGS = ("active.unknown_classes=['8', '9']", "active.folds=3", "active.steps=20")


@pytest.fixture(scope="module")
def here() -> Round:
    return Round(recipe(*SETTINGS))


@pytest.fixture(scope="module")
def elsewhere(here: Round) -> Round:
    order = np.random.default_rng(0).permutation(len(here.material.ids))
    return Round(recipe(*SETTINGS), permuted(here.material, order))


def chosen(now: Situation, asked: Component[Any], count: int = 8) -> tuple[Rows, dict[str, Any]]:
    found: tuple[Rows, dict[str, Any]] = finished(choose(now, asked, count))
    return found


def test_needs_are_those_of_the_strategy_and_of_one_inside() -> None:
    assert needs(strategy("random")) == frozenset()
    assert needs(strategy("prefilter", "strategy=bald")) == {"mc_log_probabilities", "log_probabilities"}


@pytest.mark.parametrize("name", ["committee", "prefilter", "gate"])
def test_a_committee_has_two_members_or_more(name: str) -> None:
    def of(names: str) -> Component[Any]:
        committee = f"{{name: committee, members: [{names}]}}"
        return strategy(name, f"members=[{names}]") if name == "committee" else strategy(name, f"strategy={committee}")

    assert members(of("lenet5-adamw, resnet18-sgd")) == ("lenet5-adamw", "resnet18-sgd")
    with pytest.raises(ZooError, match="strategy committee asks a committee of 1 recipes"):
        members(of("lenet5-adamw"))
    assert members(strategy("margin")) == () == members(strategy("prefilter"))


def test_what_was_asked_is_not_asked_again(here: Round) -> None:
    asked = np.flatnonzero(~here.material.known)[:5]
    rows, told = chosen(here.now(asked=asked), strategy("random"), 1000)
    assert told["pool"] == len(rows) == 200 - 30 - 5
    assert not set(rows.tolist()) & (set(here.rows.tolist()) | set(asked.tolist()))


def test_scores_go_with_what_was_asked_and_fall(here: Round) -> None:
    rows, told = chosen(here.now(), strategy("entropy"))
    assert len(rows) == len(told["scores"]) == 8 and told["scores"] == sorted(told["scores"], reverse=True)
    assert chosen(here.now(), strategy("k-center"))[1]["scores"] is None


def test_a_round_asks_for_no_more_than_there_is_and_not_at_all_of_nothing(here: Round) -> None:
    rest = np.setdiff1d(np.arange(200), here.rows)
    rows, _ = chosen(here.now(asked=rest[3:]), strategy("margin"))
    assert sorted(rows.tolist()) == rest[:3].tolist()
    with pytest.raises(DataError, match="the pool is empty: everything has been asked"):
        chosen(here.now(asked=rest), strategy("margin"))


@pytest.mark.parametrize("words", [("margin",), ("random",), ("gate", "by=nearest"), ("class-balanced",), ("badge",)])
def test_the_order_of_the_data_plays_no_part(words: tuple[str, ...], here: Round, elsewhere: Round) -> None:
    found = [(each, *chosen(each.now(round=2, seed=3), strategy(*words))) for each in (here, elsewhere)]
    (one, mine, told), (other, theirs, also) = found
    assert one.ids(mine) == other.ids(theirs) and told == also


def test_all_strategies_choose_from_the_same_part_of_the_pool() -> None:
    part = Round(recipe("active.pool_subset=40"))
    found = {
        (name, round): set(chosen(part.now(round=round), strategy(name), 40)[0].tolist())
        for name in ("margin", "random", "k-center")
        for round in (0, 1)
    }
    assert found["margin", 0] == found["random", 0] == found["k-center", 0] != found["margin", 1]
    assert found["margin", 1] == found["random", 1] and all(len(rows) == 40 for rows in found.values())


@pytest.mark.parametrize(
    "words",
    [
        ("gate", "by=energy", "accept=0.8"),
        ("gate", "by=nearest", "accept=0.8"),
        ("prefilter", "strategy={name: gate, accept: 0.8}", "by=random"),
    ],
)
def test_a_gate_is_judged_by_what_is_known(words: tuple[str, ...], here: Round) -> None:
    rows, told = chosen(here.now(), strategy(*words))
    judged = told["gate"]
    assert set(judged) == {"auroc", "fpr95", "kept", "known_kept", "purity"}
    assert all(0 <= value <= 1 for value in judged.values())
    pool = np.setdiff1d(np.arange(200), here.rows)
    known = here.material.known[pool]
    kept = judged["kept"] * len(pool)
    assert judged["purity"] * kept == pytest.approx(judged["known_kept"] * known.sum())
    assert len(rows) == 8


def test_a_gate_in_a_pool_of_known_classes_has_nothing_to_tell_apart() -> None:
    all_known = Round(recipe("active.folds=2"))
    judged = chosen(all_known.now(), strategy("gate"))[1]["gate"]
    assert judged["auroc"] is None and judged["fpr95"] is None and judged["purity"] == 1


def test_there_are_no_more_folds_than_labels(here: Round) -> None:
    few = Round(changed(recipe("active.folds=5"), acquisition=None))
    few.rows = few.rows[:3]
    assert len(chosen(few.now(), strategy("gate"))[0]) == 8


def test_labels_without_embeddings_are_told_to_those_who_do_not_look_at_them(here: Round) -> None:
    rows, _ = chosen(here.now(), strategy("class-balanced"))
    assert len(set(rows.tolist())) == 8


def test_the_gate_is_told_of_each_answered_sample_by_a_model_that_was_not_trained_on_it(
    here: Round, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = np.flatnonzero(~here.material.known)[:4]
    trained: list[Labels] = []
    own = Workbench.train

    def watched(bench: Workbench, labels: Labels, seed: int, start: Any = None) -> Any:
        trained.append(labels)
        return own(bench, labels, seed, start)

    monkeypatch.setattr(Workbench, "train", watched)
    finished(choose(here.now(asked=unknown), strategy("gate"), 5))
    assert len(trained) == 3
    for rows, parts in ((here.rows, [part.rows for part in trained]), (unknown, [part.unknown for part in trained])):
        left = [sorted(set(rows.tolist()) - set(part.tolist())) for part in parts]
        assert sorted(row for some in left for row in some) == sorted(rows.tolist()) and all(left)
        assert all(set(part.tolist()) < set(rows.tolist()) for part in parts)
    classes = dict(zip(here.rows.tolist(), here.material.labels[here.rows].tolist(), strict=True))
    assert all([classes[row] for row in part.rows.tolist()] == part.classes.tolist() for part in trained)
