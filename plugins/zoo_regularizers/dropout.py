"""Dropout, in the places that an architecture keeps for it."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from zoo.bases import Regularizer
from zoo.modules import Dropout
from zoo_regularizers import schemas


class DropoutRate(Regularizer):
    """Sets the rate of the model's `zoo.Dropout` modules (Srivastava et al., "Dropout", JMLR 2014)."""

    def __init__(self, params: schemas.Dropout) -> None:
        self._params = params

    def apply_to_model(self, model: nn.Module) -> int:
        """Return how many modules act with the rate; a head without one gets one before its classifier.

        It becomes the classifier's child `dropout`, so that no path and no key of the state changes.
        """
        places = ("head", "recurrent", "body") if self._params.where == "all" else (self._params.where,)
        found = [m for m in model.modules() if isinstance(m, Dropout) and m.place in places]
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
    dropout = Dropout(0.0, place="head")
    classifier.add_module("dropout", dropout)
    classifier.register_forward_pre_hook(drop_input)
    return [dropout]


def drop_input(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Apply the module's child `dropout` to its input; a module-level function, so that copies of the model keep it."""
    features: Tensor = args[0]
    dropout: nn.Module = module.get_submodule("dropout")
    return (dropout(features), *args[1:])


def build(params: schemas.Dropout) -> Regularizer:
    """Return the regularizer."""
    return DropoutRate(params)
