"""Stratified cuts: which samples a part of a split gets, as a function of (seed, name of the cut, sample)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from zoo.training.randomness import bits

Labels = NDArray[np.int64]


def cut(labels: Labels, samples: Labels, fraction: float, *, seed: int, name: str) -> NDArray[np.bool_]:
    """Return the mask of a stratified share: of each class with two samples or more at least one, and never all."""
    counts = np.bincount(labels)
    total = round(fraction * len(labels))
    share = apportion(counts, total, low=(counts > 1).astype(np.int64), high=np.maximum(counts - 1, 0))
    return choose(labels, samples, share, seed=seed, name=name)


def subset(labels: Labels, samples: Labels, size: int, *, seed: int, name: str) -> NDArray[np.bool_]:
    """Return the mask of a stratified subset of exactly `size` samples with at least one of each class."""
    counts = np.bincount(labels)
    share = apportion(counts, size, low=np.minimum(counts, 1), high=counts)
    return choose(labels, samples, share, seed=seed, name=name)


def apportion(counts: Labels, total: int, *, low: Labels, high: Labels) -> Labels:
    """Return how many of `total` each class gets: by largest remainder, within `low` and `high`."""
    quota = counts * (total / max(1, counts.sum()))
    share: Labels = np.clip(np.floor(quota).astype(np.int64), low, high)
    while share.sum() < total and (share < high).any():
        share[np.argmax(np.where(share < high, quota - share, -np.inf))] += 1
    while share.sum() > total and (share > low).any():
        share[np.argmin(np.where(share > low, quota - share, np.inf))] -= 1
    return share


def choose(labels: Labels, samples: Labels, share: Labels, *, seed: int, name: str) -> NDArray[np.bool_]:
    """Return the mask of the `share[c]` samples of each class c that come first in the random order of this cut."""
    drawn = bits(seed, f"split/{name}", 0, torch.from_numpy(samples))[:, 0].numpy()
    order = np.lexsort((drawn, labels))
    counts = np.bincount(labels, minlength=len(share))
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = np.zeros(len(labels), dtype=np.bool_)
    chosen[order] = rank < share[labels[order]]
    return chosen
