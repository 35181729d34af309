from __future__ import annotations

import shlex
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from sklearn.datasets import load_digits

import zoo
from zoo.comparison.events import Begun, Progress
from zoo.comparison.verification import Verification, verify
from zoo.console.verification import sentence
from zoo.errors import DataError, ZooError
from zoo.registry import Registry

SMALL = (
    "    extends: conv-net-momentum\n"
    "    architecture: {filters: 4, hidden: 16}\n"
    "    data: {name: digits, train_size: 200}\n"
    "    training: {epochs: 1, batch_size: 40, threads: 1}\n"
)


def registry(target: str = "", more: str = "") -> Registry:
    text = f"version: 1\nrecipes:\n  small:\n{SMALL}" + (f"    target: {target}\n" if target else "") + more
    Path("r.yaml").write_text(text)
    return Registry.load(zoo.catalog, Path("r.yaml"))


def verified(target: str, *, seeds: int | None = None, data: str | None = None) -> tuple[Verification, int]:
    """Return the outcome, and how many runs were trained for it."""
    events: list[Progress] = []
    found = verify(
        "small", registry(target), store=Path("runs"), seeds=seeds, data=data, device="cpu", progress=events.append
    )
    return found, sum(isinstance(event, Begun) for event in events)


def test_the_mean_over_seeds_decides_ends_included_and_finished_runs_are_used_again() -> None:
    first, trained = verified("{value: 0.5, tolerance: 0.5, seeds: 2}")
    accuracies = [(zoo.Run(Path(each.run)).summary or {})["test"]["accuracy"] for each in first.seeds]
    assert (trained, [each.seed for each in first.seeds], first.passed) == (2, [0, 1], True)
    mean = fmean(accuracies)
    assert first.mean == mean
    for value, tolerance, passed in [(mean + 0.01, 0.01, True), (mean - 0.01, 0.01, True), (mean + 0.02, 0.01, False)]:
        again, trained = verified(f"{{value: {value}, tolerance: {tolerance}, seeds: 2}}")
        assert (trained, again.passed) == (0, passed)


def test_only_missing_seeds_are_trained_and_their_number_is_told() -> None:
    verified("{value: 0.5, tolerance: 0.5}")
    more, trained = verified("{value: 0.5, tolerance: 0.5}", seeds=2)
    assert trained == 1
    assert "seeds 0, 1 (promised of 1); 0.0000 … 1.0000 promised" in sentence(more)


def test_the_words_say_figure_seeds_and_what_was_promised_by_whom() -> None:
    found, _ = verified("{metric: validation/loss, value: 9, tolerance: 0.5, source: the author}")
    assert found.mean is not None
    assert sentence(found) == (
        f"mean validation/loss {found.mean:.4f} of small on digits, seed 0; 8.5000 … 9.5000 promised by the author"
    )


def arrays(path: str) -> str:
    data = load_digits()
    np.savez(path, x_train=(data.images[:300] * 15).astype(np.uint8), y_train=data.target[:300],
             x_test=(data.images[300:400] * 15).astype(np.uint8), y_test=data.target[300:400])  # fmt: skip
    return path


def test_the_targets_data_is_trained_on_in_place_of_the_recipes() -> None:
    """A source and its settings, as `data=…` on the command line; `--data` says where it is; the same runs serve both."""
    arrays("digits.npz")
    target = '{value: 0.5, tolerance: 0.5, data: "{name: npz, path: gone.npz, validation_fraction: 0.2}"}'
    found, _ = verified(target.replace("gone", "digits"))
    elsewhere, trained = verified(target, data="digits.npz")
    assert zoo.Run(Path(found.seeds[0].run)).manifest["samples"]["validation"] == 60
    samples = [zoo.Run(Path(each.seeds[0].run)).manifest["samples"]["test"] for each in (found, elsewhere)]
    assert (samples, trained) == ([100, 100], 0)
    assert elsewhere.data == "digits.npz"


def test_data_that_is_not_there_is_asked_for_or_fetched_by_a_command() -> None:
    mnist = "{name: torchvision, dataset: MNIST}"
    with pytest.raises(DataError, match="cannot read MNIST") as caught:
        verified(f'{{value: 0.5, tolerance: 0.5, data: "{mnist}"}}')
    where, first = caught.value.hint.split(", or to fetch it: ")
    assert where == "zoo verify small --data PATH"
    assert shlex.split(first) == ["zoo", "data", "show", "small", f"data={mnist}", "data.download=true"]
    with pytest.raises(DataError) as caught:
        verified('{value: 0.5, tolerance: 0.5, data: "{name: npz, path: none.npz}"}')
    assert caught.value.hint == where
    with pytest.raises(DataError) as caught:
        verified("{value: 0.5, tolerance: 0.5}", data="torchvision")
    assert caught.value.hint == where


def test_a_run_that_fails_keeps_no_promise() -> None:
    more = "    optimizer: {lr: 1.0e+30}\n    regularizers: []\n"
    recipes = registry("{value: 0.5, tolerance: 0.5}", more)
    found = verify("small", recipes, store=Path("runs"), device="cpu")
    assert (found.mean, found.passed) == (None, False)
    assert "not finite" in (found.seeds[0].reason or "")
    assert "1 of 1 runs of small on digits, seed 0 failed" in sentence(found)


def test_a_recipe_without_a_target_is_told_how_to_write_one() -> None:
    with pytest.raises(ZooError, match="recipe 'mlp' has no target") as caught:
        more = f"  mlp:\n{SMALL}    target: null\n"
        verify("mlp", registry(more=more), store=Path("runs"))
    assert "target: {metric: test/accuracy, value: 0.98" in caught.value.hint
    assert "conv-net-momentum" in caught.value.possible


def test_a_target_that_is_inherited_is_no_promise() -> None:
    more = "  child:\n    extends: small\n    optimizer: {lr: 0.1}\n"
    with pytest.raises(ZooError, match="recipe 'child' has no target of its own"):
        verify("child", registry("{value: 0.5, tolerance: 0.5}", more), store=Path("runs"))


def test_of_a_target_that_changes_an_inherited_one_only_what_it_says_counts() -> None:
    """Seeds, data and source of the parent are not the child's."""
    found, _ = verified("{value: 0.5, tolerance: 0.5}")
    assert (len(found.seeds), found.source) == (1, None)
    with pytest.raises(ZooError, match="the target of recipe 'small' has no value"):
        verified("{tolerance: 0.5}")


def test_a_figure_that_runs_do_not_have_is_refused() -> None:
    with pytest.raises(ZooError, match="has no test/top5") as caught:
        verified("{metric: test/top5, value: 0.5, tolerance: 0.5, data: \"{classes: ['1', '2']}\"}")
    assert "test/accuracy" in caught.value.possible
