"""The unlabelled samples of one round as strategies see them: what is read of them is computed then, and no more."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields as names_of
from typing import Any

import torch
from torch import Tensor

from zoo.bases import HeldOut, Labeled
from zoo.errors import ComponentError
from zoo.evaluation.columns import empty
from zoo.training.distributed import World

Fields = Mapping[str, Tensor]
Compute = Callable[[Sequence[Tensor], frozenset[str]], Iterator[Fields]]
Shared = Mapping[str, Callable[[], Any]]

FIELDS = frozenset({"logits", "log_probabilities", "mc_log_probabilities", "embeddings", "committee"})
ONE_PASS = frozenset({"logits", "log_probabilities", "embeddings"})  # without dropout, of the round's own model
SHARED = frozenset({"labeled", "labeled_log_probabilities", "held_out", "target"})
# Fields and parts of shared ones that are vectors of any finite numbers; the others are predictions.
VECTORS = frozenset({"embeddings", "others", "unknown_embeddings"})
UNIT = 256  # rows that are computed together, whoever asks for them: the bits of a row do not depend on who computes it


class UnlabeledPool:
    """Samples with their `ids`, and of `FIELDS` and `SHARED` those that `needs` names; reading another raises ComponentError.

    `compute` takes positions `rows`, int64 `(b,)` each, and yields the fields of each. `blocks` streams what it computes; a field
    read from the pool itself is computed for all rows in one pass and kept, on the `device` while all of them take up to
    `memory_limit` MiB, else in a temporary file. Of several processes each computes its units and all get all of them. `pulse` hears
    how many rows were computed, and may raise. A list of ids and `rows` are kept, not copied. What is not a number is refused, as
    `check_numbers` says, before a strategy sees it.
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
        device: torch.device | str = "cpu",
        world: World | None = None,
        pulse: Callable[[int], None] = lambda rows: None,
    ) -> None:
        self.ids = ids if isinstance(ids, list) else list(ids)
        self.seed = seed
        self.round = round
        self._compute = compute
        self._needs = needs
        self._rows = torch.arange(len(self.ids)) if rows is None else rows
        self._shared = shared or {}
        self._memory_limit = memory_limit
        self._unit = unit
        self._device = torch.device(device)
        self._world = world or World()
        self._pulse = pulse
        self._kept: dict[str, Tensor] = {}
        self._sound: set[str] = set()  # which of `shared` were checked, in this pool or a part of it

    def __len__(self) -> int:
        return len(self.ids)

    def __getattr__(self, name: str) -> Any:
        if name not in FIELDS | SHARED:
            raise AttributeError(f"a pool has no {name!r}")
        if name not in self._needs:
            raise ComponentError(f"the strategy reads {name!r}, which its `needs` does not name")
        if name in SHARED:
            return self._in_common(name)
        if name not in self._kept:
            self._keep(name)
        return self._kept[name]

    def blocks(self, size: int) -> Iterator[UnlabeledPool]:
        """Yield the samples in order, `size` at a time, or as many as take up to `memory_limit`, at least a unit of them."""
        wanted = self._needs & FIELDS
        if wanted <= self._kept.keys():
            kept = {name: self._kept[name] for name in wanted}
            size = self._at_once(size, kept)
            yield from (self._holding(start, size, _cut(kept, start, size)) for start in range(0, len(self), size))
            return
        room, start, filled = dict[str, Tensor](), 0, 0
        for count, fields in self._computed(wanted):
            size, used = self._at_once(size, fields), 0
            while used < count:
                length = min(size, len(self) - start)
                room = room or {name: values.new_empty(length, *values.shape[1:]) for name, values in fields.items()}
                some = min(length - filled, count - used)
                for name, values in fields.items():
                    room[name][filled : filled + some] = values[used : used + some]
                used, filled = used + some, filled + some
                if filled == length:
                    yield self._holding(start, length, room)
                    room, start, filled = {}, start + length, 0

    def _at_once(self, size: int, like: Fields) -> int:
        """Return how many rows of these fields may be in memory, up to `size`; who computes units has one of them anyway."""
        row = sum(math.prod(values.shape[1:]) * values.element_size() for values in like.values())
        return min(size, max(self._unit, self._memory_limit * 2**20 // max(1, row)))

    def _in_common(self, name: str) -> Any:
        found = self._shared[name]()
        if name not in self._sound:
            for part, values in _tensors(name, found):
                check_numbers(part, values)
            self._sound.add(name)
        return found

    def taken(self, positions: Tensor, needs: frozenset[str] | None = None) -> UnlabeledPool:
        """Return the pool of these positions, in this order; `needs` narrows what may be read of it."""
        positions = positions.cpu()
        needs = self._needs if needs is None else self._needs & needs
        if torch.equal(positions, torch.arange(len(self))):
            part = self._part(self.ids, self._rows, needs)
            part._kept = self._kept
        else:
            part = self._part([self.ids[i] for i in positions.tolist()], self._rows[positions], needs)
            part._kept = {n: part._copied(v, positions) for n, v in self._kept.items() if n in part._needs}
        return part

    def _copied(self, values: Tensor, positions: Tensor) -> Tensor:
        # Where the others are: what a strategy reads together stands together.
        room, start = self._room(values, values.device, self._fits({"": values})), 0
        for some in positions.split(self._unit):
            room[start : start + len(some)] = values[some]
            start += len(some)
        return room

    def _part(self, ids: Sequence[str], rows: Tensor, needs: frozenset[str]) -> UnlabeledPool:
        part = UnlabeledPool(
            ids,
            self._compute,
            needs,
            rows=rows,
            shared=self._shared,
            seed=self.seed,
            round=self.round,
            memory_limit=self._memory_limit,
            unit=self._unit,
            device=self._device,
            world=self._world,
            pulse=self._pulse,
        )
        part._sound = self._sound
        return part

    def _holding(self, start: int, count: int, fields: Fields) -> UnlabeledPool:
        """Return so many samples from `start` on, or as many as there are, for which these fields are there."""
        rows = slice(start, start + count)
        part = self._part(self.ids[rows], self._rows[rows], self._needs)
        part._kept = dict(fields)
        return part

    def _keep(self, name: str) -> None:
        """Compute a field, and with it those that come of the same pass."""
        together = ONE_PASS if name in ONE_PASS else frozenset({name})
        wanted = (self._needs & together) - set(self._kept)
        start, fits = 0, True
        for count, fields in self._computed(wanted):
            fits = fits if start else self._fits(fields)
            for each, values in fields.items():
                if each not in self._kept:
                    self._kept[each] = self._room(values, self._device, fits)
                self._kept[each][start : start + count] = values
            start += count

    def _fits(self, like: Fields) -> bool:
        """Return whether these fields of all samples may be in memory, which others that are needed have their share of."""
        size = sum(len(self) * math.prod(values.shape[1:]) * values.element_size() for values in like.values())
        return size * max(1, len(self._needs & FIELDS)) <= self._memory_limit * 2**20 * len(like)

    def _room(self, like: Tensor, device: torch.device, fits: bool) -> Tensor:
        """Return an uninitialised tensor with a row for each sample, on the device or, where that does not fit, in a file."""
        shape = (len(self), *like.shape[1:])
        if fits:
            return torch.empty(shape, dtype=like.dtype, device=device)
        return torch.from_numpy(empty(shape, torch.empty(0, dtype=like.dtype).numpy().dtype))

    def _computed(self, wanted: frozenset[str]) -> Iterator[tuple[int, Fields]]:
        """Yield how many rows follow and their fields, one unit after another, as many at a time as there are processes."""
        units = self._rows.split(self._unit)
        size, rank = self._world.size, self._world.rank
        turns = -(-len(units) // size)
        # A process that has no unit in the last turn computes one again, and gives nothing of it.
        mine = [units[min(turn * size + rank, len(units) - 1)] for turn in range(turns)]
        for turn, fields in enumerate(self._compute(mine, wanted)):
            count = sum(len(unit) for unit in units[turn * size : (turn + 1) * size])
            idle = turn * size + rank >= len(units)
            self._pulse(count)
            gathered = {name: self._gathered(fields[name], idle) for name in sorted(fields)}
            for name, values in gathered.items():
                check_numbers(name, values)  # of all processes, so that all raise or none
            yield count, gathered

    def _gathered(self, values: Tensor, idle: bool) -> Tensor:
        return self._world.gather(values[:0] if idle else values).to(self._device)


def in_memory(fields: Fields) -> Compute:
    """Return the computation that finds fields in tensors with a row for each sample."""

    def compute(rows: Sequence[Tensor], wanted: frozenset[str]) -> Iterator[Fields]:
        for row in rows:
            yield {name: fields[name][row] for name in wanted & fields.keys()}

    return compute


def check_numbers(name: str, values: Tensor) -> None:
    """Raise ComponentError for embeddings `(n, D)` that are not finite, and for predictions `(n, …, C)` without a softmax.

    A prediction may have classes at minus infinity, of probability 0, but neither all of them nor one at infinity. Labels and
    counts, whole numbers, are let pass. O(n) memory.
    """
    if not values.numel() or not values.is_floating_point():
        return
    sound = values.amax(dim=-1).isfinite()
    if name.rpartition(".")[2] in VECTORS:
        sound &= values.amin(dim=-1).isfinite()
    if not bool(sound.all()):
        bad = int((~sound).reshape(len(values), -1).any(dim=1).sum())
        raise ComponentError(
            f"{name} are not finite numbers for {bad} of {len(values)} samples that were computed together",
            possible="finite ones, and minus infinity for a class of probability 0",
            hint="lower optimizer.lr and train anew: training diverged",
        )


def _tensors(name: str, found: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield what is to be read of a thing that all samples have in common, with the names it is read by."""
    if isinstance(found, Tensor):
        yield name, found
    elif isinstance(found, (Labeled, HeldOut)):
        yield from ((f"{name}.{each.name}", getattr(found, each.name)) for each in names_of(found))
    elif isinstance(found, (list, tuple)):
        for each in found:
            yield from _tensors(name, each)


def _cut(fields: Fields, start: int, size: int) -> Fields:
    return {name: values[start : start + size] for name, values in fields.items()}
