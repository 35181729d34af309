"""The random baseline."""

from __future__ import annotations

from torch import Tensor

from zoo.bases import Block, Pool, ScoreStrategy
from zoo.components import NoParams
from zoo.training.randomness import uniform_ids


class Random(ScoreStrategy):
    """Scores drawn from sample ids, so the choice does not depend on the order of the pool. O(n)."""

    def score(self, block: Block, pool: Pool) -> Tensor:
        """Return float64 `(n,)` uniform in [0, 1)."""
        return uniform_ids(pool.seed, "random", pool.round, block.ids)[:, 0]


def build(params: NoParams) -> ScoreStrategy:
    """Return the strategy."""
    return Random()
