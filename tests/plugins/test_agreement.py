"""Strategies beside those of scikit-activeml, another implementation of the same papers.

Where it does not compute what the definition says, ours is compared with the definition, and the docstring says why.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from fixtures import acquisitions, pools
from fixtures.acquisitions import distributions
from numpy.typing import NDArray
from skactiveml import base
from skactiveml import pool as peers
from torch import Tensor

from zoo.active.selection import select
from zoo_acquisitions.batch_bald import Labelings
from zoo_acquisitions.distances import squared
from zoo_acquisitions.gradients import Badge, Gradients

Floats = NDArray[np.float64]
METHODS = {"least-confidence": "least_confident", "margin": "margin_sampling", "entropy": "entropy"}
EXACT = 1_000_000  # labelings, of which joint entropies are exact sums


class Holding(base.SkactivemlClassifier):  # type: ignore[misc]
    """Gives out the probabilities that it holds, whatever it is asked."""

    def __init__(self, probabilities: Floats | None = None) -> None:
        super().__init__()
        self.probabilities = probabilities

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Holding:
        return self

    def predict_proba(self, X: Any) -> Floats | None:
        return self.probabilities


def badge(log_p: Tensor, embeddings: Tensor, k: int) -> tuple[list[int], Floats]:
    """Return its choice and, for each draw, the probability of every sample; nan for those chosen before."""
    query = peers.Badge(random_state=0).query
    unknown = np.full(len(log_p), np.nan)
    classifier = Holding(log_p.exp().numpy())
    chosen, chances = query(embeddings.numpy(), unknown, classifier, fit_clf=False, batch_size=k, return_utilities=True)
    return [int(position) for position in chosen], chances


def farthest_first(embeddings: Tensor, centres: Tensor, k: int) -> list[int]:
    """Return its choice among the embeddings beside centres that have labels."""
    labels = np.concatenate([np.zeros(len(centres)), np.full(len(embeddings), np.nan)])
    points = torch.cat([centres, embeddings]).double().numpy()
    chosen, _ = peers.k_greedy_center(points, labels, batch_size=k, random_state=0)
    return [int(position) - len(centres) for position in chosen]


def informations(log_p: Tensor, k: int) -> Floats:
    """Return `(k, n)`: the mutual information of each sample beside those chosen before, for which it is nan."""
    p = log_p.exp().transpose(0, 1).numpy().copy()  # which it overwrites
    found: Floats = peers.batch_bald(p, k, n_MC_samples=EXACT, eps=1e-300, random_state=0)
    return found


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("classes", [2, 7])
def test_uncertainty_scores_are_the_same(name: str, classes: int) -> None:
    log_p = torch.cat([distributions(200, classes), acquisitions.certain(5, classes), torch.zeros(1, classes).double()])
    log_p[-1] -= math.log(classes)
    expected = peers.uncertainty_scores(log_p.exp().numpy(), method=METHODS[name])
    got = acquisitions.scores(name, acquisitions.pool(log_probabilities=log_p))
    assert torch.allclose(got, torch.from_numpy(expected), rtol=0, atol=1e-12)


@pytest.mark.parametrize("count", [1, 7])
def test_k_center_chooses_the_same(count: int) -> None:
    embeddings, centres = pools.noise(300, 6).half(), pools.noise(count, 6, seed=1).half()
    samples = pools.pool(embeddings, labeled=pools.labelled(centres))
    assert select(pools.strategy("k-center"), samples, 100) == farthest_first(embeddings, centres, 100)


def test_k_center_without_labels_goes_on_the_same_from_its_first() -> None:
    """The first of theirs is drawn."""
    embeddings = pools.noise(300, 6).half()
    first, *rest = select(pools.strategy("k-center"), pools.pool(embeddings), 100)
    others = [i for i in range(300) if i != first]
    chosen = farthest_first(embeddings[others], embeddings[[first]], 99)
    assert [others[i] for i in chosen] == rest


def test_badge_begins_with_the_same_longest_gradient() -> None:
    for seed in range(5):
        log_p, embeddings = distributions(200, 5, seed=seed), pools.noise(200, 8, seed=seed).half()
        (theirs,), _ = badge(log_p, embeddings.double(), 1)
        samples = pools.pool(embeddings, log_probabilities=log_p)
        assert Badge(torch.float64).select(samples, 1) == [theirs]
        assert int(Gradients(log_p, embeddings, torch.float64).norms.argmax()) == theirs


def test_badge_draws_by_the_distances_to_what_is_chosen_and_to_nothing_else() -> None:
    """Theirs goes on from the squared lengths by which it chose the first, as if the gradient 0 were a centre too: D² sampling
    (Arthur and Vassilvitskii, 2007) knows no such centre. But for it the probabilities are the same.
    """
    log_p, embeddings = distributions(200, 5), pools.noise(200, 8)
    chosen, chances = badge(log_p, embeddings, 8)
    gradients, every = Gradients(log_p, embeddings, torch.float64), torch.arange(200)
    errors = log_p.exp() - torch.eye(5)[log_p.argmax(dim=1)]
    exact = (errors[:, :, None] * embeddings[:, None, :]).flatten(1)
    for draw in range(1, 8):
        distances = squared(gradients, every, torch.tensor(chosen[:draw])).amin(dim=1)
        gaps = (exact[:, None] - exact[chosen[:draw]]).square().sum(dim=2)
        assert torch.allclose(distances, gaps.amin(dim=1), rtol=1e-9, atol=1e-12)
        with_origin = torch.minimum(distances, gradients.norms)
        expected = torch.from_numpy(chances[draw])
        assert expected.isnan().nonzero()[:, 0].tolist() == sorted(chosen[:draw])
        assert torch.allclose(with_origin / with_origin.sum(), expected.nan_to_num(), rtol=1e-9, atol=1e-12)


def test_bald_is_the_same() -> None:
    log_p = distributions(200, 10, 6)
    got = acquisitions.scores("bald", acquisitions.pool(mc_log_probabilities=log_p))
    assert torch.allclose(got, torch.from_numpy(informations(log_p, 1)[0]), rtol=0, atol=1e-9)


def test_bald_of_passes_that_are_certain_is_that_of_the_definition() -> None:
    """Theirs raises probabilities of 0 to 1e-7 without lowering others, and so misses by 1.6e-6 that two passes which are certain
    of different classes of four tell ln 2.
    """
    opposed, agreed = torch.eye(4)[[0, 1, 0, 1]], torch.eye(4)[[2, 2, 2, 2]]
    log_p = torch.stack([opposed, agreed]).double().log()
    got = acquisitions.scores("bald", acquisitions.pool(mc_log_probabilities=log_p))
    assert got.tolist() == pytest.approx([math.log(2), 0], abs=1e-12)


def test_batch_bald_chooses_the_same_with_the_same_joint_information() -> None:
    log_p = distributions(30, 4, 3)
    joint = informations(log_p, 6)
    chosen = [int(i) for i in np.nanargmax(joint, axis=1)]
    samples = acquisitions.pool(mc_log_probabilities=log_p)
    assert acquisitions.ids("batch-bald", samples, 6, exact=EXACT) == [f"{i:04d}" for i in chosen]
    labelings, before = Labelings.of_nothing(4, torch.device("cpu")), 0.0
    for draw, position in enumerate(chosen):
        gains, expected = labelings.information(log_p.exp()), torch.from_numpy(joint[draw])
        left = ~expected.isnan()
        assert torch.allclose(before + gains[left], expected[left], rtol=0, atol=1e-9)
        labelings, before = labelings.extended(log_p[position].exp()), before + float(gains[position])
