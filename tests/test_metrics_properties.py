"""What holds for every metric, whatever the samples: by hypothesis, and a table of degenerate ones."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import plain_metrics as plain
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ganworks import metrics
from ganworks.errors import UsageError
from ganworks.theory import ring

anything = settings(deadline=None, derandomize=True, max_examples=40)
"""The same examples every time, however busy the machine."""


@dataclass(frozen=True)
class Pair:
    """Two samples of different laws; a few rows may be there twice, and one number may be nearly constant."""

    n: int
    m: int
    d: int
    seed: int
    width: float
    shift: float
    scale: float
    first: float
    repeated: bool

    def __iter__(self) -> Iterator[Tensor]:
        random = torch.Generator().manual_seed(self.seed)
        real, fake = (torch.randn(count, self.d, generator=random).double() for count in (self.n, self.m))
        fake = fake * self.width + self.shift
        if self.repeated:
            real[:2], fake[-1] = real[2], fake[0]
        real[:, 0] *= self.first
        return iter((self.scale * real, self.scale * fake))


counts = st.integers(7, 60)
pairs = st.builds(
    Pair, n=counts, m=counts, d=st.integers(1, 12), seed=st.integers(0, 2**32), width=st.sampled_from((0.2, 1.0, 3.0)),
    shift=st.sampled_from((0.0, 0.5, 10.0)), scale=st.sampled_from((1.0, 1e-4, 1e5)),
    first=st.sampled_from((1.0, 1e-3)), repeated=st.booleans(),
)  # fmt: skip


def mixed(points: Tensor, seed: int = 0) -> Tensor:
    return points[torch.randperm(len(points), generator=torch.Generator().manual_seed(seed))]


DISTANCES: dict[str, Callable[[Tensor, Tensor], float]] = {
    "frechet_distance": lambda x, y: metrics.frechet_distance(x, y),
    "kernel_distance": lambda x, y: metrics.kernel_distance(x, y, estimator="biased"),
    "sliced_wasserstein": lambda x, y: metrics.sliced_wasserstein(x, y, directions=30),
}
"""Zero on equal sets, never less, and the same both ways."""
TWO_SETS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    **DISTANCES,
    "kernel_distance, unbiased": lambda x, y: metrics.kernel_distance(x, y),
    "precision_recall": lambda x, y: tuple(metrics.precision_recall(x, y)),
    "density_coverage": lambda x, y: tuple(metrics.density_coverage(x, y)),
    "memorization": lambda x, y: metrics.memorization(x, y[: len(y) // 2], y[len(y) // 2 :]).ratio,
}
each_distance = pytest.mark.parametrize("name", DISTANCES)
each_metric = pytest.mark.parametrize("name", TWO_SETS)


def size(x: Tensor, y: Tensor, name: str) -> float:
    """What the rounding of a metric is measured by."""
    largest = max(float(x.square().sum(1).max()), float(y.square().sum(1).max()))
    if name.startswith("kernel"):
        return (1 + largest / x.shape[1]) ** 3
    return {"frechet_distance": largest, "sliced_wasserstein": largest**0.5}.get(name, 1.0)


@each_distance
@anything
@given(sets=pairs)
def test_zero_on_equal_sets(name: str, sets: Pair) -> None:
    real, _ = sets
    found = DISTANCES[name](real, mixed(real))
    # A root of rounding is larger than rounding.
    assert abs(found) <= (1e-7 if name == "frechet_distance" else 1e-10) * size(*sets, name)


@each_distance
@anything
@given(sets=pairs)
def test_never_below_zero(name: str, sets: Pair) -> None:
    assert DISTANCES[name](*sets) >= -1e-12 * size(*sets, name)


@each_distance
@anything
@given(sets=pairs)
def test_the_same_both_ways(name: str, sets: Pair) -> None:
    real, fake = sets
    there, back = DISTANCES[name](real, fake), DISTANCES[name](fake, real)
    assert there == pytest.approx(back, rel=1e-9, abs=1e-8 * size(*sets, name))


@each_metric
@anything
@given(sets=pairs, seed=st.integers(0, 99))
def test_the_order_of_samples_means_nothing(name: str, sets: Pair, seed: int) -> None:
    real, fake = sets
    if name == "memorization":  # here the second set is two
        half = len(fake) // 2
        other = torch.cat((mixed(fake[:half], seed), mixed(fake[half:], seed)))
    else:
        other = mixed(fake, seed)
    before, after = TWO_SETS[name](real, fake), TWO_SETS[name](mixed(real, seed), other)
    assert after == pytest.approx(before, rel=1e-9, abs=1e-8 * size(*sets, name))


@each_metric
@anything
@given(sets=pairs, seed=st.integers(0, 99))
def test_the_order_of_numbers_means_nothing(name: str, sets: Pair, seed: int) -> None:
    if name == "sliced_wasserstein":  # its lines are drawn for each number by its place
        return
    order = torch.randperm(sets.d, generator=torch.Generator().manual_seed(seed))
    before, after = TWO_SETS[name](*sets), TWO_SETS[name](*(x[:, order] for x in sets))
    assert after == pytest.approx(before, rel=1e-9, abs=1e-8 * size(*sets, name))


@each_metric
@anything
@given(sets=pairs)
def test_a_number_that_never_changes_adds_nothing_to_a_distance(name: str, sets: Pair) -> None:
    if name.startswith("kernel") or name == "sliced_wasserstein":  # they divide by the numbers of a sample
        return
    wider = (torch.cat((x, torch.full((len(x), 1), 0.25).double()), 1) for x in sets)
    before, after = TWO_SETS[name](*sets), TWO_SETS[name](*wider)
    assert after == pytest.approx(before, rel=1e-9, abs=1e-8 * size(*sets, name))


@anything
@given(sets=pairs)
def test_precision_is_recall_seen_from_the_other_side(sets: Pair) -> None:
    real, fake = sets
    assert metrics.precision_recall(real, fake) == metrics.precision_recall(fake, real)[::-1]


@anything
@given(sets=pairs)
def test_equal_sets_lie_in_their_own_balls(sets: Pair) -> None:
    real, _ = sets
    assert metrics.precision_recall(real, mixed(real)) == (1, 1)
    assert metrics.density_coverage(real, mixed(real)).coverage == 1


@anything
@given(sets=pairs)
def test_float32_is_read_as_the_same_numbers_in_float64(sets: Pair) -> None:
    single = [x.float() for x in sets]
    for metric in TWO_SETS.values():
        assert metric(*single) == metric(*(x.double() for x in single))


# Beside the plain versions


@anything
@given(sets=pairs)
def test_features_are_measured_as_plainly_as_they_are_defined(sets: Pair) -> None:
    real, fake = sets
    for name in ("frechet_distance", "kernel_distance", "sliced_wasserstein"):
        found, plainly = getattr(metrics, name)(real, fake), getattr(plain, name)(real, fake)
        assert found == pytest.approx(plainly, rel=1e-8, abs=1e-7 * size(real, fake, name))
    for k in (1, 3, 5):
        assert metrics.precision_recall(real, fake, k=k) == pytest.approx(plain.precision_recall(real, fake, k=k))
        assert metrics.density_coverage(real, fake, k=k) == pytest.approx(plain.density_coverage(real, fake, k=k))


@anything
@given(st.integers(10, 80), st.integers(2, 9), st.integers(1, 10), st.integers(0, 99))
def test_logits_are_measured_as_plainly_as_they_are_defined(n: int, k: int, splits: int, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    logits, other = (3 * torch.randn(count, k, generator=random).double() for count in (n, 400))
    found, plainly = metrics.inception_score(logits, splits=splits), plain.inception_score(logits, splits=splits)
    assert tuple(found) == pytest.approx(tuple(plainly), rel=1e-9, abs=1e-12)
    kl, counts = metrics.class_histogram(other, logits)
    assert (pytest.approx(kl, abs=1e-12), counts) == plain.class_histogram(other, logits)
    labels = torch.randint(k, (n,), generator=random)
    assert metrics.label_accuracy(logits, labels) == plain.label_accuracy(logits, labels)
    batches = logits.split(seed % n + 1)
    assert metrics.inception_score(iter(batches), splits=splits, count=n) == pytest.approx(tuple(found), rel=1e-12)


@pytest.mark.parametrize(("n", "channels", "side", "top", "seed"), [(1, 1, 192, 1.0, 0), (2, 3, 176, 255.0, 1)])
def test_pictures_are_measured_as_plainly_as_they_are_defined(
    n: int, channels: int, side: int, top: float, seed: int
) -> None:
    random = torch.Generator().manual_seed(seed)
    a = top * torch.rand(n, channels, side, 176, generator=random).double()
    b = (a + 0.1 * top * torch.randn(a.shape, generator=random)).clamp(0, top)
    for name in ("psnr", "ssim", "ms_ssim"):
        found, plainly = getattr(metrics, name)(a, b, data_range=top), getattr(plain, name)(a, b, data_range=top)
        assert found == pytest.approx(plainly, rel=1e-9)
        assert found == pytest.approx(getattr(metrics, name)(b, a, data_range=top), rel=1e-12)
    assert (metrics.psnr(a, a, data_range=top), metrics.ssim(a, a, data_range=top)) == (math.inf, pytest.approx(1))


@anything
@given(st.integers(1, 60), st.floats(0.005, 0.1), st.integers(0, 99))
def test_points_are_measured_as_plainly_as_they_are_defined(n: int, width: float, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    means = torch.as_tensor(ring().means).double()
    points = means[torch.randint(8, (n,), generator=random)] + width * torch.randn(n, 2, generator=random)
    found = metrics.mode_coverage(points, ring())
    if found.modes:
        assert tuple(found) == pytest.approx(tuple(plain.mode_coverage(points, ring())), rel=1e-9)


@anything
@given(st.integers(1, 12), st.integers(1, 12), st.integers(2, 5), st.integers(0, 99))
def test_speech_is_measured_as_plainly_as_it_is_defined(n: int, m: int, d: int, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(count, d, generator=random).double() for count in (n, m))
    found = metrics.mel_cepstral_distortion(a, b)
    assert found == pytest.approx(plain.mel_cepstral_distortion(a, b), rel=1e-9)
    assert found == pytest.approx(metrics.mel_cepstral_distortion(b, a), rel=1e-9)
    assert metrics.mel_cepstral_distortion(a, a) == 0


@anything
@given(st.integers(2, 40), st.integers(1, 30), st.sampled_from((0.0, 0.5, 1.5)), st.integers(0, 99))
def test_supports_are_counted_as_plainly_as_they_are_defined(n: int, values: int, threshold: float, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    points = torch.randint(values, (n, 1), generator=random).double()
    found = metrics.birthday_support(points, threshold=threshold)
    assert found.support == pytest.approx(plain.birthday_support(points, threshold=threshold).support)
    assert metrics.birthday_support(mixed(points, seed), threshold=threshold).support == pytest.approx(found.support)


@anything
@given(st.integers(0, 30))
def test_copies_are_measured_as_plainly_as_they_are_defined(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    train, held, fake = (torch.randn(count, 3, generator=random).double() for count in (60, 40, 50))
    found, plainly = metrics.memorization(train, held, fake), plain.memorization(train, held, fake)
    assert found.ratio == pytest.approx(plainly.ratio)
    assert found.pairs == tuple((i, j, pytest.approx(distance)) for i, j, distance in plainly.pairs)


# In parts


@anything
@given(sets=pairs, size=st.integers(1, 30))
def test_moments_do_not_depend_on_batches(sets: Pair, size: int) -> None:
    gathered = []
    for points in sets:
        moments = metrics.Moments(sets.d)
        for batch in points.split(size):
            moments.add(batch)
        gathered.append(moments)
    whole = metrics.frechet_distance(*sets)
    scale = max(float(x.square().sum(1).max()) for x in sets)
    assert metrics.frechet_distance(*gathered) == pytest.approx(whole, rel=1e-8, abs=1e-7 * scale)


# What must rise and fall


def normal(seed: int, n: int, d: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize("seed", range(3))
@each_distance
def test_distances_rise_with_each_dose_of_noise(name: str, seed: int) -> None:
    real, fake, noise = normal(seed, 400, 6), normal(seed + 10, 400, 6), normal(seed + 20, 400, 6)
    found = [DISTANCES[name](real, fake + dose * noise) for dose in (0.0, 0.7, 1.4, 2.8, 5.6)]
    assert found == sorted(found)
    assert found[-1] > 3 * found[1]


@pytest.mark.parametrize("seed", range(3))
def test_precision_and_coverage_fall_with_each_dose_of_noise_and_so_does_the_likeness_of_pictures(seed: int) -> None:
    real, fake, noise = normal(seed, 400, 6), normal(seed + 10, 400, 6), normal(seed + 20, 400, 6)
    noisy = [fake + dose * noise for dose in (0.0, 0.7, 1.4, 2.8)]
    for falling in (
        [metrics.precision_recall(real, each).precision for each in noisy],
        [metrics.density_coverage(real, each).density for each in noisy],
        [metrics.density_coverage(real, each).coverage for each in noisy],
    ):
        assert falling == sorted(set(falling), reverse=True)
    picture = (normal(seed, 176, 176) * 0.1 + 0.5).expand(1, 1, -1, -1)
    spoilt = [picture + dose * normal(seed + 1, 176, 176) for dose in (0.01, 0.03, 0.1, 0.3)]
    for name in ("psnr", "ssim", "ms_ssim"):
        likeness = [getattr(metrics, name)(picture, each, data_range=1) for each in spoilt]
        assert likeness == sorted(set(likeness), reverse=True)


@pytest.mark.parametrize("seed", range(3))
def test_what_loses_modes_loses_recall_coverage_and_classes_and_gains_bins(seed: int) -> None:
    real = ring().sample(800, torch.Generator().manual_seed(seed))
    fake, mode = ring().sample_with_component(3200, torch.Generator().manual_seed(seed + 10))
    kept = [fake[mode < most][:190] for most in (8, 6, 4, 1)]
    for falling in (
        [metrics.precision_recall(real, part).recall for part in kept],
        [metrics.density_coverage(real, part).coverage for part in kept],
        [float(metrics.mode_coverage(part, ring()).modes) for part in kept],
        [metrics.birthday_support(part, threshold=0.001).support for part in kept[::3]],
    ):
        assert falling == sorted(set(falling), reverse=True)
    logits = [-(part[:, None] - torch.as_tensor(ring().means)).square().sum(2) * 1e3 for part in (real, *kept)]
    for rising in (
        [metrics.class_histogram(logits[0], part).kl for part in logits[1:]],
        [metrics.different_bins(real, part, bins=8) for part in kept],
        [metrics.frechet_distance(real, part) for part in kept],
        [metrics.sliced_wasserstein(real, part) for part in kept],
        [-metrics.inception_score(mixed(part), splits=1).mean for part in logits[1:]],
    ):
        assert rising == sorted(rising)
        assert rising[0] < rising[-1]


# Degenerate samples


def _repeated(n: int, d: int) -> Tensor:
    return normal(5, 2, d).repeat(n // 2 + 1, 1)[:n]


DEGENERATE: dict[str, tuple[Tensor, Tensor]] = {
    "one sample": (normal(0, 1, 3), normal(1, 1, 3)),
    "one fake": (normal(0, 30, 3), normal(1, 1, 3)),
    "two samples": (normal(0, 2, 3), normal(1, 2, 3)),
    "no sample": (normal(0, 0, 3), normal(1, 5, 3)),
    "no numbers": (normal(0, 9, 0), normal(1, 9, 0)),
    "other numbers": (normal(0, 9, 3), normal(1, 9, 4)),
    "fewer samples than numbers": (normal(0, 12, 40), normal(1, 15, 40)),
    "as many samples as numbers": (normal(0, 12, 12), normal(1, 12, 12)),
    "one point": (torch.ones(20, 3), torch.ones(20, 3)),
    "two points": (torch.ones(20, 3), torch.zeros(20, 3)),
    "constant real": (torch.ones(20, 3), normal(1, 20, 3)),
    "constant fakes": (normal(1, 20, 3), torch.ones(20, 3)),
    "one constant number": (normal(0, 20, 3) * torch.tensor([1.0, 0, 1]), normal(1, 20, 3) * torch.tensor([1.0, 0, 1])),
    "duplicates": (_repeated(20, 3), _repeated(21, 3)),
    "huge": (1e150 * normal(0, 20, 3), 1e150 * normal(1, 20, 3)),
    "tiny": (1e-150 * normal(0, 20, 3), 1e-150 * normal(1, 20, 3)),
    "denormal": (1e-310 * normal(0, 20, 3), 1e-310 * normal(1, 20, 3)),
    "far from the origin": (1e8 + normal(0, 20, 3), 1e8 + normal(1, 20, 3)),
    "NaN": (normal(0, 20, 3), normal(1, 20, 3) / torch.tensor([1.0, 0, 1]) * 0),
    "infinite": (normal(0, 20, 3) / torch.tensor([1.0, 0, 1]), normal(1, 20, 3)),
    "whole numbers": (torch.arange(40).view(20, 2), torch.arange(20).view(10, 2)),
}
REFUSED = {"no sample", "no numbers", "other numbers", "NaN", "infinite"}
MEASURES: dict[str, Callable[[Tensor, Tensor], Any]] = {
    **TWO_SETS,
    "frechet_extrapolated": lambda x, y: metrics.frechet_extrapolated(x, y),
    "different_bins": lambda x, y: metrics.different_bins(x, y, bins=4),
    "birthday_support": lambda x, y: metrics.birthday_support(y, x).support,
    "class_histogram": lambda x, y: metrics.class_histogram(x, y).kl,
    "mel_cepstral_distortion": lambda x, y: metrics.mel_cepstral_distortion(x, y),
    "inception_score": lambda x, y: (*metrics.inception_score(x, splits=2), *metrics.inception_score(y, splits=2)),
}
SHARES = ("precision_recall", "different_bins")


@pytest.mark.parametrize("case", sorted(REFUSED))
@pytest.mark.parametrize("name", MEASURES)
def test_what_no_metric_can_measure_is_refused(name: str, case: str) -> None:
    if (name, case) != ("inception_score", "other numbers"):  # it looks at one set only
        with pytest.raises(UsageError, match=r"E-METRIC-0[12]"):
            MEASURES[name](*DEGENERATE[case])


@pytest.mark.parametrize("case", sorted(set(DEGENERATE) - REFUSED))
@pytest.mark.parametrize("name", MEASURES)
def test_degenerate_samples_are_refused_by_name_or_measured(name: str, case: str) -> None:
    """Never NaN, never complex, no warning (pytest makes one an error); what cannot be right is refused."""
    try:
        found = MEASURES[name](*DEGENERATE[case])
    except UsageError as refused:
        if refused.code not in ("E-METRIC-01", "E-METRIC-02"):
            raise
        return
    values = found if isinstance(found, tuple) else (found,)
    assert all(isinstance(value, float) and math.isfinite(value) for value in values), values
    if name in SHARES:
        assert all(0 <= value <= 1 for value in values)
    if name in DISTANCES:
        assert found >= 0


@pytest.mark.parametrize("name", ["psnr", "ssim", "ms_ssim"])
def test_degenerate_pictures_are_refused_by_name(name: str) -> None:
    fine = torch.rand(1, 1, 176, 176)
    for a, b, top in (
        (fine, fine[..., 1:], 1.0), (fine, fine / 0, 1.0), (fine, fine * float("nan"), 1.0), (fine, fine, 0.0),
        (fine, fine, float("nan")), (fine[:0], fine[:0], 1.0), (fine[0, 0, 0], fine[0, 0, 0], 1.0),
    ):  # fmt: skip
        with pytest.raises(UsageError, match="E-METRIC"):
            getattr(metrics, name)(a, b, data_range=top)


def test_the_bias_of_order_one_over_n_is_the_formulas_and_the_extrapolation_takes_it_off() -> None:
    """Two samples of N(0, I): (d (d + 1)/2 + 2 d)/n; without it 0, to within three standard errors of the mean."""
    d, n, times = 8, 300, 40
    pairs = [(normal(2 * seed, n, d), normal(2 * seed + 1, n, d)) for seed in range(100, 100 + times)]
    biased = torch.tensor([metrics.frechet_distance(*each) for each in pairs])
    freed = torch.tensor([metrics.frechet_extrapolated(*each) for each in pairs])
    assert float(biased.mean()) == pytest.approx((d * (d + 1) / 2 + 2 * d) / n, rel=0.1)
    assert abs(float(freed.mean())) < 3 * float(freed.std()) / times**0.5 + 0.002
