"""MNIST-1D: ten shapes of twelve values, padded, stretched, shifted, sheared and buried in noise, as signals of 40 values.

The law of the data set of Greydanus and Kobak, "Scaling down deep learning with MNIST-1D", ICML 2024, with the numbers of the
package `mnist1d` 0.0.2 (Apache-2.0). Draws come in the order of that package from numpy's older generator, whose stream is fixed
for all time, so that the training and test signals are the same as its own, bit by bit before they are rounded to float32.
Validation is ours: more signals by the same law from another seed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Signal = NDArray[np.float64]

# Height of the pen stroke of each digit at twelve moments.
SHAPES = """
5 6 6.5 6.75 7 7 7 7 6.75 6.5 6 5
5 3 3 3.4 3.8 4.2 4.6 5 5.4 5.8 5 5
5 6 6.5 6.5 6 5.25 4.75 4 3.5 3.5 4 5
5 6 6.5 6.5 6 5 5 6 6.5 6.5 6 5
5 4.4 3.8 3.2 2.6 2.6 5 5 5 5 5 5
5 3 3 3 3 5 6 6.5 6.5 6 4.5 5
5 4 3.5 3.25 3 3 3 3 3.25 3.5 4 5
5 7 7 6.6 6.2 5.8 5.4 5 4.6 4.2 5 5
5 4 3.5 3.5 4 5 5 4 3.5 3.5 4 5
5 4 3.5 3.5 4 5 5 5 5 4.7 4.3 5
"""
LENGTH, PADDED = 40, 72
PADDING = (36, 60)  # zeros after the twelve values
SCALE, SHEAR = 0.4, 0.75  # widths of the uniform laws of the factor around 1 and of the slope around 0
SHIFTS = 48
WAVES, BLUR = 0.25, 2  # noise in place of the padding: deviation before it is smoothed, and the smoothing's
NOISE = 0.02
TRAIN, TEST, VALIDATION = 4000, 1000, 1000
SEED, VALIDATION_SEED = 42, 43


def templates() -> Signal:
    """Return the shapes `(10, 12)`, each of deviation 1/6 and beginning at 0."""
    shapes = np.array([line.split() for line in SHAPES.split("\n") if line], dtype=np.float64)
    shapes -= shapes.mean(axis=1, keepdims=True)
    shapes /= shapes.std(axis=1, keepdims=True)
    shapes -= shapes[:, :1]
    return shapes / 6.0


def signals(count: int, seed: int) -> tuple[Signal, NDArray[np.int64]]:
    """Return signals `(count, 40)` and their digits `(count,)`, as many of each digit, in random order."""
    random = np.random.RandomState(seed)
    shapes = templates()
    digits = np.repeat(np.arange(10), count // 10)
    drawn = np.stack([_drawn(shapes[digit], random) for digit in digits])
    order = random.permutation(len(digits))
    return drawn[order], digits[order]


def _drawn(shape: Signal, random: np.random.RandomState) -> Signal:
    low, high = PADDING
    zeros = low + int(random.rand() * (high - low + 1))
    # A trace above 0 tells a shape's own zeros from those of the padding.
    signal = _resampled(np.concatenate([shape + 1e-8, np.zeros(zeros)]), PADDED)
    signal *= 1 + SCALE * (random.rand() - 0.5)
    signal = np.roll(signal, random.choice(SHIFTS))
    waves = gaussian_filter(WAVES * random.randn(PADDED), BLUR)
    signal = np.where(signal != 0, signal, waves) + NOISE * random.randn(PADDED)
    signal -= SHEAR * (random.rand() - 0.5) * np.linspace(-0.5, 0.5, PADDED)
    return _resampled(signal, LENGTH)


def _resampled(signal: Signal, length: int) -> Signal:
    return np.interp(np.linspace(0, 1, length), np.linspace(0, 1, len(signal)), signal)


def arrays() -> dict[str, NDArray[np.generic]]:
    """Return x float32 `(n, 1, 1, 40)` and y int64 `(n,)` of train, validation and test.

    All are shifted and scaled so that train and test together have mean 0 and deviation 1, as in the package.
    """
    x, y = signals(TRAIN + TEST, SEED)
    more, digits = signals(VALIDATION, VALIDATION_SEED)
    mean, deviation = x.mean(), x.std()
    parts = {"train": (x[:TRAIN], y[:TRAIN]), "validation": (more, digits), "test": (x[TRAIN:], y[TRAIN:])}
    result: dict[str, NDArray[np.generic]] = {}
    for name, (drawn, labels) in parts.items():
        result[f"x_{name}"] = ((drawn - mean) / deviation).astype(np.float32)[:, None, None]
        result[f"y_{name}"] = labels
    return result


def write(path: Path) -> None:
    """Write the arrays as an npz that the data source `npz` reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays())
