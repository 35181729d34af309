"""What the runs of a comparison tell: frozen events between those of the runs themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.training.events import Event

if TYPE_CHECKING:
    from zoo.comparison.plan import Cell
    from zoo.training.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A run of the plan begins or goes on; `done` of `total` are finished."""

    cell: Cell
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A run of the plan is finished, or has failed for a `reason`; `seconds` is what it took now, 0 if it was there."""

    cell: Cell
    run: Run
    seconds: float
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """All that is left is being trained by other processes."""

    left: int


Progress = Begun | Done | Waiting | Event
