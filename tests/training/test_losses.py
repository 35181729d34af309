from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.training.losses import SigmoidOutput, per_sample

Z = torch.tensor([-1000.0, -30.0, -2.0, 0.0, 0.5, 20.0, 1000.0])


def test_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]).log()
    assert per_sample(logits, torch.tensor([0, 1])).tolist() == pytest.approx([math.log(2), math.log(10)], abs=1e-6)
    mixed = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    assert per_sample(logits, mixed).tolist() == pytest.approx([1.5 * math.log(2), -math.log(0.8)], abs=1e-6)


def test_cross_entropy_is_torchs_sample_by_sample() -> None:
    logits = torch.randn(20, 6, generator=torch.Generator().manual_seed(0)) * 5
    labels = torch.arange(20) % 6
    expected = [
        float(functional.cross_entropy(row[None], label[None])) for row, label in zip(logits, labels, strict=True)
    ]
    assert per_sample(logits, labels).tolist() == pytest.approx(expected, abs=1e-6)


def test_low_precision_logits_lose_nothing_more() -> None:
    logits = torch.tensor([[8.0, -3.0, 1.0]]).bfloat16()
    loss = per_sample(logits, torch.tensor([1]))
    assert loss.dtype == torch.float32 and torch.equal(loss, per_sample(logits.float(), torch.tensor([1])))


@pytest.mark.parametrize("label", [0, 1])
def test_one_sigmoid_output_has_torchs_binary_cross_entropy(label: int) -> None:
    labels = torch.full((len(Z),), label)
    loss = per_sample(SigmoidOutput(nn.Identity())(Z[:, None]), labels)
    assert torch.allclose(
        loss, functional.binary_cross_entropy_with_logits(Z, labels.float(), reduction="none"), atol=1e-6
    )


def test_soft_targets_of_one_sigmoid_output_are_binary_too() -> None:
    share = torch.linspace(0, 1, len(Z))
    loss = per_sample(SigmoidOutput(nn.Identity())(Z[:, None]), torch.stack([1 - share, share], dim=1))
    expected = functional.binary_cross_entropy_with_logits(Z, share, reduction="none")
    assert torch.allclose(loss, expected, atol=1e-5, rtol=1e-5)


def test_the_widened_logits_have_the_sigmoid_as_their_softmax() -> None:
    logits = SigmoidOutput(nn.Identity())(Z[:, None])
    assert logits.shape == (len(Z), 2) and not logits[:, 0].any()
    assert torch.allclose(logits.softmax(1)[:, 1], torch.sigmoid(Z))


@pytest.mark.parametrize("label", [0, 1])
def test_the_gradient_reaches_the_one_output(label: int) -> None:
    def gradient(loss_of: object) -> Tensor:
        linear = nn.Linear(3, 1)
        with torch.no_grad():
            linear.weight.fill_(0.5)
            linear.bias.fill_(-0.25)
        images = torch.arange(6.0).view(2, 3) / 3
        if loss_of == "ours":
            loss = per_sample(SigmoidOutput(linear)(images), torch.full((2,), label))
        else:
            loss = functional.binary_cross_entropy_with_logits(
                linear(images)[:, 0], torch.full((2,), float(label)), reduction="none"
            )
        loss.sum().backward()
        assert linear.weight.grad is not None
        return linear.weight.grad

    assert torch.allclose(gradient("ours"), gradient("torch"), atol=1e-6)
