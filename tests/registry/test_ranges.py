from __future__ import annotations

from pathlib import Path

import pytest

import zoo
from zoo.errors import RecipeError
from zoo.recipe import Range
from zoo.registry import Registry, recipe_document

NONE = "search=null"
LR = "search={optimizer.lr: {low: 0.1, high: 1}, regularizers.dropout.rate: {low: 0, high: 0.5}}"


def resolve(*ranges: str, settings: tuple[str, ...] = (NONE, LR)) -> dict[str, Range]:
    return Registry.load(zoo.catalog).resolve("conv-net-momentum", settings, ranges=ranges).search


def test_a_range_of_the_command_line_replaces_one_of_the_recipe_whole() -> None:
    assert resolve("optimizer.lr=log:1e-4..1e-1")["optimizer.lr"] == Range(low=1e-4, high=0.1, log=True)
    assert resolve("optimizer.lr=0.1,0.3")["optimizer.lr"] == Range(choices=[0.1, 0.3])
    assert list(resolve("optimizer.lr=null")) == ["regularizers.dropout.rate"]
    assert resolve("training.batch_size= 32, 64 ")["training.batch_size"] == Range(choices=[32, 64])


def test_a_range_may_stand_among_the_settings_of_the_command_line() -> None:
    changed = resolve(
        settings=(NONE, LR, "search.optimizer.lr={choices: [0.2, 0.4]}", "search.regularizers.dropout.rate=null")
    )
    assert changed == {"optimizer.lr": Range(choices=[0.2, 0.4])}


def test_a_range_of_an_integer_is_of_integers_and_survives_its_document(tmp_path: Path) -> None:
    recipe = zoo.resolve("conv-net-momentum", NONE, "search.architecture.hidden={low: 32, high: 256, step: 32}")
    hidden = recipe.search["architecture.hidden"]
    assert [type(value) for value in (hidden.low, hidden.high, hidden.step)] == [int] * 3
    (tmp_path / "r.yaml").write_text(recipe_document(recipe))
    assert zoo.resolve("conv-net-momentum", registry=tmp_path / "r.yaml").search == recipe.search


def test_a_new_optimizer_drops_the_ranges_of_the_old_ones_settings() -> None:
    assert list(resolve(settings=(NONE, LR, "optimizer=adamw"))) == ["regularizers.dropout.rate"]
    assert list(resolve(settings=(NONE, LR, "optimizer.momentum=0.8"))) == ["optimizer.lr", "regularizers.dropout.rate"]
    both = "search={optimizer.base.lr: {low: 0.1, high: 1}}"
    assert list(resolve(settings=(NONE, LR, "optimizer=sam", both))) == [
        "regularizers.dropout.rate",
        "optimizer.base.lr",
    ]


def test_a_range_of_a_regularizer_that_is_taken_out_goes_without_a_word() -> None:
    recipe = zoo.resolve("conv-net-momentum", NONE, LR, "regularizers.dropout=null")
    assert list(recipe.search) == ["optimizer.lr"] and recipe.notes == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optimizer.lr", "command line: a range is PATH=LOW..HIGH, PATH=log:LOW..HIGH or PATH=A,B,C, got 'optimizer.lr'"),
        ("optimizer.lr=log:0.1", "command line: after log: stands LOW..HIGH (--range optimizer.lr=log:0.1)"),
        ("optimizer.lr=1..0.1", "search.optimizer.lr needs low < high, or choices (--range optimizer.lr=1..0.1)"),
        ("optimizer.lr=0.1..", "search.optimizer.lr needs low < high, or choices (--range optimizer.lr=0.1..)"),
        ("optimizer.lr=a..b", "search.optimizer.lr.low must be a number or null, got 'a' instead"),
        ("optimizer.lr=log:0..1", "search.optimizer.lr.low must be > 0 with log, got 0 instead (--range optimizer.lr=log:0..1)"),
        ("optimizer.rate=1,2", "unknown setting 'optimizer.rate'; did you mean 'optimizer.lr'? (--range optimizer.rate=1,2)"),
        ("loss=mse", "search.loss.choices[0] must be bce or cross-entropy, got mse instead (--range loss=mse)"),
    ],
)  # fmt: skip
def test_a_bad_range_of_the_command_line_is_named(text: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        resolve(text)
    assert message in str(caught.value)
