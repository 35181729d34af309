"""What a run was made with, and how far that differs when it goes on."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from typing import Any

import torch

from zoo.training.events import Started
from zoo.training.experiment import Experiment
from zoo.training.progress import Progress
from zoo.training.run import Run, now
from zoo.version import __version__

_DISTRIBUTIONS = ("torch", "torchvision", "timm", "numpy", "pillow")


def environment(x: Experiment, threads: int) -> dict[str, Any]:
    """Return what the bits of a result depend on: versions, device, threads, precision, data."""
    return {
        "zoo": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in _DISTRIBUTIONS},
        "plugins": {c.name: f"{c.provenance.distribution} {c.provenance.version}" for c in x.recipe.components},
        "platform": platform.platform(),
        "processor": _processor(),
        "device": _device(x.device),
        "precision": x.precision,
        "threads": threads,
        "processes": x.world.size,
        "data": x.dataset.fingerprint,
    }


def describe(x: Experiment, threads: int) -> dict[str, Any]:
    """Return the manifest of a new run."""
    return {
        "recipe": x.recipe.name,
        "created": now(),
        "command": sys.argv,
        "classes": list(x.dataset.classes),
        "image": [x.dataset.channels, *x.dataset.size],
        "dtype": x.dataset.dtype,
        "normalization": {"mean": list(x.dataset.mean), "std": list(x.dataset.std)},
        "samples": {name: len(split) for name, split in x.dataset.splits.items()},
        "parameters": x.parameters,
        "git": _git(),
        "environment": environment(x, threads),
        "notes": list(x.notes),
        **({} if x.distillation is None else {"teacher": x.distillation.run.origin}),
        "exact": True,
        "inexact": [],
    }


def opening(x: Experiment, run: Run, progress: Progress, notes: tuple[str, ...]) -> Started:
    """Return the event that opens a run, or goes on with it."""
    return Started(
        recipe=x.recipe.name,
        run=run.path,
        step=progress.step,
        epoch=progress.epoch,
        total_steps=x.total_steps,
        steps_per_epoch=x.steps_per_epoch,
        parameters=x.parameters,
        sizes={name: len(split) for name, split in x.dataset.splits.items()},
        classes=x.dataset.classes,
        image=(x.dataset.channels, *x.dataset.size),
        device=str(x.device),
        precision=x.precision,
        notes=notes,
    )


def drift(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return, in words, what differs between two environments."""
    return [f"{key} was {before.get(key)}, now {value}" for key, value in after.items() if before.get(key) != value]


def _device(device: torch.device) -> str:
    return f"{device.type} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123  # a kernel file, read once
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return f"{names[0] if names else platform.processor() or platform.machine()} × {os.cpu_count()}"


def _git() -> dict[str, Any] | None:
    """Return commit and cleanliness of the working directory's repository, or None outside of one."""
    try:
        asked = [["git", "rev-parse", "HEAD"], ["git", "status", "--porcelain"]]
        commit, changes = (
            subprocess.run(a, capture_output=True, text=True, timeout=10, check=True).stdout.strip() for a in asked
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "clean": not changes}
