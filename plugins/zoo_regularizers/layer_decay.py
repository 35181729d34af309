"""Learning rates that fall from the classifier to the stem."""

from __future__ import annotations

from zoo.bases import Context, ParameterGroup, Regularizer
from zoo.errors import ComponentError
from zoo_regularizers import schemas


class LayerDecay(Regularizer):
    """Multiplies the learning rate of stage i of n by (1 - strength)^(n - 1 - i): the classifier, the last, keeps its rate.

    Clark et al., "ELECTRA: pre-training text encoders as discriminators rather than generators", ICLR 2020; for images Bao et
    al., "BEiT: BERT pre-training of image transformers", ICLR 2022. Their decay d is the strength 1 - d. Stages are the
    architecture's own. The factor is `lr_scale` of a group, which its rate is multiplied by once the optimizer is built;
    groups keep whatever else is set in them, so that weight decay may come before or after.
    """

    def __init__(self, strength: float) -> None:
        self._strength = strength
        self._stage: dict[str, int] = {}

    def bind(self, context: Context) -> None:
        """Learn each parameter's stage; raises ComponentError for a model without stages."""
        stages = getattr(context.model, "stages", None)
        if self._strength and not stages:
            raise ComponentError(
                f"regularizer 'layer-decay' needs the stages of the architecture, and {type(context.model).__name__} has none",
                possible="architectures with embeddings, which name their stages",
                hint="regularizers.layer-decay=null   (leaves it out)",
            )
        self._stage = {name: i for i, stage in enumerate(reversed(stages or ())) for name in stage}

    def parameter_groups(self, groups: list[ParameterGroup]) -> list[ParameterGroup]:
        """Return each group cut by stage, the classifier's first; at strength 0, the groups as they are."""
        if self._strength == 0:
            return groups
        # The first group's rate is the one that is reported, so it is one that is not lowered.
        return [
            {**group, "params": pairs, "lr_scale": group.get("lr_scale", 1.0) * (1 - self._strength) ** above}
            for above in sorted(set(self._stage.values()))
            for group in groups
            if (pairs := [(name, p) for name, p in group["params"] if self._stage[name] == above])
        ]


def build(params: schemas.LayerDecay) -> Regularizer:
    """Return the regularizer."""
    return LayerDecay(params.strength)
