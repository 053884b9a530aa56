"""The Gaussian mixture against densities that are known, and the ways in which EM goes wrong."""

import math
from itertools import pairwise

import pytest
import torch

from ganworks import data
from ganworks.explicit import LOG_LIKELIHOOD, score
from ganworks.random import Streams
from ganworks.settings import build
from ganworks.systems.mixture import Fit, Mixture, MixtureSettings, between, bic, improved, log_joint, maximised
from ganworks.theory import Mixture as Exact
from ganworks.theory import MultivariateNormal
from ganworks.training.average import sample


def fitted(source: object, **settings) -> Mixture:
    opened = data.open(source)
    system = Mixture(build(MixtureSettings, Mixture.suited(opened.spec), settings), opened.spec)
    torch.manual_seed(0)
    system.prepare(opened)
    return system.eval()


def two() -> tuple[Fit, Exact]:
    covariances = torch.tensor([[[1.0, 0.6], [0.6, 2.0]], [[0.5, -0.2], [-0.2, 0.3]]]).double()
    means, weights = torch.tensor([[0.0, 1.0], [4.0, -1.0]]).double(), torch.tensor([0.3, 0.7]).double()
    parts = [MultivariateNormal(mean, covariance) for mean, covariance in zip(means, covariances, strict=True)]
    return Fit(weights, means, torch.linalg.cholesky(covariances)), Exact(parts, weights)


def test_the_joint_density_sums_to_that_of_the_mixture() -> None:
    fit, exact = two()
    x = 3 * torch.randn(50, 2).double()
    assert torch.allclose(log_joint(x, fit).logsumexp(1), exact.log_prob(x))


def test_a_round_never_lowers_the_likelihood_and_many_find_the_parameters() -> None:
    """The property that makes EM what it is; dividing by N - 1 or by the wrong r breaks it."""
    fit, exact = two()
    x = exact.sample(4000, torch.Generator().manual_seed(0)).double()
    r = torch.rand(4000, 2, generator=torch.Generator().manual_seed(1)).double().softmax(1)
    now, told = maximised(x, r, 1e-9), list[float]()
    for _ in range(60):
        now, one = improved(x, now, 1, 0.0, 1e-9)
        told.append(one)
    assert all(after >= before - 1e-9 for before, after in pairwise(told))
    order = now.means[:, 0].argsort()
    assert torch.allclose(now.weights[order], fit.weights, atol=0.03)
    assert torch.allclose(now.means[order], fit.means, atol=0.15)
    covariances = (now.factors @ now.factors.mT)[order]
    assert torch.allclose(covariances, fit.factors @ fit.factors.mT, atol=0.2)


def test_one_component_is_the_sample_mean_and_covariance() -> None:
    x = torch.randn(200, 3).double()
    fit = maximised(x, torch.ones(200, 1).double(), 0.0)
    assert torch.allclose(fit.means[0], x.mean(0))
    assert torch.allclose(fit.factors[0] @ fit.factors[0].T, x.T.cov(correction=0))


def test_a_component_of_one_row_keeps_a_variance() -> None:
    """Without a floor the likelihood of a row that has a component to itself is without bound."""
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [50.0, 50.0]]).double()
    r = torch.tensor([[1.0, 0], [1, 0], [1, 0], [0, 1]]).double()
    fit, told = improved(x, maximised(x, r, 1e-3), 20, 1e-9, 1e-3)
    assert math.isfinite(told)
    assert (fit.factors.diagonal(dim1=1, dim2=2) >= math.sqrt(1e-3) - 1e-9).all()


def test_the_criterion_counts_the_free_numbers() -> None:
    assert bic(0.0, 100, 1, 2) == pytest.approx(5 * math.log(100))
    assert bic(-1.5, 100, 3, 2) == pytest.approx((3 * 6 - 1) * math.log(100) + 300)
    assert between([1, 2, 4, 8], 4) == 6
    assert between([1, 2, 4, 6, 8], 4) in (3, 5)
    assert between([3, 4, 5], 4) is None


def test_the_number_of_components_is_found_and_the_likelihood_is_the_floor() -> None:
    system = fitted("bimodal", rows=4000, starts=1)
    assert len(system.fit.weights) == 2
    found = score(system, data.open("bimodal"), 2000, trained_on=True)
    assert (found.metric, found.feature_space) == (LOG_LIKELIHOOD, "nats, exact")
    assert None not in (found.low, found.high, found.real)
    assert found.low < found.real < found.high


def test_a_number_that_is_asked_for_is_taken() -> None:
    assert len(fitted("bimodal", components=5, rows=500, starts=1, rounds=3).fit.weights) == 5


def test_samples_have_the_law_of_the_density() -> None:
    system = fitted("ring", components=8, rows=2000, starts=1)
    x = sample(system, 4000, 0)["x"]
    exact = data.open("ring").density
    assert exact is not None
    assert abs(exact.log_prob(x).mean() - system.log_likelihood(x).mean()) < 0.1
    assert x.norm(dim=1).mean() == pytest.approx(2.0, abs=0.02)


def test_every_buffer_matters_to_samples_or_to_the_density() -> None:
    system = fitted(torch.randn(300, 40), components=2, directions=3, rounds=3, starts=1)
    x = torch.randn(32, 40)
    before = system.generate(32, Streams((0, "sample"), 32).at(0))["x"], system.log_likelihood(x)
    for name, buffer in system.named_buffers():
        kept = buffer.clone()
        buffer.mul_(0.5).add_(0.1)
        after = system.generate(32, Streams((0, "sample"), 32).at(0))["x"], system.log_likelihood(x)
        assert not all(torch.equal(a, b) for a, b in zip(before, after, strict=True)), name
        buffer.copy_(kept)


def test_rows_with_more_numbers_than_directions_keep_an_exact_density() -> None:
    """One component with directions and an isotropic rest is one normal density, which can be written out."""
    x = torch.randn(500, 6) @ torch.diag(torch.tensor([3.0, 2.0, 0.5, 0.5, 0.5, 0.5]))
    system = fitted(x, components=1, directions=2, floor=1e-9)
    axes, scale = system.axes.double(), torch.tensor(system.data.scale).double()
    inside = axes @ (system.fit.factors[0] @ system.fit.factors[0].T) @ axes.T
    outside = float(system.outside) * (torch.eye(6).double() - axes @ axes.T)
    mean = system.center.double() + axes @ system.fit.means[0]
    exact = MultivariateNormal(mean, inside + outside)
    expected = exact.log_prob(system.data.encode(x).double()) - scale.log().sum()
    assert torch.allclose(system.log_likelihood(x), expected, atol=1e-4)


@pytest.mark.parametrize("x", [torch.ones(50, 2), torch.ones(50, 1, 8, 8), torch.rand(3, 3, 256, 256) * 2 - 1])
def test_data_that_do_not_differ_and_few_large_pictures_are_fitted(x: torch.Tensor) -> None:
    system = fitted(x, most=2, directions=4, starts=1, rounds=3)
    drawn = sample(system, 3, 0)["x"]
    assert drawn.shape[1:] == x.shape[1:]
    assert drawn.isfinite().all()
    assert system.log_likelihood(x).isfinite().all()
