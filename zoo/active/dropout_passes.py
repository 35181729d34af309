"""Monte Carlo dropout: a trained network's answers in several passes, each with other units dropped at random.

Gal and Ghahramani, "Dropout as a Bayesian approximation: representing model uncertainty in deep learning", ICML 2016. A mask
stands for one draw of the weights, so that it is the same for all rows of a pass and for every call of a module within it (Gal
and Ghahramani, "A theoretically grounded application of dropout in recurrent neural networks", NIPS 2016).

Only modules of torch's dropout kinds drop. Stochastic depth (DropPath) stays off: it skips branches of single samples, and no
draw of weights does that to all rows alike. The `dropout=` of torch's recurrent layers and what drops by a function are no
modules, and stay off as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from zoo.active.dropout_masks import Dropout, Masks
from zoo.errors import ComponentError
from zoo.training.freezing import is_pinned

_HINT = "regularizers.dropout.rate=0.25"


def sources(model: nn.Module) -> list[str]:
    """Return the names of the modules that drop at random in training: dropout at a rate above 0 that is not frozen."""
    return list(_sources(model))


def _sources(model: nn.Module) -> dict[str, _DropoutNd]:
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, _DropoutNd) and module.p > 0 and not is_pinned(module)
    }


def require(model: nn.Module, architecture: str) -> None:
    """Raise ComponentError for a model in which nothing drops, and whose passes would all be the same."""
    if not sources(model):
        raise ComponentError(
            f"passes with dropout are asked for, and no module of {architecture} drops at a rate above 0",
            possible="a dropout regularizer; dropout inside of torch's recurrent layers or by a function is not seen",
            hint=_HINT,
        )


def passes(
    model: nn.Module,
    images: Tensor,
    *,
    masks: Masks,
    passes: int,
    plain: bool = False,
    forward: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Return float32 `(n, T, C)`, the log-probabilities of T passes over images `(n, …)`; with `plain` those of one more follow,
    in which nothing is dropped.

    `forward`, by default the model, gives logits `(n, C)` of images and calls the model once or more. The model is in evaluation
    mode throughout, but for its dropout, and is left as it was. The first dimension of what is dropped must count the rows, or
    places of rows, which all have the same mask.

    What modules compute before the first dropout begins is computed once and held in memory until the last pass. Raises
    ComponentError where nothing is dropped.
    """
    if passes < 1:
        raise ComponentError(f"passes must be at least 1, got {passes} instead")
    found, dropout = _sources(model), Dropout(masks, len(images))
    trunk = _Trunk(_holding(model, found.values()))
    answers = []
    with (
        _evaluating(model),
        _dropping(found, dropout, trunk),
        _replaced([module for module in model.modules() if module not in found.values()], trunk.call),
        torch.inference_mode(False),  # its tensors do not count their changes, which the trunk has to see
        torch.no_grad(),
    ):
        rows = images.clone() if images.is_inference() else images
        for index in [*range(passes), *([None] if plain else [])]:
            dropout.index = index
            answers.append((forward or model)(rows).float().log_softmax(dim=1))
            trunk.rewind()
    return torch.stack(answers, dim=1)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


class _Trunk:
    """What was computed before the first dropout began: calls of modules, in their order, the outermost that had ended.

    Pass 0 records them, and later passes get back what they returned. Functions between them, such as the sum of a residual
    connection, are computed in every pass.
    """

    def __init__(self, holding: Set[nn.Module]) -> None:
        """Begin with the modules that hold a dropout: calls inside of others need no record of their own."""
        self._holding = holding
        self._inside, self._recording = False, True
        self._calls: list[_Call] = []
        self._left: deque[_Call] = deque()

    def end(self) -> None:
        """Record nothing from now on: a dropout begins."""
        self._recording = False

    def rewind(self) -> None:
        """Begin another pass."""
        if self._recording:
            raise ComponentError(
                "no dropout of the model is called when it answers", possible="dropout that takes part", hint=_HINT
            )
        for call in self._calls:
            call.settle()
        self._left = deque(self._calls)

    def call(self, module: nn.Module, compute: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return what the module's `compute` returns."""
        if self._inside or not (self._recording or self._left):
            return compute(*args, **kwargs)
        if self._left and self._left[0].module is module:
            return self._left.popleft().again()
        start, given = len(self._calls), _Given((args, kwargs))
        self._inside = module not in self._holding
        try:
            output = compute(*args, **kwargs)
        finally:
            self._inside = False
        if self._recording and _is_plain(output) and given.stand_apart_from(output):
            self._calls[start:] = [_Call(module, output)]  # in place of the calls inside of it
        return output


class _Call:
    """A call that has ended, and its output: tensors in lists, tuples and dicts."""

    def __init__(self, module: nn.Module, output: Any) -> None:
        self.module = module
        self._output, self._state = output, _state(output)
        self._copy = _copied(output)

    def settle(self) -> None:
        """Once a pass is over, let the copy go, unless what followed changes the output in place."""
        if self._copy is not None and self._state is not None and _state(self._output) == self._state:
            self._copy = None

    def again(self) -> Any:
        """Return the output as it was at first."""
        return self._output if self._copy is None else _copied(self._copy)


class _Given:
    """The arguments of a call."""

    def __init__(self, arguments: Any) -> None:
        self._arguments, self._state = arguments, _state(arguments)

    def stand_apart_from(self, output: Any) -> bool:
        """Return whether the call left its arguments as they were, and its output shares no memory with them.

        Others are made again in every pass: most are views, or activations that work in place.
        """
        if self._state is None or _state(self._arguments) != self._state:
            return False
        return _memory(self._arguments).isdisjoint(_memory(output))


def _is_plain(value: Any) -> bool:
    if type(value) in (tuple, list):
        return all(map(_is_plain, value))
    if type(value) is dict:
        return all(map(_is_plain, value.values()))
    return value is None or isinstance(value, (Tensor, bool, int, float, str))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _tensors(part)


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    return type(value)(map(_copied, value)) if isinstance(value, (tuple, list)) else value


def _state(value: Any) -> list[int] | None:
    """Return how often each tensor has been changed in place, or None where one does not count it."""
    tensors = list(_tensors(value))
    return None if any(tensor.is_inference() for tensor in tensors) else [tensor._version for tensor in tensors]


def _memory(value: Any) -> set[int]:
    return {tensor.untyped_storage().data_ptr() for tensor in _tensors(value)}


@contextmanager
def _dropping(found: Mapping[str, _DropoutNd], dropout: Dropout, trunk: _Trunk) -> Iterator[None]:
    """Make these modules drop. It is done by hooks, which torch's fused layers see: with them they call their modules."""

    def drop(name: str, module: nn.Module, args: tuple[Any, ...], _: Any) -> Tensor:
        assert isinstance(module, _DropoutNd)
        trunk.end()
        return dropout.drop(module, name, args[0])

    handles = [module.register_forward_hook(partial(drop, name)) for name, module in found.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _holding(model: nn.Module, found: Iterable[nn.Module]) -> set[nn.Module]:
    dropouts = set(found)
    return {module for module in model.modules() if not dropouts.isdisjoint(module.modules())}


@contextmanager
def _replaced(modules: Iterable[nn.Module], call: Callable[..., Any]) -> Iterator[None]:
    """Let `call(module, its forward, arguments)` take the place of each module's `forward`."""
    own = {module: module.__dict__.get("forward") for module in modules}
    try:
        for module in own:
            module.__dict__["forward"] = partial(call, module, module.forward)
        yield
    finally:
        for module, forward in own.items():
            module.__dict__.pop("forward", None)
            if forward is not None:
                module.__dict__["forward"] = forward
