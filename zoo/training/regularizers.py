"""The regularizers of one recipe as the loop sees them: one object, called in recipe order."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.bases import Context, ParameterGroup, Regularizer
from zoo.components import Component, RegularizerSpec, import_object
from zoo.errors import ComponentError
from zoo.guard import guarded
from zoo.training.losses import per_sample
from zoo.training.randomness import Draws

_LISTED = 4  # groups that are told one by one


class Regularizers:
    """All regularizers of a recipe, bound to one model."""

    def __init__(self, components: Sequence[Component[Any]], context: Context) -> None:
        self.context = context
        self.changes: list[tuple[str, str]] = []
        self.notes: list[str] = []
        self._named: list[tuple[str, Regularizer]] = []
        for component in components:
            self._named.append((component.name, self._bind(component)))

    def _bind(self, component: Component[Any]) -> Regularizer:
        regularizer = component.build()
        if not isinstance(regularizer, Regularizer):
            raise ComponentError(
                f"{component!r} must build a zoo.Regularizer, got {type(regularizer).__name__} instead"
            )
        regularizer.bind(self.context)
        if note := regularizer.note():
            self.notes.append(f"{component.name}: {note}")
        changed = regularizer.apply_to_model(self.context.model)
        if changed == 0:
            assert isinstance(component.spec, RegularizerSpec)
            argument = component.spec.build_argument
            raise ComponentError(
                f"regularizer {component.name!r} changed nothing in {type(self.context.model).__name__}",
                possible=f"an architecture that takes {argument} and has a use for it"
                if argument
                else "another place for it, or leave it out",
                hint=f"regularizers.{component.name}=null   (leaves it out)",
            )
        if changed is not None:
            self.changes.append((component.name, f"changed {changed} module{'s' * (changed != 1)}"))
        return regularizer

    @property
    def change_batches(self) -> bool:
        """Whether a regularizer looks at images or targets of a batch."""
        return any(type(r).on_batch is not Regularizer.on_batch for _, r in self._named)

    @property
    def add_outliers(self) -> bool:
        """Whether a regularizer adds images of no known class to a batch, where there are some."""
        return self.context.outliers is not None and any(
            type(r).outliers is not Regularizer.outliers for _, r in self._named
        )

    def parameter_groups(self, scaled: frozenset[str] = frozenset(), scale: float = 1.0) -> list[ParameterGroup]:
        """Return the optimizer's groups: all trainable parameters, as each regularizer splits or changes them.

        Those named in `scaled` begin in a group of their own, whose rate is multiplied by `scale`.
        """
        trainable = [(name, p) for name, p in self.context.model.named_parameters() if p.requires_grad]
        groups: list[ParameterGroup] = [
            {"params": [(n, p) for n, p in trainable if n not in scaled], "weight_decay": 0.0},
            {"params": [(n, p) for n, p in trainable if n in scaled], "weight_decay": 0.0, "lr_scale": scale},
        ]
        groups = [group for group in groups if group["params"]]
        for name, regularizer in self._named:
            before = [dict(group) for group in groups]
            groups = [group for group in regularizer.parameter_groups(groups) if group["params"]]
            if sorted(n for g in groups for n, _ in g["params"]) != sorted(n for n, _ in trainable):
                raise ComponentError(f"regularizer {name!r} lost or repeated parameters while grouping them")
            if groups != before:
                self.changes.append((name, _describe_all(groups)))
        return groups

    def sample_weights(self, labels: Tensor) -> Tensor | None:
        """Return the weights of the one regularizer that draws samples unevenly, or None."""
        found = [(n, w) for n, r in self._named if (w := r.sample_weights(labels)) is not None]
        if len(found) > 1:
            raise ComponentError(f"{found[0][0]!r} and {found[1][0]!r} both choose how samples are drawn; keep one")
        return found[0][1] if found else None

    def on_batch(self, images: Tensor, targets: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Return images and targets after each regularizer, those of outliers last."""
        size = len(images)
        for _, regularizer in self._named:
            images, targets = regularizer.on_batch(images, targets, draws)
        for _, regularizer in self._named:
            if (outliers := regularizer.outliers(size, draws)) is not None:
                images, targets = with_outliers(images, targets, outliers, self.context.num_classes)
        return images, targets

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss per sample `(B,)`: a regularizer's own, else the recipe's."""
        for _, regularizer in self._named:
            own = regularizer.loss(logits, targets)
            if own is not None:
                return own
        return per_sample(logits, targets)

    def penalty(self, model: nn.Module) -> Tensor | None:
        """Return the sum of all penalties, or None where there is none."""
        found = [value for _, r in self._named if (value := r.penalty(model)) is not None]
        return torch.stack(found).sum() if found else None

    def before_step(self, model: nn.Module, step: int, draws: Draws) -> None:
        for _, regularizer in self._named:
            regularizer.before_step(model, step, draws)

    def after_step(self, model: nn.Module, step: int, groups: Sequence[ParameterGroup]) -> None:
        for _, regularizer in self._named:
            regularizer.after_step(model, step, groups)

    def evaluation_model(self, model: nn.Module) -> nn.Module:
        """Return the model that is evaluated and kept: averaged weights, for example."""
        for _, regularizer in self._named:
            model = regularizer.evaluation_model(model)
        return model

    def finalize(self, model: nn.Module, batches: Callable[[], Iterable[Tensor]]) -> None:
        """Let each regularizer finish the evaluation model; `batches()` gives the training batches from their start."""
        for _, regularizer in self._named:
            regularizer.finalize(model, batches())

    def state_dict(self) -> dict[str, Any]:
        return {name: regularizer.state_dict() for name, regularizer in self._named}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, regularizer in self._named:
            regularizer.load_state_dict(state[name])


def with_outliers(images: Tensor, targets: Tensor, outliers: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Return images `(B + n, C, H, W)` and float targets `(B + n, C)`, those of the n outliers being zeros."""
    if targets.ndim == 1:
        targets = functional.one_hot(targets, classes).float()
    nothing = targets.new_zeros(len(outliers), classes)
    return torch.cat([images, outliers.to(images.dtype)]), torch.cat([targets, nothing])


def build_arguments(architecture: Component[Any], regularizers: Sequence[Component[Any]]) -> dict[str, Any]:
    """Return what the regularizers hand to the architecture's factory: those of their build arguments that it accepts.

    Nothing is handed over at strength 0. Raises ComponentError for a factory that cannot be imported.
    """
    wanted: dict[str, Any] = {}
    for component in regularizers:
        spec = component.spec
        assert isinstance(spec, RegularizerSpec)
        strength = getattr(component.params, spec.strength)
        if spec.build_argument is not None and strength:
            wanted[spec.build_argument] = strength
    accepted = _keywords(architecture) if wanted else frozenset()
    return {name: value for name, value in wanted.items() if name in accepted}


def _keywords(component: Component[Any]) -> frozenset[str]:
    with guarded(f"factory of {component!r}", ComponentError):
        parameters = inspect.signature(import_object(component.spec.factory)).parameters
    return frozenset(name for name, p in parameters.items() if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD))


def _describe_all(groups: Sequence[ParameterGroup]) -> str:
    if len(groups) <= _LISTED:
        return "; ".join(_describe(group) for group in groups)
    ranges = []
    for key in sorted({key for group in groups for key, value in group.items() if isinstance(value, (int, float))}):
        values = [group[key] for group in groups if key in group]
        ranges.append(f"{key} {min(values):g}" + (f" to {max(values):g}" if max(values) > min(values) else ""))
    return f"{len(groups)} groups: {', '.join(ranges)}"


def _describe(group: ParameterGroup) -> str:
    count = sum(p.numel() for _, p in group["params"])
    settings = ", ".join(
        f"{key} {value:g}" for key, value in group.items() if key != "params" and isinstance(value, (int, float))
    )
    return f"{len(group['params'])} tensors ({count:,} values): {settings}"
