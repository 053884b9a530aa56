"""The kernel distance against values worked out by hand."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from replicates import recomputed
from torch import Tensor

from ganworks.errors import UsageError
from ganworks.metrics import kernel, kernel_distance
from ganworks.metrics.interval import assign, interval, jackknife


def normal(seed: int, count: int, dimensions: int, shift: float = 0.0) -> Tensor:
    return shift + torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        ("unbiased", 1 + 343 - 2 * 93 / 4),
        ("biased", 11 / 4 + 1811 / 4 - 2 * 93 / 4),
        ("u_statistic", 1 + 343 - 2 * 28 / 2),
    ],
)
def test_two_points_each_by_hand(estimator: str, expected: float) -> None:
    """x = 0, 1 and y = 2, 3 with (xy + 1)^3: k(x, x') is 1, 1, 8; k(y, y') 125, 343, 1000; k(x, y) 1, 1, 27, 64."""
    real, fake = torch.tensor([[0.0], [1.0]]), torch.tensor([[2.0], [3.0]])
    assert kernel_distance(real, fake, estimator=estimator) == pytest.approx(expected)


def test_the_kernel_divides_by_the_dimensions() -> None:
    real, fake = normal(1, 30, 3), normal(2, 40, 3, shift=1)
    repeated = kernel_distance(real.repeat(1, 4), fake.repeat(1, 4))
    assert repeated == pytest.approx(kernel_distance(real, fake))


def test_it_is_unbiased_and_may_be_negative() -> None:
    values = torch.tensor([kernel_distance(normal(seed, 30, 2), normal(seed + 500, 20, 2)) for seed in range(200)])
    assert values.mean().abs() < 3 * values.std() / 200**0.5
    assert values.min() < 0
    assert values.min() > -5


def test_a_biased_estimate_of_a_set_against_itself_is_zero() -> None:
    points = normal(1, 25, 4)
    assert kernel_distance(points, points, estimator="biased") == pytest.approx(0, abs=1e-9)


def test_symmetry_and_order() -> None:
    real, fake = normal(1, 31, 3), normal(2, 44, 3, shift=0.5)
    value = kernel_distance(real, fake)
    assert kernel_distance(fake, real) == pytest.approx(value)
    assert kernel_distance(real.flip(0), fake[torch.randperm(44)]) == pytest.approx(value)


def test_it_grows_with_distance() -> None:
    values = [kernel_distance(normal(1, 300, 4), normal(2, 300, 4, shift=shift)) for shift in (0, 0.5, 1, 2)]
    assert values == sorted(values)


def test_block_size_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = normal(1, 90, 3), normal(2, 70, 3)
    before = kernel_distance(real, fake)
    monkeypatch.setattr(kernel, "_ROWS", 7)
    monkeypatch.setattr(kernel, "_COLUMNS", 13)
    assert kernel_distance(real, fake) == pytest.approx(before, rel=1e-11)


def plain(x: Tensor, y: Tensor) -> float:
    """The unbiased formula with whole matrices."""
    within = []
    for points in (x, y):
        values = (points @ points.T / points.shape[1] + 1) ** 3
        within.append((values.sum() - values.trace()) / (len(points) * (len(points) - 1)))
    return float(sum(within) - 2 * ((x @ y.T / x.shape[1] + 1) ** 3).mean())


@pytest.mark.parametrize(
    ("n", "m", "d", "shift"), [(5, 4, 1, 0), (90, 700, 3, 0.1), (1200, 600, 64, 0), (40, 50, 900, 1)]
)
def test_halves_and_blocks_give_what_whole_matrices_give(n: int, m: int, d: int, shift: float) -> None:
    real, fake = normal(1, n, d), normal(2, m, d, shift)
    assert kernel_distance(real, fake) == pytest.approx(plain(real, fake), rel=1e-9)
    with_groups = kernel.estimates(real, fake, 20)["kernel_distance"]
    assert with_groups.value == pytest.approx(plain(real, fake), rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 99), st.integers(4, 60), st.integers(4, 60), st.integers(1, 40))
def test_whichever_is_called_real_it_is_the_same(seed: int, n: int, m: int, d: int) -> None:
    real, fake = normal(seed, n, d), normal(seed + 100, m, d, shift=1)
    value = kernel_distance(real, fake)
    assert kernel_distance(fake, real) == pytest.approx(value, rel=1e-9, abs=1e-12)
    assert kernel_distance(real[torch.randperm(n)], fake.flip(0)) == pytest.approx(value, rel=1e-9, abs=1e-12)
    assert kernel_distance(real, real, estimator="biased") == pytest.approx(0, abs=1e-12 * (1 + d))


@pytest.mark.parametrize("estimator", ["unbiased", "biased", "u_statistic"])
def test_the_error_is_that_of_groups_left_out(estimator: str) -> None:
    real, fake = normal(1, 63, 3), normal(2, 63, 3, shift=0.3)

    def again(x: Tensor, y: Tensor) -> float:
        return kernel_distance(x, y, estimator=estimator)

    replicates = recomputed(again, real, fake, 9)
    group = assign(63, 9)
    pairs = torch.full((9, 9), torch.nan, dtype=torch.float64)
    for g, h in itertools.combinations(range(9), 2):
        kept = (group != g) & (group != h)
        pairs[g, h] = again(real[kept], fake[kept])
    expected = jackknife(replicates, pairs, again(real, fake) if estimator == "biased" else biased(real, fake))
    assert kernel.estimates(real, fake, 9, estimator)["kernel_distance"] == pytest.approx(expected, rel=1e-6)


def biased(real: Tensor, fake: Tensor) -> float:
    return kernel_distance(real, fake, estimator="biased")


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_intervals_hold_the_mean_of_repetitions(shift: float) -> None:
    """At equal laws (shift 0) a sum over pairs is all there is. Of 100 intervals 95 should, give or take 4."""
    found = [
        kernel.estimates(normal(s, 90, 4), normal(s + 500, 70, 4, shift), 20)["kernel_distance"] for s in range(100)
    ]
    mean = sum(each.value for each in found) / len(found)
    held = sum(low <= mean <= high for low, high in (interval(each, 0.95) for each in found))
    assert 87 <= held <= 99


def test_with_three_samples_there_is_a_value_and_no_interval() -> None:
    assert kernel.estimates(normal(1, 3, 2), normal(2, 9, 2), 20)["kernel_distance"].freedom == 0
    assert kernel.estimates(normal(1, 4, 2), normal(2, 9, 2), 20)["kernel_distance"].freedom == 3


def test_constant_and_large_features() -> None:
    assert kernel_distance(torch.ones(9, 4), torch.ones(7, 4)) == pytest.approx(0, abs=1e-12)
    assert kernel_distance(torch.zeros(9, 4), torch.ones(7, 4)) == pytest.approx(1 + 8 - 2)
    with pytest.raises(UsageError, match="too large for a number"):
        kernel_distance(torch.full((9, 4), 1e60, dtype=torch.float64), torch.ones(7, 4))


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(UsageError, match=r"E-METRIC-03.*estimator=unbiassed"):
        kernel_distance(torch.zeros(5, 1), torch.zeros(5, 1), estimator="unbiassed")
    with pytest.raises(UsageError, match="equally many real and fake"):
        kernel_distance(torch.zeros(5, 1), torch.zeros(6, 1), estimator="u_statistic")
    with pytest.raises(UsageError, match="E-METRIC-01"):
        kernel_distance(torch.zeros(1, 1), torch.zeros(6, 1))
