"""What is known of an architecture before it is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

Family = Literal["cnn", "rnn", "hybrid", "attention", "mlp"]


class ArchitectureFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What may depend on an architecture's parameters; the answer of a `describe` function.

    `min_size` and `preferred_size` are pixels of the shorter side.
    """

    family: Family
    embeddings: bool
    min_size: int = 1
    preferred_size: int | None = None


class Pretrained(msgspec.Struct, frozen=True, kw_only=True):
    """Published weights of an architecture, and what its images were like.

    `mean` and `std` are per channel in units of images scaled to [0, 1], `image_size` is pixels per side. `load` downloads, or
    finds in a local cache, the state dict of the model that the factory builds for `num_outputs` and `in_channels`; `home`
    says where they are published.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    image_size: int
    load: Callable[[], Any]
    home: str = ""
