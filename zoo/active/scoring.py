"""What a strategy needs to know of samples, computed in one streamed pass over them, and no more than that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from zoo.active.dropout_masks import Masks
from zoo.active.dropout_passes import passes
from zoo.active.pool import Fields
from zoo.data.loader import Loader
from zoo.training.experiment import Experiment

LARGEST = torch.finfo(torch.float16).max
ANSWER = frozenset({"log_probabilities"})
BOTH = frozenset({"mc_log_probabilities", "log_probabilities"})  # what is computed before the first dropout serves both


class Scorer:
    """Computes fields of a loader's samples with a trained model, in evaluation transforms and mode.

    Dropout passes, `passes` of them, have the masks of this `seed`. The members of the `committee` answer beside it.
    """

    def __init__(
        self, x: Experiment, samples: Loader, *, seed: int, passes: int, committee: Sequence[Scorer] = ()
    ) -> None:
        self._x = x
        self._samples = samples
        self._masks = Masks(seed)
        self._passes = passes
        self._committee = committee
        self._network = x.evaluation_network().eval()
        self._evaluated = x.regularizers.evaluation_model(x.model)

    def __call__(self, rows: Sequence[Tensor], wanted: frozenset[str]) -> Iterator[Fields]:
        """Yield the wanted fields of each of these positions in the loader's split, int64 `(b,)`, on the model's device."""
        committee = self._answers(rows)
        for fields in self._own(rows, wanted - {"committee"}):
            yield {**fields, "committee": next(committee)} if "committee" in wanted else fields

    def _answers(self, rows: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yield the log-probabilities `(b, M, C)` that members give; those who have a loader in common see what it reads once."""
        passes = {id(member._samples): member._samples.rows(rows) for member in self._committee}
        for _ in rows:
            images = {loader: next(batches).images for loader, batches in passes.items()}
            with torch.inference_mode():
                every = [member._fields(images[id(member._samples)], ANSWER) for member in self._committee]
            yield torch.stack([fields["log_probabilities"] for fields in every], dim=1)

    def _own(self, rows: Sequence[Tensor], wanted: frozenset[str]) -> Iterator[Fields]:
        if not wanted:
            yield from ({} for _ in rows)
            return
        for batch in self._samples.rows(rows):
            with torch.inference_mode():
                fields = self._fields(batch.images, wanted)
            yield fields  # outside of inference mode, in which a generator would leave whoever reads it

    def _fields(self, images: Tensor, wanted: frozenset[str]) -> Fields:
        pixels = self._x.preprocess.evaluate(images)
        found: dict[str, Tensor] = {}
        if wanted == BOTH:
            with self._x.autocast():
                every = passes(self._network, pixels, masks=self._masks, passes=self._passes, plain=True)
            return {"mc_log_probabilities": every[:, :-1], "log_probabilities": every[:, -1]}
        if wanted - {"mc_log_probabilities"}:
            with self._x.autocast(), _seen_by_classifier(self._evaluated, "embeddings" in wanted) as seen:
                logits = self._network(pixels).float()
            found = {"logits": logits, "log_probabilities": logits.log_softmax(dim=1)}
            if seen:
                found["embeddings"] = half(seen[0])
        if "mc_log_probabilities" in wanted:
            with self._x.autocast():
                found["mc_log_probabilities"] = passes(self._network, pixels, masks=self._masks, passes=self._passes)
        return {name: found[name] for name in wanted}


def half(vectors: Tensor) -> Tensor:
    """Return float16 of values of any size: what is too large becomes the largest."""
    return vectors.float().clamp(-LARGEST, LARGEST).half()


@contextmanager
def _seen_by_classifier(model: nn.Module, wanted: bool) -> Iterator[list[Tensor]]:
    """Collect the embeddings `(b, D)` that the classifier of the model is given."""
    seen: list[Tensor] = []
    if not wanted:
        yield seen
        return
    classifier = model.get_submodule(str(model.classifier))
    handle = classifier.register_forward_pre_hook(lambda module, args: seen.append(args[0].flatten(1)))
    try:
        yield seen
    finally:
        handle.remove()
