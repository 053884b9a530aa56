"""Which rows are held out."""

import pytest
import torch

from ganworks.data.split import split


@pytest.mark.parametrize(
    ("count", "held"),
    [(2, 0), (199, 0), (200, 100), (999, 100), (1000, 100), (2000, 200), (50_000, 5000), (200_000, 5000)],
)
def test_a_tenth_between_100_and_5000_and_nothing_below_200(count: int, held: int) -> None:
    train, held_out = split(count)
    assert len(held_out) == held
    assert torch.equal(torch.cat([train, held_out]).sort().values, torch.arange(count))


def test_held_out_rows_come_from_everywhere() -> None:
    # Data are often sorted by class: neither the last rows nor every tenth row may be taken.
    held = split(10_000)[1]
    tenths = torch.bincount(held // 1000, minlength=10)
    assert tenths.min() >= 70  # 100 expected, standard deviation 9.5
    assert tenths.max() <= 130
    residues = torch.bincount(held % 10, minlength=10)
    assert residues.min() >= 70
    assert residues.max() <= 130


def test_rows_keep_their_order_and_the_split_is_the_same_each_time() -> None:
    train, held = split(5000)
    assert (train.diff() > 0).all()
    assert (held.diff() > 0).all()
    assert torch.equal(held, split(5000)[1])


def test_one_more_row_moves_at_most_a_few_others() -> None:
    before, after = set(split(5000)[1].tolist()), set(split(5010)[1].tolist())
    assert len(before ^ after) <= 12
