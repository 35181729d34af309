"""mixup, CutMix and both: partners, weights, boxes and targets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fixtures.regularizers import bound
from scipy import stats
from torch import Tensor
from torch.nn import functional

import zoo
from zoo.training.randomness import Draws
from zoo_regularizers.mixing import beta_quantiles, boxes, interpolated, ring

CLASSES = 5
SIZE = torch.Size((8, 8))


def constant_images(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return images `(count, 2, 8, 8)` that are their sample's number all over, labels, and samples."""
    samples = torch.arange(count)
    return samples.float()[:, None, None, None].expand(count, 2, 8, 8).contiguous(), samples % CLASSES, samples


def mixed(name: str, count: int = 64, epoch: int = 0, **params: float) -> tuple[Tensor, Tensor]:
    """Return (images, targets) of a mixed batch of constant images."""
    images, labels, samples = constant_images(count)
    return bound(name, class_counts=[5] * CLASSES, **params).on_batch(images, labels, Draws(0, epoch, samples))


def partners(count: int = 64, epoch: int = 0) -> Tensor:
    """Return the partner of each sample of such a batch."""
    return ring(Draws(0, epoch, torch.arange(count)).uniform("mixing", 6)[:, 0])


def test_partners_form_one_ring_that_nobody_is_alone_in() -> None:
    found = ring(torch.tensor([0.5, 0.1, 0.9, 0.3]))
    assert found.tolist() == [2, 3, 1, 0]
    found, place, met = partners(), 0, []
    for _ in range(64):
        place = int(found[place])
        met.append(place)
    assert sorted(met) == list(range(64)) and place == 0


def test_a_sample_by_itself_stays_itself() -> None:
    images, targets = mixed("mixup", 1, alpha=1.0)
    assert not images.any() and targets.tolist() == [[1, 0, 0, 0, 0]]


@pytest.mark.parametrize("alpha", [0.1, 0.2, 1.0, 4.0])
def test_weights_follow_the_beta_distribution(alpha: float) -> None:
    levels = torch.linspace(0.00005, 0.99995, 1001)
    got = interpolated(beta_quantiles(alpha), levels).double().numpy()
    assert np.allclose(got, stats.beta.ppf(levels.double().numpy(), alpha, alpha), atol=0.03)
    lower = slice(500)  # close to 1, single precision tells no values apart that a small alpha does
    assert abs(stats.beta.cdf(got[lower], alpha, alpha) - levels[lower].double().numpy()).max() < 1 / 4096
    drawn = interpolated(beta_quantiles(alpha), Draws(0, 0, torch.arange(5000)).uniform("weights")[:, 0]).double()
    # Of Beta(a, a): mean ½, variance 1 / (8a + 4); standard deviations of the estimates below 0.008 and 0.003.
    assert float(drawn.mean()) == pytest.approx(0.5, abs=0.03)
    assert float(drawn.var()) == pytest.approx(1 / (8 * alpha + 4), abs=0.01)


def test_mixup_is_the_mean_of_images_and_targets_with_the_same_weights() -> None:
    images, targets = mixed("mixup", alpha=1.0)
    found = partners()
    own = torch.arange(64.0)
    weights = (images[:, 0, 0, 0] - found) / (own - found)
    assert bool(((weights >= 0) & (weights <= 1)).all()) and weights.std() > 0.2
    assert torch.allclose(images, images[:, :1, :1, :1].expand_as(images))
    labels, others = (functional.one_hot(i % CLASSES, CLASSES).float() for i in (torch.arange(64), found))
    expected = weights[:, None] * labels + (1 - weights[:, None]) * others
    assert targets.dtype == torch.float32 and torch.allclose(targets, expected, atol=1e-4)


def test_a_cutmix_target_is_the_share_of_pixels() -> None:
    images, targets = mixed("cutmix", alpha=1.0)
    found, own = partners(), torch.arange(64)
    box = images == found[:, None, None, None]
    assert bool((box | (images == own[:, None, None, None])).all())
    share = box.float().mean((1, 2, 3))
    labels, others = (functional.one_hot(i % CLASSES, CLASSES).float() for i in (own, found))
    assert torch.allclose(targets, (1 - share[:, None]) * labels + share[:, None] * others, atol=1e-6)
    for mask in box[:, 0]:
        rows, columns = mask.any(1), mask.any(0)
        assert torch.equal(mask, rows[:, None] & columns), "a box is a rectangle"
        for line in (rows, columns):
            assert int(line.byte().diff().ne(0).sum()) <= 2, "in one piece"


def test_boxes_by_hand() -> None:
    """A weight of ¾ leaves half of each side to the box: in the middle, over a corner, and over the far border."""
    centres = torch.tensor([[0.5, 0.5], [0.0, 0.0], [0.99, 0.5], [0.5, 0.5], [0.5, 0.5]])
    inside, rest = boxes(torch.tensor([0.75, 0.75, 0.75, 1.0, 0.0]), centres, SIZE)
    assert rest.tolist() == [0.75, 1 - 4 / 64, 1 - 12 / 64, 1.0, 0.0]
    assert inside.shape == (5, 1, 8, 8)
    assert inside[0, 0].nonzero().amin(0).tolist() == [2, 2] and inside[0, 0].nonzero().amax(0).tolist() == [5, 5]
    assert inside[1, 0].nonzero().amax(0).tolist() == [1, 1]
    assert inside[2, 0].nonzero().amin(0).tolist() == [2, 5] and inside[2, 0].nonzero().amax(0).tolist() == [5, 7]


def test_a_box_of_an_oblong_image_has_its_shape() -> None:
    inside, rest = boxes(torch.tensor([0.75]), torch.tensor([[0.5, 0.5]]), torch.Size((4, 16)))
    assert inside[0, 0].any(0).sum() == 8 and inside[0, 0].any(1).sum() == 2 and float(rest) == 0.75


def test_both_mix_as_often_as_they_are_asked_to() -> None:
    images, targets = mixed("mixup-cutmix", 4000, probability=0.6, switch=0.3, mixup_alpha=1.0, cutmix_alpha=1.0)
    own = torch.arange(4000.0)[:, None, None, None]
    whole = (images == own).flatten(1).all(1)
    flat = (images == images[:, :1, :1, :1]).flatten(1).all(1)
    assert torch.equal(targets[whole], functional.one_hot(torch.arange(4000)[whole] % CLASSES, CLASSES).float())
    # Standard deviation of a share: 0.8 %; some boxes are nothing or everything.
    assert float((~flat).float().mean()) == pytest.approx(0.6 * 0.3, abs=0.03)
    assert float(whole.float().mean()) == pytest.approx(0.4, abs=0.03)
    assert torch.allclose(targets.sum(1), torch.ones(4000), atol=1e-6)


@pytest.mark.parametrize("name", ["mixup", "cutmix", "mixup-cutmix"])
def test_a_mixed_sample_does_not_depend_on_the_order_of_the_batch(name: str) -> None:
    images, labels, samples = constant_images(16)
    regularizer = bound(name, class_counts=[5] * CLASSES)
    shuffled = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    one = regularizer.on_batch(images, labels, Draws(0, 0, samples))
    other = regularizer.on_batch(images[shuffled], labels[shuffled], Draws(0, 0, samples[shuffled]))
    assert all(torch.equal(a[shuffled], b) for a, b in zip(one, other, strict=True))


def test_epochs_mix_anew() -> None:
    assert not torch.equal(partners(epoch=0), partners(epoch=1))
    assert not torch.allclose(mixed("mixup", epoch=0)[0], mixed("mixup", epoch=1)[0])


@pytest.mark.parametrize(
    ("name", "params"),
    [("mixup", {"alpha": 0.0}), ("cutmix", {"probability": 0.0}), ("mixup-cutmix", {"probability": 0.0})],
)
def test_mixing_of_nought_leaves_images_and_labels(name: str, params: dict[str, float]) -> None:
    images, labels, samples = constant_images(4)
    got = bound(name, class_counts=[5] * CLASSES, **params).on_batch(images, labels, Draws(0, 0, samples))
    assert got[0] is images and got[1] is labels


@pytest.mark.parametrize(
    "regularizers",
    [
        "[mixup, label-smoothing]",
        "[label-smoothing, cutmix]",
        "[mixup-cutmix, logit-adjustment]",
        "[random-erasing, mixup]",
    ],
)
def test_losses_that_take_mixed_targets_may_stand_beside(regularizers: str) -> None:
    recipe = zoo.resolve("conv-net-momentum", f"regularizers={regularizers}")
    assert len(recipe.regularizers) == 2
