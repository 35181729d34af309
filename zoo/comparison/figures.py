"""What goes into statistics, checked: figures must be finite, and levels and counts in their range."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zoo.errors import StatisticsError


def numbers(values: ArrayLike, what: str) -> NDArray[Any]:
    """Return the figures as an array of numbers, not copied. Raises StatisticsError where they are none, or not finite."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise StatisticsError(f"{what} must be numbers, got {array.dtype} instead")
    rows = array if array.ndim > 1 else array[None]
    if array.dtype.kind == "f" and not all(np.isfinite(row).all() for row in rows):
        raise StatisticsError(
            f"{what} hold values that are NaN or infinite",
            hint="find the run whose logits are not finite and train it with a lower optimizer.lr",
        )
    return array


def vector(values: ArrayLike, what: str, least: int = 1) -> NDArray[np.float64]:
    """Return the figures as float64 `(n,)`. Raises StatisticsError where they are fewer than `least`."""
    array = numbers(values, what)
    if array.ndim != 1 or len(array) < least:
        raise StatisticsError(f"{what} must be a list of at least {least} figures, got shape {array.shape} instead")
    return array.astype(np.float64)


def right_or_wrong(values: ArrayLike, what: str) -> NDArray[np.bool_]:
    """Return answers as booleans, true where right. Raises StatisticsError where one is neither 0 nor 1."""
    array = numbers(values, what)
    right: NDArray[np.bool_] = array.astype(bool)
    if array.dtype != bool and not (array == right).all():
        raise StatisticsError(f"{what} must be 0 (wrong) or 1 (right)")
    return right


def proportion(value: float, what: str) -> float:
    """Return the value. Raises StatisticsError where it is not strictly between 0 and 1."""
    if not 0 < value < 1:
        raise StatisticsError(f"{what} must be between 0 and 1, got {value} instead", possible="0.95, for example")
    return value
