"""Any image model of timm, by its name there."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cache
from typing import Any

import timm
import torch
from torch import nn

from zoo.errors import ComponentError, nearest
from zoo.facts import ArchitectureFacts, Family
from zoo.guard import guarded
from zoo_architectures.adapter import TimmClassifier, classifier_path
from zoo_architectures.specs import timm_models as specs

_OUTPUTS = 7  # of the model that is examined; a number that no network has by chance
_USUAL_PATCH = 16  # pixels a side (Dosovitskiy et al., "An image is worth 16x16 words", ICLR 2021)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a model.

    `classifier` is the path of its linear classifier, `sized` whether it is built for one image size, `patch` (height,
    width) of the patches that it cuts an image into, (1, 1) for none; `drops` whether it has a dropout rate, `skips` whether
    it has one of stochastic depth.
    """

    facts: ArchitectureFacts
    classifier: str | None
    sized: bool
    patch: tuple[int, int]
    drops: bool
    skips: bool


def describe(params: specs.Timm) -> ArchitectureFacts:
    """Return family, embeddings and sizes of a model, found out without allocating its weights.

    Raises ComponentError for a name that timm does not have, and for a model that is no classifier.
    """
    return _examined(params.model).facts


def build(
    params: specs.Timm,
    *,
    num_outputs: int,
    in_channels: int,
    image_size: tuple[int, int],
    drop_path_rate: float = 0.0,
) -> nn.Module:
    """Return the model that the parameters name, as `create` does."""
    return create(params.model, num_outputs, in_channels, image_size, drop_path_rate)


def create(
    model: str, num_outputs: int, in_channels: int, image_size: tuple[int, int], drop_path_rate: float = 0.0
) -> nn.Module:
    """Return a model with random weights, made for `image_size` where its weights depend on it.

    With embeddings it is a TimmClassifier, else timm's own module. A model without stochastic depth is built as it is,
    whatever the rate. Raises ComponentError for a size that the model's patches do not fill.
    """
    known = _examined(model)
    _check_size(model, known.patch, image_size)
    settings: dict[str, Any] = {"img_size": image_size} if known.sized else {}
    if known.drops:
        # timm drops by a function that no module shows; the dropout regularizer does it by a module.
        settings["drop_rate"] = 0.0
    if known.skips:
        settings["drop_path_rate"] = drop_path_rate
    network = timm.create_model(model, num_classes=num_outputs, in_chans=in_channels, **settings)
    return TimmClassifier(network, known.classifier) if known.classifier is not None else network


@cache
def _examined(name: str) -> _Known:
    if not timm.is_model(name):
        raise _unknown(name)
    with guarded(f"timm model {name!r}", ComponentError):
        network = _on_meta(name)
        sized = _accepts(network, "img_size")
        patch = _patch(network) if sized else (1, 1)
        smallest, twin, classifies = _smallest(name, network, sized, max(patch))
        if not classifies:
            raise ComponentError(
                f"timm model {name!r} does not give one output per class", hint="architecture.model=resnet18"
            )
        classifier = classifier_path(twin, (smallest, smallest))
        facts = ArchitectureFacts(
            family=_family(network),
            embeddings=classifier is not None,
            min_size=smallest,
            preferred_size=_side(network, "input_size"),
        )
    return _Known(facts, classifier, sized, patch, _accepts(network, "drop_rate"), _accepts(network, "drop_path_rate"))


def _unknown(name: str) -> ComponentError:
    models: list[str] = timm.list_models()
    longer = [model for model in models if model.startswith(name)]
    near = list(dict.fromkeys([*longer[:2], *nearest(name, models)]))[:3]
    return ComponentError(
        f"timm has no model {name!r}",
        possible=f"did you mean {' or '.join(map(repr, near))}?" if near else f"one of timm's {len(models)} names",
        hint=f"architecture.model={near[0] if near else 'resnet18'}",
    )


def _on_meta(name: str, size: int | None = None) -> Any:
    settings: dict[str, Any] = {} if size is None else {"img_size": (size, size)}
    with torch.device("meta"):
        return timm.create_model(name, num_classes=_OUTPUTS, **settings)


def _accepts(network: nn.Module, argument: str) -> bool:
    """Return whether the network's class takes this argument; timm hands the class what it is given."""
    own = type(network).__mro__[: type(network).__mro__.index(nn.Module)]
    return any(argument in inspect.signature(kind).parameters for kind in own)


def _patch(network: Any) -> tuple[int, int]:
    """Return the size of patches that the first convolution cuts side by side, without padding; else (1, 1)."""
    embed = getattr(network, "patch_embed", getattr(network, "stem", None))
    first = getattr(embed, "proj", None)
    if isinstance(first, nn.Conv2d) and first.kernel_size == first.stride and first.padding == (0, 0):
        return first.kernel_size[0], first.kernel_size[1]
    return 1, 1


def _check_size(name: str, patch: tuple[int, int], size: tuple[int, int]) -> None:
    if size[0] % patch[0] == size[1] % patch[1] == 0:
        return
    fitting = max(-(-side // part) * part for side, part in zip(size, patch, strict=True))
    raise ComponentError(
        f"{name} cuts images into patches of {patch[0]}×{patch[1]} px, which do not fill {size[0]}×{size[1]} px",
        possible=f"multiples of {patch[0]}",
        hint=f"data.image_size={fitting}",
    )


def _family(network: nn.Module) -> Family:
    """Return the family, told by the layers through which positions of an image hear of each other.

    Recurrent layers make an rnn, layers that project queries an attention network, overlapping convolutions (the first,
    which embeds patches, aside) a cnn, two kinds of these a hybrid, none of them an mlp.
    """
    found: set[Family] = set()
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    if any(isinstance(module, nn.RNNBase) for module in network.modules()):
        found.add("rnn")
    if any(_projects_queries(module) for module in network.modules()):
        found.add("attention")
    if any(k > s for conv in convolutions[1:] for k, s in zip(conv.kernel_size, conv.stride, strict=True)):
        found.add("cnn")
    return "hybrid" if len(found) > 1 else next(iter(found), "mlp")


def _projects_queries(module: nn.Module) -> bool:
    # timm calls the projection q, qk, qkv, q_proj, query or to_query; where one convolution makes all, o_proj follows.
    return any(name.startswith(("q", "to_query")) or name == "o_proj" for name, _ in module.named_children())


def _side(network: Any, setting: str) -> int:
    """Return the longer side of a size that timm states for the network, or 0."""
    return int(max((network.default_cfg.get(setting) or (0, 0, 0))[1:]))


def _smallest(name: str, network: Any, sized: bool, patch: int) -> tuple[int, Any, bool]:
    """Return the smallest size, the network made for it, and whether that gives one output per class.

    It is timm's own minimum where it states one, else found by doubling, from one patch on; models that have none, and are
    yet made for one size, start at the usual patch.
    """
    preferred = _side(network, "input_size")
    size = _side(network, "min_input_size") or (_USUAL_PATCH if sized and patch == 1 else patch)
    if network.default_cfg.get("fixed_input_size") and not sized:
        size = preferred
    while size < preferred:
        try:
            twin = _on_meta(name, size) if sized else network
            return size, twin, _gives_logits(twin, size)
        except Exception:  # a model of timm may raise anything when maps shrink to nothing
            size *= 2
    return preferred, network, _gives_logits(network, preferred)


@torch.no_grad()
def _gives_logits(network: nn.Module, size: int) -> bool:
    """Return whether outputs are `(B, outputs)` and nothing else in training, where some models return more."""
    outputs = network.train()(torch.zeros(2, 3, size, size, device="meta"))
    return isinstance(outputs, torch.Tensor) and outputs.shape == (2, _OUTPUTS)
