"""Entropies, means and votes of predicted distributions, given by their logarithms; probabilities of 0 are minus infinity."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

_ELEMENTS = 1 << 21  # 16 MiB of float64: what one intermediate tensor may hold


def rows_within(*shape: int) -> int:
    """Return how many rows of this shape may be worked on at once, at least one."""
    return max(1, _ELEMENTS // math.prod(shape))


def normalized(log_p: Tensor) -> Tensor:
    """Return them in float64: rows in single precision sum to 1 within 1e-7 only, more than small differences allow."""
    return log_p.double().log_softmax(dim=-1)


def by_rows(score: Callable[[Tensor], Tensor], log_p: Tensor) -> Tensor:
    """Return the scores `(n,)` of normalised rows, a bounded number of them at once."""
    parts = log_p.split(rows_within(*log_p.shape[1:]))
    return torch.cat([score(normalized(part)) for part in parts])


def entropy(log_p: Tensor) -> Tensor:
    """Return the entropies over the last dimension, in nats."""
    terms = torch.where(torch.isneginf(log_p), torch.zeros_like(log_p), log_p.exp() * log_p)
    return -terms.sum(dim=-1)


def log_mean(log_p: Tensor) -> Tensor:
    """Return `(n, C)`, the logarithms of the mean over the passes or members of `(n, T, C)`."""
    return log_p.logsumexp(dim=1) - math.log(log_p.shape[1])


def information(log_p: Tensor) -> Tensor:
    """Return `(n,)`, the entropy of the mean of `(n, T, C)` minus the mean of the entropies; it is never negative."""
    return (entropy(log_mean(log_p)) - entropy(log_p).mean(dim=1)).clamp(min=0)


def vote_shares(log_p: Tensor) -> Tensor:
    """Return float64 `(n, C)`: the share of the T passes or members whose most probable class, the lowest of ties, it is."""
    n, voters, classes = log_p.shape
    votes = torch.zeros(n, classes, dtype=torch.float64, device=log_p.device)
    return votes.scatter_add_(1, log_p.argmax(dim=-1), votes.new_ones(n, voters)) / voters


def gumbel(draws: Tensor) -> Tensor:
    """Return standard Gumbel draws from uniform float64 ones in [0, 1)."""
    return -torch.log(-torch.log(draws.clamp(min=2.0**-54)))  # half the smallest draw above 0: all stay finite
