from __future__ import annotations

from typing import Any

import pytest
import torch
from fixtures import architectures
from fixtures.optimizers import build
from torch import Tensor, nn
from torch.optim import AdamW

from zoo_optimizers.muon import hidden_matrices


def orthogonalised(matrix: Tensor, iterations: int) -> Tensor:
    """Return the quintic Newton-Schulz iteration of Jordan et al. by its definition, in double precision."""
    x = matrix.double() / matrix.double().norm()
    for _ in range(iterations):
        squared = x @ x.T
        x = 3.4445 * x + (-4.7750 * squared + 2.0315 * squared @ squared) @ x
    return x


def slope(p: Tensor) -> Tensor:
    """Return a gradient of full rank."""
    return torch.arange(1, p.numel() + 1).float().square().mul(0.37).cos().view_as(p)


def layers() -> nn.Sequential:
    torch_model = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 5), nn.Linear(5, 4))
    with torch.no_grad():
        for i, p in enumerate(torch_model.parameters()):
            p.copy_(torch.linspace(-1, 1, p.numel()).add(i / 10).sin().view_as(p))
    return torch_model


def stepped(model: nn.Sequential, gradients: int = 1, weight_decay: float = 0.0, **params: Any) -> dict[str, Tensor]:
    """Return how far each parameter went along repeated gradients."""
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    groups = [{"params": list(model.named_parameters()), "weight_decay": weight_decay}]
    optimizer = build("muon", groups, lr=0.1, **params)
    for _ in range(gradients):
        for p in model.parameters():
            p.grad = slope(p)
        optimizer.step()
    return {name: p.detach() - before[name] for name, p in model.named_parameters()}


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("iterations", [1, 5])
def test_a_hidden_matrix_goes_along_its_orthogonalised_momentum(nesterov: bool, iterations: int) -> None:
    """One step is 0.2 √(larger side) times the rate along the polynomial of the gradient, whose scale does not matter.

    timm computes the polynomial in bfloat16, which has three digits.
    """
    model = layers()
    moved = stepped(model, nesterov=nesterov, iterations=iterations)["1.weight"]
    gradient = model[1].weight.grad
    assert isinstance(gradient, Tensor)
    expected = -0.1 * 0.2 * 8**0.5 * orthogonalised(gradient, iterations)
    assert torch.allclose(moved.double(), expected, atol=0.04 * float(expected.norm()))


def test_five_iterations_bring_every_singular_value_near_one() -> None:
    values = torch.linalg.svdvals(stepped(layers())["1.weight"] / (0.1 * 0.2 * 8**0.5))
    assert float(values.min()) > 0.6 and float(values.max()) < 1.3


def test_all_other_parameters_go_as_with_adamw() -> None:
    ours, theirs = layers(), layers()
    moved = stepped(ours, 3, weight_decay=0.1)
    reference = AdamW(theirs.parameters(), lr=0.1, betas=(0.9, 0.95), eps=1e-7, weight_decay=0.1)
    before = {name: p.detach().clone() for name, p in theirs.named_parameters()}
    for _ in range(3):
        for p in theirs.parameters():
            p.grad = slope(p)
        reference.step()
    for name, p in theirs.named_parameters():
        assert torch.allclose(moved[name], p.detach() - before[name], atol=1e-6) == (name != "1.weight"), name


def test_kernels_are_flattened() -> None:
    kernel = nn.Parameter(torch.zeros(8, 4, 3, 3))
    first, last = nn.Parameter(torch.zeros(8, 3, 3, 3)), nn.Parameter(torch.zeros(10, 8))
    optimizer = build("muon", [{"params": [("a.weight", first), ("b.weight", kernel), ("c.weight", last)]}], lr=0.1)
    for p in (first, kernel, last):
        p.grad = slope(p)
    optimizer.step()
    assert isinstance(kernel.grad, Tensor)
    expected = -0.1 * 0.2 * 36**0.5 * orthogonalised(kernel.grad.flatten(1), 5)
    assert torch.allclose(kernel.detach().flatten(1).double(), expected, atol=0.04 * float(expected.norm()))


def test_hidden_matrices_of_known_networks() -> None:
    """In convolutional nets neither the first convolution nor the classifier; in a transformer nothing of the embedding."""
    small = architectures.build("conv-net", (1, 28, 28))
    assert hidden_matrices(small.named_parameters()) == {name for name, p in small.named_parameters() if p.ndim > 1} - {
        next(n for n, p in small.named_parameters() if p.ndim > 1),
        f"{small.classifier}.weight",
    }
    residual = architectures.build("resnet18", (3, 64, 64))
    hidden = hidden_matrices(residual.named_parameters())
    assert f"{residual.classifier}.weight" not in hidden and len(hidden) == 19  # of 20 convolutions
    mobile = architectures.on_meta("mobilenetv2", (3, 224, 224))
    assert not any("conv_dw" in name for name in hidden_matrices(mobile.named_parameters()))
    vit = architectures.on_meta("vit-tiny", (3, 224, 224))
    kept = hidden_matrices(vit.named_parameters())
    assert len(kept) == 4 * 12 and all("blocks." in name for name in kept)


def test_the_rest_of_a_group_keeps_its_rate_and_decay() -> None:
    pairs = list(layers().named_parameters())
    groups = [{"params": pairs[:3], "lr": 0.3, "weight_decay": 0.1}, {"params": pairs[3:], "weight_decay": 0.0}]
    optimizer = build("muon", groups, lr=0.1)
    assert [(g["param_names"], g["lr"], g["weight_decay"]) for g in optimizer.param_groups] == [
        (["1.weight"], 0.3, 0.1),
        (["0.weight", "0.bias"], 0.3, 0.1),
        (["1.bias", "2.weight", "2.bias"], 0.1, 0.0),
    ]
