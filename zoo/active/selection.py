"""From a strategy to the samples asked for: the one place where scores become positions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.bases import BatchStrategy, Pool, ScoreStrategy
from zoo.errors import ComponentError
from zoo.training.randomness import uniform_ids


def select(strategy: ScoreStrategy | BatchStrategy, pool: Pool, k: int, *, block: int = 4096) -> list[int]:
    """Return k distinct positions of the pool, best first; raises what `rank` raises."""
    return rank(strategy, pool, k, block=block)[0]


def rank(
    strategy: ScoreStrategy | BatchStrategy, pool: Pool, k: int, *, block: int = 4096
) -> tuple[list[int], list[float] | None]:
    """Return k distinct positions of the pool, best first, and their scores, None for a strategy that chooses them together.

    Scores are computed in blocks of up to `block` samples; ties are broken by a draw that depends on (seed, round, sample id),
    so that the same ids are chosen in whatever order the pool stands. Raises ComponentError for k above the pool's size, for a
    score that is not a number, and for a batch strategy that repeats or leaves out positions.
    """
    if not 0 < k <= len(pool):
        raise ComponentError(f"cannot ask for {k} of {len(pool)} samples", possible=f"1 … {len(pool)}")
    if isinstance(strategy, BatchStrategy):
        return _checked(strategy.select(pool, k), len(pool), k, strategy), None
    scores = _scores(strategy, pool, block)
    if bool(scores.isnan().any()):
        raise ComponentError(
            f"{_name(strategy)} gave scores that are not numbers for {int(scores.isnan().sum())} samples"
        )
    by_tie = torch.argsort(ties(pool), stable=True)
    ranked = by_tie[torch.argsort(scores[by_tie], descending=True, stable=True)]
    return ranked[:k].tolist(), scores[ranked[:k]].tolist()


def ties(pool: Pool) -> Tensor:
    """Return float64 `(n,)` in [0, 1): of samples of one score, the one with the lowest is taken first.

    For strategies that must choose as scores do where they are the same.
    """
    return uniform_ids(pool.seed, "ties", pool.round, pool.ids)[:, 0]


def _scores(strategy: ScoreStrategy, pool: Pool, block: int) -> Tensor:
    # In one tensor from the start: small ones kept between large blocks would stand in the way of memory that is used again.
    scores, start = torch.full((len(pool),), torch.nan, dtype=torch.float64), 0
    for part in pool.blocks(block):
        found = torch.as_tensor(strategy.score(part, pool))
        if found.shape != (len(part.ids),):
            raise ComponentError(
                f"{_name(strategy)} must give one score per sample, got {tuple(found.shape)} for {len(part.ids)} instead"
            )
        scores[start : start + len(found)] = found
        start += len(found)
        del part, found  # which may be a view of it, before there is room for the next
    return scores


def _checked(positions: Sequence[int], size: int, k: int, strategy: BatchStrategy) -> list[int]:
    chosen = [int(position) for position in positions]
    if len(chosen) != k or len(set(chosen)) != k or not all(0 <= position < size for position in chosen):
        raise ComponentError(
            f"{_name(strategy)} must choose {k} distinct positions below {size}, got {chosen!r:.80} instead"
        )
    return chosen


def _name(strategy: object) -> str:
    return type(strategy).__name__
