"""Image formats, told by the first bytes of a file: a name's suffix is never believed about content. Needs no package."""

from __future__ import annotations

import re
from pathlib import Path

HEAD = 32  # bytes that `image_format` wants to see

# Suffixes whose files are taken for images whatever they hold, so that a damaged image is named and never skipped.
SUFFIXES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".gif",
        ".bmp",
        ".dib",
        ".webp",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".heic",
        ".heif",
        ".avif",
        ".jp2",
    ]
)

READABLE = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")

_MAGIC: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    ("JPEG", re.compile(rb"\xff\xd8\xff")),
    ("PNG", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("GIF", re.compile(rb"GIF8[79]a")),
    ("WEBP", re.compile(rb"RIFF.{4}WEBP", re.DOTALL)),
    ("TIFF", re.compile(rb"II[*+]\x00|MM\x00[*+]")),
    # Byte 14 of a bitmap is the length of its second header, of which there are seven versions.
    ("BMP", re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\x00\x00\x00", re.DOTALL)),
    ("PPM", re.compile(rb"P[1-6][ \t\r\n]+(#|[0-9]+\s)")),
)


def image_format(head: bytes) -> str | None:
    """Return the format (one of `READABLE`) of a file that starts with these bytes, or None."""
    return next((name for name, magic in _MAGIC if magic.match(head)), None)


def is_image(path: Path) -> bool:
    """Return whether a file holds an image by its content, or claims to by its suffix."""
    if path.suffix.lower() in SUFFIXES:
        return True
    with path.open("rb") as file:
        return image_format(file.read(HEAD)) is not None


def is_hidden(name: str) -> bool:
    """Return whether an entry of a folder is the operating system's, not the user's: `.DS_Store`, `Thumbs.db`, `__MACOSX`."""
    return name.startswith((".", "@eaDir")) or name in {"__MACOSX", "Thumbs.db", "desktop.ini"}
