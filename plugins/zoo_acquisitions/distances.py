"""Squared distances, some rows against some others at a time: nothing of size n × n, no copy of all rows in float32.

At 512 dimensions on one core, converting 4,096 rows of float16 takes 0.2 ms and their product with one centre 0.2 ms again, but
the product with 256 centres takes 12 ms: rows that are compared with many centres at once cost an eighth per centre. So rows
are converted where they are used, and users ask for many centres at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from zoo_acquisitions.distributions import gathered

BLOCK = 1024  # rows; their float32 copy of 512 columns, 2 MiB, stays in the cache of a core
_ROUNDING = 8  # multiples of the machine's epsilon by which a difference of large terms may be off


class Points(Protocol):
    """Vectors with inner products; `norms` are their squared lengths, `(n,)`."""

    @property
    def norms(self) -> Tensor: ...
    def products(self, rows: Tensor, others: Tensor) -> Tensor: ...


class Embeddings:
    """The rows of one or several matrices `(n, D)`, counted through, in arithmetic of `dtype`.

    With `unit` rows are divided by their lengths where they are taken; a row of zeros stays one.
    """

    def __init__(self, *parts: Tensor, dtype: torch.dtype = torch.float32, unit: bool = False) -> None:
        self._parts = [part for part in parts if len(part)]
        self._dtype = dtype
        self._lengths: Tensor | None = None
        self.norms = self._squares()
        if unit:
            self._lengths = self.norms.sqrt().masked_fill_(self.norms == 0, 1)
            self.norms = self._squares()

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts)

    def blocks(self) -> Iterator[Tensor]:
        """Yield the positions of all rows, some at a time."""
        yield from torch.arange(len(self), device=self._parts[0].device).split(BLOCK)

    def take(self, rows: Tensor) -> Tensor:
        """Return the rows at these positions, `(r, D)`."""
        found = self._read(rows)
        return found if self._lengths is None else found / self._lengths[rows, None]

    def _squares(self) -> Tensor:
        return gathered((self.take(rows).square().sum(dim=1) for rows in self.blocks()), len(self))

    def _read(self, rows: Tensor) -> Tensor:
        if len(self._parts) == 1:
            return self._parts[0][rows].to(self._dtype)
        found = torch.empty(len(rows), self._parts[0].shape[1], dtype=self._dtype, device=rows.device)
        start = 0
        for part in self._parts:
            here = (rows >= start) & (rows < start + len(part))
            found[here] = part[rows[here] - start].to(
                found
            )  # labelled ones may be on the device, and the pool in a file
            start += len(part)
        return found

    def products(self, rows: Tensor, others: Tensor) -> Tensor:
        """Return the inner products, `(r, o)`."""
        return self.take(rows) @ self.take(others).T


def squared(points: Points, rows: Tensor, others: Tensor) -> Tensor:
    """Return squared Euclidean distances `(r, o)`, ||x||² + ||y||² - 2 x·y; what is not above its rounding error is 0."""
    return gaps(points.norms[rows], points.norms[others], points.products(rows, others))


def gaps(norms: Tensor, others: Tensor, products: Tensor) -> Tensor:
    """Return squared distances `(r, o)` from the squared lengths `(r,)` and `(o,)` and the inner products."""
    lengths = norms[:, None] + others
    found = lengths - 2 * products
    return found.masked_fill_(found <= rounding(lengths), 0)


def rounding(lengths: Tensor) -> Tensor:
    """Return how far apart two computations of the same squared distances may be, from the sums of both squared lengths.

    Products of matrices are summed in an order that depends on their shapes, the processor and the library.
    """
    return _ROUNDING * torch.finfo(lengths.dtype).eps * lengths
