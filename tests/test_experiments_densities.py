"""The densities that an experiment fits to real data: they are densities, and EM raises the likelihood."""

import math

import pytest
import torch

from experiments.densities import Kernels, centres, fitted
from ganworks.theory import MultivariateNormal, Normal


def rows(count: int = 600) -> torch.Tensor:
    """Two clusters in three dimensions, flat in the third."""
    draw = torch.Generator().manual_seed(0)
    noise = torch.randn(count, 3, generator=draw, dtype=torch.float64) * torch.tensor([1.0, 0.5, 0.01])
    return noise + torch.tensor([4.0, 0.0, 0.0]) * (torch.arange(count)[:, None] % 2)


def test_one_component_in_all_directions_is_the_normal_density_of_the_moments() -> None:
    data = rows()
    found = fitted(data, parts=1, directions=2, rounds=2, seed=0)
    direct = MultivariateNormal(data.mean(0), data.T.cov())
    off = found.log_prob(data).mean() - direct.log_prob(data).mean()
    assert abs(off.item()) < 0.02


def test_more_rounds_and_parts_fit_better() -> None:
    data = rows()
    values = [
        fitted(data, parts=parts, directions=2, rounds=rounds, seed=0).log_prob(data).mean().item()
        for parts, rounds in ((1, 5), (2, 0), (2, 20))
    ]
    assert values[0] + 0.05 < values[2]
    assert values[1] <= values[2] + 1e-9


def test_samples_of_a_fitted_density_have_the_moments_of_the_data() -> None:
    data = rows(4000)
    sample = fitted(data, parts=2, directions=2, rounds=10, seed=0).sample(4000, torch.Generator().manual_seed(1))
    assert torch.allclose(sample.double().mean(0), data.mean(0), atol=0.1)
    assert torch.allclose(sample.double().std(0), data.std(0), rtol=0.08)


def test_kernels_are_a_mixture() -> None:
    places = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    found = Kernels(places, 0.5).log_prob(torch.tensor([[0.2]], dtype=torch.float64)).item()
    parts = [Normal(mean, 0.5).log_prob(torch.tensor([0.2], dtype=torch.float64)).exp().item() for mean in (0.0, 1.0)]
    assert found == pytest.approx(math.log(sum(parts) / 2), rel=1e-12)


def test_centres_are_the_means_of_what_is_nearest() -> None:
    found = centres(rows(), 2, 10, seed=1)
    assert sorted(round(x) for x in found[:, 0].tolist()) == [0, 4]
