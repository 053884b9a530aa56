"""Moments that come in batches against those of whole arrays."""

import pytest
import torch
from torch import Tensor

from ganworks.errors import UsageError
from ganworks.metrics import Moments, frechet_distance, frechet_extrapolated, score
from ganworks.metrics.moments import gram


def normal(seed: int, count: int, dimensions: int = 5, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return shift + scale * torch.randn(count, dimensions, generator=draw, dtype=torch.float64)


def streamed(points: Tensor, size: int, groups: int = 20, count: int | None = None) -> Moments:
    moments = Moments(points.shape[1], groups, count)
    for batch in points.split(size):
        moments.add(batch)
    return moments


@pytest.mark.parametrize("count", [2, 7, 900, 5000])
@pytest.mark.parametrize("size", [1, 33, 4000])
def test_any_batching_and_any_order_give_the_same(count: int, size: int) -> None:
    """Far from the origin, where E x^2 - m^2 would lose ten digits; 5,000 rows are more than are kept."""
    points, other = normal(1, count, shift=1e5), normal(2, 800, shift=1e5, scale=2)
    shuffled = points[torch.randperm(count, generator=torch.Generator().manual_seed(0))]
    whole = frechet_distance(points, other)
    scale = float(other.var(0).sum())
    if size > 1 or count < 1000:
        for each in (points, shuffled):
            moments = streamed(each, size)
            assert len(moments) == count
            assert frechet_distance(moments, other) == pytest.approx(whole, abs=1e-12 * scale * 1e5)
            assert frechet_distance(other, moments) == pytest.approx(whole, abs=1e-12 * scale * 1e5)


def test_near_the_origin_they_agree_to_twelve_digits() -> None:
    points, other = normal(1, 6000, shift=1), normal(2, 5000, scale=2)
    whole = frechet_distance(points, other)
    for size in (100, 1024, 6000):
        assert frechet_distance(streamed(points, size), streamed(other, size)) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("counts", [(40, 30), (3000, 10), (10, 3000), (3000, 2500), (0, 3000)])
def test_two_streams_make_one(counts: tuple[int, int]) -> None:
    parts, other = [normal(seed, n, shift=seed) for seed, n in enumerate(counts)], normal(9, 500)
    merged, second = (streamed(each, 64) for each in parts)
    before = frechet_distance(second, other)
    merged.merge(second)
    assert len(merged) == sum(counts)
    assert frechet_distance(merged, other) == pytest.approx(frechet_distance(torch.cat(parts), other), rel=1e-12)
    assert frechet_distance(second, other) == before


def test_where_the_count_is_known_intervals_are_those_of_the_array() -> None:
    real, fake = normal(1, 4000), normal(2, 3000, shift=0.2)
    sets = streamed(real, 100, count=4000), streamed(fake, 100, count=3000)
    for name in ("frechet_distance", "frechet_extrapolated"):
        whole, found = score(name, real, fake), score(name, *sets)
        assert (found.value, found.low, found.high) == pytest.approx((whole.value, whole.low, whole.high), rel=1e-9)
        assert (found.samples, found.reference_samples) == (3000, 4000)


def test_where_it_is_not_they_are_like_them() -> None:
    real, fake = normal(1, 4000), normal(2, 3000, shift=0.2)
    whole = score("frechet_distance", real, fake)
    found = score("frechet_distance", streamed(real, 100), streamed(fake, 100))
    assert found.value == pytest.approx(whole.value, rel=1e-12)
    assert (found.low, found.high) == pytest.approx((whole.low, whole.high), abs=0.4 * found.value)
    assert frechet_extrapolated(streamed(real, 64), fake) == pytest.approx(found.value, abs=0.02)


def test_few_rows_are_kept_and_no_more_than_few() -> None:
    moments = streamed(normal(1, 20_000, 3).float(), 700)
    assert sum(map(len, moments._kept)) <= 2 * 3 + 1024


def test_constant_features_and_fewer_rows_than_dimensions() -> None:
    assert frechet_distance(streamed(torch.ones(3000, 4), 100), torch.zeros(9, 4)) == pytest.approx(4)
    few, other = normal(1, 30, 60), normal(2, 50, 60)
    assert frechet_distance(streamed(few, 7), other) == pytest.approx(frechet_distance(few, other), rel=1e-12)


def test_half_the_products_give_the_whole_matrix() -> None:
    for width in (1, 256, 300, 700):
        points = normal(1, 40, width)
        assert torch.allclose(gram(points), points.T @ points, rtol=1e-13, atol=1e-12)


def test_what_does_not_fit_is_refused() -> None:
    moments = Moments(3, count=10)
    with pytest.raises(UsageError, match="3 numbers in a row"):
        moments.add(torch.zeros(5, 4))
    with pytest.raises(UsageError, match="E-METRIC-02"):
        moments.add(torch.full((5, 3), torch.nan))
    with pytest.raises(UsageError, match="10 rows announced"):
        moments.add(torch.zeros(11, 3))
    with pytest.raises(UsageError, match="at least 2 samples"):
        frechet_distance(moments, torch.zeros(5, 3))
    with pytest.raises(UsageError, match="20 groups"):
        moments.merge(Moments(3, groups=5))
    with pytest.raises(UsageError, match="groups=20"):
        score("frechet_distance", normal(1, 50, 3), streamed(normal(2, 4000, 3), 64, groups=0))
