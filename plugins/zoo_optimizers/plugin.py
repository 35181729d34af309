"""What this plugin announces; the factories, and torch and timm with them, are imported at first use."""

from __future__ import annotations

from collections.abc import Iterable

from zoo.components import OptimizerSpec
from zoo.hookspecs import hookimpl
from zoo_optimizers.specs import adam, compound, descent


@hookimpl
def zoo_optimizers() -> Iterable[OptimizerSpec]:
    return [*descent.SPECS, *adam.SPECS, *compound.SPECS]
