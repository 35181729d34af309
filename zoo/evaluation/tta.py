"""Test-time augmentation: the mean answer over an image and augmented views of it.

The views are drawn by the run's own augmentation law, as in training, but by draws that depend on the pixels of the image and
on the number of the view alone: not on batch, order, split or seed. `zoo eval` and `zoo predict` see the same views.
Krizhevsky, Sutton and Hinton, "ImageNet classification with deep convolutional neural networks", NeurIPS 2012, average so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from zoo.data.arrangement import keys
from zoo.data.augment import Preprocess
from zoo.errors import ZooError
from zoo.training.randomness import Draws


def check(preprocess: Preprocess, views: int) -> None:
    """Raise ZooError for a number of views below 0, and for views by a run that was trained without augmentation."""
    if views < 0:
        raise ZooError(f"tta must be at least 0, got {views} instead", hint="--tta 8")
    if views and not preprocess.augments:
        raise ZooError(
            "the run was trained without augmentation, so that all views of an image are the same",
            hint="leave --tta out",
        )


def logits(
    network: nn.Module,
    preprocess: Preprocess,
    images: Tensor,
    views: int,
    autocast: AbstractContextManager[None] | None = None,
) -> Tensor:
    """Return `(B, C)`: the network's logits of the images, or, with views, float32 log-probabilities.

    The network runs under `autocast`, views are made outside of it, as in training.
    With views they are the logarithm of the mean softmax over the plain images and so many augmented views of each.
    """
    rows: list[Tensor] = []
    for view in _views(preprocess, images, views):
        with autocast or nullcontext():
            rows.append(network(view))
    if views == 0:
        return rows[0]
    rows = [torch.log_softmax(row.float(), 1) for row in rows]
    return torch.logsumexp(torch.stack(rows), 0) - math.log(len(rows))


def _views(preprocess: Preprocess, images: Tensor, views: int) -> Iterator[Tensor]:
    yield preprocess.evaluate(images)
    samples = keys(images)
    for view in range(1, views + 1):
        # Epochs of training are not negative.
        yield preprocess.train(images, Draws(0, -view, samples))
