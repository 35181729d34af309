"""Of which architecture of the zoo a file of weights is, told by the names and shapes of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from zoo.components import Component
from zoo.errors import ZooError
from zoo.plugins import Entry, load_catalog

CLASSES, SIZE = 1000, 224  # of ImageNet, which published weights are mostly of

Shapes = Mapping[str, tuple[int, ...]]


def lookalikes(given: Shapes) -> list[str]:
    """Return the names of the zoo's own architectures that have exactly these tensors, the classifier's shapes aside.

    They are built with their default settings for colour images of 224×224 pixels, without memory; that takes seconds.
    """
    entries = [entry for entry in load_catalog(quiet=True).entries("architecture") if entry.plugin.first_party]
    return [entry.name for entry in entries if given and _is(entry, given)]


def _is(entry: Entry, given: Shapes) -> bool:
    try:
        component: Component[Any] = Component(entry.spec, entry.name, entry.spec.params(), entry.provenance)
        with torch.device("meta"):
            model = component.build(num_outputs=CLASSES, in_channels=3, image_size=(SIZE, SIZE))
    except (ZooError, TypeError):  # settings without a default, or a builder that computes with values
        return False
    return isinstance(model, nn.Module) and _body(model) == _without(given, model)


def _body(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all tensors but the classifier's, under the names of the library that the model is from."""
    prefix = str(getattr(model, "state_prefix", ""))
    shapes = {name.removeprefix(prefix): tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    return _without(shapes, model)


def _without(shapes: Shapes, model: nn.Module) -> dict[str, tuple[int, ...]]:
    path = getattr(model, "classifier", None)
    if not isinstance(path, str):
        return dict(shapes)
    head = path.removeprefix(str(getattr(model, "state_prefix", "")))
    return {name: shape for name, shape in shapes.items() if not name.startswith(f"{head}.")}
