"""The Fréchet distance between two samples, each taken for a normal distribution."""

from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from ganworks.metrics.inputs import Samples, pair
from ganworks.metrics.interval import assign

_CONSTANT = 1e-14
"""A variance below this share of the largest is rounding."""


class _Normal(NamedTuple):
    """A normal distribution: its mean (D,), its variances (D,), and one of two forms of its covariance."""

    mean: Float64[Tensor, " d"]
    variances: Float64[Tensor, " d"]
    covariance: Float64[Tensor, "d d"] | None
    rows: Float64[Tensor, "r d"] | None
    """R with R^T R = covariance, for no more samples than D."""

    def factor(self, columns: Tensor) -> Tensor:
        """F with F^T F = covariance of some coordinates."""
        if self.covariance is None:
            assert self.rows is not None
            return self.rows[:, columns]
        return _factor(self.covariance[columns][:, columns])


def frechet_distance(real: Samples, fake: Samples) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), with covariances over n - 1.

    It is never NaN, complex or negative. It is biased upwards: for two samples of n from N(0, I) by about
    (d(d+1)/2 + 2d)/n, so compare only at equal n.

    Args:
        real, fake: (N, D) and (M, D) features, at least 2 samples each; fewer than D are fine.
    Raises: UsageError E-METRIC-01 (shapes, too few) or E-METRIC-02 (not finite).
    Source: Dowson and Landau 1982; Heusel et al. 2017, equation 6. In features of another network than the 2015
        Inception it is not FID.
    """
    return float(replicates(real, fake)["frechet_distance"][0])


def replicates(real: Samples, fake: Samples, groups: int = 0) -> dict[str, Float64[Tensor, " g"]]:
    """The distance on all samples and without each group: (G + 1,). Moments are downdated, not summed anew."""
    sets = [_Set(points, groups) for points in pair("frechet_distance", real, fake, least=3 if groups else 2)]
    values = [_distance(*(points.without(g) for points in sets)) for g in range(-1, groups)]
    return {"frechet_distance": torch.tensor(values, dtype=torch.float64)}


class _Set:
    """Samples and the sums from which the normal of any part of them follows."""

    def __init__(self, points: Tensor, groups: int) -> None:
        self.group = assign(len(points), groups)
        self.center = points.mean(0)
        self.offsets = points - self.center
        self.scatter = self.offsets.T @ self.offsets if len(points) > points.shape[1] else None

    def without(self, g: int) -> _Normal:
        """The normal of all samples but those of group g; of all for g = -1."""
        kept = self.group != g
        left = int(kept.sum())
        shift = self.offsets[kept].mean(0)
        if self.scatter is None or left <= len(shift):
            rows = (self.offsets[kept] - shift) / (left - 1) ** 0.5
            return _Normal(self.center + shift, rows.square().sum(0), None, rows)
        out = self.offsets[~kept]
        covariance = (self.scatter - out.T @ out - left * torch.outer(shift, shift)) / (left - 1)
        return _Normal(self.center + shift, covariance.diagonal(), covariance, None)


def _factor(covariance: Tensor) -> Tensor:
    """Cholesky's factor (D, D), ten times faster than eigenvalues; they are for a covariance that has not full rank."""
    factor: Tensor
    factor, failed = torch.linalg.cholesky_ex(covariance, upper=True)
    if not failed:
        return factor
    values, vectors = torch.linalg.eigh(covariance)
    # Below this an eigenvalue is rounding; its square root would not be small.
    kept = values > values[-1] * len(values) * torch.finfo(torch.float64).eps
    factor = (vectors[:, kept] * values[kept].sqrt()).T
    return factor


def _distance(real: _Normal, fake: _Normal) -> float:
    # A coordinate that is constant in one of the sets (a feature that no picture excites) adds nothing to the root.
    alive = (real.variances > _CONSTANT * real.variances.max()) & (fake.variances > _CONSTANT * fake.variances.max())
    root = _root_trace(real.factor(alive), fake.factor(alive))
    means = (real.mean - fake.mean).square().sum()
    return max(0.0, float(means + real.variances.sum() + fake.variances.sum() - 2 * root))


def _root_trace(real: Tensor, fake: Tensor) -> Tensor:
    """tr (S1 S2)^(1/2): the sum of the singular values of F1 F2^T, whose squares are the eigenvalues of S1 S2."""
    product = real @ fake.T
    if product.shape == (real.shape[1], real.shape[1]):
        # At full rank the roots of symmetric eigenvalues are as good, and take half the time.
        return torch.linalg.eigvalsh(product @ product.T).clamp(min=0).sqrt().sum()
    return torch.linalg.svdvals(product).sum()
