from __future__ import annotations

import math

import pytest
import torch
from fixtures.acquisitions import CATALOG, by_blocks, certain, distributions, ids, pool, scores, turned
from scipy import stats

from zoo.registry import resolve_component
from zoo_acquisitions.specs.committee import Committee

KINDS = ("kl", "vote-entropy")


def test_the_members_are_names_of_recipes() -> None:
    params = resolve_component(CATALOG, "acquisition", "committee", ["members=[resnet50-momentum, row-lstm]"]).params
    assert isinstance(params, Committee)
    assert (params.members, params.disagreement) == (("resnet50-momentum", "row-lstm"), "kl")


def test_vote_entropy_by_hand() -> None:
    """Votes 2 : 1, 3 : 0 and 1 : 1 : 1; doubt within a member does not count."""
    votes = [[0, 0, 1], [2, 2, 2], [0, 1, 2]]
    log_p = torch.full((3, 3, 3), 0.3)
    log_p.scatter_(2, torch.tensor(votes)[:, :, None], 0.4)
    expected = [-(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3)), 0, math.log(3)]
    assert scores("committee", pool(committee=log_p.log()), disagreement="vote-entropy").tolist() == pytest.approx(
        expected, abs=1e-12
    )


def test_a_member_for_whom_classes_tie_votes_for_the_lowest() -> None:
    log_p = torch.tensor([[[0.5, 0.5], [0.9, 0.1]], [[0.5, 0.5], [0.1, 0.9]]]).log()
    assert scores("committee", pool(committee=log_p), disagreement="vote-entropy").tolist() == pytest.approx(
        [0, math.log(2)]
    )


def test_kl_is_scipys_mean_divergence_from_the_mean() -> None:
    p = distributions(30, 4, 5).exp()
    expected = stats.entropy(p.numpy(), p.mean(1, keepdim=True).numpy(), axis=2).mean(1)
    assert scores("committee", pool(committee=p.log())).tolist() == pytest.approx(expected.tolist())


def test_members_are_a_committee_as_passes_are_for_bald() -> None:
    log_p = distributions(30, 4, 5)
    assert torch.equal(scores("committee", pool(committee=log_p)), scores("bald", pool(mc_log_probabilities=log_p)))


def test_members_that_agree_on_a_class_with_other_confidence_differ_by_kl_alone() -> None:
    samples = pool(committee=torch.tensor([[[0.6, 0.4], [0.6, 0.4]], [[0.99, 0.01], [0.51, 0.49]]]).log())
    assert float(scores("committee", samples)[1]) > float(scores("committee", samples)[0])
    assert scores("committee", samples, disagreement="vote-entropy").tolist() == [0, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_certain_members_one_member_and_one_class_give_finite_scores(kind: str) -> None:
    for log_p in (certain(12, 3, 4), distributions(12, 1, 4), torch.zeros(12, 3, 1), distributions(1, 3, 4)):
        samples = pool(committee=log_p)
        assert bool(scores("committee", samples, disagreement=kind).isfinite().all())
        assert sorted(ids("committee", samples, len(samples), disagreement=kind)) == samples.ids


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_the_same_in_blocks_and_choices_in_another_order(kind: str) -> None:
    samples = pool(committee=distributions(40, 3, 4), seed=2)
    whole = by_blocks("committee", samples, 1, disagreement=kind)
    assert all(torch.equal(by_blocks("committee", samples, n, disagreement=kind), whole) for n in (2, 3))
    chosen = ids("committee", samples, 40, disagreement=kind)
    for k in (1, 11, 40):
        assert ids("committee", turned(samples), k, disagreement=kind) == chosen[:k]
