"""The birthday estimate where the support is known."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ganworks.errors import UsageError
from ganworks.metrics import birthday_support, score


def draws(count: int, dimensions: int, seed: int = 0) -> Tensor:
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def of_a_list(support: int, count: int, seed: int, weights: Tensor | None = None) -> Tensor:
    """Samples of a generator that knows so many points."""
    random = torch.Generator().manual_seed(seed)
    weights = torch.ones(support) if weights is None else weights
    return draws(support, 4)[torch.multinomial(weights, count, True, generator=random)]


@pytest.mark.parametrize("count", [200, 1_000])
def test_a_thousand_points(count: int) -> None:
    found = [birthday_support(of_a_list(1_000, count, seed), threshold=0.0) for seed in range(60)]
    assert np.median([each.support for each in found]) == pytest.approx(1_000, rel=0.12)
    inside = [each.low <= 1_000 <= each.high for each in found]
    assert 0.88 <= np.mean(inside) <= 1


def test_a_batch_of_37_holds_a_twin_every_second_time() -> None:
    """The test by eye: s = 1.18 sqrt(K), so K = s^2/1.39."""
    found = [birthday_support(of_a_list(1_000, 37, seed), threshold=0.0) for seed in range(400)]
    assert np.mean([each.pairs[0].distance == 0 for each in found]) == pytest.approx(0.5, abs=0.07)
    lonely = next(each for each in found if each.pairs[0].distance > 0)
    assert lonely.support == pytest.approx(1_000, rel=0.05)
    assert lonely.low == pytest.approx(37 * 36 / 2 / 3.689, rel=1e-3)
    assert lonely.high == math.inf


def test_of_unequal_points_it_is_one_over_the_sum_of_squares() -> None:
    weights = 1 / torch.arange(1, 1_001).double()
    expected = float(weights.sum() ** 2 / weights.square().sum())
    found = [birthday_support(of_a_list(1_000, 400, seed, weights), threshold=0.0) for seed in range(60)]
    assert np.mean([each.support for each in found]) == pytest.approx(expected, rel=0.05)
    assert 0.88 <= np.mean([each.low <= expected <= each.high for each in found]) <= 1


def test_near_duplicates_count_up_to_the_threshold() -> None:
    points = torch.tensor([[0.0], [0.1], [5.0], [5.1], [9.0]], dtype=torch.float64)
    assert birthday_support(points, threshold=0.05).support == pytest.approx(10 / math.log(2))
    assert birthday_support(points, threshold=0.2).support == 5
    assert birthday_support(points, threshold=100.0).support == birthday_support(points, threshold=1e300).support == 1
    pairs = birthday_support(points, threshold=0.2).pairs
    assert {pair[:2] for pair in pairs[:2]} == {(0, 1), (2, 3)}
    assert [pair.distance for pair in pairs] == pytest.approx([0.1, 0.1, 3.9, 4, 4.9, 5, 5, 5.1, 8.9, 9])


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 25), st.integers(1, 3), st.floats(0, 2), st.integers(0, 99))
def test_all_pairs_are_counted_in_any_order(count: int, dimensions: int, threshold: float, seed: int) -> None:
    points = draws(count, dimensions, seed).round(decimals=1)
    near = sum(float((a - b).norm()) <= threshold for a, b in combinations(points, 2))
    found = birthday_support(points, threshold=threshold)
    assert found.support == pytest.approx(count * (count - 1) / 2 / (near or math.log(2)))
    assert found.low <= found.support <= found.high
    mixed = birthday_support(points[torch.randperm(count)], threshold=threshold)
    assert mixed[:3] == pytest.approx(found[:3])


def test_samples_as_diverse_as_the_data_score_what_the_samples_can_tell() -> None:
    found = [birthday_support(draws(300, 6, seed), draws(300, 6, seed + 99)) for seed in range(40)]
    most = 300 * 299 / 40
    assert np.median([each.support for each in found]) == pytest.approx(most, rel=0.25)
    assert np.mean([each.low <= most <= each.high for each in found]) >= 0.8
    fewer = birthday_support(draws(30, 6).repeat(10, 1) + 1e-3 * draws(300, 6, 1), draws(300, 6, 2))
    assert fewer.support == pytest.approx(30, rel=0.15)


def test_other_numbers_of_real_samples_give_a_like_threshold() -> None:
    fake = draws(400, 3, 1)
    few, many = (birthday_support(fake, draws(count, 3, 2)).support for count in (200, 1_500))
    assert 0.3 < few / many < 3


def test_degenerate_samples() -> None:
    collapsed = birthday_support(torch.zeros(100, 3), draws(100, 3))
    assert (collapsed.support, collapsed.low) == (1, 1)
    assert birthday_support(torch.zeros(100, 3), torch.zeros(100, 3)).support == 1
    assert birthday_support(draws(2, 3), draws(2, 3, 1)).low >= 1
    far = of_a_list(10, 100, 0)
    assert birthday_support(far * 1e150, threshold=1e140).support == birthday_support(far, threshold=0.0).support


def test_unfit_arguments_are_refused() -> None:
    with pytest.raises(UsageError, match="a threshold, or real samples"):
        birthday_support(draws(5, 2))
    for threshold in (-1.0, math.nan, math.inf):
        with pytest.raises(UsageError, match="threshold"):
            birthday_support(draws(5, 2), threshold=threshold)
    for fake, real in ((draws(1, 2), draws(5, 2)), (draws(5, 2), draws(1, 2)), (draws(5, 2), draws(5, 3))):
        with pytest.raises(UsageError, match="E-METRIC-01"):
            birthday_support(fake, real)
    with pytest.raises(UsageError, match="E-METRIC-02"):
        birthday_support(draws(5, 2) / 0, draws(5, 2))


def test_a_score_without_twins_has_no_interval() -> None:
    real = draws(100, 3)
    found = score("birthday_support", real, of_a_list(20, 100, 0), threshold=0.0)
    assert found.low is not None
    assert found.low < found.value
    assert score("birthday_support", real, draws(100, 3, 1), threshold=0.0).low is None
