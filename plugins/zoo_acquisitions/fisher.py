"""The Fisher information of the last layer, sample by sample, as factors of few columns."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from zoo_acquisitions.distances import BLOCK

_ELEMENTS = 1 << 21  # 16 MiB of float64: what one intermediate tensor may hold


class Factors:
    """V with V V' the information of one sample in the weights of a linear layer, for labels as the net predicts them.

    For softmax and cross-entropy it is (diag(p) - p p') ⊗ h h', the mean over y of the squared gradients (e_y - p) ⊗ h. V has
    the columns √p_y (e_y - p) ⊗ h of the `rank` most probable y: exact where these are all classes; what is left out has a
    trace of at most 2 ||h||² times the probability of the other classes. h is the projection of the embedding on the `dimensions` directions in
    which the embeddings have the largest sum of squares: exact where there are no more than that. Everything is in float64.
    """

    def __init__(
        self, log_p: Tensor, embeddings: Tensor, rank: int, dimensions: int, basis: Tensor | None = None
    ) -> None:
        self._log_p, self._embeddings = log_p, embeddings
        self._basis = _principal(embeddings, dimensions) if basis is None else basis
        self.classes, self.dimensions = log_p.shape[1], self._basis.shape[1]
        self.size, self.rank = self.classes * self.dimensions, min(rank, self.classes)
        self.device = embeddings.device

    def __len__(self) -> int:
        return len(self._embeddings)

    def of(self, log_p: Tensor, embeddings: Tensor) -> Factors:
        """Return those of other samples, projected on the same directions."""
        others = log_p.to(self.device), embeddings.to(self.device)
        return Factors(*others, self.rank, self.dimensions, self._basis)

    def blocks(self, *shape: int) -> Iterator[Tensor]:
        """Yield the positions of all samples, as many at a time as a tensor of this shape for each may hold."""
        rows = max(1, _ELEMENTS // math.prod(shape))
        yield from torch.arange(len(self), device=self.device).split(rows)

    def columns(self, rows: Tensor) -> Tensor:
        """Return V' `(r, rank, size)`."""
        errors = self._by_class(
            rows, torch.eye(self.classes, dtype=torch.float64, device=self.device).expand(len(rows), -1, -1)
        )
        return (errors[..., None] * self._projected(rows)[:, None, None]).flatten(2)

    def times(self, rows: Tensor, matrix: Tensor) -> Tensor:
        """Return V' M `(r, rank, w)` for a matrix `(size, w)`, without making V."""
        h = self._projected(rows)
        inner = torch.einsum("rd,cdw->rcw", h, matrix.view(self.classes, self.dimensions, -1))
        return self._by_class(rows, inner)

    def between(self, rows: Tensor, matrix: Tensor) -> Tensor:
        """Return V' M V `(r, rank, rank)` for a symmetric matrix `(size, size)`."""
        left = self.times(rows, matrix).unflatten(2, (self.classes, self.dimensions))
        return self._by_class(rows, torch.einsum("rqcd,rd->rcq", left, self._projected(rows)))

    def total(self) -> Tensor:
        """Return the information of all samples, `(size, size)`."""
        found = torch.zeros(self.size, self.size, dtype=torch.float64, device=self.device)
        for rows in self.blocks(self.rank, self.size):
            columns = self.columns(rows).flatten(0, 1)
            found.addmm_(columns.T, columns)
        return found

    def _by_class(self, rows: Tensor, inner: Tensor) -> Tensor:
        """Return √p_y (e_y - p)' Y `(r, rank, w)` for Y `(r, C, w)`."""
        p = self._log_p[rows].double().exp()
        top, which = p.topk(self.rank, dim=1)
        picked = inner.gather(1, which[:, :, None].expand(-1, -1, inner.shape[2]))
        return top.sqrt()[:, :, None] * (picked - p[:, None] @ inner)

    def _projected(self, rows: Tensor) -> Tensor:
        return self._embeddings[rows].double() @ self._basis


class InformationTrace:
    """trace((λ I + L + sum_{i in S} V_i V_i')^-1 F) for a set S that grows and shrinks.

    L, `known`, is the information `(size, size)` that is there whatever S is, and F that of all samples and L together.
    For each sample P = V' K V and Q = V' K F K V are kept, K the inverse: then adding it lowers the trace by tr((I + P)^-1 Q),
    and taking it out of S raises it by tr((I - P)^-1 Q) (Woodbury). A change of S changes all P and Q by products of rank × rank.
    """

    def __init__(self, factors: Factors, regularization: float, known: Tensor | None = None) -> None:
        self._factors, self._total = factors, factors.total()
        self._identity = torch.eye(factors.rank, dtype=torch.float64, device=factors.device)
        first = regularization * torch.eye(factors.size, dtype=torch.float64, device=factors.device)
        if known is not None:
            self._total += known
            first += known
        self._inverse = torch.cholesky_inverse(torch.linalg.cholesky(first))
        self._p, self._q = self._identity.new_empty(2, len(factors), factors.rank, factors.rank)
        spread = self._inverse @ self._total @ self._inverse
        for rows in factors.blocks(factors.classes, factors.size):
            self._p[rows] = factors.between(rows, self._inverse)
            self._q[rows] = factors.between(rows, spread)

    def value(self) -> float:
        """Return the trace."""
        return float((self._inverse * self._total).sum())

    def gains(self) -> Tensor:
        """Return float64 `(n,)`, how much adding each sample would lower the trace."""
        return torch.cat([self._change(rows, 1) for rows in self._factors.blocks(self._factors.rank**2)])

    def losses(self, rows: Tensor) -> Tensor:
        """Return float64 `(r,)`, how much taking each of these samples out of S would raise the trace."""
        # I - P is singular within rounding where nothing else tells what a sample does.
        return self._change(rows, -1).nan_to_num(nan=torch.inf, posinf=torch.inf)

    def _change(self, rows: Tensor, sign: int) -> Tensor:
        solved = torch.linalg.solve_ex(self._identity + sign * self._p[rows], self._q[rows]).result
        change: Tensor = solved.diagonal(dim1=1, dim2=2).sum(dim=1)
        return change

    def add(self, row: int) -> None:
        """Put a sample into S."""
        self._update(row, 1)

    def remove(self, row: int) -> None:
        """Take a sample out of S."""
        self._update(row, -1)

    def _update(self, row: int, sign: int) -> None:
        """Change K by -sign W W', W = K V L^-T with L L' = I + sign P, and P and Q along with it."""
        columns = self._factors.columns(torch.tensor([row], device=self._inverse.device))[0]
        solved = columns @ self._inverse
        lower = torch.linalg.cholesky(self._identity + sign * solved @ columns.T)
        w = torch.linalg.solve_triangular(lower, solved, upper=False).T
        spread = self._total @ w
        both, inner = torch.cat([w, self._inverse @ spread], dim=1), w.T @ spread
        self._inverse.addmm_(w, w.T, alpha=-sign)
        for rows in self._factors.blocks(self._factors.classes, 2 * self._factors.rank):
            x, y = self._factors.times(rows, both).chunk(2, dim=2)
            crossed = x @ y.mT
            self._p[rows] -= sign * x @ x.mT
            self._q[rows] += x @ inner @ x.mT - sign * (crossed + crossed.mT)


def _principal(embeddings: Tensor, dimensions: int) -> Tensor:
    """Return the directions `(D, d)` of the largest sums of squares, or the identity where d is not below D."""
    width = embeddings.shape[1]
    moments = torch.zeros(width, width, dtype=torch.float64, device=embeddings.device)
    if dimensions >= width:
        return moments.fill_diagonal_(1.0)
    for part in embeddings.split(BLOCK):
        rows = part.double()
        moments.addmm_(rows.T, rows)
    directions: Tensor = torch.linalg.eigh(moments).eigenvectors[:, -dimensions:]
    return directions
