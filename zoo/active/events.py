"""What simulations tell: frozen events between those of their trainings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.training.events import Event

if TYPE_CHECKING:
    from zoo.active.plan import Cell
    from zoo.training.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A phase of a round begins: `train`, `test`, `choose`; what came before it is on disk."""

    name: str
    round: int
    labels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundDone:
    """The line that a round adds to the curve."""

    line: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A simulation begins or goes on; `done` of `total` are finished."""

    cell: Cell
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A simulation is finished, or has failed for a `reason`; `seconds` is what it took now, 0 if it was there."""

    cell: Cell
    run: Run
    seconds: float
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """All that is left is being simulated by other processes."""

    left: int


Progress = Begun | Done | Waiting | Phase | RoundDone | Event
