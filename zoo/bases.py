"""Base classes for what factories build: regularizers and acquisition strategies. torch is named here for types only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from zoo.components import WeightDecay

if TYPE_CHECKING:
    from torch import Tensor, nn

    from zoo.training.randomness import Draws

ParameterGroup = dict[str, Any]


class Outliers(Protocol):
    """Images that are known to be of no class, to learn from."""

    def __len__(self) -> int: ...

    def drawn(self, count: int, draws: Draws) -> Tensor:
        """Return `(count, C, H, W)`, drawn with replacement, augmented and normalised as training images are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a regularizer may know of the experiment.

    `class_counts` counts the training labels, class by class; `weight_decay` is the optimizer's form of it. `outliers` is None
    where no image can be of no class, and empty where none is known to be so far.
    """

    model: nn.Module
    num_classes: int
    class_counts: Sequence[int]
    train_size: int
    steps_per_epoch: int
    total_steps: int
    loss: str
    weight_decay: WeightDecay
    outliers: Outliers | None = None


class Regularizer:
    """Base of every regularizer; each method is a no-op unless overridden, and the engine calls in recipe order."""

    def bind(self, context: Context) -> None:
        """Hear once, before anything else, about the experiment."""

    def apply_to_model(self, model: nn.Module) -> int | None:
        """Change modules of the model and return how many; 0 is an error, None says that modules are not touched."""
        return None

    def note(self) -> str | None:
        """Return what a user should know of it in this experiment, or None."""
        return None

    def parameter_groups(self, groups: list[ParameterGroup]) -> list[ParameterGroup]:
        """Return the optimizer's groups, split or changed; their `params` are `(name, parameter)` pairs."""
        return groups

    def sample_weights(self, labels: Tensor) -> Tensor | None:
        """Return float `(N,)` weights for drawing training samples with replacement, or None for each once."""
        return None

    def on_batch(self, images: Tensor, targets: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Return images `(B, C, H, W)` and targets, int64 `(B,)` or, once rewritten, float `(B, C)`."""
        return images, targets

    def outliers(self, size: int, draws: Draws) -> Tensor | None:
        """Return images `(n, C, H, W)` of no class that stand behind a batch of this size, or None.

        The batch's targets become float `(B + n, C)`, in which theirs are zeros: with cross-entropy their loss is 0.
        """
        return None

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor | None:
        """Return a loss per sample `(B,)` in place of the recipe's, or None; one regularizer of a recipe may."""
        return None

    def penalty(self, model: nn.Module) -> Tensor | None:
        """Return a scalar added to the loss of each step, or None."""
        return None

    def before_step(self, model: nn.Module, step: int, draws: Draws) -> None:
        """Change gradients after clipping, before the optimizer's step."""

    def after_step(self, model: nn.Module, step: int, groups: Sequence[Mapping[str, Any]]) -> None:
        """Act on the updated weights; `groups` hold the learning rate of this step."""

    def evaluation_model(self, model: nn.Module) -> nn.Module:
        """Return the model that is evaluated and kept as the best."""
        return model

    def finalize(self, model: nn.Module, batches: Iterable[Tensor]) -> None:
        """Finish the evaluation model before each evaluation, given normalised training batches `(B, C, H, W)`."""

    def state_dict(self) -> dict[str, Any]:
        """Return what must survive a restart."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labeled:
    """The samples that have labels: `labels` int64 `(m,)`, `class_counts` int64 `(C,)` and, where `needs` names embeddings,
    `embeddings` float16 `(m, D)`."""

    embeddings: Tensor
    labels: Tensor
    class_counts: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """What a model says of answered samples that it was not trained on, one of several folds.

    Of those with a label `logits` are float32 `(m, C)`, `embeddings` float16 `(m, D)`, and `others` float16 `(l, D)` the embeddings
    that the same model has of the labelled samples it was trained on; `unknown_logits` `(u, C)` and `unknown_embeddings` `(u, D)`
    are of those that were answered to be of no known class. Embeddings are empty where the architecture has none.
    """

    logits: Tensor
    embeddings: Tensor
    others: Tensor
    unknown_logits: Tensor
    unknown_embeddings: Tensor


class Block(Protocol):
    """Some rows of the pool; reading a field that the strategy's `needs` does not name raises ComponentError.

    `ids` are sample ids (n); `logits` and `log_probabilities` float32 `(n, C)`; `mc_log_probabilities` float32
    `(n, T, C)` over T dropout passes; `embeddings` float16 `(n, D)`; `committee` `(n, M, C)` over M members.
    """

    @property
    def ids(self) -> Sequence[str]: ...
    @property
    def logits(self) -> Tensor: ...
    @property
    def log_probabilities(self) -> Tensor: ...
    @property
    def mc_log_probabilities(self) -> Tensor: ...
    @property
    def embeddings(self) -> Tensor: ...
    @property
    def committee(self) -> Tensor: ...


class Pool(Block, Protocol):
    """The unlabelled samples of one round; as a block it holds all rows, `blocks` streams them in order.

    `seed` and `round` feed `zoo.training.randomness.uniform_ids`, the source of every draw of a strategy, ties included.
    `labeled` are the samples labelled so far, `labeled_log_probabilities`, float32 `(m, C)`, what the model says of them, and
    `held_out` what models say of them that were not trained on them; `target` is
    float32 `(t, T, C)`, the log-probabilities of T dropout passes over the inputs that predictions are wanted for. All of them
    want to be named in `needs`. Fields stand where the model is, on the CPU where memory there is short; labels, positions and
    draws are on the CPU. `taken(positions)` is the pool of these
    positions (int64) alone, in this order; `needs` narrows what may be read of it to what is named there as well.
    """

    @property
    def seed(self) -> int: ...
    @property
    def round(self) -> int: ...
    @property
    def labeled(self) -> Labeled: ...
    @property
    def labeled_log_probabilities(self) -> Tensor: ...
    @property
    def held_out(self) -> Sequence[HeldOut]: ...
    @property
    def target(self) -> Tensor: ...
    def __len__(self) -> int: ...
    def blocks(self, size: int) -> Iterator[Block]: ...
    def taken(self, positions: Tensor, needs: frozenset[str] | None = None) -> Pool: ...


class ScoreStrategy(ABC):
    """An acquisition strategy that scores each sample by itself; the engine keeps the k highest, ties broken by id."""

    @abstractmethod
    def score(self, block: Block, pool: Pool) -> Tensor:
        """Return float `(n,)`, higher is asked first; not-a-number is an error."""


class BatchStrategy(ABC):
    """An acquisition strategy that chooses a set of samples together."""

    @abstractmethod
    def select(self, pool: Pool, k: int) -> Sequence[int]:
        """Return k distinct positions in the pool, best first; k is at most `len(pool)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a gate said of a pool: `scores` float `(n,)`, and the `limit` up to which it takes samples to be of known classes."""

    pool: Pool
    scores: Tensor
    limit: float


class Gate(BatchStrategy):
    """A strategy that chooses among samples which it takes to be of known classes; simulations tell how well it knew them.

    `judged` is what it said of the pool that it chose from last, None before it chose.
    """

    judged: Judgement | None = None

    def select(self, pool: Pool, k: int) -> Sequence[int]:
        """Return what `choose` makes of what `judge` says of the pool, which is asked once, however often it is chosen from."""
        if self.judged is None or self.judged.pool is not pool:
            scores, limit = self.judge(pool)
            self.judged = Judgement(pool=pool, scores=scores, limit=limit)
        return self.choose(pool, k, self.judged.scores, self.judged.limit)

    @abstractmethod
    def judge(self, pool: Pool) -> tuple[Tensor, float]:
        """Return float `(n,)`, higher for what is less likely to be of a known class, and up to where it is taken to be of one."""

    @abstractmethod
    def choose(self, pool: Pool, k: int, scores: Tensor, limit: float) -> Sequence[int]:
        """Return k distinct positions in the pool, best first, given what `judge` returned of it."""
