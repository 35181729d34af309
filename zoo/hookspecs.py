"""The plugin contract: the hooks that an entry point of the group `zoo` may implement.

A plugin is a module (or object) with any of these functions, each decorated with `zoo.hookimpl`. First-party plugins use
exactly these. Hooks return specs; nothing is registered by calling back. An implementation takes the same parameter
names, or fewer, and no default values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from zoo.components import AcquisitionSpec, ArchitectureSpec, DataSourceSpec, OptimizerSpec, RegularizerSpec

if TYPE_CHECKING:
    from zoo.training.run import Run

GROUP = "zoo"
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def zoo_architectures() -> Iterable[ArchitectureSpec]:  # type: ignore[empty-body]  # a hook specification has none
    """Return the architectures of this plugin; `scales` of a spec are the parameters by which it is matched to a budget."""


@hookspec
def zoo_optimizers() -> Iterable[OptimizerSpec]:  # type: ignore[empty-body]
    """Return the optimizers of this plugin."""


@hookspec
def zoo_regularizers() -> Iterable[RegularizerSpec]:  # type: ignore[empty-body]
    """Return the regularizers of this plugin."""


@hookspec
def zoo_acquisitions() -> Iterable[AcquisitionSpec]:  # type: ignore[empty-body]
    """Return the acquisition strategies of this plugin."""


@hookspec
def zoo_data_sources() -> Iterable[DataSourceSpec]:  # type: ignore[empty-body]
    """Return the data sources of this plugin."""


@hookspec
def zoo_recipes() -> Iterable[Path]:  # type: ignore[empty-body]
    """Return paths of registry files shipped in the package; their recipes appear as `namespace/recipe`."""


@hookspec
def zoo_run_started(run: Run) -> None:
    """Hear that a run starts or resumes. Observers watch: nothing they do or raise changes the run."""


@hookspec
def zoo_epoch_finished(run: Run, epoch: int, metrics: Mapping[str, float]) -> None:
    """Hear the figures of epoch 1, 2, …: names like `train/loss` and `validation/accuracy`."""


@hookspec
def zoo_run_finished(run: Run, summary: Mapping[str, Any]) -> None:
    """Hear that a run ended, with the same summary that `zoo train --json` prints."""
