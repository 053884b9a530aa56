"""The Fréchet distance between two samples, each taken for a normal distribution."""

from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from ganworks.metrics.inputs import Samples, pair
from ganworks.metrics.interval import assign


class Moments(NamedTuple):
    """Count, mean (D,) and scatter (D, D): the sum of (x - mean)(x - mean)^T."""

    count: int
    mean: Float64[Tensor, " d"]
    scatter: Float64[Tensor, "d d"]

    @property
    def covariance(self) -> Float64[Tensor, "d d"]:
        """With n - 1 in the denominator."""
        return self.scatter / (self.count - 1)


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
    sets = pair("frechet_distance", real, fake, least=2 if groups == 0 else 3)
    moments = [_moments(points) for points in sets]
    values = [_distance(*moments)]
    assigned = [assign(len(points), groups) for points in sets] if groups else []
    for g in range(groups):
        left = [_without(m, points[of == g]) for m, points, of in zip(moments, sets, assigned, strict=True)]
        values.append(_distance(*left))
    return {"frechet_distance": torch.tensor(values, dtype=torch.float64)}


def _moments(points: Tensor) -> Moments:
    mean = points.mean(0)
    centered = points - mean
    return Moments(len(points), mean, centered.T @ centered)


def _without(moments: Moments, points: Tensor) -> Moments:
    """The moments of the samples that remain when these are taken out."""
    offsets = points - moments.mean
    count = moments.count - len(points)
    shift = -offsets.sum(0) / count
    scatter = moments.scatter - offsets.T @ offsets - count * torch.outer(shift, shift)
    return Moments(count, moments.mean + shift, scatter)


def _factor(covariance: Tensor) -> Tensor:
    """A with A A^T = covariance, (D, rank). Cholesky is ten times faster, but has no answer for fewer samples than D."""
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if not failed:
        return factor
    values, vectors = torch.linalg.eigh(covariance)
    # Below this an eigenvalue is rounding; its square root would not be small.
    kept = values > values[-1] * len(values) * torch.finfo(torch.float64).eps
    return vectors[:, kept] * values[kept].sqrt()


def _distance(real: Moments, fake: Moments) -> float:
    """S1 S2 has the eigenvalues of A^T S2 A, which is symmetric and whose square roots are real."""
    factor = _factor(real.covariance)
    eigenvalues = torch.linalg.eigvalsh(factor.T @ fake.covariance @ factor).clamp(min=0)
    traces = real.covariance.trace() + fake.covariance.trace() - 2 * eigenvalues.sqrt().sum()
    return max(0.0, float((real.mean - fake.mean).square().sum() + traces))
