from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from zoo.bases import Context, ParameterGroup, Regularizer
from zoo.components import Component, Params, Provenance, RegularizerSpec
from zoo.errors import ComponentError
from zoo.training.checkpoint import dumps, loads
from zoo.training.losses import per_sample
from zoo.training.randomness import Draws
from zoo.training.regularizers import Regularizers


class Of(Params, frozen=True, kw_only=True):
    """A number."""

    number: float = 1.0


class Affine(Regularizer):
    """Images `x ← 2x + number`: two of them tell their order. Adds `number` times the mean weight as a penalty."""

    def __init__(self, params: Of) -> None:
        self.number = params.number
        self.heard: list[str] = []

    def bind(self, context: Context) -> None:
        self.heard.append(f"bind {context.num_classes}")

    def on_batch(self, images: Tensor, targets: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        return 2 * images + self.number, targets

    def penalty(self, model: nn.Module) -> Tensor | None:
        return self.number * torch.stack([p.mean() for p in model.parameters()]).sum()

    def before_step(self, model: nn.Module, step: int, draws: Draws) -> None:
        for p in model.parameters():
            p.grad = p.grad * 2 + self.number  # type: ignore[operator]  # a test sets every gradient

    def after_step(self, model: nn.Module, step: int, groups: Sequence[Mapping[str, Any]]) -> None:
        self.heard.append(f"step {step} at {groups[0]['lr']}")

    def evaluation_model(self, model: nn.Module) -> nn.Module:
        return nn.Sequential(model)

    def finalize(self, model: nn.Module, batches: Iterable[Tensor]) -> None:
        self.heard.append(f"finalize {sum(len(batch) for batch in batches)}")

    def state_dict(self) -> dict[str, Any]:
        return {"number": self.number}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.number = state["number"]


class Weighing(Regularizer):
    """Draws samples by label."""

    def sample_weights(self, labels: Tensor) -> Tensor | None:
        return 1.0 + labels.float()


class Losing(Regularizer):
    """Forgets, repeats or regroups parameters."""

    def __init__(self, what: str) -> None:
        self._what = what

    def parameter_groups(self, groups: list[ParameterGroup]) -> list[ParameterGroup]:
        pairs = groups[0]["params"]
        if self._what == "loses":
            return [{**groups[0], "params": pairs[1:]}]
        if self._what == "repeats":
            return [{**groups[0], "params": [*pairs, pairs[0]]}]
        return [
            {**groups[0], "params": pairs[:1], "lr": 0.5},
            {**groups[0], "params": []},
            {**groups[0], "params": pairs[1:]},
        ]


class Flat(Regularizer):
    """A loss of a constant."""

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor | None:
        return torch.full((len(logits),), 5.0)


class Changing(Regularizer):
    """Claims so many changed modules."""

    def __init__(self, count: int | None) -> None:
        self._count = count

    def apply_to_model(self, model: nn.Module) -> int | None:
        return self._count


def affine(params: Of) -> Regularizer:
    return Affine(params)


def weighing(params: Of) -> Regularizer:
    return Weighing()


def flat(params: Of) -> Regularizer:
    return Flat()


def loses(params: Of) -> Regularizer:
    return Losing("loses")


def repeats(params: Of) -> Regularizer:
    return Losing("repeats")


def regroups(params: Of) -> Regularizer:
    return Losing("regroups")


def changing(params: Of) -> Regularizer:
    return Changing(None if params.number < 0 else int(params.number))


def nothing(params: Of) -> None:
    return None


def component(factory: str, name: str = "", number: float = 1.0) -> Component[Any]:
    spec = RegularizerSpec(
        name=factory, factory=f"{__name__}:{factory}", summary="a test's", params=Of, strength="number"
    )
    return Component(spec, name or factory, Of(number=number), Provenance("acme", "acme-zoo", "1"))


def regularizers(*components: Component[Any], model: nn.Module | None = None) -> Regularizers:
    context = Context(
        model=model or nn.Linear(2, 3),
        num_classes=3,
        class_counts=[4, 3, 3],
        train_size=10,
        steps_per_epoch=2,
        total_steps=6,
        loss="cross-entropy",
        weight_decay="coupled",
    )
    return Regularizers(components, context)


DRAWS = Draws(0, 0, torch.arange(2))


def test_without_any_everything_is_as_it_was() -> None:
    none, model, images = regularizers(), nn.Linear(2, 3), torch.rand(2, 2)
    labels = torch.tensor([2, 0])
    assert none.on_batch(images, labels, DRAWS) == (images, labels)
    assert torch.equal(none.loss(model(images), labels), per_sample(model(images), labels))
    assert none.penalty(model) is None and none.sample_weights(labels) is None
    assert none.evaluation_model(model) is model
    assert none.state_dict() == {} and none.changes == []


def test_they_are_called_in_the_order_of_the_recipe() -> None:
    one, three = component("affine", "one", 1.0), component("affine", "three", 3.0)
    images = torch.tensor([[1.0]])
    for order, expected in (((one, three), 2 * (2 * 1 + 1) + 3), ((three, one), 2 * (2 * 1 + 3) + 1)):
        both = regularizers(*order)
        assert both.on_batch(images, torch.tensor([0]), DRAWS)[0].tolist() == [[expected]]
        model = nn.Linear(1, 1)
        for p in model.parameters():
            p.grad = torch.ones_like(p)
        both.before_step(model, 0, DRAWS)
        assert [float(p.grad) for p in model.parameters()] == [expected, expected]  # type: ignore[arg-type]


def test_penalties_are_summed() -> None:
    model = nn.Linear(2, 3)
    with torch.no_grad():
        model.weight.fill_(2.0)
        model.bias.fill_(0.5)
    both = regularizers(
        component("affine", "one", 1.0), component("flat"), component("affine", "three", 3.0), model=model
    )
    penalty = both.penalty(model)
    assert penalty is not None and penalty.shape == () and float(penalty.detach()) == (1 + 3) * 2.5
    penalty.backward()
    assert model.weight.grad is not None and torch.allclose(model.weight.grad, torch.full((3, 2), (1 + 3) / 6))


def test_a_regularizers_own_loss_comes_first() -> None:
    logits, labels = torch.zeros(2, 3), torch.tensor([0, 1])
    assert regularizers(component("affine"), component("flat")).loss(logits, labels).tolist() == [5, 5]
    assert regularizers(component("affine")).loss(logits, labels).tolist() == pytest.approx([1.0986123] * 2)


def test_one_of_them_may_choose_how_samples_are_drawn() -> None:
    labels = torch.tensor([0, 2, 1])
    weights = regularizers(component("affine"), component("weighing")).sample_weights(labels)
    assert weights is not None and weights.tolist() == [1, 3, 2]
    two = regularizers(component("weighing", "first"), component("affine"), component("weighing", "second"))
    with pytest.raises(ComponentError, match="'first' and 'second' both choose how samples are drawn; keep one"):
        two.sample_weights(labels)


@pytest.mark.parametrize("factory", ["loses", "repeats"])
def test_lost_or_repeated_parameters_are_refused(factory: str) -> None:
    with pytest.raises(
        ComponentError, match=f"regularizer '{factory}' lost or repeated parameters while grouping them"
    ):
        regularizers(component(factory)).parameter_groups()


def test_groups_hold_what_trains_and_empty_ones_go() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    model[0].weight.requires_grad_(False)
    chosen = regularizers(component("regroups"), model=model)
    groups = chosen.parameter_groups()
    assert [[name for name, _ in group["params"]] for group in groups] == [["0.bias"], ["1.weight", "1.bias"]]
    assert [group.get("lr") for group in groups] == [0.5, None]
    assert all(group["weight_decay"] == 0 for group in groups)
    assert chosen.changes == [
        ("regroups", "1 tensors (3 values): weight_decay 0, lr 0.5; 2 tensors (4 values): weight_decay 0")
    ]


def test_a_change_of_modules_is_counted_and_none_is_refused() -> None:
    changed = regularizers(
        component("changing", number=1), component("changing", "more", 3), component("changing", "no", -1)
    )
    assert changed.changes == [("changing", "changed 1 module"), ("more", "changed 3 modules")]
    with pytest.raises(ComponentError, match="regularizer 'changing' changed nothing in Linear"):
        regularizers(component("changing", number=0))


def test_a_factory_that_builds_something_else_is_refused() -> None:
    with pytest.raises(ComponentError, match=r"must build a zoo\.Regularizer, got NoneType instead"):
        regularizers(component("nothing"))


def test_they_hear_of_the_experiment_the_step_and_the_end() -> None:
    both = regularizers(component("affine", "one"), component("affine", "two"))
    model = nn.Linear(2, 3)
    both.after_step(model, 4, [{"lr": 0.25}])
    both.finalize(model, lambda: iter([torch.zeros(3, 2), torch.zeros(2, 2)]))
    for _, regularizer in both._named:
        assert regularizer.heard[:2] == ["bind 3", "step 4 at 0.25"]  # type: ignore[attr-defined]
        assert regularizer.heard[2] == "finalize 5"  # type: ignore[attr-defined]
    evaluated = both.evaluation_model(model)
    assert isinstance(evaluated, nn.Sequential) and isinstance(evaluated[0], nn.Sequential) and evaluated[0][0] is model


def test_state_is_kept_by_name_through_a_checkpoint() -> None:
    first = regularizers(component("affine", "one", 0.5), component("flat"), component("affine", "two", 0.75))
    assert first.state_dict() == {"one": {"number": 0.5}, "flat": {}, "two": {"number": 0.75}}
    second = regularizers(component("affine", "two"), component("flat"), component("affine", "one"))
    second.load_state_dict(loads(dumps(first.state_dict())))
    assert second.state_dict() == {"two": {"number": 0.75}, "flat": {}, "one": {"number": 0.5}}
