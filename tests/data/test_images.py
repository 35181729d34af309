from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.data import images
from zoo.data.formats import image_format, is_image
from zoo.data.images import decode
from zoo.errors import ImageError

GRADIENT = np.linspace(0, 255, 48 * 64 * 3).reshape(48, 64, 3).astype(np.uint8)


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM"])
def test_every_format_is_told_by_content_whatever_the_suffix(tmp_path: Path, format: str) -> None:
    path = tmp_path / "image.txt"
    Image.fromarray(GRADIENT).save(path, format=format)
    assert image_format(path.read_bytes()[:32]) == format
    assert is_image(path)
    pixels = decode(path, channels=3)
    assert pixels.shape == (3, 48, 64) and pixels.dtype == np.uint8 and pixels.flags.writeable
    assert np.abs(pixels.astype(int) - GRADIENT.transpose(2, 0, 1)).mean() < 12


@pytest.mark.parametrize(
    "head", [b"", b"BM is how this text begins, not a bitmap", b"P1 text", b"RIFF    WAVE", b"%PDF-1.7"]
)
def test_other_content_is_no_image(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "note"
    path.write_bytes(head)
    assert image_format(head) is None
    assert not is_image(path)
    with pytest.raises(ImageError, match="note is"):
        decode(path, channels=3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied_once(tmp_path: Path, orientation: int, format: str) -> None:
    upright = np.zeros((32, 48, 3), dtype=np.uint8)
    upright[:16, :24] = 255
    upright[16:, 24:] = (255, 0, 0)
    # What the camera stored is the inverse of what the viewer must do.
    inverse = {5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, orientation)
    stored = Image.fromarray(upright)
    if orientation > 1:
        stored = stored.transpose(images._TRANSPOSE[inverse])
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(
        tmp_path / "photo", stored, format=format, exif=exif, **({"quality": 95} if format in {"JPEG", "WEBP"} else {})
    )
    pixels = decode(path, channels=3).transpose(1, 2, 0).astype(int)
    assert pixels.shape == upright.shape
    assert np.abs(pixels - upright).mean() < 8


def test_16_bit_grey_is_scaled_and_not_saturated(tmp_path: Path) -> None:
    wide = np.linspace(0, 65535, 256 * 2).reshape(2, 256).astype(np.uint16)
    for name in ("wide.png", "wide.tiff"):
        pixels = decode(save(tmp_path / name, Image.fromarray(wide)), channels=1)
        assert np.array_equal(pixels[0], np.rint(wide / 257).astype(np.uint8))
    header = b"P5\n256 2\n65535\n"
    (tmp_path / "wide.pgm").write_bytes(header + wide.astype(">u2").tobytes())
    assert np.array_equal(decode(tmp_path / "wide.pgm", channels=1)[0], np.rint(wide / 257).astype(np.uint8))


def test_float_pixels_have_a_defined_range(tmp_path: Path) -> None:
    unit = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    expected = np.rint(unit * 255).astype(np.uint8)
    assert np.array_equal(decode(save(tmp_path / "unit.tiff", Image.fromarray(unit)), channels=1)[0], expected)
    assert np.array_equal(decode(save(tmp_path / "byte.tiff", Image.fromarray(unit * 255)), channels=1)[0], expected)
    for name, values in (("large", unit * 1000), ("negative", unit - 0.5), ("nan", np.full_like(unit, np.nan))):
        with pytest.raises(ImageError, match=f"{name}.tiff has float pixels"):
            decode(save(tmp_path / f"{name}.tiff", Image.fromarray(values)), channels=1)


def test_32_bit_integers_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "deep.tiff", Image.fromarray(np.full((4, 4), 70000, dtype=np.int32)))
    with pytest.raises(ImageError, match="32-bit integer"):
        decode(path, channels=1)


def test_transparency_becomes_white(tmp_path: Path) -> None:
    half = np.zeros((4, 4, 4), dtype=np.uint8)
    half[:, :, 0] = 255
    half[:2, :, 3] = 255
    pixels = decode(save(tmp_path / "alpha.png", Image.fromarray(half)), channels=3)
    assert (pixels[:, 0, 0] == (255, 0, 0)).all() and (pixels[:, 3, 3] == 255).all()
    grey = Image.fromarray(half).convert("LA")
    assert decode(save(tmp_path / "la.png", grey), channels=1)[0, 3, 3] == 255
    indexed = Image.new("P", (2, 1))
    indexed.putdata([0, 1])
    indexed.putpalette([0, 0, 0, 0, 0, 255])
    pixels = decode(save(tmp_path / "palette.png", indexed, transparency=0), channels=3)
    assert pixels[:, 0, 0].tolist() == [255, 255, 255] and pixels[:, 0, 1].tolist() == [0, 0, 255]


def test_cmyk_1_bit_and_animation(tmp_path: Path) -> None:
    colour = Image.new("RGB", (8, 8), (200, 40, 10))
    pixels = decode(save(tmp_path / "cmyk.jpg", colour.convert("CMYK")), channels=3)
    assert np.abs(pixels[:, 4, 4].astype(int) - (200, 40, 10)).max() < 12
    bits = Image.fromarray(np.array([[True, False]]))
    assert decode(save(tmp_path / "bits.png", bits), channels=1).tolist() == [[[255, 0]]]
    frames = [Image.new("RGB", (4, 4), shade) for shade in ((9, 9, 9), (200, 200, 200))]
    path = save(tmp_path / "moving.gif", frames[0], save_all=True, append_images=frames[1:])
    assert (decode(path, channels=1) == 9).all()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM"])
@pytest.mark.parametrize("size", [None, (8, 8)])
def test_a_truncated_file_is_named(tmp_path: Path, format: str, size: tuple[int, int] | None) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = tmp_path / "broken image"
    Image.fromarray(noise).save(path, format=format)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImageError, match="broken image"):
        decode(path, channels=3, size=size)


def test_files_that_cannot_be_read_are_image_errors(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"absent.png: No such file"):
        decode(tmp_path / "absent.png", channels=3)
    with pytest.raises(ImageError, match="directory"):
        decode(tmp_path, channels=3)
    (tmp_path / "empty.png").touch()
    with pytest.raises(ImageError, match="is empty"):
        decode(tmp_path / "empty.png", channels=3)


def test_too_many_pixels_are_refused_and_many_pass_without_a_warning(tmp_path: Path) -> None:
    # 1-bit images stay small on disk however many pixels they have.
    bomb = save(tmp_path / "bomb.png", Image.new("1", (20_000, 9_000)))
    with pytest.raises(ImageError, match="too many pixels"):
        decode(bomb, channels=1, size=(8, 8))
    large = save(tmp_path / "large.png", Image.new("1", (10_000, 9_000)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(large, channels=1, size=(8, 8)).shape == (1, 8, 8)


def test_a_broken_exif_block_is_no_obstacle(tmp_path: Path) -> None:
    path = save(
        tmp_path / "exif.jpg", Image.fromarray(GRADIENT), exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xffgarbage"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(path, channels=3).shape == (3, 48, 64)


def test_resizing_takes_the_centre_and_is_antialiased(tmp_path: Path) -> None:
    wide = np.zeros((40, 80, 3), dtype=np.uint8)
    wide[:, 15:65] = 255  # the filter reaches a little beyond the crop
    path = save(tmp_path / "wide.png", Image.fromarray(wide))
    assert (decode(path, channels=3, size=(10, 10)) == 255).all()
    stripes = np.zeros((64, 64), dtype=np.uint8)
    stripes[:, ::2] = 255
    small = decode(save(tmp_path / "stripes.png", Image.fromarray(stripes)), channels=1, size=(8, 8))
    assert np.abs(small.astype(int) - 127).max() < 25
    assert decode(path, channels=3, size=(20, 10)).shape == (3, 20, 10)


def test_reduced_jpeg_decoding_keeps_the_picture(tmp_path: Path) -> None:
    y, x = np.mgrid[0:600, 0:800]
    photo = np.stack([x % 256, y % 256, (x + y) // 6 % 256], axis=-1).astype(np.uint8)
    smooth = Image.fromarray(photo).resize((100, 75)).resize((800, 600), Image.Resampling.BICUBIC)
    path = save(tmp_path / "photo.jpg", smooth, quality=95)
    reduced = decode(path, channels=3, size=(64, 64)).astype(int)
    full = np.asarray(Image.open(path).crop((100, 0, 700, 600)).resize((64, 64), Image.Resampling.BILINEAR))
    assert np.abs(reduced - full.transpose(2, 0, 1)).mean() < 4
