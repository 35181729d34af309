"""Every packaged recipe: each can start, and each component is in one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fixtures import mnist
from safetensors.torch import save_file

import zoo
from zoo.cli.main import main
from zoo.components import Component
from zoo.evaluation.cost import count_macs
from zoo.recipe import Recipe
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
