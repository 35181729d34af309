from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from zoo.active import gate
from zoo.active.gate import auroc, boundary, folds, fpr_at_tpr, knn, threshold
from zoo.errors import ComponentError


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_distances_are_between_directions() -> None:
    rows = torch.tensor([[5.0, 0.0], [0.0, 0.1], [-3.0, 0.0], [1.0, 1.0]])
    labeled = torch.tensor([[1.0, 0.0], [0.0, 2.0], [7.0, 7.0]])
    root, near = math.sqrt(2), math.sqrt(2 - math.sqrt(2))
    assert knn(rows, labeled, 1).tolist() == pytest.approx([0.0, 0.0, root, 0.0])
    assert knn(rows, labeled, 2).tolist() == pytest.approx([near, near, math.sqrt(2 + math.sqrt(2)), near])
    assert knn(rows, labeled, 3).tolist() == pytest.approx([root, root, 2.0, near])


def test_a_row_of_zeros_is_one_away_from_all_but_its_like() -> None:
    rows = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    labeled = torch.tensor([[-1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    assert knn(rows, labeled, 1).tolist() == pytest.approx([0.0, math.sqrt(0.4)])
    assert knn(rows, labeled, 2).tolist() == pytest.approx([1.0, 1.0])
    assert knn(rows, labeled, 3).tolist() == pytest.approx([1.0, math.sqrt(3.2)])


@pytest.mark.parametrize("block", [1, 7, 64])
@pytest.mark.parametrize("k", [1, 5, 40])
def test_distances_in_half_precision_are_those_of_scikit_learn_in_blocks_of_any_size(
    monkeypatch: pytest.MonkeyPatch, block: int, k: int
) -> None:
    monkeypatch.setattr(gate, "BLOCK", block)
    rows, labeled = drawn(50, 6).half(), drawn(40, 6, seed=1).half()
    unit = [(x.double() / x.double().norm(dim=1, keepdim=True)).numpy() for x in (labeled, rows)]
    expected = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(unit[0]).kneighbors(unit[1])[0][:, -1]
    found = knn(rows, labeled, k)
    assert found.dtype == torch.float32 and np.allclose(found.numpy(), expected, atol=1e-6)


def test_distances_of_what_hardly_differs_are_not_lost() -> None:
    labeled = drawn(30, 64)
    nudged = labeled + 1e-5 * drawn(30, 64, seed=1)
    unit = [x.double() / x.double().norm(dim=1, keepdim=True) for x in (nudged, labeled)]
    assert torch.allclose(knn(nudged, labeled, 1).double(), (unit[0] - unit[1]).norm(dim=1), rtol=0.02)
    assert float(knn(labeled, labeled, 1).max()) == 0


@pytest.mark.parametrize("k", [0, 4])
def test_more_neighbours_than_labelled_samples_are_refused(k: int) -> None:
    with pytest.raises(ComponentError, match=rf"k must be 1 … 3, the number of labelled samples, got {k} instead"):
        knn(drawn(2, 4), drawn(3, 4), k)


def test_the_threshold_is_the_conformal_quantile() -> None:
    found = threshold(torch.arange(19.0).flip(0), 0.95)  # ⌈20 · 0.95⌉ = 19 of 19
    assert (found.value, found.samples, found.coverage, found.enough) == (18.0, 19, 0.95, True)
    found = threshold(torch.arange(1.0, 40.0), 0.95)  # ⌈40 · 0.95⌉ = 38
    assert (found.value, found.coverage, found.enough) == (38.0, 0.95, True)
    assert threshold(torch.arange(1.0, 100.0), 0.07).value == 7  # in binary 100 · 0.07 is above 7
    assert threshold(torch.tensor([2.0, 1.0, 3.0]), 0.5).value == 2


@pytest.mark.parametrize(("scores", "quantile"), [(range(18), 0.95), (range(1), 0.95), (range(50), 1.0)])
def test_too_few_scores_give_the_largest_and_say_so(scores: range, quantile: float) -> None:
    found = threshold(torch.tensor([float(score) for score in scores]), quantile)
    n = len(scores)
    assert (found.value, found.samples, found.coverage, found.enough) == (n - 1, n, n / (n + 1), False)


def test_known_samples_are_accepted_as_often_as_was_asked_for() -> None:
    scores = drawn(4000, 30)
    limits = torch.tensor([threshold(row[:-1], 0.9).value for row in scores])
    assert float((scores[:, -1] <= limits).double().mean()) == pytest.approx(0.9, abs=0.015)  # deviation 0.0047


def test_no_scores_no_numbers_and_no_quantiles_are_refused() -> None:
    with pytest.raises(ComponentError, match="at least one known sample\n  try: label more samples first"):
        threshold(torch.empty(0))
    with pytest.raises(ComponentError, match="1 of 2 scores are not numbers"):
        threshold(torch.tensor([1.0, math.nan]))
    for quantile in (0.0, 1.5, math.nan):
        with pytest.raises(ComponentError, match="quantile must be above 0 and up to 1, got"):
            threshold(torch.ones(3), quantile)


def test_the_boundary_tells_the_most_rightly_and_is_the_lowest_of_several() -> None:
    """Up to 2 three known ones and one unknown are let in, up to 3 two unknown ones more."""
    known, unknown = torch.tensor([3.0, 0.0, 1.0, 2.0]), torch.tensor([1.5, 2.5, 2.7, 9.0])
    assert boundary(known, unknown) == 1.0  # two known ones; up to 2 three, and an unknown one
    assert boundary(known, unknown[1:]) == 2.0
    assert boundary(known, unknown[3:]) == boundary(known, unknown[:0]) == 3.0
    assert boundary(known, torch.full((9,), -1.0)) == 3.0 and boundary(known, torch.full((9,), 0.0)) == 3.0
    assert boundary(known, unknown.repeat(50)) == boundary(known, unknown)
    with pytest.raises(ComponentError, match="at least one known sample"):
        boundary(known[:0], unknown)


@pytest.mark.parametrize("seed", range(5))
def test_no_other_boundary_makes_fewer_errors(seed: int) -> None:
    for size in (20, 90):
        known, unknown = drawn(30, seed=seed), drawn(size, seed=seed + 50) + 1
        weight = min(1.0, 30 / size)
        errors = {
            float(t): float((known > t).sum() + weight * (unknown <= t).sum()) for t in torch.cat([known, unknown])
        }
        assert errors[boundary(known, unknown)] == pytest.approx(min(errors.values()))


def test_many_unknown_answers_leave_most_of_the_known_in() -> None:
    """Scores that overlap by a third: however many unknown ones were answered, the limit stays."""
    known = drawn(2000, seed=1)
    kept = [float((known <= boundary(known, drawn(count, seed=2) + 1.5)).float().mean()) for count in (2000, 40_000)]
    assert kept[0] > 0.7 and kept[1] == pytest.approx(kept[0], abs=0.05)


def test_folds_are_even_over_all_samples_and_within_classes() -> None:
    labels = torch.tensor([0] * 7 + [1] * 5 + [2] + [3] * 10)
    found = folds(labels, 3, 0, [f"sample {i}" for i in range(23)])
    assert sorted(torch.bincount(found).tolist()) == [7, 8, 8]
    for label in range(4):
        counts = torch.bincount(found[labels == label], minlength=3)
        assert int(counts.max() - counts.min()) <= 1


def test_folds_hang_on_ids_and_the_seed_and_not_on_the_order() -> None:
    labels, ids = torch.arange(40) % 4, [f"sample {i}" for i in range(40)]
    found = folds(labels, 5, 0, ids)
    turned = torch.arange(40).roll(11)
    assert torch.equal(folds(labels[turned], 5, 0, [ids[i] for i in turned]), found[turned])
    assert not torch.equal(folds(labels, 5, 1, ids), found)


@pytest.mark.parametrize("count", [1, 4])
def test_one_fold_and_more_folds_than_samples_are_refused(count: int) -> None:
    with pytest.raises(
        ComponentError, match=rf"3 labelled samples cannot be cut into {count} folds\n  possible: 2 … 3"
    ):
        folds(torch.zeros(3, dtype=torch.int64), count, 0, ["a", "b", "c"])


def test_auroc_counts_pairs_and_ties_by_half() -> None:
    known, unknown = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([2.0, 1.5])
    assert auroc(known, unknown) == 4.5 / 6
    assert auroc(unknown, known) == 1.5 / 6
    assert auroc(torch.zeros(5), torch.zeros(2)) == 0.5
    assert auroc(known, known + 10) == 1


def test_fpr_is_the_share_of_unknown_samples_let_in_with_95_percent_of_the_known() -> None:
    known = torch.arange(20.0)  # 19 of 20 are accepted up to 18
    assert fpr_at_tpr(known, torch.tensor([17.0, 18.0, 18.5, 19.0])) == 0.5
    assert fpr_at_tpr(known, torch.tensor([100.0])) == 0
    assert fpr_at_tpr(known, torch.tensor([4.0, 4.5]), 0.25) == 0.5  # five of 20, up to 4
    assert fpr_at_tpr(torch.zeros(20), torch.tensor([0.0, 1.0])) == 0.5  # ties are accepted together
    assert fpr_at_tpr(known, torch.tensor([19.0, 19.5]), 1.0) == 0.5


@pytest.mark.parametrize("seed", range(5))
def test_figures_of_tied_scores_are_those_of_scikit_learn(seed: int) -> None:
    known, unknown = (drawn(57, seed=seed) * 2).round(), (drawn(33, seed=seed + 90) * 2 + 1).round()
    scores, sides = torch.cat([known, unknown]).numpy(), [0] * 57 + [1] * 33
    assert auroc(known, unknown) == pytest.approx(roc_auc_score(sides, scores), abs=1e-12)
    accepted_unknown, accepted_known, _ = roc_curve([1 - side for side in sides], -scores, drop_intermediate=False)
    assert fpr_at_tpr(known, unknown) == pytest.approx(accepted_unknown[accepted_known >= 0.95].min(), abs=1e-12)


@pytest.mark.parametrize("figure", [auroc, fpr_at_tpr])
def test_a_side_without_samples_has_no_figure(figure: type) -> None:
    none, some = torch.empty(0), torch.ones(3)
    assert figure(none, some) is None and figure(some, none) is None and figure(none, none) is None
    with pytest.raises(ComponentError, match="2 of 3 scores are not numbers"):
        figure(some, torch.tensor([math.nan, 1.0, math.nan]))
