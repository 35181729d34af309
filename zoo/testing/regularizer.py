"""Checks of regularizers, on a small network with dropout places, a residual branch, stages and an embedding."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import torch
from torch import Tensor, nn

from zoo.bases import Context, Regularizer
from zoo.components import Component, RegularizerSpec
from zoo.modules import Dropout, DropPath
from zoo.training.checkpoint import dumps, loads
from zoo.training.losses import per_sample
from zoo.training.randomness import Draws, stream
from zoo.training.regularizers import with_outliers

CLASSES = 4
_DROP_PATH = "drop_path_rate"  # the one build argument that the network below takes


class _Net(nn.Module):
    """A convolution, a norm, a residual branch, a recurrent layer and a classifier, with every place that dropout may act."""

    classifier = "head"
    embedding_size = 8

    def __init__(self, drop_path_rate: float = 0.0) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.branch = nn.Conv2d(4, 4, 3, padding=1)
        self.drop_path = DropPath(drop_path_rate)
        self.sequence = nn.LSTM(4 * 8, 8, batch_first=True)
        self.recurrent_dropout = Dropout(0.0, "recurrent")
        self.head_dropout = Dropout(0.0, "head")
        self.head = nn.Linear(8, CLASSES)

    @property
    def stages(self) -> tuple[tuple[str, ...], ...]:
        """All parameter names, stem first, classifier last."""
        depths = (("stem", "norm"), ("branch",), ("sequence",), ("head",))
        names = [name for name, _ in self.named_parameters()]
        return tuple(tuple(n for n in names if n.partition(".")[0] in children) for children in depths)

    def forward(self, images: Tensor) -> Tensor:
        maps = torch.relu(self.norm(self.stem(images)))
        rows = (maps + self.drop_path(self.branch(maps))).permute(0, 2, 1, 3).flatten(2)
        states, _ = self.sequence(rows)
        return cast(Tensor, self.head(self.head_dropout(self.recurrent_dropout(states)[:, -1])))


class _Outliers:
    """Five images of no class."""

    def __len__(self) -> int:
        return 5

    def drawn(self, count: int, draws: Draws) -> Tensor:
        return draws.uniform("outliers", count * 64)[0].view(count, 1, 8, 8)


class _Bench:
    """A network with one regularizer bound to it, and a batch of eight images."""

    def __init__(self, component: Component[Any]) -> None:
        with stream(0, "init", 0):
            self.model = _Net(**_build_arguments(component))
            self.images = torch.rand(8, 1, 8, 8)
        self.labels = torch.arange(8) % CLASSES
        self.draws = Draws(0, 0, torch.arange(8))
        self.groups = [{"params": list(self.model.named_parameters()), "weight_decay": 0.0, "lr": 0.1}]
        built = component.build()
        assert isinstance(built, Regularizer), (
            f"the factory must return a zoo.Regularizer, got {type(built).__name__} instead"
        )
        self.regularizer = built
        self.regularizer.bind(
            Context(
                model=self.model,
                num_classes=CLASSES,
                class_counts=[20, 10, 5, 5],
                train_size=40,
                steps_per_epoch=5,
                total_steps=50,
                loss="cross-entropy",
                weight_decay="coupled",
                outliers=_Outliers(),
            )
        )
        self.changed = self.regularizer.apply_to_model(self.model)

    def losses(self) -> Tensor:
        """Return the loss per sample of a training forward with everything the regularizer does to it."""
        self.model.train()
        with stream(0, "forward", 0):
            images, targets = self.regularizer.on_batch(self.images, self.labels, self.draws)
            if (outliers := self.regularizer.outliers(len(self.images), self.draws)) is not None:
                images, targets = with_outliers(images, targets, outliers, CLASSES)
            logits = self.model(images)
        own = self.regularizer.loss(logits, targets)
        penalty = self.regularizer.penalty(self.model)
        return (per_sample(logits, targets) if own is None else own) + (0.0 if penalty is None else penalty)

    def gradients(self) -> list[Tensor]:
        """Return the gradients of a training step with everything the regularizer does to them."""
        self.model.zero_grad()
        self.losses().mean().backward()
        self.regularizer.before_step(self.model, 1, self.draws)
        return [p.grad for p in self.model.parameters() if p.grad is not None]

    def evaluated(self) -> Tensor:
        with torch.no_grad():
            return cast(Tensor, self.regularizer.evaluation_model(self.model).eval()(self.images))


def _plain() -> _Net:
    with stream(0, "init", 0):
        return _Net()


def _build_arguments(component: Component[Any]) -> dict[str, float]:
    spec = cast(RegularizerSpec, component.spec)
    return {_DROP_PATH: getattr(component.params, spec.strength)} if spec.build_argument == _DROP_PATH else {}


def _at(component: Component[Any], strength: float) -> Component[Any]:
    field = cast(RegularizerSpec, component.spec).strength
    kind = type(getattr(component.params, field))
    value = kind(strength) if kind in (int, float) else strength
    params = msgspec.structs.replace(component.params, **{field: value})
    return Component(component.spec, component.name, params, component.provenance)


def _active(component: Component[Any]) -> Component[Any]:
    field = cast(RegularizerSpec, component.spec).strength
    return component if getattr(component.params, field) else _at(component, 0.25)


def check_strength_zero_is_the_identity(component: Component[Any]) -> None:
    """With its strength at 0, loss, gradients, groups and weights are those without it."""
    bench, plain = _Bench(_at(component, 0)), _plain().train()
    with stream(0, "forward", 0):
        expected = per_sample(plain(bench.images), bench.labels)
    losses = bench.losses()
    assert torch.allclose(losses, expected, atol=1e-6), "the loss changes"
    losses.mean().backward()
    expected.mean().backward()
    gradients = {name: p.grad.clone() for name, p in bench.model.named_parameters() if p.grad is not None}
    bench.regularizer.before_step(bench.model, 0, bench.draws)
    for name, parameter in plain.named_parameters():
        assert name in gradients and parameter.grad is not None, f"the gradient of {name} is missing"
        assert torch.allclose(gradients[name], parameter.grad, atol=1e-6), f"the gradient of {name} changes"
        after = bench.model.get_parameter(name).grad
        assert after is not None and torch.equal(after, gradients[name]), f"before_step changes the gradient of {name}"
    groups = bench.regularizer.parameter_groups(bench.groups)
    assert all(
        group["weight_decay"] == 0 and group["lr"] == 0.1 and group.get("lr_scale", 1.0) == 1 for group in groups
    ), "the optimizer's groups change"
    before = {name: value.clone() for name, value in bench.model.state_dict().items()}
    bench.regularizer.after_step(bench.model, 0, groups)
    assert all(torch.equal(value, before[name]) for name, value in bench.model.state_dict().items()), (
        "after_step changes weights"
    )
    weights = bench.regularizer.sample_weights(bench.labels)
    assert weights is None or bool((weights == weights[0]).all()), "samples are drawn unevenly"


def check_keeps_every_parameter(component: Component[Any]) -> None:
    """`parameter_groups` gives back each (name, parameter) pair once."""
    bench = _Bench(_active(component))
    names = [name for group in bench.regularizer.parameter_groups(bench.groups) for name, _ in group["params"]]
    expected = [name for name, _ in bench.model.named_parameters()]
    assert sorted(names) == sorted(expected), f"groups miss or repeat {sorted(set(names) ^ set(expected))[:5]}"


def check_deterministic_under_draws(component: Component[Any]) -> None:
    """The same draws and streams give the same losses and gradients, and the global generator is left alone."""
    first, second = _Bench(_active(component)), _Bench(_active(component))
    before = torch.default_generator.get_state()
    assert torch.equal(first.losses(), second.losses()), "two passes with the same draws differ"
    assert all(map(torch.equal, first.gradients(), second.gradients())), "two steps with the same draws differ"
    assert torch.equal(torch.default_generator.get_state(), before), "it draws from torch's global generator"


def check_inert_in_evaluation(component: Component[Any]) -> None:
    """Before the first step, evaluation gives the logits of the network without it."""
    bench = _Bench(_active(component))
    with torch.no_grad():
        expected = _plain().eval()(bench.images)
    assert torch.allclose(bench.evaluated(), expected, atol=1e-6), "evaluation changes"
    assert torch.equal(bench.evaluated(), bench.evaluated()), "two evaluations differ"


def check_loss_is_per_sample(component: Component[Any]) -> None:
    """A loss of its own has one finite value per sample, for class indices and, unless it needs them, for soft targets."""
    bench = _Bench(_active(component))
    logits = torch.linspace(-3, 3, 8 * CLASSES).view(8, CLASSES)
    soft = torch.full((8, CLASSES), 1 / CLASSES)
    needs_labels = cast(RegularizerSpec, component.spec).needs_labels
    for targets in (bench.labels,) if needs_labels else (bench.labels, soft):
        loss = bench.regularizer.loss(logits, targets)
        assert loss is None or (tuple(loss.shape) == (8,) and bool(loss.isfinite().all())), (
            "loss must be finite and of shape (B,)"
        )


def check_module_changes_are_counted(component: Component[Any]) -> None:
    """`apply_to_model` returns how many modules it changed, or None, and keeps the names of parameters."""
    bench = _Bench(_active(component))
    handed = cast(RegularizerSpec, component.spec).build_argument in (None, _DROP_PATH)
    assert not handed or bench.changed is None or bench.changed > 0, (
        "it changed nothing in a network that has every place for it"
    )
    assert list(bench.model.state_dict()) == list(_plain().state_dict()), "names of parameters or buffers change"


def check_state_round_trip(component: Component[Any]) -> None:
    """Its state survives a checkpoint."""
    first, second = _Bench(_active(component)), _Bench(_active(component))
    first.losses().mean().backward()
    first.regularizer.before_step(first.model, 0, first.draws)
    first.regularizer.after_step(first.model, 0, first.groups)
    files = dumps(first.regularizer.state_dict())
    second.regularizer.load_state_dict(loads(files))
    assert dumps(second.regularizer.state_dict()) == files, "the state differs after it was loaded"


CHECKS = [
    check_strength_zero_is_the_identity,
    check_keeps_every_parameter,
    check_deterministic_under_draws,
    check_inert_in_evaluation,
    check_loss_is_per_sample,
    check_module_changes_are_counted,
    check_state_round_trip,
]
