"""Rows that are read part by part: the same rows, in order, and no part too large."""

import math

import numpy as np
import pytest
import torch

from ganworks import data
from ganworks.data import excerpt

POINTS = np.arange(1_000, dtype="float32").reshape(500, 2)


@pytest.mark.parametrize("shape", [(2,), (1, 28, 28), (3, 64, 64), (3, 256, 256), (3, 1024, 1024), (3, 4096, 4096)])
def test_a_part_is_small_and_full_batches_where_it_can_be(shape: tuple[int, ...]) -> None:
    rows, size = excerpt.part_of(shape), 4 * math.prod(shape)
    assert 1 <= rows <= 256
    assert rows == 1 or rows * size <= 1 << 26
    assert rows % 32 == 0 or 32 * size > 1 << 26


@pytest.mark.parametrize("count", [0, 1, 7, 300, 449, 450, 9_999])
def test_the_parts_are_the_rows(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excerpt, "_MOST", 64)
    opened = data.open(POINTS)
    for chosen, most in ((excerpt.whole(opened, count), 500), (excerpt.spread(opened, count), len(opened))):
        rows = chosen.rows()
        assert len(chosen) == len(rows) == min(count, most)
        parts = [*chosen.parts()]
        assert torch.equal(torch.cat(parts), rows)
        assert max(map(len, parts)) <= 64


def test_rows_are_spread_and_none_comes_twice() -> None:
    opened = data.open(POINTS)
    assert opened.held_out is not None
    for chosen in (excerpt.whole(opened, 100), excerpt.spread(opened, 100)):
        first = chosen.rows()[:, 0]
        assert len(first.unique()) == 100
        assert {int(x) // 250 for x in first} == {0, 1, 2, 3}
    held = set(opened.held_out.rows(torch.arange(len(opened.held_out)))["x"][:, 0].tolist())
    assert not held & set(excerpt.spread(opened, 100).rows()[:, 0].tolist())
