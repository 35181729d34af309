"""What this plugin announces; the factories, and torch and timm with them, are imported at first use."""

from __future__ import annotations

from collections.abc import Iterable

from zoo.components import ArchitectureSpec
from zoo.hookspecs import hookimpl
from zoo_architectures.specs import convolutional, dense, hybrid, recurrent, residual, timm_models


@hookimpl
def zoo_architectures() -> Iterable[ArchitectureSpec]:
    return [*convolutional.SPECS, *residual.SPECS, *recurrent.SPECS, *hybrid.SPECS, *dense.SPECS, *timm_models.SPECS]
