"""Images of no known class, and by what they are told."""

from __future__ import annotations

import math

import pytest
import torch

from zoo.training.outliers import energy


def test_energy_is_minus_the_logarithm_of_the_sum_of_exponentials() -> None:
    logits = torch.tensor([[0.0, 0.0], [1.0, 3.0], [1000.0, 0.0], [-1000.0, -1000.0]])
    expected = [-math.log(2), -math.log(math.e + math.e**3), -1000.0, 1000.0 - math.log(2)]
    assert energy(logits).tolist() == pytest.approx(expected)
    assert energy(logits.half()[:2]).dtype == torch.float32


def test_energy_tells_large_logits_from_small_ones_where_their_softmax_is_the_same() -> None:
    known, unknown = torch.tensor([[9.0, 4.0]]), torch.tensor([[5.0, 0.0]])
    assert torch.equal(known.softmax(1), unknown.softmax(1))
    assert float(energy(known)) < float(energy(unknown))
    assert energy(known.log_softmax(1)).tolist() == pytest.approx([0.0], abs=1e-6)
