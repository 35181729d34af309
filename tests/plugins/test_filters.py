from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from fixtures.pools import component, labelled, needs, noise, pool, strategy
from torch import Tensor

import zoo
from zoo.active.pool import Fields, UnlabeledPool
from zoo.active.selection import select
from zoo.bases import BatchStrategy, Pool
from zoo.components import AcquisitionSpec, Component, NoParams, Provenance
from zoo.errors import ComponentError, RecipeError
from zoo_acquisitions import filters
from zoo_acquisitions.filters import Distinct, Prefilter
from zoo_acquisitions.specs.filters import Distinct as DistinctParams
from zoo_acquisitions.specs.filters import Prefilter as PrefilterParams

LINE = torch.arange(10.0)[:, None].half()


class Curious(BatchStrategy):
    """Reads embeddings, which its spec does not name."""

    def select(self, pool: Pool, k: int) -> Sequence[int]:
        return list(range(len(pool.embeddings)))[:k]


def build_curious(params: NoParams) -> BatchStrategy:
    return Curious()


def curious() -> Component[Any]:
    spec = AcquisitionSpec(name="curious", factory=f"{__name__}:build_curious", summary="reads too much")
    return Component(spec, "acme/curious", NoParams(), Provenance("acme", "acme", "1"))


def margins(*sizes: float) -> Tensor:
    """Return log-probabilities of two classes with these gaps."""
    gaps = torch.tensor(sizes)
    return torch.stack([(1 + gaps) / 2, (1 - gaps) / 2], dim=1).log()


def test_needs_are_those_of_the_filter_and_of_its_strategy() -> None:
    assert needs("prefilter", "strategy=random", "by=random") == set()
    assert needs("prefilter", "strategy=entropy", "by=nearest") == {"embeddings", "labeled", "log_probabilities"}
    assert needs("prefilter", "strategy=k-center", "by=margin") == {"embeddings", "labeled", "log_probabilities"}
    assert needs("distinct", "strategy=random") == {"embeddings", "labeled"}
    inside = needs("distinct", "strategy.name=prefilter", "strategy.by=margin", "strategy.strategy=random")
    assert inside == {"embeddings", "labeled", "log_probabilities"}


def test_the_smallest_margins_are_what_the_strategy_chooses_from() -> None:
    """0 is labelled; of the five smallest margins, at 1 … 5, the farthest is 5 and then, of 2 and 3, either."""
    samples = pool(LINE, labeled=labelled(LINE[:1]), log_probabilities=margins(0.9, *[0.1] * 5, *[0.8] * 4))
    chosen = select(strategy("prefilter", "keep=5"), samples, 1)
    assert chosen == [5]
    assert select(strategy("prefilter", "keep=1"), samples, 5)[0] == 5
    assert select(strategy("prefilter", "keep=50"), samples, 1) == [9]


def test_the_nearest_to_labelled_samples_are_what_the_strategy_chooses_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "BLOCK", 3)
    near = labelled(torch.tensor([[0.2], [8.9]]).half())
    chosen = select(strategy("prefilter", "by=nearest", "strategy=random", "keep=1"), pool(LINE, labeled=near), 4)
    assert set(chosen) == {0, 1, 8, 9}


@pytest.mark.parametrize("by", ["random", "nearest"])
def test_any_are_kept_where_nothing_has_a_label(by: str) -> None:
    settings = (f"by={by}", "strategy=margin", "keep=3")
    found = set()
    for seed in range(20):
        samples = pool(LINE, log_probabilities=margins(*torch.arange(0.0, 1.0, 0.1).tolist()), seed=seed)
        found.add(select(strategy("prefilter", *settings), samples, 1)[0])
    assert len(found) > 2 and max(found) <= 7  # the smallest of three margins


def test_what_alike_samples_would_add_is_passed_over() -> None:
    """Of three directions, twice each, those of the smaller margins are chosen, then the rest by margin."""
    embeddings = torch.tensor([[1.0, 0.0], [2.0, 0.01], [0.0, 1.0], [0.01, 3.0], [-1.0, 0.0], [-5.0, 0.0]]).half()
    samples = pool(embeddings, log_probabilities=margins(0.1, 0.2, 0.3, 0.4, 0.6, 0.5))
    assert select(strategy("distinct"), samples, 2) == [0, 2]
    assert select(strategy("distinct"), samples, 6) == [0, 2, 5, 1, 3, 4]
    assert select(strategy("distinct", "threshold=1"), samples, 2) == [0, 1]
    near = labelled(torch.tensor([[7.0, 0.0]]).half())
    samples = pool(embeddings, labeled=near, log_probabilities=margins(0.1, 0.2, 0.3, 0.4, 0.6, 0.5))
    assert select(strategy("distinct"), samples, 3) == [2, 5, 0]


@pytest.mark.parametrize("count", [0, 30])
@pytest.mark.parametrize("block", [7, 1024])
def test_no_two_of_what_is_chosen_are_alike(count: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "BLOCK", block)
    embeddings, have = noise(120, 3).half(), noise(count, 3, seed=1).half()
    samples = pool(embeddings, labeled=labelled(have))
    expected: list[int] = []
    ranked = select(strategy("random"), samples, 120)
    unit = torch.nn.functional.normalize(torch.cat([embeddings, have]).double())
    for position in ranked:
        others = [*expected, *range(120, 120 + count)]
        if not others or float((unit[others] @ unit[position]).max()) <= 0.9:
            expected.append(position)
    k = min(12, len(expected))
    assert k >= 5
    assert select(strategy("distinct", "strategy=random", "threshold=0.9"), samples, k) == expected[:k]


def streamed(fields: Fields, needs: frozenset[str], have: Tensor) -> tuple[UnlabeledPool, Counter[str]]:
    """Return a pool that computes its fields, and how many rows it has computed of each."""
    counts: Counter[str] = Counter()

    def compute(rows: Sequence[Tensor], wanted: frozenset[str]) -> Iterator[Fields]:
        for row in rows:
            counts.update({name: len(row) for name in wanted})
            yield {name: fields[name][row] for name in wanted}

    names = [f"{i:05d}" for i in range(len(fields["embeddings"]))]
    return UnlabeledPool(names, compute, needs, shared={"labeled": lambda: labelled(have)}), counts


@pytest.mark.parametrize(
    ("inner", "passes"),
    [("bald", 1), ("entropy", 1), ("clue", 2), ("batch-bald", 1), ("{name: prefilter, by: random, strategy: bald}", 2)],
)
def test_what_the_strategy_looks_at_is_not_computed_for_each_number_asked_for(inner: str, passes: int) -> None:
    """Of 600 samples with 20 embeddings all must be looked at, five doublings of what is asked for."""
    fields = {
        "embeddings": noise(20, 4).repeat(30, 1).half(),
        "log_probabilities": noise(600, 3, seed=1).log_softmax(1).float(),
        "mc_log_probabilities": noise(600, 4, 3, seed=2).log_softmax(2).float(),
    }
    settings = (f"strategy={inner}",)
    samples, counts = streamed(fields, needs("distinct", *settings), LINE[:0].expand(0, 4))
    chosen = select(strategy("distinct", *settings), samples, 22)
    assert len({position % 20 for position in chosen[:20]}) == 20 and len(set(chosen)) == 22
    assert counts and max(counts.values()) <= 600 * passes


@pytest.mark.parametrize("name", ["prefilter", "distinct"])
@pytest.mark.parametrize("inner", ["random", "margin", "k-center", "badge"])
def test_every_number_of_samples_can_be_had_of_duplicates_too(name: str, inner: str) -> None:
    for rows in (torch.zeros(6, 2), noise(6, 2), noise(2, 2).repeat(3, 1), noise(1, 2)):
        samples = pool(rows.half(), log_probabilities=torch.zeros(len(rows), 1), labeled=labelled(rows[:1].half()))
        for k in range(1, len(rows) + 1):
            assert len(set(select(strategy(name, f"strategy={inner}"), samples, k))) == k


@pytest.mark.parametrize("settings", [("prefilter", "keep=2"), ("prefilter", "by=nearest", "keep=2"), ("distinct",)])
def test_a_permuted_pool_gives_the_same_ids(settings: tuple[str, ...]) -> None:
    log_p = noise(60, 4, seed=2).log_softmax(1).float()
    samples = pool(noise(60, 3).half(), log_probabilities=log_p, labeled=labelled(noise(5, 3, seed=1).half()))
    turned = samples.taken(torch.arange(60).flip(0).roll(11))
    first, second = (select(strategy(*settings), each, 20) for each in (samples, turned))
    assert [samples.ids[i] for i in first] == [turned.ids[i] for i in second]


def test_a_strategy_inside_reads_no_more_than_it_says() -> None:
    samples = pool(LINE, log_probabilities=margins(*[0.5] * 10))
    around = (
        Prefilter(PrefilterParams(strategy=curious(), by="nearest")),
        Distinct(DistinctParams(strategy=curious())),
    )
    for each in around:
        with pytest.raises(ComponentError, match="reads 'embeddings', which its `needs` does not name"):
            select(each, samples, 2)


def test_a_recipe_whose_inner_strategy_needs_embeddings_asks_for_an_architecture_that_has_them() -> None:
    wanted = ["architecture=ensemble", "acquisition={name: prefilter, by: random, strategy: k-center}"]
    with pytest.raises(RecipeError, match="acquisition 'prefilter' needs embeddings, which architecture"):
        zoo.resolve("conv-net-momentum", *wanted)
    assert zoo.resolve("conv-net-momentum", *wanted, "acquisition.strategy=entropy").acquisition is not None


def test_filters_are_components_with_a_strategy_inside() -> None:
    found = component("prefilter", "strategy=badge", "keep=3")
    assert found.params.strategy.name == "badge" and found.params.keep == 3
    with pytest.raises(RecipeError, match="unknown acquisition 'bagde'; did you mean 'badge'"):
        component("prefilter", "strategy=bagde")
