"""Muon for hidden matrices and kernels, AdamW for the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from timm.optim.muon import Muon as TimmMuon
from torch import Tensor
from torch.optim import Optimizer

from zoo.bases import ParameterGroup
from zoo_optimizers.specs.compound import Muon

_SMALLEST_SIDE = 4  # of a matrix that is worth orthogonalising; below, AdamW's own scaling does as well


def build(params: Muon, parameter_groups: list[ParameterGroup]) -> Optimizer:
    """Return Muon (Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024) with AdamW.

    Steps are scaled to the size of AdamW's, so that one rate serves both: Liu et al., "Muon is scalable for LLM training"
    (2025). `hidden_matrices` says what each parameter gets, by its name, shape and place.
    """
    hidden = hidden_matrices(in_order(parameter_groups))
    return TimmMuon(
        [part for group in parameter_groups for part in _split(group, hidden, params.nesterov)],
        lr=params.lr,
        momentum=params.momentum,
        nesterov=params.nesterov,
        ns_steps=params.iterations,
        ns_coefficients="original",
        adjust_lr_fn="match_rms_adamw",
        betas=(params.beta1, params.beta2),
        weight_decay=0.0,
    )


def in_order(groups: Sequence[ParameterGroup]) -> list[tuple[str, Tensor]]:
    """Return all `(name, parameter)` pairs in the order of the model, where the groups say it, else as they are listed."""
    pairs = [pair for group in groups for pair in group["params"]]
    positions = [position for group in groups for position in group.get("positions", ())]
    return [pairs[i] for i in sorted(range(len(pairs)), key=positions.__getitem__)] if positions else pairs


def hidden_matrices(pairs: Iterable[tuple[str, Tensor]]) -> frozenset[str]:
    """Return the names of the parameters that are orthogonalised.

    Of the parameters whose own name has `weight` in it (not positions, tokens, tables of biases), they are the matrices, and
    the kernels flattened to (out, the rest), with both sides at least 4: neither the first, which reads the images, nor the
    last matrix, which is the classifier, nor depthwise kernels. The order is the model's; the
    stacked gates of a recurrent layer count as one matrix.
    """
    found = [(name, p) for name, p in pairs if p.ndim >= 2 and "weight" in name.rpartition(".")[2]]
    last = next((name for name, p in reversed(found) if p.ndim == 2), None)
    return frozenset(name for name, p in found[1:] if name != last and _is_wide(p))


def _is_wide(weight: Tensor) -> bool:
    return weight.shape[1] > 1 and min(len(weight), weight[0].numel()) >= _SMALLEST_SIDE


def _split(group: ParameterGroup, hidden: frozenset[str], nesterov: bool) -> list[ParameterGroup]:
    """Return the group's matrices for Muon and its other parameters for AdamW, each as a group, where there are any."""
    group = {key: value for key, value in group.items() if key != "positions"}
    muon = [(name, parameter) for name, parameter in group["params"] if name in hidden]
    rest = [(name, parameter) for name, parameter in group["params"] if name not in hidden]
    # timm takes a fallback with Nesterov's momentum for NAdamW.
    parts = [
        {**group, "params": muon, "use_fallback": False, "use_muon": True, "nesterov": nesterov},
        {**group, "params": rest, "use_fallback": True, "nesterov": False},
    ]
    return [part for part in parts if part["params"]]
