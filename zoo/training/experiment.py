"""A recipe turned into objects: data, model, optimizer, regularizers, on one device."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from zoo.bases import Context
from zoo.components import OptimizerSpec
from zoo.data.augment import Preprocess
from zoo.data.dataset import Dataset
from zoo.data.loader import Loader
from zoo.plugins import Catalog
from zoo.recipe import Recipe
from zoo.training.device import choose_device, choose_precision
from zoo.training.distillation import Distillation, teach
from zoo.training.distributed import World
from zoo.training.events import Evaluating
from zoo.training.features import Embedder, Head, Inputs, Views, embedded_inputs, usable
from zoo.training.freezing import Frozen
from zoo.training.model import autocast, build_model, fill, size_note, with_head, wrapped
from zoo.training.optimizer import build_optimizer, restore_optimizer
from zoo.training.outliers import outliers
from zoo.training.reading import loader, prepare_data
from zoo.training.regularizers import Regularizers

DEFAULT_EPOCHS = 10


@dataclass
class Experiment:
    """Everything one training needs. `network` is what the training forward calls: `model` with its wrappers.

    `inputs` are the images, or the embeddings of a frozen backbone in their place: then `network` is the classifier alone.
    """

    recipe: Recipe
    device: torch.device
    precision: str
    world: World
    model: nn.Module
    network: nn.Module
    optimizer: torch.optim.Optimizer
    regularizers: Regularizers
    images: Inputs
    inputs: Inputs
    frozen: Frozen | None
    distillation: Distillation | None
    notes: tuple[str, ...]

    @property
    def dataset(self) -> Dataset:
        return self.images.dataset

    @property
    def preprocess(self) -> Preprocess:
        return self.inputs.preprocess

    @property
    def train(self) -> Loader | Views:
        return self.inputs.train

    @property
    def validation(self) -> Loader | None:
        return self.inputs.validation

    @property
    def steps_per_epoch(self) -> int:
        return self.train.batches_per_epoch

    @property
    def total_steps(self) -> int:
        return total_steps(self.recipe, self.steps_per_epoch)

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.model.parameters())

    @property
    def embeds(self) -> bool:
        """Whether embeddings can take the place of images; a teacher sees images."""
        return self.distillation is None and usable(self.recipe.freeze, self.preprocess, self.regularizers)

    def autocast(self) -> torch.autocast:
        """Return the context in which forwards run."""
        return autocast(self.device, self.precision)

    def losses(self, logits: Tensor, targets: Tensor, images: Tensor) -> Tensor:
        """Return the loss per sample `(B,)` of logits `(B, C)` that the network gave for these images."""
        own = self.regularizers.loss(logits.float(), targets)
        return own if self.distillation is None else self.distillation.loss(own, logits, images)

    def finish_evaluation_model(self) -> None:
        """Let the regularizers finish the model that is evaluated; then each process has the leader's running statistics."""
        self.world.share(self.model.buffers())  # each process has its own, and the leader's are saved
        evaluated = self.regularizers.evaluation_model(self.model)
        self.regularizers.finalize(
            evaluated, lambda: (self.images.preprocess.evaluate(b.images) for b in self.images.train.evaluation())
        )
        if evaluated is not self.model:
            self.world.share(evaluated.buffers())

    def evaluation_network(self, *, images: bool = False) -> nn.Module:
        """Return the model to evaluate, with logits `(B, number of classes)`; with `images`, for these whatever the inputs are."""
        model = self.regularizers.evaluation_model(self.model)
        inputs = self.images if images else self.inputs
        return with_head(Head(model) if inputs.embedded else model, self.recipe)

    def begin_epoch(self, epoch: int) -> Generator[Evaluating]:
        """Thaw what is to be trained from this epoch on, or put embeddings in place of images; yields progress."""
        freeze = self.recipe.freeze
        if self.frozen is None or freeze is None:
            return
        if freeze.unfreeze_after is not None and epoch >= freeze.unfreeze_after:
            self.thaw()
        elif not self.inputs.embedded and self.embeds:
            embedder = Embedder(self.recipe, self.model, self.images, self.device, self.precision, self.world)
            self.inputs = yield from embedder.inputs()
            self.network = wrapped(with_head(Head(self.model), self.recipe), self.recipe, self.device, self.world)

    def thaw(self) -> None:
        """Train everything from now on, what was frozen at a lower rate; the optimizer begins anew."""
        assert self.frozen is not None and self.recipe.freeze is not None
        self.frozen.release(self.model, self.regularizers.evaluation_model(self.model))
        names, self.frozen = self.frozen.names, None
        self.inputs = self.images
        self.network = wrapped(with_head(self.model, self.recipe), self.recipe, self.device, self.world)
        self.optimizer = build_optimizer(
            self.recipe, self.model, self.regularizers.parameter_groups(names, self.recipe.freeze.lr_scale)
        )

    def close(self) -> None:
        """End the processes that decode."""
        for inputs in (self.images, self.inputs):
            inputs.train.close()
            if inputs.validation is not None:
                inputs.validation.close()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of model, optimizer and regularizers; `evaluation` only where other weights are evaluated."""
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "regularizers": self.regularizers.state_dict(),
            "frozen": self.frozen is not None,
        }
        evaluated = self.regularizers.evaluation_model(self.model)
        if evaluated is not self.model:
            state["evaluation"] = evaluated.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned, bit by bit."""
        if self.frozen is not None and not state["frozen"]:
            self.thaw()
        self.model.load_state_dict(state["model"])
        restore_optimizer(self.optimizer, state["optimizer"])
        self.regularizers.load_state_dict(state["regularizers"])
        evaluated = self.regularizers.evaluation_model(self.model)
        if "evaluation" in state:
            evaluated.load_state_dict(state["evaluation"])


def total_steps(recipe: Recipe, steps_per_epoch: int) -> int:
    """Return how many optimizer steps the recipe asks for."""
    training = recipe.training
    return training.steps or (training.epochs or DEFAULT_EPOCHS) * steps_per_epoch


def build(
    recipe: Recipe,
    *,
    device: str = "auto",
    world: World | None = None,
    dataset: Dataset | None = None,
    embedded: Dataset | None = None,
    fresh: bool = True,
    catalog: Catalog | None = None,
) -> Experiment:
    """Return the experiment of a recipe; reads and checks the data, builds everything, trains nothing.

    Unless `fresh`, weights from elsewhere are not read: a checkpoint will take their place. With the images of `dataset`
    `embedded` by the frozen backbone already, they are not read either. A teacher is made of the plugins of `catalog`, by
    default of those that are installed.
    """
    place = choose_device(device)
    world = world or World.current(place)
    dataset = dataset or prepare_data(recipe)
    model = build_model(
        recipe, classes=len(dataset.classes), channels=dataset.channels, size=dataset.size, device=place
    )
    notes = [*recipe.notes, *dataset.notes, *size_note(recipe, model)]
    if fresh and recipe.weights is not None:
        notes += fill(model, recipe)
    frozen = None if recipe.freeze is None else Frozen(model, recipe.freeze, recipe.architecture.name)
    if frozen is not None and recipe.weights is None:
        notes.append("what is frozen keeps its random weights, because the recipe names none (weights)")
    if embedded is None:
        images = _images(recipe, dataset, place, world)
    else:
        images = embedded_inputs(
            [embedded], embedded if "validation" in embedded.splits else None, recipe, place, world
        )
    distillation = teach(recipe, dataset, images.preprocess, place, catalog)
    notes += [] if distillation is None else [distillation.note]
    regularizers = Regularizers(recipe.regularizers, _context(recipe, model, images))
    notes += regularizers.notes
    return Experiment(
        recipe=recipe,
        device=place,
        precision=choose_precision(recipe.training.precision, place),
        world=world,
        model=model,
        network=wrapped(with_head(Head(model) if images.embedded else model, recipe), recipe, place, world),
        optimizer=build_optimizer(recipe, model, regularizers.parameter_groups()),
        regularizers=regularizers,
        images=images,
        inputs=images,
        frozen=frozen,
        distillation=distillation,
        notes=tuple(notes),
    )


def _images(recipe: Recipe, dataset: Dataset, device: torch.device, world: World) -> Inputs:
    crop, size = dataset.crop(recipe.augmentation), recipe.training.evaluation_batch_size
    train = loader(dataset, "train", recipe, device, world, recipe.training.batch_size, crop)
    there = "validation" in dataset.splits
    validation = loader(dataset, "validation", recipe, device, world, size) if there else None
    preprocess = Preprocess(
        dataset.mean,
        dataset.std,
        recipe.augmentation,
        device=device,
        cropped=crop is not None,
        arrangement=recipe.data.arrangement,
    )
    return Inputs(dataset, preprocess, train, validation)


def with_recipe(x: Experiment, recipe: Recipe, model: nn.Module) -> Experiment:
    """Return the experiment with a model that is its own or a copy of it, and all else of a recipe that differs in settings.

    The data, the architecture and what is frozen must be the same.
    """
    regularizers = Regularizers(recipe.regularizers, _context(recipe, model, x.images))
    network = Head(model) if x.inputs.embedded else model
    return replace(
        x,
        recipe=recipe,
        model=model,
        network=wrapped(with_head(network, recipe), recipe, x.device, x.world),
        optimizer=build_optimizer(recipe, model, regularizers.parameter_groups()),
        regularizers=regularizers,
    )


def _context(recipe: Recipe, model: nn.Module, images: Inputs) -> Context:
    spec = recipe.optimizer.spec
    assert isinstance(spec, OptimizerSpec)
    classes = len(images.dataset.classes)
    labels = torch.from_numpy(images.dataset.splits["train"].labels)
    return Context(
        model=model,
        num_classes=classes,
        class_counts=torch.bincount(labels, minlength=classes).tolist(),
        train_size=len(labels),
        steps_per_epoch=images.train.batches_per_epoch,
        total_steps=total_steps(recipe, images.train.batches_per_epoch),
        loss=recipe.loss,
        weight_decay=spec.decay_form(recipe.optimizer.params),
        outliers=outliers(images.dataset, images.preprocess, recipe.data.workers),
    )
