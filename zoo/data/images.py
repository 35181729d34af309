"""The one decoder: a file becomes uint8 pixels by the same rules in training, evaluation, prediction and labelling.

- Formats: JPEG, PNG, GIF, BMP, WEBP, TIFF, PPM, told by content. Of an animation or a multi-page file, the first frame.
- EXIF orientation is applied. Colour profiles are not.
- Alpha, palette transparency too, is composited on white. Palettes, CMYK and 1-bit become plain colours or greys.
- 16-bit greys are divided by 257, so white stays white; Pillow gives the high byte of 16-bit colours.
- Float pixels must lie in [0, 1] (scaled by 255) or in [0, 255]; 32-bit integers have no defined range and are refused.
- Resizing: the shorter side to size, antialiased bilinear, then the centre. Large JPEGs are decoded at reduced scale, never
  below twice the size asked for.
- A window of the original is resized in the same way; a large JPEG is decoded at a scale at which it keeps the size asked for.
- Above `MAX_PIXELS`, truncated or damaged: ImageError. Nothing is repaired or replaced.
"""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo.data.formats import HEAD, READABLE, image_format
from zoo.errors import ImageError

# (height, width) of an upright original to (top, left, height, width) of a part of it, in pixels
Window = Callable[[int, int], Sequence[float]]

MAX_PIXELS = 178_956_970  # where Pillow calls an image a decompression bomb: half a GiB as RGB

_ORIENTATION = 0x0112
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_THEIR_SIDE = {5, 6, 7, 8}
# Pillow warns about metadata, and Python's warning filters belong to the whole process: threads take turns.
_quiet = threading.Lock()


def decode(
    path: Path, *, channels: int, size: tuple[int, int] | None = None, window: Window | None = None
) -> NDArray[np.uint8]:
    """Return the image as uint8 `(channels, height, width)`, 3 channels RGB or 1 grey.

    `size` is (height, width), None for the file's own; with it, `window` chooses the part that is resized, else it is the centre.
    Raises ImageError, which names the file.
    """
    try:
        with _quiet, warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")
            image = _open(file, path, size, window)
            place = image.info
            image = _upright(image).convert("RGB" if channels == 3 else "L")
    except ImageError:
        raise
    except OSError as error:
        reason = error.strerror if error.errno else str(error)
        raise ImageError(f"cannot decode {path}: {reason or type(error).__name__}") from error
    except Exception as error:  # Pillow raises almost any type on damaged files
        raise ImageError(f"cannot decode {path}: {type(error).__name__}: {error}") from error
    if size is not None:
        box = _centre(image.size, size) if window is None else _inside(window, place)
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR, box=box)
    pixels = np.asarray(image)
    return np.array(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1), order="C")


def _open(file: BinaryIO, path: Path, size: tuple[int, int] | None, window: Window | None) -> Image.Image:
    """Return the loaded image in a mode of 8 bits, without transparency; `info` has its orientation, original size and scale."""
    head = file.read(HEAD)
    file.seek(0)
    format = image_format(head)
    if format is None:
        what = "is empty" if not head else "is not an image that can be read"
        raise ImageError(f"{path} {what}", possible=", ".join(READABLE))
    try:
        image = Image.open(file, formats=(format,))
    except Image.DecompressionBombError as error:
        raise _too_large(path) from error
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(path)
    original, scale = image.size, 1.0
    if format == "JPEG" and size is not None:
        reduced = image.draft(None, _least(image, size, window))
        scale = reduced[1][2] / original[0] if reduced else 1.0
    image.load()
    # A TIFF is upright once loaded; the others only say how they should be.
    orientation = image.getexif().get(_ORIENTATION)
    plain = _opaque(_eight_bits(image, format, path))
    plain.info.update(orientation=orientation, original=original, scale=scale)
    return plain


def _least(image: Image.Image, size: tuple[int, int], window: Window | None) -> tuple[int, int]:
    """Return the (width, height) below which a JPEG is not decoded."""
    if window is None:
        return 2 * max(size), 2 * max(size)
    width, height = _sides(image.size, image.getexif().get(_ORIENTATION))
    _, _, rows, columns = window(height, width)
    least = math.ceil(width * size[1] / columns), math.ceil(height * size[0] / rows)
    return _sides(least, image.getexif().get(_ORIENTATION))


def _too_large(path: Path) -> ImageError:
    return ImageError(f"{path} has too many pixels", possible=f"at most {MAX_PIXELS:,}")


def _sides(sides: tuple[int, int], orientation: int | None) -> tuple[int, int]:
    return sides[::-1] if orientation in _ON_THEIR_SIDE else sides


def _upright(image: Image.Image) -> Image.Image:
    method = _TRANSPOSE.get(image.info["orientation"])
    return image if method is None else image.transpose(method)


def _eight_bits(image: Image.Image, format: str, path: Path) -> Image.Image:
    if image.mode.startswith("I;16") or (image.mode == "I" and format in {"PNG", "PPM"}):
        wide = np.asarray(image).astype(np.uint32)
        return Image.fromarray(((wide + 128) // 257).astype(np.uint8))
    if image.mode == "I":
        raise ImageError(
            f"{path} has 32-bit integer pixels, whose range is not defined",
            possible="8 or 16 bits, or floats in [0, 1]",
        )
    if image.mode == "F":
        values = np.asarray(image)
        low, high = float(values.min()), float(values.max())
        if not (low >= 0 and high <= 255):  # not-a-number fails too
            raise ImageError(f"{path} has float pixels from {low:g} to {high:g}", possible="[0, 1] or [0, 255]")
        return Image.fromarray(np.rint(values * (255.0 if high <= 1 else 1.0)).astype(np.uint8))
    return image


def _opaque(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, image.convert("RGBA"))


def _inside(window: Window, info: Mapping[Any, Any]) -> tuple[float, float, float, float]:
    """Return the window (left, upper, right, lower) in an image that is loaded, perhaps at a reduced scale, and upright."""
    width, height = _sides(info["original"], info["orientation"])
    top, left, rows, columns = (info["scale"] * side for side in window(height, width))
    return left, top, left + columns, top + rows


def _centre(available: tuple[int, int], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return the largest centred box (left, upper, right, lower) with the proportions of `size` (height, width)."""
    width, height = available
    scale = max(size[0] / height, size[1] / width)
    box = (min(width, size[1] / scale), min(height, size[0] / scale))
    left, upper = (width - box[0]) / 2, (height - box[1]) / 2
    return left, upper, left + box[0], upper + box[1]
