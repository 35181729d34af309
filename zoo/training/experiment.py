"""A recipe turned into objects: data, model, optimizer, regularizers, on one device."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from zoo.bases import Context
from zoo.components import ArchitectureSpec, OptimizerSpec
from zoo.data.augment import Preprocess
from zoo.data.dataset import Dataset, prepare
from zoo.data.loader import Loader
from zoo.errors import ComponentError
from zoo.guard import guarded
from zoo.recipe import Recipe
from zoo.training.device import choose_device, choose_precision
from zoo.training.distributed import World
from zoo.training.losses import SigmoidOutput
from zoo.training.randomness import stream
from zoo.training.regularizers import Regularizers

LARGE = 200_000_000
DEFAULT_EPOCHS = 10


@dataclass
class Experiment:
    """Everything one training needs. `network` is what the training forward calls: `model` with its wrappers."""

    recipe: Recipe
    dataset: Dataset
    device: torch.device
    precision: str
    world: World
    model: nn.Module
    network: nn.Module
    optimizer: torch.optim.Optimizer
    regularizers: Regularizers
    preprocess: Preprocess
    train: Loader
    validation: Loader
    notes: tuple[str, ...]

    @property
    def steps_per_epoch(self) -> int:
        return self.train.batches_per_epoch

    @property
    def total_steps(self) -> int:
        return total_steps(self.recipe, self.steps_per_epoch)

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.model.parameters())

    def autocast(self) -> torch.autocast:
        """Return the context in which forwards run."""
        return autocast(self.device, self.precision)

    def finish_evaluation_model(self) -> None:
        """Let the regularizers finish the model that is evaluated; then each process has the leader's running statistics."""
        self.world.share(self.model.buffers())  # each process has its own, and the leader's are saved
        evaluated = self.regularizers.evaluation_model(self.model)
        self.regularizers.finalize(
            evaluated, lambda: (self.preprocess.evaluate(batch.images) for batch in self.train.evaluation())
        )
        if evaluated is not self.model:
            self.world.share(evaluated.buffers())

    def evaluation_network(self) -> nn.Module:
        """Return the model to evaluate, with logits `(B, number of classes)`."""
        return with_head(self.regularizers.evaluation_model(self.model), self.recipe)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of model, optimizer and regularizers; `evaluation` only where other weights are evaluated."""
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "regularizers": self.regularizers.state_dict(),
        }
        evaluated = self.regularizers.evaluation_model(self.model)
        if evaluated is not self.model:
            state["evaluation"] = evaluated.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned, bit by bit."""
        self.model.load_state_dict(state["model"])
        restore_optimizer(self.optimizer, state["optimizer"])
        self.regularizers.load_state_dict(state["regularizers"])
        evaluated = self.regularizers.evaluation_model(self.model)
        if "evaluation" in state:
            evaluated.load_state_dict(state["evaluation"])


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the context in which a forward pass of this precision runs."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def with_head(model: nn.Module, recipe: Recipe) -> nn.Module:
    """Return the model with one logit per class at its end."""
    return SigmoidOutput(model) if recipe.loss == "bce" else model


def total_steps(recipe: Recipe, steps_per_epoch: int) -> int:
    """Return how many optimizer steps the recipe asks for."""
    training = recipe.training
    return training.steps or (training.epochs or DEFAULT_EPOCHS) * steps_per_epoch


def build_model(
    recipe: Recipe, *, classes: int, channels: int, size: tuple[int, int], device: torch.device
) -> nn.Module:
    """Return the recipe's architecture with seeded weights on the device.

    Raises ComponentError when it does not accept images of `(channels, *size)` or gives other than one output per class.
    """
    if recipe.loss == "bce" and classes != 2:
        raise ComponentError(
            f"loss bce needs two classes, and the data has {classes}",
            possible="loss: cross-entropy, or two classes",
            hint="loss=cross-entropy, or data.classes=[…,…]",
        )
    outputs = 1 if recipe.loss == "bce" else classes
    with stream(recipe.training.seed, "init", 0):
        model = recipe.architecture.build(num_outputs=outputs, in_channels=channels, image_size=size)
        if not isinstance(model, nn.Module):
            raise ComponentError(
                f"{recipe.architecture!r} must build a torch.nn.Module, got {type(model).__name__} instead"
            )
        label = f"{recipe.architecture!r} on images of {channels}×{size[0]}×{size[1]}"
        with guarded(label, ComponentError), torch.inference_mode():
            shape = tuple(model.eval()(torch.zeros(2, channels, *size)).shape)
    if shape != (2, outputs):
        raise ComponentError(f"{label} must give logits of shape (2, {outputs}), got {shape} instead")
    memory = torch.channels_last if recipe.training.channels_last else torch.preserve_format
    return model.to(device).to(memory_format=memory)


def restore_optimizer(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Put a saved state in place, keeping dtypes; `Optimizer.load_state_dict` would cast them to the parameters'."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for group, values in zip(optimizer.param_groups, saved["param_groups"], strict=True):
        group.update({key: value for key, value in values.items() if key not in {"params", "param_names"}})
    optimizer.state.clear()
    for index, values in saved["state"].items():
        parameter = parameters[index]
        optimizer.state[parameter] = {key: _placed(value, parameter) for key, value in values.items()}


def _placed(value: Any, parameter: torch.Tensor) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    if value.shape == parameter.shape:
        return torch.empty_like(parameter, dtype=value.dtype).copy_(value)
    # torch keeps scalar step counts on the CPU; anything else belongs beside the parameter.
    return value.clone() if value.ndim == 0 else value.to(parameter.device)


def prepare_data(recipe: Recipe) -> Dataset:
    """Return the recipe's data with splits cut and sizes chosen."""
    spec = recipe.architecture.spec
    assert isinstance(spec, ArchitectureSpec)
    facts = spec.facts(recipe.architecture.params)
    return prepare(
        recipe.data,
        recipe.source,
        min_size=facts.min_size,
        preferred_size=facts.preferred_size,
        architecture=recipe.architecture.name,
    )


def build(
    recipe: Recipe, *, device: str = "auto", world: World | None = None, dataset: Dataset | None = None
) -> Experiment:
    """Return the experiment of a recipe; reads and checks the data, builds everything, trains nothing."""
    place = choose_device(device)
    world = world or World.current(place)
    precision = choose_precision(recipe.training.precision, place)
    dataset = dataset or prepare_data(recipe)
    classes = len(dataset.classes)
    model = build_model(recipe, classes=classes, channels=dataset.channels, size=dataset.size, device=place)
    train, validation = (
        loader(dataset, split, recipe, place, world, size)
        for split, size in (
            ("train", recipe.training.batch_size),
            ("validation", recipe.training.evaluation_batch_size),
        )
    )
    spec = recipe.optimizer.spec
    assert isinstance(spec, OptimizerSpec)
    labels = torch.from_numpy(dataset.splits["train"].labels)
    context = Context(
        model=model,
        num_classes=classes,
        class_counts=torch.bincount(labels, minlength=classes).tolist(),
        train_size=len(labels),
        steps_per_epoch=train.batches_per_epoch,
        total_steps=total_steps(recipe, train.batches_per_epoch),
        loss=recipe.loss,
        weight_decay=spec.decay_form(recipe.optimizer.params),
    )
    regularizers = Regularizers(recipe.regularizers, context)
    optimizer = recipe.optimizer.build(regularizers.parameter_groups())
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise ComponentError(
            f"{recipe.optimizer!r} must build a torch.optim.Optimizer, got {type(optimizer).__name__} instead"
        )
    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
    return Experiment(
        recipe=recipe,
        dataset=dataset,
        device=place,
        precision=precision,
        world=world,
        model=model,
        network=_wrapped(with_head(model, recipe), recipe, place, world),
        optimizer=optimizer,
        regularizers=regularizers,
        preprocess=Preprocess(dataset.mean, dataset.std, recipe.augmentation, device=place),
        train=train,
        validation=validation,
        notes=(*recipe.notes, *dataset.notes, *_size_note(recipe, model)),
    )


def loader(dataset: Dataset, split: str, recipe: Recipe, device: torch.device, world: World, batch_size: int) -> Loader:
    """Return the loader of one split."""
    return Loader(
        dataset,
        split,
        device=device,
        batch_size=batch_size,
        workers=recipe.data.workers,
        memory_limit=recipe.data.memory_limit,
        rank=world.rank,
        world=world.size,
    )


def _wrapped(network: nn.Module, recipe: Recipe, device: torch.device, world: World) -> nn.Module:
    if recipe.training.compile:
        network = cast(nn.Module, torch.compile(network))
    if world.size > 1:
        network = DistributedDataParallel(network, device_ids=[device] if device.type == "cuda" else None)
    return network


def _size_note(recipe: Recipe, model: nn.Module) -> list[str]:
    count = sum(p.numel() for p in model.parameters())
    if count <= LARGE:
        return []
    return [
        f"{recipe.architecture.name} has {count / 1e6:,.0f} million weights at this image size ({math.ceil(count * 12 / 2**30)} GiB to train)"
    ]
