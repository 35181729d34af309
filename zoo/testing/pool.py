"""A pool in memory, for checks and tests of acquisition strategies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from zoo.errors import ComponentError

Fields = dict[str, Tensor]
Shared = dict[str, Any]


class MemoryPool:
    """Unlabelled samples with computed fields; reading one that `needs` does not name raises ComponentError.

    `fields` maps names like `log_probabilities` to tensors whose first dimension counts the samples; `shared` maps `labeled`
    and `target` to what all samples have in common.
    """

    def __init__(
        self,
        ids: Sequence[str],
        fields: Fields,
        needs: frozenset[str],
        *,
        shared: Shared | None = None,
        seed: int = 0,
        round: int = 0,
    ) -> None:
        self.ids = list(ids)
        self.seed = seed
        self.round = round
        self._fields = fields
        self._shared = shared or {}
        self._needs = needs

    def __len__(self) -> int:
        return len(self.ids)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in (*self._fields, *self._shared):
            raise AttributeError(f"a pool has no {name!r}")
        if name not in self._needs:
            raise ComponentError(f"the strategy reads {name!r}, which its `needs` does not name")
        return self._fields[name] if name in self._fields else self._shared[name]

    def blocks(self, size: int) -> Iterator[MemoryPool]:
        """Yield the samples in order, `size` at a time."""
        for start in range(0, len(self), size):
            yield self.taken(torch.arange(start, min(start + size, len(self))))

    def taken(self, positions: Tensor, needs: frozenset[str] | None = None) -> MemoryPool:
        """Return the pool of these positions, in this order; `needs` narrows what may be read of it."""
        whole = torch.equal(positions, torch.arange(len(self)))
        fields = self._fields if whole else {name: value[positions] for name, value in self._fields.items()}
        ids = [self.ids[int(i)] for i in positions]
        allowed = self._needs if needs is None else self._needs & needs
        return MemoryPool(ids, fields, allowed, shared=self._shared, seed=self.seed, round=self.round)
