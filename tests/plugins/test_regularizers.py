from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.bases import Context, ParameterGroup, Regularizer
from zoo.components import Component, Provenance, WeightDecay
from zoo.errors import ComponentError
from zoo.modules import Dropout
from zoo.training.losses import SigmoidOutput
from zoo.training.randomness import stream
from zoo.training.regularizers import Regularizers
from zoo_architectures.plugin import zoo_architectures
from zoo_optimizers.plugin import zoo_optimizers
from zoo_regularizers.plugin import zoo_regularizers

SPECS = {spec.name: spec for spec in (*zoo_regularizers(), *zoo_architectures(), *zoo_optimizers())}


class Net(nn.Module):
    """One of each: convolution, norms, a recurrent layer, a free vector, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.batch = nn.BatchNorm2d(2)
        self.layer = nn.LayerNorm([2, 6, 6])
        self.rows = nn.LSTM(12, 3, batch_first=True)
        self.scale = nn.Parameter(torch.ones(3))
        self.head = nn.Linear(3, 4)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.layer(self.batch(self.conv(images)))
        states, _ = self.rows(maps.transpose(1, 2).flatten(2))
        logits: Tensor = self.head(states[:, -1] * self.scale)
        return logits


def component(name: str, **params: Any) -> Component[Any]:
    spec = SPECS[name]
    return Component(spec, name, spec.params(**params), Provenance("regularizers", "zoo-vision", "0"))


def context(model: nn.Module, weight_decay: WeightDecay = "coupled") -> Context:
    return Context(
        model=model,
        num_classes=4,
        class_counts=[5, 5, 5, 5],
        train_size=20,
        steps_per_epoch=2,
        total_steps=4,
        loss="cross-entropy",
        weight_decay=weight_decay,
    )


def attached(model: nn.Module, name: str, **params: Any) -> Regularizers:
    return Regularizers([component(name, **params)], context(model))


def build(name: str, **params: Any) -> Regularizer:
    built = component(name, **params).build()
    assert isinstance(built, Regularizer)
    return built


def network(name: str, size: int = 8, **params: Any) -> nn.Module:
    with stream(0, "init", 0):
        model = component(name, **params).build(num_outputs=4, in_channels=1, image_size=(size, size))
    assert isinstance(model, nn.Module)
    return model


def names(group: ParameterGroup) -> set[str]:
    return {name for name, _ in group["params"]}


def test_weight_decay_spares_biases_norms_and_other_vectors() -> None:
    groups = attached(Net(), "weight-decay", strength=0.01).parameter_groups()
    assert [group["weight_decay"] for group in groups] == [0.01, 0.0]
    assert names(groups[0]) == {"conv.weight", "rows.weight_ih_l0", "rows.weight_hh_l0", "head.weight"}
    assert names(groups[1]) == {
        "conv.bias", "batch.weight", "batch.bias", "layer.weight", "layer.bias", "rows.bias_ih_l0", "rows.bias_hh_l0",
        "scale", "head.bias",
    }  # fmt: skip


def test_weight_decay_keeps_what_other_settings_a_group_has() -> None:
    model = Net()
    regularizer = build("weight-decay", strength=0.01)
    regularizer.bind(context(model))
    groups = [
        {"params": [("conv.weight", model.conv.weight), ("conv.bias", model.conv.bias)], "lr": 0.5},
        {"params": [("head.bias", model.head.bias)], "lr": 0.1},
    ]
    split = regularizer.parameter_groups(groups)
    assert [(names(g), g["weight_decay"], g["lr"]) for g in split] == [
        ({"conv.weight"}, 0.01, 0.5),
        ({"conv.bias"}, 0.0, 0.5),
        ({"head.bias"}, 0.0, 0.1),
    ]
    assert "weight_decay" not in groups[0]


def test_weight_decay_says_how_much_it_splits() -> None:
    regularizers = attached(Net(), "weight-decay", strength=0.01)
    regularizers.parameter_groups()
    decayed = 18 + 144 + 36 + 12
    spared = 2 + 4 + 144 + 24 + 3 + 4
    assert regularizers.changes == [
        (
            "weight-decay",
            f"4 tensors ({decayed} values): weight_decay 0.01; 9 tensors ({spared} values): weight_decay 0",
        )
    ]


@pytest.mark.parametrize("optimizer", ["momentum", "sgd"])
def test_a_coupled_step_is_the_step_of_the_l2_penaltys_gradient(optimizer: str) -> None:
    with stream(0, "init", 0):
        ours = Net()
        images = torch.rand(4, 1, 8, 8)
    theirs = copy.deepcopy(ours)
    labels = torch.arange(4)
    groups = attached(ours, "weight-decay", strength=0.1).parameter_groups()
    decayed = [theirs.get_parameter(name) for name in names(groups[0])]
    steps = (
        (ours, component(optimizer, lr=0.5).build(groups)),
        (theirs, component(optimizer, lr=0.5).build([{"params": list(theirs.named_parameters())}])),
    )
    for _ in range(3):
        for model, stepper in steps:
            stepper.zero_grad()
            penalty = 0.05 * torch.stack([p.square().sum() for p in decayed]).sum() if model is theirs else 0.0
            (functional.cross_entropy(model(images), labels) + penalty).backward()
            stepper.step()
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6), name


@pytest.mark.parametrize(("optimizer", "form"), [("coupled", "decoupled"), ("decoupled", "l2")])
def test_a_form_that_the_optimizer_lacks_is_refused(optimizer: WeightDecay, form: str) -> None:
    other = "l2" if form == "decoupled" else "decoupled"
    with pytest.raises(ComponentError) as caught:
        Regularizers([component("weight-decay", form=form)], context(Net(), optimizer))
    assert str(caught.value) == (
        f"weight-decay asks for the form {form!r}, which this recipe's optimizer lacks\n"
        f"  possible: the optimizer has the form {other!r}\n"
        f"  try: regularizers.weight-decay.form={other}, or another optimizer"
    )
    for accepted in ("auto", other):
        Regularizers([component("weight-decay", form=accepted)], context(Net(), optimizer))


def test_weight_decay_of_nought_leaves_one_group() -> None:
    regularizers = attached(Net(), "weight-decay", strength=0.0)
    assert len(regularizers.parameter_groups()) == 1 and regularizers.changes == []


def places(model: nn.Module) -> dict[str, float]:
    return {name: m.p for name, m in model.named_modules() if isinstance(m, Dropout)}


def test_dropout_acts_in_the_places_it_names() -> None:
    model = network("row-lstm", layers=2, hidden=6)
    assert places(model) == {"stack.dropouts.0": 0.0, "stack.dropouts.1": 0.0}
    attached(model, "dropout", rate=0.3, where="recurrent")
    assert places(model) == {"stack.dropouts.0": 0.3, "stack.dropouts.1": 0.3}
    model = network("conv-net", filters=2, hidden=6)
    assert attached(model, "dropout", rate=0.4).changes == [("dropout", "changed 1 module")]
    assert places(model) == {"head.dropout": 0.4}


def test_dropout_everywhere_adds_the_head_to_the_recurrent_places() -> None:
    model = network("row-lstm", layers=2, hidden=6)
    keys = list(model.state_dict())
    assert attached(model, "dropout", rate=0.3, where="all").changes == [("dropout", "changed 3 modules")]
    assert places(model) == {"stack.dropouts.0": 0.3, "stack.dropouts.1": 0.3, "head.dropout": 0.3}
    assert list(model.state_dict()) == keys


def test_dropout_has_another_rate_between_hidden_layers_where_one_is_given() -> None:
    model = network("keras-cnn", hidden=6)
    assert attached(model, "dropout", rate=0.5, body=0.25).changes == [("dropout", "changed 2 modules")]
    assert places(model) == {"pool_dropout": 0.25, "head.dropout": 0.5}
    model = network("keras-cnn", hidden=6)
    attached(model, "dropout", rate=0.5, where="all")
    assert places(model) == {"pool_dropout": 0.5, "head.dropout": 0.5}
    model = network("keras-cnn", hidden=6)
    attached(model, "dropout", rate=0.0, body=0.25)
    assert set(places(model).values()) == {0.0}


def test_a_rate_of_the_body_wants_a_place_in_it() -> None:
    with pytest.raises(ComponentError) as caught:
        attached(network("conv-net", filters=2, hidden=6), "dropout", body=0.25)
    assert str(caught.value) == (
        "dropout.body is 0.25, and ConvNet can drop nothing between hidden layers\n"
        "  possible: an architecture with a place for it, such as keras-cnn\n"
        "  try: regularizers.dropout.body=null"
    )


def test_dropout_where_nothing_can_drop_is_refused_with_the_way_out() -> None:
    with pytest.raises(ComponentError) as caught:
        attached(network("conv-net"), "dropout", where="recurrent")
    assert str(caught.value) == (
        "regularizer 'dropout' changed nothing in ConvNet\n"
        "  possible: another place for it, or leave it out\n"
        "  try: regularizers.dropout=null   (leaves it out)"
    )
    with pytest.raises(ComponentError, match="changed nothing in Net"):
        attached(Net(), "dropout")  # its head is no declared classifier


def test_dropout_goes_before_a_classifier_that_has_none() -> None:
    model = network("resnet18", size=16)
    keys, images = list(model.state_dict()), torch.rand(3, 1, 16, 16)
    expected = model.eval()(images)
    attached(model, "dropout", rate=0.5)
    assert places(model) == {"network.fc.dropout": 0.5}
    assert list(model.state_dict()) == keys
    assert torch.equal(model.eval()(images), expected)
    classifier = model.get_submodule("network.fc").train()
    assert isinstance(classifier, nn.Linear)
    features = torch.ones(2, 512)
    with stream(7, "forward", 0):
        mask = functional.dropout(features, 0.5)
    with stream(7, "forward", 0):
        got = classifier(features)
    assert torch.equal(got, functional.linear(mask, classifier.weight, classifier.bias))


def test_a_copy_of_the_model_keeps_an_attached_dropout_of_its_own() -> None:
    model = network("resnet18", size=16)
    attached(model, "dropout", rate=0.5)
    twin = copy.deepcopy(model)
    for m in twin.modules():
        if isinstance(m, Dropout):
            m.p = 0.9
    assert places(model) == {"network.fc.dropout": 0.5}
    features = torch.ones(1, 512)
    counts = []
    for owner in (model, twin):
        head = owner.get_submodule("network.fc")
        dropped: list[Tensor] = []
        handle = head.register_forward_pre_hook(lambda module, args, into=dropped: into.append(args[0]))
        with stream(0, "forward", 0):
            head.train()(features)
        handle.remove()
        counts.append(int((dropped[0] == 0).sum()))
    assert 200 < counts[0] < 312 and counts[1] > 430


def test_dropout_zeroes_at_its_rate_and_keeps_the_mean() -> None:
    module = Dropout(0.3, "head").train()
    values = torch.ones(200_000)
    with stream(0, "forward", 0):
        dropped = module(values)
    with stream(0, "forward", 0):
        again = module(values)
    assert torch.equal(dropped, again)
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.7])
    # Standard deviation of the mean: sqrt(0.3 / 0.7 / 200,000) = 0.0015.
    assert float(dropped.mean()) == pytest.approx(1, abs=0.006)
    assert float((dropped == 0).double().mean()) == pytest.approx(0.3, abs=0.004)


def test_dropout_is_inert_in_evaluation_and_at_rate_nought() -> None:
    values = torch.rand(100)
    assert torch.equal(Dropout(0.9).eval()(values), values)
    before = torch.default_generator.get_state()
    assert Dropout(0.0).train()(values) is values
    assert torch.equal(torch.default_generator.get_state(), before)


def test_dropout_changes_training_only() -> None:
    model, images = network("row-lstm", hidden=16), torch.rand(5, 1, 8, 8)
    expected = model.eval()(images)
    attached(model, "dropout", rate=0.5, where="recurrent")
    assert torch.equal(model.eval()(images), expected)
    with stream(0, "forward", 0):
        assert not torch.allclose(model.train()(images), expected)


def smoothed(logits: Tensor, targets: Tensor, strength: float) -> Tensor:
    loss = build("label-smoothing", strength=strength).loss(logits, targets)
    assert loss is not None
    return loss


def test_label_smoothing_by_hand() -> None:
    """Probabilities ½, ¼, ¼; at strength 0.3 the target 0 becomes the distribution 0.8, 0.1, 0.1."""
    logits = torch.tensor([[0.5, 0.25, 0.25]]).log()
    expected = 0.8 * math.log(2) + 0.2 * math.log(4)
    assert smoothed(logits, torch.tensor([0]), 0.3).tolist() == pytest.approx([expected], abs=1e-6)


@pytest.mark.parametrize("strength", [0.05, 0.5, 0.99])
def test_label_smoothing_is_cross_entropy_to_the_mixed_targets(strength: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(50, 7, generator=generator) * 4
    labels = torch.randint(0, 7, (50,), generator=generator)
    soft = torch.rand(50, 7, generator=generator)
    soft /= soft.sum(1, keepdim=True)
    for targets, distribution in ((labels, functional.one_hot(labels, 7).float()), (soft, soft)):
        mixed = (1 - strength) * distribution + strength / 7
        expected = -(mixed * logits.log_softmax(1)).sum(1)
        got = smoothed(logits, targets, strength)
        assert got.shape == (50,) and torch.allclose(got, expected, atol=1e-5)


def test_label_smoothing_of_one_sigmoid_output_is_the_binary_form() -> None:
    """Targets 0 and 1 become s/2 and 1 - s/2 of torch's binary cross-entropy."""
    strength, labels = 0.2, torch.tensor([0, 1, 1, 0])
    logits = SigmoidOutput(nn.Identity())(torch.tensor([[-3.0], [0.5], [40.0], [2.0]]))
    expected = functional.binary_cross_entropy_with_logits(
        logits[:, 1], labels * (1 - strength) + strength / 2, reduction="none"
    )
    assert torch.allclose(smoothed(logits, labels, strength), expected, atol=1e-6)


def test_label_smoothing_computes_in_single_precision() -> None:
    logits = torch.tensor([[3.0, -2.0, 0.5]]).bfloat16()
    got = smoothed(logits, torch.tensor([1]), 0.1)
    assert got.dtype == torch.float32 and torch.equal(got, smoothed(logits.float(), torch.tensor([1]), 0.1))


def test_label_smoothing_of_nought_leaves_the_loss_to_the_recipe() -> None:
    assert build("label-smoothing", strength=0.0).loss(torch.zeros(1, 2), torch.tensor([0])) is None
