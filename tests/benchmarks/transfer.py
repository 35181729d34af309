"""What cached embeddings save: an epoch of training a head on them against forwarding the backbone again: transfer.py

    python tests/benchmarks/transfer.py                                        # digits enlarged to 224 px, random weights
    python tests/benchmarks/transfer.py --data FOLDER --weights FILE.safetensors

Recipe photos-transfer (tf-efficientnet-lite0 frozen) on 512 training images, decoded beforehand. Both sides run in turn, on one
thread; the median of the rounds counts. An epoch is every step of it: loss, gradient, clipping check, optimizer. Exit status 1
where the head is not at least 50 times faster.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file

import zoo
from zoo.training.experiment import Experiment, build
from zoo.training.loop import optimize, set_mode
from zoo.training.progress import Progress

WANTED = 50.0
SETTINGS = ("data.train_size=512", "freeze.choose=false", "search=null")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of photos")
    parser.add_argument("--weights", help="safetensors of tf_efficientnet_lite0")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ZOO_CACHE"] = folder
        weights = arguments.weights or random_weights(Path(folder) / "w.safetensors")
        size = () if arguments.data else ("data.image_size=224",)
        recipe = zoo.resolve("photos-transfer", *SETTINGS, *size, f"weights={weights}", data=arguments.data)
        x = build(recipe, device="cpu")
        images = x.images
        list(x.begin_epoch(0))
        progress = Progress(x.device)
        heads, backbones = [], []
        for _ in range(arguments.rounds):
            heads.append(seconds(lambda: head_epoch(x, progress)))
            backbones.append(seconds(lambda: forward(x)))
        assert x.inputs is not images
    head, backbone = statistics.median(heads), statistics.median(backbones)
    ratio = backbone / head
    print(f"an epoch of the head on {len(images.train.split)} embeddings: {1000 * head:.1f} ms (CPU, one thread)")
    print(f"forwarding the backbone on as many images: {1000 * backbone:.0f} ms")
    print(f"ratio {ratio:.0f}; wanted {WANTED:.0f}: {'met' if ratio >= WANTED else 'MISSED'}")
    return 0 if ratio >= WANTED else 1


def seconds(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def head_epoch(x: Experiment, progress: Progress) -> None:
    set_mode(x, training=True)
    for batch in x.train.training(0, progress.epoch):
        optimize(x, progress, batch)
        progress.step += 1
    progress.epoch += 1


@torch.inference_mode()
def forward(x: Experiment) -> None:
    model = x.model.eval()
    for batch in x.images.train.evaluation():
        model(x.images.preprocess.evaluate(batch.images))


def random_weights(path: Path) -> str:
    model = zoo.resolve("photos-transfer").architecture.build(num_outputs=1000, in_channels=3, image_size=(224, 224))
    save_file({name.removeprefix("network."): t.contiguous() for name, t in model.state_dict().items()}, path)
    return str(path)


if __name__ == "__main__":
    raise SystemExit(main())
