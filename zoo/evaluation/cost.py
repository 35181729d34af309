"""What a model costs: parameters, multiply-accumulates, activations, and its layers one by one.

All run the model on torch's meta device, which knows shapes and computes nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from zoo.recipe import Recipe
from zoo.training.reading import prepare_data
from zoo.training.regularizers import build_arguments

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


@dataclass(frozen=True, slots=True)
class Counts:
    """Parameters of a model, and the multiply-accumulates and activations of one image."""

    parameters: int
    macs: int
    activations: int


@dataclass(frozen=True, slots=True)
class Task:
    """What a network is built for: images of `shape` (channels, height, width), and so many classes."""

    shape: Shape
    classes: int

    @classmethod
    def of(cls, recipe: Recipe) -> Task:
        """Return the task that the recipe's data sets; reads the data."""
        dataset = prepare_data(recipe)
        return cls((dataset.channels, *dataset.size), len(dataset.classes))


def count(recipe: Recipe, task: Task | None = None) -> dict[str, Any]:
    """Return what a recipe's model costs as far as it can be counted, for its own data or another task.

    The keys are those of `Counts`, and recipe, architecture, input and classes.
    """
    task = task or Task.of(recipe)
    found = counts(partial(network, recipe, task), task.shape)
    named = {"recipe": recipe.name, "architecture": recipe.architecture.name}
    return {**named, "input": task.shape, "classes": task.classes, **asdict(found)}


def network(recipe: Recipe, task: Task) -> nn.Module:
    """Return the recipe's network with weights that nobody seeded, on torch's default device."""
    channels, *size = task.shape
    extra = build_arguments(recipe.architecture, recipe.regularizers)
    outputs = 1 if recipe.loss == "bce" else task.classes
    built: nn.Module = recipe.architecture.build(
        num_outputs=outputs, in_channels=channels, image_size=tuple(size), **extra
    )
    return built


def counts(model_factory: Callable[[], nn.Module], shape: Shape) -> Counts:
    """Return parameters, multiply-accumulates and activations of one forward pass of one image of `shape` (C, H, W).

    Activations are the elements of what convolutions, matrix products and attention give (Radosavovic et al., "Designing
    network design spaces", CVPR 2020), and of recurrent layers the states of all steps. Multiply-accumulates are those of
    `count_macs`; torch's recurrent layers are not run step by step, but counted as their weights times their steps.
    """
    with torch.device("meta"):
        model = model_factory().eval()
    tally = _Tally()
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            module.forward = partial(tally.recurrent, module)
    with tally:
        _forward(model, shape)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Counts(parameters, tally.flops // _FLOPS_PER_MAC, tally.activations)


class _Tally(TorchDispatchMode):
    """Adds up the operations that have multiply-accumulates, and the elements of what they give."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's has no types
        self._formulas = FlopCounterMode(display=False).flop_registry
        self.flops = 0
        self.activations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        formula = self._formulas.get(func._overloadpacket)
        if formula is not None:
            self.flops += int(formula(*args, **kwargs, out_val=output))
            self.activations += _first(output).numel()
        return output

    def recurrent(self, layer: nn.RNNBase, sequence: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Return what a recurrent layer gives, by shape alone, and count it."""
        steps = sequence.numel() // layer.input_size
        weights = sum(p.numel() for name, p in layer.named_parameters() if name.startswith("weight"))
        directions = 2 if layer.bidirectional else 1
        width = layer.proj_size or layer.hidden_size
        batch = () if sequence.ndim == 2 else (sequence.shape[0 if layer.batch_first else 1],)
        self.flops += _FLOPS_PER_MAC * weights * steps
        self.activations += steps * directions * width * layer.num_layers
        final = sequence.new_empty(directions * layer.num_layers, *batch, width)
        cell = sequence.new_empty(directions * layer.num_layers, *batch, layer.hidden_size)
        output = sequence.new_empty(*sequence.shape[:-1], directions * width)
        return output, (final, cell) if isinstance(layer, nn.LSTM) else final


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
    first = _first(output)
    return tuple(first.shape[1:]) if isinstance(first, Tensor) else ()


def _first(output: Any) -> Any:
    while isinstance(output, (tuple, list)) and output:
        output = output[0]
    return output
