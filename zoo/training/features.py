"""Embeddings of a frozen backbone, computed once: heads train from memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo import storage
from zoo.data.augment import Preprocess
from zoo.data.dataset import Dataset, Split
from zoo.data.ids import content_digests
from zoo.data.loader import Batch, Loader
from zoo.recipe import Freeze, Recipe, plain
from zoo.training import kept
from zoo.training.distributed import World
from zoo.training.events import Evaluating
from zoo.training.randomness import Draws
from zoo.training.reading import loader
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
    """What the network trains on: images, or embeddings in their place; `validation` is None where there is no such split."""

    dataset: Dataset
    preprocess: Preprocess
    train: Loader | Views
    validation: Loader | None
    embedded: bool = False


def usable(freeze: Freeze | None, preprocess: Preprocess, regularizers: Regularizers) -> bool:
    """Return whether embeddings can take the place of images: each image looks the same, or in turn as one of so many views."""
    if freeze is None or freeze.stages != "backbone" or regularizers.change_batches:
        return False
    if regularizers.add_outliers and (freeze.views or freeze.unfreeze_after is not None):
        return False  # outliers are embedded with all other images and as they are, or not at all
    return freeze.views > 0 or not preprocess.augments


def embedded_inputs(
    train: Sequence[Dataset], validation: Dataset | None, recipe: Recipe, device: torch.device, world: World
) -> Inputs:
    """Return the inputs of a network that sees embeddings: data with a split `train` for each view, and one with `validation`."""
    sizes, rest = recipe.training, (recipe, device, world)
    loaders = [loader(dataset, "train", *rest, sizes.batch_size) for dataset in train]
    held = None if validation is None else loader(validation, "validation", *rest, sizes.evaluation_batch_size)
    preprocess = Preprocess(train[0].mean, train[0].std, device=device)
    return Inputs(validation or train[0], preprocess, Views(loaders), held, embedded=True)


@dataclass(frozen=True)
class Embedder:
    """Computes embeddings of splits, or finds them where an earlier run has left them.

    They are kept in a file named by a digest of everything that they depend on: the frozen weights, the architecture, the
    transform, the precision, and the contents of the images. They are read from there batch by batch, and what a stopped run has
    computed is there already.
    """

    recipe: Recipe
    model: nn.Module
    images: Inputs
    device: torch.device
    precision: str
    world: World
    used: set[Path] = field(default_factory=set)

    def inputs(self) -> Generator[Evaluating, None, Inputs]:
        """Yield progress and return embeddings in place of images."""
        assert self.recipe.freeze is not None
        views: list[int | None] = list(range(self.recipe.freeze.views)) or [None]
        train = []
        contents = yield from self._contents("train")
        for view in views:
            train.append(self._dataset([(yield from self._split("train", view, contents))]))
        held = [] if self.images.validation is None else [(yield from self._plain("validation"))]
        return embedded_inputs(train, self._dataset(held) if held else None, self.recipe, self.device, self.world)

    def whole(self) -> Generator[Evaluating, None, Dataset]:
        """Yield progress and return the data with embeddings of each image as it is in place of images, in all splits with images."""
        found = []
        for split, part in self.images.dataset.splits.items():
            if len(part):
                found.append((yield from self._plain(split)))
        return self._dataset(found)

    def _contents(self, split: str) -> Generator[Evaluating, None, list[str]]:
        part = self.images.dataset.splits[split]
        digests = content_digests(part)
        while True:
            try:
                done = next(digests)
            except StopIteration as end:
                found: list[str] = end.value
                return found
            if self.world.size == 1:  # after each event processes meet, and others may have less to read
                yield Evaluating(split=f"digests of {split}", done=done, total=len(part))

    def _plain(self, split: str) -> Generator[Evaluating, None, Split]:
        return (yield from self._split(split, None, (yield from self._contents(split))))

    def _split(self, split: str, view: int | None, contents: list[str]) -> Generator[Evaluating, None, Split]:
        embeddings = yield from self._found(split, view, contents)
        return replace(self.images.dataset.splits[split], _pixels=embeddings[:, :, None, None])

    def _dataset(self, found: Sequence[Split]) -> Dataset:
        width = found[0].pixels((1, 1), 0).shape[1]
        return replace(
            self.images.dataset,
            splits={split.name: split for split in found},
            channels=width,
            size=(1, 1),
            mean=(0.0,) * width,
            std=(1.0,) * width,
        )

    def _found(self, split: str, view: int | None, contents: list[str]) -> Generator[Evaluating, None, kept.Array]:
        path = storage.cache_folder("embeddings") / f"{self._key(split, view, contents)}.npy"
        self.used.add(path)
        found = kept.load(path)
        if self.world.max(int(found is None), self.device) == 0 and found is not None:  # all processes decide alike
            return found
        with kept.Rows(path if self.world.size == 1 else None, len(contents)) as rows:
            yield from self._compute(rows, split, view)
            computed = rows.finish()
        if self.world.size > 1:
            computed = self._gathered(path, torch.from_numpy(computed))
        if self.world.leads:
            kept.drop(path.parent, KEPT, self.used)
        return computed

    def _gathered(self, path: Path, mine: Tensor) -> kept.Array:
        """Return the rows of all processes, which the leader keeps."""
        # Processes exchange tensors on their devices.
        whole: kept.Array = self.world.gather(mine.to(self.device)).cpu().numpy()
        with kept.Rows(path if self.world.leads else None, len(whole)) as rows:
            rows.resume([0])
            rows.add(whole)
            return rows.finish()

    @torch.inference_mode()
    def _compute(self, rows: kept.Rows, split: str, view: int | None) -> Generator[Evaluating]:
        model: Any = self.model.eval()
        loader, preprocess = self._images(split), self.images.preprocess
        label = f"embeddings of {split}" if view is None else f"embeddings of {split}, view {view + 1}"
        edges = loader.evaluation_edges()
        start, seed, total = (
            rows.resume([edge - edges[0] for edge in edges]),
            self.recipe.training.seed,
            len(loader.split),
        )
        done = min(total, rows.done * self.world.size)
        for batch in loader.evaluation(None if view is None else (seed, view), start):
            draws = Draws(seed, view or 0, batch.samples)
            pixels = preprocess.evaluate(batch.images) if view is None else preprocess.train(batch.images, draws)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                embeddings = model.forward_head(model.forward_features(pixels), pre_logits=True)
            rows.add(embeddings.float().cpu().numpy())
            done = min(total, done + len(batch.samples) * self.world.size)
            yield Evaluating(split=label, done=done, total=total)
        loader.close()

    def _images(self, split: str) -> Loader:
        there = {"train": self.images.train, "validation": self.images.validation}.get(split)
        if isinstance(there, Loader):
            return there
        size = self.recipe.training.evaluation_batch_size
        return loader(self.images.dataset, split, self.recipe, self.device, self.world, size)

    @torch.inference_mode()
    def _probe(self) -> str:
        """Return a digest of the embedding of one fixed image, rounded: code that was edited has another."""
        model: Any = self.model.eval()
        data = self.images.dataset
        image = torch.linspace(-1, 1, data.channels * data.size[0] * data.size[1], device=self.device)
        pixels = image.view(1, data.channels, *data.size)
        embedding = model.forward_head(model.forward_features(pixels), pre_logits=True).float().cpu()
        return hashlib.blake2b(np.round(embedding.numpy(), 3).tobytes(), digest_size=16).hexdigest()

    def _key(self, split: str, view: int | None, contents: list[str]) -> str:
        data = self.images.dataset
        described = {
            "architecture": [self.recipe.architecture.name, plain(self.recipe.architecture.params)],
            "versions": [__version__, version("timm"), *_provenance(self.recipe)],
            "probe": self._probe(),
            "weights": _digest_of(self.model),
            "image": [data.channels, *data.size],
            "arrangement": self.recipe.data.arrangement,
            "normalization": [data.mean, data.std],
            "view": None if view is None else self._view(split, view),
            "precision": [self.precision, self.device.type, torch.__version__],
            "images": contents,
        }
        return hashlib.blake2b(json.dumps(described, sort_keys=True).encode(), digest_size=16).hexdigest()

    def _view(self, split: str, view: int) -> list[Any]:
        """Return what augmentation depends on: its draws are of the positions of the samples."""
        places = hashlib.blake2b(self.images.dataset.splits[split].samples.tobytes(), digest_size=16).hexdigest()
        return [self.recipe.training.seed, view, plain(self.recipe.augmentation), places]


def _provenance(recipe: Recipe) -> list[str]:
    source = recipe.architecture.provenance
    return [source.plugin, source.distribution, source.version]


def _digest_of(model: nn.Module) -> str:
    """Return a digest of all weights and buffers but the classifier's."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(model.state_dict().items()):
        if not name.startswith(f"{model.classifier}."):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
