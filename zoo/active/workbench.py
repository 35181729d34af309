"""A recipe's data and device, set up once: what every round trains on, chooses from and is tested on."""

from __future__ import annotations

import copy
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from zoo.active.journal import Labels
from zoo.active.pool import UNIT
from zoo.active.scoring import BOTH, Scorer
from zoo.data.dataset import Dataset, Split
from zoo.data.loader import Loader
from zoo.data.sources import FileImages
from zoo.evaluation.predictions import Predictions, predict
from zoo.plugins import Catalog
from zoo.recipe import Recipe, Training
from zoo.rounds import Active
from zoo.training.events import EpochDone, Evaluating, Event
from zoo.training.experiment import Experiment, build
from zoo.training.features import Embedder
from zoo.training.loop import fit, set_mode
from zoo.training.outliers import OUTLIERS
from zoo.training.progress import Progress
from zoo.training.randomness import bits
from zoo.training.reading import loader

Rows = NDArray[np.int64]
State = Mapping[str, Any]
SEEDS = 1_000_000  # of rounds, between those of two simulations
EPOCHS = 10  # that a fixed number of steps is told and evaluated in


@dataclass
class Workbench:
    """The experiment `x` holds the data, all that can be asked for in `train`, and a model that is never trained.

    Where the backbone is frozen and sees each image as it is, `embedded` has embeddings in place of all images.
    """

    x: Experiment
    embedded: Dataset | None
    catalog: Catalog
    _loaders: dict[str, Loader] = field(default_factory=dict, repr=False)

    @property
    def recipe(self) -> Recipe:
        return self.x.recipe

    @property
    def embeds(self) -> bool:
        """Whether a frozen backbone sees each image as it is, so that embeddings can take the place of all images."""
        freeze = self.recipe.freeze
        return freeze is not None and self.x.embeds and not freeze.views and freeze.unfreeze_after is None

    @property
    def active(self) -> Active:
        assert self.recipe.active is not None
        return self.recipe.active

    @property
    def data(self) -> Dataset:
        """The data that networks see: images, or embeddings."""
        return self.x.dataset if self.embedded is None else self.embedded

    def loader(self, split: str) -> Loader:
        """Return the loader of a split in evaluation."""
        if split == "train" and self.embedded is None and isinstance(self.x.train, Loader):
            return self.x.train
        if split not in self._loaders:
            size = self.recipe.training.evaluation_batch_size
            self._loaders[split] = loader(self.data, split, self.recipe, self.x.device, self.x.world, size)
        return self._loaders[split]

    def train(self, labels: Labels, seed: int, start: State | None = None) -> Generator[Event, None, Experiment]:
        """Train on what is labelled, from new weights or those of `start`, and return the experiment.

        Its evaluation network has the weights of the best epoch on validation, without validation those of the last.
        """
        x = self._built(labels, seed, fresh=start is None)
        if start is not None:
            x.model.load_state_dict(start)
        best: State | None = None
        for event in fit(x, Progress(x.device)):
            yield event
            if isinstance(event, EpochDone) and event.best and x.validation is not None:
                best = copy.deepcopy(x.regularizers.evaluation_model(x.model).state_dict())
        set_mode(x, training=False)
        if x.validation is None:
            x.finish_evaluation_model()
        elif best is not None:
            x.regularizers.evaluation_model(x.model).load_state_dict(best)
        if self.embedded is None:
            x.inputs = x.images  # which it is asked about from now on, also where a head was trained on embeddings
        return x

    def restored(self, labels: Labels, seed: int, state: State) -> Experiment:
        """Return the experiment that `train` returned, with the weights that were kept of it."""
        x = self._built(labels, seed, fresh=False)
        x.model.load_state_dict(state["model"])
        if "evaluation" in state:
            x.regularizers.evaluation_model(x.model).load_state_dict(state["evaluation"])
        set_mode(x, training=False)
        return x

    def _built(self, labels: Labels, seed: int, *, fresh: bool) -> Experiment:
        settings = msgspec.structs.replace(self.recipe.training, seed=seed)
        if (steps := self.active.steps) is not None:
            # As many steps an epoch as there are labels would be one to begin with, and each ends with an evaluation.
            batch = min(settings.batch_size, len(labels.rows))
            settings = msgspec.structs.replace(settings, batch_size=batch, draws=batch * -(-steps // EPOCHS))
        x = build(
            msgspec.structs.replace(self.recipe, training=settings),
            device=str(self.x.device),
            world=self.x.world,
            dataset=_with_train(self.x.dataset, labels, self.recipe),
            embedded=None if self.embedded is None else _with_train(self.embedded, labels, self.recipe),
            fresh=fresh,
            catalog=self.catalog,
        )
        if self.embedded is not None:
            # By this backbone: without weights that the recipe names, another seed has another one.
            own, head = self.x.model.state_dict(), f"{self.x.model.classifier}."
            x.model.load_state_dict({n: v for n, v in own.items() if not n.startswith(head)}, strict=False)
        return x

    @property
    def counted(self) -> int:
        """How many labels of validation are part of the budget."""
        return len(self.data.splits["validation"]) if self.active.validation == "counted" else 0

    def classes_of(self, x: Experiment, rows: torch.Tensor) -> Rows:
        """Return the class that a trained model takes each of these rows of train for, int64 `(n,)`."""
        score = Scorer(x, self.loader("train"), seed=0, passes=1)
        found = [fields["logits"].argmax(dim=1).cpu() for fields in score(rows.split(UNIT), frozenset({"logits"}))]
        classes: Rows = torch.cat(found).numpy()
        return classes

    def answers(self, x: Experiment, split: str) -> Generator[Evaluating, None, Predictions]:
        """Return what a trained model says of a split."""
        return (
            yield from predict(
                x.evaluation_network(), self.loader(split), x.preprocess, split=split, device=x.device,
                precision=x.precision, world=x.world,
            )
        )  # fmt: skip

    def both_answers(
        self, x: Experiment, split: str, seed: int, passes: int
    ) -> Generator[Evaluating, None, tuple[Predictions, Predictions]]:
        """Return what a trained model says of a split, and the logarithms of its mean probabilities over dropout passes."""
        samples, part = self.loader(split), self.data.splits[split]
        units = torch.arange(len(part)).split(samples.batch_size)
        plain, mean = [], []
        for unit, fields in zip(units, Scorer(x, samples, seed=seed, passes=passes)(units, BOTH), strict=True):
            plain.append(fields["log_probabilities"].cpu().numpy())
            several = fields["mc_log_probabilities"].cpu().double()
            mean.append((several.logsumexp(dim=1) - np.log(passes)).float().numpy())
            yield Evaluating(split=f"{split}, {passes} passes", done=int(unit[-1]) + 1, total=len(part))
        return _in_order(split, part, plain), _in_order(split, part, mean)


def set_up(recipe: Recipe, dataset: Dataset, device: str, catalog: Catalog) -> Generator[Event, None, Workbench]:
    """Return the workbench of a recipe whose `active` block is set; yields progress while a frozen backbone embeds images."""
    bench = before_embedding(recipe, dataset, device, catalog)
    if not bench.embeds:
        return bench
    x = bench.x
    whole = yield from Embedder(bench.recipe, x.model, x.images, x.device, x.precision, x.world).whole()
    return replace(bench, embedded=whole)


def before_embedding(recipe: Recipe, dataset: Dataset, device: str, catalog: Catalog) -> Workbench:
    """Return the workbench as it is before a frozen backbone has embedded the images."""
    active = recipe.active
    assert active is not None
    recipe = msgspec.structs.replace(recipe, training=training(recipe.training, active), freeze=_unchosen(recipe))
    if active.unknown is not None or active.unknown_classes:
        nothing = dataset.splits["train"].part(np.arange(0))  # so far; without the split nothing could be unknown
        dataset = replace(dataset, splits={**dataset.splits, OUTLIERS: nothing})
    return Workbench(build(recipe, device=device, dataset=dataset, catalog=catalog), None, catalog)


def training(settings: Training, active: Active) -> Training:
    """Return how long each round trains: so many steps, or as the recipe says; without validation nothing stops it early."""
    if active.steps is not None:
        settings = msgspec.structs.replace(settings, steps=active.steps, epochs=None, early_stopping=None)
    if active.validation == "unused":
        settings = msgspec.structs.replace(settings, early_stopping=None, best=None)
    return settings


def round_seed(seed: int, round: int) -> int:
    """Return the seed of one round's training, the same for all strategies."""
    return (seed * SEEDS + round) % 2**32


def member_seed(seed: int, round: int, member: int) -> int:
    """Return the seed of the training of one member of a committee, from 0; none of them trains as the round's own model does."""
    return int(bits(seed, "committee", round, torch.tensor([member]))[0, 0]) % 2**32


def _unchosen(recipe: Recipe) -> Any:
    return None if recipe.freeze is None else msgspec.structs.replace(recipe.freeze, choose=False)


def _with_train(data: Dataset, labels: Labels, recipe: Recipe) -> Dataset:
    whole = data.splits["train"]
    train = replace(whole.part(labels.rows), labels=labels.classes)
    streamed = isinstance(train.images, FileImages) and not train.in_memory
    size = len(train) * data.channels * data.size[0] * data.size[1]
    if streamed and data.crop(recipe.augmentation) is None and size <= recipe.data.memory_limit * 2**20:
        train.pixels(data.size, recipe.data.workers)  # of a pool that memory does not hold, what is labelled may fit
    # What is of no known class is held in memory: as many of the latest as it may have, and of one batch at least.
    most = recipe.data.memory_limit * 2**20 // (data.channels * data.size[0] * data.size[1])
    unknown = labels.unknown[-max(most, recipe.training.batch_size) :] if streamed else labels.unknown
    return replace(data, splits={**data.splits, "train": train, OUTLIERS: whole.part(unknown)})


def _in_order(split: str, part: Split, answers: list[NDArray[np.float32]]) -> Predictions:
    order = np.argsort(part.samples)
    return Predictions(split, part.samples[order], part.labels[order], np.concatenate(answers)[order])
