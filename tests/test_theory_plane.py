"""Integrals over the plane: beside lines that were turned, closed forms, and sums over a plain lattice."""

import math

import pytest
import torch
from torch import Tensor

from ganworks.theory import (
    Density,
    Mixture,
    MultivariateNormal,
    Normal,
    SwissRoll,
    discriminator_loss_at_optimum,
    grid,
    jensen_shannon,
    kullback_leibler,
    ring,
    swissroll,
)
from ganworks.theory.quadrature import rule

LOSSES = ("minimax", "least_squares", "hinge", "relativistic_paired")
TURN = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)


def turned(line: Mixture, across: float) -> Mixture:
    """A mixture on a line, laid into the plane along (0.6, 0.8), with a std across it that all share."""
    parts = []
    for mean, std in zip(line.means[:, 0], line.stds, strict=True):
        spread = torch.diag(torch.stack([std**2, torch.tensor(across**2, dtype=torch.float64)]))
        parts.append(MultivariateNormal(TURN[:, 0] * mean, TURN @ spread @ TURN.T))
    return Mixture(parts, line.weights)


LINES = [
    (Mixture([Normal(0.0, 1.0)] * 2, [1, 1]), Mixture([Normal(1.0, 1.0)] * 2, [1, 1])),
    (Mixture([Normal(0.0, 1.0)] * 2, [1, 1]), Mixture([Normal(4.0, 1.0)] * 2, [1, 1])),
    (Mixture([Normal(0.0, 1.0), Normal(2.0, 0.1)], [2, 1]), Mixture([Normal(0.5, 0.3), Normal(-1.0, 2.0)], [1, 1])),
    (Mixture([Normal(0.0, 0.02), Normal(2.0, 0.02)], [1, 1]), Mixture([Normal(0.03, 0.03), Normal(2.0, 0.02)], [2, 1])),
]


@pytest.mark.parametrize(("p", "q"), LINES)
@pytest.mark.parametrize("across", [0.3])
def test_a_line_laid_into_the_plane_keeps_its_numbers(p: Mixture, q: Mixture, across: float) -> None:
    flat = turned(p, across), turned(q, across)
    assert jensen_shannon(*flat) == pytest.approx(jensen_shannon(p, q), abs=1e-9)
    assert kullback_leibler(*flat) == pytest.approx(kullback_leibler(p, q), rel=1e-9)
    for loss in LOSSES:
        floor = discriminator_loss_at_optimum(p, q, loss)
        assert discriminator_loss_at_optimum(*flat, loss) == pytest.approx(floor, abs=1e-7)


@pytest.mark.parametrize(
    ("p", "q"),
    [
        (MultivariateNormal([0, 0], [[2, 0.5], [0.5, 1]]), MultivariateNormal([1, -1], [[1, 0], [0, 3]])),
        (MultivariateNormal([0, 0], [[1, 0.99], [0.99, 1]]), Normal([0.2, 0.0], 1.0)),
        (Normal([0, 0], [1.0, 0.001]), Normal([0, 0.001], [0.5, 0.002])),
        (Normal([0, 0], 0.01), Normal([0.5, 0], 3.0)),
        (Normal([1e4, -1e4], 1.0), Normal([1e4, 1 - 1e4], 2.0)),
    ],
)
def test_the_divergence_of_unlike_normals_by_cells_is_that_of_the_formula(p: Density, q: Density) -> None:
    hidden = [Mixture([density, density], [1, 2]) for density in (p, q)]  # the formula does not see one normal in these
    assert kullback_leibler(*hidden) == pytest.approx(kullback_leibler(p, q), rel=1e-9)
    assert jensen_shannon(*hidden) == pytest.approx(jensen_shannon(p, q), abs=1e-12)


def lattice_sums(p: Density, q: Density, extent: float, step: float) -> tuple[float, float]:
    """JSD and ½∫pq/(p + q) as sums over a lattice: exact to rounding where both are smooth on its scale."""
    axis = torch.arange(-extent, extent, step, dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis)
    a, b = (density.log_prob(points) for density in (p, q))
    middle = torch.logaddexp(a, b) - math.log(2)
    jsd = 0.5 * (a.exp() * (a - middle) + b.exp() * (b - middle)).sum() * step**2
    squares = 0.5 * (a + b - torch.logaddexp(a, b)).exp().sum() * step**2
    return jsd.item(), squares.item()


@pytest.mark.parametrize(
    ("p", "q", "extent", "step"),
    [
        (MultivariateNormal([0, 0], [[2, 0.5], [0.5, 1]]), MultivariateNormal([1, -1], [[1, 0], [0, 3]]), 16, 0.05),
        (Mixture([Normal([-1, 0], 0.3), Normal([1, 1], 0.5)], [1, 2]), Normal([0, 0], 1.0), 9, 0.02),
        (SwissRoll(0.2), Mixture([Normal([0.5, -1.5], 0.3), Normal([1.0, 1.0], 0.7)], [1, 1]), 6, 0.06),
    ],
)
def test_sums_over_a_lattice_agree(p: Density, q: Density, extent: float, step: float) -> None:
    jsd, squares = lattice_sums(p, q, extent, step)
    assert discriminator_loss_at_optimum(p, q, "least_squares") == pytest.approx(squares, abs=1e-6)
    if not isinstance(p, SwissRoll):
        assert jensen_shannon(p, q) == pytest.approx(jsd, abs=1e-6)


@pytest.mark.parametrize("p", [ring(), SwissRoll(0.2)])
def test_a_share_that_is_elsewhere_costs_what_its_size_says(p: Density) -> None:
    """q is half p and half something far away: then all is a matter of shares."""
    q = Mixture([p, Normal([40.0, 0.0], 0.5)], [1, 1])
    half = 0.5 * math.log(4 / 3) + 0.25 * math.log(2 / 3) + 0.25 * math.log(2)
    assert jensen_shannon(p, q) == pytest.approx(half, abs=1e-7)
    if isinstance(p, Mixture):  # once is enough of a density that is slow
        assert kullback_leibler(p, q) == pytest.approx(math.log(2), abs=1e-7)
        assert discriminator_loss_at_optimum(p, q, "hinge") == pytest.approx(1.0, abs=1e-7)
        assert discriminator_loss_at_optimum(p, q, "least_squares") == pytest.approx(1 / 6, abs=1e-7)


def test_limits() -> None:
    far = Mixture([Normal([50.0, 0.0], 0.02), Normal([60.0, 0.0], 1.0)], [1, 1])
    assert jensen_shannon(ring(), far) == pytest.approx(math.log(2), abs=1e-9)
    assert jensen_shannon(ring(), ring()) == 0
    assert discriminator_loss_at_optimum(ring(), ring(), "hinge") == pytest.approx(2, abs=1e-9)
    assert jensen_shannon(grid(), ring()) == pytest.approx(jensen_shannon(ring(), grid()), abs=1e-12)


def masses(p: Density, q: Density) -> Tensor:
    return torch.stack([mass.sum() for mass in rule("this", p, q).masses])


def test_the_cells_hold_all_mass_and_are_few() -> None:
    for p, q in ((ring(), swissroll()), (Normal([0, 0], 1e-3), Normal([9, 0], 1e3))):
        assert torch.allclose(masses(p, q), torch.ones(2, dtype=torch.float64), atol=1e-8)
    assert len(rule("this", ring(), Normal([0, 0], 0.5)).shares) < 500_000
