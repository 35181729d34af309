"""A gate in front of a strategy."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fixtures.pools import CATALOG, component, needs, noise
from torch import Tensor

from zoo.active.gate import boundary, knn, threshold
from zoo.active.selection import select
from zoo.bases import Gate, HeldOut, Labeled
from zoo.errors import ComponentError, RecipeError
from zoo.registry import resolve_component
from zoo.testing.pool import MemoryPool
from zoo.training.outliers import energy

IDS = [f"{number:03}" for number in range(40)]
LOGITS = noise(40, 3).float() * 2
LOGITS[::4] *= 0.05  # every fourth is like nothing that was seen
VECTORS = noise(40, 4, seed=1).half()
LABELED = Labeled(embeddings=noise(12, 4, seed=2).half(), labels=torch.arange(12) % 3, class_counts=torch.full((3,), 4))


NOTHING = torch.empty(0, 0)


def held(logits: Tensor, unknown: Tensor = NOTHING) -> list[HeldOut]:
    """Return what models say of labelled samples in two folds, and of unknown ones, whose embeddings are like their logits."""
    vectors = LABELED.embeddings
    halves = ((vectors[:6], vectors[6:]), (vectors[6:], vectors[:6]))
    return [
        HeldOut(
            logits=part,
            embeddings=own,
            others=others,
            unknown_logits=few,
            unknown_embeddings=few.repeat(1, 2)[:, :4].half(),
        )
        for part, (own, others), few in zip(logits.chunk(2), halves, torch.tensor_split(unknown, 2), strict=True)
    ]


HELD_LOGITS = noise(12, 3, seed=3).float() * 2
HELD = held(HELD_LOGITS)


def pool(*settings: str, order: Tensor | None = None, folds: list[HeldOut] = HELD) -> MemoryPool:
    order = torch.arange(40) if order is None else order
    fields = {"logits": LOGITS[order], "log_probabilities": LOGITS.log_softmax(1)[order], "embeddings": VECTORS[order]}
    readable = needs("gate", *settings)
    own = {name: value for name, value in fields.items() if name in readable}
    return MemoryPool([IDS[i] for i in order.tolist()], own, readable, shared={"labeled": LABELED, "held_out": folds})


def gate(*settings: str) -> Gate:
    built = component("gate", *settings).build()
    assert isinstance(built, Gate)
    return built


def accepted(built: Gate, samples: MemoryPool) -> Tensor:
    scores, limit = built.judge(samples)
    return scores <= limit


def test_its_needs_are_those_of_the_strategy_and_its_own() -> None:
    assert needs("gate") == {"log_probabilities", "logits", "held_out"}
    assert needs("gate", "by=nearest", "strategy=random") == {"embeddings", "labeled", "held_out"}
    assert needs("gate", "strategy=bald") == {"mc_log_probabilities", "logits", "held_out"}


def test_energies_up_to_a_quantile_of_held_out_ones_are_accepted() -> None:
    samples, built = pool(), gate("accept=0.8")
    assert torch.equal(built.judge(samples)[0], energy(LOGITS))
    limit = threshold(torch.cat([energy(fold.logits) for fold in HELD]), 0.8).value
    assert torch.equal(accepted(built, samples), energy(LOGITS) <= limit)
    assert 0 < int(accepted(built, samples).sum()) < 40


def test_energies_are_of_a_bounded_number_of_logits_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = list[int]()

    def watched(logits: Tensor) -> Tensor:
        sizes.append(logits.numel())
        return energy(logits)

    monkeypatch.setattr("zoo_acquisitions.gate.energy", watched)
    logits = noise(3000, 1000).float()
    samples = MemoryPool(
        [f"{number:04}" for number in range(3000)],
        {"logits": logits},
        needs("gate", "strategy=random"),
        shared={"held_out": HELD},
    )
    scores, _ = gate("strategy=random").judge(samples)
    assert torch.equal(scores, energy(logits)) and max(sizes) <= 2**21 < logits.numel()


def test_log_probabilities_whose_energies_are_all_nothing_are_refused() -> None:
    fields = {"logits": LOGITS.log_softmax(1), "log_probabilities": LOGITS.log_softmax(1)}
    samples = MemoryPool(IDS, fields, needs("gate"), shared={"labeled": LABELED, "held_out": HELD})
    with pytest.raises(ComponentError, match=r"energies are all 0") as refused:
        gate().judge(samples)
    assert "by: nearest" in str(refused.value)


def test_distances_to_labelled_samples_count_those_of_other_folds() -> None:
    samples, built = pool("by=nearest"), gate("by=nearest", "accept=0.7")
    assert torch.equal(built.judge(samples)[0], knn(VECTORS, LABELED.embeddings, 5))
    own = torch.cat([knn(fold.embeddings, fold.others, 5) for fold in HELD])
    assert torch.equal(accepted(built, samples), knn(VECTORS, LABELED.embeddings, 5) <= threshold(own, 0.7).value)


def test_fewer_labelled_samples_than_neighbours_all_count() -> None:
    few = Labeled(
        embeddings=LABELED.embeddings[:3], labels=torch.arange(3), class_counts=torch.ones(3, dtype=torch.int64)
    )
    folds = [
        HeldOut(
            logits=HELD[0].logits[:1], embeddings=few.embeddings[:1], others=few.embeddings[1:],
            unknown_logits=NOTHING, unknown_embeddings=NOTHING,
        )
    ]  # fmt: skip
    samples = MemoryPool(
        IDS,
        {"embeddings": VECTORS},
        needs("gate", "by=nearest", "strategy=random"),
        shared={"labeled": few, "held_out": folds},
    )
    assert torch.equal(gate("by=nearest", "strategy=random").judge(samples)[0], knn(VECTORS, few.embeddings, 3))


@pytest.mark.parametrize("by", ["energy", "nearest"])
def test_answers_that_samples_are_unknown_lower_the_limit_and_never_raise_it(by: str) -> None:
    told, built = held(HELD_LOGITS, noise(7, 3, seed=11).float() * 0.5), gate(f"by={by}", "accept=0.9")
    limits = [built.judge(pool(f"by={by}", folds=folds))[1] for folds in (HELD, told)]
    if by == "energy":
        known, unknown = (
            torch.cat([energy(getattr(fold, name)) for fold in told]) for name in ("logits", "unknown_logits")
        )
    else:
        known, unknown = (
            torch.cat([knn(getattr(fold, name), fold.others, 5) for fold in told])
            for name in ("embeddings", "unknown_embeddings")
        )
    assert limits == [threshold(known, 0.9).value, boundary(known, unknown)] and limits[1] < limits[0]


@pytest.mark.parametrize("by", ["energy", "nearest"])
def test_the_strategy_chooses_among_what_is_accepted_and_the_least_suspicious_follow(by: str) -> None:
    samples, built = pool(f"by={by}"), gate(f"by={by}", "accept=0.6")
    let_in, suspicion = accepted(built, samples), built.judge(samples)[0]
    kept = let_in.nonzero()[:, 0].tolist()
    alone = component("entropy").build()
    best = select(alone, samples.taken(torch.tensor(kept), frozenset({"log_probabilities"})), len(kept))  # type: ignore[arg-type]
    order = select(built, samples, 40)
    assert order[: len(kept)] == [kept[position] for position in best]
    rest = order[len(kept) :]
    assert sorted(order) == list(range(40)) and not let_in[rest].any()
    assert suspicion[rest].tolist() == sorted(suspicion[rest].tolist())
    assert select(built, samples, 5) == order[:5]


def test_where_nothing_is_accepted_the_least_suspicious_are_asked() -> None:
    certain = held(torch.full((12, 3), 50.0))  # whose energies are below those of all in the pool
    samples = pool(folds=certain)
    assert not accepted(gate(), samples).any()
    assert select(gate(), samples, 40) == sorted(range(40), key=lambda row: (float(energy(LOGITS)[row]), row))


@pytest.mark.parametrize("settings", [(), ("by=nearest",), ("strategy=random",), ("strategy=margin", "accept=0.5")])
def test_the_order_of_the_pool_plays_no_part(settings: tuple[str, ...]) -> None:
    order = torch.randperm(40, generator=torch.Generator().manual_seed(5))
    one, other = pool(*settings), pool(*settings, order=order)
    expected = [one.ids[i] for i in select(gate(*settings), one, 25)]
    assert [other.ids[i] for i in select(gate(*settings), other, 25)] == expected


def test_settings_out_of_range_are_refused() -> None:
    wrong: Any = [("accept=1",), ("accept=0",), ("by=luck",), ("strategy=nothing",)]
    for settings in wrong:
        with pytest.raises(RecipeError):
            resolve_component(CATALOG, "acquisition", "gate", list(settings))
    with pytest.raises(ComponentError, match="held_out"):
        gate().judge(MemoryPool(IDS, {"logits": LOGITS}, frozenset({"logits"})))
