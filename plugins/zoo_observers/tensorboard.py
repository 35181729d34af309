"""TensorBoard event files in the run directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torch.utils.tensorboard import SummaryWriter

if TYPE_CHECKING:
    from zoo.training.run import Run

_writers: dict[Path, SummaryWriter] = {}


def start(run: Run) -> None:
    """Open the writer; a resumed run hides what an earlier execution wrote past its checkpoint."""
    close(run)
    _writers[run.path] = SummaryWriter(str(run.path), purge_step=run.start_epoch + 1)


def write(run: Run, epoch: int, metrics: Mapping[str, float]) -> None:
    """Add one point per figure at this epoch."""
    writer = _writers[run.path]
    for name, value in metrics.items():
        writer.add_scalar(name, value, epoch)
    writer.flush()


def close(run: Run) -> None:
    """Close the run's writer, where one is open."""
    writer = _writers.pop(run.path, None)
    if writer is not None:
        writer.close()
