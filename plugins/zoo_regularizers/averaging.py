"""Averages of the weights along the path of training; they are evaluated and kept in place of the last weights."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from zoo.bases import Context, Regularizer
from zoo.training.freezing import is_pinned
from zoo_regularizers import schemas

_Pair = tuple[Tensor, Tensor]  # of the average, and of the trained model


class _Averaging(Regularizer):
    """Keeps a second model beside the trained one; the trained one itself stays as it is.

    What is frozen is the same in both, and is not looked at.
    """

    use_buffers: bool

    def __init__(self) -> None:
        self._copy: nn.Module | None = None
        self._updates = 0

    def bind(self, context: Context) -> None:
        """Keep the experiment for later: other regularizers have yet to change the model that will be copied."""
        self._context = context

    @abstractmethod
    def counts(self, step: int) -> bool:
        """Return whether the weights after optimizer step `step`, from 0, count in the average."""

    @abstractmethod
    def share(self, updates: int) -> float:
        """Return the share of the newest weights in an average that has had this many updates before."""

    def after_step(self, model: nn.Module, step: int, groups: Sequence[Mapping[str, Any]]) -> None:
        """Move the average towards the updated weights."""
        if not self.counts(step):
            return
        if self._updates:
            self._move(model)
        else:
            self._copy_of(model)
        self._updates += 1

    def evaluation_model(self, model: nn.Module) -> nn.Module:
        """Return the averaged model, or the trained one where nothing is averaged yet."""
        return self._averaged(model) if self._updates else model

    def state_dict(self) -> dict[str, Any]:
        """Return how many updates the average has had; its weights are those of the evaluation model."""
        return {"updates": self._updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back the number of updates."""
        self._updates = state["updates"]

    def _averaged(self, model: nn.Module) -> nn.Module:
        return self._copy_of(model) if self._copy is None else self._copy

    def _copy_of(self, model: nn.Module) -> nn.Module:
        self._copy = copy.deepcopy(model)
        # Walking through a large model takes longer than averaging a small head.
        self._modules = list(zip(self._copy.modules(), model.modules(), strict=True))
        self._parameters: list[_Pair] = list(zip(self._copy.parameters(), model.parameters(), strict=True))
        return self._copy

    @torch.no_grad()
    def _move(self, model: nn.Module) -> None:
        self._averaged(model)
        buffers = [pair for modules in self._modules for pair in _moving_buffers(*modules)]
        # Counters, such as a norm's number of batches, have no mean.
        means = [pair for pair in buffers if self.use_buffers and pair[0].is_floating_point()]
        copies = [pair for pair in buffers if not (self.use_buffers and pair[0].is_floating_point())]
        means += [pair for pair in self._parameters if pair[1].requires_grad]
        if means:
            torch._foreach_lerp_(
                [mean for mean, _ in means], [newest for _, newest in means], self.share(self._updates)
            )
        if copies:
            torch._foreach_copy_([kept for kept, _ in copies], [newest for _, newest in copies])


class ExponentialMovingAverage(_Averaging):
    """w' ← d w' + (1 - d) w after each step, with d = min(decay, (1 + t) / (10 + t)) at the t-th.

    Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", SIAM J. Control Optim. 1992; the rising
    decay is that of TensorFlow's ExponentialMovingAverage: a short training is averaged over its last tenth, not over the
    untrained weights. Running statistics are averaged like the weights.
    """

    use_buffers = True

    def __init__(self, decay: float) -> None:
        super().__init__()
        self._decay = decay

    def counts(self, step: int) -> bool:
        """Return whether there is anything to average: with a decay of 0 the average is the newest weights."""
        return self._decay > 0

    def share(self, updates: int) -> float:
        """Return 1 - d."""
        return 1 - min(self._decay, (1 + updates) / (10 + updates))


class StochasticWeightAveraging(_Averaging):
    """The plain mean of the weights at the end of each epoch in the last part of training.

    Izmailov et al., "Averaging weights leads to wider optima and better generalization", UAI 2018. Running statistics are
    measured anew on the training images. The paper trains this part with a constant or a cyclic learning rate: choose a
    schedule that does not end at 0.
    """

    use_buffers = False

    def __init__(self, share: float) -> None:
        super().__init__()
        self._last = share

    def counts(self, step: int) -> bool:
        """Return whether the step ends an epoch, or the training, within its last part."""
        context = self._context
        ends = (step + 1) % context.steps_per_epoch == 0 or step + 1 == context.total_steps
        return ends and step + 1 > (1 - self._last) * context.total_steps

    def share(self, updates: int) -> float:
        """Return the weight of the newest in a mean of all."""
        return 1 / (updates + 1)

    def finalize(self, model: nn.Module, batches: Iterable[Tensor]) -> None:
        """Measure the running statistics of the averaged weights, with dropout off."""
        norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats and not is_pinned(m)]
        if not self._updates or not norms:
            return
        momenta = [norm.momentum for norm in norms]
        model.eval()
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the mean over all batches
            norm.train()
        with torch.no_grad():
            for images in batches:
                model(images)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()


def _moving_buffers(averaged: nn.Module, trained: nn.Module) -> list[_Pair]:
    """Return the buffers of one module in both models, unless it stays in evaluation mode."""
    if not trained._buffers or is_pinned(trained):
        return []
    return list(zip(averaged.buffers(recurse=False), trained.buffers(recurse=False), strict=True))


def build_ema(params: schemas.Ema) -> Regularizer:
    """Return the regularizer."""
    return ExponentialMovingAverage(params.decay)


def build_swa(params: schemas.Swa) -> Regularizer:
    """Return the regularizer."""
    return StochasticWeightAveraging(params.share)
