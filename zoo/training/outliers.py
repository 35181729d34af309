"""Images that are known to be of no class, beside those that a network is trained on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.data.augment import Preprocess
from zoo.data.dataset import Dataset, Split
from zoo.data.streaming import Workers
from zoo.training.randomness import Draws

OUTLIERS = "outliers"  # the split that has them; its labels mean nothing


@dataclass(frozen=True, eq=False)
class Outliers:
    """A split of outliers, which memory holds once the first are drawn."""

    split: Split
    size: tuple[int, int]
    workers: Workers
    preprocess: Preprocess

    def __len__(self) -> int:
        return len(self.split)

    def drawn(self, count: int, draws: Draws) -> Tensor:
        """Return `(count, C, H, W)`, augmented and normalised: a function of the first sample of the draws and their epoch."""
        rows = (draws.uniform("outliers", count)[0] * len(self)).long()
        # Below 0, where no sample of training is: no outlier is augmented as an image of the batch is.
        own = -1 - (draws.samples[0] * count + torch.arange(count, device=draws.samples.device))
        pixels = self.split.pixels(self.size, self.workers)
        images = torch.from_numpy(pixels[rows.cpu().numpy()]).to(draws.samples.device)
        return self.preprocess.train(images, Draws(draws.seed, draws.epoch, own))


def energy(logits: Tensor) -> Tensor:
    """Return float32 `(n,)`, the free energy -ln Σ_c exp z_c of logits `(n, C)` at temperature 1.

    Liu, Wang, Owens and Li, "Energy-based out-of-distribution detection", NeurIPS 2020. Logits must be as the network gives them:
    log-probabilities, and the outputs of an ensemble that averages probabilities, all have energy 0.
    """
    return -logits.float().logsumexp(dim=1)


def outliers(data: Dataset, preprocess: Preprocess, workers: Workers) -> Outliers | None:
    """Return the outliers of a data set, None where it has no split of them."""
    split = data.splits.get(OUTLIERS)
    return None if split is None else Outliers(split, data.size, workers, preprocess.of_whole_images())
