"""Stochastic depth: the module, and how its rate reaches an architecture."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fixtures.regularizers import bound, component
from timm.layers import DropPath as TimmDropPath
from torch import Tensor, nn

import zoo
from zoo.components import ArchitectureSpec, Component, NoParams, Provenance
from zoo.errors import ComponentError
from zoo.modules import DropPath
from zoo.training.model import build_model
from zoo.training.randomness import stream
from zoo.training.regularizers import build_arguments

CPU = torch.device("cpu")
FACTORIES = f"{__name__}:"


def built(architecture: str, *regularizers: str) -> nn.Module:
    recipe = zoo.resolve(
        "conv-net-momentum", f"architecture={architecture}", f"regularizers=[{', '.join(regularizers)}]"
    )
    return build_model(recipe, classes=10, channels=1, size=(32, 32), device=CPU)


def rates(model: nn.Module) -> list[float]:
    return [m.drop_prob for m in model.modules() if isinstance(m, (DropPath, TimmDropPath)) and m.drop_prob > 0]


def residual(params: NoParams, *, drop_path_rate: float = 0.0, **sizes: Any) -> nn.Module:
    return nn.Sequential(nn.Flatten(), DropPath(drop_path_rate))


def plain(params: NoParams, **sizes: Any) -> nn.Module:
    return nn.Flatten()


def architecture(factory: str) -> Component[Any]:
    spec = ArchitectureSpec(
        name=factory, factory=FACTORIES + factory, summary="a test's", family="cnn", embeddings=False
    )
    return Component(spec, factory, NoParams(), Provenance("acme", "acme-zoo", "1"))


@pytest.mark.parametrize("shape", [(200, 3), (200, 3, 2, 2)])
def test_the_module_is_timms(shape: tuple[int, ...]) -> None:
    branch = torch.rand(shape) + 1
    results: list[Tensor] = []
    for module in (DropPath(0.25), TimmDropPath(0.25)):
        with stream(0, "forward", 0):
            results.append(module.train()(branch))
    assert torch.equal(*results)
    gone = (results[0] == 0).flatten(1)
    assert torch.equal(gone.any(1), gone.all(1)), "a sample goes as a whole"
    # Standard deviation of the share: 3 %.
    assert float(gone.all(1).float().mean()) == pytest.approx(0.25, abs=0.1)
    kept = ~gone.all(1)
    assert torch.allclose(results[0][kept], branch[kept] / 0.75)


def test_the_module_is_inert_in_evaluation_and_at_rate_nought() -> None:
    branch = torch.rand(4, 3)
    before = torch.default_generator.get_state()
    assert DropPath(0.9).eval()(branch) is branch and DropPath(0.0).train()(branch) is branch
    assert torch.equal(torch.default_generator.get_state(), before)


@pytest.mark.parametrize(
    ("name", "branches"),
    [("resnet18", 7), ("{name: timm, model: test_vit}", 10), ("{name: timm, model: test_convnext}", 8)],
)
def test_the_rate_rises_to_its_value_at_the_last_block(name: str, branches: int) -> None:
    found = rates(built(name, "{name: drop-path, rate: 0.2}"))
    assert len(found) == branches and found == sorted(found)
    assert found[0] < 0.2 and found[-1] == pytest.approx(0.2)


def test_weights_names_and_evaluation_are_those_of_the_network_without() -> None:
    plain, dropping = (built("{name: timm, model: test_vit}", *parts) for parts in ((), ("drop-path",)))
    assert rates(plain) == []
    ours, theirs = dropping.state_dict(), plain.state_dict()
    assert list(ours) == list(theirs) and all(torch.equal(ours[key], theirs[key]) for key in ours)
    images = torch.rand(3, 1, 32, 32)
    assert torch.equal(dropping.eval()(images), plain.eval()(images))
    with stream(0, "forward", 0):
        assert not torch.allclose(dropping.train()(images), plain.train()(images))


def test_rate_nought_is_not_handed_over() -> None:
    assert build_arguments(architecture("residual"), [component("drop-path", rate=0.0)]) == {}
    assert rates(built("conv-net", "{name: drop-path, rate: 0}")) == []
    assert bound("drop-path", nn.Flatten(), rate=0.0).apply_to_model(nn.Flatten()) is None


def test_a_factory_gets_the_rate_if_it_takes_it() -> None:
    parts = [component("mixup"), component("drop-path", rate=0.3)]
    assert build_arguments(architecture("residual"), parts) == {"drop_path_rate": 0.3}
    assert build_arguments(architecture("plain"), parts) == {}
    model = architecture("residual").build(**build_arguments(architecture("residual"), parts))
    assert bound("drop-path", model, rate=0.3).apply_to_model(model) == 1


def test_a_factory_that_cannot_be_imported_is_named() -> None:
    with pytest.raises(ComponentError, match=r"factory of <architecture absent .*AttributeError"):
        build_arguments(architecture("absent"), [component("drop-path")])


@pytest.mark.parametrize(("name", "kind"), [("conv-net", "ConvNet"), ("{name: timm, model: dla46_c}", "DLA")])
def test_a_network_without_stochastic_depth_is_refused_with_the_way_out(name: str, kind: str) -> None:
    settings = (f"architecture={name}", "data.image_size=32", "regularizers=[drop-path]")
    with pytest.raises(ComponentError) as caught:
        zoo.dry_run("conv-net-momentum", *settings, device="cpu")
    assert str(caught.value) == (
        f"regularizer 'drop-path' changed nothing in {kind}\n"
        "  possible: an architecture that takes drop_path_rate and has a use for it\n"
        "  try: regularizers.drop-path=null   (leaves it out)"
    )


def test_a_dry_run_tells_how_many_branches_are_skipped() -> None:
    shown = zoo.dry_run(
        "conv-net-momentum", "architecture=resnet18", "data.train_size=64", "regularizers=[drop-path]", device="cpu"
    )
    assert shown.changes == [("drop-path", "changed 7 modules")]
