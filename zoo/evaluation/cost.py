"""What a model costs: multiply-accumulates, and its layers one by one.

Both run the model on torch's meta device, which knows shapes and computes nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

Shape = tuple[int, int, int]
_FLOPS_PER_MAC = 2


@dataclass(slots=True)
class Layer:
    """One module that holds parameters or no other modules.

    `output_shape` is that of one image, empty for a module that is never called by itself; `parameters` counts shared
    ones where they first occur; `macs` are multiply-accumulates of matrix products and convolutions for one image.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    macs: int


def count_macs(model_factory: Callable[[], nn.Module], shape: Shape) -> int:
    """Return the multiply-accumulates of one forward pass of one image of `shape` (C, H, W).

    Counts matrix products, convolutions and attention; the factory is called under the meta device.
    """
    with torch.device("meta"):
        model = model_factory().eval()
    with FlopCounterMode(display=False) as counter:
        _forward(model, shape)
    return int(counter.get_total_flops()) // _FLOPS_PER_MAC


def layers(model: nn.Module, shape: Shape) -> list[Layer]:
    """Return the layers of a model in the order of their first call, for one image of `shape` (C, H, W).

    The parameters of all layers add up to those of the model, each counted once.
    """
    twin = copy.deepcopy(model).to("meta").eval()
    counter = FlopCounterMode(display=False)
    trace = _Trace(twin, counter)
    with counter:
        _forward(twin, shape)
    return trace.rows()


def _forward(model: nn.Module, shape: Shape) -> None:
    with torch.no_grad():
        model(torch.zeros(1, *shape, device="meta"))


class _Trace:
    """Hooks on every layer of a model that note shapes and multiply-accumulates."""

    def __init__(self, model: nn.Module, counter: FlopCounterMode) -> None:
        self._counter = counter
        self._layers = {name: m for name, m in model.named_modules() if _is_layer(m)}
        self._names = {module: name for name, module in self._layers.items()}
        self._called: dict[nn.Module, Layer] = {}
        self._open: list[list[int]] = []  # per open call: flops at its start, flops of the layers inside it
        for module in self._layers.values():
            module.register_forward_pre_hook(self._enter)
            module.register_forward_hook(self._leave)

    def rows(self) -> list[Layer]:
        """Return the called layers, then those that others read without calling them; parameters counted once."""
        uncalled = [m for m in self._names if m not in self._called and _own_parameters(m)]
        rows = {**self._called, **{module: self._row(module, ()) for module in uncalled}}
        seen: set[nn.Parameter] = set()
        for module, row in rows.items():
            new = set(_own_parameters(module)) - seen
            row.parameters = sum(parameter.numel() for parameter in new)
            seen |= new
        return list(rows.values())

    def _row(self, module: nn.Module, output_shape: tuple[int, ...]) -> Layer:
        return Layer(self._names[module], type(module).__name__, output_shape, 0, 0)

    def _enter(self, module: nn.Module, args: Any) -> None:
        self._open.append([int(self._counter.get_total_flops()), 0])

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        start, inner = self._open.pop()
        flops = int(self._counter.get_total_flops()) - start
        if self._open:
            self._open[-1][1] += flops
        if module not in self._called:
            self._called[module] = self._row(module, _shape(output))
        self._called[module].macs += (flops - inner) // _FLOPS_PER_MAC


def _is_layer(module: nn.Module) -> bool:
    return next(module.children(), None) is None or bool(_own_parameters(module))


def _own_parameters(module: nn.Module) -> list[nn.Parameter]:
    return list(module.parameters(recurse=False))


def _shape(output: Any) -> tuple[int, ...]:
    first = output
    while isinstance(first, (tuple, list)) and first:
        first = first[0]
    return tuple(first.shape[1:]) if isinstance(first, Tensor) else ()
