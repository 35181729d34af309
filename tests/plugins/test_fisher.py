from __future__ import annotations

from itertools import combinations

import pytest
import torch
from fixtures.pools import labelled, needs, noise, pool, strategy
from torch import Tensor
from torch.nn import functional

from zoo.active.selection import select
from zoo_acquisitions import fisher
from zoo_acquisitions.fisher import Factors, InformationTrace


def log_softmax(rows: int, classes: int, seed: int = 7) -> Tensor:
    return (2 * noise(rows, classes, seed=seed)).log_softmax(1)


def information(log_p: Tensor, embeddings: Tensor) -> Tensor:
    """Return (diag(p) - p p') ⊗ h h' of each sample, `(n, C·D, C·D)`."""
    p, h = log_p.exp(), embeddings.double()
    return torch.stack(
        [torch.kron(torch.diag(a) - torch.outer(a, a), torch.outer(b, b)) for a, b in zip(p, h, strict=True)]
    )


def objective(each: Tensor, chosen: list[int], regularization: float, known: Tensor | None = None) -> float:
    known = torch.zeros_like(each[0]) if known is None else known
    chosen_too = each[torch.tensor(chosen, dtype=torch.int64)].sum(dim=0) + known
    return float(
        torch.trace(
            torch.linalg.inv(regularization * torch.eye(each.shape[1]).double() + chosen_too)
            @ (each.sum(dim=0) + known)
        )
    )


def forward_and_backward(each: Tensor, k: int, regularization: float, known: Tensor | None = None) -> list[int]:
    def value(some: list[int]) -> float:
        return objective(each, some, regularization, known)

    chosen: list[int] = []
    for _ in range(min(2 * k, len(each))):
        rest = [i for i in range(len(each)) if i not in chosen]
        chosen.append(min(rest, key=lambda i: value([*chosen, i])))
    while len(chosen) > k:
        chosen.remove(min(chosen, key=lambda i: value([j for j in chosen if j != i])))
    return chosen


def test_the_factors_give_the_hessian_that_autograd_gives() -> None:
    log_p, h = log_softmax(1, 4), noise(1, 3)

    def loss(weight: Tensor) -> Tensor:
        return functional.cross_entropy((weight.view(4, 3) @ h[0] + log_p[0])[None], torch.tensor([1]))

    hessian = torch.autograd.functional.hessian(loss, torch.zeros(12).double())
    columns = Factors(log_p, h, 4, 3).columns(torch.tensor([0]))[0]
    assert torch.allclose(columns.T @ columns, hessian)


@pytest.mark.parametrize("rank", [2, 5])
def test_products_with_the_factors_are_those_of_the_full_matrices(rank: int) -> None:
    factors, rows = Factors(log_softmax(9, 5), noise(9, 4), rank, 4), torch.tensor([4, 0, 8])
    columns, matrix = factors.columns(rows), noise(20, 20, seed=1)
    matrix = matrix + matrix.T
    assert columns.shape == (3, rank, 20)
    assert torch.allclose(factors.times(rows, matrix), columns @ matrix)
    assert torch.allclose(factors.between(rows, matrix), columns @ matrix @ columns.mT)
    everyone = factors.columns(torch.arange(9)).flatten(0, 1)
    assert torch.allclose(factors.total(), everyone.T @ everyone)


def test_few_classes_leave_out_less_than_the_probability_of_the_others() -> None:
    log_p, h = log_softmax(6, 5), noise(6, 3)
    exact, rows = information(log_p, h), torch.arange(6)
    columns = Factors(log_p, h, 3, 3).columns(rows)
    missing = (exact - columns.mT @ columns).diagonal(dim1=1, dim2=2).sum(dim=1)
    others = log_p.exp().topk(3, dim=1).values.sum(dim=1).neg() + 1
    assert bool((missing >= -1e-12).all()) and bool((missing <= 2 * others * h.square().sum(dim=1)).all())


def test_the_projection_keeps_the_directions_of_the_embeddings() -> None:
    """Embeddings in a plane of five dimensions lose nothing in two: traces of products are those of the whole space."""
    log_p, plane = log_softmax(12, 3), noise(12, 2) @ noise(2, 5, seed=1)
    whole, flat = (InformationTrace(Factors(log_p, plane, 3, dimensions), 0.5) for dimensions in (5, 2))
    assert torch.allclose(whole.gains(), flat.gains()) and whole.value() == pytest.approx(flat.value())


@pytest.mark.parametrize("regularization", [0.05, 2.0])
def test_gains_and_losses_are_differences_of_the_objective(regularization: float) -> None:
    log_p, h = log_softmax(8, 3), noise(8, 4)
    each, trace = information(log_p, h), InformationTrace(Factors(log_p, h, 3, 4), regularization)
    chosen: list[int] = []
    for step in (5, 2, 7, -2, 0, -5):
        before = objective(each, chosen, regularization)
        rest = [i for i in range(8) if i not in chosen]
        gains = [before - objective(each, [*chosen, i], regularization) for i in rest]
        losses = [objective(each, [j for j in chosen if j != i], regularization) - before for i in chosen]
        assert trace.value() == pytest.approx(before)
        assert trace.gains()[rest].tolist() == pytest.approx(gains)
        if chosen:
            assert trace.losses(torch.tensor(chosen)).tolist() == pytest.approx(losses)
        (trace.add if step >= 0 else trace.remove)(abs(step))
        chosen = [*chosen, step] if step >= 0 else [i for i in chosen if i != -step]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", [1, 3, 9])
def test_bait_chooses_as_forward_and_backward_steps_on_the_objective_do(seed: int, k: int) -> None:
    log_p, h = log_softmax(14, 3, seed=seed), noise(14, 3, seed=seed + 10).half()
    samples = pool(h, log_probabilities=log_p)
    assert select(strategy("bait", "regularization=0.1"), samples, k) == forward_and_backward(
        information(log_p, h), k, 0.1
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", [1, 3])
def test_bait_starts_from_what_the_labelled_samples_tell(seed: int, k: int) -> None:
    log_p, h = log_softmax(14, 3, seed=seed), noise(14, 3, seed=seed + 10).half()
    own, have = log_softmax(5, 3, seed=seed + 20), (3 * noise(5, 3, seed=seed + 30)).half()
    samples = pool(h, log_probabilities=log_p, labeled=labelled(have), labeled_log_probabilities=own)
    expected = forward_and_backward(information(log_p, h), k, 0.1, information(own, have).sum(dim=0))
    assert select(strategy("bait", "regularization=0.1"), samples, k) == expected


def test_bait_asks_for_nothing_that_a_label_has_told() -> None:
    """Two directions, the first of longer embeddings: without labels it comes first, and with labels there the other does."""
    h, log_p = torch.tensor([[2.0, 0.0], [0.0, 1.5]]).half(), torch.full((2, 2), 0.5).log()
    known = labelled(h[:1].repeat(20, 1), classes=2)
    samples = pool(h, log_probabilities=log_p, labeled=known, labeled_log_probabilities=log_p[:1].repeat(20, 1))
    assert select(strategy("bait"), pool(h, log_probabilities=log_p), 1) == [0]
    assert select(strategy("bait"), samples, 1) == [1]


def test_what_is_known_is_projected_as_the_pool_is() -> None:
    log_p, plane = log_softmax(12, 3), noise(12, 2) @ noise(2, 5, seed=1)
    own, have = log_softmax(4, 3, seed=3), noise(4, 2, seed=4) @ noise(2, 5, seed=1)
    values = []
    for dimensions in (5, 2):
        factors = Factors(log_p, plane, 3, dimensions)
        values.append(InformationTrace(factors, 0.5, factors.of(own, have).total()).gains())
    assert torch.allclose(*values)


@pytest.mark.parametrize("seed", range(4))
def test_bait_comes_close_to_the_best_of_all_sets(seed: int) -> None:
    log_p, h = log_softmax(11, 3, seed=seed), noise(11, 3, seed=seed + 10).half()
    each = information(log_p, h)
    values = sorted(objective(each, list(some), 0.1) for some in combinations(range(11), 3))
    chosen = select(strategy("bait", "regularization=0.1"), pool(h, log_probabilities=log_p), 3)
    assert objective(each, chosen, 0.1) <= values[len(values) // 50]


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = pool(noise(60, 5).half(), log_probabilities=log_softmax(60, 4).float())
    chosen = []
    for elements in (1 << 21, 6000, 1):
        monkeypatch.setattr(fisher, "_ELEMENTS", elements)
        chosen.append(select(strategy("bait"), samples, 10))
    assert chosen[0] == chosen[1] == chosen[2]


def test_many_classes_are_projected_to_few_dimensions() -> None:
    samples = pool(noise(30, 6).half(), log_probabilities=log_softmax(30, 200).float())
    assert len(set(select(strategy("bait", "size=400"), samples, 5))) == 5


@pytest.mark.parametrize("classes", [1, 3])
def test_certain_samples_duplicates_and_one_class_work(classes: int) -> None:
    for rows in (noise(1, 3), noise(2, 3).repeat(3, 1), torch.zeros(6, 3)):
        for log_p in (log_softmax(1, classes).repeat(len(rows), 1), torch.eye(classes)[[0] * len(rows)].log()):
            for k in range(1, len(rows) + 1):
                samples = pool(rows.half(), log_probabilities=log_p)
                assert len(set(select(strategy("bait", "regularization=0.001"), samples, k))) == k


def test_a_permuted_pool_gives_the_same_ids() -> None:
    samples = pool(noise(40, 5).half(), log_probabilities=log_softmax(40, 4).float(), seed=3, round=1)
    turned = samples.taken(torch.arange(40).flip(0).roll(11))
    first, second = (select(strategy("bait"), each, 12) for each in (samples, turned))
    assert [samples.ids[i] for i in first] == [turned.ids[i] for i in second]


def test_it_needs_embeddings_and_log_probabilities_of_labelled_samples_too() -> None:
    assert needs("bait") == {"embeddings", "log_probabilities", "labeled", "labeled_log_probabilities"}
