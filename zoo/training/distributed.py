"""The one module that knows torch.distributed: who this process is among how many, and what they agree on."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, distributed


@dataclass(frozen=True, slots=True)
class World:
    """Process number `rank` of `size`; alone, every method is the identity."""

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls, device: torch.device) -> World:
        """Return this process's place: a group that exists, or one that torchrun's variables ask for, or alone.

        A new group's processes exchange tensors on `device`.
        """
        if (
            distributed.is_available()
            and not distributed.is_initialized()
            and int(os.environ.get("WORLD_SIZE", "1")) > 1
        ):
            if device.type == "cuda":
                torch.cuda.set_device(device)  # where NCCL's barrier runs
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        if distributed.is_available() and distributed.is_initialized():
            return cls(distributed.get_rank(), distributed.get_world_size())
        return cls()

    @staticmethod
    def leave() -> None:
        """End this process's membership of a group, as all others do at this moment."""
        if distributed.is_available() and distributed.is_initialized():
            distributed.destroy_process_group()

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

    def mean(self, tensor: Tensor) -> Tensor:
        """Return the mean over all processes."""
        return self.sum(tensor) / self.size if self.size > 1 else tensor

    def max(self, value: int, device: torch.device) -> int:
        """Return the largest value that any process has."""
        if self.size == 1:
            return value
        tensor = torch.tensor(value, device=device)
        distributed.all_reduce(tensor, distributed.ReduceOp.MAX)
        return int(tensor)

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Give every process the leader's values of these tensors, in place."""
        if self.size > 1:
            for tensor in tensors:
                distributed.broadcast(tensor, 0)

    def share_text(self, text: str, device: torch.device) -> str:
        """Return the leader's text."""
        if self.size == 1:
            return text
        length = self.max(len(text.encode()) if self.leads else 0, device)
        data = torch.tensor(list(text.encode()) if self.leads else [0] * length, dtype=torch.uint8, device=device)
        self.share([data])
        return bytes(data.tolist()).decode()

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
