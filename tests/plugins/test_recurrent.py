from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fixtures.architectures import build, embeds, facts, images, on_meta, shaken, weights
from torch import Tensor, nn
from torch.nn import functional

from zoo.errors import ComponentError, RecipeError
from zoo.evaluation.cost import count_macs
from zoo.facts import ArchitectureFacts
from zoo.modules import Dropout
from zoo.training.randomness import stream
from zoo_architectures import cells


def sigmoid(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return 1 / (1 + np.exp(-x))


def recurrence(lstm: nn.LSTM, sequence: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the outputs `(B, T, hidden)` of the LSTM's equations, written out; gates are input, forget, cell, output."""
    w, u, b, c = (p.detach().double().numpy() for p in lstm.parameters())
    state = cell = np.zeros((len(sequence), lstm.hidden_size))
    outputs = []
    for step in range(sequence.shape[1]):
        i, f, g, o = np.split(sequence[:, step] @ w.T + state @ u.T + b + c, 4, axis=1)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        state = sigmoid(o) * np.tanh(cell)
        outputs.append(state)
    return np.stack(outputs, axis=1)


@pytest.mark.parametrize("layers", [1, 2])
def test_row_lstm_is_the_lstm_recurrence_over_the_rows(layers: int) -> None:
    model, batch = build("row-lstm", (2, 5, 3), 4, hidden=6, layers=layers), images(3, 2, 5, 3)
    rows = np.stack([batch[:, :, row].reshape(3, 6).double().numpy() for row in range(5)], axis=1)
    for lstm in model.stack.layers:
        rows = recurrence(lstm, rows)
    assert np.allclose(model.forward_features(batch).detach().numpy(), rows, atol=1e-6)
    weight, bias = (p.detach().double().numpy() for p in model.head.parameters())
    assert np.allclose(model(batch).detach().numpy(), rows[:, -1] @ weight.T + bias, atol=1e-6)


@pytest.mark.parametrize("bias", [1.0, 0.0, -2.5])
def test_the_forget_bias_is_the_sum_of_both_vectors(bias: float) -> None:
    model = build("row-lstm", (1, 8, 8), hidden=16, layers=2, forget_bias=bias)
    for lstm in model.stack.layers:
        total = (lstm.bias_ih_l0 + lstm.bias_hh_l0).detach().view(4, 16)
        assert total[1].tolist() == [bias] * 16
        assert all(0 < float(total[gate].abs().mean()) < 0.5 for gate in (0, 2, 3))


def test_row_lstm_stacks_layers_and_drops_after_each() -> None:
    model = build("row-lstm", (1, 28, 28), hidden=128, layers=3)
    assert [(lstm.input_size, lstm.hidden_size, lstm.num_layers) for lstm in model.stack.layers] == [
        (28, 128, 1), (128, 128, 1), (128, 128, 1)
    ]  # fmt: skip
    assert weights(model) == 4 * 128 * (28 + 128 + 2) + 2 * 4 * 128 * (128 + 128 + 2) + 1290
    places = [m for m in model.modules() if isinstance(m, nn.Dropout)]
    assert [type(m) for m in places] == [Dropout] * 3 and {m.place for m in places} == {"recurrent"}
    assert [len(stage) for stage in model.stages] == [4, 4, 4, 2] and embeds(model, images(2, 1, 28, 28))


def test_row_lstm_drops_the_vector_that_the_classifier_reads() -> None:
    model, batch = build("row-lstm", (1, 8, 8), hidden=200), images(1, 1, 8, 8)
    whole = model.forward_features(batch)
    model.stack.dropouts[0].p = 0.5
    with stream(0, "forward", 0):
        dropped = model.train().forward_features(batch)
    kept = dropped != 0
    assert 60 < int(kept[0, -1].sum()) < 140
    assert torch.allclose(dropped[kept], 2 * whole[kept])


def test_row_bilstm_classifies_both_final_states() -> None:
    """The backward direction ends at the first row: its state there has read all rows."""
    model, batch = build("row-bilstm", (1, 6, 4), 3, hidden=5), images(2, 1, 6, 4)
    (lstm,) = model.stack.layers
    _, (final, _) = lstm(batch[:, 0])
    embedding = model.forward_head(model.forward_features(batch), pre_logits=True)
    assert torch.allclose(embedding, torch.cat([final[0], final[1]], 1), atol=1e-6)
    assert embeds(model, batch) and model.embedding_size == 10
    assert weights(build("row-bilstm", (1, 28, 28))) == 2 * 4 * 128 * (28 + 128 + 2) + 10 * 257


def test_row_bilstm_hears_of_every_row_in_both_directions() -> None:
    model, batch = build("row-bilstm", (1, 9, 4), 3, hidden=5, layers=2), images(1, 1, 9, 4).requires_grad_()
    embedding = model.forward_head(model.forward_features(batch), pre_logits=True)
    for half in (embedding[:, :5], embedding[:, 5:]):
        (gradient,) = torch.autograd.grad(half.sum(), batch, retain_graph=True)
        assert bool((gradient[0, 0].abs().sum(1) > 0).all())


@pytest.mark.parametrize(("name", "directions"), [("row-lstm", 1), ("row-bilstm", 2)])
def test_the_gru_keeps_its_state_by_its_update_gate(name: str, directions: int) -> None:
    model = build(name, (1, 8, 8), hidden=6, cell="gru", forget_bias=2.5)
    (gru,) = model.stack.layers
    assert isinstance(gru, nn.GRU)
    for suffix in ("", "_reverse")[:directions]:
        total = (getattr(gru, f"bias_ih_l0{suffix}") + getattr(gru, f"bias_hh_l0{suffix}")).detach().view(3, 6)
        assert total[1].tolist() == [2.5] * 6 and float(total[[0, 2]].abs().max()) < 1
    with torch.no_grad():  # a gate that keeps everything keeps the first state, which is nought
        gru.bias_ih_l0[6:12] = 100.0
    assert float(model.forward_features(images(2, 1, 8, 8))[..., :6].detach().abs().max()) < 1e-5


def test_pixel_lstm_reads_pixels_in_scan_line_order() -> None:
    model, batch = build("pixel-lstm", (2, 3, 4), 5, hidden=6), images(2, 2, 3, 4)
    pixels = torch.stack([batch[:, :, row, column] for row in range(3) for column in range(4)], 1)
    (lstm,) = model.stack.layers
    assert torch.allclose(model.forward_features(batch), lstm(pixels)[0], atol=1e-6)
    assert lstm.input_size == 2 and embeds(model, batch)


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_irnn_begins_as_an_accumulator(scale: float) -> None:
    """With recurrent weights s · I and no bias, the state is the sum of rectified inputs, each weighted by s per later step."""
    model, batch = build("irnn", (1, 2, 3), 4, hidden=5, scale=scale), images(2, 1, 2, 3)
    (rnn,) = model.stack.layers
    state = torch.zeros(2, 5)
    for pixel in batch.flatten(2).unbind(2):
        state = (pixel @ rnn.weight_ih_l0.T + scale * state).relu()
    assert torch.allclose(model.forward_features(batch)[:, -1], state, atol=1e-6)
    assert torch.equal(rnn.weight_hh_l0, scale * torch.eye(5)) and not rnn.bias_ih_l0.any()
    assert 0 < float(rnn.weight_ih_l0.detach().std()) < 0.003


def one_by_one(layer: cells.MinGRULayer, sequence: Tensor) -> Tensor:
    """Return the outputs of the recurrence, step by step in float64."""
    layer, sequence = layer.double(), sequence.double()
    state, outputs = torch.zeros(len(sequence), layer.gate.out_features, dtype=torch.float64), []
    for x in sequence.unbind(1):
        z, c = torch.sigmoid(layer.gate(x)), layer.candidate(x)
        state = (1 - z) * state + z * torch.where(c >= 0, c + 0.5, torch.sigmoid(c))
        outputs.append(state)
    return torch.stack(outputs, 1)


@pytest.mark.parametrize("steps", [1, 7, 784])
def test_the_scan_of_mingru_is_its_recurrence(steps: int) -> None:
    with stream(0, "init", 0):
        layer = cells.MinGRULayer(3, 5, forget_bias=1.0)
    sequence = 3 * images(2, steps, 3)
    scanned = layer(sequence)
    assert torch.allclose(scanned.double(), one_by_one(layer, sequence), rtol=1e-5, atol=1e-5)


def test_the_scan_of_mingru_stays_finite_where_its_gates_are_shut_or_open() -> None:
    layer = cells.MinGRULayer(1, 4, forget_bias=0.0)
    sequence = torch.tensor([-1e3, 1e3, -1e3, 1e3, 0.0]).view(1, 5, 1).requires_grad_()
    outputs = layer(sequence)
    outputs.sum().backward()
    assert bool(outputs.isfinite().all()) and bool(sequence.grad.isfinite().all())  # type: ignore[union-attr]


def test_mingru_reads_backwards_too() -> None:
    model, batch = build("mingru", (1, 5, 3), 4, hidden=6, layers=1, bidirectional=True), images(2, 1, 5, 3)
    (both,) = model.stack.layers
    rows = batch[:, 0]
    embedding = model.forward_head(model.forward_features(batch), pre_logits=True)
    assert torch.allclose(embedding[:, :6], both.forwards(rows)[:, -1])
    assert torch.allclose(embedding[:, 6:], both.backwards(rows.flip(1))[:, -1])
    assert build("mingru", (1, 5, 3), forget_bias=2.0).stack.layers[0].gate.bias.tolist() == [-2.0] * 128


def test_one_layer_of_renet_sweeps_columns_and_then_rows() -> None:
    model, batch = build("renet", (2, 4, 6), 3, size="xs", layers=1), images(2, 2, 4, 6)
    sweeps = model.sweeps[0]
    patches = functional.unfold(batch, 2, stride=2).view(2, 8, 2, 3)  # (B, 4 C, h, w), channel by channel
    (vertical,), (horizontal,) = sweeps.vertical.layers, sweeps.horizontal.layers
    columns = torch.stack([vertical(patches[:, :, :, i].transpose(1, 2))[0] for i in range(3)], 2)  # (B, h, w, 2 d)
    rows = torch.stack([horizontal(columns[:, i])[0] for i in range(2)], 1)
    assert torch.allclose(model.forward_features(batch).permute(0, 2, 3, 1), rows, atol=1e-6)


def test_every_place_of_renets_maps_hears_of_the_whole_image() -> None:
    model, batch = build("renet", (1, 12, 12), 3, size="xs", layers=1), images(1, 1, 12, 12).requires_grad_()
    (gradient,) = torch.autograd.grad(model.forward_features(batch)[0, :, 2, 2].sum(), batch)
    assert bool((gradient != 0).all())


def test_renet_takes_odd_sizes_and_has_the_papers_widths() -> None:
    assert embeds(shaken(build("renet", (1, 13, 9), 3, size="xs")), images(2, 1, 13, 9))
    paper = on_meta("renet", (1, 28, 28), size="paper", layers=2)
    assert [m.hidden_size for m in paper.modules() if isinstance(m, nn.GRU)] == [256] * 4
    assert [tuple(m.weight.shape) for m in paper.dense] == [(4096, 2 * 256 * 49), (4096, 4096)]
    assert len(build("renet", (1, 28, 28), layers=3).sweeps) == 3


def test_the_units_of_renet_and_sequencer_have_multipliers() -> None:
    model = on_meta("renet", (1, 28, 28), width=0.52, dense=1.5)
    assert {m.hidden_size for m in model.modules() if isinstance(m, nn.GRU)} == {17}  # 32 · 0.52 = 16.64
    assert [tuple(m.weight.shape) for m in model.dense] == [(200, 34 * 49)]  # 256 · 0.52 · 1.5 = 199.68
    nano = on_meta("sequencer2d", (1, 28, 28), width=0.6, expansion=2.0)
    assert sorted({m.hidden_size for m in nano.modules() if isinstance(m, nn.LSTM)}) == [10, 19]
    assert {m.fc1.out_features for m in nano.modules() if hasattr(m, "fc1")} == {2 * 38, 2 * 77}


def test_the_papers_sizes_of_sequencer_take_no_multiplier() -> None:
    with pytest.raises(RecipeError, match="width and expansion are settings of size nano, and s has its paper's"):
        build("sequencer2d", (1, 28, 28), size="s", width=2.0)


def test_sequencer_s_is_timms_and_its_lstms_remember() -> None:
    model = on_meta("sequencer2d", (3, 224, 224), 1000, size="s")
    assert round(weights(model) / 1e6, 2) == 27.65  # the paper's table 1: 28 million
    small = build("sequencer2d", (1, 16, 16), 4, forget_bias=1.5)
    for lstm in (m for m in small.modules() if isinstance(m, nn.LSTM)):
        for suffix in ("", "_reverse"):
            total = (getattr(lstm, f"bias_ih_l0{suffix}") + getattr(lstm, f"bias_hh_l0{suffix}")).detach()
            assert total[lstm.hidden_size : 2 * lstm.hidden_size].tolist() == [1.5] * lstm.hidden_size
    assert embeds(shaken(small), images(2, 1, 16, 16))
    assert {m.place for m in small.modules() if isinstance(m, Dropout)} == {"recurrent"}


def test_sequencers_sizes_have_their_own_facts() -> None:
    assert facts("sequencer2d") == ArchitectureFacts(family="rnn", embeddings=True, min_size=4, preferred_size=32)
    assert facts("sequencer2d", size="s") == ArchitectureFacts(
        family="rnn", embeddings=True, min_size=14, preferred_size=224
    )
    with pytest.raises(ComponentError, match="patches of 7×7 px, which do not fill 32×32 px"):
        build("sequencer2d", (3, 32, 32), size="s")


@pytest.mark.slow  # on the meta device an LSTM is counted step by step
@pytest.mark.parametrize(("size", "gmacs"), [("s", 8.334), ("m", 11.052), ("l", 16.488)])
def test_macs_of_sequencers_are_the_measured_ones(size: str, gmacs: float) -> None:
    shape = (3, 224, 224)
    counted = count_macs(lambda: on_meta("sequencer2d", shape, 1000, size=size), shape)
    assert counted == pytest.approx(gmacs * 1e9, rel=0.005)


def test_macs_of_an_lstm_are_those_counted_by_hand() -> None:
    assert count_macs(lambda: nn.Sequential(Rows(), cells.gated("lstm", 28, 128)), (1, 28, 28)) == 2_236_416


class Rows(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0]


@pytest.mark.parametrize("name", ["row-lstm", "row-bilstm", "pixel-lstm", "irnn", "mingru", "renet", "sequencer2d"])
def test_recurrent_dropout_acts_in_training_only(name: str) -> None:
    model, batch = build(name, (1, 16, 16)), images(4, 1, 16, 16)
    places = [m for m in model.modules() if isinstance(m, Dropout) and m.place == "recurrent"]
    plain = model.forward_features(batch)
    for place in places:
        place.p = 0.5
    assert places and torch.equal(model.eval().forward_features(batch), plain)
    with stream(0, "forward", 0):
        dropped = model.train().forward_features(batch)
    assert not torch.allclose(dropped, plain, atol=1e-4)
