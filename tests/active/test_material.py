"""What can be asked for, as it is seen, and who knows what of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.benches import recipe
from numpy.typing import NDArray
from PIL import Image

import zoo
from zoo.active import material as material_module
from zoo.active.material import ROBUSTNESS, SEVERITIES, TARGET, Material, gather
from zoo.components import Component
from zoo.data.sources import ArrayImages, FileImages
from zoo.errors import DataError, UnknownNameError, ZooError
from zoo.evaluation.corruptions import applicable, corrupt

NAMES = applicable("uint8", 8)


def pixels(material: Material, split: str = "train") -> NDArray[Any]:
    found: NDArray[Any] = material.dataset.splits[split].pixels(material.dataset.size, 0)
    return found


def source(data: Path | str) -> Component[Any]:
    found: Component[Any] = zoo.resolve("conv-net-momentum", data=str(data)).source
    return found


def arrays(path: Path, size: int = 8, count: int = 30, kind: Any = np.uint8) -> Path:
    """Write an npz of noise in two classes, with test and validation."""
    draws = np.random.default_rng(size)
    found = {}
    for name in ("train", "validation", "test"):
        images = draws.integers(0, 256, (count, size, size))
        found |= {f"x_{name}": images.astype(kind), f"y_{name}": np.arange(count) % 2}
    np.savez(path, **found)
    return path


def photos(folder: Path, classes: Sequence[str], count: int = 8, size: int = 12) -> Path:
    """Write a folder of photos, each of a colour of its own."""
    draws = np.random.default_rng(len(folder.name))
    for split in ("train", "validation", "test"):
        for name in classes:
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                colours = draws.integers(0, 256, (size, size, 3), np.uint8)
                Image.fromarray(colours).save(folder / split / name / f"{number}.png")
    return folder


def test_material_is_all_of_train_with_an_id_for_each() -> None:
    material = gather(recipe())
    assert len(material.ids) == len(set(material.ids)) == len(material.labels) == 200
    assert material.known.all() and material.groups.tolist() == list(range(200))
    assert material.group_names == list(material.ids)
    assert set(material.dataset.splits) == {"train", "test"}
    assert set(gather(recipe("active.validation=free")).dataset.splits) == {"train", "validation", "test"}


def test_copies_of_an_image_are_a_group_whose_name_is_the_least_of_its_ids() -> None:
    material = gather(recipe("data.train_size=null", "data.times=2", "data.validation=0", data="replicas"))
    count = len(material.ids) // 2
    assert material.groups.tolist() == [*range(count), *range(count)]
    assert material.group_names == [
        min(material.ids[row % count], material.ids[row % count + count]) for row in range(2 * count)
    ]


def test_classes_that_are_not_known_stay_in_the_pool_alone() -> None:
    free = ("data.train_size=null", "active.validation=free")
    whole = gather(recipe(*free))
    material = gather(recipe(*free, "active.unknown_classes=['8', '3']"))
    assert material.dataset.classes == ("0", "1", "2", "4", "5", "6", "7", "9")
    others = np.isin(whole.labels, [3, 8])
    assert (~material.known).sum() == others.sum() and len(material.ids) == len(whole.ids)
    assert set(material.labels[~material.known].tolist()) == {0}
    for split in ("validation", "test"):
        labels = whole.dataset.splits[split].labels
        assert len(material.dataset.splits[split]) == (~np.isin(labels, [3, 8])).sum()
    assert np.array_equal(pixels(material)[material.known], pixels(whole)[~others])
    assert np.array_equal(pixels(material)[~material.known], pixels(whole)[others])
    assert len(set(material.ids)) == len(material.ids)


def test_a_class_that_the_data_lacks_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="eight"):
        gather(recipe("active.unknown_classes=['eight']"))


def test_images_of_another_source_are_resized_and_put_behind(tmp_path: Path) -> None:
    asked = recipe("active.unknown=other")
    material = gather(asked, source(arrays(tmp_path / "other.npz", size=20)))
    assert len(material.ids) == 230 and material.known.tolist() == [True] * 200 + [False] * 30
    assert material.dataset.size == (8, 8) and pixels(material).shape == (230, 1, 8, 8)
    assert np.array_equal(pixels(material)[:200], pixels(gather(recipe())))
    assert len(material.dataset.splits["test"]) == 359
    assert material.dataset.mean == gather(recipe()).dataset.mean


def test_photos_of_another_source_stand_beside_photos(tmp_path: Path) -> None:
    own, other = photos(tmp_path / "own", ["cat", "dog"]), photos(tmp_path / "others", ["car"])
    asked = recipe("data.train_size=null", "active.init=4", data=str(own))
    material = gather(asked, source(other))
    assert (len(material.ids), material.known.sum(), material.dataset.classes) == (24, 16, ("cat", "dog"))
    assert isinstance(material.dataset.splits["train"].images, FileImages)
    expected = gather(recipe("data.train_size=null", data=str(own)))
    assert np.array_equal(pixels(material)[:16], pixels(expected))


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    own = photos(tmp_path / "own", ["cat", "dog"])
    with pytest.raises(DataError, match="the unknown images must come as the others do"):
        gather(recipe("data.train_size=null", data=str(own)), source(_in_colour(tmp_path / "other.npz")))
    with pytest.raises(DataError, match="unknown images are float32"):
        gather(recipe(), source(arrays(tmp_path / "floats.npz", kind=np.float32)))


def test_unknown_images_without_a_folder_of_their_own_are_refused_with_where_to_put_them(tmp_path: Path) -> None:
    own, other = photos(tmp_path / "own", ["cat", "dog"]), photos(tmp_path / "others", ["car"])
    with pytest.raises(DataError, match=r"unknown images: .*car has no class folders") as error:
        gather(recipe("data.train_size=null", data=str(own)), source(other / "train/car"))
    assert error.value.hint == "put them into a folder of any name inside of the one that --unknown names"


def test_target_inputs_are_a_split_of_their_own_and_part_of_the_fingerprint(tmp_path: Path) -> None:
    plain, other = gather(recipe()), arrays(tmp_path / "other.npz", size=20)
    material = gather(recipe(), target_inputs=source(other))
    assert material.ids == plain.ids and material.fingerprint != plain.fingerprint
    assert len(material.target) == len(set(material.target)) == len(material.dataset.splits[TARGET]) == 30
    assert pixels(material, TARGET).shape == (30, 1, 8, 8)
    assert material.dataset.notes[-1] == "target inputs: 30 images"
    turned = np.load(other)["x_train"][::-1]
    np.savez(tmp_path / "turned.npz", x_train=turned, y_train=np.arange(30) % 2)
    assert sorted(gather(recipe(), target_inputs=source(tmp_path / "turned.npz")).target) == sorted(material.target)


def test_photos_are_target_inputs_of_photos_and_of_arrays_of_bytes(tmp_path: Path) -> None:
    own, other = photos(tmp_path / "own", ["cat", "dog"]), photos(tmp_path / "others", ["car"])
    for asked in (recipe("data.train_size=null", data=str(own)), recipe()):
        material = gather(asked, target_inputs=source(other))
        assert len(material.target) == 8 and pixels(material, TARGET).shape[1] == material.dataset.channels
    floats = recipe("data.train_size=null", data=str(arrays(tmp_path / "floats.npz", kind=np.float32)))
    with pytest.raises(DataError, match="target inputs are files"):
        gather(floats, target_inputs=source(other))


def test_of_many_target_inputs_some_are_drawn_by_their_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(material_module, "TARGETS", 12)
    other = arrays(tmp_path / "other.npz")
    found = gather(recipe(), target_inputs=source(other))
    assert len(found.target) == len(found.dataset.splits[TARGET]) == 12
    assert found.dataset.notes[-1] == "target inputs: 12 of 30 images"
    images = np.load(other)["x_train"]
    np.savez(tmp_path / "turned.npz", x_train=images[::-1], y_train=np.arange(30) % 2)
    turned = gather(recipe(), target_inputs=source(tmp_path / "turned.npz"))
    assert turned.target == found.target and np.array_equal(pixels(turned, TARGET), pixels(found, TARGET))


def test_images_that_networks_cannot_see_as_they_see_the_data_are_refused(tmp_path: Path) -> None:
    files, draws = photos(tmp_path / "files", ["car"]), np.random.default_rng(0)

    def written(name: str, *shape: int) -> str:
        images = {part: draws.random((40, *shape), np.float32) for part in ("train", "validation", "test")}
        labels = {f"y_{part}": np.arange(40) % 2 for part in images}
        np.savez(tmp_path / name, **{f"x_{part}": each for part, each in images.items()}, **labels)
        return str(tmp_path / name)

    whole = "data.train_size=null"
    signals = recipe(whole, "architecture=mlp", data=written("signals.npz", 1, 40))
    for other in (written("longer.npz", 1, 50), written("images.npz", 8, 8)):
        for named in ({"unknown": source(other)}, {"target_inputs": source(other)}):
            with pytest.raises(DataError, match=r"no signal changes its length"):
                gather(signals, **named)
    assert len(gather(signals, target_inputs=source(written("others.npz", 1, 40))).target) == 40
    with pytest.raises(DataError, match=r"of 1×40 px, and no signal changes its length"):
        gather(recipe(whole, data=written("plain.npz", 8, 8)), target_inputs=source(tmp_path / "signals.npz"))
    several = recipe(whole, data=written("several.npz", 8, 8, 4))
    with pytest.raises(DataError, match="target inputs are files"):
        gather(several, target_inputs=source(files))


def test_target_inputs_are_no_images_of_test(tmp_path: Path) -> None:
    own = photos(tmp_path / "own", ["cat", "dog"])
    (tmp_path / "seen").mkdir()
    (tmp_path / "seen/x").symlink_to(own / "test/cat")
    named = r"8 images of test stand among the target inputs as well: .* \(x/0\.png is test/cat/0\.png; "
    with pytest.raises(DataError, match=named):
        gather(recipe("data.train_size=null", data=str(own)), target_inputs=source(tmp_path / "seen"))


def _in_colour(path: Path) -> Path:
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), np.uint8)
    np.savez(
        path,
        **{
            f"{kind}_{split}": images if kind == "x" else np.arange(30) % 2
            for kind in "xy"
            for split in ("train", "test")
        },
    )
    return path


def test_a_simulation_needs_a_test_split(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "own.npz",
        x_train=np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8),
        y_train=np.arange(40) % 2,
    )
    settings = ("data.train_size=null", "data.test_fraction=0")
    with pytest.raises(DataError, match="a simulation needs a test split"):
        gather(recipe(*settings, data=str(tmp_path / "own.npz")))


def test_a_share_of_the_pool_is_corrupted_and_keeps_its_ids() -> None:
    clean, material = (
        gather(recipe("data.train_size=null")),
        gather(recipe("data.train_size=null", "active.corrupted=0.4")),
    )
    assert material.ids == clean.ids
    changed = (pixels(material) != pixels(clean)).any(axis=(1, 2, 3))
    assert 0.3 < changed.mean() < 0.45  # a corruption may leave an image as it was
    assert np.array_equal(pixels(material, "test"), pixels(clean, "test"))
    assert np.array_equal(material.labels, clean.labels) and material.known.all()
    again = gather(recipe("data.train_size=null", "active.corrupted=0.4"))
    assert np.array_equal(pixels(again), pixels(material))
    more = gather(recipe("data.train_size=null", "active.corrupted=0.8"))
    assert np.array_equal(pixels(more)[changed], pixels(material)[changed])
    other = gather(recipe("data.train_size=null", "active.corrupted=0.4", "data.split_seed=1"))
    assert not np.array_equal(pixels(other), pixels(material))


def test_corrupted_photos_are_seen_so_by_a_training_that_crops_them(tmp_path: Path) -> None:
    own = photos(tmp_path / "own", ["cat", "dog"])
    settings = ("data.train_size=null", "active.corrupted=0.9", "augmentation={random_resized_crop: {}}")
    material = gather(recipe(*settings, data=str(own)))
    assert isinstance(material.dataset.splits["train"].images, ArrayImages)
    assert not np.array_equal(pixels(material), pixels(gather(recipe("data.train_size=null", data=str(own)))))
    with pytest.raises(ZooError, match="a corrupted pool is held in memory"):
        big = photos(tmp_path / "big", ["cat", "dog"], count=1, size=700)
        gather(recipe(*settings[:2], "data.image_size=700", "data.memory_limit=1", data=str(big)))


def test_the_test_of_robustness_has_each_image_under_each_corruption_and_severity() -> None:
    material = gather(recipe("active.robustness=12"))
    split, few = material.dataset.splits[ROBUSTNESS], len(NAMES) * len(SEVERITIES)
    assert len(split) % few == 0 and len(split) // few == 12
    table = pixels(material, ROBUSTNESS).reshape(len(NAMES), len(SEVERITIES), 12, 1, 8, 8)
    labels = split.labels.reshape(few, 12)
    assert (labels == labels[0]).all()
    test = material.dataset.splits["test"]
    places = [
        int(np.flatnonzero((pixels(material, "test") == image).all(axis=(1, 2, 3)))[0]) for image in _subset(material)
    ]
    assert np.array_equal(test.labels[places], labels[0])
    samples = torch.from_numpy(test.samples[places])
    again = corrupt(torch.from_numpy(_subset(material)), NAMES[2], SEVERITIES[1], samples)
    assert np.array_equal(again.numpy(), table[2, 1])


def _subset(material: Material) -> NDArray[Any]:
    from zoo.evaluation.robustness import subset

    few = subset(material.dataset.splits["test"], 12)
    found: NDArray[Any] = few.pixels(material.dataset.size, 0)
    return found


def test_images_of_floats_are_corrupted_by_what_is_defined_for_them(tmp_path: Path) -> None:
    floats = arrays(tmp_path / "floats.npz", kind=np.float32)
    material = gather(recipe("data.train_size=null", "active.corrupted=0.9", "active.robustness=4", data=str(floats)))
    assert pixels(material).dtype == np.float32
    assert len(material.dataset.splits[ROBUSTNESS]) == 4 * len(SEVERITIES) * len(applicable("float32", 8))
