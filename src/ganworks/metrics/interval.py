"""Intervals by the delete-a-group jackknife.

Both samples are cut into G groups. A metric is computed once on everything and once without each group g (left out of
real and fake together); these G + 1 numbers are its replicates, replicate 0 the value itself. A bootstrap would not do:
it repeats samples, and repeated samples look like a collapse to every metric here. Where a metric counts neighbours,
leaving samples out also widens every ball, and the intervals are about 1.5 times as wide as repetition would show
(measured: 150 repetitions, 400 samples, 4 dimensions); for distances and shares of points they are right.

Source: Kott 2001, "The delete-a-group jackknife", Journal of Official Statistics 17.
"""

from collections.abc import Callable
from statistics import NormalDist
from typing import NamedTuple

import torch
from jaxtyping import Float64, Int
from torch import Tensor

GROUPS = 20


class Interval(NamedTuple):
    """Where the value would lie had other samples been drawn; the bias of the metric is not in it."""

    low: float
    high: float


def assign(count: int, groups: int = GROUPS) -> Int[Tensor, " n"]:
    """The group of each of `count` samples: group sizes differ by one at most. With 0 groups all are in group 0.

    The order of the samples may mean something (sorted by class), so the groups are drawn, always in the same way.
    """
    order = torch.randperm(count, generator=torch.Generator().manual_seed(count))
    return order % max(1, groups)


def sums_without_each(
    values: Float64[Tensor, " n"], cell: Int[Tensor, " n"], cells: int, groups: int
) -> Float64[Tensor, "r k"]:
    """Sums of the values that fall in each cell 0 ... K-1, over all samples and without each group: (G + 1, K)."""
    parts = max(1, groups)
    each = torch.bincount(assign(len(values), groups) * cells + cell, values, minlength=parts * cells)
    each = each.view(parts, cells)
    total = each.sum(0, keepdim=True)
    return torch.cat((total, total - each))[: groups + 1]


def recomputed(
    statistic: Callable[[Tensor, Tensor], float], real: Tensor, fake: Tensor, groups: int
) -> Float64[Tensor, " g"]:
    """The replicates of any metric, each computed anew: (G + 1,)."""
    real_group, fake_group = assign(len(real), groups), assign(len(fake), groups)
    values = [statistic(real, fake)]
    values += [statistic(real[real_group != g], fake[fake_group != g]) for g in range(groups)]
    return torch.tensor(values, dtype=torch.float64)


def interval(replicates: Float64[Tensor, " g"], level: float) -> Interval:
    """The interval around replicate 0 that the spread of the others gives.

    Variance (G-1)/G * sum over g of (v_g - mean v)^2, and Student's t with G - 1 degrees of freedom.
    """
    value, deleted = replicates[0], replicates[1:]
    groups = len(deleted)
    variance = (groups - 1) / groups * (deleted - deleted.mean()).square().sum()
    half = student_quantile((1 + level) / 2, groups - 1) * variance.sqrt()
    return Interval(float(value - half), float(value + half))


def student_quantile(probability: float, freedom: int) -> float:
    """The quantile of Student's t, to 0.1 % from 5 degrees of freedom. Source: Abramowitz and Stegun 1964, 26.7.5."""
    z = NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return float(z + sum(term / freedom**power for power, term in enumerate(terms, 1)))
