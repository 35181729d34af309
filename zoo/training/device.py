"""Which device and precision a run uses, and the switches of torch that make it repeatable."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from zoo.data.streaming import cores
from zoo.errors import DeviceError
from zoo.recipe import Training


def available_devices() -> list[str]:
    """Return the sorts of device of this machine, the fastest first; `cpu` is the last."""
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    return [name for name, there in found.items() if there]


def choose_device(asked: str = "auto") -> torch.device:
    """Return the device for `auto` (cuda, mps, cpu in this order), `cpu`, `cuda`, `cuda:N` or `mps`.

    Each process that torchrun starts on a machine gets a cuda device of its own. Raises DeviceError when this machine does not
    have it.
    """
    sorts = available_devices()
    found = [f"cuda:{i}" for i in range(torch.cuda.device_count())] + [sort for sort in sorts if sort != "cuda"]
    if asked == "auto":
        asked = sorts[0]
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", asked):
        raise DeviceError(f"unknown device {asked!r}", possible="auto, cpu, cuda, cuda:N, mps", hint="--device auto")
    device = torch.device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if asked == "cuda" else asked)
    if str(device) not in found:
        raise DeviceError(f"device {asked!r} is not on this machine", possible=", ".join(found), hint="--device auto")
    return device


def require_devices(asked: str, processes: int) -> None:
    """Raise DeviceError unless each of so many processes finds a device: on cuda one of its own; the CPU they share."""
    place = choose_device(asked)
    if place.type == "cpu":
        return
    count = torch.cuda.device_count() if place.type == "cuda" else 1
    if asked.startswith("cuda:") or processes > count:
        one = f"--device {asked} is one device" if asked.startswith("cuda:") else ""
        raise DeviceError(
            one or f"--devices {processes} needs {processes} {place.type} devices, and this machine has {count}",
            possible=f"--devices 2 … {count} on {place.type}" if count > 1 else "--device cpu, whose cores they share",
            hint=f"--device cuda --devices {min(count, processes)}"
            if count > 1
            else f"--device cpu --devices {processes}",
        )


def crowded(asked: str, processes: int) -> str | None:
    """Return in words that so many processes are more than the CPU's cores, which they wait for in turn; else None.

    They are not refused: a run that was begun so goes on so, bit by bit, on a smaller machine too.
    """
    if choose_device(asked).type != "cpu" or processes <= (count := cores()):
        return None
    best = f"--devices {count} is" if count > 1 else "one process is"
    return f"{processes} processes share {count} core{'s' * (count > 1)} of the CPU and wait for one another: {best} faster"


def resumed_device(asked: str, began_on: str) -> str:
    """Return the device for a run that goes on: for `auto` the sort that it began on, where there is one here."""
    sort = began_on.split()[0]
    return sort if asked == "auto" and sort in available_devices() else asked


def choose_precision(asked: str, device: torch.device) -> str:
    """Return `bf16` or `fp32`; `auto` is bf16 on cuda devices that have it, fp32 elsewhere."""
    has_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
    if asked == "auto":
        return "bf16" if has_bf16 else "fp32"
    if asked == "bf16" and device.type == "cuda" and not has_bf16:
        raise DeviceError(
            f"{torch.cuda.get_device_name(device)} has no bf16", possible="fp32", hint="training.precision=fp32"
        )
    return asked


class Inexact:
    """Why a run may not repeat bit by bit; empty while it does."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def add(self, reason: str) -> None:
        if reason not in self.reasons:
            self.reasons.append(reason)


@contextmanager
def repeatable(training: Training, threads: int) -> Iterator[Inexact]:
    """Run with `threads` CPU threads and, unless the recipe says otherwise, deterministic algorithms.

    An operation that has no deterministic form is collected in the result instead of being warned about. Everything is as
    before afterwards.
    """
    inexact = Inexact()
    if not training.deterministic:
        inexact.add("training.deterministic is false")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
    cudnn = torch.backends.cudnn
    deterministic: Any = torch.utils.deterministic  # a module whose settings are properties, unknown to type checkers
    saved = (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled())
    before = (torch.get_num_threads(), cudnn.benchmark, deterministic.fill_uninitialized_memory)
    # The fused attention of cuda has a deterministic backward pass only where torch raises instead of warning.
    attention = sdpa_kernel(SDPBackend.MATH) if training.deterministic else nullcontext()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(training.deterministic, warn_only=True)
    cudnn.benchmark = not training.deterministic
    deterministic.fill_uninitialized_memory = False  # a debugging aid that costs a write of every new tensor
    try:
        with attention, _collected(inexact):
            yield inexact
    finally:
        torch.use_deterministic_algorithms(saved[0], warn_only=saved[1])
        torch.set_num_threads(before[0])
        cudnn.benchmark, deterministic.fill_uninitialized_memory = before[1:]


@contextmanager
def _collected(inexact: Inexact) -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("always", message=".*does not have a deterministic implementation")
        show = warnings.showwarning

        def collect(message: Warning | str, *args: Any, **kwargs: Any) -> None:
            text = str(message)
            if "does not have a deterministic implementation" in text:
                inexact.add(text.split(",")[0].split(". ")[0])
            else:
                show(message, *args, **kwargs)

        warnings.showwarning = collect
        yield
