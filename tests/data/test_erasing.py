from __future__ import annotations

import pytest
import torch
from scipy.stats import ks_2samp
from torch import Tensor
from torchvision.transforms import v2

from zoo.data.erasing import COLUMNS, rectangles
from zoo.training.randomness import Draws


def drawn(count: int) -> Tensor:
    return Draws(0, 0, torch.arange(count)).uniform("erasing", COLUMNS)


def sides(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Return heights and widths `(B,)` of the rectangles."""
    return masks.any(3).sum((1, 2)), masks.any(2).sum((1, 2))


def test_a_rectangle_has_the_area_the_aspect_and_the_place_of_its_draws() -> None:
    u = torch.tensor([[0.0, 0.5, 0.0, 0.0], [0.0, 0.5, 0.999, 0.999], [0.0, 1.0, 0.5, 0.0]])
    masks = rectangles(u, (8, 16), area=(0.125, 0.5), aspect=(0.25, 4.0))
    expected = torch.zeros(3, 1, 8, 16, dtype=torch.bool)
    expected[0, :, 0:4, 0:4] = True  # 16 of 128 pixels, as high as wide
    expected[1, :, 4:8, 12:16] = True
    expected[2, :, 0:8, 0:2] = True  # four times as high as wide
    assert torch.equal(masks, expected)


@pytest.mark.parametrize("size", [(8, 8), (32, 20), (1, 50), (3, 3)])
def test_every_sample_has_one_solid_rectangle_inside_the_image(size: tuple[int, int]) -> None:
    masks = rectangles(drawn(500), size)
    rows, columns = sides(masks)
    assert masks.shape == (500, 1, *size)
    assert torch.equal(rows * columns, masks.sum((1, 2, 3)))
    assert int(rows.min()) >= 1 and int(columns.min()) >= 1


def test_areas_and_aspects_cover_their_ranges() -> None:
    rows, columns = sides(rectangles(drawn(4000), (200, 200), area=(0.1, 0.3), aspect=(0.5, 2.0)))
    share, ratio = (rows * columns) / 40_000, rows / columns
    assert 0.095 < float(share.min()) < 0.105 and 0.295 < float(share.max()) < 0.305
    assert float(share.mean()) == pytest.approx(0.2, abs=0.003)
    assert 0.48 < float(ratio.min()) < 0.53 and 1.9 < float(ratio.max()) < 2.05
    assert float(torch.log(ratio).mean()) == pytest.approx(0, abs=0.02)


def test_where_every_rectangle_fits_the_law_is_that_of_torchvision() -> None:
    transform = v2.RandomErasing(1.0, scale=(0.02, 0.2), ratio=(0.5, 2.0))
    image, state = torch.zeros(1, 64, 64), torch.get_rng_state()
    torch.manual_seed(0)
    params = [transform.make_params([image]) for _ in range(1500)]
    torch.set_rng_state(state)
    masks = rectangles(drawn(1500), (64, 64), (0.02, 0.2), (0.5, 2.0))
    rows, columns = sides(masks)
    top, left = (masks.any(dimension).int().argmax(2)[:, 0] for dimension in (3, 2))
    for ours, key in ((rows, "h"), (columns, "w"), (top, "i"), (left, "j")):
        assert ks_2samp(ours.numpy(), [p[key] for p in params]).pvalue > 0.01
