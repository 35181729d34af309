"""Batch strategies that see the pool in the order of its ids, and the draws by id that they have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.bases import BatchStrategy, Pool
from zoo.training.randomness import id_words, uniform_ids, uniform_words


class OrderedStrategy(BatchStrategy):
    """Chooses from the pool in the order of its ids, so that no rounding of sums and products depends on where samples stood."""

    def select(self, pool: Pool, k: int) -> Sequence[int]:
        """Return k distinct positions in the pool, best first."""
        ids = pool.ids
        order = sorted(range(len(pool)), key=ids.__getitem__)
        if order == list(range(len(pool))):
            return self.choose(pool, k)
        return [order[position] for position in self.choose(pool.taken(torch.tensor(order)), k)]

    @abstractmethod
    def choose(self, pool: Pool, k: int) -> Sequence[int]:
        """Return k distinct positions in a pool that stands in the order of its ids, best first."""


class Gumbel:
    """Noise by (seed, round, draw, sample id): the largest log weight + noise is a draw in proportion to the weights."""

    def __init__(self, pool: Pool, stream: str) -> None:
        self._seed, self._stream, self._round = pool.seed, stream, pool.round
        self._words = id_words(pool.ids)

    def __call__(self, draw: int) -> Tensor:
        """Return float64 `(n,)`, finite, the noise of one draw (Gumbel, 1954)."""
        u = uniform_words(self._seed, self._stream, self._round, self._words, torch.tensor([draw]))[:, 0]
        return -(-(u.clamp_min(2.0**-54)).log()).log()


def ties(pool: Pool, strategy: str) -> Tensor:
    """Return float64 `(n,)` in [0, 1): of samples that are equally good, the one with the lowest is taken."""
    return uniform_ids(pool.seed, f"{strategy}/ties", pool.round, pool.ids)[:, 0]
