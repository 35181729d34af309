"""Batches of images made ready for the model on its device: augmented as a whole, scaled, normalised."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import msgspec
import torch
from torch import Tensor

from zoo.augmentation import Arrangement, Augmentation
from zoo.data import color, erasing, geometry
from zoo.data.arrangement import arrange
from zoo.errors import DataError
from zoo.training.randomness import Draws


class Preprocess:
    """Turns uint8 (scaled to [0, 1]) or float32 images `(B, C, H, W)` into normalised float32 on the same device.

    `mean` and `std` have one value per channel. With an `arrangement` pixels change places first, in `train` and in `evaluate`.
    With `cropped`, the images that `train` gets are random rectangles of files
    already (`Loader`), and it leaves that part of the augmentation out.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        augmentation: Augmentation | None = None,
        *,
        device: torch.device | str = "cpu",
        cropped: bool = False,
        arrangement: Arrangement | None = None,
    ) -> None:
        if cropped and arrangement is not None:
            raise DataError(
                f"data.arrangement {arrangement} comes before augmentation, and random crops are cut as files are decoded",
                hint="augmentation.random_resized_crop=null",
            )
        self.arrangement = arrangement
        self.augmentation = augmentation or Augmentation()
        self._batched = self.augmentation
        if cropped:
            self._batched = msgspec.structs.replace(self.augmentation, random_resized_crop=None)
        # uint8: (x / 255 - mean) / std as one multiplication and addition; float32 likewise without the 255.
        self._bias = _per_channel([-m / s for m, s in zip(mean, std, strict=True)], device)
        self._scale = {unit: _per_channel([1 / (unit * s) for s in std], device) for unit in (1, 255)}
        self._mean = _per_channel(mean, device)

    def of_whole_images(self) -> Preprocess:
        """Return the same for images that are no random rectangles yet."""
        whole = copy.copy(self)
        whole._batched = self.augmentation
        return whole

    @property
    def affine(self) -> tuple[Tensor, Tensor]:
        """Bias and scale, each `(1, C, 1, 1)`, of normalisation in units of images in [0, 1], or of float32 arrays."""
        return self._bias, self._scale[1]

    @property
    def augments(self) -> bool:
        """Whether `train` changes images at all."""
        a = self.augmentation
        colour = a.brightness or a.contrast or a.saturation
        return bool(a.geometric or a.chosen_policy is not None or colour or a.erasing)

    def evaluate(self, images: Tensor) -> Tensor:
        """Return the images normalised."""
        return self._normalize(self._arrange(images), _unit(images))

    def train(self, images: Tensor, draws: Draws) -> Tensor:
        """Return the images augmented and normalised, each sample by its own draws; raises what `augment` raises."""
        return self._normalize(self.augment(images, draws), _unit(images))

    def augment(self, images: Tensor, draws: Draws) -> Tensor:
        """Return the images augmented, uint8 or float32 in the range that they came in.

        They are arranged, moved, then changed by the policy, in colour, and by erasing. Raises DataError for a geometric change of
        signals, which are one pixel high, and for a policy on arrays that are not 8-bit images.
        """
        unit, a = _unit(images), self._batched
        _check(a, images)
        images = self._arrange(images)
        changed = geometry.move(images, a, draws) if a.geometric else images
        if a.chosen_policy is not None:
            from zoo.data import policies  # torchvision takes a second to import

            changed = policies.apply(a.chosen_policy, changed, draws)
        changed = color.jitter(changed, a, draws, bound=255 if unit == 255 else None)
        return self._erase(changed, draws, unit) if a.erasing else changed

    def _arrange(self, images: Tensor) -> Tensor:
        return images if self.arrangement is None else arrange(images, self.arrangement)

    def _erase(self, images: Tensor, draws: Draws, unit: int) -> Tensor:
        u = draws.uniform("augment/erasing", 1 + erasing.COLUMNS)
        mask = (
            erasing.rectangles(u[:, 1:], images.shape[2:]) & (u[:, 0] < self.augmentation.erasing)[:, None, None, None]
        )
        return torch.where(mask, self._mean.to(images.device) * unit, images)

    def _normalize(self, images: Tensor, unit: int) -> Tensor:
        if self._bias.device != images.device:
            self._bias = self._bias.to(images.device)
            self._scale = {key: value.to(images.device) for key, value in self._scale.items()}
        return torch.addcmul(self._bias, images.float(), self._scale[unit])


def _check(a: Augmentation, images: Tensor) -> None:
    policy = a.chosen_policy
    if policy is not None and images.shape[1] not in (1, 3):
        raise DataError(
            f"augmentation.policy {policy.name} works on grey and on colour images, and these have {images.shape[1]} channels",
            hint="augmentation.policy=null",
        )
    if policy is not None and images.dtype != torch.uint8:
        raise DataError(
            f"augmentation.policy {policy.name} is for 8-bit images, and the data is {str(images.dtype).partition('.')[2]}",
            possible="rotation, shift, zoom, shear, flips, crops, brightness, contrast, erasing",
            hint="augmentation.policy=null",
        )
    if images.shape[2] == 1 and (a.geometric or policy is not None):
        raise DataError(
            "signals are one pixel high and cannot be rotated, shifted, zoomed, sheared, flipped or cropped",
            possible="brightness, contrast, erasing",
            hint="take the geometric settings and the policy out of augmentation",
        )


def _unit(images: Tensor) -> int:
    return 255 if images.dtype == torch.uint8 else 1


def _per_channel(values: Sequence[float], device: torch.device | str) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device).view(1, -1, 1, 1)
