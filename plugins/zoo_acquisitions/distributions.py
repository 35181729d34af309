"""Entropies, means and votes of predicted distributions, given by their logarithms; probabilities of 0 are minus infinity."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

_ELEMENTS = 1 << 21  # 16 MiB of float64: what one intermediate tensor may hold
_LEAST = -800.0  # a logarithm whose exponential is 0 in double precision, and which 0 times is 0
_ROUNDING = 8  # multiples of the machine's epsilon; what differs by less of itself does not differ


def rows_within(*shape: int) -> int:
    """Return how many rows of this shape may be worked on at once, at least one."""
    return max(1, _ELEMENTS // math.prod(shape))


def normalized(log_p: Tensor) -> Tensor:
    """Return them in float64: rows in single precision sum to 1 within 1e-7 only, more than small differences allow."""
    return log_p.double().log_softmax(dim=-1)


def by_rows(
    score: Callable[[Tensor], Tensor], log_p: Tensor, prepared: Callable[[Tensor], Tensor] = normalized
) -> Tensor:
    """Return the scores `(n,)` of normalised rows, a bounded number of them at once."""
    return gathered((score(prepared(part)) for part in log_p.split(rows_within(*log_p.shape[1:]))), len(log_p))


def gathered(parts: Iterable[Tensor], count: int) -> Tensor:
    """Return one-dimensional parts, `count` numbers in all, as one tensor, into which each is put as it comes.

    A list of them would stand between the large tensors that they are made from, and hold on to the memory of all of these.
    """
    found, start = torch.empty(0), 0
    for part in parts:
        found = found if start else part.new_empty(count)
        found[start : start + len(part)] = part
        start += len(part)
    return found


def by_odds(score: Callable[[Tensor], Tensor], log_p: Tensor) -> Tensor:
    """Return the scores `(n,)` of rows by a score that reads their odds alone, for which they need not be normalised."""
    return by_rows(score, log_p, Tensor.double)


def odds(log_p: Tensor) -> Tensor:
    """Return p_c / p_top over the last dimension, and 0 for the most probable class itself, the lowest of ties.

    Their sum is (1 - p_top) / p_top with all its digits, where a rounded p_top near 1 has none of them left.
    """
    top, predicted = log_p.max(dim=-1, keepdim=True)
    return (log_p - top).exp_().scatter_(-1, predicted, 0.0)


def doubt(log_p: Tensor) -> Tensor:
    """Return 1 - p_top over the last dimension, by the probabilities of the other classes."""
    others = odds(log_p).sum(dim=-1)
    return others / (1 + others)


def entropy(log_p: Tensor) -> Tensor:
    """Return the entropies over the last dimension, in nats: ln(1 + sum_c o_c) - sum_c o_c ln o_c / (1 + sum_c o_c), o the odds.

    No term is negative, so that small entropies keep their digits as well.
    """
    top, predicted = log_p.max(dim=-1, keepdim=True)
    apart = (log_p - top).clamp_(min=_LEAST)
    ratios = apart.exp().scatter_(-1, predicted, 0.0)
    others = ratios.sum(dim=-1)
    return others.log1p() - ratios.mul_(apart).sum(dim=-1) / (1 + others)


def log_mean(log_p: Tensor) -> Tensor:
    """Return `(n, C)`, the logarithms of the mean over the passes or members of `(n, T, C)`; that of equal ones is theirs."""
    top = log_p.amax(dim=1, keepdim=True).clamp_(min=torch.finfo(log_p.dtype).min)
    return (log_p - top).exp_().mean(dim=1).log_() + top[:, 0]


def information(log_p: Tensor) -> Tensor:
    """Return `(n,)`, the entropy of the mean of `(n, T, C)` minus the mean of the entropies; it is never negative.

    It is 0 where the difference is within rounding of the mean of T equal entropies, as that of identical passes is.
    """
    of_mean = entropy(log_mean(log_p))
    found = of_mean - entropy(log_p).mean(dim=1)
    return found.masked_fill_(found <= _ROUNDING * torch.finfo(found.dtype).eps * of_mean, 0)


def vote_shares(log_p: Tensor) -> Tensor:
    """Return float64 `(n, C)`: the share of the T passes or members whose most probable class, the lowest of ties, it is."""
    n, voters, classes = log_p.shape
    votes = torch.zeros(n, classes, dtype=torch.float64, device=log_p.device)
    return votes.scatter_add_(1, log_p.argmax(dim=-1), votes.new_ones(n, voters)) / voters


def gumbel(draws: Tensor) -> Tensor:
    """Return standard Gumbel draws from uniform float64 ones in [0, 1)."""
    return -torch.log(-torch.log(draws.clamp(min=2.0**-54)))  # half the smallest draw above 0: all stay finite
