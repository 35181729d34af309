from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from weakref import ReferenceType, ref

import pytest
import torch
from torch import Tensor

from zoo.active.pool import Fields, UnlabeledPool, in_memory
from zoo.active.selection import rank, select
from zoo.bases import BatchStrategy, Block, Pool, ScoreStrategy
from zoo.errors import ComponentError
from zoo.testing.pool import MemoryPool
from zoo_acquisitions.bayesian import BALD


class Scores(ScoreStrategy):
    """Hands out what a function makes of a block."""

    def __init__(self, of: Callable[[Block], Tensor]) -> None:
        self._of = of

    def score(self, block: Block, pool: Pool) -> Tensor:
        return self._of(block)


class Positions(BatchStrategy):
    """Chooses the same positions whatever is asked."""

    def __init__(self, positions: Sequence[int]) -> None:
        self._positions = positions

    def select(self, pool: Pool, k: int) -> Sequence[int]:
        return self._positions


def pool(values: Sequence[float], *, seed: int = 0, round: int = 0) -> MemoryPool:
    """Return a pool of samples a, b, c, … whose one logit is the value."""
    ids = [chr(ord("a") + i) for i in range(len(values))]
    return MemoryPool(ids, {"logits": torch.tensor(values)[:, None]}, frozenset({"logits"}), seed=seed, round=round)


VALUE = Scores(lambda block: block.logits[:, 0])
FLAT = Scores(lambda block: torch.zeros(len(block.ids)))


def test_the_highest_scores_come_first() -> None:
    assert select(VALUE, pool([0.1, 0.9, -1.0, 0.5]), 3) == [1, 3, 0]
    assert select(VALUE, pool([0.1, 0.9, -1.0, 0.5]), 4) == [1, 3, 0, 2]
    endless = Scores(lambda block: (block.logits[:, 0] + 1).log() - (1 - block.logits[:, 0]).log())
    assert select(endless, pool([0.0, 1.0, -1.0]), 3) == [1, 0, 2]


@pytest.mark.parametrize("k", [0, -1, 5])
def test_more_than_the_pool_or_nothing_is_refused(k: int) -> None:
    for strategy in (VALUE, Positions([0, 1, 2, 3])):
        with pytest.raises(ComponentError, match=rf"cannot ask for {k} of 4 samples\n  possible: 1 … 4"):
            select(strategy, pool([0.1, 0.9, -1.0, 0.5]), k)


def test_scores_that_are_not_numbers_are_counted_and_refused() -> None:
    with pytest.raises(ComponentError, match="Scores gave scores that are not numbers for 2 samples"):
        select(Scores(lambda block: block.logits[:, 0].sqrt()), pool([0.1, -1.0, 0.3, -2.0]), 1)


def test_a_score_per_sample_is_asked_for() -> None:
    with pytest.raises(ComponentError, match=r"Scores must give one score per sample, got \(3,\) for 4 instead"):
        select(Scores(lambda block: block.logits[:-1, 0]), pool([1.0, 2.0, 3.0, 4.0]), 1)
    with pytest.raises(ComponentError, match=r"got \(4, 1\) for 4 instead"):
        select(Scores(lambda block: block.logits), pool([1.0, 2.0, 3.0, 4.0]), 1)


def test_scores_are_compared_in_double_precision_and_may_be_low_or_whole_numbers() -> None:
    close = Scores(lambda block: torch.tensor([1.0, 1.0 + 1e-12, 1.0 - 1e-12], dtype=torch.float64))
    assert select(close, pool([0.0] * 3), 3) == [1, 0, 2]
    assert select(Scores(lambda block: torch.tensor([2, 7, 5])), pool([0.0] * 3), 3) == [1, 2, 0]
    assert select(Scores(lambda block: block.logits[:, 0].bfloat16()), pool([2.0, 7.0, 5.0]), 3) == [1, 2, 0]


def test_ties_are_broken_by_the_id_and_not_by_the_position() -> None:
    values = [0.5] * 8 + [0.9] * 2
    whole = pool(values)
    chosen = [whole.ids[i] for i in select(VALUE, whole, 6)]
    assert set(chosen[:2]) == {"i", "j"}
    for start in range(1, 10):
        turned = whole.taken(torch.arange(10).roll(start))
        assert [turned.ids[i] for i in select(VALUE, turned, 6)] == chosen


def test_ties_are_drawn_anew_for_each_seed_and_round() -> None:
    first = select(FLAT, pool([0.0] * 20), 20)
    assert sorted(first) == list(range(20)) and first != list(range(20))
    assert select(FLAT, pool([0.0] * 20, seed=1), 20) != first
    assert select(FLAT, pool([0.0] * 20, round=1), 20) != first
    assert select(FLAT, pool([0.0] * 20), 20) == first


def test_every_tied_sample_may_come_first() -> None:
    firsts = [select(FLAT, pool([0.0] * 4, seed=seed), 1)[0] for seed in range(400)]
    counts = torch.bincount(torch.tensor(firsts), minlength=4)
    assert int(counts.min()) > 60  # 100 expected, standard deviation 8.7


def test_blocks_hold_at_most_so_many_samples_and_all_of_them() -> None:
    seen: list[list[str]] = []

    def score(block: Block) -> Tensor:
        seen.append(list(block.ids))
        return block.logits[:, 0]

    assert select(Scores(score), pool([3.0, 1.0, 5.0, 4.0, 2.0]), 5, block=2) == [2, 3, 0, 4, 1]
    assert seen == [["a", "b"], ["c", "d"], ["e"]]


def test_a_block_is_gone_before_there_is_room_for_the_next() -> None:
    seen: list[ReferenceType[Tensor]] = []

    def compute(rows: Sequence[Tensor], wanted: frozenset[str]) -> Iterator[Fields]:
        for row in rows:
            assert not any(each() is not None for each in seen)
            yield {"logits": row[:, None].float()}

    def score(block: Block) -> Tensor:
        seen.append(ref(block.logits.untyped_storage()))
        return block.logits[:, 0]

    samples = UnlabeledPool([str(i) for i in range(40)], compute, frozenset({"logits"}), unit=10)
    assert select(Scores(score), samples, 2, block=10) == [39, 38] and len(seen) == 4


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_wide_rows_are_scored_within_the_memory_limit(limit: int) -> None:
    """300 samples of 20 × 1,000 numbers are 23 MiB, and 13 of them 1 MiB; whatever the blocks, the choice is the same."""
    passes = torch.randn(300, 20, 1000, generator=torch.Generator().manual_seed(0)).log_softmax(2)
    passes[50:60] = passes[50].clone()  # ties, and not only at one end of a block
    sizes: list[int] = []

    class Bald(BALD):
        def score(self, block: Block, pool: Pool) -> Tensor:
            sizes.append(len(block.ids))
            return super().score(block, pool)

    samples = UnlabeledPool(
        [f"{i:04}" for i in range(300)],
        in_memory({"mc_log_probabilities": passes}),
        frozenset({"mc_log_probabilities"}),
        memory_limit=limit,
        unit=8,
    )
    whole = rank(BALD(), MemoryPool(samples.ids, {"mc_log_probabilities": passes}, samples._needs), 300)
    assert rank(Bald(), samples, 300) == whole
    assert max(sizes) == min(300, limit * 2**20 // 80_000)


def test_a_batch_strategy_keeps_its_order() -> None:
    assert select(Positions([3, 0, 2]), pool([0.0] * 4), 3) == [3, 0, 2]
    assert select(Positions(torch.tensor([3, 0])), pool([0.0] * 4), 2) == [3, 0]  # type: ignore[arg-type]


@pytest.mark.parametrize("positions", [[0, 0, 1], [0, 1], [0, 1, 2, 3], [0, 1, 4], [0, 1, -1], []])
def test_a_batch_strategy_that_repeats_leaves_out_or_leaves_the_pool_is_refused(positions: list[int]) -> None:
    with pytest.raises(ComponentError, match=r"Positions must choose 3 distinct positions below 4, got \["):
        select(Positions(positions), pool([0.0] * 4), 3)
