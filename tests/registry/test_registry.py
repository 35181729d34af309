from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.distributions import install, install_decent

import zoo
from zoo.components import Component
from zoo.errors import DataError, RecipeError, UnknownNameError
from zoo.plugins import Catalog, load_catalog
from zoo.recipe import Augmentation, EarlyStopping, Normalization
from zoo.registry import PACKAGED, Registry, recipe_document
from zoo.schedules import Constant, Cosine
from zoo.settings import absolute_paths

CATALOG = load_catalog(quiet=True)
BASE = """version: 1
defaults:
  training: {batch_size: 32, epochs: 4}
  data: {workers: 3}
recipes:
  base:
    data: {name: npz, path: a.npz, image_size: 20, split_seed: 7}
    architecture: {name: resnet18, stem: small}
    optimizer: {name: sgd, lr: 0.2}
    regularizers: [{name: dropout, rate: 0.2}, label-smoothing]
  child:
    extends: base
    data: {name: digits}
    architecture: {stem: imagenet}
    optimizer: {name: sgd, momentum: 0.5}
    training: {epochs: 9}
  other:
    extends: child
    architecture: conv-net
    optimizer: {name: adamw}
    regularizers: [weight-decay]
"""


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    (tmp_path / "mine.yaml").write_text(BASE)
    return Registry.load(CATALOG, tmp_path / "mine.yaml")


def set_by(recipe: zoo.Recipe, path: str) -> str:
    return recipe.origins[path].rpartition("/")[2]


def test_a_child_changes_its_parent_key_by_key(registry: Registry) -> None:
    child = registry.resolve("child")
    assert child.architecture.params.stem == "imagenet"  # type: ignore[attr-defined]  # a parameter of resnet18
    assert (child.optimizer.params.lr, child.optimizer.params.momentum) == (0.2, 0.5)  # type: ignore[attr-defined]
    assert (child.training.epochs, child.training.batch_size) == (9, 32)
    assert [r.name for r in child.regularizers] == ["dropout", "label-smoothing"]


def test_a_new_name_drops_all_parameters_of_the_block(registry: Registry) -> None:
    other = registry.resolve("other")
    assert other.architecture.params == other.architecture.spec.params()
    assert other.optimizer.params == other.optimizer.spec.params()
    assert [r.name for r in other.regularizers] == ["weight-decay"]


def test_a_new_source_keeps_what_concerns_machine_and_cut(registry: Registry) -> None:
    child = registry.resolve("child")
    assert (child.source.name, child.data.image_size) == ("digits", "auto")
    assert (child.data.split_seed, child.data.workers) == (7, 3)


def test_who_set_each_value(registry: Registry) -> None:
    child = registry.resolve("child", ["optimizer.lr=0.4", "schedule=cosine"])
    assert set_by(child, "architecture.name") == "mine.yaml:8:26"
    assert set_by(child, "architecture.stem") == "mine.yaml:14:26"
    assert set_by(child, "training.epochs") == "mine.yaml:16:24"
    assert set_by(child, "training.batch_size") == "mine.yaml:3:26"
    assert set_by(child, "optimizer.lr") == "command line"
    assert set_by(child, "schedule.name") == "command line"
    assert set_by(child, "optimizer.nesterov") == "plugin default"
    assert set_by(child, "training.seed") == "default"
    assert set_by(child, "regularizers.dropout.rate") == "mine.yaml:10:42"


def test_every_value_that_a_recipe_resolves_to_has_an_origin(registry: Registry) -> None:
    def leaves(value: object, prefix: str) -> Iterator[str]:
        if isinstance(value, dict):
            for key, item in value.items():
                yield from leaves(item, f"{prefix}.{key}" if prefix else key)
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            for index, item in enumerate(value):
                yield from leaves(item, f"{prefix}[{index}]")
        else:
            yield prefix

    for name in registry.names():
        recipe = registry.resolve(name)
        shown = recipe.to_dict()
        shown["regularizers"] = {item["name"]: item for item in shown["regularizers"]}
        assert set(leaves(shown, "")) <= set(recipe.origins), name


def test_the_command_line_comes_last(registry: Registry) -> None:
    recipe = registry.resolve(
        "base",
        [
            "architecture=conv-net", "architecture.filters=8", "training.early_stopping={patience: 2}", "schedule={name: cosine, final: 0.1}",
            "regularizers.dropout.rate=0.3", "regularizers.label-smoothing=null", "regularizers.weight-decay.strength=0.01",
            "data.normalization={mean: [0.5], std: [0.25]}", "data.classes=[cat, 007, 'no']",
        ],
    )  # fmt: skip
    assert recipe.architecture.name == "conv-net"
    assert recipe.architecture.params.filters == 8  # type: ignore[attr-defined]
    assert recipe.training.early_stopping == EarlyStopping(patience=2)
    assert recipe.schedule == Cosine(final=0.1)
    assert [r.name for r in recipe.regularizers] == ["dropout", "weight-decay"]
    assert recipe.regularizers[0].params.rate == 0.3  # type: ignore[attr-defined]
    assert recipe.regularizers[1].params.strength == 0.01  # type: ignore[attr-defined]
    assert recipe.data.normalization == Normalization(mean=[0.5], std=[0.25])
    assert recipe.data.classes == ["cat", "007", "no"]


def test_null_takes_a_block_back(registry: Registry) -> None:
    recipe = registry.resolve(
        "base", ["augmentation.shift=0.2", "augmentation=null", "regularizers=null", "schedule=cosine", "schedule=null"]
    )
    assert (recipe.augmentation, recipe.regularizers, recipe.schedule) == (Augmentation(), (), Constant())
    with pytest.raises(RecipeError, match="recipe 'base' has no optimizer"):
        registry.resolve("base", ["optimizer=null"])


def test_null_takes_an_optional_value_back(registry: Registry) -> None:
    recipe = registry.resolve(
        "base", ["training.epochs=null", "training.steps=5", "acquisition=margin", "acquisition=null"]
    )
    assert (recipe.training.epochs, recipe.training.steps, recipe.acquisition) == (None, 5, None)


def test_yaml_1_2_scalars(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(
        BASE.replace("lr: 0.2", "lr: 2e-1")
        .replace("path: a.npz", "path: no")
        .replace("split_seed: 7", "split_seed: 0o17")
    )
    recipe = Registry.load(CATALOG, tmp_path / "r.yaml").resolve("base", ["training.seed=010"])
    assert recipe.optimizer.params.lr == 0.2  # type: ignore[attr-defined]
    assert recipe.source.params.path == "no"  # type: ignore[attr-defined]
    assert (recipe.data.split_seed, recipe.training.seed) == (15, 10)


def test_the_file_is_looked_up_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_recipe(name: str) -> Path:
        path = tmp_path / f"{name}.yaml"
        path.write_text(f"version: 1\nrecipes:\n  {name}: {{extends: conv-net-momentum}}\n")
        return path

    def first() -> str:
        return Registry.load(CATALOG).names()[0]

    packaged = Registry.load(CATALOG).names()
    assert "resnet50-momentum" in packaged
    with_recipe("registry")
    assert first() == "registry"
    monkeypatch.setenv("ZOO_REGISTRY", str(with_recipe("environment")))
    assert first() == "environment"
    asked = Registry.load(CATALOG, with_recipe("asked"))
    assert asked.names() == ("asked", *packaged)


def test_the_packaged_file_chosen_by_its_path_does_not_lie_over_itself() -> None:
    registry = Registry.load(CATALOG, PACKAGED)
    assert registry.resolve("conv-net-momentum").notes == ()
    assert len(registry.files) == len(Registry.load(CATALOG).files)


def test_a_copy_of_the_packaged_file_does_not_lie_over_it(tmp_path: Path) -> None:
    (tmp_path / "registry.yaml").write_bytes(PACKAGED.read_bytes())
    assert Registry.load(CATALOG).resolve("conv-net-momentum").notes == ()


def test_a_recipe_of_the_same_name_replaces_and_may_extend_the_packaged_one(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "version: 1\nrecipes:\n  conv-net-momentum:\n    extends: conv-net-momentum\n    training: {epochs: 2}\n"
    )
    recipe = Registry.load(CATALOG, file).resolve("conv-net-momentum")
    assert recipe.training.epochs == 2
    assert recipe.architecture.name == "conv-net"
    assert recipe.notes == (f"conv-net-momentum of {file} replaces the one of zoo/registry.yaml",)


def test_the_packaged_registry_is_right_and_says_so_of_every_recipe() -> None:
    registry = Registry.load(CATALOG)
    assert registry.check() is None
    assert {"resnet50-momentum", "conv-net-momentum", "row-lstm-momentum"} <= set(registry.names())
    assert all(registry.resolve(name).name == name for name in registry.names())


def test_an_unknown_recipe_is_told_with_the_nearest(registry: Registry) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown recipe 'chidl'\n  possible: did you mean 'child'"):
        registry.resolve("chidl")


def test_a_resolved_recipe_written_down_resolves_to_itself(registry: Registry, tmp_path: Path) -> None:
    awkward = "data.classes=['1e3', 'null', '~', '0o17', 'yes', ' a ', 'é: #', '.inf']"
    for name in registry.names():
        recipe = registry.resolve(name, [awkward] if name == "base" else [])
        (tmp_path / "again.yaml").write_text(recipe_document(recipe))
        again = Registry.load(CATALOG, tmp_path / "again.yaml").resolve(name)
        assert again.to_dict() == recipe.to_dict()


def test_paths_become_absolute(registry: Registry, tmp_path: Path) -> None:
    assert absolute_paths(registry.resolve("base")).source.params.path == str(tmp_path / "a.npz")  # type: ignore[attr-defined]
    digits = registry.resolve("child")
    assert absolute_paths(digits) is digits
    nested = registry.resolve("child", ["data={name: replicas, base: {name: npz, path: a.npz}}"])
    inner = absolute_paths(nested).source.params.base  # type: ignore[attr-defined]
    assert inner.params.path == str(tmp_path / "a.npz")


def test_data_replaces_the_source_and_says_what_it_saw(registry: Registry, tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "photos/train" / name).mkdir(parents=True)
    recipe = registry.resolve("base", ["data.image_size=48"], data="photos")
    assert (recipe.source.name, recipe.source.params.path) == ("folder", "photos")  # type: ignore[attr-defined]
    assert (recipe.data.image_size, recipe.data.split_seed, recipe.data.workers) == (48, 7, 3)
    assert recipe.notes == ("data: photos is a folder with train/ of class folders, read by source folder",)
    assert recipe.origins["data.path"] == "command line"
    assert registry.resolve("base", data="photos").data.image_size == "auto"
    assert registry.resolve("base", data="digits").source.name == "digits"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nowhere", "there is no file or folder 'nowhere', and no data source of that name"),
        ("digts", "did you mean the source 'digits'?\n  try: --data digits"),
        ("note.txt", "did you mean the path 'notes.txt'?\n  try: --data notes.txt"),
        ("my/photo", "did you mean the path 'my/my photos'?\n  try: --data 'my/my photos'"),
        ("elsewhere/photos", "possible: a path, or a source: digits, folder"),
        ("notes.txt", "no data source reads 'notes.txt'\n  possible: a folder of class folders, an .npz file"),
        ("\0", "there is no file or folder"),
    ],
)
def test_data_that_nothing_reads_is_refused(registry: Registry, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("words")
    (tmp_path / "my/my photos").mkdir(parents=True)
    with pytest.raises(DataError) as caught:
        registry.resolve("base", data=text)
    assert message in str(caught.value)


def test_recipes_of_a_plugin_stand_under_its_namespace(site: Path, tmp_path: Path) -> None:
    install_decent(site)
    registry = Registry.load(load_catalog(quiet=True))
    (name,) = [name for name in registry.names() if name.startswith("decent/")]
    recipe = registry.resolve(name)
    assert recipe.architecture.name == "decent/net"
    assert recipe.architecture.provenance.distribution == "zoo-decent"
    listed = next(row for row in registry.listed() if row.name == name)
    assert (listed.plugin, listed.distribution, listed.version) == ("decent", "zoo-decent", "1.2.3")
    (tmp_path / "mine.yaml").write_text(f"version: 1\nrecipes:\n  mine: {{extends: {name}, training: {{epochs: 1}}}}\n")
    mine = Registry.load(load_catalog(quiet=True), tmp_path / "mine.yaml").resolve("mine")
    assert (mine.architecture.name, mine.training.epochs) == ("decent/net", 1)


def test_a_recipe_whose_plugin_is_not_there_harms_no_other(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "version: 1\nrecipes:\n  a: {extends: conv-net-momentum, architecture: acme/net}\n  b: {extends: conv-net-momentum}\n"
    )
    registry = Registry.load(CATALOG, file)
    assert registry.resolve("b").architecture.name == "conv-net"
    with pytest.raises(RecipeError, match=r"mine\.yaml:3:49: recipe 'a': unknown architecture 'acme/net'"):
        registry.resolve("a")


def test_a_recipe_names_the_failed_plugin_that_it_needs(site: Path, tmp_path: Path) -> None:
    install(site, "raises_at_import")
    file = tmp_path / "mine.yaml"
    file.write_text("version: 1\nrecipes:\n  a: {extends: conv-net-momentum, architecture: raises-at-import/net}\n")
    with pytest.raises(RecipeError, match=r"plugin 'raises-at-import' \(zoo-raises-at-import 1.2.3\), which is failed"):
        Registry.load(load_catalog(quiet=True), file).resolve("a")


NESTED = """
from __future__ import annotations
from typing import Annotated
from msgspec import Meta
from zoo import Component, OptimizerSpec, Params, hookimpl

class Wrapped(Params, frozen=True, kw_only=True):
    base: Component["optimizer"] = "momentum"
    others: list[Component["optimizer"]] = []
    rho: Annotated[float, Meta(gt=0)] = 0.05

    def __post_init__(self):
        if self.rho == 0.5:
            raise ValueError("rho may not be one half")

@hookimpl
def zoo_optimizers():
    return [OptimizerSpec(name="wrapped", factory="nested:Wrapped", summary="an optimizer around others", params=Wrapped)]
"""


@pytest.fixture
def nested(tmp_path: Path) -> Iterator[Catalog]:
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "nested.py").write_text(NESTED)
    yield load_catalog(folder)
    del sys.modules["nested"]


def test_a_component_inside_a_component_is_resolved_like_one_at_the_top(nested: Catalog, tmp_path: Path) -> None:
    registry = Registry.load(nested)
    recipe = registry.resolve(
        "conv-net-momentum",
        ["optimizer={name: local/wrapped, base: sgd}", "optimizer.base.lr=0.3", "optimizer.others=[adamw]"],
    )
    base = recipe.optimizer.params.base  # type: ignore[attr-defined]
    assert isinstance(base, Component)
    assert (base.name, base.params.lr, base.provenance.distribution) == ("sgd", 0.3, "zoo-vision")  # type: ignore[attr-defined]
    assert [other.name for other in recipe.optimizer.params.others] == ["adamw"]  # type: ignore[attr-defined]
    assert recipe.origins["optimizer.base.momentum"] == "plugin default"
    (tmp_path / "again.yaml").write_text(recipe_document(recipe))
    assert Registry.load(nested, tmp_path / "again.yaml").resolve(recipe.name).to_dict() == recipe.to_dict()
    default = registry.resolve("conv-net-momentum", ["optimizer=local/wrapped"])
    assert default.optimizer.params.base.name == "momentum"  # type: ignore[attr-defined]
    changed = registry.resolve("conv-net-momentum", ["optimizer=local/wrapped", "optimizer.base.lr=0.7"])
    assert (changed.optimizer.params.base.name, changed.optimizer.params.base.params.lr) == ("momentum", 0.7)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "optimizer={name: local/wrapped, base: {name: sgd, lr: 0}}",
            "optimizer.base.lr must be a number > 0, got 0 instead",
        ),
        ("optimizer={name: local/wrapped, base: {name: sdg}}", "unknown optimizer 'sdg'; did you mean 'sgd'?"),
        ("optimizer={name: local/wrapped, base: 3}", "optimizer.base must be a component, got 3 instead"),
        ("optimizer={name: local/wrapped, rho: 0.5}", "optimizer: ValueError: rho may not be one half"),
        (
            "optimizer={name: local/wrapped, base: {name: local/wrapped, base: {name: local/wrapped, base: sgd}}}",
            "optimizer.base.base.base: components stand at most 3 deep inside one another, and 'sgd' is one too many;"
            " optimizer.base.base may be anything without components inside of it",
        ),
    ],
)
def test_a_bad_component_inside_a_component(nested: Catalog, override: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Registry.load(nested).resolve("conv-net-momentum", [override])
    assert message in str(caught.value)


def test_a_plugins_bad_registry_is_named_and_left_out(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install_decent(site)
    (site / "decent.yaml").write_text("version: 1\nrecipez: {}\n")
    registry = Registry.load(load_catalog())
    assert "conv-net-momentum" in registry.names()
    assert not any(name.startswith("decent/") for name in registry.names())
    assert (
        "plugin 'decent' (zoo-decent 1.2.3): its recipes are not used: site/decent.yaml:2:1: unknown key 'recipez'"
        in capsys.readouterr().err
    )
