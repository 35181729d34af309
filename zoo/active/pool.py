"""The unlabelled samples of one round as strategies see them: what is read of them is computed then, and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.errors import ComponentError
from zoo.evaluation.columns import empty
from zoo.training.distributed import World

Fields = Mapping[str, Tensor]
Compute = Callable[[Sequence[Tensor], frozenset[str]], Iterator[Fields]]
Shared = Mapping[str, Callable[[], Any]]

FIELDS = frozenset({"logits", "log_probabilities", "mc_log_probabilities", "embeddings", "committee"})
ONE_PASS = frozenset({"logits", "log_probabilities", "embeddings"})  # without dropout, of the round's own model
SHARED = frozenset({"labeled", "held_out", "target"})
UNIT = 256  # rows that are computed together, whoever asks for them: the bits of a row do not depend on who computes it


class UnlabeledPool:
    """Samples with their `ids`, and of `FIELDS` and `SHARED` those that `needs` names; reading another raises ComponentError.

    `compute` takes positions `rows`, int64 `(b,)` each, and yields the fields of each. `blocks` streams what it computes; a field
    read from the pool itself is computed for all rows in one pass and kept, in memory while all of them take up to
    `memory_limit` MiB, else in a temporary file. Of several processes each computes its units and all get all of them. `pulse` hears
    how many rows were computed, and may raise.
    """

    def __init__(
        self,
        ids: Sequence[str],
        compute: Compute,
        needs: frozenset[str],
        *,
        rows: Tensor | None = None,
        shared: Shared | None = None,
        seed: int = 0,
        round: int = 0,
        memory_limit: int = 2048,
        unit: int = UNIT,
        world: World | None = None,
        pulse: Callable[[int], None] = lambda rows: None,
    ) -> None:
        self.ids = list(ids)
        self.seed = seed
        self.round = round
        self._compute = compute
        self._needs = needs
        self._rows = torch.arange(len(self.ids)) if rows is None else rows
        self._shared = shared or {}
        self._memory_limit = memory_limit
        self._unit = unit
        self._world = world or World()
        self._pulse = pulse
        self._kept: dict[str, Tensor] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def __getattr__(self, name: str) -> Any:
        if name not in FIELDS | SHARED:
            raise AttributeError(f"a pool has no {name!r}")
        if name not in self._needs:
            raise ComponentError(f"the strategy reads {name!r}, which its `needs` does not name")
        if name in SHARED:
            return self._shared[name]()
        if name not in self._kept:
            self._keep(name)
        return self._kept[name]

    def blocks(self, size: int) -> Iterator[UnlabeledPool]:
        """Yield the samples in order, `size` at a time."""
        waiting: dict[str, Tensor] = {}
        start = 0
        for part in self._parts():
            waiting = {name: torch.cat([waiting[name], value]) if waiting else value for name, value in part.items()}
            while _length(waiting) >= size:
                yield self._holding(start, {name: value[:size] for name, value in waiting.items()})
                start, waiting = start + size, {name: value[size:] for name, value in waiting.items()}
        if _length(waiting):
            yield self._holding(start, waiting)

    def taken(self, positions: Tensor, needs: frozenset[str] | None = None) -> UnlabeledPool:
        """Return the pool of these positions, in this order; `needs` narrows what may be read of it."""
        positions = positions.cpu()
        part = self._part(
            [self.ids[i] for i in positions.tolist()],
            self._rows[positions],
            self._needs if needs is None else self._needs & needs,
        )
        if torch.equal(positions, torch.arange(len(self))):
            part._kept = self._kept
        else:
            part._kept = {n: part._copied(v, positions) for n, v in self._kept.items() if n in part._needs}
        return part

    def _copied(self, values: Tensor, positions: Tensor) -> Tensor:
        room, start = self._room(values), 0
        for some in positions.split(self._unit):
            room[start : start + len(some)] = values[some]
            start += len(some)
        return room

    def _part(self, ids: Sequence[str], rows: Tensor, needs: frozenset[str]) -> UnlabeledPool:
        return UnlabeledPool(
            ids,
            self._compute,
            needs,
            rows=rows,
            shared=self._shared,
            seed=self.seed,
            round=self.round,
            memory_limit=self._memory_limit,
            unit=self._unit,
            world=self._world,
            pulse=self._pulse,
        )

    def _holding(self, start: int, fields: Mapping[str, Tensor]) -> UnlabeledPool:
        """Return the samples from `start` on for which these fields are there."""
        rows = slice(start, start + _length(fields))
        part = self._part(self.ids[rows], self._rows[rows], self._needs)
        part._kept = {name: value for name, value in fields.items() if name != "rows"}
        return part

    def _parts(self) -> Iterator[dict[str, Tensor]]:
        """Yield fields, and the rows that they are of, some rows after another."""
        wanted = self._needs & FIELDS
        if wanted <= set(self._kept):
            for rows in torch.arange(len(self)).split(self._unit):
                yield {"rows": rows, **{name: self._kept[name][rows] for name in wanted}}
            return
        for rows, fields in self._computed(wanted):
            yield {"rows": rows, **fields}

    def _keep(self, name: str) -> None:
        """Compute a field, and with it those that come of the same pass."""
        together = ONE_PASS if name in ONE_PASS else frozenset({name})
        wanted = (self._needs & together) - set(self._kept)
        start = 0
        for rows, fields in self._computed(wanted):
            for each, values in fields.items():
                if each not in self._kept:
                    self._kept[each] = self._room(values)
                self._kept[each][start : start + len(rows)] = values
            start += len(rows)

    def _room(self, like: Tensor) -> Tensor:
        """Return an uninitialised tensor with a row for each sample."""
        shape = (len(self), *like.shape[1:])
        fields = max(1, len(self._needs & FIELDS))
        if fields * np.prod(shape) * like.element_size() <= self._memory_limit * 2**20:
            return torch.empty(shape, dtype=like.dtype)
        return torch.from_numpy(empty(shape, like.numpy().dtype))

    def _computed(self, wanted: frozenset[str]) -> Iterator[tuple[Tensor, Fields]]:
        """Yield positions and fields of one unit after another, as many at a time as there are processes."""
        units = torch.arange(len(self)).split(self._unit)
        size, rank = self._world.size, self._world.rank
        turns = -(-len(units) // size)
        # A process that has no unit in the last turn computes one again, and gives nothing of it.
        mine = [units[min(turn * size + rank, len(units) - 1)] for turn in range(turns)]
        found = self._compute([self._rows[rows] for rows in mine], wanted)
        for turn, fields in enumerate(found):
            together = torch.cat(units[turn * size : (turn + 1) * size])
            idle = turn * size + rank >= len(units)
            self._pulse(len(together))
            yield together, {name: self._gathered(fields[name], idle) for name in sorted(fields)}

    def _gathered(self, values: Tensor, idle: bool) -> Tensor:
        return self._world.gather(values[:0] if idle else values).cpu()


def in_memory(fields: Fields) -> Compute:
    """Return the computation that finds fields in tensors with a row for each sample."""

    def compute(rows: Sequence[Tensor], wanted: frozenset[str]) -> Iterator[Fields]:
        for row in rows:
            yield {name: fields[name][row] for name in wanted & fields.keys()}

    return compute


def _length(fields: Mapping[str, Tensor]) -> int:
    return len(fields["rows"]) if fields else 0
