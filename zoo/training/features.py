"""Embeddings of a frozen backbone, computed once: heads train from memory."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zoo import storage
from zoo.data.augment import Preprocess
from zoo.data.dataset import Dataset
from zoo.data.ids import content_digests
from zoo.data.loader import Batch, Loader
from zoo.errors import ZooError
from zoo.recipe import Freeze, Recipe, plain
from zoo.training.distributed import World
from zoo.training.events import Evaluating
from zoo.training.randomness import Draws
from zoo.training.regularizers import Regularizers
from zoo.version import __version__

KEPT = 4 * 2**30  # bytes of embeddings on disk; the ones used longest ago go first


class Head(nn.Module):
    """The classifier of a model, on embeddings `(B, D, 1, 1)`; it shares its weights with the model."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.classifier = model.get_submodule(str(model.classifier))

    def forward(self, embeddings: Tensor) -> Tensor:
        outputs: Tensor = self.classifier(embeddings.flatten(1))
        return outputs


class Views:
    """Loaders of the same samples, of which each epoch reads the next."""

    def __init__(self, loaders: list[Loader]) -> None:
        self.loaders = loaders
        self.split = loaders[0].split
        self.batches_per_epoch = loaders[0].batches_per_epoch

    def training(self, seed: int, epoch: int, start: int = 0, weights: Tensor | None = None) -> Iterator[Batch]:
        """Yield the batches of an epoch as `Loader.training` does."""
        return self.loaders[epoch % len(self.loaders)].training(seed, epoch, start, weights)

    def evaluation(self) -> Iterator[Batch]:
        """Yield the batches of the first view."""
        return self.loaders[0].evaluation()

    def close(self) -> None:
        """Do nothing: what is in memory needs no processes."""


@dataclass
class Inputs:
    """What the network trains on: images, or embeddings in their place."""

    dataset: Dataset
    preprocess: Preprocess
    train: Loader | Views
    validation: Loader


def usable(freeze: Freeze | None, preprocess: Preprocess, regularizers: Regularizers) -> bool:
    """Return whether embeddings can take the place of images: each image looks the same, or in turn as one of so many views."""
    if freeze is None or freeze.stages != "backbone" or regularizers.change_batches:
        return False
    return freeze.views > 0 or not preprocess.augments


@dataclass(frozen=True)
class Embedder:
    """Computes embeddings of splits, or finds them where an earlier run has left them.

    They are kept in a file named by a digest of everything that they depend on: the frozen weights, the architecture, the
    transform, the precision, and the contents of the images.
    """

    recipe: Recipe
    model: nn.Module
    images: Inputs
    device: torch.device
    precision: str
    world: World

    def inputs(self) -> Generator[Evaluating, None, Inputs]:
        """Yield progress and return embeddings in place of images."""
        assert self.recipe.freeze is not None
        views: list[int | None] = list(range(self.recipe.freeze.views)) or [None]
        train = []
        for view in views:
            train.append((yield from self._dataset("train", view)))
        validation = yield from self._dataset("validation", None)
        loaders = [self._loader(dataset, "train", self.recipe.training.batch_size) for dataset in train]
        return Inputs(
            dataset=validation,
            preprocess=Preprocess(validation.mean, validation.std, device=self.device),
            train=Views(loaders),
            validation=self._loader(validation, "validation", self.recipe.training.evaluation_batch_size),
        )

    def _loader(self, dataset: Dataset, split: str, batch_size: int) -> Loader:
        return Loader(
            dataset, split, device=self.device, batch_size=batch_size, workers=0,
            memory_limit=self.recipe.data.memory_limit, rank=self.world.rank, world=self.world.size,
        )  # fmt: skip

    def _dataset(self, split: str, view: int | None) -> Generator[Evaluating, None, Dataset]:
        data = self.images.dataset
        embeddings = yield from self._found(split, view)
        width = embeddings.shape[1]
        held = replace(data.splits[split], _pixels=embeddings[:, :, None, None])
        return replace(data, splits={split: held}, channels=width, size=(1, 1), mean=(0.0,) * width, std=(1.0,) * width)

    def _found(self, split: str, view: int | None) -> Generator[Evaluating, None, NDArray[np.float32]]:
        path = folder() / f"{self._key(split, view)}.npy"
        kept = _kept(path)
        if self.world.max(int(kept is None), self.device) == 0 and kept is not None:  # all processes decide alike
            return kept
        computed = yield from self._computed(split, view)
        if self.world.leads:
            _keep(path, computed)
        return computed

    @torch.inference_mode()
    def _computed(self, split: str, view: int | None) -> Generator[Evaluating, None, NDArray[np.float32]]:
        model: Any = self.model.eval()
        loader, preprocess = (self.images.train if split == "train" else self.images.validation), self.images.preprocess
        assert isinstance(loader, Loader)
        label = f"embeddings of {split}" if view is None else f"embeddings of {split}, view {view + 1}"
        rows: list[Tensor] = []
        done, total = 0, len(loader.split)
        seed = self.recipe.training.seed
        for batch in loader.evaluation(None if view is None else (seed, view)):
            draws = Draws(seed, view or 0, batch.samples)
            pixels = preprocess.evaluate(batch.images) if view is None else preprocess.train(batch.images, draws)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                rows.append(model.forward_head(model.forward_features(pixels), pre_logits=True).float().cpu())
            done = min(total, done + len(batch.samples) * self.world.size)
            yield Evaluating(split=label, done=done, total=total)
        loader.close()
        mine = torch.cat(rows)
        # Processes exchange tensors on their devices; alone, embeddings stay in the host's memory.
        gathered: NDArray[np.float32] = (
            mine if self.world.size == 1 else self.world.gather(mine.to(self.device)).cpu()
        ).numpy()
        return gathered

    @torch.inference_mode()
    def _probe(self) -> str:
        """Return a digest of the embedding of one fixed image, rounded: code that was edited has another."""
        model: Any = self.model.eval()
        data = self.images.dataset
        image = torch.linspace(-1, 1, data.channels * data.size[0] * data.size[1], device=self.device)
        pixels = image.view(1, data.channels, *data.size)
        embedding = model.forward_head(model.forward_features(pixels), pre_logits=True).float().cpu()
        return hashlib.blake2b(np.round(embedding.numpy(), 3).tobytes(), digest_size=16).hexdigest()

    def _key(self, split: str, view: int | None) -> str:
        data = self.images.dataset
        described = {
            "architecture": [self.recipe.architecture.name, plain(self.recipe.architecture.params)],
            "versions": [__version__, version("timm"), *_provenance(self.recipe)],
            "probe": self._probe(),
            "weights": _digest_of(self.model),
            "image": [data.channels, *data.size],
            "normalization": [data.mean, data.std],
            "view": None if view is None else [self.recipe.training.seed, view, plain(self.recipe.augmentation)],
            "precision": [self.precision, self.device.type, torch.__version__],
            "images": content_digests(data.splits[split]),
        }
        return hashlib.blake2b(json.dumps(described, sort_keys=True).encode(), digest_size=16).hexdigest()


def _provenance(recipe: Recipe) -> list[str]:
    source = recipe.architecture.provenance
    return [source.plugin, source.distribution, source.version]


def folder() -> Path:
    """Return where embeddings are kept: `ZOO_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("ZOO_CACHE") or platformdirs.user_cache_path("zoo")) / "embeddings"


def _kept(path: Path) -> NDArray[np.float32] | None:
    try:
        kept: NDArray[np.float32] = np.load(path, mmap_mode="c", allow_pickle=False)
        path.touch()  # used now
    except (OSError, ValueError):  # there is none, or it is damaged: it is computed anew
        return None
    return kept


def _keep(path: Path, embeddings: NDArray[np.float32]) -> None:
    """Write embeddings, where the disk takes them, and drop the ones used longest ago beyond what is kept."""
    buffer = io.BytesIO()
    np.save(buffer, embeddings, allow_pickle=False)
    try:
        storage.make_folder(path.parent)
        storage.write_bytes(path, buffer.getvalue())
    except ZooError:  # a cache is a convenience: the run goes on from memory
        return
    with suppress(OSError):  # another run may drop files at the same time
        files = [(file.stat(), file) for file in path.parent.glob("*.npy")]
        total = 0
        for status, file in sorted(files, key=lambda found: -found[0].st_mtime):
            total += status.st_size
            if total > KEPT and file != path:
                file.unlink(missing_ok=True)


def _digest_of(model: nn.Module) -> str:
    """Return a digest of all weights and buffers but the classifier's."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(model.state_dict().items()):
        if not name.startswith(f"{model.classifier}."):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
