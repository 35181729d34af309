"""Uncertainty sampling (Settles, "Active learning literature survey", 2009), in log space.

Probabilities that underflow have a log-probability of minus infinity; all scores stay finite there. In two classes least
confidence, margin and entropy rank alike. Each costs O(n C).
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.bases import Block, Pool, ScoreStrategy
from zoo.components import NoParams
from zoo_acquisitions.distributions import by_rows, entropy, log_mean
from zoo_acquisitions.specs.uncertainty import Entropy as EntropyParams


class LeastConfidence(ScoreStrategy):
    """One minus the probability of the predicted class, 1 - max_c p_c.

    Lewis and Gale, "A sequential algorithm for training text classifiers", SIGIR 1994; Culotta and McCallum, "Reducing
    labeling effort for structured prediction tasks", AAAI 2005.
    """

    def score(self, block: Block, pool: Pool) -> Tensor:
        """Return `(n,)` from 0 (certain) to 1 - 1/C (uniform)."""
        return -torch.expm1(block.log_probabilities.amax(dim=1))


class Entropy(ScoreStrategy):
    """The entropy of the predicted distribution, in nats (Shannon, "A mathematical theory of communication", 1948)."""

    def score(self, block: Block, pool: Pool) -> Tensor:
        """Return `(n,)` from 0 (certain) to ln C (uniform)."""
        return entropy(block.log_probabilities)


class EntropyOfMean(ScoreStrategy):
    """The entropy of the mean prediction over dropout passes, in nats, which is not the mean of their entropies.

    The max entropy of Gal, Islam and Ghahramani, "Deep Bayesian active learning with image data", ICML 2017. O(n T C).
    """

    def score(self, block: Block, pool: Pool) -> Tensor:
        """Return float64 `(n,)` from 0 (certain in every pass) to ln C."""
        return by_rows(_of_mean, block.mc_log_probabilities)


def _of_mean(log_p: Tensor) -> Tensor:
    return entropy(log_mean(log_p))


class Margin(ScoreStrategy):
    """One minus the gap between the two most probable classes (Scheffer, Decomain and Wrobel, "Active hidden Markov models", IDA 2001)."""

    def score(self, block: Block, pool: Pool) -> Tensor:
        """Return `(n,)` from 0 (certain) to 1 (a tie)."""
        log_p = block.log_probabilities
        if log_p.shape[1] < 2:
            return torch.zeros(log_p.shape[0], dtype=log_p.dtype, device=log_p.device)
        top = log_p.topk(2, dim=1).values
        # p1 - p2 = p1 (1 - exp(l2 - l1)): expm1 keeps the digits of a narrow gap, and l1 is never minus infinity.
        return 1 + top[:, 0].exp() * torch.expm1(top[:, 1] - top[:, 0])


def margins_of(pool: Pool) -> Pool:
    """Return the pool with nothing to be read but what margins need, so that nothing else is computed for them."""
    return pool.taken(torch.arange(len(pool)), frozenset({"log_probabilities"}))


class ExpectedGradientLength(ScoreStrategy):
    """The expected length of the gradient of the last layer, its label drawn from the prediction.

    For label c the cross-entropy of a linear layer with weights and bias on the embedding h has the gradient
    (p - e_c) ⊗ (h, 1), so the score is sum_c p_c ||p - e_c|| sqrt(||h||² + 1). Settles, Craven and Ray, "Multiple-instance
    active learning", NIPS 2007, here with the last layer alone. O(n (C + D)).
    """

    def score(self, block: Block, pool: Pool) -> Tensor:
        """Return float64 `(n,)`, 0 where the prediction is certain."""
        lengths = [part.float().square().sum(dim=1) for part in block.embeddings.split(1024)]
        return by_rows(_expected_error, block.log_probabilities) * (torch.cat(lengths).double() + 1).sqrt()


def _expected_error(log_p: Tensor) -> Tensor:
    p = log_p.exp()
    # ||p - e_c||² = ||p||² - 2 p_c + 1, of which rounding may leave less than nothing.
    squares = (p.square().sum(dim=1, keepdim=True) - 2 * p + 1).clamp(min=0)
    return (p * squares.sqrt()).sum(dim=1)


def build_least_confidence(params: NoParams) -> ScoreStrategy:
    """Return the least confidence strategy."""
    return LeastConfidence()


def build_entropy(params: EntropyParams) -> ScoreStrategy:
    """Return the entropy strategy."""
    return Entropy() if params.of == "prediction" else EntropyOfMean()


def build_margin(params: NoParams) -> ScoreStrategy:
    """Return the margin strategy."""
    return Margin()


def build_expected_gradient_length(params: NoParams) -> ScoreStrategy:
    """Return the strategy of the expected gradient length."""
    return ExpectedGradientLength()
