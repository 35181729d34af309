"""Learning from a finished run: the loss that pulls a network towards what its teacher answers to the same images.

Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network", NIPS Deep Learning Workshop 2014, arXiv:1503.02531,
2015. Teacher and student see the same augmented images, as Beyer et al., "Knowledge distillation: a good teacher is patient
and consistent", CVPR 2022, recommend.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.data.augment import Preprocess
from zoo.data.dataset import Dataset
from zoo.data.ids import content_digests, finished
from zoo.errors import DataError, RunError
from zoo.evaluation.classifier import Classifier, load
from zoo.evaluation.evaluate import trained_on
from zoo.plugins import Catalog
from zoo.recipe import Distill, Recipe
from zoo.training.model import autocast
from zoo.training.run import Run, find_run
from zoo.wording import few


class View:
    """Turns images made ready for a student into what a teacher would have made of the same pixels."""

    def __init__(self, student: Preprocess, teacher: Preprocess, size: tuple[int, int]) -> None:
        self.size = size
        (bias, scale), (own_bias, own_scale) = student.affine, teacher.affine
        self._scale = own_scale / scale
        self._bias = own_bias - bias * self._scale

    def __call__(self, images: Tensor) -> Tensor:
        """Return float32 `(B, teacher's channels, *size)`; grey becomes colour by repetition."""
        seen = torch.addcmul(self._bias, images.float(), self._scale)
        if seen.shape[2:] == self.size:
            return seen
        return functional.interpolate(seen, size=self.size, mode="bilinear", antialias=True)


@dataclass(frozen=True)
class Distillation:
    """A teacher ready to be asked; `columns` int64 `(C,)` say which of its classes each of the student's is."""

    settings: Distill
    run: Run
    network: nn.Module
    view: View
    columns: Tensor
    precision: str

    def loss(self, own: Tensor, logits: Tensor, images: Tensor) -> Tensor:
        """Return the loss per sample `(B,)`: weight · T² · KL(teacher ‖ student) at temperature T + (1 - weight) · own.

        `images` are those that the student saw, mixed ones included, and `logits` `(B, C)` what it made of them. The factor T²
        keeps the gradient's size independent of T.
        """
        weight, temperature = self.settings.weight, self.settings.temperature
        student, teacher = (
            functional.log_softmax(z.float() / temperature, dim=1) for z in (logits, self.logits(images))
        )
        apart = functional.kl_div(student, teacher, reduction="none", log_target=True).sum(1)
        return weight * temperature**2 * apart + (1 - weight) * own

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """Return the teacher's logits `(B, C)`, in evaluation mode, its columns in the order of the student's classes."""
        with autocast(images.device, self.precision):
            answers: Tensor = self.network(self.view(images))
        return answers.index_select(1, self.columns)

    @property
    def note(self) -> str:
        """Who teaches, in words."""
        settings = self.settings
        return (
            f"taught by {self.run.recipe_name} of {self.run.path}, temperature {settings.temperature:g},"
            f" {settings.weight:.0%} of the loss"
        )

    def require_same(self, manifest: dict[str, Any]) -> None:
        """Raise RunError where the teacher's weights are not those that a run began with."""
        if self.run.origin["sha256"] != manifest["teacher"]["sha256"]:
            raise RunError(
                f"the teacher {self.run.path} has other weights than when this run began",
                possible="the teacher as it was, or a new run",
                hint="restore the teacher, or train anew",
            )


def pinned(recipe: Recipe) -> Recipe:
    """Return the recipe with the absolute path of its teacher: `latest`, for one, is another run tomorrow.

    Raises UnknownNameError where there is no such run.
    """
    if recipe.distill is None:
        return recipe
    teacher = str(find_run(str(Path(recipe.distill.teacher).expanduser())).path.absolute())
    return msgspec.structs.replace(recipe, distill=msgspec.structs.replace(recipe.distill, teacher=teacher))


def teach(
    recipe: Recipe, dataset: Dataset, student: Preprocess, device: torch.device, catalog: Catalog | None
) -> Distillation | None:
    """Return the teacher that the recipe asks for, or None.

    Raises UnknownNameError where there is no such run; RunError for one that is not finished, knows other classes, was trained on
    images that cannot be made of the student's, or on images of the student's validation and test.
    """
    if recipe.distill is None:
        return None
    run = find_run(str(Path(recipe.distill.teacher).expanduser()))
    if (status := run.status) != "finished":
        raise RunError(f"the teacher {run.path} is not finished: it is {status}", hint=f"zoo train --resume {run.path}")
    teacher = load(run, device=str(device), catalog=catalog)
    _require_same_form(teacher, dataset, recipe)
    _require_unseen(teacher, recipe, dataset)
    columns = torch.tensor([teacher.classes.index(name) for name in dataset.classes], device=device)
    return Distillation(
        settings=recipe.distill,
        run=run,
        network=teacher.network.requires_grad_(False),
        view=View(student, teacher.preprocess, teacher.size),
        columns=columns,
        precision=teacher.precision,
    )


def _require_same_form(teacher: Classifier, dataset: Dataset, recipe: Recipe) -> None:
    """Raise RunError, naming what differs, where the teacher cannot look at the student's images or names other classes."""
    wrong = []
    if set(teacher.classes) != set(dataset.classes):
        wrong.append(f"its classes are {few(teacher.classes)}, and this run's {few(dataset.classes)}")
    if str(teacher.dtype) != dataset.dtype:
        wrong.append(f"it was trained on {teacher.dtype}, and this run's images are {dataset.dtype}")
    if teacher.channels not in (dataset.channels, 3 if dataset.channels == 1 else dataset.channels):
        wrong.append(f"its images have {_channels(teacher.channels)}, and this run's {_channels(dataset.channels)}")
    if teacher.recipe.data.arrangement != recipe.data.arrangement:
        words = [str(each.data.arrangement or "none") for each in (teacher.recipe, recipe)]
        wrong.append(f"its data.arrangement is {words[0]}, and this run's {words[1]}")
    elif recipe.data.arrangement is not None and teacher.size != dataset.size:
        wrong.append("its images have another size, and pixels that have changed places cannot be resized")
    (height, width), (own_height, own_width) = teacher.size, dataset.size
    if height * own_width != width * own_height or (height == 1) != (own_height == 1):
        wrong.append(f"its images are {height}×{width}, and this run's {own_height}×{own_width}")
    if wrong:
        raise RunError(
            f"{teacher.run.path} cannot teach this run: {'; '.join(wrong)}",
            possible="a teacher with the same classes, on images of the same kind and shape; another size, and colour for grey,"
            " are no hindrance",
            hint="zoo runs, then distill.teacher=RUN",
        )


def _channels(count: int) -> str:
    return f"{count} channel{'s' * (count != 1)}"


def _require_unseen(teacher: Classifier, recipe: Recipe, dataset: Dataset) -> None:
    """Raise RunError where the teacher was trained on images that the student is validated or tested on.

    The same data and splits have the same fingerprint. Else the images themselves are looked at; those that the student has in
    train as well are its own affair.
    """
    if teacher.run.manifest["environment"]["data"] == dataset.fingerprint:
        return
    try:
        taught = trained_on(teacher)
    except DataError as error:
        raise RunError(
            f"the teacher {teacher.run.path} was trained on other data or splits than this run's, which cannot be looked at:"
            f" {error.problem}",
            possible="a teacher of this run's data and splits, or one whose data is still there",
        ) from error
    learned = set(finished(content_digests(dataset.splits["train"])))
    for name in ("validation", "test"):
        held = finished(content_digests(dataset.splits[name])) if name in dataset.splits else []
        if shared := sum(digest in taught and digest not in learned for digest in held):
            raise RunError(
                f"the teacher {teacher.run.path} was trained on {shared} of the {len(held)} images of this run's {name} split:"
                f" {_differing(teacher.recipe, recipe)}",
                possible="a teacher that was trained on the same splits",
                hint=f"zoo train {teacher.recipe.name}, with this run's data and splits",
            )


def _differing(teacher: Recipe, student: Recipe) -> str:
    """Return in words which settings of the data decide the splits and differ."""
    first, second = teacher.to_dict()["data"], student.to_dict()["data"]
    free = ("image_size", "normalization", "workers", "memory_limit")
    paths = [key for key in {**first, **second} if key not in free and first.get(key) != second.get(key)]
    words = [f"data.{key} was {first.get(key)}, and is {second.get(key)} here" for key in paths]
    return "; ".join(words) or "the data has changed since"
