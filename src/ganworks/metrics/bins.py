"""The share of statistically different bins: a histogram of both samples on cells of the real one."""

import math
from statistics import NormalDist

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from ganworks.metrics.inputs import Samples, pair, unfit
from ganworks.metrics.interval import Estimate, share
from ganworks.metrics.nearest import same_scale, squared_distances

BINS, LEVEL = 100, 0.05
_OF_REAL = 4
"""One in so many real samples is fitted to."""
_ROUNDS = 100
"""Of k-means, at most."""


def different_bins(real: Samples, fake: Samples, bins: int = BINS, level: float = LEVEL, seed: int = 0) -> float:
    """The share of bins whose shares of real and fake samples differ, each by a test of two proportions.

    Bins are the cells of k-means on a quarter of the real samples; on all of them the cells would hold them more evenly
    than chance allows, and hardly a bin would differ. Of two samples of one law somewhat less than `level` of the bins
    differ; with 100 bins and level 0.05, more than 0.10 is rare.

    Args:
        real: (N, D), at least as many as bins; duplicates may make fewer bins.
        fake: (M, D).
        level: Of each test, two-sided, between 0 and 1.
        seed: Of the first centres.
    Raises: UsageError E-METRIC-01 (shapes, too few, bins, level) or E-METRIC-02 (not finite).
    Source: Richardson and Weiss 2018, section 2.
    """
    return estimates(real, fake, bins=bins, level=level, seed=seed)["different_bins"].value


def estimates(
    real: Samples, fake: Samples, groups: int = 0, bins: int = BINS, level: float = LEVEL, seed: int = 0
) -> dict[str, Estimate]:
    """The share, with the error of one of so many independent bins: at most what other samples would show."""
    x, y = pair("different_bins", real, fake, least=1)
    if not 2 <= bins <= len(x):
        raise unfit("different_bins", f"from 2 to {len(x)} bins for {len(x)} real samples", bins)
    if not 0 < level < 1:
        raise unfit("different_bins", "a level between 0 and 1", level)
    _, (x, y) = same_scale(x, y)
    drawn = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    centers = centers_of(x[drawn[: max(bins, len(x) // _OF_REAL)]], bins, seed)
    a, b = (torch.bincount(_cells(points, centers), minlength=len(centers)).double() for points in (x, y))
    together = (a + b) / (len(x) + len(y))
    error = (together * (1 - together) * (1 / len(x) + 1 / len(y))).sqrt()
    # A bin that holds nothing, or everything, tells nothing.
    z = torch.where(error > 0, (a / len(x) - b / len(y)).abs() / error.clamp(min=1e-300), 0.0)
    differ = (z > NormalDist().inv_cdf(1 - level / 2)).double().mean().item()
    return {"different_bins": share(differ, len(centers)) if groups else Estimate(differ)}


def centers_of(x: Float64[Tensor, "n d"], bins: int, seed: int) -> Float64[Tensor, "k d"]:
    """Centres by k-means, begun by k-means++; fewer where there are fewer different points.

    Source: Lloyd 1982; Arthur and Vassilvitskii 2007, section 2.2.
    """
    random = torch.Generator().manual_seed(seed)
    chosen = [int(torch.randint(len(x), (1,), generator=random))]
    away = torch.full((len(x),), math.inf, dtype=torch.float64)
    while len(chosen) < bins:
        away = torch.minimum(away, (x - x[chosen[-1]]).square().sum(1))
        if not away.any():
            break
        chosen.append(int(torch.multinomial(away, 1, generator=random)))
    centers, before = x[chosen], torch.empty(0)
    for _ in range(_ROUNDS):
        cell = _cells(x, centers)
        if torch.equal(cell, before):
            break
        counts = torch.bincount(cell, minlength=len(centers)).double()[:, None]
        sums = torch.zeros_like(centers).index_add_(0, cell, x)
        centers, before = torch.where(counts > 0, sums / counts.clamp(min=1), centers), cell
    return centers


def _cells(x: Float64[Tensor, "n d"], centers: Float64[Tensor, "k d"]) -> Int64[Tensor, " n"]:
    """The nearest centre of each point; of equal ones the first."""
    return torch.cat([squared.argmin(1) for _, squared in squared_distances(x, centers)])
