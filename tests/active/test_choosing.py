"""What a strategy asks for, given what a round's model knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from fixtures import benches
from fixtures.benches import CATALOG, finished, permuted, recipe
from msgspec.structs import replace as changed

import zoo
from zoo.active.choosing import Situation, _pool, choose, members, needs
from zoo.active.dropout_masks import Masks
from zoo.active.dropout_passes import passes
from zoo.active.gate import auroc
from zoo.active.journal import Labels
from zoo.active.material import TARGET, Material, Rows, gather
from zoo.active.proposal import _wants_fixed_embeddings
from zoo.active.scoring import Scorer
from zoo.active.selection import select
from zoo.active.workbench import Workbench, round_seed
from zoo.bases import BatchStrategy, Block, Labeled, Pool, ScoreStrategy
from zoo.components import AcquisitionSpec, Component, NoParams, Params, Provenance
from zoo.errors import DataError, ZooError
from zoo.nesting import inner
from zoo.recipe import Recipe
from zoo.registry import resolve_component
from zoo_acquisitions.gate import OutlierGate

NOTHING = np.array([], np.int64)
ACME = Provenance("acme", "acme-zoo", "1")


class Turns(Params, frozen=True, kw_only=True):
    """Strategies of a third party, which are asked in turn."""

    lead: Component[Literal["acquisition"]]
    others: tuple[Component[Literal["acquisition"]], ...] = ()


class InTurn(BatchStrategy):
    def __init__(self, params: Turns) -> None:
        parts = (params.lead, *params.others)
        self.asked = {part.name: (part.build(), needs(part)) for part in parts}

    def select(self, pool: Pool, k: int) -> Sequence[int]:
        everything = torch.arange(len(pool))
        ranked = [select(built, pool.taken(everything, own), len(pool)) for built, own in self.asked.values()]
        return list(dict.fromkeys(position for turn in zip(*ranked, strict=True) for position in turn))[:k]


def needs_of_turns(params: Turns) -> frozenset[str]:
    return frozenset().union(*map(needs, (params.lead, *params.others)))


def in_turn(lead: Component[Any], *others: Component[Any]) -> Component[Any]:
    # Its schema has no default, which that of a plugin's has: here nothing resolves it.
    spec = AcquisitionSpec(
        name="turns", factory=f"{__name__}:InTurn", summary="strategies in turn", needs=None,
        describe=f"{__name__}:needs_of_turns",
    )  # fmt: skip
    return Component(spec, "acme/turns", Turns(lead=lead, others=others), ACME)


class Curious(ScoreStrategy):
    """A strategy of a third party that tells what it was told of labelled samples."""

    told: ClassVar[list[Labeled]] = []

    def score(self, block: Block, pool: Pool) -> torch.Tensor:
        self.told.append(pool.labeled)
        return torch.zeros(len(block.ids))


class Asking(Curious):
    """And what the model says of them."""

    said: ClassVar[list[torch.Tensor]] = []

    def score(self, block: Block, pool: Pool) -> torch.Tensor:
        self.said.append(pool.labeled_log_probabilities)
        return super().score(block, pool)


def build_curious(params: Params) -> Curious:
    return Curious()


def build_asking(params: Params) -> Asking:
    return Asking()


def curious(*reads: Any) -> Component[Any]:
    spec = AcquisitionSpec(
        name="curious",
        factory=f"{__name__}:build_{'asking' if 'labeled_log_probabilities' in reads else 'curious'}",
        summary="looks at labels",
        needs=frozenset(reads),
    )
    return Component(spec, "acme/curious", NoParams(), ACME)


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


def committee(names: str) -> Component[Any]:
    return strategy("committee", f"members=[{names}]")


AROUND: dict[str, Callable[[str], Component[Any]]] = {
    "committee": committee,
    "prefilter": lambda names: strategy("prefilter", f"strategy={{name: committee, members: [{names}]}}"),
    "gate": lambda names: strategy("gate", f"strategy={{name: committee, members: [{names}]}}"),
    "lead": lambda names: in_turn(committee(names), strategy("margin")),
    "others": lambda names: in_turn(strategy("margin"), strategy("random"), committee(names)),
}


@pytest.mark.parametrize("name", AROUND)
def test_a_committee_has_two_members_or_more(name: str) -> None:
    of = AROUND[name]
    assert members(of("lenet5-adamw, resnet18-sgd")) == ("lenet5-adamw", "resnet18-sgd")
    with pytest.raises(ZooError, match="strategy committee asks a committee of 1 recipes"):
        members(of("lenet5-adamw"))
    assert members(strategy("margin")) == () == members(strategy("prefilter"))


def test_a_recipe_may_be_several_members() -> None:
    assert members(committee("lenet5-adamw, lenet5-adamw")) == ("lenet5-adamw", "lenet5-adamw")
    assert members(committee("b, a, b")) == ("b", "a", "b")


def test_a_strategy_asks_one_committee() -> None:
    assert members(in_turn(committee("a, b"), committee("b, a"))) == ("a", "b")
    with pytest.raises(ZooError, match="strategy acme/turns asks several committees: a, b and a, a, b"):
        members(in_turn(committee("a, b"), committee("a, a, b")))


def test_what_is_made_for_fixed_embeddings_is_found_inside_of_other_strategies() -> None:
    typical, near = strategy("typiclust"), strategy("prefilter", "strategy=typiclust", "by=random")
    for fixed in (typical, near, in_turn(typical), in_turn(strategy("margin"), strategy("random"), near)):
        assert _wants_fixed_embeddings(fixed)
    assert not any(map(_wants_fixed_embeddings, (strategy("margin"), in_turn(strategy("margin"), strategy("random")))))


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
        ("prefilter", "strategy={name: gate, accept: 0.8}", "by=random", "keep=100"),
    ],
)
def test_a_gate_is_judged_by_what_is_known(words: tuple[str, ...], here: Round) -> None:
    rows, told = chosen(here.now(), strategy(*words))
    judged = told["gate"]
    assert set(judged) == {"judged", "auroc", "fpr95", "kept", "known_kept", "purity"}
    assert all(0 <= value <= 1 for name, value in judged.items() if name != "judged")
    pool = np.setdiff1d(np.arange(200), here.rows)
    known = here.material.known[pool]
    kept = judged["kept"] * len(pool)
    assert judged["purity"] * kept == pytest.approx(judged["known_kept"] * known.sum())
    assert len(rows) == 8 and judged["judged"] == 170


AROUND_A_GATE: dict[str, tuple[int, Callable[[], Component[Any]]]] = {
    "gate": (170, lambda: strategy("gate", "strategy=badge", "accept=0.6")),
    "prefilter": (24, lambda: strategy("prefilter", "strategy={name: gate, strategy: badge}", "by=random", "keep=3")),
    "distinct": (170, lambda: strategy("distinct", "strategy.name=gate", "strategy.strategy=margin", "threshold=0.1")),
    "lead": (170, lambda: in_turn(strategy("gate"), strategy("random"))),
    "others": (170, lambda: in_turn(strategy("random"), strategy("margin"), strategy("gate"))),
}


@pytest.mark.parametrize("name", AROUND_A_GATE)
def test_a_gate_judges_once_and_is_told_of_what_it_judged(
    name: str, here: Round, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, made = AROUND_A_GATE[name]
    judged: list[Pool] = []
    judge = OutlierGate.judge

    def watched(gate: OutlierGate, pool: Pool) -> tuple[torch.Tensor, float]:
        judged.append(pool)
        return judge(gate, pool)

    monkeypatch.setattr(OutlierGate, "judge", watched)
    rows: list[int] = []
    told = chosen(replace(here.now(), pulse=rows.append), made())[1]["gate"]
    (seen,) = judged
    assert told["judged"] == len(seen) == count
    known = here.material.known[[here.material.ids.index(id) for id in seen.ids]]
    scores, limit = judge(OutlierGate(made_params(made())), seen)
    accepted = (scores <= limit).numpy()
    assert told["kept"] == accepted.mean() and told["purity"] == known[accepted].mean()
    assert told["auroc"] == auroc(scores[torch.from_numpy(known)], scores[torch.from_numpy(~known)])
    assert sum(rows) == count or name in ("lead", "others")  # where others look at the pool as well


def made_params(around: Component[Any]) -> Any:
    """Return the parameters of the gate that is a strategy, or is inside of it."""
    if around.name == "gate":
        return around.params
    return next(part.params for part in inner(around).values() if part.name == "gate")


def test_a_gate_that_was_not_asked_is_not_reported(here: Round) -> None:
    aside = in_turn(strategy("random"), strategy("gate"))
    assert "gate" in chosen(here.now(), aside)[1]
    spec = changed(aside.spec, factory="zoo_acquisitions.random_choice:build")
    assert "gate" not in chosen(here.now(), Component(spec, aside.name, aside.params, ACME))[1]


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


def test_what_the_model_says_of_labelled_samples_is_computed_where_it_is_read(
    here: Round, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, frozenset[str]]] = []
    own = Scorer.__call__

    def watched(scorer: Scorer, rows: Sequence[torch.Tensor], wanted: frozenset[str]) -> Any:
        asked.append((sum(map(len, rows)), wanted))
        return own(scorer, rows, wanted)

    monkeypatch.setattr(Scorer, "__call__", watched)
    monkeypatch.setattr(Curious, "told", [])
    monkeypatch.setattr(Asking, "said", [])
    said = frozenset({"log_probabilities"})
    for reads in (("labeled",), ("embeddings", "labeled", "log_probabilities")):
        chosen(here.now(), curious(*reads))
    assert (30, said) not in asked
    chosen(here.now(), curious("labeled", "labeled_log_probabilities"))
    assert asked.count((30, said)) == 1
    bare, embedded, last = Curious.told
    assert [len(each.labels) for each in Curious.told] == [30] * 3
    assert bare.embeddings.numel() == last.embeddings.numel() == 0 and len(embedded.embeddings) == 30
    rows = here.rows[np.argsort(here.material.place[here.rows])]
    scorer = here.now().scorer(here.bench, here.x)
    (expected,) = own(scorer, [torch.from_numpy(rows)], said)
    (found,) = Asking.said
    assert found.dtype == torch.float32 and torch.equal(found, expected["log_probabilities"])
    labels = here.material.labels[rows].tolist()
    assert last.labels.tolist() == labels


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


INPUTS = ("regularizers=[{name: dropout, rate: 0.5}]", "active.passes=4")


def inputs(rows: Rows) -> Component[Any]:
    """Return a source with images of noise, in this order."""
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8), np.uint8)[rows]
    np.savez("inputs.npz", **{f"x_{name}": images for name in ("train", "test")}, y_train=rows % 2, y_test=rows % 2)
    found: Component[Any] = zoo.resolve("conv-net-momentum", data="inputs.npz").source
    return found


def test_named_target_inputs_are_those_that_predictions_are_wanted_for() -> None:
    """The passes over them have the masks of the pool's passes."""
    asked, found = recipe(*INPUTS), []
    for rows in (np.arange(30), np.random.default_rng(1).permutation(30)):
        here = Round(asked, gather(asked, target_inputs=inputs(rows)))
        pool = _pool(here.now(), np.arange(20), frozenset({"mc_log_probabilities", "target"}), [])
        seen = here.x.preprocess.evaluate(torch.from_numpy(here.material.dataset.splits[TARGET].pixels((8, 8), 0)))
        expected = passes(here.x.evaluation_network(), seen, masks=Masks(round_seed(0, 0)), passes=4)
        assert torch.allclose(pool.target, expected, atol=1e-5)
        found.append(pool.target)
    assert torch.allclose(found[0], found[1], atol=1e-5)


def test_other_target_inputs_are_asked_about_otherwise() -> None:
    asked = recipe(*INPUTS)
    plain, other = Round(asked), Round(asked, gather(asked, target_inputs=inputs(np.arange(30))))
    epig = strategy("epig")
    assert chosen(plain.now(), epig)[0].tolist() != chosen(other.now(), epig)[0].tolist()
    assert chosen(plain.now(), strategy("bald"))[0].tolist() == chosen(other.now(), strategy("bald"))[0].tolist()
