from __future__ import annotations

import pytest
import torch
from torch import Tensor

import zoo
from zoo.augmentation import Augmentation, Policy
from zoo.data.augment import Preprocess
from zoo.data.policies import MIX, RAND, WIDE, apply, augmix, rand_augment, trivial_augment
from zoo.errors import DataError, RecipeError, ZooError
from zoo.training.randomness import Draws

POLICIES = ("trivial-augment", "rand-augment", "augmix")


def images(count: int = 64, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(20, 230, (count, channels, 12, 10), dtype=torch.uint8, generator=generator)


def draws(count: int = 64) -> Draws:
    return Draws(0, 0, torch.arange(count))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_is_a_function_of_seed_epoch_and_sample(name: str, channels: int) -> None:
    preprocess = Preprocess((0.5,) * channels, (0.2,) * channels, Augmentation(policy=name))
    whole, before = images(channels=channels), torch.get_rng_state()
    kept, result = whole.clone(), preprocess.train(whole, draws())
    assert torch.equal(whole, kept) and torch.equal(torch.get_rng_state(), before)
    order = torch.tensor([9, 3, 60, 0])
    torch.testing.assert_close(preprocess.train(whole[order], Draws(0, 0, order)), result[order])
    for other in (Draws(1, 0, torch.arange(64)), Draws(0, 1, torch.arange(64))):
        assert not torch.allclose(preprocess.train(whole, other), result)


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_keeps_the_range_and_changes_most_images(name: str) -> None:
    whole = images(500)
    changed = apply(Policy(name=name), whole, draws(500)).float()
    assert changed.shape == whole.shape and float(changed.min()) >= 0 and float(changed.max()) <= 255
    same = (changed - whole.float()).abs().amax((1, 2, 3)) < 0.5
    assert float(same.float().mean()) < 0.25


def test_trivial_augment_draws_each_operation_and_each_magnitude_alike() -> None:
    u = draws(6200).uniform("augment/trivial", 3)
    operations = torch.bincount((u[:, 0] * len(WIDE.operations)).long(), minlength=14)
    magnitudes = torch.bincount((u[:, 1] * 31).long(), minlength=31)
    assert int(operations.min()) > 380 and int(operations.max()) < 510  # 443 each, four deviations
    assert int(magnitudes.min()) > 140 and int(magnitudes.max()) < 260  # 200 each


def test_rand_augment_without_operations_changes_nothing_and_at_magnitude_0_only_what_has_no_magnitude() -> None:
    whole = images(400)
    assert torch.equal(rand_augment(whole, draws(400), 0, 30), whole)
    changed = (rand_augment(whole, draws(400), 1, 0) != whole).flatten(1).any(1)
    number = (draws(400).uniform("augment/rand", 2)[:, 0] * 14).long()
    # Twelve by ten pixels are too few to equalize.
    stretched = number == RAND.operations.index("autocontrast")
    assert torch.equal(changed, stretched) and stretched.any()


def test_operations_follow_one_another() -> None:
    whole = images()
    once = rand_augment(whole, draws(), 1, 12)
    twice = rand_augment(whole, draws(), 2, 12)
    second = draws().uniform("augment/rand", 4)[:, 2]
    idle = (second * 14).long() == RAND.operations.index("identity")
    assert idle.any() and torch.equal(twice[idle], once[idle])
    assert not torch.equal(twice, once)


def test_augmix_lies_between_the_image_and_its_chains() -> None:
    """One chain of one operation: the result is the mean of image and changed image by the first draw."""
    from zoo.data.operations import apply as operate

    whole = images()
    u = draws().uniform("augment/augmix", 6)  # share of the image, of the chain, depth, operation, level, direction
    changed = operate(whole, MIX, (u[:, 3] * 9).long(), torch.floor(u[:, 4] * 3) / 9, u[:, 5] < 0.5)
    kept = u[:, 0, None, None, None]
    torch.testing.assert_close(augmix(whole, draws(), 1, 1, 3), kept * whole + (1 - kept) * changed)


def test_augmix_draws_how_deep_a_chain_is() -> None:
    drawn, deep = augmix(images(), draws(), 3, None, 3), augmix(images(), draws(), 3, 3, 3)
    same = (drawn == deep).flatten(1).all(1)
    assert 0 <= int(same.sum()) < 20 and not torch.equal(drawn, deep)
    assert torch.isfinite(drawn).all()


def test_policies_come_after_what_moves_the_image_and_see_whole_values() -> None:
    moved = Augmentation(rotation=20, policy="trivial-augment")
    preprocess = Preprocess((0.0,) * 3, (1.0,) * 3, moved)
    alone = Preprocess((0.0,) * 3, (1.0,) * 3, Augmentation(rotation=20))
    expected = trivial_augment(alone.augment(images(), draws()).round().byte(), draws())
    assert torch.equal(preprocess.augment(images(), draws()), expected)


@pytest.mark.parametrize("name", POLICIES)
def test_arrays_that_are_no_8_bit_images_are_refused(name: str) -> None:
    preprocess = Preprocess((0.0,), (1.0,), Augmentation(policy=name))
    with pytest.raises(DataError, match=f"augmentation.policy {name} is for 8-bit images, and the data is float32"):
        preprocess.train(torch.zeros(2, 1, 8, 8), draws(2))
    with pytest.raises(DataError, match="signals are one pixel high"):
        preprocess.train(torch.zeros(2, 1, 1, 8, dtype=torch.uint8), draws(2))


def test_a_policy_has_its_own_parameters_and_refuses_those_of_another() -> None:
    assert Policy(name="rand-augment", magnitude=5) == Policy(name="rand-augment", operations=2, magnitude=5)
    assert Augmentation(policy="augmix").chosen_policy == Policy(name="augmix", width=3, severity=3)
    assert Augmentation().chosen_policy is None
    with pytest.raises(ZooError, match="policy augmix has no magnitude; it takes width, depth, severity"):
        Policy(name="augmix", magnitude=3)
    with pytest.raises(ZooError, match="policy trivial-augment has no width; it takes no parameters"):
        Policy(name="trivial-augment", width=3)
    with pytest.raises(ZooError, match="policy needs its name beside its parameters"):
        Policy(magnitude=3)


def test_a_recipe_names_a_policy_bare_or_with_its_parameters_and_keeps_both() -> None:
    bare = zoo.resolve("conv-net-momentum", "augmentation.policy=augmix")
    assert bare.augmentation.chosen_policy == Policy(name="augmix")
    assert bare.to_dict()["augmentation"]["policy"] == "augmix"
    full = zoo.resolve("conv-net-momentum", "augmentation.policy={name: rand-augment, magnitude: 12}")
    assert full.augmentation.policy == Policy(name="rand-augment", operations=2, magnitude=12)
    assert full.to_dict()["augmentation"]["policy"] == {"name": "rand-augment", "operations": 2, "magnitude": 12}
    assert full.origins["augmentation.policy.operations"] == "default"
    assert zoo.resolve("conv-net-momentum", "augmentation.random_resized_crop={}").augmentation.warps


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("policy=randaugment", "did you mean 'rand-augment'"),
        ("policy={name: augmix, operations: 2}", "policy augmix has no operations; it takes width, depth, severity"),
        ("policy={name: rand-augment, magnitude: 31}", "≥ 0, ≤ 30 or null, got 31 instead"),
        ("random_resized_crop={scale: [0.9, 0.1]}", r"scale must be \[least, largest\], got \[0.9, 0.1\] instead"),
        ("random_resized_crop.ratio=[0, 1]", "random_resized_crop.ratio.0. must be a number > 0, got 0 instead"),
        ("padding_crop=-1", "padding_crop must be an integer ≥ 0"),
        ("erasing=1.5", "erasing must be a number ≥ 0, ≤ 1"),
    ],
)
def test_what_a_recipe_cannot_mean_is_refused_where_it_stands(setting: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        zoo.resolve("conv-net-momentum", f"augmentation.{setting}")
