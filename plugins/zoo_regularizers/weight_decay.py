"""Weight decay, in the form that the optimizer has."""

from __future__ import annotations

from zoo.bases import Context, ParameterGroup, Regularizer
from zoo.errors import ComponentError
from zoo_regularizers import schemas
from zoo_regularizers.spared import spared

_FORMS = {"coupled": "l2", "decoupled": "decoupled"}


class WeightDecay(Regularizer):
    """Sets `weight_decay` of the optimizer's groups; biases, norms and other vectors get a group with 0."""

    def __init__(self, params: schemas.WeightDecay) -> None:
        self._params = params
        self._spared: frozenset[str] = frozenset()

    def bind(self, context: Context) -> None:
        """Learn which parameters are spared; raises ComponentError for a form that the optimizer lacks."""
        has = _FORMS[context.weight_decay]
        if self._params.form not in ("auto", has):
            raise ComponentError(
                f"weight-decay asks for the form {self._params.form!r}, which this recipe's optimizer lacks",
                possible=f"the optimizer has the form {has!r}",
                hint=f"regularizers.weight-decay.form={has}, or another optimizer",
            )
        self._spared = spared(context.model)

    def parameter_groups(self, groups: list[ParameterGroup]) -> list[ParameterGroup]:
        """Return each group as one that decays and one that does not; at strength 0, the groups as they are."""
        if self._params.strength == 0:
            return groups
        split: list[ParameterGroup] = []
        for group in groups:
            decayed = [(n, p) for n, p in group["params"] if n not in self._spared]
            kept = [(n, p) for n, p in group["params"] if n in self._spared]
            split.append({**group, "params": decayed, "weight_decay": self._params.strength})
            split.append({**group, "params": kept, "weight_decay": 0.0})
        return [group for group in split if group["params"]]


def build(params: schemas.WeightDecay) -> Regularizer:
    """Return the regularizer."""
    return WeightDecay(params)
