"""Weight decay, in the form that the optimizer has."""

from __future__ import annotations

from torch import nn

from zoo.bases import Context, ParameterGroup, Regularizer
from zoo.errors import ComponentError
from zoo_regularizers import plugin

_FORMS = {"coupled": "l2", "decoupled": "decoupled"}
_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm)


class WeightDecay(Regularizer):
    """Sets `weight_decay` of the optimizer's groups; biases, norms and other vectors get a group with 0.

    Sparing them follows Goyal et al., "Accurate, large minibatch SGD" (2017).
    """

    def __init__(self, params: plugin.WeightDecay) -> None:
        self._params = params
        self._norms: frozenset[str] = frozenset()

    def bind(self, context: Context) -> None:
        """Learn which parameters belong to norms; raises ComponentError for a form that the optimizer lacks."""
        has = _FORMS[context.weight_decay]
        if self._params.form not in ("auto", has):
            raise ComponentError(
                f"weight-decay asks for the form {self._params.form!r}, which this recipe's optimizer lacks",
                possible=f"the optimizer has the form {has!r}",
                hint=f"regularizers.weight-decay.form={has}, or another optimizer",
            )
        self._norms = frozenset(
            f"{path}.{name}" if path else name
            for path, module in context.model.named_modules()
            if isinstance(module, _NORMS)
            for name, _ in module.named_parameters(recurse=False)
        )

    def parameter_groups(self, groups: list[ParameterGroup]) -> list[ParameterGroup]:
        """Return each group as one that decays and one that does not; at strength 0, the groups as they are."""
        if self._params.strength == 0:
            return groups
        split: list[ParameterGroup] = []
        for group in groups:
            decayed = [(n, p) for n, p in group["params"] if p.ndim > 1 and not self._spared(n)]
            spared = [(n, p) for n, p in group["params"] if p.ndim <= 1 or self._spared(n)]
            split.append({**group, "params": decayed, "weight_decay": self._params.strength})
            split.append({**group, "params": spared, "weight_decay": 0.0})
        return [group for group in split if group["params"]]

    def _spared(self, name: str) -> bool:
        # nn.LSTM calls its biases bias_ih_l0 and bias_hh_l0.
        return name in self._norms or name.rpartition(".")[2].startswith("bias")


def build(params: plugin.WeightDecay) -> Regularizer:
    """Return the regularizer."""
    return WeightDecay(params)
