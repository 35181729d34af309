from __future__ import annotations

import pytest
import torch

from zoo.bases import Labeled
from zoo.errors import ComponentError
from zoo.testing.pool import MemoryPool

LABELED = Labeled(embeddings=torch.zeros(2, 3).half(), labels=torch.tensor([0, 1]), class_counts=torch.tensor([1, 1]))


def pool(*needs: str) -> MemoryPool:
    fields = {"logits": torch.arange(10.0).view(5, 2), "embeddings": torch.zeros(5, 3).half()}
    return MemoryPool(
        [f"s{i}" for i in range(5)], fields, frozenset(needs), shared={"labeled": LABELED}, seed=3, round=2
    )


def test_blocks_hold_the_samples_in_order_and_what_all_have_in_common() -> None:
    blocks = list(pool("logits", "labeled").blocks(2))
    assert [block.ids for block in blocks] == [["s0", "s1"], ["s2", "s3"], ["s4"]]
    assert torch.equal(torch.cat([block.logits for block in blocks]), torch.arange(10.0).view(5, 2))
    assert all(block.labeled is LABELED and (block.seed, block.round) == (3, 2) for block in blocks)


@pytest.mark.parametrize("name", ["embeddings", "labeled"])
def test_what_needs_does_not_name_cannot_be_read(name: str) -> None:
    with pytest.raises(ComponentError, match=f"reads '{name}', which its `needs` does not name"):
        getattr(pool("logits"), name)


def test_what_a_pool_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="a pool has no 'labels'"):
        _ = pool("logits").labels


def test_a_part_of_a_pool_may_narrow_what_is_read_and_never_widen_it() -> None:
    part = pool("logits", "embeddings").taken(torch.tensor([3, 1]), frozenset({"embeddings", "labeled"}))
    assert part.ids == ["s3", "s1"] and part.embeddings.shape == (2, 3)
    for name in ("logits", "labeled"):
        with pytest.raises(ComponentError, match=f"reads '{name}', which its `needs` does not name"):
            getattr(part, name)
