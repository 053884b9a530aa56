"""Errors and intervals: the jackknife, its correction for pairs, shares, and Student's quantiles."""

import math

import pytest
import torch
from replicates import recomputed
from torch import Tensor

from ganworks.metrics.interval import (
    Estimate,
    assign,
    interval,
    jackknife,
    of_sums,
    share,
    student_quantile,
)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("probability", "freedom", "quantile"),
    [
        (0.975, 1, 12.7062), (0.975, 2, 4.3027), (0.975, 3, 3.1824), (0.975, 9, 2.2622), (0.975, 19, 2.0930),
        (0.95, 19, 1.7291), (0.995, 19, 2.8609), (0.975, 120, 1.9799), (0.975, 10**6, 1.9600), (0.5, 5, 0.0),
    ],
)  # fmt: skip
def test_quantiles_of_student(probability: float, freedom: int, quantile: float) -> None:
    assert student_quantile(probability, freedom) == pytest.approx(quantile, rel=2e-3, abs=1e-9)


def test_with_one_sample_a_group_the_interval_of_a_mean_is_the_textbooks() -> None:
    """Half width t * s / sqrt n."""
    points = normal(0, 20, 1)
    found = interval(jackknife(recomputed(lambda x, _: float(x.mean()), points, points, 20)), 0.95)
    half = 2.0930 * float(points.std()) / math.sqrt(20)
    assert found.high - found.low == pytest.approx(2 * half, rel=1e-4)
    assert (found.low + found.high) / 2 == pytest.approx(float(points.mean()))


@pytest.mark.parametrize("count", [20, 47, 1000])
def test_groups_are_equal_fixed_and_no_stretches(count: int) -> None:
    group = assign(count, 20)
    sizes = torch.bincount(group, minlength=20)
    assert sizes.max() - sizes.min() <= 1
    assert torch.equal(group, assign(count, 20))
    assert (group[1:] - group[:-1]).unique().numel() > 10


def group_sums(seed: int, shift: float) -> Tensor:
    """Of 100 samples of N(shift, 1) in 20 groups, in 50 dimensions."""
    points = shift + normal(seed, 100, 50)
    return points.view(20, 5, 50).sum(1)


def squared_mean(sums: Tensor) -> Tensor:
    """|mean|^2, where the number of samples left follows from the rows: 100, 95 or 90."""
    left = {1: 100.0, 21: 95.0, 400: 90.0}[len(sums)]
    counts = torch.full((len(sums), 1), left, dtype=torch.float64)
    counts[0] = 100.0 if len(sums) == 21 else left
    return (sums / counts).square().sum(1)


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.5])
def test_what_pairs_add_is_counted_once(shift: float) -> None:
    """|mean|^2 of n samples of N(m, I) has variance 4 |m|^2/n + 2 d/n^2; the plain jackknife has 4 d/n^2."""
    expected = 4 * 50 * shift**2 / 100 + 2 * 50 / 100**2
    sums = [group_sums(seed, shift) for seed in range(60)]
    corrected = [of_sums(each, squared_mean).error ** 2 for each in sums]
    plain = [jackknife(squared_mean(torch.cat((s.sum(0)[None], s.sum(0) - s)))).error ** 2 for s in sums]
    assert sum(corrected) / 60 == pytest.approx(expected, rel=0.2)
    assert sum(plain) / 60 == pytest.approx(expected + 2 * 50 / 100**2, rel=0.1)


@pytest.mark.parametrize("m", [0.0, 0.5, 1.0, 3.0])
def test_the_interval_of_a_square_covers_although_its_error_goes_with_it(m: float) -> None:
    """a^2 for a ~ N(m, 1) has mean m^2 + 1 and variance 4 m^2 + 2, of which the jackknife sees 4 a^2 - 2."""
    squares = (m + normal(1, 2000)).square().tolist()
    plain = [Estimate(v, math.sqrt(max(4 * v - 2, 2 * v)), 10**6) for v in squares]
    held = [
        sum(low <= m**2 + 1 <= high for low, high in (interval(each, 0.95) for each in kind)) / 2000
        for kind in (plain, [each._replace(slope=4.0) for each in plain])
    ]
    assert 0.92 <= held[1] <= 0.98
    assert held[0] < 0.88 or m == 3


def test_the_interval_of_a_share_is_wilsons() -> None:
    """Wilson 1927 for 5 of 20; at 0 of n the upper end is z^2/(n + z^2)."""
    assert interval(share(0.25, 20), 0.95) == pytest.approx((0.1119, 0.4687), abs=5e-4)
    low, high = interval(share(0.0, 10**4), 0.95)
    assert low == 0
    assert high == pytest.approx(1.96**2 / (10**4 + 1.96**2), rel=5e-3)
    assert interval(share(1.0, 500), 0.95) == (pytest.approx(0.99238, abs=4e-5), 1.0)
    assert interval(share(1.0, 1), 0.95) == (pytest.approx(0.2065, abs=1e-3), 1.0)


def test_without_an_error_there_are_no_bounds() -> None:
    assert interval(Estimate(3.0), 0.95) == (-math.inf, math.inf)
    assert interval(jackknife(torch.tensor([3.0]).double()), 0.95) == (-math.inf, math.inf)


def test_equal_replicates_give_no_width() -> None:
    assert interval(jackknife(torch.full((21,), 2.0).double(), torch.full((20, 20), 2.0).double()), 0.95) == (2, 2)


@pytest.mark.parametrize("scale", [1e-200, 1e-300, 1e200, 1e300])
def test_intervals_of_tiny_and_huge_values_are_in_proportion(scale: float) -> None:
    values, pairs = 1 + normal(1, 21) / 100, 1 + normal(2, 20, 20) / 100
    low, high = interval(jackknife(values, pairs, 1.0), 0.95)
    scaled = interval(jackknife(scale * values, scale * pairs, scale), 0.95)
    assert scaled == pytest.approx((scale * low, scale * high), rel=1e-12)
