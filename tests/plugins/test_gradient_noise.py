from __future__ import annotations

import math

import pytest
import torch
from fixtures.regularizers import bound
from scipy import stats
from torch import Tensor, nn

from zoo.training.randomness import Draws


def noise(step: int, *, samples: Tensor | None = None, seed: int = 0, **params: float) -> list[Tensor]:
    """Return what a step adds to gradients of 2, parameter by parameter."""
    model = nn.Sequential(nn.Linear(100, 100), nn.Linear(100, 100))
    for p in model.parameters():
        p.grad = torch.full_like(p, 2.0)
    draws = Draws(seed, 0, torch.arange(4) if samples is None else samples)
    bound("gradient-noise", model, **params).before_step(model, step, draws)
    return [p.grad - 2 for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("step", [0, 9, 1000])
def test_the_noise_is_normal_with_the_annealed_variance(step: int) -> None:
    eta, gamma = 0.5, 0.55
    weights = noise(step, eta=eta, gamma=gamma)[0].flatten()
    deviation = math.sqrt(eta / (1 + step) ** gamma)
    assert stats.kstest(weights.double().numpy() / deviation, "norm").pvalue > 0.001
    # Standard deviation of the estimate over 10,000 values: 0.7 %.
    assert float(weights.std()) == pytest.approx(deviation, rel=0.03)


def test_steps_parameters_and_seeds_have_noise_of_their_own() -> None:
    first, other = noise(3), noise(4)
    tensors = [first[0], first[2], other[0], noise(3, seed=1)[0]]
    for i, a in enumerate(tensors):
        for b in tensors[:i]:
            # Standard deviation of a correlation of 10,000 independent pairs: 0.01.
            assert abs(float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])) < 0.05


def test_every_process_of_a_group_adds_the_same() -> None:
    left, right = noise(5, samples=torch.tensor([7, 1])), noise(5, samples=torch.tensor([3, 8, 2]))
    assert all(map(torch.equal, left, right))


def test_a_parameter_without_gradient_gets_none() -> None:
    model = nn.Linear(2, 2)
    model.weight.grad = torch.zeros(2, 2)
    bound("gradient-noise", model).before_step(model, 0, Draws(0, 0, torch.arange(2)))
    assert bool(model.weight.grad.all()) and model.bias.grad is None


def test_noise_of_nought_changes_nothing() -> None:
    assert not any(bool(added.any()) for added in noise(0, eta=0.0))
