"""The one module that knows torch.distributed: who this process is among how many, and what they agree on."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch import Tensor, distributed


@dataclass(frozen=True, slots=True)
class World:
    """Process number `rank` of `size`; alone, every method is the identity."""

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls) -> World:
        """Return this process's place: a group that exists, or one that torchrun's variables ask for, or alone."""
        if (
            distributed.is_available()
            and not distributed.is_initialized()
            and int(os.environ.get("WORLD_SIZE", "1")) > 1
        ):
            distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        if distributed.is_available() and distributed.is_initialized():
            return cls(distributed.get_rank(), distributed.get_world_size())
        return cls()

    @property
    def leads(self) -> bool:
        """True for the one process that writes."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum over all processes."""
        if self.size > 1:
            tensor = tensor.clone()
            distributed.all_reduce(tensor)
        return tensor

    def any(self, flag: bool, device: torch.device) -> bool:
        """Return True everywhere when `flag` is True anywhere."""
        if self.size == 1:
            return flag
        return bool(self.sum(torch.tensor(int(flag), device=device)).item())

    def gather(self, tensor: Tensor) -> Tensor:
        """Return the concatenation, in order of rank, of tensors whose first dimension may differ."""
        if self.size == 1:
            return tensor
        length = torch.tensor(len(tensor), device=tensor.device)
        lengths = [torch.empty_like(length) for _ in range(self.size)]
        distributed.all_gather(lengths, length)
        longest = max(int(n) for n in lengths)
        padded = torch.cat([tensor, tensor.new_zeros((longest - len(tensor), *tensor.shape[1:]))])
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        distributed.all_gather(parts, padded)
        return torch.cat([part[: int(n)] for part, n in zip(parts, lengths, strict=True)])

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.size > 1:
            distributed.barrier()
