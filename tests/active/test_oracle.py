"""Who answers what, what is labelled at first, and what a round may choose from."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from fixtures.benches import of_labels, permuted

from zoo.active.oracle import NOBODY, Oracle, initial, repeats, subset
from zoo.errors import DataError

ROWS = np.arange(1000)


def test_without_noise_answers_are_the_labels() -> None:
    material = of_labels(np.arange(12) % 3)
    oracle = Oracle(material, seed=0, noise=0.0)
    assert oracle.answers(np.array([4, 0, 8])).tolist() == [1, 0, 2]
    assert oracle.words(np.array([4, 0, 8])) == ["class 1", "class 0", "class 2"]


def test_a_share_of_answers_is_wrong_and_every_wrong_class_is_as_likely() -> None:
    material = of_labels(np.arange(20_000) % 4)
    told = Oracle(material, seed=0, noise=0.3).answers(np.arange(20_000))
    wrong = told != material.labels
    assert wrong.mean() == pytest.approx(0.3, abs=0.01)
    shifts = Counter(((told - material.labels) % 4)[wrong].tolist())
    assert set(shifts) == {1, 2, 3}
    assert all(count / wrong.sum() == pytest.approx(1 / 3, abs=0.02) for count in shifts.values())


def test_an_answer_depends_on_seed_and_sample_alone() -> None:
    material = of_labels(ROWS % 4)
    told = Oracle(material, seed=1, noise=0.5).answers(ROWS)
    order = np.random.default_rng(0).permutation(1000)
    moved = Oracle(permuted(material, order), seed=1, noise=0.5)
    assert np.array_equal(moved.answers(ROWS), told[order])
    assert np.array_equal(moved.answers(np.array([7])), told[order[[7]]])
    assert not np.array_equal(Oracle(material, seed=2, noise=0.5).answers(ROWS), told)
    more = Oracle(material, seed=1, noise=0.8).answers(ROWS)
    wrong = told != material.labels
    assert np.array_equal(more[wrong], told[wrong])  # what is wrong stays wrong as noise grows


def test_what_is_of_no_known_class_is_answered_so_whatever_the_noise() -> None:
    material = of_labels(np.zeros(50, np.int64), known=np.arange(50) % 2 == 0, classes=2)
    oracle = Oracle(material, seed=0, noise=0.9)
    assert set(oracle.answers(np.arange(1, 50, 2)).tolist()) == {NOBODY}
    assert set(oracle.words(np.arange(1, 50, 2))) == {"unknown"}
    assert NOBODY not in oracle.answers(np.arange(0, 50, 2))


def test_initial_labels_are_as_many_of_each_class_and_known() -> None:
    labels = np.repeat([0, 1, 2], [700, 200, 100])
    material = of_labels(labels, known=ROWS % 5 > 0)
    rows = initial(material, 11, "balanced", seed=0)
    assert sorted(Counter(labels[rows].tolist()).values()) == [3, 4, 4] and material.known[rows].all()
    random = initial(material, 50, "random", seed=0)
    assert Counter(labels[random].tolist()).most_common(1)[0][0] == 0 and material.known[random].all()
    assert len(set(random.tolist())) == 50
    assert rows.tolist() != initial(material, 11, "balanced", seed=1).tolist()


def test_a_class_that_is_used_up_leaves_its_turns_to_the_others() -> None:
    labels = np.repeat([0, 1], [2, 40])
    rows = initial(of_labels(labels), 10, "balanced", seed=0)
    assert Counter(labels[rows].tolist()) == {0: 2, 1: 8}


@pytest.mark.parametrize("how", ["balanced", "random"])
def test_initial_labels_are_the_same_samples_in_whatever_order_they_stand(how: str) -> None:
    material = of_labels(ROWS % 4)
    moved = permuted(material, np.random.default_rng(0).permutation(1000))
    names = [[each.ids[row] for row in initial(each, 30, how, seed=5)] for each in (material, moved)]
    assert names[0] == names[1]
    fewer = [material.ids[row] for row in initial(material, 20, how, seed=5)]
    assert names[0][:20] == fewer


@pytest.mark.parametrize(
    ("count", "how", "problem", "hint"),
    [
        (3, "balanced", "no initial label is of class 'class 3'", "active.init=8"),
        (8, "random", "no initial label is of class 'class 0', 'class 1'", "active.initial=balanced"),
        (1001, "balanced", "1001 initial labels of 1000 samples", ""),
    ],
)
def test_no_class_may_be_missing_at_first(count: int, how: str, problem: str, hint: str) -> None:
    labels = ROWS % 4 if how == "balanced" else np.repeat([0, 1, 2, 3], [1, 1, 499, 499])
    with pytest.raises(DataError, match=problem) as caught:
        initial(of_labels(labels), count, how, seed=0)
    assert caught.value.hint == hint


def test_a_subset_of_the_pool_has_whole_groups_and_no_more_than_are_needed() -> None:
    groups = np.arange(60) // 4
    material = of_labels(np.arange(60) % 3, groups=groups)
    rows = np.arange(3, 60)
    found = subset(material, rows, 10, seed=0, round=0)
    sizes = Counter(groups[found].tolist())
    assert all(size == (groups[rows] == group).sum() for group, size in sizes.items())
    assert 10 <= len(found) < 14 and set(found.tolist()) <= set(rows.tolist())
    assert found.tolist() == sorted(found.tolist())


def test_a_subset_is_drawn_anew_in_each_round_by_ids_alone() -> None:
    material = of_labels(np.arange(300) % 3, groups=np.arange(300) // 2)
    order = np.random.default_rng(0).permutation(300)
    moved = permuted(material, order)

    def names(round: int, seed: int = 0, count: int | None = 50) -> set[str]:
        return {material.ids[row] for row in subset(material, np.arange(300), count, seed=seed, round=round)}

    assert {moved.ids[row] for row in subset(moved, np.arange(300), 50, seed=0, round=3)} == names(3)
    assert names(3) != names(4) and names(3) != names(3, seed=1)
    assert names(3) == names(3) and names(3) < names(3, count=70)
    assert len(names(0, count=None)) == len(names(0, count=300)) == len(names(0, count=1000)) == 300


def test_without_groups_a_subset_is_of_that_size_wherever_samples_stand() -> None:
    material = of_labels(np.arange(300) % 3)
    moved = permuted(material, np.random.default_rng(0).permutation(300))
    names = [{each.ids[row] for row in subset(each, np.arange(300), 40, seed=0, round=1)} for each in (material, moved)]
    assert names[0] == names[1] and len(names[0]) == 40


def test_repeats_are_the_share_of_samples_whose_group_came_before() -> None:
    assert repeats([1, 2, 3, 4]) == 0 and repeats([1, 1, 1, 2]) == 0.5
