"""The proof that a run will start: two real batches through everything that a run does."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import msgspec
import torch

from zoo.data.dataset import Dataset
from zoo.data.loader import Batch, Loader
from zoo.errors import ComponentError
from zoo.evaluation.predictions import forward
from zoo.plugins import Catalog
from zoo.recipe import Recipe
from zoo.training import checkpoint
from zoo.training.choosing import combinations
from zoo.training.device import repeatable
from zoo.training.experiment import Experiment, build
from zoo.training.features import Views
from zoo.training.loop import optimize, set_mode
from zoo.training.progress import Progress

STEPS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What two steps showed. `image` is (channels, height, width); `changes` says what each regularizer changed; `data` is the
    fingerprint of all splits, `test` a digest of which samples are tested, and of what class they are."""

    recipe: str
    device: str
    precision: str
    image: tuple[int, int, int]
    sizes: Mapping[str, int]
    classes: tuple[str, ...]
    parameters: int
    changes: list[tuple[str, str]]
    loss: float
    memory_bytes: int
    seconds_per_step: float
    total_steps: int
    estimated_seconds: float
    checkpoint_bytes: int
    notes: tuple[str, ...]
    data: str
    test: str


def dry_run(recipe: Recipe, *, device: str = "auto", catalog: Catalog | None = None) -> DryRun:
    """Resolve, build, and run two batches through forward, backward, step, evaluation, save and restore; write nothing.

    Of image files, those of the batches and those whose mean is measured are decoded. Raises whatever a run would raise.
    """
    streamed = msgspec.structs.replace(recipe, data=msgspec.structs.replace(recipe.data, memory_limit=0, workers=0))
    x = build(streamed, device=device, catalog=catalog)
    decodes = not x.dataset.fits(recipe.data.memory_limit) or x.dataset.crop(recipe.augmentation) is not None
    with repeatable(recipe.training, recipe.training.threads or torch.get_num_threads()):
        progress = Progress(x.device)
        seconds = _train(x, progress, decodes=decodes)
        evaluation = _evaluate(x)
        loss = float(progress.loss) / progress.seen
        size = _save_and_restore(x, progress)
    x.close()
    return DryRun(
        recipe=recipe.name,
        device=str(x.device),
        precision=x.precision,
        image=(x.dataset.channels, *x.dataset.size),
        sizes={name: len(split) for name, split in x.dataset.splits.items()},
        classes=x.dataset.classes,
        parameters=x.parameters,
        changes=list(x.regularizers.changes),
        loss=loss,
        memory_bytes=_peak_memory(x.device),
        seconds_per_step=seconds,
        total_steps=x.total_steps,
        estimated_seconds=_estimate(x, seconds, evaluation),
        checkpoint_bytes=size,
        notes=x.notes,
        data=x.dataset.fingerprint,
        test=_digest(x.dataset),
    )


def _estimate(x: Experiment, step: float, evaluation: float) -> float:
    """Return the seconds of a whole run, from those of a step and of a batch of validation.

    Where embeddings will take the place of images, images are forwarded until then only: once, or once for each view.
    """
    freeze, epochs = x.recipe.freeze, math.ceil(x.total_steps / x.steps_per_epoch)
    validation = evaluation * (x.validation.batches_per_epoch if x.validation is not None else 0)
    if freeze is None or not x.embeds:
        heads = 1 + (len(combinations(x.recipe)) if freeze is not None and freeze.choose else 0)
        return heads * (step * x.total_steps + epochs * validation)
    forwarded = max(1, freeze.views) * step * x.steps_per_epoch + 3 * validation
    if freeze.unfreeze_after is None:
        return forwarded
    left = max(0, epochs - freeze.unfreeze_after)
    return forwarded + left * (step * x.steps_per_epoch + validation)


def _digest(dataset: Dataset) -> str:
    split = dataset.splits.get("test")
    return "" if split is None else hashlib.blake2b(split.samples.tobytes() + split.labels.tobytes()).hexdigest()[:16]


def _train(x: Experiment, progress: Progress, *, decodes: bool) -> float:
    """Do two steps, the second batch following the first; return the seconds of the last, with decoding where a run decodes."""
    seconds = math.nan
    set_mode(x, training=True)
    for batch in islice(_endless(x.train, x.recipe.training.seed), STEPS):
        began = time.perf_counter()
        optimize(x, progress, batch)
        progress.step += 1
        float(progress.loss)  # waits for the device
        seconds = time.perf_counter() - began + decodes * batch.waited
    return seconds


def _endless(loader: Loader | Views, seed: int) -> Iterator[Batch]:
    epoch = 0
    while True:
        yield from loader.training(seed, epoch)
        epoch += 1


def _evaluate(x: Experiment) -> float:
    set_mode(x, training=False)
    x.finish_evaluation_model()
    if x.validation is None:
        return 0.0
    network = x.evaluation_network().eval()
    began = time.perf_counter()
    done = 0
    for _, _, logits in islice(forward(network, x.validation, x.preprocess, x.autocast()), STEPS):
        if not bool(torch.isfinite(logits).all()):
            raise ComponentError(f"{x.recipe.architecture!r} gives logits that are not finite after two steps")
        done += 1
    return (time.perf_counter() - began) / max(1, done)


def _save_and_restore(x: Experiment, progress: Progress) -> int:
    files = checkpoint.dumps({**x.state_dict(), "progress": progress.state_dict()})
    state = checkpoint.loads(files)
    x.load_state_dict(state)
    progress.load_state_dict(state["progress"])
    if checkpoint.dumps({**x.state_dict(), "progress": progress.state_dict()}) != files:
        raise ComponentError(
            "saving and restoring changed the state", hint="zoo plugin check on the plugins of this recipe"
        )
    return sum(len(data) for data in files.values())


def _peak_memory(device: torch.device) -> int:
    """Return the peak memory in bytes: of the device on cuda, of this process elsewhere."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import sys

    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes on Linux
