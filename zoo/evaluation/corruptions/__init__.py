"""Images made worse on purpose, each of 17 ways in five severities, to see what a classifier bears.

The idea is that of Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and
perturbations", ICLR 2019, and for small grey images of Mu and Gilmer, "MNIST-C: a robustness benchmark for computer vision",
2019. Operations and severities are zoo's own: MNIST-C-like, and not to be compared with figures on MNIST-C or ImageNet-C.

Every draw is a function of (seed, corruption, sample), the same at all severities: not of batch, order, split or device.
Changes of place and radii of blur are shares of the image, so that they mean the same at every size. They are made for 28
pixels a side and more; smaller images are corrupted too, but blur does little there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.errors import DataError, UnknownNameError, ZooError
from zoo.evaluation.corruptions import blur, digital, geometry, noise, weather
from zoo.training.randomness import Draws

SEVERITIES = (1, 2, 3, 4, 5)
NOTE = "MNIST-C-like corruptions with zoo's own severities: not comparable with figures on MNIST-C or ImageNet-C"
CHUNK = 1 << 22  # values that are corrupted at a time: the draws of one value take 8 bytes, several times over
# Added before rounding: a value half-way between two levels goes up, whatever the last bit of its sum is.
HALF = 0.5 + 2.0**-10

Change = Callable[[Tensor, float, Draws], Tensor]


@dataclass(frozen=True, slots=True)
class Corruption:
    """A change of float32 images with black at 0 and white at 255, and its strength at each severity, in `unit`.

    `signals` and `floats` say whether it is defined for arrays one pixel high, and for float32 arrays.
    """

    change: Change
    strengths: tuple[float, float, float, float, float]
    unit: str
    signals: bool = False
    floats: bool = False


CORRUPTIONS = {
    "gaussian_noise": Corruption(
        noise.gaussian_noise, (0.06, 0.12, 0.18, 0.26, 0.36), "deviation, of white", signals=True, floats=True
    ),
    "shot_noise": Corruption(noise.shot_noise, (60, 25, 12, 6, 3), "photons at white"),
    "impulse_noise": Corruption(
        noise.impulse_noise, (0.02, 0.05, 0.1, 0.17, 0.26), "share of the values", signals=True, floats=True
    ),
    "gaussian_blur": Corruption(
        blur.gaussian_blur, (0.016, 0.022, 0.029, 0.037, 0.047), "deviation, of the side", signals=True, floats=True
    ),
    "motion_blur": Corruption(
        blur.motion_blur, (0.06, 0.09, 0.12, 0.16, 0.2), "length, of the side", signals=True, floats=True
    ),
    "zoom_blur": Corruption(blur.zoom_blur, (0.08, 0.14, 0.2, 0.27, 0.35), "largest zoom, above 1", floats=True),
    "fog": Corruption(weather.fog, (0.2, 0.35, 0.5, 0.62, 0.72), "thickness at most"),
    "snow": Corruption(weather.snow, (0.015, 0.03, 0.05, 0.08, 0.12), "share of places with a flake"),
    "spatter": Corruption(weather.spatter, (0.05, 0.1, 0.16, 0.23, 0.31), "share of the area"),
    "brightness": Corruption(
        digital.brightness, (0.1, 0.2, 0.3, 0.4, 0.5), "added, of white", signals=True, floats=True
    ),
    "contrast": Corruption(
        digital.contrast, (0.6, 0.45, 0.32, 0.2, 0.12), "of the distance from grey", signals=True, floats=True
    ),
    "rotate": Corruption(geometry.rotate, (10, 20, 30, 42, 55), "degrees", floats=True),
    "scale": Corruption(geometry.scale, (0.9, 0.8, 0.7, 0.6, 0.5), "of the size", floats=True),
    "shear": Corruption(geometry.shear, (8, 15, 22, 29, 36), "degrees", floats=True),
    "translate": Corruption(geometry.translate, (0.025, 0.05, 0.075, 0.1, 0.125), "of the side", floats=True),
    "pixelate": Corruption(
        digital.pixelate, (0.8, 0.65, 0.5, 0.4, 0.3), "of the pixels of a side", signals=True, floats=True
    ),
    "jpeg": Corruption(digital.jpeg, (40, 25, 15, 9, 5), "quality"),
}


def corrupt(images: Tensor, name: str, severity: int, samples: Tensor, seed: int = 0) -> Tensor:
    """Return the images `(B, C, H, W)` corrupted, in their own type, uint8 or float32.

    `samples` int64 `(B,)` are their positions in the source, by which the draws are made. Of float32 arrays the range of each
    sample takes the place of black to white, and nothing is clamped. Raises UnknownNameError for a name that there is not,
    ZooError for a severity other than 1 … 5, DataError for a corruption that is not defined for such images.
    """
    check_names([name], str(images.dtype).partition(".")[2], images.shape[2])
    check_severities([severity])
    corruption = CORRUPTIONS[name]
    strength = corruption.strengths[severity - 1]
    size = max(1, CHUNK // max(1, images[:1].numel()))
    parts = zip(images.split(size), samples.to(images.device).split(size), strict=True)
    apply = _on_bytes if images.dtype == torch.uint8 else _on_floats
    return torch.cat([apply(part, corruption.change, strength, Draws(seed, 0, rows)) for part, rows in parts])


def applicable(dtype: str, height: int) -> tuple[str, ...]:
    """Return the names of the corruptions that are defined for images of this type (`uint8`, `float32`) and height.

    All are for 8-bit images. Photons, weather and JPEG are not for float32 arrays; those, rotate, scale, shear, translate and
    zoom_blur are not for signals, which are one pixel high.
    """
    return tuple(
        name
        for name, corruption in CORRUPTIONS.items()
        if (corruption.floats or dtype == "uint8") and (corruption.signals or height > 1)
    )


def check_names(names: Iterable[str], dtype: str, height: int) -> None:
    """Raise UnknownNameError for an unknown corruption, DataError for one that is not defined for such images."""
    possible = applicable(dtype, height)
    for name in names:
        if name not in CORRUPTIONS:
            raise UnknownNameError("corruption", name, CORRUPTIONS)
        if name not in possible:
            what = "signals, which are one pixel high" if height == 1 else f"{dtype} arrays"
            raise DataError(f"corruption {name} is not defined for {what}", possible=", ".join(possible))


def check_severities(severities: Iterable[int]) -> None:
    """Raise ZooError for a severity other than 1 … 5."""
    for severity in severities:
        if severity not in SEVERITIES:
            raise ZooError(f"severity must be 1 … 5, got {severity} instead", hint="3, in the middle")


def _on_bytes(images: Tensor, change: Change, strength: float, draws: Draws) -> Tensor:
    return (change(images.float(), strength, draws) + HALF).clamp(0, 255).byte()


def _on_floats(images: Tensor, change: Change, strength: float, draws: Draws) -> Tensor:
    low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
    unit = torch.where(high > low, (high - low) / noise.WHITE, 1.0)
    return change((images - low) / unit, strength, draws) * unit + low
