"""The only source of randomness: order, augmentation and mixing as pure functions of (seed, stream, epoch, sample).

`uniform` is a counter-based hash in the manner of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011),
with the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) as its mixer. It uses 64-bit integer arithmetic only,
so every device gives the same bits, and it needs no state: nothing has to be saved for a run to go on exactly.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_GAMMA = 0x9E3779B97F4A7C15
_M1, _M2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _shift(x: Tensor, bits: int) -> Tensor:
    # torch shifts int64 arithmetically; the mask makes it logical.
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shift(x, 30)) * _signed(_M1)
    x = (x ^ _shift(x, 27)) * _signed(_M2)
    return x ^ _shift(x, 31)


def _key(seed: int, stream: str, epoch: int) -> int:
    digest = hashlib.blake2b(f"{seed}/{stream}/{epoch}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def bits(seed: int, stream: str, epoch: int, samples: Tensor, k: int = 1) -> Tensor:
    """Return int64 `(n, k)` of 64 random bits for the int64 sample positions `(n,)`, on their device."""
    return _bits(seed, stream, epoch, samples[:, None], torch.arange(k, device=samples.device))


def _bits(seed: int, stream: str, epoch: int, samples: Tensor, columns: Tensor) -> Tensor:
    row = _mix(samples.to(torch.int64) * _signed(_GAMMA) + _key(seed, stream, epoch))
    return _mix(row + (columns + 1) * _signed(_GAMMA))


def uniform(seed: int, stream: str, epoch: int, samples: Tensor, k: int = 1) -> Tensor:
    """Return float32 `(n, k)` in [0, 1) with 24 random bits each, the same on every device."""
    return _shift(bits(seed, stream, epoch, samples, k), 40).to(torch.float32) * 2.0**-24


def normal(seed: int, stream: str, epoch: int, samples: Tensor, k: int = 1) -> Tensor:
    """Return float32 `(n, k)` of standard normal draws (Box and Muller, 1958), within rounding the same on every device."""
    return _normal(bits(seed, stream, epoch, samples, k))


def normal_at(seed: int, stream: str, epoch: int, samples: Tensor, columns: Tensor) -> Tensor:
    """Return float32 `(n,)`: what `normal` has for each of these samples in its one of the columns, int64 `(n,)`."""
    return _normal(_bits(seed, stream, epoch, samples, columns))


def _normal(words: Tensor) -> Tensor:
    upper, lower = (part.to(torch.float32) * 2.0**-24 for part in (_shift(words, 40), words & ((1 << 24) - 1)))
    return torch.sqrt(-2 * torch.log1p(-upper)) * torch.cos(2 * math.pi * lower)  # 1 - upper is never 0


def order(seed: int, epoch: int, samples: Tensor) -> Tensor:
    """Return the positions 0 … n-1 in the order in which this epoch visits `samples` (int64 `(n,)`)."""
    return torch.argsort(bits(seed, "order", epoch, samples)[:, 0], stable=True)


def uniform_ids(seed: int, stream: str, round: int, ids: Sequence[str], k: int = 1) -> Tensor:
    """Return float64 `(n, k)` in [0, 1) as a function of sample ids, whatever their order or number."""
    return uniform_words(seed, stream, round, id_words(ids), torch.arange(k))


def id_words(ids: Sequence[str]) -> Tensor:
    """Return int64 `(n,)`: the words that stand for sample ids in the hash, for those who draw more than once."""
    words = (int.from_bytes(hashlib.blake2b(i.encode(), digest_size=8).digest(), "little", signed=True) for i in ids)
    return torch.from_numpy(np.fromiter(words, np.int64, len(ids)))


def uniform_words(seed: int, stream: str, round: int, words: Tensor, columns: Tensor) -> Tensor:
    """Return float64 `(n, k)`: these k columns, int64 `(k,)`, of what `uniform_ids` has for the ids of the words `(n,)`."""
    drawn = _bits(seed, stream, round, words[:, None], columns)
    return _shift(drawn, 11).to(torch.float64) * 2.0**-53


@dataclass(frozen=True, slots=True)
class Draws:
    """The draws of one batch, float32 `(B, k)`, one row per sample: `uniform(name, k)` in [0, 1), `normal(name, k)`."""

    seed: int
    epoch: int
    samples: Tensor

    def uniform(self, name: str, k: int = 1) -> Tensor:
        return uniform(self.seed, name, self.epoch, self.samples, k)

    def normal(self, name: str, k: int = 1) -> Tensor:
        return normal(self.seed, name, self.epoch, self.samples, k)

    def normal_at(self, name: str, rows: Tensor, columns: Tensor) -> Tensor:
        """Return float32 `(n,)`, the elements of `normal` in these rows and columns, int64 `(n,)`, without the others."""
        return normal_at(self.seed, name, self.epoch, self.samples[rows], columns)


@contextmanager
def stream(
    seed: int, name: str, step: int, micro: int = 0, rank: int = 0, *, device: torch.device | None = None
) -> Iterator[None]:
    """Run a forward pass under default generators seeded by these words, and give the caller's back afterwards.

    nn.Dropout can draw from the default generator only.
    """
    key = _key(seed, f"{name}/{step}/{micro}", rank) & ((1 << 63) - 1)
    generators = [torch.default_generator]
    if device is not None and device.type == "cuda":
        generators.append(torch.cuda.default_generators[device.index or 0])
    elif device is not None and device.type == "mps":
        generators.append(torch.mps._get_default_mps_generator())
    saved = [generator.get_state() for generator in generators]
    for generator in generators:
        generator.manual_seed(key)
    try:
        yield
    finally:
        for generator, state in zip(generators, saved, strict=True):
            generator.set_state(state)
