"""What this plugin announces; the factories, and torch with them, are imported at first use."""

from __future__ import annotations

from collections.abc import Iterable

from zoo.components import AcquisitionSpec
from zoo.hookspecs import hookimpl
from zoo_acquisitions.specs import balance, bayesian, committee, diversity, filters, gate, gradients, uncertainty

_FAMILIES = (uncertainty, bayesian, committee, balance, diversity, gradients, filters, gate)


@hookimpl
def zoo_acquisitions() -> Iterable[AcquisitionSpec]:
    return [spec for family in _FAMILIES for spec in family.SPECS]
