"""Uncertainty sampling (Settles, "Active learning literature survey", 2009), in log space.

Probabilities that underflow have a log-probability of minus infinity; all scores stay finite there. In two classes least
confidence, margin and entropy rank alike: all are made of what the most probable class leaves to the others, in float64, since the
log-probability of a class that is nearly certain is rounded to 0 in single precision. Each costs O(n C), a bounded number of samples
at once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.bases import Block, Pool, ScoreStrategy
from zoo.components import NoParams
from zoo_acquisitions.distributions import by_odds, by_rows, doubt, entropy, log_mean, odds
from zoo_acquisitions.specs.uncertainty import Entropy as EntropyParams


class LeastConfidence(ScoreStrategy):
    """One minus the probability of the predicted class, 1 - max_c p_c.

    Lewis and Gale, "A sequential algorithm for training text classifiers", SIGIR 1994; Culotta and McCallum, "Reducing
    labeling effort for structured prediction tasks", AAAI 2005.
    """

    def score(self, block: Block, pool: Pool) -> Tensor:
        """Return float64 `(n,)` from 0 (certain) to 1 - 1/C (uniform)."""
        return by_odds(doubt, block.log_probabilities)


class Entropy(ScoreStrategy):
    """The entropy of the predicted distribution, in nats (Shannon, "A mathematical theory of communication", 1948)."""

    def score(self, block: Block, pool: Pool) -> Tensor:
        """Return float64 `(n,)` from 0 (certain) to ln C (uniform)."""
        return by_odds(entropy, block.log_probabilities)


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
        """Return float64 `(n,)` from 0 (certain) to 1 (a tie)."""
        return by_odds(_closeness, block.log_probabilities)


def _closeness(log_p: Tensor) -> Tensor:
    """Return 1 - (p1 - p2) as (1 - p1) + p2, with 1 - p1 the sum of all but p1."""
    others = odds(log_p)
    total = others.sum(dim=1)
    return (total + others.amax(dim=1)) / (1 + total)


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
        return by_odds(_expected_error, block.log_probabilities) * (torch.cat(lengths).double() + 1).sqrt()


def _expected_error(log_p: Tensor) -> Tensor:
    """Return sum_c p_c ||p - e_c||, with ||p - e_c||² = (1 - p_c)² and the squares of the other probabilities."""
    others = odds(log_p)
    total = others.sum(dim=1, keepdim=True)
    p, top = others / (1 + total), 1 / (1 + total)
    squares = p.square().sum(dim=1, keepdim=True)
    of_top = (squares + (total * top).square()).sqrt()
    of_others = (squares - p.square() + top.square() + (1 - p).square()).sqrt()
    return (top * of_top)[:, 0] + (p * of_others).sum(dim=1)


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
