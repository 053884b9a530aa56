"""Precision, recall, density and coverage: by hand, against a direct computation, and on known collapses."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ganworks.errors import UsageError
from ganworks.metrics import density_coverage, distances, neighbours, precision_recall
from ganworks.metrics.interval import Estimate, interval
from ganworks.theory import ring


def normal(seed: int, count: int, dimensions: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed)).double()


def column(*values: float) -> Tensor:
    return torch.tensor(values)[:, None]


def test_on_a_line_by_hand() -> None:
    """Radii of real 0, 1, 3, -20 are 1, 1, 2, 20; of fake 0.5, 4.5, 10, 1.5 they are 1, 3, 5.5, 1.

    Around 0.5 lie the balls of 0 and 1, around 4.5 that of 3, around 10 none, around 1.5 those of 1 and 3.
    """
    real, fake = column(0, 1, 3, -20), column(0.5, 4.5, 10, 1.5)
    assert precision_recall(real, fake, k=1) == (3 / 4, 3 / 4)
    assert density_coverage(real, fake, k=1) == (5 / 4, 3 / 4)


def test_the_k_th_neighbour_does_not_count_the_point_itself() -> None:
    """With k = 2 the ball of 0 reaches to 3 and not to 1."""
    real = column(0, 1, 3)
    assert precision_recall(real, column(-2.9, 50, 60), k=2).precision == pytest.approx(1 / 3)
    assert precision_recall(real, column(-3.1, 50, 60), k=2).precision == 0


def every(real: Tensor, fake: Tensor, k: int) -> tuple[float, float, float, float]:
    found = neighbours.estimates(real, fake, k=k)
    return found["precision"].value, found["recall"].value, found["density"].value, found["coverage"].value


def direct(real: Tensor, fake: Tensor, k: int) -> tuple[float, float, float, float]:
    """The four definitions with whole matrices of differences and sorting."""
    inner, outer, across = (
        torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
        for a, b in ((real, real), (fake, fake), (real, fake))
    )
    edge = 1 - 5e-10
    reach, fake_reach = inner.sort(1).values[:, k] * edge, outer.sort(1).values[:, k] * edge
    inside = across < reach[:, None]
    precision = inside.any(0).double().mean()
    recall = (across < fake_reach).any(1).double().mean()
    coverage = inside.any(1).double().mean()
    return float(precision), float(recall), float(inside.double().sum(0).mean() / k), float(coverage)


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize(("n", "m", "d"), [(60, 90, 2), (200, 130, 7), (150, 170, 64), (90, 60, 700)])
def test_blocks_and_levels_give_what_whole_matrices_give(n: int, m: int, d: int, k: int) -> None:
    real, fake = normal(1, n, d), normal(2, m, d, scale=0.8)
    assert every(real, fake, k) == pytest.approx(direct(real, fake, k), abs=1e-12)
    assert (*precision_recall(real, fake, k), *density_coverage(real, fake, k)) == every(real, fake, k)


def lattice(seed: int, count: int) -> Tensor:
    return torch.randint(0, 3, (count, 24), generator=torch.Generator().manual_seed(seed)).double() / 4


@pytest.mark.parametrize(
    ("real", "fake"),
    [
        (normal(1, 200, 64) + 1e7, normal(2, 150, 64) + 1e7),
        (normal(1, 200, 64) * 2.0**400, normal(2, 150, 64) * 2.0**400),
        (lattice(1, 300), lattice(2, 250)),
        (torch.eye(120).double(), torch.eye(120).double()[:80]),
        (normal(1, 30, 40).repeat(4, 1), torch.cat((normal(1, 30, 40), normal(2, 60, 40)))),
        (normal(1, 100, 64) * 1e5, torch.full((90, 64), 0.3).double() + normal(2, 90, 64) * 1e-7),
        (torch.cat((normal(1, 100, 64), 1e9 * normal(3, 2, 64))), normal(2, 100, 64)),
    ],
    ids=["offset", "large", "lattice", "all equally far", "copies", "collapse", "outlier"],
)
@pytest.mark.parametrize("block", [1024, 50])
def test_nothing_is_lost_to_float32(real: Tensor, fake: Tensor, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ties, copies and distances that float32 cannot tell apart. Scaling by a power of two changes nothing."""
    monkeypatch.setattr(distances, "_BLOCK", block)
    down = 2.0**-400 if real.abs().max() > 1e100 else 1.0
    expected = direct(real * down, fake * down, 3)
    if len(real.unique(dim=0)) < len(real):  # radii of 0: copies are inside, so count them by hand
        same = (real[:, None] == fake).all(2)
        expected = (
            float(same.any(0).double().mean()),
            expected[1],
            float(same.sum()) / 3 / 90,
            float(same.any(1).float().mean()),
        )
    assert every(real, fake, 3) == pytest.approx(expected, abs=1e-7)


def test_float32_features_are_their_float64_values() -> None:
    real, fake = normal(1, 300, 100).float(), normal(2, 200, 100).float()
    assert every(real, fake, 5) == every(real.double(), fake.double(), 5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 99), st.integers(8, 60), st.integers(8, 60), st.sampled_from([1, 2, 20, 33]), st.integers(1, 5))
def test_order_and_blocks_change_nothing(seed: int, n: int, m: int, d: int, k: int) -> None:
    real, fake = normal(seed, n, d), normal(seed + 100, m, d)
    before = every(real, fake, k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distances, "_BLOCK", 7)
        assert every(real, fake, k) == before
    assert every(real[torch.randperm(n)], fake.flip(0), k) == pytest.approx(before, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 99), st.integers(8, 60), st.sampled_from([1, 3, 20, 40]), st.integers(1, 5))
def test_every_point_of_a_set_is_in_its_own_ball(seed: int, n: int, d: int, k: int) -> None:
    points = normal(seed, n, d)
    precision, recall, density, coverage = every(points, points, k)
    assert (precision, recall, coverage) == (1, 1, 1)
    assert density == pytest.approx(1)


def test_noise_on_the_fakes_lowers_precision_and_density() -> None:
    real, fake, noise = normal(1, 500, 8), normal(2, 500, 8), normal(3, 500, 8)
    found = [every(real, fake + scale * noise, 5) for scale in (0, 0.5, 1, 2, 4)]
    for number in (0, 2, 3):
        values = [each[number] for each in found]
        assert values == sorted(values, reverse=True)
        assert values[-1] < values[0] / 2


@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_equal_sets(offset: float) -> None:
    points = normal(1, 400, 8) + offset
    assert precision_recall(points, points) == (1, 1)
    assert density_coverage(points, points) == (1, 1)


@pytest.mark.parametrize("different", [column(0, 1, 5), normal(1, 9, 37)])
def test_equal_sets_of_repeated_points(different: Tensor) -> None:
    """Radii are 0 here: a copy is still inside, and rounding does not put it outside."""
    points = different.repeat(20, 1)
    assert precision_recall(points, points) == (1, 1)
    assert density_coverage(points, points).coverage == 1
    assert precision_recall(points, points + 1e-3) == (0, 0)


@pytest.mark.parametrize("k", [3, 5])
def test_expected_coverage_of_equal_laws(k: int) -> None:
    """1 - 2^-k."""
    found = [density_coverage(normal(seed, 900, 4), normal(seed + 9, 900, 4), k).coverage for seed in range(4)]
    assert sum(found) / 4 == pytest.approx(1 - 2**-k, abs=0.01)


def test_equal_laws_have_density_one() -> None:
    assert density_coverage(normal(1, 2000, 2), normal(2, 2000, 2)).density == pytest.approx(1, abs=0.05)


def test_shrunken_samples_keep_coverage_and_lose_recall() -> None:
    real, fake = normal(1, 2000, 16), normal(2, 2000, 16, scale=0.5)
    assert precision_recall(real, fake).precision > 0.99
    assert precision_recall(real, fake).recall < 0.1
    assert density_coverage(real, fake).coverage == pytest.approx(0.95, abs=0.03)


def test_a_collapse_is_precise_and_recalls_little() -> None:
    found = precision_recall(normal(1, 1000, 16, scale=3), normal(2, 1000, 16, scale=0.1))
    assert found.precision > 0.8
    assert found.recall < 0.3


def test_recall_and_coverage_fall_with_each_mode_that_is_dropped() -> None:
    real = ring().sample(800, torch.Generator().manual_seed(1))
    fake, mode = ring().sample_with_component(1600, torch.Generator().manual_seed(2))
    kept = [fake[mode < most][:190] for most in (8, 6, 4, 1)]
    for numbers in (
        [precision_recall(real, part).recall for part in kept],
        [density_coverage(real, part).coverage for part in kept],
    ):
        assert numbers == sorted(set(numbers), reverse=True)
    assert min(precision_recall(real, part).precision for part in kept) > 0.9


@pytest.mark.parametrize(("d", "scale"), [(2, 1.0), (64, 0.8)])
def test_intervals_hold_the_mean_of_repetitions(d: int, scale: float) -> None:
    """Of 20 intervals 19 should, with a standard deviation of 1. Away from 0 and 1 they are as wide as the spread."""
    pairs = [(normal(seed, 100, d), normal(seed + 500, 80, d, scale)) for seed in range(100)]
    values = torch.tensor([every(*each, 5) for each in pairs], dtype=torch.float64)
    found = [neighbours.estimates(*each, groups=20, k=5) for each in pairs[:20]]
    for name, mean, spread in zip(found[0], values.mean(0).tolist(), values.std(0).tolist(), strict=True):
        intervals = [interval(each[name], 0.95) for each in found]
        assert sum(low <= mean <= high for low, high in intervals) >= 16
        if 0.05 < mean < 0.95:
            assert 0.7 < sum(high - low for low, high in intervals) / 20 / (2 * 1.96 * spread) < 2


def test_an_error_is_the_same_each_time_and_asked_for_only() -> None:
    real, fake = normal(1, 60, 3), normal(2, 50, 3)
    assert neighbours.estimates(real, fake, groups=20) == neighbours.estimates(real, fake, groups=10)
    alone = neighbours.estimates(real, fake)
    assert all(each.freedom == 0 for each in alone.values())
    assert [each.value for each in alone.values()] == [
        each.value for each in neighbours.estimates(real, fake, groups=20).values()
    ]


def test_a_share_of_one_is_not_sure_and_nor_is_a_density_of_nothing() -> None:
    points = normal(1, 100, 3)
    sure, never = neighbours.estimates(points, points, groups=20), neighbours.estimates(points, points + 99, groups=20)
    for name in ("precision", "recall", "coverage"):
        assert 0.9 < interval(sure[name], 0.95).low < 0.97
        assert 0.03 < interval(never[name], 0.95).high < 0.1
    assert 0 < interval(never["density"], 0.95).high < 0.1


def test_with_too_few_samples_there_is_a_value_and_no_interval() -> None:
    found = neighbours.estimates(normal(1, 7, 3), normal(2, 7, 3), groups=7)
    assert all(interval(each, 0.95).high == float("inf") for each in found.values())
    assert isinstance(found["density"], Estimate)


@pytest.mark.parametrize("metric", [precision_recall, density_coverage])
def test_what_cannot_be_measured_is_refused(metric: Callable[..., object]) -> None:
    with pytest.raises(UsageError, match=r"at least 6 samples in real.*got 5"):
        metric(torch.rand(5, 2), torch.rand(9, 2), k=5)
    with pytest.raises(UsageError, match="a k of at least 1"):
        metric(torch.rand(5, 2), torch.rand(9, 2), k=0)
    with pytest.raises(UsageError, match="E-METRIC-02"):
        metric(torch.rand(9, 2), torch.rand(9, 2) / 0)
