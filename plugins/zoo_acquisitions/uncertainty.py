"""Uncertainty sampling (Settles, "Active learning literature survey", 2009), in log space.

Probabilities that underflow have a log-probability of minus infinity; both scores stay finite there.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.bases import Block, Pool, ScoreStrategy
from zoo.components import NoParams


class Entropy(ScoreStrategy):
    """The entropy of the predicted distribution, in nats."""

    def score(self, block: Block, pool: Pool) -> Tensor:
        """Return `(n,)` from 0 (certain) to ln C (uniform)."""
        log_p = block.log_probabilities
        terms = torch.where(torch.isneginf(log_p), torch.zeros_like(log_p), log_p.exp() * log_p)
        return -terms.sum(dim=1)


class Margin(ScoreStrategy):
    """One minus the gap between the two most probable classes (Scheffer et al., IDA 2001)."""

    def score(self, block: Block, pool: Pool) -> Tensor:
        """Return `(n,)` from 0 (certain) to 1 (a tie)."""
        log_p = block.log_probabilities
        if log_p.shape[1] < 2:
            return torch.zeros(log_p.shape[0], dtype=log_p.dtype, device=log_p.device)
        top = log_p.topk(2, dim=1).values
        # p1 - p2 = p1 (1 - exp(l2 - l1)): expm1 keeps the digits of a narrow gap, and l1 is never minus infinity.
        return 1 + top[:, 0].exp() * torch.expm1(top[:, 1] - top[:, 0])


def build_entropy(params: NoParams) -> ScoreStrategy:
    """Return the entropy strategy."""
    return Entropy()


def build_margin(params: NoParams) -> ScoreStrategy:
    """Return the margin strategy."""
    return Margin()
