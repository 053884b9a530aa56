"""The Mann-Whitney test against all rearrangements, and where its law is known."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganworks.metrics.ranks import smaller


def numbers(values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def by_rearranging(a: list[int], b: list[int]) -> float:
    """The share of all ways to choose `a` from both whose rank sum is as small."""
    ordered = sorted(a + b)
    ranks = [ordered.index(value) for value in a]
    sums = [sum(chosen) for chosen in combinations(range(len(ordered)), len(a))]
    return float(np.mean([each <= sum(ranks) for each in sums]))


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(9)), st.integers(1, 8))
def test_few_numbers_are_counted_out(order: list[int], cut: int) -> None:
    a, b = order[:cut], order[cut:]
    assert smaller(numbers(a), numbers(b)) == pytest.approx(by_rearranging(a, b), abs=1e-12)


def test_all_smaller_is_one_way_of_many() -> None:
    assert smaller(torch.arange(3).double(), torch.arange(3, 6).double()) == pytest.approx(1 / 20)
    assert smaller(torch.arange(3, 6).double(), torch.arange(3).double()) == 1


def test_many_numbers_are_normal_and_agree_with_counting() -> None:
    """Twice nine numbers are no longer counted; the exact chance is C(18, 9) of them."""
    random = torch.Generator().manual_seed(0)
    for shift in (0.0, 0.5, 1.0):
        a, b = torch.rand(9, generator=random).double(), torch.rand(9, generator=random).double() + shift
        places = torch.cat((a, b)).argsort().argsort().tolist()
        exact = by_rearranging(places[:9], places[9:])
        assert smaller(a, b) == pytest.approx(exact, abs=0.01)


def test_ties_count_by_half() -> None:
    """U = 4.5 of 9 pairs in all: with the continuity correction a little above one half."""
    a, b = numbers([1, 2, 3]), numbers([1, 2, 3])
    variance = 9 / 12 * (7 - 3 * 6 / 30)
    assert smaller(a, b) == pytest.approx((1 + math.erf(0.5 / (2 * variance) ** 0.5)) / 2)
    assert smaller(numbers([5] * 20), numbers([5] * 30)) == 1


def test_under_one_law_it_is_uniform() -> None:
    both = torch.rand(500, 65, generator=torch.Generator().manual_seed(0)).double()
    found = [smaller(row[:40], row[40:]) for row in both]
    for level in (0.05, 0.2, 0.5, 0.8):
        assert np.mean(np.array(found) <= level) == pytest.approx(level, abs=0.06)


def test_far_tails_are_not_zero() -> None:
    assert 0 < smaller(torch.arange(100).double(), torch.arange(100, 200).double()) < 1e-30
