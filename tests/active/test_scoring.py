"""What strategies read of a sample is what the trained model says of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fixtures import benches
from fixtures.benches import recipe
from torch import Tensor, nn

from zoo.active.dropout_masks import Masks
from zoo.active.dropout_passes import passes
from zoo.active.journal import Labels
from zoo.active.pool import FIELDS
from zoo.active.scoring import BOTH, LARGEST, Scorer, half
from zoo.active.workbench import Workbench
from zoo.training.experiment import Experiment

DROPS = "regularizers=[{name: dropout, rate: 0.5}]"
ROWS = [torch.tensor([3, 60, 7]), torch.tensor([9]), torch.arange(100, 140)]
Found = dict[str, Tensor]


def trained(*settings: str, seed: int = 0, **names: str) -> tuple[Workbench, Experiment]:
    bench = benches.workbench(recipe(*settings, **names))  # type: ignore[arg-type]
    labels = bench.x.dataset.splits["train"].labels
    x: Experiment = benches.finished(bench.train(Labels(np.arange(40), labels[:40], np.arange(0)), seed))
    return bench, x


@pytest.fixture(scope="module")
def dropping() -> tuple[Workbench, Experiment]:
    return trained(DROPS)


def scored(bench: Workbench, x: Experiment, *wanted: str, rows: Any = ROWS, **more: Any) -> Found:
    scorer = Scorer(x, bench.loader("train"), **{"seed": 4, "passes": 3, **more})
    parts = list(scorer(rows, frozenset(wanted)))
    assert [len(part[wanted[0]]) for part in parts] == [len(row) for row in rows]
    return {name: torch.cat([part[name] for part in parts]) for name in wanted}


def seen(bench: Workbench, x: Experiment) -> Tensor:
    """Return the images of these rows as the model sees them."""
    pixels = torch.from_numpy(bench.x.dataset.splits["train"].pixels(bench.x.dataset.size, 0))
    return x.preprocess.evaluate(pixels[torch.cat(ROWS)])


def test_logits_and_embeddings_are_those_of_the_model_in_evaluation(dropping: tuple[Workbench, Experiment]) -> None:
    bench, x = dropping
    found = scored(bench, x, "logits", "log_probabilities", "embeddings")
    model: Any = x.model.eval()
    with torch.no_grad():
        embeddings = model.forward_head(model.forward_features(seen(bench, x)), pre_logits=True)
        logits = model(seen(bench, x))
    assert found["embeddings"].dtype == torch.float16 and found["logits"].dtype == torch.float32
    assert torch.allclose(found["embeddings"].float(), embeddings, rtol=1e-3, atol=1e-5)
    assert torch.allclose(found["logits"], logits, atol=1e-5)
    assert torch.allclose(found["log_probabilities"], logits.log_softmax(1), atol=1e-5)


def test_only_what_is_wanted_is_given(dropping: tuple[Workbench, Experiment]) -> None:
    for name in sorted(FIELDS - {"committee"}):
        assert set(
            next(Scorer(dropping[1], dropping[0].loader("train"), seed=0, passes=2)(ROWS, frozenset({name})))
        ) == {name}
    nothing = Scorer(dropping[1], dropping[0].loader("train"), seed=0, passes=2)(ROWS, frozenset())
    assert list(nothing) == [{}, {}, {}]


def test_dropout_passes_have_the_masks_of_the_seed(dropping: tuple[Workbench, Experiment]) -> None:
    bench, x = dropping
    found = scored(bench, x, "mc_log_probabilities", "embeddings")["mc_log_probabilities"]
    expected = passes(x.evaluation_network(), seen(bench, x), masks=Masks(4), passes=3)
    assert found.shape == (44, 3, 10) and torch.allclose(found, expected, atol=1e-5)
    other = scored(bench, x, "mc_log_probabilities", seed=5)["mc_log_probabilities"]
    assert not torch.allclose(found, other, atol=1e-3)


def test_with_dropout_and_without_are_computed_together(dropping: tuple[Workbench, Experiment]) -> None:
    bench, x = dropping
    both = scored(bench, x, *sorted(BOTH))
    assert torch.equal(both["mc_log_probabilities"], scored(bench, x, "mc_log_probabilities")["mc_log_probabilities"])
    assert torch.allclose(
        both["log_probabilities"], scored(bench, x, "log_probabilities")["log_probabilities"], atol=1e-6
    )


def test_members_of_a_committee_answer_side_by_side(dropping: tuple[Workbench, Experiment]) -> None:
    bench, x = dropping
    others = [trained(DROPS, seed=seed) for seed in (1, 2)]
    members = [Scorer(other, own.loader("train"), seed=0, passes=1) for own, other in others]
    found = scored(bench, x, "committee", "logits", committee=members)
    assert found["committee"].shape == (44, 2, 10)
    for number, (own, other) in enumerate(others):
        assert torch.equal(found["committee"][:, number], scored(own, other, "log_probabilities")["log_probabilities"])
    assert torch.equal(found["logits"], scored(bench, x, "logits")["logits"])


def test_nothing_global_is_drawn_and_the_model_is_left_as_it_was(dropping: tuple[Workbench, Experiment]) -> None:
    bench, x = dropping
    before = torch.get_rng_state()
    state = {name: value.clone() for name, value in x.model.state_dict().items()}
    scored(bench, x, "mc_log_probabilities", "logits", "embeddings")
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, state[name]) for name, value in x.model.state_dict().items())
    assert not any(module._forward_pre_hooks for module in x.model.modules() if isinstance(module, nn.Conv2d))


def test_running_statistics_are_used_and_not_moved() -> None:
    bench, x = trained("architecture=resnet20", "training.batch_size=40", "active.steps=2", name="resnet18-momentum")
    norms = [m for m in x.model.modules() if isinstance(m, nn.BatchNorm2d)]
    x.model.train()
    before = [norm.running_mean.clone() for norm in norms if norm.running_mean is not None]
    together = scored(bench, x, "logits")["logits"]
    alone = scored(bench, x, "logits", rows=[row[None] for row in torch.cat(ROWS)])["logits"]
    assert norms and torch.allclose(alone, together, atol=1e-4)
    assert all(
        torch.equal(a, b) for a, b in zip(before, (norm.running_mean for norm in norms), strict=True) if b is not None
    )


@pytest.mark.parametrize("name", ["ema", "swa"])
def test_embeddings_are_of_the_averaged_weights_where_these_are_evaluated(name: str) -> None:
    bench, x = trained(f"regularizers=[{name}]")
    averaged: Any = x.regularizers.evaluation_model(x.model)
    assert averaged is not x.model
    with torch.no_grad():
        expected = averaged.forward_head(averaged.forward_features(seen(bench, x)), pre_logits=True)
    assert torch.allclose(scored(bench, x, "embeddings")["embeddings"].float(), expected, rtol=1e-3, atol=1e-5)


def test_two_classes_of_one_output_have_embeddings_too() -> None:
    bench, x = trained("loss=bce", "data.classes=['3', '8']", "data.train_size=150")
    found = scored(bench, x, "logits", "embeddings")
    assert found["logits"].shape == (44, 2) and (found["logits"][:, 0] == 0).all()
    assert found["embeddings"].shape == (44, 16)


def test_halves_of_what_is_too_large_are_the_largest() -> None:
    vectors = torch.tensor([[1e9, -1e9, 0.5], [65504.0, 70000.0, torch.inf]])
    assert half(vectors).tolist() == [[LARGEST, -LARGEST, 0.5], [LARGEST, LARGEST, LARGEST]]
