"""The one form in which timm's models meet the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from timm.layers.linear import Linear as TimmLinear
from timm.models import group_parameters
from torch import Tensor, nn


class TimmClassifier(nn.Module):
    """A timm model whose `classifier` is an nn.Linear on the vector that `forward_head(f, pre_logits=True)` returns."""

    state_prefix = "network."  # before timm's names of tensors, as published weights have them

    def __init__(self, network: nn.Module, classifier: str) -> None:
        super().__init__()
        self.network = network
        self.classifier = f"network.{classifier}"
        self.embedding_size = linear(network, classifier).in_features

    @property
    def stages(self) -> tuple[tuple[str, ...], ...]:
        """All parameter names by depth, stem first, with the classifier's last."""
        head = tuple(name for name, _ in self.named_parameters() if name.startswith(f"{self.classifier}."))
        body = (tuple(f"network.{name}" for name in stage) for stage in _depths(self.network))
        rest = (tuple(name for name in stage if name not in head) for stage in body)
        return (*(stage for stage in rest if stage), head)

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the network's last features, of whatever shape it has."""
        network: Any = self.network
        features: Tensor = network.forward_features(x)
        return features

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Return the embedding `(B, embedding_size)` with `pre_logits`, else the outputs `(B, num_outputs)`."""
        network: Any = self.network
        result: Tensor = network.forward_head(features, pre_logits=pre_logits)
        return result.flatten(1)  # some heads keep maps of 1×1

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.network(x)
        return outputs


def _depths(network: Any) -> list[list[str]]:
    """Return all parameter names as timm groups them by depth, else by the network's direct children, in their order."""
    try:
        groups = group_parameters(network, network.group_matcher(coarse=True))
        return [groups[depth] for depth in sorted(groups)]
    except (AttributeError, AssertionError):  # some models of timm have no groups, or none that are coarse
        by_child: dict[str, list[str]] = {}
        for name, _ in network.named_parameters():
            by_child.setdefault(name.partition(".")[0], []).append(name)
        return list(by_child.values())


def linear(network: nn.Module, path: str) -> nn.Linear:
    """Return the nn.Linear at this path of a network."""
    found = network.get_submodule(path)
    assert isinstance(found, nn.Linear)
    return found


def classifier_path(network: nn.Module, image_size: tuple[int, int]) -> str | None:
    """Return where the network's linear classifier is, or None where none reads what `pre_logits` gives.

    `network` is on the meta device and takes 3 channels of `image_size` (height, width) pixels.
    """
    timm_network: Any = network
    path = timm_network.default_cfg.get("classifier")
    # A tuple names the two heads of a distilled model; others have a convolution, or a subclass that does more.
    if not isinstance(path, str) or type(network.get_submodule(path)) not in (nn.Linear, TimmLinear):
        return None
    classifier = linear(network, path)
    with torch.no_grad():
        features = timm_network.eval().forward_features(torch.zeros(2, 3, *image_size, device="meta"))
        embedding, before = _called(network, lambda: timm_network.forward_head(features, pre_logits=True))
        _, whole = _called(network, lambda: timm_network.forward_head(features))
    between = [m for m in whole if m not in before and not isinstance(m, (nn.Dropout, nn.Identity))]
    # Some heads normalise between the two: then the classifier does not read the embedding.
    fits = tuple(embedding.flatten(1).shape) == (2, classifier.in_features)
    return path if between == [classifier] and fits else None


def _called(network: nn.Module, forward: Callable[[], Tensor]) -> tuple[Tensor, list[nn.Module]]:
    """Return what `forward` returns, and the modules without children that it calls."""
    called: list[nn.Module] = []
    leaves = [m for m in network.modules() if next(m.children(), None) is None]
    handles = [m.register_forward_pre_hook(lambda module, args: called.append(module)) for m in leaves]
    try:
        return forward(), called
    finally:
        for handle in handles:
            handle.remove()
