"""Densities that `likelihood.py` compares: kernels on given points, and a mixture of normals fitted by EM.

Letters: N points, D coordinates, K components, d directions; r (N, K) responsibilities.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ganworks.theory import Density, Mixture, MultivariateNormal

_ROWS = 500
"""Points compared with all centres at once."""
_RIDGE = 1e-2
"""Added to every variance of a component, as a share of the mean variance of the directions."""


class Kernels(Density):
    """An equal normal kernel of some std on every centre (K, D): Parzen windows, or a memoriser of training data."""

    def __init__(self, centres: Tensor, std: float) -> None:
        self.centres, self.std, self.dimensions = centres, std, centres.shape[1]

    def _log_prob(self, points: Tensor) -> Tensor:
        constant = math.log(len(self.centres)) + self.dimensions * math.log(self.std * math.sqrt(2 * math.pi))
        squares = (torch.cdist(block, self.centres.to(points)).square() for block in torch.split(points, _ROWS))
        return torch.cat([(-each / (2 * self.std**2)).logsumexp(1) for each in squares]) - constant

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        chosen = torch.randint(len(self.centres), (n,), generator=generator)
        return (self.centres[chosen] + self.std * torch.randn(n, self.dimensions, generator=generator)).float()


class Subspace(Density):
    """A mixture of normals in d directions (D, d), orthogonal, and even noise of one std in the D - d others."""

    def __init__(self, mean: Tensor, directions: Tensor, inside: Mixture, std: float) -> None:
        self.mean, self.directions, self.inside, self.std = mean, directions, inside, std
        self.dimensions = len(mean)

    def _log_prob(self, points: Tensor) -> Tensor:
        offsets = points - self.mean.to(points)
        places = offsets @ self.directions.to(points)
        rest = offsets.square().sum(1) - places.square().sum(1)
        others = self.dimensions - self.directions.shape[1]
        constant = others * math.log(self.std * math.sqrt(2 * math.pi))
        return self.inside.log_prob(places) - rest / (2 * self.std**2) - constant

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        places = self.inside.sample(n, generator).double()
        noise = self.std * torch.randn(n, self.dimensions, generator=generator).double()
        noise -= noise @ self.directions @ self.directions.T
        return (self.mean + places @ self.directions.T + noise).float()


class _Fit(NamedTuple):
    weights: Tensor
    means: Tensor
    covariances: Tensor


def fitted(rows: Tensor, *, parts: int, directions: int, rounds: int, seed: int) -> Subspace:
    """The density that EM finds from rows (N, D): K normals with any covariance in the directions of most variance.

    Source: Tipping and Bishop 1999, section 3, for what is outside; Dempster, Laird and Rubin 1977.
    """
    mean = rows.mean(0)
    variances, axes = torch.linalg.eigh((rows - mean).T.cov())
    axes, outside = axes[:, -directions:], variances[:-directions].clamp(min=0)
    places = (rows - mean) @ axes
    ridge = _RIDGE * variances[-directions:].mean() * torch.eye(directions, dtype=rows.dtype)
    nearest = torch.cdist(places, centres(places, parts, 10, seed)).argmin(1)
    found = _maximised(places, torch.nn.functional.one_hot(nearest, parts).to(rows), ridge)
    for _ in range(rounds):
        logs = torch.stack([part.log_prob(places) for part in _normals(found)], 1) + found.weights.log()
        found = _maximised(places, logs.softmax(1), ridge)
    return Subspace(mean, axes, Mixture(_normals(found), found.weights), outside.mean().sqrt().item())


def _normals(found: _Fit) -> list[MultivariateNormal]:
    pairs = zip(found.means, found.covariances, strict=True)
    return [MultivariateNormal(mean, (spread + spread.T) / 2) for mean, spread in pairs]


def _maximised(places: Tensor, r: Tensor, ridge: Tensor) -> _Fit:
    counts = r.sum(0) + 1e-9
    means = (r.T @ places) / counts[:, None]
    spreads = [
        ((places - mean).T * share) @ (places - mean) / count + ridge
        for mean, share, count in zip(means, r.T, counts, strict=True)
    ]
    return _Fit(counts / counts.sum(), means, torch.stack(spreads))


def centres(rows: Tensor, count: int, rounds: int, seed: int) -> Tensor:
    """The means (K, D) of k-means, from random rows on. A centre without rows stays where it is."""
    draw = torch.Generator().manual_seed(seed)
    found = rows[torch.randperm(len(rows), generator=draw)[:count]].clone()
    for _ in range(rounds):
        nearest = torch.cdist(rows, found).argmin(1)
        sums = torch.zeros_like(found).index_add_(0, nearest, rows)
        sizes = torch.bincount(nearest, minlength=len(found))[:, None]
        found = torch.where(sizes > 0, sums / sizes.clamp(min=1), found)
    return found
