"""Networks whose answers are averaged."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from zoo.facts import ArchitectureFacts, Family
from zoo_architectures.specs.hybrid import Ensemble as Params

Size = tuple[int, int]


class Ensemble(nn.Module):
    """Members whose softmax probabilities or logits are averaged with equal weights.

    Hansen and Salamon, "Neural network ensembles", TPAMI 1990; Lakshminarayanan, Pritzel and Blundell, "Simple and scalable
    predictive uncertainty estimation using deep ensembles", NIPS 2017. With `probabilities` the output is the log of the mean
    softmax, whose own softmax is that mean. One output stands for two classes and is averaged as such.
    """

    def __init__(self, members: list[nn.Module], combine: str) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.combine = combine

    def member_outputs(self, x: Tensor) -> Tensor:
        """Return the outputs of each member `(B, M, num_outputs)`, before they are averaged."""
        return torch.stack([member(x).float() for member in self.members], 1)

    def forward(self, x: Tensor) -> Tensor:
        outputs = self.member_outputs(x)
        if self.combine == "logits":
            return outputs.mean(1)
        if outputs.shape[2] == 1:
            return _log_mean(nn.functional.logsigmoid(outputs)) - _log_mean(nn.functional.logsigmoid(-outputs))
        return _log_mean(torch.log_softmax(outputs, 2))


def _log_mean(log_probabilities: Tensor) -> Tensor:
    return torch.logsumexp(log_probabilities, 1) - math.log(log_probabilities.shape[1])


def describe(params: Params) -> ArchitectureFacts:
    """Return the facts of the members together: one family or a hybrid, the largest of their sizes; no embedding."""
    facts = [_facts(member) for member in params.members]
    families: set[Family] = {fact.family for fact in facts}
    preferred = [fact.preferred_size for fact in facts if fact.preferred_size]
    return ArchitectureFacts(
        family=families.pop() if len(families) == 1 else "hybrid",
        embeddings=False,
        min_size=max(fact.min_size for fact in facts),
        preferred_size=max(preferred, default=None),
    )


def _facts(member: Any) -> ArchitectureFacts:
    facts: ArchitectureFacts = member.spec.facts(member.params)
    return facts


def build(params: Params, *, num_outputs: int, in_channels: int, image_size: Size) -> nn.Module:
    """Return the members, each built for the same images and with weights of its own, as one network."""
    members = [
        member.build(num_outputs=num_outputs, in_channels=in_channels, image_size=image_size)
        for member in params.members
    ]
    return Ensemble(members, params.combine)
