from __future__ import annotations

from pathlib import Path

from zoo.plugins import load_catalog
from zoo.registry import Registry

CATALOG = load_catalog(quiet=True)


def lines(recipes: str, tmp_path: Path) -> dict[str, str]:
    """Return the summaries of recipes that are written as flow mappings, one a line."""
    text = "".join(f"  {line}\n" for line in recipes.strip().splitlines())
    (tmp_path / "r.yaml").write_text(f"version: 1\nrecipes:\n{text}")
    registry = Registry.load(CATALOG, tmp_path / "r.yaml")
    own = registry.files[0].recipes
    return {row.name: row.summary for row in registry.listed() if row.name in own}


def test_no_two_packaged_recipes_have_the_same_summary() -> None:
    found = [row.summary for row in Registry.load(CATALOG).listed()]
    assert len(found) == len(set(found))


def test_the_summary_names_network_data_optimizer_and_weights(tmp_path: Path) -> None:
    found = lines(
        """
plain: {data: npz, architecture: conv-net, optimizer: sgd}
named: {data: digits, architecture: {name: timm, model: vit_tiny_patch16_224}, optimizer: {name: sam, base: {name: sgd, lr: 1}}}
tuned: {data: digits, architecture: {name: resnet50, stem: auto}, optimizer: sgd, weights: pretrained, freeze: backbone}
thawed: {extends: tuned, freeze: {unfreeze_after: 3}}
""",
        tmp_path,
    )
    assert found["plain"] == "conv-net on npz with sgd"
    assert found["named"] == "timm (model vit_tiny_patch16_224) on digits with sam (base sgd)"
    assert found["tuned"] == "resnet50 on digits with sgd, weights pretrained, frozen"
    assert found["thawed"] == "resnet50 on digits with sgd, weights pretrained, frozen for 3 epochs"


def test_recipes_alike_so_far_are_told_apart_by_regularizers_then_augmentation_then_settings(tmp_path: Path) -> None:
    found = lines(
        """
bare: {data: npz, architecture: mlp, optimizer: adamw}
regular: {extends: bare, regularizers: [{name: weight-decay, strength: 0.1}, focal]}
turned: {extends: bare, augmentation: {rotation: 10, shift: 0, horizontal_flip: true, policy: augmix}}
waved: {extends: bare, schedule: cosine}
slow: {extends: waved, optimizer: {lr: 0.001}, training: {epochs: 3}}
fast: {extends: waved, optimizer: {lr: 0.1}}
""",
        tmp_path,
    )
    assert found == {
        "bare": "mlp on npz with adamw; no regularizers; no augmentation; constant schedule",
        "regular": "mlp on npz with adamw; weight-decay, focal",
        "turned": "mlp on npz with adamw; no regularizers; rotation, horizontal flip, augmix",
        "waved": "mlp on npz with adamw; no regularizers; no augmentation; cosine schedule; optimizer adamw",
        "slow": "mlp on npz with adamw; no regularizers; no augmentation; cosine schedule; optimizer.lr 0.001, training.epochs 3",
        "fast": "mlp on npz with adamw; no regularizers; no augmentation; cosine schedule; optimizer.lr 0.1",
    }
