"""The Fréchet distance against closed forms, and where naive implementations break."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from replicates import recomputed
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ganworks.errors import UsageError
from ganworks.metrics import frechet, frechet_distance, frechet_extrapolated, scores
from ganworks.metrics.interval import assign
from ganworks.metrics.moments import Rows


def normal(seed: int, count: int, dimensions: int, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return shift + scale * torch.randn(count, dimensions, generator=draw, dtype=torch.float64)


def standard(count: int, dimensions: int) -> Tensor:
    """Points whose mean is exactly 0 and whose covariance, over n - 1, exactly I."""
    points = normal(0, count, dimensions)
    centered = points - points.mean(0)
    root = torch.linalg.cholesky(centered.T @ centered / (count - 1))
    return torch.linalg.solve_triangular(root, centered.T, upper=False).T


@pytest.mark.parametrize(("shift", "scale"), [(0.5, 1.0), (0.0, 2.0), (-1.0, 0.25)])
def test_round_normals(shift: float, scale: float) -> None:
    """N(0, I) and N(m, s^2 I) are d (m^2 + (1 - s)^2) apart; other counts, so that a wrong ddof shows."""
    value = frechet_distance(standard(12, 4), shift + scale * standard(40, 4))
    assert value == pytest.approx(4 * (shift**2 + (1 - scale) ** 2), abs=1e-9)


def test_covariances_that_do_not_commute() -> None:
    """In two dimensions tr (S1 S2)^(1/2) = (tr S1 S2 + 2 (det S1 S2)^(1/2))^(1/2)."""
    one, two = torch.tensor([[2, 0.9], [0.9, 1]]).double(), torch.tensor([[0.5, -0.3], [-0.3, 3]]).double()
    product = one @ two
    root = math.sqrt(product.trace() + 2 * math.sqrt(product.det()))
    real, fake = (standard(30, 2) @ torch.linalg.cholesky(part).T for part in (one, two))
    assert frechet_distance(real, fake) == pytest.approx(2.5 + 4 - 2 * root - 0.5 + 0.5, abs=1e-9)


def test_two_samples_each_in_many_dimensions() -> None:
    """Two points a, b have covariance v v^T with v = (a - b)/sqrt 2; tr (S1 S2)^(1/2) is |v1 . v2|."""
    real, fake = normal(1, 2, 50), normal(2, 2, 50)
    v, w = ((part[0] - part[1]) / math.sqrt(2) for part in (real, fake))
    expected = (real.mean(0) - fake.mean(0)).square().sum() + v @ v + w @ w - 2 * (v @ w).abs()
    assert frechet_distance(real, fake) == pytest.approx(float(expected), rel=1e-9)


def test_bias_of_equal_laws_is_as_predicted() -> None:
    """About (d (d + 1)/2 + 2 d)/n for d = 64, n = 1000."""
    assert frechet_distance(normal(1, 1000, 64), normal(2, 1000, 64)) == pytest.approx(2.21, abs=0.12)


@pytest.mark.parametrize(("count", "dimensions"), [(2, 1), (5, 40), (41, 40), (300, 40)])
def test_a_set_is_at_distance_zero_from_itself(count: int, dimensions: int) -> None:
    points = normal(3, count, dimensions)
    assert frechet_distance(points, points) == pytest.approx(0, abs=1e-7)


def test_constant_features() -> None:
    assert frechet_distance(torch.zeros(5, 3), torch.ones(4, 3)) == pytest.approx(3)


def test_far_from_the_origin_nothing_is_lost() -> None:
    real, fake = normal(1, 200, 6), normal(2, 200, 6, scale=2)
    assert frechet_distance(real + 1e6, fake + 1e6) == pytest.approx(frechet_distance(real, fake), rel=1e-6)


@given(st.integers(0, 10**6), st.integers(2, 30), st.integers(2, 30), st.integers(1, 12))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_properties(seed: int, n: int, m: int, d: int) -> None:
    real, fake = normal(seed, n, d), normal(seed + 1, m, d, scale=3, shift=1)
    value = frechet_distance(real, fake)
    assert value >= 0
    assert value == pytest.approx(frechet_distance(fake, real), rel=1e-6, abs=1e-6)
    assert value == pytest.approx(frechet_distance(real[torch.randperm(n)], fake), rel=1e-7, abs=1e-7)


def test_it_grows_with_noise() -> None:
    real, other = normal(1, 400, 8), normal(2, 400, 8)
    values = [frechet_distance(real, other + noise * normal(3, 400, 8)) for noise in (0, 0.3, 0.6, 1)]
    assert values == sorted(values)


@pytest.mark.parametrize(("n", "m", "d"), [(101, 60, 5), (41, 50, 60), (62, 300, 60)])
def test_downdated_moments_are_those_of_the_remaining_samples(n: int, m: int, d: int) -> None:
    real, fake = normal(1, n, d, shift=3), normal(2, m, d, scale=2)
    sets = Rows(real, 20), Rows(fake, 20)
    for left_out in [(g,) for g in range(20)] + [(0, 1), (7, 19)]:
        kept = [points[~torch.isin(assign(len(points), 20), torch.tensor(left_out))] for points in (real, fake)]
        found = frechet._distance(*(points.without(*left_out) for points in sets))
        assert found == pytest.approx(frechet_distance(*kept), rel=1e-6)


@pytest.mark.parametrize(("d", "n"), [(3, 60), (20, 150)])
def test_extrapolated_is_unbiased_where_the_plain_distance_is_not(d: int, n: int) -> None:
    """Of two samples from N(0, I): 0, where the plain distance has (d (d + 1)/2 + 2 d)/n."""
    pairs = [(normal(2 * seed, n, d), normal(2 * seed + 1, n, d)) for seed in range(60)]
    plain = torch.tensor([frechet_distance(*pair) for pair in pairs])
    found = torch.tensor([frechet_extrapolated(*pair) for pair in pairs])
    error = float(found.std()) / math.sqrt(60)
    assert plain.mean() == pytest.approx((d * (d + 1) / 2 + 2 * d) / n, abs=3 * error)
    assert found.mean() == pytest.approx(0, abs=3 * error)
    assert plain.mean() > 10 * error
    assert found.min() < 0


def test_extrapolated_is_the_jackknifes_formula() -> None:
    """Against the jackknife's own formula, with each distance computed anew."""
    real, fake = normal(1, 40, 2), normal(2, 47, 2, shift=1)
    values = recomputed(frechet_distance, real, fake, 20)
    assert frechet_extrapolated(real, fake) == pytest.approx(float(20 * values[0] - 19 * values[1:].mean()), rel=1e-9)


def test_both_come_from_the_same_replicates_and_their_intervals_are_as_wide() -> None:
    real, fake, floor = normal(1, 200, 4), normal(2, 200, 4, shift=0.3), normal(3, 200, 4)
    plain, found = scores(["frechet_distance", "frechet_extrapolated"], real, fake, floor)
    assert (plain.value, found.value) == (frechet_distance(real, fake), frechet_extrapolated(real, fake))
    assert (plain.real, found.real) == (frechet_distance(real, floor), frechet_extrapolated(real, floor))
    assert found.value < plain.value
    assert plain.low is not None
    assert plain.high is not None
    assert (found.low, found.high) == pytest.approx(
        [end - plain.value + found.value for end in (plain.low, plain.high)]
    )


@pytest.mark.parametrize(("n", "d"), [(10, 10), (50, 60), (66, 60), (3, 2)])
def test_with_few_samples_there_is_no_line_to_extrapolate(n: int, d: int) -> None:
    with pytest.raises(UsageError, match="about"):
        frechet_extrapolated(normal(1, n, d), normal(2, 500, d))


class _Types(TorchDispatchMode):
    """Notes the floating types of all that torch computes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.seen |= {each.dtype for each in tree_leaves((args, result)) if isinstance(each, Tensor)}
        return result


@pytest.mark.parametrize(("n", "d"), [(60, 8), (30, 50)])
def test_everything_is_computed_in_float64(n: int, d: int) -> None:
    real, fake = normal(1, n, d, shift=30), normal(2, n, d, shift=30, scale=1.5)
    with _Types() as types:
        scores(["frechet_distance"], real, fake)
    assert {each for each in types.seen if each.is_floating_point} == {torch.float64}
    single = real.float(), fake.float()
    assert frechet_distance(*single) == frechet_distance(*(each.double() for each in single))


@pytest.mark.parametrize("scale", [1e-150, 1e-140, 1e-30, 1e30, 1e140, 1e150])
def test_huge_and_tiny_numbers(scale: float) -> None:
    real, fake = normal(1, 60, 4), normal(2, 50, 4, shift=0.5, scale=2)
    expected = frechet_distance(real, fake)
    assert frechet_distance(scale * real, scale * fake) / scale / scale == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(scale * real[:3], scale * fake[:3]) / scale / scale == pytest.approx(
        frechet_distance(real[:3], fake[:3]), rel=1e-6
    )


def test_numbers_whose_squares_overflow_are_refused() -> None:
    with pytest.raises(UsageError, match=r"E-METRIC-02.*too large"):
        frechet_distance(1e160 * normal(1, 60, 4), normal(2, 50, 4))
    with pytest.raises(UsageError, match=r"E-METRIC-02.*too large"):
        frechet_distance(normal(1, 6, 8), 1e160 * normal(2, 6, 8))


@pytest.mark.parametrize("n", [2, 3, 4, 25])
def test_duplicates_and_constants_give_what_their_normal_does(n: int) -> None:
    """Each row twice: the covariance is that of the rows over (2 n - 1)/2 instead of n - 1."""
    rows, other = normal(1, n, 3), normal(2, 40, 3)
    twice = rows.repeat(2, 1)
    stretched = rows.mean(0) + (rows - rows.mean(0)) * math.sqrt(2 * (n - 1) / (2 * n - 1))
    assert frechet_distance(twice, other) == pytest.approx(frechet_distance(stretched, other), rel=1e-7)
    flat = torch.cat((rows, torch.full((n, 2), 7.0)), 1), torch.cat((other, torch.full((40, 2), 5.0)), 1)
    assert frechet_distance(*flat) == pytest.approx(frechet_distance(rows, other) + 8, rel=1e-7)


def test_numpy_and_small_types_are_computed_in_float64() -> None:
    real, fake = (normal(seed, 50, 3).mul(50).round().clamp(-99, 99) for seed in (1, 2))
    exact = frechet_distance(real, fake)
    assert frechet_distance(real.to(torch.int8), fake.numpy()) == exact
    assert frechet_distance(real.half(), fake.float()) == exact


@pytest.mark.parametrize(
    ("real", "fake", "code"),
    [
        (torch.zeros(1, 3), torch.zeros(5, 3), "E-METRIC-01"),
        (torch.zeros(0, 3), torch.zeros(5, 3), "E-METRIC-01"),
        (torch.zeros(5, 3), torch.zeros(5, 4), "E-METRIC-01"),
        (torch.zeros(5), torch.zeros(5), "E-METRIC-01"),
        (torch.zeros(5, 0), torch.zeros(5, 0), "E-METRIC-01"),
        (torch.zeros(5, 1, 3), torch.zeros(5, 1, 3), "E-METRIC-01"),
        (torch.zeros(5, 3), torch.full((5, 3), math.nan), "E-METRIC-02"),
        (torch.full((5, 3), math.inf), torch.zeros(5, 3), "E-METRIC-02"),
    ],
)
def test_what_cannot_be_measured_is_refused(real: Tensor, fake: Tensor, code: str) -> None:
    with pytest.raises(UsageError, match=code):
        frechet_distance(real, fake)
