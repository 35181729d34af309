"""What this plugin announces; the factories, and torch with them, are imported at first use."""

from __future__ import annotations

from collections.abc import Iterable

from zoo.components import AcquisitionSpec
from zoo.hookspecs import hookimpl
from zoo_acquisitions.specs import balance, bayesian, committee, uncertainty


@hookimpl
def zoo_acquisitions() -> Iterable[AcquisitionSpec]:
    return [*uncertainty.SPECS, *bayesian.SPECS, *committee.SPECS, *balance.SPECS]
