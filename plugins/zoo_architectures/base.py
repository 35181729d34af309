"""The form that our own networks share: features, an embedding, and a linear classifier called `head`."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from torch import Tensor, nn


class EmbeddingClassifier(nn.Module):
    """A network whose `head` is an nn.Linear on the vector that `embed` makes of the features.

    `depths` names the children by depth, stem first; parameters that stand in none of them belong to the head.
    """

    classifier = "head"
    depths: ClassVar[tuple[str, ...]]
    head: nn.Linear

    @abstractmethod
    def forward_features(self, x: Tensor) -> Tensor:
        """Return the features of images `(B, C, H, W)`, of whatever shape."""

    @abstractmethod
    def embed(self, features: Tensor) -> Tensor:
        """Return the embedding `(B, embedding_size)` of the features."""

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Return the embedding `(B, embedding_size)` with `pre_logits`, else the outputs `(B, num_outputs)`."""
        embedding = self.embed(features)
        return embedding if pre_logits else self.head(embedding)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))

    @property
    def embedding_size(self) -> int:
        return self.head.in_features

    @property
    def stages(self) -> tuple[tuple[str, ...], ...]:
        """All parameter names by depth, stem first, classifier last; each child of a list of modules is a depth of its own."""
        names = [name for name, _ in self.named_parameters()]
        prefixes = [prefix for depth in self.depths for prefix in self._prefixes(depth)]
        stages = [tuple(name for name in names if name.startswith(f"{prefix}.")) for prefix in prefixes]
        return (*(stage for stage in stages if stage), tuple(n for n in names if n.startswith("head.")))

    def _prefixes(self, child: str) -> list[str]:
        module = self.get_submodule(child)
        return [f"{child}.{i}" for i in range(len(module))] if isinstance(module, nn.ModuleList) else [child]
