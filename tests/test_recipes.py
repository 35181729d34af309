"""Every packaged recipe: each can start, and each component is in one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fixtures import mnist
from safetensors.torch import save_file

import zoo
from zoo.augmentation import Augmentation
from zoo.cli.main import main
from zoo.components import Component
from zoo.evaluation.cost import count_macs
from zoo.recipe import Recipe, plain
from zoo.registry import Registry

# A quarter of all their time, beside others of the same families.
LARGE = (
    "resnet34-lamb", "resnet101-momentum", "vgg16-adamw", "vgg16-bn-sgd", "convnext-tiny-adamw", "mambaout-femto-adamw",
    "efficientnet-b0-adamw", "resnet50-transfer",
)  # fmt: skip
NAMES = [name for name in Registry.load(zoo.catalog).names() if "/" not in name]


def random_weights(recipe: Recipe, path: Path) -> str:
    """Write weights as somebody publishes them: for other classes, under the names of the library that the model is from."""
    model = recipe.architecture.build(num_outputs=1000, in_channels=3, image_size=(224, 224))
    prefix = str(model.state_prefix)
    tensors: dict[str, torch.Tensor] = {n.removeprefix(prefix): t.contiguous() for n, t in model.state_dict().items()}
    save_file(tensors, path)
    return str(path)


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in LARGE else n for n in NAMES])
def test_a_run_of_every_recipe_would_start(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = zoo.resolve(name)
    settings = mnist.settings(recipe, tmp_path)
    if recipe.weights is not None:
        settings.append(f"weights={random_weights(recipe, tmp_path / 'w.safetensors')}")
    assert main(["train", name, "--dry-run", "training.threads=1", *settings]) == 0
    assert "two steps, evaluation, save and restore went well" in "".join(capsys.readouterr())


def components(component: Component[object]) -> set[tuple[str, str]]:
    """Return (kind, name) of a component and of those inside it."""
    values = [getattr(component.params, field) for field in component.params.__struct_fields__]
    inside = [
        c for value in values for c in (value if isinstance(value, list) else [value]) if isinstance(c, Component)
    ]
    return {(component.spec.kind, component.name)}.union(*map(components, inside))


def test_every_component_is_in_a_recipe() -> None:
    """But data sources, which are the user's own, and are trained from in tests of theirs."""
    used = {found for name in NAMES for part in zoo.resolve(name).components for found in components(part)}
    first_party = {
        (entry.kind, entry.name) for entry in zoo.catalog.entries() if entry.plugin.first_party and entry.kind != "data"
    }
    assert first_party - used == set()


def test_the_recurrent_and_the_convolutional_mixer_cost_the_same() -> None:
    """On images of 28×28 pixels, in multiply-accumulates, within half a percent."""
    shape = (1, 28, 28)
    macs = [
        count_macs(
            lambda name=name: zoo.resolve(name).architecture.build(num_outputs=10, in_channels=1, image_size=shape[1:]),  # type: ignore[misc]
            shape,
        )
        for name in ("mixer-swap-bilstm2d", "mixer-swap-depthwise-conv")
    ]
    assert macs[1] == pytest.approx(macs[0], rel=0.005)


def test_published_studies_of_active_learning_keep_their_protocols() -> None:
    """Gal, Islam and Ghahramani (2017), and Kirsch, van Amersfoort and Gal (2019)."""
    gal, kirsch = zoo.resolve("mnist-gal2017"), zoo.resolve("rmnist")
    assert gal.active is not None and kirsch.active is not None
    for active in (gal.active, kirsch.active):
        assert (active.init, active.initial, active.query, active.start, active.steps) == (
            20,
            "balanced",
            10,
            "scratch",
            None,
        )
    told = (
        gal.active.pool_subset,
        gal.active.measure,
        gal.active.smooth,
        0.05 in gal.active.targets,
        gal.active.validation,
    )
    assert told == (2000, "dropout-mean", 3, True, "unused") and gal.active.passes >= 20
    assert (gal.training.epochs, gal.training.batch_size, gal.augmentation) == (50, 128, Augmentation())
    dropout, penalty = (plain(component.params) for component in gal.regularizers)
    assert (dropout["rate"], dropout["body"], dropout["where"]) == (0.5, 0.25, "head")
    assert penalty == {"strength": 2.5, "layers": ["hidden"], "per_sample": True}
    asked = [(c.name, plain(c.params)) for c in gal.active.strategies]
    assert asked == [("variation-ratio", {"of": "votes"}), ("bald", {}), ("entropy", {"of": "mean"}), ("mean-std", {})]

    training = kirsch.training
    assert (training.draws, training.epochs, training.batch_size, training.early_stopping.patience) == (5056, 40, 64, 3)
    assert (kirsch.active.passes, kirsch.active.pool_subset, kirsch.active.validation) == (10, 2000, "free")
    assert kirsch.active.measure == "dropout-mean"
    assert [c.name for c in kirsch.active.strategies] == ["batch-bald", "bald"]
    source = kirsch.source.params
    assert (source.times, source.noise, source.validation) == (3, 0.1, 3072)
