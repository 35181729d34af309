from __future__ import annotations

import math

import pytest
import torch
from fixtures.regularizers import bound
from torch import Tensor, nn
from torchvision.ops import sigmoid_focal_loss

from zoo.training.losses import SigmoidOutput, per_sample


def focal(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    loss = bound("focal", gamma=gamma).loss(logits, labels)
    assert loss is not None
    return loss


def test_focal_loss_by_hand() -> None:
    """Probabilities ½, ¼, ¼ of the label are weighted by ½ and ¾ to the power of gamma."""
    logits = torch.tensor([[0.5, 0.25, 0.25]] * 2).log()
    got = focal(logits, torch.tensor([0, 1]), 2.0)
    assert got.tolist() == pytest.approx([0.25 * math.log(2), 0.5625 * math.log(4)], abs=1e-6)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_of_one_sigmoid_output_it_is_torchvisions(gamma: float) -> None:
    z = torch.tensor([-12.0, -2.0, 0.0, 0.5, 3.0, 12.0])
    for label in (0, 1):
        expected = sigmoid_focal_loss(z, torch.full_like(z, label), alpha=-1, gamma=gamma)
        got = focal(SigmoidOutput(nn.Identity())(z[:, None]), torch.full((len(z),), label), gamma)
        assert torch.allclose(got, expected, rtol=1e-4, atol=1e-7)


def test_a_small_gamma_comes_near_to_cross_entropy() -> None:
    logits = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20) % 5
    assert torch.allclose(focal(logits, labels, 1e-6), per_sample(logits, labels), atol=1e-4)
    assert bound("focal", gamma=0.0).loss(logits, labels) is None


@pytest.mark.parametrize("gamma", [0.1, 0.5, 1.0, 2.0])
def test_certain_and_hopeless_samples_have_finite_gradients(gamma: float) -> None:
    logits = torch.tensor([[200.0, 0.0], [0.0, 200.0], [17.0, 0.0]], requires_grad=True)
    loss = focal(logits, torch.tensor([0, 0, 0]), gamma)
    loss.sum().backward()
    assert logits.grad is not None and bool(logits.grad.isfinite().all())
    assert float(loss[0].detach()) == 0 and float(loss[1].detach()) == pytest.approx(200)
    assert logits.grad[0].tolist() == [0, 0] and logits.grad[1].tolist() == pytest.approx([-1, 1])
