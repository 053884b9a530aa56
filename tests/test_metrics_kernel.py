"""The kernel distance against values worked out by hand."""

import pytest
import torch
from torch import Tensor

from ganworks.errors import UsageError
from ganworks.metrics import kernel, kernel_distance
from ganworks.metrics.interval import recomputed


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
    monkeypatch.setattr(kernel, "_BLOCK", 100)
    assert kernel_distance(real, fake) == pytest.approx(before, rel=1e-12)


@pytest.mark.parametrize("estimator", ["unbiased", "biased", "u_statistic"])
def test_sums_without_a_group_are_those_of_the_remaining_samples(estimator: str) -> None:
    real, fake = normal(1, 63, 3), normal(2, 63, 3, shift=0.3)
    found = kernel.replicates(real, fake, 20, estimator=estimator)["kernel_distance"]

    def again(x: Tensor, y: Tensor) -> float:
        return kernel_distance(x, y, estimator=estimator)

    assert torch.allclose(found, recomputed(again, real, fake, 20), rtol=1e-9)


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(UsageError, match=r"E-METRIC-03.*estimator=unbiassed"):
        kernel_distance(torch.zeros(5, 1), torch.zeros(5, 1), estimator="unbiassed")
    with pytest.raises(UsageError, match="equally many real and fake"):
        kernel_distance(torch.zeros(5, 1), torch.zeros(6, 1), estimator="u_statistic")
    with pytest.raises(UsageError, match="E-METRIC-01"):
        kernel_distance(torch.zeros(1, 1), torch.zeros(6, 1))
