"""A pool in memory, for checks and tests of acquisition strategies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from zoo.active.pool import UnlabeledPool, check_numbers, in_memory

Fields = dict[str, Tensor]
Shared = dict[str, Any]


class MemoryPool(UnlabeledPool):
    """Unlabelled samples whose fields are there already.

    `fields` maps names like `log_probabilities` to tensors whose first dimension counts the samples; `shared` maps `labeled`
    and `target` to what all samples have in common. Raises ComponentError for fields that are not numbers (see `check_numbers`).
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
        device: torch.device | str = "cpu",
    ) -> None:
        values = {name: (lambda value=value: value) for name, value in (shared or {}).items()}
        super().__init__(ids, in_memory(fields), needs, shared=values, seed=seed, round=round, device=device)
        self._kept = {name: value for name, value in fields.items() if name in needs}  # as they are, without a copy
        for name, value in self._kept.items():
            check_numbers(name, value)
