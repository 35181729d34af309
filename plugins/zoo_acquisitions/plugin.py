"""What this plugin announces; the factories, and torch with them, are imported at first use."""

from __future__ import annotations

from collections.abc import Iterable

from zoo.components import AcquisitionSpec
from zoo.hookspecs import hookimpl
from zoo_acquisitions.specs import diversity, filters, gradients


@hookimpl
def zoo_acquisitions() -> Iterable[AcquisitionSpec]:
    return [
        AcquisitionSpec(
            name="random",
            factory="zoo_acquisitions.random_choice:build",
            summary="samples drawn uniformly; the baseline of every comparison",
        ),
        AcquisitionSpec(
            name="entropy",
            factory="zoo_acquisitions.uncertainty:build_entropy",
            summary="highest entropy of the predicted distribution",
            needs=frozenset({"log_probabilities"}),
        ),
        AcquisitionSpec(
            name="margin",
            factory="zoo_acquisitions.uncertainty:build_margin",
            summary="smallest gap between the two most probable classes",
            needs=frozenset({"log_probabilities"}),
        ),
        *diversity.SPECS,
        *gradients.SPECS,
        *filters.SPECS,
    ]
