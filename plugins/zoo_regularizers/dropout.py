"""Dropout, in the places that an architecture keeps for it."""

from __future__ import annotations

from torch import nn

from zoo.bases import Regularizer
from zoo.modules import Dropout, attach_dropout
from zoo.training.freezing import is_pinned
from zoo_regularizers import schemas


class DropoutRate(Regularizer):
    """Sets the rate of the model's `zoo.Dropout` modules (Srivastava et al., "Dropout", JMLR 2014)."""

    def __init__(self, params: schemas.Dropout) -> None:
        self._params = params

    def apply_to_model(self, model: nn.Module) -> int:
        """Return how many modules act with the rate; a head without one gets one before its classifier."""
        places = ("head", "recurrent", "body") if self._params.where == "all" else (self._params.where,)
        found = [m for m in model.modules() if isinstance(m, Dropout) and m.place in places and not is_pinned(m)]
        if "head" in places and not any(m.place == "head" for m in found):
            found += _attach(model)
        for module in found:
            module.p = self._params.rate
        return len(found)


def _attach(model: nn.Module) -> list[Dropout]:
    path = getattr(model, "classifier", None)
    classifier = model.get_submodule(path) if isinstance(path, str) else None
    if not isinstance(classifier, nn.Linear):
        return []
    return [attach_dropout(classifier, "head")]


def build(params: schemas.Dropout) -> Regularizer:
    """Return the regularizer."""
    return DropoutRate(params)
