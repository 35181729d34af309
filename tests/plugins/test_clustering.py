from __future__ import annotations

import pytest
import torch
from fixtures.pools import labelled, needs, noise, pool, strategy
from scipy.cluster import hierarchy
from torch import Tensor
from torch.nn import functional

from zoo.active.selection import select
from zoo_acquisitions import clustering, k_means, nearest
from zoo_acquisitions.clustering import _average_linkage, _by_typicality, in_turn
from zoo_acquisitions.distances import Embeddings

NAMES = ("cluster-margin", "typiclust", "clue")
CENTRES = 8 * noise(4, 5, seed=3)
GROUP = torch.tensor([0] * 40 + [1] * 25 + [2] * 12 + [3] * 3)  # groups of 40, 25, 12 and 3 samples
EMBEDDINGS = (CENTRES[GROUP] + noise(80, 5)).half()


def unsure(rows: int = 80, classes: int = 3, seed: int = 9) -> Tensor:
    return (2 * noise(rows, classes, seed=seed)).log_softmax(1).float()


def test_groups_give_one_each_in_turn() -> None:
    assert list(in_turn([[1], [2, 3, 4], [], [5, 6]])) == [1, 2, 5, 3, 6, 4]


@pytest.mark.parametrize("name", NAMES)
def test_every_number_of_samples_can_be_had(name: str) -> None:
    for rows in (torch.zeros(6, 2), noise(6, 2).half(), noise(2, 2).half().repeat(3, 1), noise(1, 2)):
        samples = pool(rows.half(), log_probabilities=unsure(len(rows)), labeled=labelled(rows[:1].half()))
        for k in range(1, len(rows) + 1):
            assert len(set(select(strategy(name), samples, k))) == k


@pytest.mark.parametrize("name", NAMES)
def test_a_permuted_pool_gives_the_same_ids(name: str) -> None:
    samples = pool(EMBEDDINGS, log_probabilities=unsure(), seed=4, round=2)
    turned = samples.taken(torch.arange(80).flip(0).roll(17))
    first, second = (select(strategy(name), each, 30) for each in (samples, turned))
    assert [samples.ids[i] for i in first] == [turned.ids[i] for i in second]


@pytest.mark.parametrize("name", NAMES)
def test_blocks_do_not_matter(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = pool(EMBEDDINGS, log_probabilities=unsure())
    chosen = []
    for block in (80, 40, 27):
        for module in (clustering, k_means, nearest):
            monkeypatch.setattr(module, "BLOCK", block)
        chosen.append(select(strategy(name), samples, 30))
    assert chosen[0] == chosen[1] == chosen[2]


@pytest.mark.parametrize("name", NAMES)
def test_certain_samples_and_one_class_are_no_trouble(name: str) -> None:
    for log_p in (torch.eye(3)[GROUP.remainder(3)].log(), torch.zeros(80, 1)):
        samples = pool(EMBEDDINGS, log_probabilities=log_p, labeled=labelled(EMBEDDINGS[:4], classes=log_p.shape[1]))
        assert len(set(select(strategy(name), samples, 11))) == 11


def test_needs() -> None:
    assert needs("typiclust") == {"embeddings", "labeled"}
    assert needs("clue") == needs("cluster-margin") == {"embeddings", "log_probabilities"}


def test_average_linkage_is_scipys() -> None:
    rows = noise(60, 4)
    tree = hierarchy.linkage(rows.numpy(), method="average")
    ours = _average_linkage(Embeddings(rows, dtype=torch.float64), torch.arange(60), 6)
    assert ours.tolist() == hierarchy.fcluster(tree, 10, criterion="maxclust").tolist()


def test_cluster_margin_takes_from_the_smallest_cluster_first() -> None:
    """All 80 are candidates, in four clusters: of 3, 12, 25 and 40 samples."""
    samples = pool(EMBEDDINGS, log_probabilities=unsure())
    chosen = select(strategy("cluster-margin", "cluster_size=20", "candidates=8"), samples, 13)
    assert GROUP[chosen].tolist() == [3, 2, 1, 0, 3, 2, 1, 0, 3, 2, 1, 0, 2]


def test_cluster_margin_looks_at_the_smallest_margins_only() -> None:
    log_p = unsure()
    top = log_p.exp().topk(2, dim=1).values
    smallest = set((top[:, 0] - top[:, 1]).argsort()[:20].tolist())
    assert (
        set(select(strategy("cluster-margin", "candidates=2"), pool(EMBEDDINGS, log_probabilities=log_p), 10))
        < smallest
    )
    everyone = select(strategy("cluster-margin", "candidates=1"), pool(EMBEDDINGS, log_probabilities=log_p), 20)
    assert set(everyone) == smallest


def test_candidates_beyond_the_limit_join_the_cluster_of_the_nearest() -> None:
    """Clusters are made of the 60 smallest margins; those of the 20 others change nothing here, where groups lie apart."""
    samples = pool(EMBEDDINGS, log_probabilities=unsure())
    settings = ("cluster_size=15", "candidates=8")
    chosen = select(strategy("cluster-margin", "limit=60", *settings), samples, 12)
    assert GROUP[chosen].tolist() == [3, 2, 1, 0] * 3


def test_typicality_is_the_inverse_mean_distance_to_the_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clustering, "_NEIGHBOURS", 2)
    line = torch.tensor([[0.0], [1.0], [3.0], [3.5], [9.0]])
    order = list(_by_typicality(Embeddings(line), torch.tensor([4, 2, 0, 1, 3]), torch.arange(5.0)))
    # mean distances to the two nearest: 2.0, 1.5, 1.25, 1.5, 5.75
    assert order == [2, 1, 3, 0, 4]


@pytest.mark.parametrize("rows", [3, 21, 90])
def test_typicality_by_blocks_is_that_of_all_distances(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clustering, "BLOCK", 7)
    embeddings = noise(rows, 4)
    count = min(20, rows - 1)
    means = torch.cdist(embeddings, embeddings).topk(count + 1, largest=False).values.sum(dim=1) / count
    order = list(_by_typicality(Embeddings(embeddings), torch.arange(rows), torch.rand(rows)))
    assert order == means.argsort().tolist()


def test_typiclust_takes_the_most_typical_of_the_largest_clusters_first() -> None:
    chosen = select(strategy("typiclust"), pool(EMBEDDINGS), 4)
    assert GROUP[chosen].tolist() == [0, 1, 2, 3]  # three samples are too few for a cluster and come last
    first = (GROUP == 0).nonzero()[:, 0]
    unit = functional.normalize(EMBEDDINGS[first].double())
    distances = torch.cdist(unit, unit)
    assert chosen[0] == int(first[distances.topk(21, largest=False).values.sum(dim=1).argmin()])


def test_typiclust_passes_over_clusters_in_which_something_has_a_label() -> None:
    have = labelled(CENTRES[[0, 2]].half())
    chosen = select(strategy("typiclust"), pool(EMBEDDINGS, labeled=have), 2)
    assert GROUP[chosen].tolist()[0] == 1 and 0 not in GROUP[chosen].tolist()[:1]


def test_lengths_of_embeddings_do_not_matter_to_typiclust() -> None:
    lengths, have = 2.0 ** (torch.arange(80) % 5)[:, None], labelled(CENTRES[:1].half())
    one, other = (pool(rows, labeled=have) for rows in (EMBEDDINGS, EMBEDDINGS * lengths.half()))
    assert select(strategy("typiclust"), one, 30) == select(strategy("typiclust"), other, 30)


@pytest.mark.parametrize(("size", "first"), [(5, 0), (6, 1)])
def test_typiclust_leaves_clusters_of_up_to_five_for_last(size: int, first: int) -> None:
    """A cluster in which nothing has a label goes before one of twenty in which something has, but for those five."""
    group = torch.tensor([0] * 20 + [1] * size)
    rows = (CENTRES[group] + 0.1 * noise(len(group), 5)).half()
    chosen = select(strategy("typiclust"), pool(rows, labeled=labelled(CENTRES[:1].half())), 1)
    assert group[chosen].tolist() == [first]


def test_typiclust_makes_at_most_500_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clustering, "_MOST_CLUSTERS", 4)
    chosen = select(strategy("typiclust"), pool(EMBEDDINGS), 13)
    assert GROUP[chosen].tolist() == [0, 1, 2, 3] * 3 + [0]


def test_clue_by_hand() -> None:
    """Two clusters; in each the centre is drawn to the unsure sample: 0.9 · 0 + … of weights ln 2 and 0.325 (p = 0.9)."""
    line = torch.tensor([[0.0], [1.0], [3.0], [50.0], [51.0], [53.0]]).half()
    even, sure = [0.5, 0.5], [0.99, 0.01]
    log_p = torch.tensor([sure, sure, even, even, sure, sure]).log()
    assert set(select(strategy("clue"), pool(line, log_probabilities=log_p), 2)) == {2, 3}
    assert set(select(strategy("clue"), pool(line, log_probabilities=torch.full((6, 2), 0.5).log()), 2)) == {1, 4}


def test_clue_takes_the_heaviest_cluster_first() -> None:
    chosen = select(strategy("clue"), pool(EMBEDDINGS, log_probabilities=torch.full((80, 3), 1 / 3).log()), 4)
    assert GROUP[chosen].tolist() == [0, 1, 2, 3]


def test_a_lower_temperature_of_clue_leaves_more_to_the_most_uncertain() -> None:
    """One cluster: weights of p = 0.5 and p = 0.7 are near one another at T = 1 and far apart at T = 0.1."""
    line = torch.tensor([[0.0], [4.0], [10.0]]).half()
    log_p = torch.tensor([[0.5, 0.5], [0.7, 0.3], [0.7, 0.3]]).log()
    chosen = [select(strategy("clue", f"temperature={t}"), pool(line, log_probabilities=log_p), 1) for t in (1.0, 0.1)]
    assert chosen == [[1], [0]]
