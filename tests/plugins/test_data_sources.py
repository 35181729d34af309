from __future__ import annotations

import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures import mnist
from PIL import Image
from sklearn.datasets import load_digits

from zoo.components import DATA_SETTINGS, Component, Provenance
from zoo.data.dataset import Dataset, prepare
from zoo.data.loader import Loader
from zoo.data.sources import ArrayImages, FileImages, SourceData
from zoo.errors import DataError
from zoo.recipe import DataSettings
from zoo_data_sources import recognize
from zoo_data_sources.plugin import zoo_data_sources

SPECS = {spec.name: spec for spec in zoo_data_sources()}
DIGITS = np.kron(load_digits().images[:60], np.ones((2, 2))).astype(np.uint8) * 15
TARGETS = load_digits().target[:60]


def component(name: str, **params: Any) -> Component[Any]:
    spec = SPECS[name]
    return Component(spec, spec.name, spec.params(**params), Provenance("data-sources", "zoo-vision", "0"))


def build(name: str, **params: Any) -> SourceData:
    data: SourceData = component(name, **params).build()
    return data


def picture(path: Path, mode: str = "RGB", format: str = "PNG") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(DIGITS[len(path.name) % 60]).convert(mode).save(path, format=format)


def paths(data: SourceData, split: str) -> tuple[str, ...]:
    images = data.splits[split].images
    assert isinstance(images, FileImages)
    return images.paths


def array(data: SourceData, split: str) -> np.ndarray[Any, Any]:
    images = data.splits[split].images
    assert isinstance(images, ArrayImages)
    return images.data


def test_announcing_and_recognising_import_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, zoo_data_sources.plugin as p, zoo_data_sources.recognize as r\n"
        "list(p.zoo_data_sources()); r.folder(pathlib.Path('.')); r.npz(pathlib.Path('.')); r.torchvision(pathlib.Path('.'))\n"
        "print(sorted({'torch', 'numpy', 'PIL', 'sklearn', 'torchvision', 'scipy'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert result.stdout.strip() == "[]"


def test_no_parameter_takes_the_name_of_a_setting() -> None:
    assert {"digits", "folder", "npz", "replicas", "torchvision"} == set(SPECS)
    for spec in SPECS.values():
        assert not DATA_SETTINGS & set(spec.params.__struct_fields__)


def test_digits_are_the_1797_of_scikit_learn_in_60_20_20() -> None:
    data, original = build("digits"), load_digits()
    assert data.classes == tuple("0123456789")
    assert {name: len(split.labels) for name, split in data.splits.items()} == {
        "train": 1078,
        "validation": 360,
        "test": 359,
    }
    assert array(data, "train").dtype == np.uint8 and array(data, "train").shape[1:] == (1, 8, 8)
    rows = {image.tobytes(): label for image, label in zip(original.images, original.target, strict=True)}
    together = np.concatenate([array(data, name) for name in data.splits])
    labels = np.concatenate([split.labels for split in data.splits.values()])
    assert (together.min(), together.max()) == (0, 255)
    levels = np.rint(together[:, 0] / (255 / 16))
    assert all(rows[image.tobytes()] == label for image, label in zip(levels, labels, strict=True))
    for split in data.splits.values():
        share = np.bincount(split.labels) / np.bincount(original.target)
        assert share.max() - share.min() < 0.01


@pytest.mark.parametrize("validation", ["val", "validation", "valid", "Val"])
def test_a_split_folder_is_read_by_its_names(tmp_path: Path, validation: str) -> None:
    for split in ("train", validation, "test", "notes"):
        for name in ("b cat", "a dog"):
            picture(tmp_path / split / name / "1.png")
    data = build("folder", path=str(tmp_path))
    assert data.classes == ("a dog", "b cat")
    assert paths(data, "validation") == (f"{validation}/a dog/1.png", f"{validation}/b cat/1.png")
    assert set(data.splits) == {"train", "validation", "test"}


def test_a_real_folder_has_more_than_images_in_it(tmp_path: Path) -> None:
    cat = tmp_path / "猫 cat"
    for name in ("A.JPG", "b.Jpeg", "with space.png", "größe.webp", "no suffix"):
        picture(cat / name, format={"JPG": "JPEG", "Jpeg": "JPEG", "webp": "WEBP"}.get(name.rpartition(".")[2], "PNG"))
    picture(cat / "deeper" / "grey.png", "L")
    picture(cat / "alpha.png", "RGBA")
    picture(tmp_path / "dog" / "palette.gif", "P", "GIF")
    for name in (".DS_Store", "Thumbs.db", "._A.JPG", "notes.txt", "labels.csv"):
        (cat / name).write_bytes(b"\x00\x05\x16\x07 not an image")
    picture(tmp_path / "__MACOSX" / "cat" / "x.png")
    picture(tmp_path / ".cache" / "x.png")
    picture(cat / ".thumbnails" / "x.png")
    data = build("folder", path=str(tmp_path))
    assert data.classes == ("dog", "猫 cat")
    expected = ["A.JPG", "alpha.png", "b.Jpeg", "deeper/grey.png", "größe.webp", "no suffix", "with space.png"]
    assert [path.partition("/")[2] for path in paths(data, "train")] == ["palette.gif", *sorted(expected)]
    assert data.splits["train"].labels.tolist() == [0] + [1] * 7


def test_names_stored_in_another_unicode_form_give_the_same_classes_and_order(tmp_path: Path) -> None:
    found = []
    for form in ("NFC", "NFD"):
        for name in ("éclair", "fig", "zoo", "Äpfel"):
            picture(tmp_path / form / unicodedata.normalize(form, name) / unicodedata.normalize(form, f"{name}.png"))
        data = build("folder", path=str(tmp_path / form))
        found.append((data.classes, [unicodedata.normalize("NFC", path) for path in paths(data, "train")]))
    assert found[0] == found[1]


def test_linked_folders_are_followed_and_loops_end(tmp_path: Path) -> None:
    picture(tmp_path / "elsewhere" / "1.png")
    picture(tmp_path / "root" / "cat" / "2.png")
    picture(tmp_path / "root" / "dog" / "3.png")
    (tmp_path / "root" / "cat" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "cat" / "loop").symlink_to(tmp_path / "root" / "cat")
    assert paths(build("folder", path=str(tmp_path / "root")), "train") == ("cat/2.png", "cat/more/1.png", "dog/3.png")


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("bus", "car", "train"):
        picture(tmp_path / name / "1.png")
    assert build("folder", path=str(tmp_path)).classes == ("bus", "car", "train")


def test_folders_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    def refuses(message: str, path: str = "root") -> None:
        with pytest.raises(DataError, match=message):
            build("folder", path=path)

    refuses("needs a path", "")
    refuses("there is no folder absent", "absent")
    root = Path("root")
    root.mkdir()
    refuses("root has no class folders")
    picture(root / "test" / "cat" / "1.png")
    refuses(r"root has test/ and no train/")
    picture(root / "train" / "cat" / "1.png")
    (root / "train" / "dog").mkdir()
    refuses("class folder root/train/dog has no images")
    picture(root / "train" / "dog" / "1.png")
    picture(root / "val" / "emu" / "1.png")
    refuses("root/val has classes that train does not have: 'emu'")
    (root / "val" / "emu").rename(root / "val" / "cat")
    picture(root / "valid" / "cat" / "1.png")
    refuses("more than one validation folder: val, valid")


def test_an_empty_file_that_claims_to_be_an_image_is_not_skipped(tmp_path: Path) -> None:
    picture(tmp_path / "cat" / "1.png")
    picture(tmp_path / "dog" / "1.png")
    (tmp_path / "dog" / "2.jpg").touch()
    assert "dog/2.jpg" in paths(build("folder", path=str(tmp_path)), "train")


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((60, 16, 16), (60, 1, 16, 16)),
        ((60, 16, 16, 1), (60, 1, 16, 16)),
        ((60, 8, 8, 4), (60, 4, 8, 8)),
        ((60, 4, 8, 8), (60, 4, 8, 8)),
        ((60, 256), (60, 1, 1, 256)),
    ],
)
def test_layouts_of_arrays(tmp_path: Path, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    given = DIGITS.reshape(shape)
    np.savez(tmp_path / "a.npz", x_train=given, y_train=TARGETS[:, None], x_val=given[:5], y_val=TARGETS[:5])
    data = build("npz", path=str(tmp_path / "a.npz"))
    assert array(data, "train").shape == expected and set(data.splits) == {"train", "validation"}
    assert array(data, "train")[7].sum() == DIGITS[7].sum()
    if shape[-1] == 4:
        assert np.array_equal(array(data, "train")[3, 2], given[3, :, :, 2])
    assert np.array_equal(data.splits["train"].labels, TARGETS)


def test_types_of_arrays(tmp_path: Path) -> None:
    for values, dtype, peak in (
        (DIGITS / 255, np.float32, 240 / 255),
        (DIGITS.astype(np.int64), np.uint8, 240),
        (DIGITS > 100, np.uint8, 255),
        (DIGITS.astype(">f2"), np.float32, 240),
    ):
        np.savez(tmp_path / "a.npz", x_train=values, y_train=TARGETS)
        pixels = array(build("npz", path=str(tmp_path / "a.npz")), "train")
        assert pixels.dtype == dtype and pixels.max() == pytest.approx(peak)


def test_class_names_of_arrays(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    names = np.array([f"digit {i}" for i in range(10)])
    np.savez(path, x_train=DIGITS, y_train=TARGETS, class_names=names)
    assert build("npz", path=str(path)).classes == tuple(names)
    np.savez(path, x_train=DIGITS, y_train=names[TARGETS])
    data = build("npz", path=str(path))
    assert data.classes == tuple(names) and np.array_equal(data.splits["train"].labels, TARGETS)
    np.savez(path, x_train=DIGITS, y_train=TARGETS * 10)
    assert build("npz", path=str(path)).classes[:3] == ("0", "10", "20")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": DIGITS}, r"has no x_train\n.*it has images"),
        ({"x_train": DIGITS}, "has no y_train"),
        ({"x_train": DIGITS, "y_train": TARGETS[:-1]}, r"y_train .* has int64 of shape \(59,\)"),
        ({"x_train": DIGITS, "y_train": TARGETS / 2}, "y_train .* has float64"),
        ({"x_train": DIGITS.reshape(60, 16, 4, 4)[:, :, None], "y_train": TARGETS}, "has shape"),
        ({"x_train": DIGITS.astype(int) * 9, "y_train": TARGETS}, "out of range"),
        ({"x_train": np.full((60, 4, 4), np.nan), "y_train": TARGETS}, "out of range"),
        ({"x_train": np.zeros((0, 4, 4)), "y_train": np.zeros(0, int)}, "is empty"),
        (
            {"x_train": DIGITS, "y_train": TARGETS, "x_test": DIGITS[:1], "y_test": [10]},
            r"labels without a class: \[10\]",
        ),
        ({"x_train": DIGITS, "y_train": TARGETS, "classes": np.array(["a"])}, "labels without a class"),
        ({"x_train": DIGITS, "y_train": TARGETS, "classes": np.arange(10)}, "distinct strings"),
        ({"x_train": np.array([{}] * 60, dtype=object), "y_train": TARGETS}, "cannot read .*Object arrays"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message):
        build("npz", path=str(tmp_path / "a.npz"))


def test_files_that_are_no_npz_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "whole.npz", x_train=DIGITS, y_train=TARGETS)
    content = (tmp_path / "whole.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    (tmp_path / "bent.npz").write_bytes(content[:5000] + b"x" + content[5001:])
    (tmp_path / "text.npz").write_text("not arrays")
    (tmp_path / "empty.npz").touch()
    np.save(tmp_path / "one.npy", DIGITS)
    for name in ("cut.npz", "bent.npz", "text.npz", "empty.npz", "one.npy", "."):
        with pytest.raises(DataError, match=name if name != "." else "cannot read"):
            build("npz", path=str(tmp_path / name))
    with pytest.raises(DataError, match=r"there is no file .*absent.npz"):
        build("npz", path=str(tmp_path / "absent.npz"))
    with pytest.raises(DataError, match="needs a path"):
        build("npz")


def write_idx(root: Path, name: str) -> None:
    mnist.write(root, (DIGITS[:40], TARGETS[:40]), (DIGITS[40:], TARGETS[40:]), name)


def test_torchvisions_folder_is_read(tmp_path: Path) -> None:
    write_idx(tmp_path, "MNIST")
    data = build("torchvision", path=str(tmp_path))
    assert data.classes == tuple("0123456789")
    assert np.array_equal(array(data, "train")[:, 0], DIGITS[:40])
    assert np.array_equal(data.splits["test"].labels, TARGETS[40:])
    write_idx(tmp_path, "FashionMNIST")
    with pytest.raises(DataError, match="holds MNIST and FashionMNIST"):
        build("torchvision", path=str(tmp_path))
    assert build("torchvision", path=str(tmp_path), dataset="FashionMNIST").classes[0] == "T-shirt/top"


def test_a_dataset_that_is_not_there_is_not_downloaded(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no dataset of torchvision"):
        build("torchvision", path=str(tmp_path))
    for name in ("MNIST", "CIFAR10", "SVHN"):
        with pytest.raises(DataError, match=f"cannot read {name} in") as caught:
            build("torchvision", path=str(tmp_path), dataset=name)
        assert "data.download=true" in caught.value.hint and "download=True" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_path_is_recognised_by_looking_at_it(tmp_path: Path) -> None:
    for split in ("train", "val"):
        picture(tmp_path / "split" / split / "cat" / "1.png")
    picture(tmp_path / "classes" / "cat" / "1.png")
    picture(tmp_path / "flat" / "1.png")
    np.savez(tmp_path / "arrays.bin", x_train=DIGITS)
    write_idx(tmp_path / "torch", "MNIST")
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("text")
    answers: dict[str, tuple[Callable[[Path], str | None], str]] = {
        "split": (recognize.folder, "a folder with train/, val/ of class folders"),
        "classes": (recognize.folder, "a folder of 1 class folders"),
        "flat": (recognize.folder, "a folder"),
        "empty": (recognize.folder, "a folder"),
        "arrays.bin.npz": (recognize.npz, "an npz file with x_train"),
        "torch": (recognize.torchvision, "torchvision's folder of MNIST"),
    }
    for name, (function, words) in answers.items():
        every = {f: f(tmp_path / name) for f in (recognize.folder, recognize.npz, recognize.torchvision)}
        assert every.pop(function) == words
        assert set(every.values()) == {None}, name
    for name in ("texts", "texts/a.txt", "absent"):
        assert not any(f(tmp_path / name) for f in (recognize.folder, recognize.npz, recognize.torchvision))


def prepared(name: str, settings: DataSettings, **params: Any) -> Dataset:
    return prepare(settings, component(name, **params), min_size=1, preferred_size=None, architecture="none")


@pytest.mark.slow
def test_mnist_reads_the_same_from_both_layouts(test_data: Path, tmp_path: Path) -> None:
    with np.load(test_data / "mnist.npz") as arrays:
        mnist.write(tmp_path, *((arrays[f"x_{split}"], arrays[f"y_{split}"]) for split in ("train", "test")))
    npz, torchvision = (
        prepared(name, DataSettings(), path=path)
        for name, path in (("npz", str(test_data / "mnist.npz")), ("torchvision", str(tmp_path)))
    )
    assert npz.fingerprint == torchvision.fingerprint
    assert {name: len(split) for name, split in npz.splits.items()} == {
        "train": 54_000,
        "validation": 6_000,
        "test": 10_000,
    }


@pytest.mark.slow
def test_photos_are_read_whole(test_data: Path) -> None:
    data = prepared("folder", DataSettings(), path=str(test_data / "clothing"))
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 3068, "validation": 341, "test": 372}
    assert len(data.classes) == 10
    loader = Loader(data, "test", device="cpu", batch_size=64, workers="auto", memory_limit=2048)
    assert sum(len(batch.labels) for batch in loader.evaluation()) == 372
