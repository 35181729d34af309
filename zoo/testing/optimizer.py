"""Checks of optimizers, on a small regression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from zoo.components import Component, OptimizerSpec
from zoo.training.checkpoint import dumps, loads
from zoo.training.optimizer import restore_optimizer
from zoo.training.randomness import stream


class _Problem:
    """A convolution and two linear layers fitted to fixed targets; `loss` is a mean of squares.

    There are two linear layers because some optimizers treat the first and the last layer apart from those between.
    """

    def __init__(
        self, component: Component[Any], *, dtype: torch.dtype = torch.float32, weight_decay: float = 0.0
    ) -> None:
        with stream(0, "problem", 0):
            self.model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(), nn.Linear(16, 8), nn.Linear(8, 3))
            self.model = self.model.to(dtype)
            self.images, self.targets = torch.randn(8, 2, 4, 4, dtype=dtype), torch.randn(8, 3, dtype=dtype)
        self.model = self.model.to(memory_format=torch.channels_last)
        groups = [{"params": list(self.model.named_parameters()), "weight_decay": weight_decay}]
        self.optimizer: torch.optim.Optimizer = component.build(groups)
        self.two_passes = cast(OptimizerSpec, component.spec).passes == 2

    def loss(self) -> Tensor:
        loss: Tensor = (self.model(self.images) - self.targets).square().mean()
        return loss

    def steps(self, count: int, gradient: Callable[[], Tensor] | None = None) -> None:
        def gradients() -> None:
            self.optimizer.zero_grad()
            (gradient or self.loss)().backward()

        for _ in range(count):
            if self.two_passes:
                self.optimizer.step(gradients)  # type: ignore[arg-type]  # a two-pass optimizer asks for gradients
            else:
                gradients()
                self.optimizer.step()

    def switch(self, *, training: bool) -> None:
        mode: Callable[[], None] | None = getattr(self.optimizer, "train" if training else "eval", None)
        if mode is not None:
            mode()

    def resumed(self, component: Component[Any]) -> _Problem:
        """Return another problem of this kind that goes on from a checkpoint of this one."""
        other = _Problem(component, dtype=self.images.dtype)
        saved = loads(dumps({"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}))
        other.model.load_state_dict(saved["model"])
        restore_optimizer(other.optimizer, saved["optimizer"])
        return other

    def still(self) -> Tensor:
        return sum((p * 0).sum() for p in self.model.parameters())  # type: ignore[return-value]  # a sum of tensors

    def weights(self) -> Tensor:
        return torch.cat([p.detach().flatten() for p in self.model.parameters()])


def check_builds_from_named_groups(component: Component[Any]) -> None:
    """Groups of (name, parameter) pairs are taken, and what they say of weight decay stays."""
    optimizer = _Problem(component, weight_decay=0.25).optimizer
    assert isinstance(optimizer, torch.optim.Optimizer), (
        f"the factory must return a torch.optim.Optimizer, got {type(optimizer).__name__}"
    )
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 6, "parameters were lost"
    assert all(group["weight_decay"] == 0.25 for group in optimizer.param_groups), (
        "the group's weight_decay was not kept"
    )
    assert all(group["lr"] > 0 for group in optimizer.param_groups), "every group needs a learning rate `lr` above 0"


def check_minimises_a_quadratic(component: Component[Any]) -> None:
    """Three hundred steps at the default rate bring a mean of squares below two thirds of its start."""
    problem = _Problem(component)
    start = float(problem.loss().detach())
    problem.steps(300)
    end = float(problem.loss().detach())
    assert end < 2 / 3 * start, f"the loss went from {start:.3f} to {end:.3f}"


def check_obeys_the_learning_rate(component: Component[Any]) -> None:
    """A schedule's changes of `group["lr"]` count at the next step; 0 stands still."""
    problem = _Problem(component)
    problem.steps(3)
    before = problem.weights()
    for group in problem.optimizer.param_groups:
        group["lr"] = 0.0
    problem.steps(1)
    assert torch.equal(problem.weights(), before), "weights move at learning rate 0"


def check_obeys_weight_decay(component: Component[Any]) -> None:
    """Weight decay comes from `group["weight_decay"]` alone: 0 keeps weights at zero gradient, 0.1 shrinks them."""
    idle, decayed = _Problem(component), _Problem(component, weight_decay=0.1)
    start = idle.weights()
    for problem in (idle, decayed):
        problem.steps(5, problem.still)
    assert torch.equal(idle.weights(), start), "weights move without gradient and without weight decay"
    assert float(decayed.weights().norm()) < float(start.norm()), "weight decay does not shrink the weights"


def check_resumes_bit_equal(component: Component[Any]) -> None:
    """Saved after three steps and restored, in float32 and float64, it goes on with the same bits."""
    for dtype in (torch.float32, torch.float64):
        whole, part = _Problem(component, dtype=dtype), _Problem(component, dtype=dtype)
        whole.steps(6)
        part.steps(3)
        resumed = part.resumed(component)
        resumed.steps(3)
        assert torch.equal(resumed.weights(), whole.weights()), f"weights differ after a resume in {dtype}"


def check_evaluates_without_a_trace(component: Component[Any]) -> None:
    """Switched to evaluation and back, or saved and restored in between, it goes on with the same bits."""
    whole, part = _Problem(component), _Problem(component)
    whole.steps(6)
    part.switch(training=False)
    part.switch(training=True)
    part.steps(3)
    trained = part.weights()
    part.switch(training=False)
    evaluated = part.weights()
    resumed = part.resumed(component)
    assert torch.equal(resumed.weights(), evaluated), "the weights to evaluate differ after a resume"
    for problem in (part, resumed):
        problem.switch(training=True)
        assert torch.equal(problem.weights(), trained), "evaluation changes the weights that are trained"
        problem.steps(3)
        assert torch.equal(problem.weights(), whole.weights()), "weights differ after an evaluation"


CHECKS = [
    check_builds_from_named_groups,
    check_minimises_a_quadratic,
    check_obeys_the_learning_rate,
    check_obeys_weight_decay,
    check_resumes_bit_equal,
    check_evaluates_without_a_trace,
]
