"""Train a toy recipe, kill it at every event in turn, resume it, and compare every byte: kill_driver.py FOLDER TOY

Children are forked from this one process, which has imported torch with one thread. Prints a JSON document.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.utils.tensorboard

import zoo
from zoo.training.session import Session

SMALL = (
    "architecture.filters=2",
    "architecture.hidden=8",
    "data.train_size=100",
    "training.epochs=2",
    "training.batch_size=25",
    "training.threads=1",
)
PLAIN = (
    *SMALL,
    "training.checkpoint_every=3",
    "training.early_stopping={monitor: validation/loss, patience: 1}",
    "training.clip_norm=1",
    "training.accumulate=2",
    "optimizer={name: momentum, lr: 0.1}",
    "schedule={name: one-cycle}",
    "regularizers=[{name: weight-decay, strength: 0.001}, {name: dropout, rate: 0.3}, {name: label-smoothing, strength: 0.1}, "
    "{name: ema, decay: 0.9}, l1, {name: random-erasing, fill: noise}, mixup-cutmix, gradient-noise, layer-decay, "
    "balanced-sampling]",
    "augmentation={rotation: 10, shift: 0.1, zoom: 0.1, shear: 5, horizontal_flip: true}",
)
# A head chosen on validation trains on two views of cached embeddings; then everything is trained.
FROZEN = (
    *SMALL,
    "training.epochs=3",
    "freeze={stages: backbone, unfreeze_after: 2, views: 2, choose: true}",
    "search={regularizers.weight-decay.strength: {choices: [0, 0.01]}}",
)
TOYS = {"plain": PLAIN, "frozen": FROZEN}


def child(work: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1]


def start(folder: Path, toy: str, kill_at: int | None) -> Callable[[], None]:
    def work() -> None:
        os.environ["ZOO_CACHE"] = str(folder / "cache")
        session = Session.start(
            zoo.resolve("conv-net-momentum", *TOYS[toy]), catalog=zoo.catalog, run=folder, device="cpu"
        )
        for number, event in enumerate(session.events()):
            (folder / "event").write_text(f"{number} {type(event).__name__} {getattr(event, 'step', '')}")
            if number == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    return work


def resume(folder: Path) -> None:
    os.environ["ZOO_CACHE"] = str(folder / "cache")
    for _ in Session.resume(folder, catalog=zoo.catalog, device="cpu").events():
        pass


def bytes_of(folder: Path) -> dict[str, str]:
    index = json.loads((folder / "checkpoints" / "index.json").read_text())
    kept = {f"{role} {name}": digest for role in ("last", "best") for name, digest in index[role]["sha256"].items()}
    summary = json.loads((folder / "summary.json").read_text())
    figures = {key: summary[key] for key in ("epochs", "steps", "best", "validation", "test", "exact")}
    return {**kept, "metrics": (folder / "metrics.jsonl").read_text(), "summary": json.dumps(figures)}


def main() -> int:
    root, toy = Path(sys.argv[1]), sys.argv[2]
    torch.set_num_threads(1)
    zoo.catalog.entries()
    whole = root / "whole"
    start(whole, toy, None)()  # here and not in a child, so that every child finds all modules imported
    last = int((whole / "event").read_text().split()[0])
    expected = bytes_of(whole)
    killed, differing = [], {}
    for number in range(last):
        folder = root / f"killed-{number}"
        assert os.WTERMSIG(child(start(folder, toy, number))) == signal.SIGKILL
        at = (folder / "event").read_text()
        assert child(lambda folder=folder: resume(folder)) == 0, at  # type: ignore[misc]
        killed.append(at)
        got = bytes_of(folder)
        if got != expected:
            differing[at] = [key for key in expected if got[key] != expected[key]]
    print(json.dumps({"killed": killed, "differing": differing, "expected": expected}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
