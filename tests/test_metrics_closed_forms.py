"""Metrics where the answer is known by hand: to 1e-6, mostly far nearer.

Samples that are to have a mean and a covariance are drawn and then whitened, so that they have them exactly. What
follows from moments alone is then known without sampling error. `test_metrics_mutants.py` runs these tests on wrong
implementations, so each takes no arguments, and reaches the metric through `metrics`.
"""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ganworks import metrics
from ganworks.metrics.sliced import lines
from ganworks.theory import Mixture, Normal, ring

SHAPES = ((50, 1), (60, 3), (200, 8), (400, 40))


def near(value: float) -> object:
    return pytest.approx(value, rel=1e-6, abs=1e-9)


def whitened(seed: int, n: int, d: int) -> Tensor:
    """(N, D) with mean 0 and covariance I over n - 1, exactly."""
    drawn = torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    drawn -= drawn.mean(0)
    orthonormal, _ = torch.linalg.qr(drawn)
    return orthonormal * (n - 1) ** 0.5


def rotation(seed: int, d: int) -> Tensor:
    drawn = torch.randn(d, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.linalg.qr(drawn).Q


def square_root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


# Fréchet distance


def test_frechet_of_a_shift_and_a_scale() -> None:
    """N(0, I) and N(mu, s^2 I): d (mu^2 + (1 - s)^2)."""
    for (n, d), mu, s in itertools.product(SHAPES, (0.0, 0.5, 3.0), (0.1, 1.0, 2.5)):
        found = metrics.frechet_distance(whitened(0, n, d), mu + s * whitened(1, 2 * n, d))
        assert found == near(d * (mu**2 + (1 - s) ** 2))


def test_frechet_of_covariances_that_commute() -> None:
    """One rotation of diag(a) and diag(b): the sum of (sqrt a - sqrt b)^2."""
    for n, d in SHAPES:
        a, b = torch.linspace(0.1, 4, d).double(), torch.linspace(3, 0.5, d).double()
        turned = rotation(2, d)
        real, fake = (whitened(seed, n, d) * scale.sqrt() @ turned.T for seed, scale in ((0, a), (1, b)))
        assert metrics.frechet_distance(real, fake) == near(float((a.sqrt() - b.sqrt()).square().sum()))


def test_frechet_of_covariances_that_do_not_commute() -> None:
    """In two dimensions tr (S1 S2)^(1/2) is the root of tr S1 S2 + 2 (det S1 S2)^(1/2); and blocks of two add up."""
    s1 = torch.tensor([[2.0, 0.9], [0.9, 1.0]]).double()
    s2 = torch.tensor([[0.5, -0.4], [-0.4, 3.0]]).double()
    root = ((s1 @ s2).trace() + 2 * (s1 @ s2).det().sqrt()).sqrt()
    alone = float((s1 + s2).trace() - 2 * root)
    real, fake = (whitened(seed, 70, 2) @ square_root(s) for seed, s in ((0, s1), (1, s2)))
    assert float((s1 @ s2 - s2 @ s1).abs().max()) > 0.1
    assert metrics.frechet_distance(real, fake) == near(alone)
    turned = rotation(3, 10)
    many = [
        whitened(seed, 90, 10) @ square_root(torch.block_diag(*[s] * 5)) @ turned.T for seed, s in ((0, s1), (1, s2))
    ]
    assert metrics.frechet_distance(many[0], many[1] + 0.2) == near(5 * alone + 10 * 0.2**2)


def test_frechet_of_singular_covariances() -> None:
    """S1 = u u^T leaves the root of u^T S2 u; subspaces that share nothing leave nothing."""
    basis = whitened(0, 40, 6)
    u = torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0, 1.0]).double()
    real, fake = basis[:, :1] * u, whitened(1, 40, 6)
    assert metrics.frechet_distance(real, fake) == near(float(u @ u + 6 - 2 * u.norm()))
    left, right = basis.clone(), fake.clone()
    left[:, 3:], right[:, :3] = 0, 0
    turned = rotation(4, 6)
    assert metrics.frechet_distance(left @ turned, right @ turned + 1) == near(3 + 3 + 6)


def test_frechet_of_fewer_samples_than_numbers() -> None:
    """Two points +-a have the covariance 2 a a^T, so the distance to +-b is 2 (|a|^2 + |b|^2 - 2 |a.b|)."""
    a, b = torch.randn(2, 300, generator=torch.Generator().manual_seed(0)).double()
    found = metrics.frechet_distance(torch.stack((a, -a)), torch.stack((b, -b)) + 0.5)
    assert found == near(float(2 * (a @ a + b @ b - 2 * (a @ b).abs()) + 300 * 0.25))


def test_frechet_of_scales_and_offsets_far_apart() -> None:
    """Variances from 1e-4 to 1e4, far from the origin: float32 anywhere on the way would show."""
    scale = torch.logspace(-2, 2, 20).double()
    real, fake = 1e3 + whitened(0, 300, 20) * scale, 1e3 + whitened(1, 300, 20) * scale * 1.1
    assert metrics.frechet_distance(real, fake) == near(float((0.1 * scale).square().sum()))


def test_frechet_of_identical_sets_is_zero() -> None:
    for n, d in (*SHAPES, (2, 5), (30, 100)):
        points = 5 + whitened(0, n, d) if n > d else torch.randn(n, d).double()
        assert 0 <= metrics.frechet_distance(points, points.flip(0)) < 1e-6


def test_frechet_of_sets_of_one_point_repeated() -> None:
    here, there = torch.zeros(9, 4), torch.full((5, 4), 2.0)
    assert metrics.frechet_distance(here, there) == near(16)
    assert metrics.frechet_distance(there, there) == 0


def test_frechet_extrapolated_of_moments_without_sampling_error() -> None:
    """The moments show no bias, but those without a group do: (d (d + 1)/2 + 2 d)/n, roughly."""
    for n in (100, 400):
        real, fake = whitened(0, n, 3), 2 + whitened(1, n, 3)
        bias = (3 * 4 / 2 + 2 * 3) / n
        assert 0.5 * bias < 12 - metrics.frechet_extrapolated(real, fake) < 1.5 * bias


# Kernel distance


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def test_kernel_of_two_points_each() -> None:
    """Real 1, -1 and fake 2, 0: k(1, -1) = 0, k(2, 0) = 1, and between them 27, 1, -1, 1, of mean 7."""
    real, fake = column(1, -1), column(2, 0)
    assert metrics.kernel_distance(real, fake) == near(0 + 1 - 14)
    # with the diagonals, of 8, 8 and 125, 1: means 4 and 32
    assert metrics.kernel_distance(real, fake, estimator="biased") == near(4 + 32 - 14)


def test_kernel_of_corners_of_a_shifted_cube() -> None:
    """All corners +-1 are a law without correlations. Shifted by m along each axis, with t = x.y/d:

    E k(x, x') = 1 + 3/d; E k(x, y) = 1 + 3 (1 + m^2)/d; and t of two shifted ones has the mean m^2, the variance
    (1 + 2 m^2)/d and the third central moment 6 m^2/d^2.
    """
    for d, m in itertools.product((1, 3, 6), (0.0, 0.5, 2.0)):
        corners = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=d))).double()
        between = 1 + 3 * (1 + m**2) / d
        among = (1 + m**2) ** 3 + 3 * (1 + m**2) * (1 + 2 * m**2) / d + 6 * m**2 / d**2
        found = metrics.kernel_distance(corners, corners + m, estimator="biased")
        assert found == near(1 + 3 / d + among - 2 * between)


def test_kernel_of_one_point_repeated() -> None:
    """k(a, a) + k(b, b) - 2 k(a, b), with a.a/d = 1, b.b/d = 9, a.b/d = 3."""
    assert metrics.kernel_distance(torch.ones(4, 7), torch.full((6, 7), 3.0)) == near(8 + 1000 - 2 * 64)


# Neighbours


REAL, FAKE = column(0, 1, 3, 6, 100, 101), column(0.5, 2.2, 10, 30)


def test_neighbours_on_a_line_with_one_neighbour() -> None:
    """Real balls reach 1, 1, 2, 3, 1, 1; those of the fakes 1.7, 1.7, 7.8, 20.

    0.5 lies in the balls of 0 and 1, 2.2 in that of 3, the others in none. 100 and 101 lie in no fake's ball.
    """
    assert metrics.precision_recall(REAL, FAKE, k=1) == (near(2 / 4), near(4 / 6))
    assert metrics.density_coverage(REAL, FAKE, k=1) == (near(3 / 4), near(3 / 6))
    # with all fakes in a ball, the balls without one are as many
    assert metrics.density_coverage(REAL, column(0.5, 0.5, 0.5, 2.2), k=1).coverage == near(3 / 6)


def test_neighbours_on_a_line_with_two_neighbours() -> None:
    """Real balls reach 3, 2, 3, 5, 94, 95; those of the fakes 9.5, 7.8, 9.5, 27.8.

    0.5 lies in 3 real balls, 2.2 in 4, 10 in those of 6, 100 and 101, 30 in the last two.
    """
    assert metrics.precision_recall(REAL, FAKE, k=2) == (1, near(4 / 6))
    assert metrics.density_coverage(REAL, FAKE, k=2) == (near(12 / (4 * 2)), 1)


def test_neighbours_of_disjoint_sets_share_nothing() -> None:
    real, fake = whitened(0, 40, 3), 1000 + whitened(1, 50, 3)
    assert metrics.precision_recall(real, fake) == (0, 0)
    assert metrics.density_coverage(real, fake) == (0, 0)


def test_neighbours_k_is_three_for_the_one_pair_and_five_for_the_other() -> None:
    real, fake = whitened(0, 60, 4), 0.8 * whitened(1, 70, 4)
    assert metrics.precision_recall(real, fake) == metrics.precision_recall(real, fake, k=3)
    assert metrics.density_coverage(real, fake) == metrics.density_coverage(real, fake, k=5)
    assert metrics.precision_recall(real, fake, k=3) != metrics.precision_recall(real, fake, k=5)


# Sliced Wasserstein distance


def test_sliced_of_a_shift_is_the_shift_along_the_lines() -> None:
    shift = torch.tensor([3.0, 0, 0, -4, 0]).double()
    points = whitened(0, 30, 5)
    along = lines(200, 5, 7) @ shift
    found = metrics.sliced_wasserstein(points, points + shift, directions=200, seed=7)
    assert found == near(float(along.square().mean().sqrt()))
    assert metrics.sliced_wasserstein(points, points + shift, directions=20_000) == pytest.approx(5 / 5**0.5, rel=0.01)


def test_sliced_of_numbers_is_the_distance_of_their_quantiles() -> None:
    """{0, 1} to {0, 3}: root of (0 + 4)/2. {0, 1} to {0, 0, 3}: thirds and halves, root of (1 + 4 * 2)/6 ."""
    assert metrics.sliced_wasserstein(column(0, 1), column(0, 3)) == near(2**0.5)
    assert metrics.sliced_wasserstein(column(0, 1), column(0, 0, 3)) == near(((1 + 2 * 4) / 6) ** 0.5)


# Logits


def sure(*classes: int, of: int) -> Tensor:
    """Logits without doubt."""
    return 1e4 * torch.nn.functional.one_hot(torch.tensor(classes), of).double()


def test_inception_score_of_sure_classes_is_their_number() -> None:
    found = metrics.inception_score(sure(*(list(range(7)) * 10), of=7))
    assert found == (near(7), near(0))


def test_inception_score_of_parts_in_order() -> None:
    """Four of class 0 score 1; two each of two classes score 2: mean 1.5, std 0.5 over two parts."""
    assert metrics.inception_score(sure(0, 0, 0, 0, 0, 1, 0, 1, of=3), splits=2) == (near(1.5), near(0.5))
    # five rows in two parts are two and three
    assert metrics.inception_score(sure(0, 1, 0, 0, 0, of=3), splits=2) == (near(1.5), near(0.5))


def test_inception_score_of_doubt() -> None:
    """p of 3/4 and 1/4 either way round, the mean one half."""
    logits = torch.tensor([[3.0, 1.0], [1.0, 3.0]]).double().log()
    score = math.exp(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert metrics.inception_score(logits, splits=1) == (near(score), 0)


def test_class_kl_of_counts() -> None:
    """Three quarters and one quarter against halves."""
    real, fake = sure(0, 1, 1, 0, of=2), sure(0, 0, 0, 1, of=2)
    found = metrics.class_histogram(real, fake)
    assert found.kl == near(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert found.counts == (3, 1)
    # a choice counts whole, however unsure
    unsure = torch.tensor([[0.1, 0.0], [0.1, 0.0], [0.2, 0.0], [0.0, 9.0]])
    assert metrics.class_histogram(real, unsure).kl == near(found.kl)


def test_label_accuracy_of_three_in_four() -> None:
    assert metrics.label_accuracy(sure(0, 1, 2, 2, of=3) + torch.tensor([0.0, 0.1, 0.2]), [0, 1, 2, 1]) == 0.75


def halves(x: Tensor) -> Tensor:
    """A classifier by sign."""
    return torch.cat((-x, x), 1)


def test_gan_test_of_samples_on_the_wrong_side() -> None:
    """A classifier by sign; of five samples one is not what was asked for."""
    found = metrics.gan_test(halves, column(-1, 3, -2, 4, 5), [0, 1, 0, 1, 0])
    assert found.value == near(0.8)


def test_gan_train_of_samples_that_are_shifted() -> None:
    """The border lies midway between the two means: of the samples at 5, of real data 0, 4, 6, 10 it names all right.

    From samples at 0 and 2 it lies at 1, and one real row of class 0 lies beyond it.
    """

    def fit(x: Tensor, labels: object) -> Callable[[Tensor], Tensor]:
        given = torch.as_tensor(labels)
        border = (x[given == 0].mean() + x[given == 1].mean()) / 2
        return lambda points: halves(points - border)

    real, classes = column(0, 4, 6, 10), [0, 0, 1, 1]
    assert metrics.gan_train(fit, column(0, 10), [0, 1], real, classes).value == 1
    assert metrics.gan_train(fit, column(0, 2), [0, 1], real, classes).value == 0.75


# Pictures


def test_psnr_of_constant_errors() -> None:
    """An error of a tenth of the range is 20 dB; of two pictures the mean of their decibels."""
    grey = torch.full((1, 3, 8, 8), 100.0).double()
    assert metrics.psnr(grey, grey + 25.5, data_range=255) == near(20)
    both = torch.cat((grey + 25.5, grey + 0.255))
    assert metrics.psnr(torch.cat((grey, grey)), both, data_range=255) == near((20 + 60) / 2)
    assert metrics.psnr(grey, grey, data_range=255) == math.inf


def test_ssim_of_flat_pictures_is_their_luminance() -> None:
    """(2 a b + c)/(a^2 + b^2 + c), c = (0.01 range)^2; at five scales to the power of the coarsest exponent."""
    for a, b, top in ((0.2, 0.5, 1.0), (20.0, 200.0, 255.0)):
        x, y = (torch.full((2, 1, 176, 176), value).double() for value in (a, b))
        luminance = (2 * a * b + (0.01 * top) ** 2) / (a**2 + b**2 + (0.01 * top) ** 2)
        assert metrics.ssim(x, y, data_range=top) == near(luminance)
        assert metrics.ms_ssim(x, y, data_range=top) == near(luminance**0.1333)


def test_ssim_of_an_impulse_weighs_by_a_gaussian() -> None:
    """A point of height h in the middle of 11 x 11 has the weight w^2 of the one window; the other picture is flat."""
    line = [math.exp(-((i - 5) ** 2) / 4.5) for i in range(11)]
    w, h = (1 / sum(line)) ** 2, 0.7
    x, y = torch.zeros(1, 1, 11, 11).double(), torch.zeros(1, 1, 11, 11).double()
    x[..., 5, 5] = h
    mean, variance = w * h, w * h**2 - (w * h) ** 2
    expected = 1e-4 / (mean**2 + 1e-4) * 9e-4 / (variance + 9e-4)
    assert metrics.ssim(x, y, data_range=1) == near(expected)


# Modes


def test_modes_of_points_that_are_placed() -> None:
    """Two std ratios' worth of points at 1 std along one axis, at four of eight modes, and one point in the middle."""
    means = torch.as_tensor(ring().means)[:4]
    points = torch.cat((means + torch.tensor([0.02, 0.0]), means - torch.tensor([0.02, 0.0]), torch.zeros(2, 2)))
    found = metrics.mode_coverage(points, ring())
    tail = math.exp(-4.5)
    perfect = (1 - tail * 5.5) / (1 - tail)
    assert (found.modes, found.high_quality) == (4, near(0.8))
    assert found.reverse_kl == near(math.log(2))
    assert found.std_ratio == near((1 / 2 / perfect) ** 0.5)


def test_modes_reach_to_three_std() -> None:
    means = torch.as_tensor(ring().means)[:2]
    points = means + 0.02 * torch.tensor([[2.99, 0], [3.01, 0]])
    assert metrics.mode_coverage(points, ring())[:2] == (1, 0.5)


def test_modes_are_weighed_from_samples_to_weights() -> None:
    """KL of (1/4, 3/4) to (1/2, 1/2), which the other way round is another number."""
    density = Mixture([Normal(0, 1), Normal(50, 1)], [0.5, 0.5])
    found = metrics.mode_coverage(column(0, 50, 50, 50), density)
    assert found.reverse_kl == near(0.25 * math.log(0.5) + 0.75 * math.log(1.5))


# Copies, bins, supports, speech


def test_memorization_of_copies_and_of_the_held_out() -> None:
    """Training rows at 0, 10, 20 ...; a point at 1 is 1 and 9 away from the two nearest, so its closeness is 1/9."""
    train = torch.arange(0, 1000, 10).double()[:, None]
    copies = train[:60]
    thirds, quarters = copies + 10 / 3, copies + 2.5
    assert metrics.memorization(train, thirds, quarters).ratio == near((1 / 3) / (1 / 2))
    found = metrics.memorization(train, thirds, copies)
    assert found.ratio == 0
    assert found.p_value < 1e-6
    assert found.pairs[:3] == ((0, 0, 0), (1, 1, 0), (2, 2, 0))
    far = metrics.memorization(train, copies + 2, thirds)
    assert far.ratio == near((1 / 2) / (1 / 4))
    assert far.p_value > 1 - 1e-6


def heaps(*counts: int) -> Tensor:
    """So many points at 0, 1000, 2000, ..."""
    return 1000 * torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))[:, None].double()


def test_different_bins_of_heaps() -> None:
    """Of 100 and 100: 25 and 25 are alike; 25 and 38 have z = 1.98 > 1.96, 25 and 37 z = 1.83; 25 and 12 z = 2.37."""
    real = heaps(25, 25, 25, 25)
    assert metrics.different_bins(real, heaps(25, 38, 25, 12), bins=4) == 0.5
    assert metrics.different_bins(real, heaps(26, 37, 25, 12), bins=4) == 0.25
    assert metrics.different_bins(real, real, bins=4) == 0
    assert metrics.different_bins(real, heaps(100, 0, 0, 0), bins=4) == 1


def test_mel_cepstral_distortion_of_a_constant_difference() -> None:
    """6.1419 delta sqrt(D) on D coefficients; coefficient 0 does not count."""
    frames = 9 * whitened(0, 20, 14)
    other = frames + 0.5
    other[:, 0] += 100
    expected = 10 / math.log(10) * math.sqrt(2) * 0.5 * math.sqrt(13)
    assert 10 / math.log(10) * math.sqrt(2) == pytest.approx(6.1419, abs=1e-4)
    assert metrics.mel_cepstral_distortion(frames, other) == near(expected)


def test_mel_cepstral_distortion_warps_time() -> None:
    """A frame held for longer costs nothing; frames 0, 1 against 0, 4: one pair in two is 3 off."""
    frames = 9 * whitened(0, 6, 4)
    assert metrics.mel_cepstral_distortion(frames, frames.repeat_interleave(2, 0)) == near(0)
    a, b = torch.tensor([[5.0, 0.0], [5.0, 1.0]]), torch.tensor([[0.0, 0.0], [0.0, 4.0]])
    assert metrics.mel_cepstral_distortion(a, b) == near(10 / math.log(10) * math.sqrt(2) * 3 / 2)


def test_birthday_support_of_counted_pairs() -> None:
    """0, 0, 1, 5: six pairs, of which one is of equals, and three within a distance of 1.5. K values r times each."""
    points = column(0, 0, 1, 5)
    assert metrics.birthday_support(points, threshold=0).support == near(6)
    assert metrics.birthday_support(points, threshold=1.5).support == near(2)
    assert metrics.birthday_support(points, threshold=0).pairs[0] == (0, 1, 0)
    repeated = heaps(*[3] * 10)
    assert metrics.birthday_support(repeated, threshold=0).support == near((3 * 10 - 1) / (3 - 1))
