from __future__ import annotations

import pytest

from zoo.errors import RecipeError
from zoo.plugins import load_catalog
from zoo.registry import Registry
from zoo.registry.corrections import corrected

REGISTRY = Registry.load(load_catalog(quiet=True))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("epochs=3", "training.epochs=3"),
        ("batch_size=32", "training.batch_size=32"),
        ("seed=3", "training.seed=3"),
        ("lr=0.1", "optimizer.lr=0.1"),
        ("learning_rate=0.1", "optimizer.lr=0.1"),
        ("optimizer.learning_rate=0.1", "optimizer.lr=0.1"),
        ("training.lr=.1", "optimizer.lr=.1"),
        ("training.epoch=3", "training.epochs=3"),
        ("trainin.epochs=3", "training.epochs=3"),
        ("patience=3", "training.early_stopping.patience=3"),
        ("batch=16", "training.batch_size=16"),
        ("model=resnet18", "architecture=resnet18"),
        ("filters=8", "architecture.filters=8"),
        ("optimizer.warmup=0.1", "schedule.warmup=0.1"),
        ("weight_decay=0.01", "regularizers.weight-decay.strength=0.01"),
        ("training.label_smoothing=0.1", "regularizers.label-smoothing.strength=0.1"),
        ("regularizers.dropout.rat=0.1", "regularizers.dropout.rate=0.1"),
    ],
)
def test_a_setting_in_the_wrong_place_or_form_ends_with_what_to_type(typed: str, meant: str) -> None:
    with pytest.raises(RecipeError) as caught:
        REGISTRY.resolve("conv-net-momentum", [typed])
    assert caught.value.hint == meant
    assert "did you mean" in caught.value.problem
    assert meant.partition("=")[0] in REGISTRY.resolve("conv-net-momentum", [meant]).origins or "." not in meant


def test_a_setting_of_a_component_inside_a_component_is_found() -> None:
    with pytest.raises(RecipeError) as caught:
        REGISTRY.resolve("conv-net-sam", ["lr=0.1"])
    assert caught.value.hint == "optimizer.base.lr=0.1"


def test_several_are_corrected_together() -> None:
    with pytest.raises(RecipeError) as caught:
        REGISTRY.resolve("conv-net-momentum", ["lr=0.1", "training.batch_size=8", "epochs=3"])
    assert set(caught.value.hint.split()) == {"optimizer.lr=0.1", "training.epochs=3"}


@pytest.mark.parametrize("typed", ["zzz=1", "optimizer.zzz=1", "optimizer.lr=fast", "optimizer.lr"])
def test_what_resembles_nothing_leads_to_the_settings_that_there_are(typed: str) -> None:
    with pytest.raises(RecipeError) as caught:
        REGISTRY.resolve("conv-net-momentum", [typed])
    assert caught.value.hint == "zoo show conv-net-momentum"


def test_only_the_unknown_part_of_a_key_is_replaced() -> None:
    assert corrected("optimiser.lr=1=2", "optimiser", "optimizer") == "optimizer.lr=1=2"
    assert corrected("optimizer={name: sgd, rate: 1}", "optimizer.rate", "optimizer.lr") is None
