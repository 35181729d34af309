"""Dropout, in the places that an architecture keeps for it."""

from __future__ import annotations

from torch import nn

from zoo.bases import Regularizer
from zoo.errors import ComponentError
from zoo.modules import DROPOUTS, Dropout, Place, attach_dropout
from zoo.training.freezing import is_pinned
from zoo_regularizers import schemas


class DropoutRate(Regularizer):
    """Sets the rates of the model's `zoo.Dropout` and `zoo.Dropout2d` modules (Srivastava et al., "Dropout", JMLR 2014)."""

    def __init__(self, params: schemas.Dropout) -> None:
        self._params = params

    def apply_to_model(self, model: nn.Module) -> int:
        """Return how many modules act with a rate; a head without one gets one before its classifier.

        Raises ComponentError for a rate of the body where nothing that trains there can drop.
        """
        rates = _rates(self._params)
        found = [m for m in model.modules() if isinstance(m, DROPOUTS) and m.place in rates and not is_pinned(m)]
        if self._params.body is not None and not any(m.place == "body" for m in found):
            raise ComponentError(
                f"dropout.body is {self._params.body:g}, and {type(model).__name__} can drop nothing between hidden layers",
                possible="an architecture with a place for it, such as keras-cnn",
                hint="regularizers.dropout.body=null",
            )
        if "head" in rates and not any(m.place == "head" for m in found):
            found += _attach(model)
        for module in found:
            module.p = rates[module.place]
        return len(found)


def _rates(params: schemas.Dropout) -> dict[Place, float]:
    """Return the rate of each place where something is dropped."""
    places: tuple[Place, ...] = ("head", "recurrent", "body") if params.where == "all" else (params.where,)
    rates = dict.fromkeys(places, params.rate)
    # A rate of 0 switches all of it off, as the strength of every regularizer does.
    return rates if params.body is None else {**rates, "body": params.body if params.rate else 0.0}


def _attach(model: nn.Module) -> list[Dropout]:
    path = getattr(model, "classifier", None)
    classifier = model.get_submodule(path) if isinstance(path, str) else None
    if not isinstance(classifier, nn.Linear):
        return []
    return [attach_dropout(classifier, "head")]


def build(params: schemas.Dropout) -> Regularizer:
    """Return the regularizer."""
    return DropoutRate(params)
