"""A recipe's optimizer: built, and put back to where it stood."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from zoo.bases import ParameterGroup
from zoo.errors import ComponentError
from zoo.recipe import Recipe


def build_optimizer(recipe: Recipe, model: nn.Module, groups: list[ParameterGroup]) -> torch.optim.Optimizer:
    """Return the recipe's optimizer over these groups, each with the rate that schedules multiply.

    The factory finds in `positions` of each group where its parameters stand in the model, whatever the order of groups.
    """
    place = {name: i for i, (name, _) in enumerate(model.named_parameters())}
    optimizer = recipe.optimizer.build([{**g, "positions": [place[name] for name, _ in g["params"]]} for g in groups])
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise ComponentError(
            f"{recipe.optimizer!r} must build a torch.optim.Optimizer, got {type(optimizer).__name__} instead"
        )
    for group in optimizer.param_groups:
        group.pop("positions", None)
        group.setdefault("initial_lr", group["lr"] * group.get("lr_scale", 1.0))
    return optimizer


def restore_optimizer(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Put a saved state in place, keeping dtypes; `Optimizer.load_state_dict` would cast them to the parameters'."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for group, values in zip(optimizer.param_groups, saved["param_groups"], strict=True):
        group.update({key: value for key, value in values.items() if key not in {"params", "param_names"}})
    optimizer.state.clear()
    for index, values in saved["state"].items():
        parameter = parameters[index]
        optimizer.state[parameter] = {key: _placed(value, parameter) for key, value in values.items()}


def _placed(value: Any, parameter: torch.Tensor) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    if value.shape == parameter.shape:
        return torch.empty_like(parameter, dtype=value.dtype).copy_(value)
    # torch keeps scalar step counts on the CPU; anything else belongs beside the parameter.
    return value.clone() if value.ndim == 0 else value.to(parameter.device)
