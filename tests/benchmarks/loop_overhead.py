"""Images per second of zoo's loop against a bare hand-written PyTorch loop: loop_overhead.py [--device D] [--steps N] [--rounds N]

Same model, same batches on the device, same optimizer, clip, schedule and check for finite values, in 32-bit floats; the bare
loop reads its loss once an epoch. Both sides run interleaved in this process with one thread; the bar is a ratio of at least
0.95. Times are process-CPU time, on an accelerator wall time until its work is done.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable

import torch
from torch.nn import functional
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

import zoo
from zoo.training.device import repeatable
from zoo.training.events import StepDone
from zoo.training.experiment import Experiment, build
from zoo.training.loop import fit
from zoo.training.progress import Progress

CASES = {
    "resnet18 at 32 px": ("resnet18-momentum", "data={name: digits, image_size: 32}"),
    "conv-net at 28 px": ("conv-net-momentum", "data={name: digits, image_size: 28}"),
}
COMMON = (
    "training.batch_size=64",
    "training.clip_norm=1",
    "regularizers=[]",
    "augmentation=null",
    "schedule={name: cosine}",
    "training.epochs=100000",
    "training.precision=fp32",
)


def ours(x: Experiment, steps: int) -> Callable[[], None]:
    events = fit(x, Progress(x.device))

    def work() -> None:
        done = 0
        for event in events:
            done += isinstance(event, StepDone)
            if done == steps:
                return

    return work


def bare(x: Experiment, steps: int) -> Callable[[], None]:
    model, optimizer = x.model, x.optimizer
    epoch_of_batches = [(b.images.clone(), b.labels.clone()) for b in x.train.training(0, 0)]
    mean = torch.tensor(x.dataset.mean, device=x.device).view(1, -1, 1, 1)
    std = torch.tensor(x.dataset.std, device=x.device).view(1, -1, 1, 1)
    total, step, running = x.total_steps, 0, torch.zeros((), device=x.device)

    def work() -> None:
        nonlocal step, running
        model.train()
        for _ in range(steps):
            images, labels = epoch_of_batches[step % len(epoch_of_batches)]
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * (1 + math.cos(math.pi * step / total)) / 2
            optimizer.zero_grad(set_to_none=True)
            loss = functional.cross_entropy(model((images.float() / 255 - mean) / std), labels)
            loss.backward()
            norm = get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
            clip_grads_with_norm_(model.parameters(), 1.0, norm)
            if not math.isfinite(float(norm + loss.detach())):
                raise ArithmeticError
            optimizer.step()
            running = running + loss.detach()
            step += 1
            if step % len(epoch_of_batches) == 0:
                float(running)
                running = torch.zeros((), device=x.device)

    return work


def seconds(work: Callable[[], None], device: torch.device) -> float:
    """Return the seconds of processor time, and on an accelerator of wall time, that work takes."""
    if device.type == "cpu":
        began = time.process_time()
        work()
        return time.process_time() - began
    began = time.perf_counter()
    work()
    torch.accelerator.synchronize()
    return time.perf_counter() - began


def steps_per_second(x: Experiment) -> int:
    work = bare(x, 1)
    seconds(work, x.device)
    return max(1, round(1 / seconds(work, x.device)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=0, help="steps per measurement (default: about a second)")
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    met = True
    for name, (recipe, data) in CASES.items():
        experiments = [build(zoo.resolve(recipe, data, *COMMON), device=args.device) for _ in range(2)]
        with repeatable(experiments[0].recipe.training, threads=1):
            steps = args.steps or steps_per_second(experiments[1])
            sides = {"zoo": ours(experiments[0], steps), "bare": bare(experiments[1], steps)}
            for work in sides.values():
                work()
            rates: dict[str, list[float]] = {side: [] for side in sides}
            for number in range(args.rounds):
                for side in sorted(sides, reverse=bool(number % 2)):
                    rates[side].append(steps * 64 / seconds(sides[side], experiments[0].device))
        ratio = statistics.median(rates["zoo"]) / statistics.median(rates["bare"])
        met &= ratio >= 0.95
        print(
            f"{name}: zoo {statistics.median(rates['zoo']):,.0f} images/s, bare {statistics.median(rates['bare']):,.0f} images/s "
            f"({args.device}, one thread), ratio {ratio:.3f}, bar 0.95: {'met' if ratio >= 0.95 else 'MISSED'}"
        )
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
