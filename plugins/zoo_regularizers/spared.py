"""The parameters that no penalty on weights shrinks."""

from __future__ import annotations

from torch import Tensor, nn

_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm)


def spared(model: nn.Module) -> frozenset[str]:
    """Return the names of biases, of norms' parameters and of other vectors.

    Goyal et al., "Accurate, large minibatch SGD" (2017) spare batch norm, He et al., "Bag of tricks for image classification with
    convolutional neural networks", CVPR 2019 the biases as well.
    """
    norms = {
        f"{path}.{name}" if path else name
        for path, module in model.named_modules()
        if isinstance(module, _NORMS)
        for name, _ in module.named_parameters(recurse=False)
    }
    return frozenset(name for name, p in model.named_parameters() if name in norms or _is_vector(name, p))


def _is_vector(name: str, parameter: Tensor) -> bool:
    # nn.LSTM calls its biases bias_ih_l0 and bias_hh_l0.
    return parameter.ndim <= 1 or name.rpartition(".")[2].startswith("bias")
