"""Distances between known densities: outside numbers, closed forms against integrals, and what must hold of any."""

import math

import pytest
import torch
from torch import Tensor

from ganworks import losses
from ganworks.errors import UsageError
from ganworks.theory import (
    Density,
    Mixture,
    MultivariateNormal,
    Normal,
    discriminator_loss_at_optimum,
    jensen_shannon,
    kullback_leibler,
    ring,
    swissroll,
    wasserstein_1,
)

TABLE = [  # μ, JSD(N(0, 1), N(μ, 1)), 2 JSD - log 4, accuracy of the best classifier
    (0.5, 0.030311, -1.325672, 0.5987),
    (1.0, 0.111421, -1.163451, 0.6915),
    (2.0, 0.336831, -0.712633, 0.8413),
    (4.0, 0.632720, -0.120854, 0.9772),
    (6.0, 0.689298, -0.007698, 0.9987),
    (8.0, 0.693054, -0.000187, 1.0000),
]
UNLIKE = [
    (Normal(0.0, 1.0), Normal(1.0, 2.0)),
    (Normal(0.0, 1.0), Mixture([Normal(-2.0, 0.1), Normal(1.0, 1.0)], [1, 3])),
    (Mixture([Normal(0.0, 0.01), Normal(5.0, 0.01)], [1, 1]), Normal(2.0, 4.0)),
]


class Unknown(Density):
    """A density that is no sum of normal ones: uniform on [0, 1]."""

    dimensions = 1

    def _log_prob(self, points: Tensor) -> Tensor:
        return torch.where((points[:, 0] - 0.5).abs() <= 0.5, 0.0, -math.inf)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        return torch.rand(n, 1, generator=generator)


@pytest.mark.parametrize(("shift", "jsd", "value", "accuracy"), TABLE)
def test_the_table_of_shifted_normals(shift: float, jsd: float, value: float, accuracy: float) -> None:
    p, q = Normal(0.0, 1.0), Normal(shift, 1.0)
    assert jensen_shannon(p, q) == pytest.approx(jsd, abs=6e-7)
    assert kullback_leibler(p, q) == pytest.approx(shift**2 / 2, rel=1e-12)
    assert wasserstein_1(p, q) == pytest.approx(shift, rel=1e-12)
    for loss in ("minimax", "non_saturating"):
        assert -discriminator_loss_at_optimum(p, q, loss) == pytest.approx(value, abs=6e-7)
    assert discriminator_loss_at_optimum(p, q, "wasserstein") == pytest.approx(-shift, rel=1e-12)
    # Hinge: 2 ∫ min(p, q) = 2 (1 - TV), and the best classifier is right (1 + TV)/2 of the time.
    assert 1 - discriminator_loss_at_optimum(p, q, "hinge") / 4 == pytest.approx(accuracy, abs=6e-5)


def as_mixture(density: Normal) -> Mixture:
    """The same density, which the formulas do not recognise."""
    return Mixture([density, density], [1, 3])


def test_formulas_agree_with_integrals() -> None:
    p, q = Normal(0.3, 0.5), Normal(-1.0, 2.0)
    for distance in (kullback_leibler, wasserstein_1):
        assert distance(as_mixture(p), as_mixture(q)) == pytest.approx(distance(p, q), rel=1e-11)
    # E |N(m, s²)|, because the best plan of two normals on a line is monotone: q's place is a line in p's.
    m, s = 1.3, 1.5
    folded = s * math.sqrt(2 / math.pi) * math.exp(-((m / s) ** 2) / 2) + m * math.erf(m / s / math.sqrt(2))
    assert wasserstein_1(p, q) == pytest.approx(folded, rel=1e-12)


def test_the_divergence_of_normals_in_two_dimensions_has_its_formula() -> None:
    p, q = MultivariateNormal([0, 0], [[2, 0.5], [0.5, 1]]), MultivariateNormal([1, -1], [[1, 0], [0, 3]])
    trace, far, sizes = 2 / 1 + 1 / 3, 1 + 1 / 3, math.log(3 / (2 - 0.25))
    assert kullback_leibler(p, q) == pytest.approx((trace + far - 2 + sizes) / 2, rel=1e-12)
    apart = kullback_leibler(Normal([0, 1], [1, 2]), Normal([3, 5], [2, 1]))
    assert apart == pytest.approx(
        kullback_leibler(Normal(0, 1), Normal(3, 2)) + kullback_leibler(Normal(1, 2), Normal(5, 1))
    )


def test_normals_of_one_covariance_differ_along_one_line() -> None:
    p = MultivariateNormal([0, 0], [[4, 0], [0, 1]])
    q = MultivariateNormal([2, 0], [[4, 0], [0, 1]])
    assert jensen_shannon(p, q) == pytest.approx(jensen_shannon(Normal(0, 1), Normal(1, 1)), rel=1e-12)
    assert wasserstein_1(p, q) == pytest.approx(2.0, rel=1e-12)
    for loss in ("hinge", "relativistic_paired"):
        by_line = discriminator_loss_at_optimum(Normal(0, 1), Normal(1, 1), loss)
        assert discriminator_loss_at_optimum(p, q, loss) == pytest.approx(by_line, rel=1e-12)


def test_coordinates_count_by_their_own_std() -> None:
    tilted = MultivariateNormal([0, 0], [[1, 0.5], [0.5, 1]]), MultivariateNormal([1, 1], [[1, 0.5], [0.5, 1]])
    # Along (1, 1)/√2 the variance is 1.5 and the shift √2.
    same = Normal(0, 1), Normal(math.sqrt(2 / 1.5), 1)
    assert jensen_shannon(*tilted) == pytest.approx(jensen_shannon(*same), rel=1e-10)


@pytest.mark.parametrize(("p", "q"), UNLIKE)
def test_distances_are_distances(p: Density, q: Density) -> None:
    assert jensen_shannon(p, q) == pytest.approx(jensen_shannon(q, p), rel=1e-9)
    assert 0 < jensen_shannon(p, q) < math.log(2)
    assert wasserstein_1(p, q) == pytest.approx(wasserstein_1(q, p), rel=1e-9)
    assert min(kullback_leibler(p, q), kullback_leibler(q, p)) > 0
    assert kullback_leibler(p, q) != pytest.approx(kullback_leibler(q, p), rel=0.01)
    for distance in (jensen_shannon, kullback_leibler, wasserstein_1):
        assert distance(p, p) == pytest.approx(0, abs=1e-12)


def test_moved_mass_costs_its_distance() -> None:
    before = Mixture([Normal(0.0, 0.01), Normal(5.0, 0.01)], [1, 1])
    after = Mixture([Normal(0.0, 0.01), Normal(5.0, 0.01)], [3, 1])
    assert wasserstein_1(before, after) == pytest.approx(0.25 * 5, rel=1e-9)
    assert jensen_shannon(before, Normal(100.0, 1.0)) == pytest.approx(math.log(2), rel=1e-12)


@pytest.mark.parametrize("loss", losses.names())
def test_equal_densities_cost_what_a_coin_costs(loss: str) -> None:
    coin = {"minimax": math.log(4), "non_saturating": math.log(4), "wasserstein": 0.0, "least_squares": 0.25}
    p = Normal(0.0, 1.0)
    expected = coin | {"hinge": 2.0, "relativistic_paired": math.log(2), "relativistic_average": math.log(4)}
    assert discriminator_loss_at_optimum(p, Normal(0.0, 1.0), loss) == pytest.approx(expected[loss], abs=1e-12)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: jensen_shannon(Normal([0, 0, 0], 1.0), Normal([0, 0, 0], 2.0)),
        lambda: kullback_leibler(Normal(0, 1), Unknown()),
        lambda: kullback_leibler(Normal(0, 1), Mixture([Normal(0, 1), Unknown()], [1, 1])),
        lambda: wasserstein_1(swissroll(), swissroll()),
        lambda: wasserstein_1(Normal([0, 0], 1.0), Normal([0, 0], 2.0)),
        lambda: discriminator_loss_at_optimum(ring(), ring(), "wasserstein"),
        lambda: wasserstein_1(Normal(0, 1), Normal([0, 0], 1.0)),
        lambda: kullback_leibler(Normal(0, 1), Normal([0, 0], 1.0)),
    ],
)
def test_what_has_no_formula_is_refused(ask) -> None:
    with pytest.raises(UsageError, match="E-THEORY-01"):
        ask()


def test_an_unknown_loss_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match=r"(?s)E-NAME-03.*close to it: hinge"):
        discriminator_loss_at_optimum(Normal(0, 1), Normal(1, 1), "hing")
