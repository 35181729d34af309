"""Parts of a model that keep their weights: no gradient, and evaluation mode whatever the model is set to."""

from __future__ import annotations

from typing import Any

from torch import nn

from zoo.errors import ComponentError
from zoo.recipe import Freeze


class Frozen:
    """The frozen part of a model, frozen from the start until `release`.

    Modules of that part run in evaluation mode through every later call of `train`, so that running statistics stay as they are and
    nothing is dropped. Raises ComponentError for a model without the stages that are to be frozen.
    """

    def __init__(self, model: nn.Module, freeze: Freeze, architecture: str) -> None:
        self.names = _names(model, freeze, architecture)
        self._parameters = [p for name, p in model.named_parameters() if name in self.names]
        for parameter in self._parameters:
            parameter.requires_grad_(False)
        pinned = _backbone(model) if freeze.stages == "backbone" else _whole(model, self.names)
        for module in pinned:
            module.pinned = True  # type: ignore[assignment]  # a flag, which copies of the model have, too
            module.register_forward_pre_hook(keep_in_evaluation)

    def release(self, *models: nn.Module) -> None:
        """Let all parameters be trained again, and modules of the model and of copies of it follow `train`.

        Those with running statistics stay in evaluation mode: what the classifier learnt rests on these statistics, and those of
        a batch would undo it (as Keras' guide to transfer learning and fastai's `bn_freeze` have it).
        """
        for parameter in self._parameters:
            parameter.requires_grad_(True)
        for module in (module for model in models for module in model.modules() if is_pinned(module)):
            module.pinned = isinstance(module, nn.modules.batchnorm._NormBase)  # type: ignore[assignment]  # its base class


def is_pinned(module: nn.Module) -> bool:
    """Return whether a module stays in evaluation mode."""
    return bool(getattr(module, "pinned", False))


def keep_in_evaluation(module: nn.Module, _: Any) -> None:
    """Put a pinned module in evaluation mode; a module-level function, so that copies of the model keep it."""
    if is_pinned(module):
        module.training = False


def _names(model: nn.Module, freeze: Freeze, architecture: str) -> frozenset[str]:
    stages: tuple[tuple[str, ...], ...] | None = getattr(model, "stages", None)
    if stages is None:
        raise ComponentError(
            f"{architecture} does not say which parameters are its backbone and which its classifier",
            possible="an architecture with embeddings (zoo list architectures)",
            hint="architecture=resnet18, or freeze=none",
        )
    if freeze.stages == "backbone":
        classifier = f"{getattr(model, 'classifier', '')}."
        return frozenset(name for name, _ in model.named_parameters() if not name.startswith(classifier))
    if freeze.stages >= len(stages):
        raise ComponentError(
            f"freeze.stages is {freeze.stages}, and {architecture} has {len(stages)} stages, the classifier being the last",
            possible=f"1 … {len(stages) - 1}, or backbone",
            hint="freeze=backbone",
        )
    return frozenset(name for stage in stages[: freeze.stages] for name in stage)


def _backbone(model: nn.Module) -> list[nn.Module]:
    """Return all modules but the classifier, what is in it, and what it is in."""
    path = str(getattr(model, "classifier", ""))
    return [
        module
        for name, module in model.named_modules()
        if name and not f"{path}.".startswith(f"{name}.") and not name.startswith(f"{path}.")
    ]


def _whole(model: nn.Module, names: frozenset[str]) -> list[nn.Module]:
    """Return the modules that hold parameters, all of them frozen, and the modules in these."""
    found: dict[nn.Module, None] = {}
    for path, module in model.named_modules():
        own = [f"{path}.{name}" if path else name for name, _ in module.named_parameters()]
        if own and all(name in names for name in own):
            found.update(dict.fromkeys(module.modules()))
    return list(found)
