"""Densities sum to one, samples follow them, and the optimal discriminator has its closed form."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ganworks import theory
from ganworks.errors import UsageError
from ganworks.theory import Density, Mixture, MultivariateNormal, Normal, grid, ring, swissroll


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def lattice(extent: float, count: int) -> tuple[Tensor, float]:
    """Points of a square [-extent, extent]^2 and the area of one cell."""
    axis = torch.linspace(-extent, extent, count, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis), float(axis[1] - axis[0]) ** 2


@pytest.mark.parametrize(
    ("density", "extent", "count"),
    [
        (ring(), 2.3, 700),
        (grid(), 4.5, 500),
        (swissroll(), 2.8, 160),
        (MultivariateNormal([0.5, -1], [[1, 0.6], [0.6, 0.5]]), 9, 300),
    ],
)
def test_densities_sum_to_one(density: Density, extent: float, count: int) -> None:
    points, area = lattice(extent, count)
    assert float(density.log_prob(points).exp().sum() * area) == pytest.approx(1, abs=1e-9)


def test_normal_has_its_closed_form_with_one_std_for_each_coordinate() -> None:
    value = Normal([1, 2], [0.5, 3]).log_prob(torch.tensor([[2.0, -1.0]]))
    by_hand = -0.5 * (2**2 + 1**2) - math.log(0.5 * 3) - math.log(2 * math.pi)
    assert value.item() == pytest.approx(by_hand, rel=1e-6)


def test_multivariate_normal_has_its_closed_form() -> None:
    value = MultivariateNormal([0, 0], [[1, 0.5], [0.5, 1]]).log_prob(torch.tensor([[1.0, 1.0]]))
    assert value.item() == pytest.approx(-2 / 3 - math.log(2 * math.pi) - 0.5 * math.log(0.75), rel=1e-6)


def test_one_dimension_takes_vectors_and_columns() -> None:
    x = torch.linspace(-2, 2, 5)
    assert torch.equal(Normal(0, 1).log_prob(x), Normal(0, 1).log_prob(x[:, None]))
    assert Normal(0, 1).sample(7).shape == (7, 1)


def test_modes_of_the_ring_are_eight_and_as_far_apart_as_they_should_be() -> None:
    means = ring().means
    between = torch.cdist(means, means) + torch.eye(8) * 9
    assert torch.allclose(means.norm(dim=1), torch.tensor(2.0, dtype=torch.float64))
    assert torch.allclose(between.amin(1), torch.tensor(4 * math.sin(math.pi / 8), dtype=torch.float64))
    assert ring().stds.tolist() == [0.02] * 8


def test_modes_of_the_grid() -> None:
    means = grid().means
    assert {tuple(mean) for mean in means.tolist()} == {(a, b) for a in (-4, -2, 0, 2, 4) for b in (-4, -2, 0, 2, 4)}
    assert grid().stds.tolist() == [0.05] * 25


@pytest.mark.parametrize("density", [ring(), grid(), Mixture([Normal(0, 1), Normal(9, 0.1)], [3, 1])])
def test_components_are_drawn_by_weight_and_named_rightly(density: Mixture) -> None:
    points, component = density.sample_with_component(8000, seeded())
    assert points.dtype == torch.float32
    scaled = torch.cdist(points.double(), density.means) / density.stds
    assert (scaled.argmin(1) == component).double().mean() > 0.99
    shares = torch.bincount(component, minlength=len(density.weights)).double() / 8000
    error = (density.weights * (1 - density.weights) / 8000).sqrt()
    assert ((shares - density.weights).abs() < 4 * error).all()


def test_a_mixture_in_a_mixture_may_get_no_draw() -> None:
    nested = Mixture([ring(), Normal([9.0, 9.0], 1.0)], [1, 10_000])
    assert nested.sample(3, seeded()).shape == (3, 2)
    assert ring().sample(0).shape == (0, 2)


def test_samples_have_the_moments_asked_for() -> None:
    covariance = torch.tensor([[1, 0.6], [0.6, 0.5]])
    points = MultivariateNormal([0.5, -1], covariance.tolist()).sample(40_000, seeded())
    assert torch.allclose(points.mean(0), torch.tensor([0.5, -1]), atol=0.02)
    assert torch.allclose(points.T.cov(), covariance, atol=0.02)


def test_the_swissroll_is_where_its_density_says() -> None:
    points, density = swissroll().sample(20_000, seeded()), swissroll()
    times = torch.linspace(1.5 * math.pi, 4.5 * math.pi, 1001)
    curve = (times / 6)[:, None] * torch.stack((times.cos(), times.sin()), 1)
    assert torch.cdist(points, curve).amin(1).max() < 5 * 0.05
    cells, area = lattice(2.8, 160)
    inside = (cells[:, 0] > 0) & (cells[:, 1] > 0)
    expected = float(density.log_prob(cells[inside]).exp().sum() * area)
    share = float((points > 0).all(1).double().mean())
    assert share == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / 20_000))


def test_the_swissroll_agrees_with_a_sum_over_many_small_steps() -> None:
    count = 200_000
    times = 1.5 * math.pi + 3 * math.pi * (torch.arange(count, dtype=torch.float64) + 0.5) / count
    curve = (times / 6)[:, None] * torch.stack((times.cos(), times.sin()), 1)
    for point in torch.tensor([[0.1, 0.8], [-2.0, 0.3], [0.0, 0.0], [0.02, 2.3]], dtype=torch.float64):
        squares = (point - curve).square().sum(1) / (2 * 0.05**2)
        by_sum = (-squares).logsumexp(0) - math.log(count * 2 * math.pi * 0.05**2)
        assert swissroll().log_prob(point[None]).item() == pytest.approx(by_sum.item(), rel=1e-6)


@pytest.mark.parametrize("density", [Normal(0, 1), MultivariateNormal([0], [[1]]), ring(), swissroll()])
def test_draws_depend_on_the_generator_alone(density: Density) -> None:
    first = density.sample(5, seeded(3))
    torch.manual_seed(99)
    assert torch.equal(density.sample(5, seeded(3)), first)
    torch.manual_seed(3)
    assert torch.equal(density.sample(5), first)  # without one: the default generator


@pytest.mark.parametrize("mean", [0.5, 2.0])
def test_the_optimal_discriminator_of_two_normals_is_logistic(mean: float) -> None:
    x = torch.linspace(-3, 5, 9, dtype=torch.float64)[:, None]
    logit = -mean * x[:, 0] + mean**2 / 2
    assert torch.allclose(theory.optimal_logit(Normal(0, 1), Normal(mean, 1))(x), logit)
    assert torch.allclose(theory.optimal_discriminator(Normal(0, 1), Normal(mean, 1))(x), logit.sigmoid())


@pytest.mark.parametrize(
    ("mean", "optimum"), [(0.5, -1.325672), (1, -1.163451), (2, -0.712633), (4, -0.120854), (8, -0.000187)]
)
def test_the_value_of_the_game_at_the_optimum(mean: float, optimum: float) -> None:
    """V* = 2 JSD - log 4, with the Jensen-Shannon divergence integrated elsewhere."""
    p, q = Normal(0, 1), Normal(mean, 1)
    x = torch.linspace(-12, 20, 20_001, dtype=torch.float64)
    logit = theory.optimal_logit(p, q)(x)
    terms = p.log_prob(x).exp() * logsigmoid(logit) + q.log_prob(x).exp() * logsigmoid(-logit)
    assert float(torch.trapezoid(terms, x)) == pytest.approx(optimum, abs=2e-6)


def test_the_optimal_logit_is_exact_where_both_densities_underflow() -> None:
    logit = theory.optimal_logit(Normal(0, 1), Normal(1, 1))(torch.tensor([[100.0]]))
    assert logit.item() == pytest.approx(-99.5)


def test_log_prob_carries_a_gradient() -> None:
    x = torch.tensor([[2.05, 0.03]], requires_grad=True)
    ring().log_prob(x).sum().backward()
    expected = -(x.detach() - torch.tensor([[2.0, 0.0]])) / 0.02**2
    assert x.grad is not None
    assert torch.allclose(x.grad, expected, rtol=1e-4)


def test_what_is_no_density_is_refused() -> None:
    two = [Normal(0, 1), Normal([0, 0], 1)]
    for make in (
        lambda: Normal(0, 0),
        lambda: Normal(0, -1),
        lambda: Normal(math.nan, 1),
        lambda: Normal([0, 0, 0], [1, 1]),
        lambda: MultivariateNormal([0, 0], [[1, 2], [2, 1]]),
        lambda: MultivariateNormal([0, 0], [[1, 0.5], [0.4, 1]]),
        lambda: MultivariateNormal([0, 0], [[1]]),
        lambda: Mixture([], []),
        lambda: Mixture(two, [1, 1]),
        lambda: Mixture(two[:1], [1, 1]),
        lambda: Mixture(two[:1], [-1]),
        lambda: Mixture([Normal([0, 0], [1, 2])], [1]).stds,
        lambda: ring().log_prob(torch.zeros(3)),
        lambda: ring().log_prob(torch.zeros(3, 3)),
    ):
        with pytest.raises(UsageError, match="E-THEORY-01"):
            make()
