"""Scores of T dropout passes per sample, in float64, a bounded number of samples at once.

Gal, Islam and Ghahramani, "Deep Bayesian active learning with image data", ICML 2017. Each but epig costs O(n T C).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.bases import Block, Pool, ScoreStrategy
from zoo.components import NoParams
from zoo.errors import ComponentError
from zoo.training.randomness import uniform_ids
from zoo_acquisitions.distributions import (
    by_rows,
    doubt,
    entropy,
    gumbel,
    information,
    log_mean,
    normalized,
    rows_within,
    vote_shares,
)
from zoo_acquisitions.specs.bayesian import PowerBALD, VariationRatio


class MeanVariationRatio(ScoreStrategy):
    """One minus the largest mean probability, 1 - max_c mean_t p_tc.

    Freeman, "Elementary applied statistics", 1965, as Gal et al. (2017) apply it.
    """

    def score(self, block: Block, pool: Pool) -> Tensor:
        """Return float64 `(n,)` from 0 to 1 - 1/C."""
        return by_rows(_doubt_of_mean, block.mc_log_probabilities)


class VoteVariationRatio(ScoreStrategy):
    """One minus the share of the modal vote among the most probable classes of the passes (Freeman, 1965).

    A pass in which classes tie votes for the lowest of them.
    """

    def score(self, block: Block, pool: Pool) -> Tensor:
        """Return float64 `(n,)` from 0 (unanimous) to 1 - 1/min(T, C)."""
        return 1 - vote_shares(block.mc_log_probabilities).amax(dim=1)


class MeanStd(ScoreStrategy):
    """The standard deviation of a class's probability over the passes, mean over classes:
    mean_c sqrt(mean_t p_tc² - (mean_t p_tc)²).

    Kampffmeyer, Salberg and Jenssen, "Semantic segmentation of small objects and modeling of uncertainty in urban remote
    sensing images using deep convolutional neural networks", CVPR Workshops 2016; Gal et al. (2017).
    """

    def score(self, block: Block, pool: Pool) -> Tensor:
        """Return float64 `(n,)` from 0 (identical passes) to 0.5."""
        return by_rows(_spread, block.mc_log_probabilities)


class BALD(ScoreStrategy):
    """The mutual information of a sample's label and the weights: H(mean_t p_t) - mean_t H(p_t), in nats.

    Houlsby, Huszár, Ghahramani and Lengyel, "Bayesian active learning for classification and preference learning", 2011;
    Gal et al. (2017).
    """

    def score(self, block: Block, pool: Pool) -> Tensor:
        """Return float64 `(n,)` from 0 (identical passes) to ln min(T, C)."""
        return by_rows(information, block.mc_log_probabilities)


class PowerSampling(ScoreStrategy):
    """Samples drawn without replacement with probabilities in proportion to bald^power: power ln bald + Gumbel noise.

    Kirsch, Farquhar, Atighehchian, Jesson, Branchaud-Charron and Gal, "Stochastic batch acquisition: a simple baseline for
    deep active learning", TMLR 2023, where the power is called coldness. A score of 0 counts as the smallest number.
    """

    def __init__(self, power: float) -> None:
        self._power = power

    def score(self, block: Block, pool: Pool) -> Tensor:
        """Return float64 `(n,)`: the k highest are k draws without replacement."""
        scores = BALD().score(block, pool)
        noise = gumbel(uniform_ids(pool.seed, "power-bald/noise", pool.round, block.ids)[:, 0]).to(scores.device)
        return self._power * scores.clamp(min=torch.finfo(scores.dtype).tiny).log() + noise


class EPIG(ScoreStrategy):
    """The mutual information of a sample's label y and that of a target input y', mean over the target inputs:
    mean_x' [H(y) + H(y') - H(y, y')] with p(y, y') = mean_t p_t(y) p_t(y').

    Bickford Smith, Kirsch, Farquhar, Gal, Foster and Rainforth, "Prediction-oriented Bayesian active learning", AISTATS
    2023. The passes over pool and target inputs must be the same T draws of the weights. O(n t T C²), n t C² of them
    logarithms: meant for few classes, or for few target inputs.
    """

    def score(self, block: Block, pool: Pool) -> Tensor:
        """Return float64 `(n,)` from 0 to ln min(T, C), in nats."""
        log_p, target = block.mc_log_probabilities, pool.target
        if log_p.shape[1:] != target.shape[1:]:
            raise ComponentError(
                f"passes and classes of target inputs must be {tuple(log_p.shape[1:])} as in the pool, "
                f"got {tuple(target.shape[1:])} instead"
            )
        return torch.cat([_shared(normalized(part), target) for part in log_p.split(_side(log_p))])


def _side(log_p: Tensor) -> int:
    """Return how many samples, beside as many target inputs, have joint distributions that fit into a block."""
    return max(1, math.isqrt(rows_within(log_p.shape[2] ** 2)))


def _shared(log_p: Tensor, target: Tensor) -> Tensor:
    n, passes = log_p.shape[:2]
    rows = log_p.exp().mT.reshape(-1, passes) / passes
    total = torch.zeros(n, dtype=torch.float64, device=log_p.device)
    for part in target.split(_side(log_p)):
        other = normalized(part.to(log_p.device))
        joint = rows @ other.exp().transpose(0, 1).reshape(passes, -1)
        total += torch.xlogy(joint, joint).view(n, -1).sum(dim=1) + entropy(log_mean(other)).sum()
    return (entropy(log_mean(log_p)) + total / len(target)).clamp(min=0)


def _doubt_of_mean(log_p: Tensor) -> Tensor:
    return doubt(log_mean(log_p))


def _spread(log_p: Tensor) -> Tensor:
    return log_p.exp().std(dim=1, correction=0).mean(dim=1)


def build_variation_ratio(params: VariationRatio) -> ScoreStrategy:
    """Return the variation ratio of the mean or of the votes."""
    return MeanVariationRatio() if params.of == "mean" else VoteVariationRatio()


def build_mean_std(params: NoParams) -> ScoreStrategy:
    """Return the strategy."""
    return MeanStd()


def build_bald(params: NoParams) -> ScoreStrategy:
    """Return the strategy."""
    return BALD()


def build_power_bald(params: PowerBALD) -> ScoreStrategy:
    """Return the strategy."""
    return PowerSampling(params.power)


def build_epig(params: NoParams) -> ScoreStrategy:
    """Return the strategy."""
    return EPIG()
