"""The Fréchet distance between two samples, each taken for a normal distribution."""

import math

import torch
from torch import Tensor

from ganworks.errors import error
from ganworks.metrics.inputs import Samples, unfit
from ganworks.metrics.interval import GROUPS, Estimate, jackknife
from ganworks.metrics.moments import Grouped, Normal, gram, grouped
from ganworks.metrics.moments import Moments as Moments

_CONSTANT = 1e-14
"""A variance below this share of the largest is rounding."""


def frechet_distance(real: Samples | Moments, fake: Samples | Moments) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), with covariances over n - 1.

    It is never NaN, complex or negative. It is biased upwards: for two samples of n from N(0, I) by about
    (d(d+1)/2 + 2d)/n, so compare only at equal n, or use `frechet_extrapolated`.

    Args:
        real, fake: (N, D) and (M, D) features, at least 2 samples each; fewer than D are fine. Or their `Moments`.
    Raises: UsageError E-METRIC-01 (shapes, too few) or E-METRIC-02 (not finite, or so large that squares overflow).
    Source: Dowson and Landau 1982; Heusel et al. 2017, equation 6. In features of another network than the 2015
        Inception it is not FID.
    """
    return estimates(real, fake)["frechet_distance"].value


def frechet_extrapolated(real: Samples | Moments, fake: Samples | Moments) -> float:
    """The Fréchet distance without its bias of order 1/n: G v - (G - 1) mean of v_g, by the jackknife of G = 20 groups.

    It may be negative. Take equally many samples of both: from two laws N(0, I) in 64 dimensions it came out at -0.05
    (standard deviation 0.4) for 200 and 200, but at -1.5 (0.4) for 100 and 1,000.

    Args:
        real, fake: (N, D) and (M, D) features, or their `Moments`. With D or fewer samples the bias is not of order
            1/n, so more than D must be left where two groups are left out: about 1.12 D.
    Raises: UsageError as `frechet_distance`.
    Source: Quenouille 1956. Chong and Forsyth 2020 extrapolate in 1/n as well, from subsets of many sizes.
    """
    return estimates(real, fake, names=("frechet_extrapolated",))["frechet_extrapolated"].value


def estimates(
    real: Samples | Moments,
    fake: Samples | Moments,
    groups: int = 0,
    names: tuple[str, ...] = ("frechet_distance",),
) -> dict[str, Estimate]:
    """The named of the two distances. Moments of each group are taken away, not summed anew."""
    parts = groups
    if "frechet_extrapolated" in names:
        fewest = min(each.shape[0] if len(each.shape) else 0 for each in (real, fake))
        parts = groups or max(2, min(GROUPS, fewest))
    sets = _pair(real, fake, parts)
    if "frechet_extrapolated" in names:
        _refuse_few(fewest, parts, len(sets[0].center))

    def without(*left_out: int) -> float:
        return _distance(sets[0].without(*left_out), sets[1].without(*left_out))

    values = [without(), *map(without, range(parts))]
    pairs = torch.full((parts, parts), torch.nan, dtype=torch.float64)
    # Ten pairs of groups are enough, and cost half of what the single ones do.
    for g in range(0, groups - 1, 2) if groups > 3 else ():
        pairs[g, g + 1] = without(g, g + 1)
    found = Estimate(values[0])
    if groups:
        found = jackknife(torch.tensor(values, dtype=torch.float64), pairs, square=values[0])
    extrapolated = parts * values[0] - (parts - 1) * sum(values[1:]) / max(1, parts)
    both = {"frechet_distance": found, "frechet_extrapolated": found._replace(value=extrapolated)}
    return {name: both[name] for name in names}


def _refuse_few(samples: int, groups: int, dimensions: int) -> None:
    """Without two groups, or one where there are fewer than 4, more than D samples must be left."""
    left_out = 2 if groups > 3 else 1
    if samples - left_out * -(-samples // groups) <= dimensions:
        enough = -(-(dimensions + left_out) * groups // (groups - left_out))
        needed = f"about {enough} samples for {dimensions} numbers each"
        raise unfit("frechet_extrapolated", needed, samples)


def _pair(real: Samples | Moments, fake: Samples | Moments, groups: int) -> tuple[Grouped, Grouped]:
    """Both sets, checked. Without a group 2 samples must be left."""
    least = 3 if groups else 2
    sets = tuple(grouped("frechet_distance", *each, groups, least) for each in (("real", real), ("fake", fake)))
    widths = [len(points.center) for points in sets]
    if widths[0] != widths[1]:
        needed = "real and fake with equally many numbers per sample"
        raise unfit("frechet_distance", needed, f"{widths[0]} and {widths[1]}")
    return sets[0], sets[1]


def _distance(real: Normal, fake: Normal) -> float:
    means, variances = float((real.mean - fake.mean).square().sum()), real.variances.sum() + fake.variances.sum()
    if not math.isfinite(means + float(variances)):
        raise error("E-METRIC-02", metric="frechet_distance", got="squares that are too large for a number")
    largest = max(float(real.variances.max()), float(fake.variances.max()))
    if largest <= 0:
        return means
    # A coordinate that is constant in one of the sets (a feature that no picture excites) adds nothing to the root.
    alive = (real.variances > _CONSTANT * real.variances.max()) & (fake.variances > _CONSTANT * fake.variances.max())
    unit = 2.0 ** -(math.frexp(largest)[1] // 2)
    root = float(_root_trace(unit * _factor(real, alive), unit * _factor(fake, alive))) / unit / unit
    return max(0.0, means + float(variances) - 2 * root)


def _factor(normal: Normal, columns: Tensor) -> Tensor:
    """F with F^T F = covariance of some coordinates.

    Cholesky's factor (D, D) is ten times faster than eigenvalues; they are for a covariance that has not full rank.
    """
    if normal.covariance is None:
        assert normal.rows is not None
        return normal.rows[:, columns]
    covariance = normal.covariance if columns.all() else normal.covariance[columns][:, columns]
    factor: Tensor
    factor, failed = torch.linalg.cholesky_ex(covariance, upper=True)
    if not failed:
        return factor
    values, vectors = torch.linalg.eigh(covariance)
    # Below this an eigenvalue is rounding; its square root would not be small.
    kept = values > values[-1] * len(values) * torch.finfo(torch.float64).eps
    factor = (vectors[:, kept] * values[kept].sqrt()).T
    return factor


def _root_trace(real: Tensor, fake: Tensor) -> Tensor:
    """tr (S1 S2)^(1/2): the sum of the singular values of F1 F2^T, whose squares are the eigenvalues of S1 S2."""
    product = real @ fake.T
    if product.shape == (real.shape[1], real.shape[1]):
        # At full rank the roots of symmetric eigenvalues are as good, and take a fifth of the time.
        return torch.linalg.eigvalsh(gram(product.T)).clamp(min=0).sqrt().sum()
    return torch.linalg.svdvals(product).sum()
