"""What a recipe's model costs as far as it can be measured: time, memory and processor time, beside what is counted.

Several recipes are measured in turn, call by call, so that a change of the machine's load meets all of them alike.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from zoo.errors import ZooError
from zoo.evaluation.cost import Task, count
from zoo.recipe import Recipe
from zoo.training.device import repeatable
from zoo.training.experiment import Experiment, build
from zoo.training.loop import optimize, set_mode
from zoo.training.manifest import environment
from zoo.training.progress import Progress
from zoo.training.randomness import uniform

BATCH = 64  # images of a batch of inference
CALLS, STEPS = 30, 10  # fewest that quartiles are of
MOST = 1000  # calls, which say as much as more would
TURN = 5  # calls in a row: after the first one they find their weights in the processor's cache, as in use
WARM_UP = 3
SECONDS = 2.0
_SMALL_RATE = 1e-3  # of the recipe's learning rate: weights that no schedule guides stay finite

Call = Callable[[], object]


@dataclass(slots=True)
class Timing:
    """Wall-clock and process-CPU seconds of calls of one sort, each on `images` images."""

    images: int
    fewest: int
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def progress(self, seconds: float) -> float:
        """Return which part is done of the fewest calls and of the time that they are to take together, whichever is less."""
        enough = 1.0 if seconds == 0 or len(self.wall) >= MOST else sum(self.wall) / seconds
        return min(len(self.wall) / self.fewest, enough)

    def quartiles(self) -> dict[str, Any]:
        """Return the quartiles of wall-clock seconds of a call, and the number of calls."""
        lower, median, upper = (float(q) for q in np.quantile(self.wall, (0.25, 0.5, 0.75)))
        return {"lower_quartile": lower, "median": median, "upper_quartile": upper, "calls": len(self.wall)}

    @property
    def images_per_second(self) -> float:
        return self.images / float(np.median(self.wall))

    @property
    def cpu_seconds_per_thousand(self) -> float:
        return 1000 * sum(self.cpu) / (self.images * len(self.cpu))


def measure(recipe: Recipe, *, device: str = "cpu", threads: int = 1, seconds: float = SECONDS) -> dict[str, Any]:
    """Return what is counted and measured of a recipe's model; see `measure_all`."""
    return measure_all([recipe], device=device, threads=threads, seconds=seconds)[0]


def measure_all(
    recipes: Sequence[Recipe], *, device: str = "cpu", threads: int = 1, seconds: float = SECONDS
) -> list[dict[str, Any]]:
    """Return, for each recipe, what `count` says of it and what was measured on the device.

    `latency` has the quartiles, in seconds, of calls in evaluation mode on 1 and on 64 images; `training_step` those of
    augmentation, forward, backward and the optimizer's step on one batch. `images_per_second`, `cpu_seconds_per_thousand`
    images, of this process, and `memory_bytes`, the most that weights, gradients, the optimizer's state and what a call
    allocates hold at a time, are of `training` and, on 64 images, of `inference`. Each sort of call is made 30 times or more,
    steps 10 times, and until they take `seconds` or are 1000. Weights are random. Raises ZooError for settings that measure
    nothing, and whatever building raises.
    """
    _check(recipes, threads, seconds)
    subjects = [Subject(recipe, device) for recipe in recipes]
    try:
        before = _load()
        for subject in subjects:
            subject.warm_up(threads)
        in_turn(subjects, threads, seconds)
        after = _load()
        return [subject.report(threads) | {"load_before": before, "load_after": after} for subject in subjects]
    finally:
        for subject in subjects:
            subject.experiment.close()


class Subject:
    """A recipe's model built as for training, and the calls that are timed."""

    def __init__(self, recipe: Recipe, device: str) -> None:
        # Files are decoded batch by batch, and one batch of train is wanted.
        settings = msgspec.structs.replace(recipe.data, memory_limit=0)
        x = build(msgspec.structs.replace(recipe, data=settings), device=device, fresh=False)
        self.recipe, self.experiment = recipe, x
        self.batch = next(iter(x.train.training(recipe.training.seed, 0)))
        self.progress = Progress(x.device)
        for group in x.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * _SMALL_RATE
        self.timings = {
            "1": Timing(1, CALLS),
            str(BATCH): Timing(BATCH, CALLS),
            "training": Timing(len(self.batch.images), STEPS),
        }
        self.calls = {name: self._inference(t.images) for name, t in self.timings.items() if name != "training"}
        self.calls["training"] = self.train
        self.memory: dict[str, int] = {}

    @property
    def task(self) -> Task:
        data = self.experiment.dataset
        return Task((data.channels, *data.size), len(data.classes))

    def train(self) -> None:
        """Do one step of the recipe."""
        optimize(self.experiment, self.progress, self.batch)
        self.progress.step += 1

    def warm_up(self, threads: int) -> None:
        """Make the first calls, which are not timed, and see what memory the last of them takes."""
        for name, kept in (("training", "training"), ("1", None), (str(BATCH), "inference")):
            with self._set(name, threads):
                for _ in range(WARM_UP):
                    self.calls[name]()
                if kept is not None:
                    self.memory[kept] = peak_bytes(self.experiment, self.calls[name])

    def time(self, name: str, threads: int, calls: int = TURN) -> None:
        """Make some calls of this name and note how long each took."""
        timing, device = self.timings[name], self.experiment.device
        with self._set(name, threads):
            for _ in range(calls):
                _wait(device)
                wall, cpu = time.perf_counter(), time.process_time()
                self.calls[name]()
                _wait(device)
                timing.cpu.append(time.process_time() - cpu)
                timing.wall.append(time.perf_counter() - wall)

    def report(self, threads: int) -> dict[str, Any]:
        """Return what was counted and measured."""
        training, inference = self.timings["training"], self.timings[str(BATCH)]
        return {
            **count(self.recipe, self.task),
            "batch_size": training.images,
            "latency": {name: self.timings[name].quartiles() for name in ("1", str(BATCH))},
            "training_step": training.quartiles(),
            "images_per_second": {"training": training.images_per_second, "inference": inference.images_per_second},
            "cpu_seconds_per_thousand": {
                "training": training.cpu_seconds_per_thousand,
                "inference": inference.cpu_seconds_per_thousand,
            },
            "memory_bytes": self.memory,
            "environment": environment(self.experiment, threads),
        }

    def _inference(self, images: int) -> Call:
        x = self.experiment
        pixels = _images(self.task, images).to(x.device)
        if self.recipe.training.channels_last:
            pixels = pixels.to(memory_format=torch.channels_last)
        network = x.evaluation_network(images=True)

        @torch.inference_mode()
        def call() -> object:
            with x.autocast():
                return network(pixels)

        return call

    @contextmanager
    def _set(self, name: str, threads: int) -> Iterator[None]:
        training = name == "training"
        with repeatable(self.recipe.training, threads):
            set_mode(self.experiment, training=training)
            if not training:
                self.experiment.evaluation_network(images=True).eval()
            yield


def peak_bytes(x: Experiment, call: Call) -> int:
    """Return the most bytes that tensors hold at a time during a call, the experiment's own among them.

    What libraries take for themselves is not in it: on the CPU it is up to a third below the rise of a process's memory.
    """
    x.optimizer.zero_grad(set_to_none=True)  # the profiler does not see what it did not see allocated go
    held = _held(x)
    if x.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(x.device)
        others = torch.cuda.memory_allocated(x.device) - held  # the data, and the recipes measured beside it
        call()
        return torch.cuda.max_memory_allocated(x.device) - others
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's library tells of itself on stderr
    # Torch 2.11 warns of what it drops after a cycle, of which there is one here, unless events are kept.
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as profiler:
        call()
    found: Any = profiler.profiler
    changes = [event for event in found.kineto_results.events() if event.name() == "[memory]"]
    changes.sort(key=lambda event: event.start_ns())
    return held + highest([event.nbytes() for event in changes])


def highest(changes: Sequence[int]) -> int:
    """Return the highest sum of the changes so far, or 0 where none is above it."""
    return max(accumulate(changes, initial=0))


def _held(x: Experiment) -> int:
    """Return the bytes of weights, running statistics, gradients and the optimizer's state."""
    tensors = [*x.model.parameters(), *x.model.buffers(), *(p.grad for p in x.model.parameters())]
    tensors += [value for state in x.optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]
    return sum(t.numel() * t.element_size() for t in tensors if t is not None)


def in_turn(subjects: Sequence[Subject], threads: int, seconds: float) -> None:
    """Give each turn to the calls of which the least is done, so that all are spread over the whole time."""
    waiting = [(subject, name) for subject in subjects for name in subject.timings]
    while True:
        subject, name = min(waiting, key=lambda pair: pair[0].timings[pair[1]].progress(seconds))
        if subject.timings[name].progress(seconds) >= 1:
            return
        subject.time(name, threads)


def _images(task: Task, number: int) -> Tensor:
    values = uniform(0, "images", 0, torch.arange(number), int(np.prod(task.shape)))
    return (values.float() * 2 - 1).view(number, *task.shape)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _load() -> float | None:
    """Return the mean number of running processes over the last minute; None on systems that do not count it."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _check(recipes: Sequence[Recipe], threads: int, seconds: float) -> None:
    if not recipes:
        raise ZooError("there is no recipe to measure", hint="zoo list recipe")
    if threads < 1:
        raise ZooError(f"threads must be 1 or more, got {threads} instead", hint="--threads 1")
    if not 0 <= seconds < float("inf"):
        raise ZooError(f"seconds must be 0 or more, got {seconds:g} instead", hint=f"--seconds {SECONDS:g}")
