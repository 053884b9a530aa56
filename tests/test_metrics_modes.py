"""Mode coverage and class histograms against hand counts and perfect samplers."""

import math

import pytest
import torch
from torch import Tensor

from ganworks.errors import UsageError
from ganworks.metrics import class_histogram, mode_coverage, modes, scores
from ganworks.metrics.interval import assign
from ganworks.theory import Density, Mixture, MultivariateNormal, Normal, grid, ring, swissroll

# E of z_1^2 for z ~ N(0, I_2) given |z| <= 3.
CUT = 1 - 4.5 * math.exp(-4.5) / (1 - math.exp(-4.5))


def draws(density: Density, count: int = 2500) -> list[Tensor]:
    return [density.sample(count, torch.Generator().manual_seed(seed)) for seed in range(40)]


@pytest.mark.parametrize(("density", "modes", "kl"), [(ring(), 8, 0.0014), (grid(), 25, 0.0048)])
def test_a_perfect_sampler_reaches_the_floors(density: Mixture, modes: int, kl: float) -> None:
    """98.89 % of high quality is 1 - exp(-4.5); the KL of n = 2500 fair draws is about (K - 1)/2n."""
    found = [mode_coverage(points, density) for points in draws(density)]
    assert {coverage.modes for coverage in found} == {modes}
    assert sum(c.high_quality for c in found) / 40 == pytest.approx(0.9889, abs=0.001)
    assert sum(c.reverse_kl for c in found) / 40 == pytest.approx(kl, rel=0.15)
    assert sum(c.std_ratio for c in found) / 40 == pytest.approx(1, abs=0.005)


def test_one_mode_of_eight() -> None:
    points = ring().means[3].float() + torch.tensor([0.02, 0.0])
    found = mode_coverage(points.expand(10, 2), ring())
    assert (found.modes, found.high_quality) == (1, 1)
    assert found.reverse_kl == pytest.approx(math.log(8))
    assert found.std_ratio == pytest.approx(math.sqrt(0.5 / CUT), rel=1e-5)


def test_high_quality_ends_at_three_std() -> None:
    points = ring().means[0] + torch.tensor([[0.0598, 0], [0.0602, 0], [0, -0.0598], [0, 1]])
    assert mode_coverage(points, ring()).high_quality == 0.5


def test_only_high_quality_samples_count_for_modes_balance_and_width() -> None:
    near, far = ring().means[:2].repeat(5, 1), ring().means + 0.2
    found = mode_coverage(torch.cat((near, far)), ring())
    assert found == (2, 10 / 18, pytest.approx(math.log(4)), 0)


def test_reverse_kl_is_to_the_weights() -> None:
    density = Mixture([Normal([0, 0], 1), Normal([50, 0], 1)], [3, 1])
    points = density.means.repeat(2, 1)
    assert mode_coverage(points, density).reverse_kl == pytest.approx(
        0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    )


def test_modes_may_differ_in_width_and_dimension() -> None:
    density = Mixture([Normal([0, 0, 0], 1), Normal([90, 0, 0], 5)], [1, 1])
    found = mode_coverage(density.sample(20_000, torch.Generator().manual_seed(0)), density)
    assert found.high_quality == pytest.approx(0.97071, abs=0.004)  # chi-square with 3 degrees of freedom below 9
    assert found.std_ratio == pytest.approx(1, abs=0.01)


def test_without_a_good_sample_the_worst_is_said() -> None:
    assert mode_coverage(torch.zeros(5, 2), ring()) == (0, 0, pytest.approx(math.log(8)), 0)


def test_what_has_no_such_modes_is_refused() -> None:
    with pytest.raises(UsageError, match="E-METRIC-01"):
        mode_coverage(torch.zeros(5, 3), ring())
    with pytest.raises(UsageError, match="E-METRIC-01"):
        mode_coverage(torch.zeros(5, 2), swissroll())
    with pytest.raises(UsageError, match="E-METRIC-01"):
        mode_coverage(torch.zeros(0, 2), ring())
    with pytest.raises(UsageError, match="E-THEORY-01"):
        mode_coverage(torch.zeros(5, 2), Mixture([MultivariateNormal([0, 0], [[1, 0], [0, 2]])], [1]))


def logits(*classes: int, of: int = 4) -> Tensor:
    return 3 * torch.nn.functional.one_hot(torch.tensor(classes), of).float()


def test_class_histogram_by_hand() -> None:
    found = class_histogram(logits(0, 1, 2, 3), logits(0, 0, 0, 1))
    assert found.counts == (3, 1, 0, 0)
    assert found.kl == pytest.approx(0.75 * math.log(3) + 0.25 * math.log(1))
    assert class_histogram(logits(0, 0, 1, 2, 3), logits(3, 2, 1, 0, 0)).kl == 0


def test_a_class_that_the_real_data_lack_stays_finite() -> None:
    found = class_histogram(logits(0, 1, of=3), logits(2, 2, of=3))
    assert found.kl == pytest.approx(math.log(1 / (0.5 / 2.5)))


def found(points: Tensor, density: Mixture | None = None) -> dict[str, tuple[float, float | None, float | None]]:
    names = ["modes", "high_quality", "reverse_kl", "std_ratio"]
    return {each.metric: (each.value, each.low, each.high) for each in scores(names, density or ring(), points)}


def test_a_mode_without_a_sample_may_have_been_missed_and_no_more_modes_than_there_are() -> None:
    """u missing modes: t^2/(1 + t^2/u) more at most, with t = 2.093."""
    whole = found(ring().means.repeat(100, 1))
    assert whole["modes"] == (8, 8, 8)
    value, low, high = found(ring().means[:5].repeat(100, 1))["modes"]
    assert (value, low) == (5, 5)
    assert high == pytest.approx(5 + 2.093**2 / (1 + 2.093**2 / 3), rel=1e-3)
    for count in range(2, 40):
        value, low, high = found(ring().sample(count, torch.Generator().manual_seed(count)))["modes"]
        assert low is not None
        assert high is not None
        assert 0 <= low <= value <= high <= 8


def test_samples_too_far_for_a_square_are_merely_not_good() -> None:
    points = torch.cat((ring().means.repeat(20, 1), torch.full((40, 2), 1e200, dtype=torch.float64)))
    assert mode_coverage(points, ring()) == (8, 0.8, pytest.approx(0, abs=1e-12), 0)
    assert found(points)["std_ratio"] == (0, 0, 0)


def test_all_samples_good_is_not_for_sure() -> None:
    value, low, high = found(ring().means.repeat(100, 1))["high_quality"]
    assert (value, high) == (1, 1)
    assert low == pytest.approx(1 - 3.84 / (800 + 3.84), abs=1e-4)


def test_all_samples_in_one_mode_is_not_for_sure() -> None:
    value, low, high = found(ring().means[3].expand(500, 2))["reverse_kl"]
    assert value == pytest.approx(math.log(8))
    assert low is not None
    assert math.log(8) - 0.1 < low < math.log(8) - 0.01
    assert high is not None


def test_without_a_good_sample_balance_and_width_have_no_interval() -> None:
    nothing = found(torch.zeros(50, 2))
    assert nothing["reverse_kl"][1:] == nothing["std_ratio"][1:] == (None, None)
    assert nothing["modes"][:2] == (0, 0)
    assert nothing["high_quality"][:2] == (0, 0)


def test_groups_left_out_are_those_of_the_remaining_samples() -> None:
    """The replicates of sums against the metric computed anew."""
    points = ring().sample(97, torch.Generator().manual_seed(0))
    group = assign(97, 20)
    without = torch.tensor([mode_coverage(points[group != g], ring()) for g in range(20)], dtype=torch.float64)
    spread = (19 / 20 * (without - without.mean(0)).square().sum(0)).sqrt().tolist()
    errors = modes.estimates(ring(), points, 20)
    # The part that pairs cause is taken off: nearly nothing of a ratio, half at most of a divergence.
    assert 0.99 * spread[3] < errors["std_ratio"].error <= spread[3] * (1 + 1e-9)
    assert spread[2] / math.sqrt(2) * (1 - 1e-9) <= errors["reverse_kl"].error <= spread[2] * (1 + 1e-9)
