"""The sliced Wasserstein distance against loops, shifts whose distance is known, and repetition."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ganworks.errors import UsageError
from ganworks.metrics import score, sliced_wasserstein
from ganworks.metrics.interval import interval
from ganworks.metrics.sliced import estimates, lines


def draws(count: int, dimensions: int, seed: int = 0) -> Tensor:
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_shift_is_its_length_along_the_lines() -> None:
    """Exactly the root mean square of v . u; |v|/sqrt(D) in expectation. The mean of |v . u| would be 0.80 of it."""
    x, v = draws(50, 16), 5 * draws(1, 16, seed=1)
    found = sliced_wasserstein(x, x + v, directions=2_000)
    assert found == pytest.approx((lines(2_000, 16) @ v[0]).square().mean().sqrt().item())
    assert found == pytest.approx(v.norm().item() / 4, rel=0.05)


def test_equally_many_samples_are_paired_in_their_order() -> None:
    x, y = draws(30, 3), draws(30, 3, seed=1).exp()
    squares = [
        np.square(np.sort(x.numpy() @ line) - np.sort(y.numpy() @ line)).mean() for line in lines(40, 3, seed=7).numpy()
    ]
    assert sliced_wasserstein(x, y, directions=40, seed=7) == pytest.approx(math.sqrt(np.mean(squares)))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9))
def test_different_numbers_are_exact(n: int, m: int) -> None:
    """Each sample repeated until both sets are equally large has the same law, and so the same distance."""
    x, y = draws(n, 2), draws(m, 2, seed=1)
    many = sliced_wasserstein(x.repeat_interleave(m, 0), y.repeat_interleave(n, 0), directions=20)
    assert sliced_wasserstein(x, y, directions=20) == pytest.approx(many)


def test_one_sample_on_one_line_by_hand() -> None:
    assert sliced_wasserstein(torch.zeros(1, 1), torch.tensor([[3.0], [5.0]])) == pytest.approx(math.sqrt(17))


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 40), st.integers(2, 40), st.integers(1, 5), st.integers(0, 100))
def test_zero_on_equal_sets_symmetric_and_of_no_order(n: int, m: int, dimensions: int, seed: int) -> None:
    x, y = draws(n, dimensions, seed), draws(m, dimensions, seed + 1)
    mixed = x[torch.randperm(n)]
    assert sliced_wasserstein(x, mixed, 10) == pytest.approx(0, abs=1e-12)
    assert sliced_wasserstein(x, y, 10) == pytest.approx(sliced_wasserstein(y, x, 10))
    assert sliced_wasserstein(mixed, y, 10) == pytest.approx(sliced_wasserstein(x, y, 10))


def test_it_grows_with_noise() -> None:
    x, noise = draws(500, 4), draws(500, 4, seed=1)
    found = [sliced_wasserstein(x, x + scale * noise, 50) for scale in (0, 0.5, 1, 2, 4)]
    assert found == sorted(found)


@pytest.mark.parametrize("scale", [1e300, 1e80, 1e-300])
def test_any_scale_is_right(scale: float) -> None:
    x, y = draws(20, 3), draws(25, 3, seed=1)
    large, usual = (score("sliced_wasserstein", x * by, y * by, directions=10) for by in (scale, 1.0))
    assert usual.low is not None
    assert large.low is not None
    assert large.value == pytest.approx(scale * usual.value, rel=1e-6, abs=0)
    assert large.low == pytest.approx(scale * usual.low, rel=1e-6, abs=0)


def test_a_far_centre_costs_no_digits() -> None:
    x, y = draws(20, 3), draws(25, 3, seed=1)
    assert sliced_wasserstein(x + 2.0**30, y + 2.0**30, 10) == pytest.approx(sliced_wasserstein(x, y, 10), rel=1e-6)


def test_unfit_samples_are_refused() -> None:
    for real, fake in ((draws(0, 2), draws(3, 2)), (draws(3, 2), draws(3, 4)), (draws(3, 2)[0], draws(3, 2))):
        with pytest.raises(UsageError, match="E-METRIC-01"):
            sliced_wasserstein(real, fake)
    with pytest.raises(UsageError, match="direction"):
        sliced_wasserstein(draws(3, 2), draws(3, 2), directions=0)
    with pytest.raises(UsageError, match="E-METRIC-02"):
        sliced_wasserstein(draws(3, 2), draws(3, 2) / 0)


@pytest.mark.parametrize(("shift", "spread"), [(0, 1), (0.3, 1), (1, 1), (0, 1.5)])
def test_its_interval_holds_the_mean_of_repetitions(shift: float, spread: float) -> None:
    found = [
        estimates(draws(300, 4, seed), draws(200, 4, seed + 500) * spread + shift, groups=20, directions=20)
        for seed in range(100)
    ]
    values = [each["sliced_wasserstein"] for each in found]
    target = float(np.mean([each.value for each in values]))
    inside = [low <= target <= high for low, high in (interval(each, 0.95) for each in values)]
    assert 0.87 <= np.mean(inside) <= 1


def test_few_or_equal_samples_have_no_interval() -> None:
    assert score("sliced_wasserstein", draws(5, 2), draws(5, 2, 1)).low is None
    same = score("sliced_wasserstein", draws(50, 2), draws(50, 2))
    assert (same.value, same.low) == (0, None)
