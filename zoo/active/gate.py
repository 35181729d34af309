"""A gate before a strategy: which unlabelled samples look like none of the known classes.

All scores are higher for what is more unknown. A sample is accepted as known where its score is at most the threshold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor
from torch.nn import functional

from zoo.errors import ComponentError
from zoo.training.randomness import uniform_ids

BLOCK = 1024  # rows that are compared with as many others at a time


def knn(embeddings: Tensor, labeled: Tensor, k: int) -> Tensor:
    """Return float32 `(n,)`: the Euclidean distance of each row to its k-th nearest labelled one, all rows at length 1.

    Sun, Ming, Zhu and Li, "Out-of-distribution detection with deep nearest neighbors", ICML 2022. Embeddings are `(n, D)` and
    `(m, D)` of any precision; a row of zeros stays as it is. O(n m D), with a block of distances at once. A sample among the
    labelled ones is a neighbour of itself: compare it with other folds. Raises ComponentError for k above m.
    """
    if not 0 < k <= len(labeled):
        raise ComponentError(
            f"k must be 1 … {len(labeled)}, the number of labelled samples, got {k} instead",
            hint="label more samples first",
        )
    parts = [_kth_distance(functional.normalize(rows.float()), labeled, k) for rows in embeddings.split(BLOCK)]
    return torch.cat(parts)


def _kth_distance(rows: Tensor, labeled: Tensor, k: int) -> Tensor:
    """Return the distances `(r,)` of rows of length 1."""
    closeness = rows.new_empty(len(rows), 0)
    nearest = torch.empty(len(rows), 0, dtype=torch.int64, device=rows.device)
    for some in torch.arange(len(labeled), device=rows.device).split(BLOCK):
        others = _unit(labeled, some)
        # The squared distance falls as x·y - |y|² / 2 rises; |y| is 1, or 0.
        closeness = torch.cat([closeness, rows @ others.T - others.square().sum(dim=1) / 2], dim=1)
        closeness, best = closeness.topk(min(k, closeness.shape[1]), dim=1)
        nearest = torch.cat([nearest, some.expand(len(rows), -1)], dim=1).gather(1, best)
    # A small distance is lost in products, and not in differences.
    return (rows - _unit(labeled, nearest[:, -1])).square().sum(dim=1).sqrt()


def _unit(labeled: Tensor, positions: Tensor) -> Tensor:
    rows = labeled[positions.to(labeled.device)].to(positions.device)
    return functional.normalize(rows.float())


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """The score up to which samples are accepted as known.

    A known sample that is exchangeable with the `samples` it was found on is accepted with a probability of at least `coverage`. That
    is less than was asked for where these were too few, `enough` being false: then the value is the largest of their scores.
    """

    value: float
    samples: int
    coverage: float
    enough: bool


def threshold(held_out: Tensor, quantile: float = 0.95) -> Threshold:
    """Return the ⌈(n + 1) quantile⌉-th smallest of the scores `(n,)` of known samples, or the largest where n is too small for it.

    Split conformal prediction: Vovk, Gammerman and Shafer, "Algorithmic learning in a random world", 2005; Lei, G'Sell, Rinaldo,
    Tibshirani and Wasserman, "Distribution-free predictive inference for regression", JASA 2018. It holds for scores of a model
    that was not trained on these samples (see `folds`). Raises ComponentError for no scores and for a quantile outside of 0 … 1.
    """
    scores = _scores(held_out)
    if not len(scores):
        raise ComponentError(
            "a threshold needs the score of at least one known sample", hint="label more samples first"
        )
    wanted = _rank(quantile, len(scores) + 1, "quantile")
    rank = min(wanted, len(scores))
    return Threshold(
        value=float(scores.sort().values[rank - 1]),
        samples=len(scores),
        coverage=rank / (len(scores) + 1),
        enough=rank == wanted,
    )


def boundary(known: Tensor, unknown: Tensor) -> float:
    """Return the score up to which the most samples `(n,)` and `(u,)` are told rightly; of several the lowest, one of the known's.

    Unknown ones weigh together as much as the known at most: few of them change little, and where there are more of them than known
    ones their number plays no part; then it is the limit of the highest index of Youden ("Index for rating diagnostic tests",
    Cancer 1950). Raises ComponentError for no known ones.
    """
    limits, rest = _scores(known).sort().values, _scores(unknown).sort().values
    if not len(limits):
        raise ComponentError("a boundary needs the score of at least one known sample", hint="label more samples first")
    weight = min(Fraction(1), Fraction(len(limits), max(1, len(rest))))
    accepted, let_in = (torch.searchsorted(scores, limits, right=True) for scores in (limits, rest))
    # In whole numbers, so that ties are ties.
    rightly = weight.denominator * accepted - weight.numerator * let_in
    return float(limits[rightly.argmax()])


def folds(labels: Tensor, count: int, seed: int, ids: Sequence[str]) -> Tensor:
    """Return int64 `(n,)`, the fold from 0 to count - 1 of each labelled sample, as a function of (seed, ids, labels) in any order.

    Folds differ by one sample at most, and so do the samples that each has of a class. Raises ComponentError for fewer than two
    folds and for fewer samples than folds.
    """
    if not 2 <= count <= len(ids):
        raise ComponentError(
            f"{len(ids)} labelled samples cannot be cut into {count} folds", possible=f"2 … {len(ids)}", hint="2"
        )
    draws = uniform_ids(seed, "gate/folds", 0, ids)[:, 0].tolist()
    order = sorted(range(len(ids)), key=lambda i: (int(labels[i]), draws[i], ids[i]))
    found = torch.empty(len(ids), dtype=torch.int64)
    found[order] = torch.arange(len(ids)) % count
    return found


def auroc(scores_known: Tensor, scores_unknown: Tensor) -> float | None:
    """Return the share of pairs of a known and an unknown sample in which the unknown one scores higher, ties counting half.

    1 is a perfect gate and 0.5 one that knows nothing. None where a side has no samples.
    """
    known, unknown = _scores(scores_known).sort().values, _scores(scores_unknown)
    if not len(known) or not len(unknown):
        return None
    below, upto = (int(torch.searchsorted(known, unknown, right=right).sum()) for right in (False, True))
    return (below + upto) / (2 * len(known) * len(unknown))


def fpr_at_tpr(scores_known: Tensor, scores_unknown: Tensor, tpr: float = 0.95) -> float | None:
    """Return the share of unknown samples that are accepted when at least `tpr` of the known ones are.

    A known sample is the positive, accepted where its score is at most the threshold, and the threshold is the lowest that
    accepts enough of them: at the default it is the FPR95 of Liang, Li and Srikant, "Enhancing the reliability of
    out-of-distribution image detection in neural networks", ICLR 2018. Lower is better. None where a side has no samples.
    """
    known, unknown = _scores(scores_known).sort().values, _scores(scores_unknown)
    if not len(known) or not len(unknown):
        return None
    limit = known[_rank(tpr, len(known), "tpr") - 1]
    return int((unknown <= limit).sum()) / len(unknown)


def _rank(share: float, count: int, name: str) -> int:
    """Return ⌈share · count⌉ of the share as it is written: in binary 0.07 · 100 is above 7."""
    if not 0 < share <= 1:
        raise ComponentError(f"{name} must be above 0 and up to 1, got {share} instead", hint="0.95")
    return math.ceil(Fraction(str(float(share))) * count)


def _scores(scores: Tensor) -> Tensor:
    """Return them in float64 on the CPU; raises ComponentError for what is not a number."""
    found = scores.detach().cpu().double()
    if bool(found.isnan().any()):
        raise ComponentError(f"{int(found.isnan().sum())} of {len(found)} scores are not numbers")
    return found
