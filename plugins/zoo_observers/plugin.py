"""Observers that write a run's figures for other tools; those tools are imported when a run starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zoo.hookspecs import hookimpl

if TYPE_CHECKING:
    from zoo.training.run import Run


@hookimpl
def zoo_run_started(run: Run) -> None:
    from zoo_observers import tensorboard

    tensorboard.start(run)


@hookimpl
def zoo_epoch_finished(run: Run, epoch: int, metrics: Mapping[str, float]) -> None:
    from zoo_observers import tensorboard

    tensorboard.write(run, epoch, metrics)


@hookimpl
def zoo_run_finished(run: Run, summary: Mapping[str, Any]) -> None:
    from zoo_observers import tensorboard

    tensorboard.close(run)
