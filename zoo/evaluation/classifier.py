"""A trained run as a classifier: images in, class probabilities out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from zoo.data.augment import Preprocess
from zoo.data.images import decode
from zoo.errors import ImageError, ZooError
from zoo.evaluation import tta as augmented
from zoo.recipe import Recipe
from zoo.training.device import choose_device, choose_precision
from zoo.training.model import autocast, build_model, with_head
from zoo.training.run import Run, find_run, stored_recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoo.plugins import Catalog

Image = Path | str | np.ndarray[Any, Any]
BATCH = 64


@dataclass(frozen=True, slots=True)
class Prediction:
    """One image's answer: the best class, its probability, and the `top` (class, probability) pairs, best first.

    For a file that does not decode, `error` says why and the rest is empty.
    """

    path: str
    class_name: str = ""
    probability: float = float("nan")
    top: list[tuple[str, float]] = field(default_factory=list)
    error: str | None = None


class Classifier:
    """The best weights of a run, ready to predict."""

    def __init__(self, run: Run, recipe: Recipe, device: torch.device) -> None:
        self.run = run
        self.recipe = recipe
        self.device = device
        manifest = run.manifest
        self.classes: tuple[str, ...] = tuple(manifest["classes"])
        self.channels, *size = manifest["image"]
        self.size: tuple[int, int] = (size[0], size[1])
        self.dtype = np.dtype(manifest["dtype"])
        self.precision = choose_precision(recipe.training.precision, device)
        model = build_model(recipe, classes=len(self.classes), channels=self.channels, size=self.size, device=device)
        state = run.checkpoints.load_best()
        model.load_state_dict(state.get("evaluation", state["model"]))
        self.network = with_head(model, recipe).eval()
        normalization = manifest["normalization"]
        self.preprocess = Preprocess(
            tuple(normalization["mean"]),
            tuple(normalization["std"]),
            recipe.augmentation,
            device=device,
            arrangement=recipe.data.arrangement,
        )

    def __repr__(self) -> str:
        return f"<Classifier {self.recipe.architecture.name} of {self.run.path}, {len(self.classes)} classes>"

    def predict(self, images: Iterable[Image] | Image, top: int = 1, tta: int = 0) -> list[Prediction]:
        """Return one Prediction per image, in order.

        With `tta` the probabilities are the mean over each image and so many augmented views of it (see `zoo.evaluation.tta`).
        Images are paths of files, or arrays `(C, H, W)` of the run's size, uint8 or, where the run trained on such, float32.
        Raises ImageError for an array of another shape or type, ZooError for `top` below 1 and for views by a run that was trained without augmentation; a file that does not decode becomes
        a Prediction with `error`.
        """
        if isinstance(images, (str, Path)) or (isinstance(images, np.ndarray) and images.ndim == 3):
            images = [images]
        return list(self.stream(images, top, tta))

    def stream(self, images: Iterable[Image], top: int = 1, tta: int = 0) -> Iterator[Prediction]:
        """Yield the predictions of `predict` batch by batch, for more images than memory holds."""
        if top < 1:
            raise ZooError(f"top must be at least 1, got {top} instead", possible=f"1 … {len(self.classes)}")
        augmented.check(self.preprocess, tta)
        source = enumerate(images)
        while batch := list(islice(source, BATCH)):
            yield from self._batch(batch, min(top, len(self.classes)), tta)

    @torch.inference_mode()
    def _batch(self, images: Sequence[tuple[int, Image]], top: int, tta: int) -> list[Prediction]:
        pixels: list[NDArray[Any]] = []
        results: list[Prediction | None] = []
        names = [f"image {i}" if isinstance(image, np.ndarray) else str(image) for i, image in images]
        for (_, image), name in zip(images, names, strict=True):
            try:
                pixels.append(self._pixels(image, name))
                results.append(None)
            except ImageError as error:
                if isinstance(image, np.ndarray):
                    raise
                results.append(Prediction(name, error=error.problem))
        if not pixels:
            return [r for r in results if r is not None]
        batch = torch.from_numpy(np.stack(pixels)).to(self.device)
        context = autocast(self.device, self.precision)
        logits = augmented.logits(self.network, self.preprocess, batch, tta, context)
        values, indices = torch.topk(
            torch.softmax(logits.double() if self.device.type != "mps" else logits.float(), 1), top
        )
        rows = iter(zip(values.tolist(), indices.tolist(), strict=True))
        return [result or self._prediction(name, *next(rows)) for name, result in zip(names, results, strict=True)]

    def _pixels(self, image: Image, name: str) -> NDArray[Any]:
        if not isinstance(image, np.ndarray) and self.dtype != np.uint8:
            raise ImageError(f"{name}: this run was trained on {self.dtype} arrays, not on image files")
        if not isinstance(image, np.ndarray):
            return decode(Path(image), channels=self.channels, size=self.size)
        expected = (self.channels, *self.size)
        if image.shape != expected or image.dtype != self.dtype:
            raise ImageError(
                f"{name} is {image.dtype} {image.shape}",
                possible=f"an array {self.dtype} {expected}, or the path of a file",
            )
        return image

    def _prediction(self, name: str, values: list[float], indices: list[int]) -> Prediction:
        pairs = [(self.classes[index], value) for index, value in zip(indices, values, strict=True)]
        return Prediction(name, pairs[0][0], pairs[0][1], pairs)


def load(run: str | Path | Run, *, device: str = "auto", catalog: Catalog | None = None) -> Classifier:
    """Return the classifier of a run: its path, its name under `runs/`, or `latest`."""
    from zoo.plugins import load_catalog

    found = run if isinstance(run, Run) else find_run(run)
    return Classifier(found, stored_recipe(found, catalog or load_catalog()), choose_device(device))
