"""Checks of architectures, on tiny inputs."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import torch
from torch import Tensor, nn

from zoo.components import ArchitectureSpec, Component
from zoo.training.randomness import stream, uniform

OUTPUTS = 5


def _size(component: Component[Any]) -> int:
    return max(16, cast(ArchitectureSpec, component.spec).facts(component.params).min_size)


def _build(component: Component[Any], *, seed: int = 0, channels: int = 3, size: int | None = None) -> nn.Module:
    side = size or _size(component)
    with stream(seed, "init", 0):
        model = component.build(num_outputs=OUTPUTS, in_channels=channels, image_size=(side, side))
    assert isinstance(model, nn.Module), (
        f"the factory must return a torch.nn.Module, got {type(model).__name__} instead"
    )
    return model


def _images(component: Component[Any], count: int = 4, *, channels: int = 3, size: int | None = None) -> Tensor:
    side = size or _size(component)
    return (
        uniform(0, "images", 0, torch.arange(count), channels * side * side).view(count, channels, side, side) * 2 - 1
    )


def _evaluate(model: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        return cast(Tensor, model.eval()(images))


def check_one_output_per_class(component: Component[Any]) -> None:
    """Images of two sizes, with 3 channels and with 1, give logits (B, outputs)."""
    for channels, size in ((3, _size(component)), (1, 2 * _size(component))):
        model = _build(component, channels=channels, size=size)
        got = tuple(_evaluate(model, _images(component, channels=channels, size=size)).shape)
        assert got == (4, OUTPUTS), f"{channels}×{size}×{size} images give logits {got}, must be (4, {OUTPUTS})"


def check_gradient_reaches_every_parameter(component: Component[Any]) -> None:
    """Within three steps each trainable parameter has had a gradient that is not zero."""
    model = _build(component).train()
    # Three steps, because weights that start at zero hold back the gradient of what lies before them for one step.
    silent = {name for name, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for step in range(3):
        optimizer.zero_grad()
        with stream(0, "forward", step):
            loss = nn.functional.cross_entropy(model(_images(component, 8)), torch.arange(8) % OUTPUTS)
        loss.backward()
        silent -= {name for name, p in model.named_parameters() if p.grad is not None and bool(p.grad.ne(0).any())}
        optimizer.step()
    assert not silent, f"no gradient reaches {', '.join(sorted(silent)[:5])}"


def check_state_dict_round_trip(component: Component[Any]) -> None:
    """Weights and buffers of one model, loaded strictly into another, give the same logits."""
    first, second = _build(component, seed=0), _build(component, seed=1)
    second.load_state_dict(first.state_dict(), strict=True)
    images = _images(component)
    assert torch.equal(_evaluate(first, images), _evaluate(second, images)), "logits differ after load_state_dict"


def check_same_seed_same_weights(component: Component[Any]) -> None:
    """Weights are drawn from torch's default generator, which the engine seeds, and from nothing else."""
    first, again, other = (_build(component, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first), "one seed gives two sets of weights"
    assert any(not torch.equal(first[name], other[name]) for name in first), "the factory seeds its weights itself"


def check_independent_of_batch_mates(component: Component[Any]) -> None:
    """In evaluation an image's logits do not depend on the other images of the batch (within 1e-5)."""
    model, images = _build(component), _images(component, 6)
    whole, alone = _evaluate(model, images), _evaluate(model, images[:2])
    difference = float((whole[:2] - alone).abs().max() / whole.abs().max().clamp(min=1))
    assert difference <= 1e-5, f"logits change by {difference:.1e} with the batch"


def check_autocast(component: Component[Any]) -> None:
    """Under bf16 autocast the logits are finite and near those of full precision."""
    model, images = _build(component), _images(component)
    with torch.autocast("cpu", torch.bfloat16):
        low = _evaluate(model, images).float()
    full = _evaluate(model, images)
    assert bool(low.isfinite().all()), "logits are not finite under bf16 autocast"
    assert float((low - full).abs().max()) <= 0.1 * max(1.0, float(full.abs().max())), (
        "logits are far off under bf16 autocast"
    )


def check_channels_last(component: Component[Any]) -> None:
    """In channels_last memory format the logits are the same (within 1e-3)."""
    model, images = _build(component), _images(component)
    expected = _evaluate(model, images)
    got = _evaluate(model.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last))
    assert torch.allclose(got, expected, atol=1e-3, rtol=1e-3), "logits change with channels_last"


def check_dropout_can_be_found(component: Component[Any]) -> None:
    """No recurrent layer hides dropout: `dropout=` does nothing with one layer and cannot be seen or seeded."""
    hidden = [name for name, m in _build(component).named_modules() if isinstance(m, nn.RNNBase) and m.dropout > 0]
    assert not hidden, f"{', '.join(hidden)} has dropout= set; stack single layers with zoo.Dropout between them"


def check_embeddings(component: Component[Any]) -> None:
    """With `embeddings`, logits are the classifier's linear map of `forward_head(features, pre_logits=True)`."""
    if not cast(ArchitectureSpec, component.spec).facts(component.params).embeddings:
        return
    model: Any = _build(component).eval()
    missing = [
        n
        for n in ("forward_features", "forward_head", "classifier", "embedding_size", "stages")
        if not hasattr(model, n)
    ]
    assert not missing, f"the spec says embeddings, and the model lacks {', '.join(missing)}"
    images = _images(component)
    with torch.no_grad():
        embedding = model.forward_head(model.forward_features(images), pre_logits=True)
        logits = model(images)
    assert embedding.is_floating_point() and tuple(embedding.shape) == (4, model.embedding_size), (
        f"embeddings are {embedding.dtype} {tuple(embedding.shape)}, must be float (4, {model.embedding_size})"
    )
    classifier = model.get_submodule(model.classifier)
    assert isinstance(classifier, nn.Linear), (
        f"{model.classifier!r} must name an nn.Linear, not {type(classifier).__name__}"
    )
    with torch.no_grad():
        assert torch.allclose(classifier(embedding), logits, atol=1e-5), (
            "logits are not the classifier of the embedding"
        )


def check_stages(component: Component[Any]) -> None:
    """With `embeddings`, `stages` lists every parameter name once, the stem's first and the classifier's last."""
    if not cast(ArchitectureSpec, component.spec).facts(component.params).embeddings:
        return
    model: Any = _build(component)
    stages = [list(stage) for stage in model.stages]
    names = [name for stage in stages for name in stage]
    expected = [name for name, _ in model.named_parameters()]
    assert sorted(names) == sorted(expected), f"stages miss or repeat {sorted(set(names) ^ set(expected))[:5]}"
    assert len(stages) >= 2, "there must be at least two stages, the stem and the classifier"
    own = {name for name in expected if name.startswith(f"{model.classifier}.")}
    assert own <= set(stages[-1]), "the last stage must hold the classifier"


def check_scales(component: Component[Any]) -> None:
    """Each of `scales` is a number, and a larger one gives more parameters."""
    smaller = _weights(component)
    for name in cast(ArchitectureSpec, component.spec).scales:
        value = getattr(component.params, name)
        assert isinstance(value, (int, float)) and not isinstance(value, bool), (
            f"scale {name!r} must be a number, and its default is {value!r}"
        )
        params = msgspec.structs.replace(component.params, **{name: 2 * value})
        larger = _weights(Component(component.spec, component.name, params, component.provenance))
        assert larger > smaller, f"{name}={2 * value} gives {larger:,} parameters, and {name}={value} {smaller:,}"


def _weights(component: Component[Any]) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in _build(component).parameters())


CHECKS = [
    check_one_output_per_class,
    check_gradient_reaches_every_parameter,
    check_state_dict_round_trip,
    check_same_seed_same_weights,
    check_independent_of_batch_mates,
    check_autocast,
    check_channels_last,
    check_dropout_can_be_found,
    check_embeddings,
    check_stages,
    check_scales,
]
