from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from fixtures.architectures import build, images, shaken
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from zoo.active import dropout_masks
from zoo.active.dropout_masks import Masks
from zoo.active.dropout_passes import passes, require, sources
from zoo.errors import ComponentError
from zoo.modules import Dropout, DropPath, attach_dropout
from zoo.recipe import Freeze
from zoo.training.freezing import Frozen
from zoo.training.losses import SigmoidOutput
from zoo.training.randomness import stream, uniform
from zoo_regularizers import schemas
from zoo_regularizers.dropout import DropoutRate

ALPHA = 1.7580993408473766


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with stream(0, "init", 0):
        return make()


def mask(seed: int, name: str, index: int, *shape: int, p: float = 0.5) -> Tensor:
    """Return which units of a row of this shape are kept."""
    return uniform(seed, f"mc/{name}", index, torch.arange(math.prod(shape)))[:, 0].view(shape) >= p


def recomputed(model: nn.Module, batch: Tensor, *, seed: int, count: int) -> Tensor:
    """Return what `passes` should, everything being computed in every pass."""
    model.eval()
    answers = []
    for index in range(count):

        def drop(module: Any, args: tuple[Tensor], output: Tensor, index: int = index) -> Tensor:
            name = next(name for name, other in model.named_modules() if other is module)
            kept = mask(seed, name, index, *output.shape[1:], p=module.p)
            return torch.where(kept, output * (1 / (1 - module.p)), 0.0)

        handles = [model.get_submodule(name).register_forward_hook(drop) for name in sources(model)]
        with torch.no_grad():
            answers.append(model(batch).float().log_softmax(1))
        for handle in handles:
            handle.remove()
    return torch.stack(answers, 1)


def condition(model: nn.Module) -> list[Any]:
    """Return all of a model that passes could leave behind."""
    marks = [
        (
            name,
            m.training,
            m.__dict__.get("forward"),
            list(m._forward_hooks),
            list(m._forward_pre_hooks),
            m.__dict__.keys(),
        )
        for name, m in model.named_modules()
    ]
    tensors = [(name, value.numpy().tobytes()) for name, value in model.state_dict().items()]
    return [marks, tensors, [p.requires_grad for p in model.parameters()]]


class Counted(nn.Module):
    """A layer that counts its calls."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.calls = layer, 0

    def forward(self, *args: Any) -> Any:
        self.calls += 1
        return self.layer(*args)


class Spy(nn.Module):
    """Keeps what its dropout gives."""

    def __init__(self, dropout: nn.Module) -> None:
        super().__init__()
        self.dropout = dropout
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(self.dropout(x))
        return x.flatten(1)[:, :2]


class Residual(nn.Module):
    """One ReLU used before and after the first dropout, which stands in a residual branch."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.relu = Counted(nn.Linear(6, 8)), nn.ReLU()
        self.inner, self.drop = Counted(nn.Linear(8, 8)), nn.Dropout(0.4)
        self.norm, self.head = nn.BatchNorm1d(8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.stem(x))
        x = x + self.drop(self.relu(self.inner(self.norm(x))))
        logits: Tensor = self.head(self.relu(x))
        return logits


class Nested(nn.Module):
    """The same ReLU in a layer of a list, beside it, in a module that is computed again, and behind the dropout of a block."""

    def __init__(self) -> None:
        super().__init__()
        relu = nn.ReLU()
        self.trunk = nn.ModuleList([Counted(nn.Sequential(nn.Linear(6, 8), relu, nn.Linear(8, 8)))])
        self.again = nn.Sequential(nn.Unflatten(1, (2, 4)), relu, Wrapping())
        self.relu = relu
        self.block = nn.ModuleList([nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), relu), nn.Dropout(0.3)])
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.again(self.trunk[0](x)).values.flatten(1)
        x = self.relu(x - 0.1)
        for layer in self.block:
            x = layer(x)
        logits: Tensor = self.head(x)
        return logits


class Shift(nn.Module):
    """Moves its input and returns something else."""

    def forward(self, x: Tensor) -> Tensor:
        return x.add_(1).mean(1, keepdim=True)


class InPlace(nn.Module):
    """Activations changed in place: by modules, by sums before and after dropout, by a function."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (Counted(nn.Linear(6, 6)) for _ in range(3))
        self.shift = Shift()
        self.relu, self.drop, self.flatten = nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Flatten()
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        self.relu(a)
        b = self.b(a) * self.shift(a)
        view = self.flatten(b)
        view += a
        c = self.c(b)
        torch.tanh_(c)
        c += self.drop(b)
        logits: Tensor = self.head(c + b)
        return logits


class Answer:
    """An output of no usual kind."""

    def __init__(self, values: Tensor) -> None:
        self.values = values


class Wrapping(nn.Module):
    def forward(self, x: Tensor) -> Answer:
        return Answer(x.tanh())


class Outputs(nn.Module):
    """Modules that return tuples, dicts and an object."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.wrap = Counted(nn.LSTM(3, 8, batch_first=True)), Wrapping()
        self.drop, self.head = nn.Dropout(0.5), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        outputs, (state, _) = self.lstm(x.view(-1, 2, 3))
        logits: Tensor = self.head(self.drop(self.wrap(outputs[:, -1] + state[0]).values))
        return logits


def attached() -> nn.Module:
    """Return a network with dropout before its classifier, put there when it was finished."""
    model = nn.Sequential(Counted(nn.Linear(6, 8)), nn.Tanh(), nn.Linear(8, 3))
    attach_dropout(model[2], "head").p = 0.5
    return model


NETS: list[Callable[[], nn.Module]] = [Residual, Nested, InPlace, Outputs, attached]


@pytest.mark.parametrize("make", NETS)
@pytest.mark.parametrize("inference", [False, True])
def test_what_comes_before_the_first_dropout_is_computed_once_and_answers_are_those_of_computing_it_again(
    make: Callable[[], nn.Module], inference: bool
) -> None:
    model, batch = seeded(make), images(4, 6)
    with torch.inference_mode(inference):
        found = passes(model, batch + 0, masks=Masks(3), passes=6)
    assert {m.calls for m in model.modules() if isinstance(m, Counted)} == {1}
    assert found.shape == (4, 6, 3) and found.dtype == torch.float32
    assert torch.equal(found, recomputed(model, batch, seed=3, count=6))
    assert len({tuple(answer.flatten().tolist()) for answer in found.unbind(1)}) >= 4
    assert torch.allclose(found.exp().sum(2), torch.ones(4, 6))


def test_computing_it_again_is_seen_by_the_count_above() -> None:
    model = seeded(Residual)
    recomputed(model, images(4, 6), seed=3, count=6)
    assert model.stem.calls == 6  # type: ignore[union-attr]


REAL: list[tuple[str, tuple[int, int, int], str, dict[str, Any]]] = [
    ("conv-net", (1, 8, 8), "head", {"filters": 4, "hidden": 16}),
    ("keras-cnn", (1, 12, 12), "all", {"width": 0.125}),
    ("row-lstm", (1, 8, 8), "recurrent", {"hidden": 8, "layers": 2}),
    ("rcnn", (1, 8, 8), "recurrent", {"filters": 8, "layers": 3}),
    ("mixer-swap", (3, 8, 8), "all", {"mixer": "bilstm2d", "width": 8, "depth": 2, "hidden": 4}),
    ("mixer-swap", (3, 8, 8), "all", {"mixer": "conv3", "width": 8, "depth": 2}),
    ("joint-ensemble", (1, 8, 8), "all", {"members": "[conv-net, {name: row-lstm, hidden: 8}]"}),
    ("ensemble", (1, 8, 8), "all", {"members": "[keras-cnn, {name: row-lstm, hidden: 8}]"}),
    ("resnet20", (1, 8, 8), "head", {"width": 4}),
    ("sequencer2d", (3, 8, 8), "all", {"size": "nano", "width": 0.125}),
    ("timm", (3, 32, 32), "head", {"model": "resnet18"}),
]


@pytest.mark.parametrize(
    ("name", "shape", "where", "params"), REAL, ids=[f"{name}-{where}" for name, _, where, _ in REAL]
)
def test_our_architectures_answer_as_if_everything_were_computed_again(
    name: str, shape: tuple[int, int, int], where: Any, params: dict[str, Any]
) -> None:
    model, batch = shaken(build(name, shape, 5, **params)), images(3, *shape)
    DropoutRate(schemas.Dropout(rate=0.3, where=where)).apply_to_model(model)
    require(model, name)
    before = condition(model)
    found = passes(model, batch, masks=Masks(1), passes=3)
    assert condition(model) == before
    assert torch.equal(found, recomputed(model, batch, seed=1, count=3))
    assert not torch.equal(found[:, 0], found[:, 1])


def test_a_pass_of_a_conv_net_is_its_head_on_a_masked_embedding() -> None:
    model, batch = build("conv-net", (1, 8, 8), 5, filters=4, hidden=16), images(3, 1, 8, 8)
    DropoutRate(schemas.Dropout(rate=0.25)).apply_to_model(model)
    assert sources(model) == ["head.dropout"]
    with torch.no_grad():
        embedding = model.forward_head(model.forward_features(batch), pre_logits=True)
        for index, answer in enumerate(passes(model, batch, masks=Masks(7), passes=4).unbind(1)):
            kept = mask(7, "head.dropout", index, 16, p=0.25)
            weight, bias = model.head.parameters()
            expected = (embedding * kept / 0.75) @ weight.T + bias
            assert torch.allclose(answer, expected.log_softmax(1), atol=1e-6)


@pytest.mark.parametrize(("name", "params"), [("conv-net", {"hidden": 16}), ("timm", {"model": "resnet18"})])
def test_a_further_pass_costs_as_much_as_the_head(name: str, params: dict[str, Any]) -> None:
    model, batch = build(name, (3, 32, 32), 5, **params), images(2, 3, 32, 32)
    DropoutRate(schemas.Dropout(rate=0.25)).apply_to_model(model)
    operations = []
    for count in (1, 4):
        with FlopCounterMode(display=False) as counter:
            passes(model, batch, masks=Masks(0), passes=count)
        operations.append(counter.get_total_flops())
    head = model.get_submodule(model.classifier)
    assert operations[1] - operations[0] == 3 * 2 * 2 * head.in_features * head.out_features
    assert operations[0] > 100 * head.in_features * head.out_features


def test_the_mean_of_many_passes_of_a_linear_network_is_its_answer_without_dropout() -> None:
    model, batch = seeded(lambda: nn.Sequential(nn.Dropout(0.25), nn.Linear(5, 2))), images(3, 5)
    found = passes(model, batch, masks=Masks(0), passes=3000).double()
    odds = found[..., 0] - found[..., 1]  # linear in what is kept
    with torch.no_grad():
        weight, bias = (part[0] - part[1] for part in model[1].parameters())  # type: ignore[index, union-attr]
    variance = ((weight * batch) ** 2).sum(1).double() * 0.25 / 0.75
    assert bool(((odds.mean(1) - (batch @ weight + bias)).abs() < 4 * (variance / 3000).sqrt()).all())
    assert torch.allclose(odds.var(1), variance, rtol=0.15)


def test_masks_are_those_of_the_seed_and_other_ones_in_each_pass() -> None:
    model, batch = seeded(Residual), images(4, 6)
    found = passes(model, batch, masks=Masks(0), passes=5)
    assert torch.equal(passes(model, batch, masks=Masks(0), passes=5), found)
    assert torch.equal(passes(model, batch, masks=Masks(0), passes=2), found[:, :2])
    assert not torch.equal(passes(model, batch, masks=Masks(1), passes=5), found)


def test_a_mask_is_drawn_once_for_all_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch, masks = seeded(Residual), images(4, 6), Masks(0)
    first = passes(model, batch, masks=masks, passes=3)
    monkeypatch.setattr(dropout_masks, "uniform", None)
    assert torch.equal(passes(model, batch, masks=masks, passes=3), first)
    assert torch.allclose(passes(model, batch[:3], masks=masks, passes=3), first[:3], atol=1e-6)


@pytest.mark.parametrize("name", ["row-lstm", "mixer-swap", "keras-cnn"])
def test_a_row_does_not_depend_on_the_rows_beside_it(name: str) -> None:
    model, batch = build(name, (1, 8, 8), 5), images(12, 1, 8, 8)
    DropoutRate(schemas.Dropout(rate=0.4, where="all")).apply_to_model(model)
    whole = passes(model, batch, masks=Masks(0), passes=3)
    turned = torch.arange(12).roll(5)
    assert torch.equal(passes(model, batch[turned], masks=Masks(0), passes=3), whole[turned])
    other = torch.cat([batch[:3], 9 * images(9, 1, 8, 8)])
    assert torch.equal(passes(model, other, masks=Masks(0), passes=3)[:3], whole[:3])
    for size in (1, 5):
        masks = Masks(0)  # kept from batch to batch
        parts = [passes(model, part, masks=masks, passes=3) for part in batch.split(size)]
        assert torch.allclose(torch.cat(parts), whole, atol=1e-5)


class Skipping(nn.Module):
    """Batch norm, stochastic depth and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.skip, self.drop = nn.BatchNorm1d(6), DropPath(0.5), nn.Dropout(0.5)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.drop(x + self.skip(self.norm(x))))
        return logits


def test_batch_norm_and_stochastic_depth_stay_in_evaluation() -> None:
    model, batch = seeded(Skipping).train(), 5 + images(8, 6)
    before = condition(model)
    assert sources(model) == ["drop"]
    found = passes(model, batch, masks=Masks(0), passes=20)
    assert condition(model) == before
    assert torch.equal(found, recomputed(model, batch, seed=0, count=20))
    for part in (model.norm, model.skip):  # either one in training would give other answers
        model.register_forward_pre_hook(lambda _, args, part=part: part.train() and None)  # type: ignore[misc]
        assert not torch.allclose(passes(model, batch, masks=Masks(0), passes=20), found, atol=1e-3)
        model._forward_pre_hooks.clear()


def test_nothing_is_drawn_from_the_global_generator() -> None:
    model, batch = seeded(Residual), images(4, 6)
    state = torch.get_rng_state()
    found = passes(model, batch, masks=Masks(0), passes=3)
    assert torch.equal(torch.get_rng_state(), state)
    with stream(9, "elsewhere", 0):
        assert torch.equal(passes(model, batch, masks=Masks(0), passes=3), found)


class Stopped(Exception):
    pass


@pytest.mark.parametrize("at", [0, 1, 3])
def test_the_model_is_left_as_it_was_by_passes_and_by_errors_in_them(at: int) -> None:
    model, batch = seeded(Residual).train(), images(4, 6)
    model.norm.eval()  # type: ignore[union-attr]
    own = model.stem.layer.forward  # type: ignore[union-attr]
    model.stem.layer.forward = own  # type: ignore[union-attr]
    before, calls = condition(model), []

    def forward(rows: Tensor) -> Tensor:
        answer: Tensor = model(rows)
        calls.append(answer)
        if len(calls) > at:
            raise Stopped
        return answer

    with pytest.raises(Stopped):
        passes(model, batch, masks=Masks(0), passes=5, forward=forward)
    assert len(calls) == at + 1 and condition(model) == before
    found = passes(model, batch, masks=Masks(0), passes=5)
    assert condition(model) == before
    assert torch.equal(found, recomputed(model, batch, seed=0, count=5))


def test_an_error_inside_of_the_model_leaves_it_as_it_was() -> None:
    model = seeded(Residual)
    before = condition(model)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        passes(model, images(4, 7), masks=Masks(0), passes=2)
    assert condition(model) == before


def test_logits_may_come_from_what_is_around_the_model() -> None:
    model, batch = seeded(lambda: nn.Sequential(nn.Linear(6, 4), nn.Dropout(0.5), nn.Linear(4, 1))), images(3, 6)
    found = passes(model, batch, masks=Masks(0), passes=4, forward=SigmoidOutput(model))
    with torch.no_grad():
        z = model[2](torch.where(mask(0, "1", 2, 4), model[0](batch) * 2, 0.0))  # type: ignore[index]
    assert torch.allclose(found[:, 2], torch.cat([functional.logsigmoid(-z), functional.logsigmoid(z)], 1), atol=1e-6)
    twice = passes(model, batch, masks=Masks(0), passes=4, forward=lambda x: torch.cat([model(x), model(-x)], 1))
    again = passes(model, -batch, masks=Masks(0), passes=4, forward=lambda x: torch.cat([model(-x), model(x)], 1))
    assert torch.equal(twice, again)


def test_low_precision_gives_log_probabilities_in_single_precision() -> None:
    model, batch = seeded(Residual), images(4, 6)
    with torch.autocast("cpu", torch.bfloat16):
        found = passes(model, batch, masks=Masks(0), passes=3)
    assert found.dtype == torch.float32
    assert torch.allclose(found, passes(model, batch, masks=Masks(0), passes=3), atol=0.05)


def test_a_module_called_twice_has_one_mask_in_a_pass() -> None:
    dropout = Dropout(0.5)
    dropout.p = 0.5
    model = Spy(dropout)
    passes(model, torch.ones(3, 40), masks=Masks(0), passes=2, forward=lambda x: model(x) + model(2 * x))
    first, second, third, _ = model.seen
    assert torch.equal(second, 2 * first) and not torch.equal(third, first)
    assert torch.equal(first, (2.0 * mask(0, "dropout", 0, 40)).expand(3, 40))


@pytest.mark.parametrize("dropout", [nn.Dropout(0.5), nn.Dropout2d(0.5), nn.AlphaDropout(0.5)])
def test_what_is_dropped_does_not_depend_on_the_memory_format_and_keeps_it(dropout: nn.Module) -> None:
    seen: list[Tensor] = []
    model = nn.Sequential(dropout, nn.Flatten(), seeded(lambda: nn.Linear(4 * 6 * 5, 3)))
    model[1].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    maps = torch.arange(2.0 * 4 * 6 * 5).view(2, 4, 6, 5)
    masks = Masks(0)
    one = passes(model, maps, masks=masks, passes=3)
    two = passes(model, maps.contiguous(memory_format=torch.channels_last), masks=masks, passes=3)
    assert torch.equal(one, two)
    assert all(map(torch.equal, seen[:3], seen[3:]))
    assert [x.is_contiguous(memory_format=torch.channels_last) for x in seen] == [False] * 3 + [True] * 3


@pytest.mark.parametrize(
    ("dropout", "shape"),
    [
        (nn.Dropout1d(0.5), (8, 5)),
        (nn.Dropout2d(0.5), (8, 5, 2)),
        (nn.Dropout3d(0.5), (8, 2, 2, 2)),
    ],
)
def test_channels_are_dropped_whole(dropout: nn.Module, shape: tuple[int, ...]) -> None:
    model = Spy(dropout)
    passes(model, torch.ones(3, *shape), masks=Masks(0), passes=1)
    kept = mask(0, "dropout", 0, 8)
    assert 0 < int(kept.sum()) < 8
    assert torch.equal(model.seen[0].flatten(2), (2.0 * kept)[None, :, None].expand(3, 8, math.prod(shape[1:])))


@pytest.mark.parametrize(
    ("dropout", "kept_shape"), [(nn.AlphaDropout(0.3), (8, 500)), (nn.FeatureAlphaDropout(0.3), (8, 1))]
)
def test_alpha_dropout_moves_units_where_torch_moves_them(dropout: nn.Module, kept_shape: tuple[int, ...]) -> None:
    model = Spy(dropout)
    passes(model, torch.full((3, 8, 500), 0.7), masks=Masks(0), passes=1)
    with stream(0, "alpha", 0):
        torchs = functional.alpha_dropout(torch.full((1000,), 0.7), 0.3, training=True).unique()
    kept = mask(0, "dropout", 0, *kept_shape, p=0.3).expand(3, 8, 500)
    assert torch.allclose(model.seen[0][kept], torchs.max()) and torch.allclose(model.seen[0][~kept], torchs.min())
    scale = (0.7 * (1 + 0.3 * ALPHA**2)) ** -0.5
    assert float(torchs.max()) == pytest.approx(scale * (0.7 + 0.3 * ALPHA), abs=1e-6)


def test_at_rate_1_nothing_is_left() -> None:
    for dropout in (nn.Dropout(1.0), nn.AlphaDropout(1.0)):
        model = Spy(dropout)
        passes(model, torch.ones(3, 40), masks=Masks(0), passes=1)
        assert torch.equal(model.seen[0], torch.zeros(3, 40))


def test_fused_encoder_layers_drop_as_well() -> None:
    model = seeded(
        lambda: nn.Sequential(
            nn.TransformerEncoderLayer(8, 2, 16, 0.5, batch_first=True), nn.Flatten(), nn.Linear(40, 3)
        )
    )
    assert sources(model) == ["0.dropout", "0.dropout1", "0.dropout2"]
    found = passes(model, images(4, 5, 8), masks=Masks(0), passes=3)
    assert torch.allclose(found, recomputed(model, images(4, 5, 8), seed=0, count=3), atol=1e-6)
    assert not torch.allclose(found[:, 0], found[:, 1], atol=1e-3)


def test_sources_are_what_drops_in_training() -> None:
    model = nn.ModuleDict(
        {
            "off": nn.Dropout(0.0),
            "on": nn.Dropout(0.1),
            "maps": nn.Dropout2d(0.1),
            "own_off": Dropout(),
            "own": Dropout(0.2, place="recurrent"),
            "path": DropPath(0.5),
            "lstm": nn.LSTM(3, 3, num_layers=2, dropout=0.5),
            "attention": nn.MultiheadAttention(4, 2, dropout=0.5),
        }
    )
    model["shared"] = model["on"]
    assert sources(model) == ["on", "maps", "own"]
    assert sources(model.eval()) == ["on", "maps", "own"]


def test_frozen_dropout_is_none() -> None:
    model = build("row-lstm", (1, 8, 8), 5, hidden=8)
    DropoutRate(schemas.Dropout(rate=0.3, where="recurrent")).apply_to_model(model)
    assert sources(model) == ["stack.dropouts.0"]
    Frozen(model, Freeze(stages="backbone"), "row-lstm")
    assert sources(model) == []


def functional_dropout() -> nn.Module:
    import timm

    model: nn.Module = timm.create_model("resnet10t", num_classes=3, drop_rate=0.5)
    return model


@pytest.mark.parametrize(
    "make",
    [
        lambda: build("conv-net", (1, 8, 8), 5),
        lambda: nn.LSTM(3, 3, num_layers=2, dropout=0.5),
        lambda: nn.Sequential(DropPath(0.5)),
        functional_dropout,
    ],
)
def test_a_model_in_which_no_module_drops_is_refused_with_what_to_type(make: Callable[[], nn.Module]) -> None:
    with pytest.raises(ComponentError) as caught:
        require(make(), "conv-net")
    assert caught.value.problem == (
        "passes with dropout are asked for, and no module of conv-net drops at a rate above 0"
    )
    assert caught.value.possible.startswith("a dropout regularizer")
    assert caught.value.hint == "regularizers.dropout.rate=0.25"


def test_passes_in_which_nothing_drops_are_refused() -> None:
    model = nn.Sequential(nn.Linear(6, 3))
    model.unused = nn.Dropout(0.5)
    for forward in (lambda x: model[0](x), model[0]):
        with pytest.raises(ComponentError, match="no dropout of the model is called when it answers"):
            passes(model, images(2, 6), masks=Masks(0), passes=3, forward=forward)
    with pytest.raises(ComponentError, match="passes must be at least 1, got 0 instead"):
        passes(seeded(Residual), images(2, 6), masks=Masks(0), passes=0)


def test_dropout_where_the_first_dimension_does_not_count_rows_is_refused() -> None:
    model = Spy(nn.Dropout(0.5))
    with pytest.raises(ComponentError, match=r"dropout 'dropout' must act on .* the batch of 3, got \(5, 3\) instead"):
        passes(model, images(3, 5), masks=Masks(0), passes=1, forward=lambda x: model(x.T).T)
