"""How sure a number is: its error by the delete-a-group jackknife, and an interval around it.

Both samples are cut into G groups. A metric is computed once on everything and once without each group g (left out of
real and fake together); these G + 1 numbers are its replicates, replicate 0 the value itself. A bootstrap would not do:
it repeats samples, and repeated samples look like a collapse to every metric here.

Two things make the plain jackknife wrong for distances, and both are put right here:

- Where two laws are nearly equal, a distance is a sum over pairs of samples rather than over samples, and the jackknife
  counts such a part twice. Leaving out two groups at once shows how large that part is.
- A squared distance that came out small by chance also looks sure by chance. So the interval holds every true value
  from which the number at hand is less than t errors away, with the error it would have there, as Wilson's does.

Sources: Kott 2001, "The delete-a-group jackknife", Journal of Official Statistics 17; Efron and Stein 1981, "The
jackknife estimate of variance", section 4; Wilson 1927.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float64, Int
from torch import Tensor

GROUPS = 20
_NORMAL = 1000
"""Degrees of freedom from which on Student's quantile is the normal one, to 0.2 %."""


class Estimate(NamedTuple):
    """A number and how sure it is."""

    value: float
    error: float = math.nan
    """Standard error; NaN where none was asked for or none is known."""
    freedom: int = 0
    """Degrees of freedom of the error; 0 where there is none."""
    slope: float = 0.0
    bend: float = 0.0
    """Were the true value larger by x, the squared error would be error^2 + slope x + bend x^2."""


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


def sums_of_groups(
    values: Float64[Tensor, " n"], cell: Int[Tensor, " n"], cells: int, groups: int
) -> Float64[Tensor, "g k"]:
    """Sums of the values that fall in each cell 0 ... K-1, for each group: (G, K), one row with 0 groups."""
    parts = max(1, groups)
    index = assign(len(values), groups) * cells + cell
    return torch.bincount(index, values, minlength=parts * cells).view(parts, cells)


def of_sums(sums: Float64[Tensor, "g k"], statistic: Callable[[Tensor], Tensor], squared: bool = False) -> Estimate:
    """The jackknife of what depends on sums over the samples only; all pairs of groups are left out.

    Args:
        sums: For each group.
        statistic: From (R, K) sums to (R,) values.
        squared: Whether it is like a squared distance, see `jackknife`.
    """
    total = sums.sum(0)
    without = total - sums
    values = statistic(torch.cat((total[None], without)))
    if len(sums) == 1:
        return Estimate(float(values[0]))
    pairs = statistic((without[:, None] - sums).flatten(0, 1)).view(len(sums), len(sums))
    return jackknife(values, pairs, square=float(values[0]) if squared else 0.0)


def jackknife(
    replicates: Float64[Tensor, " g"], pairs: Float64[Tensor, "h h"] | None = None, square: float = 0.0
) -> Estimate:
    """Replicate 0 with the error that the others show: J = (G-1)/G * sum over g of (v_g - mean)^2. Alone without error.

    Args:
        replicates: (G + 1,): the value, and the value without each group.
        pairs: (G, G), above the diagonal the values v_gh without two groups, NaN where not computed. What they add is
            Q_gh = v_gh - v_g - v_h + v; its variance gives the part of J that pairs of samples cause, counted twice.
        square: Of a squared distance the value with its bias, 0 or more: to it the squared error is proportional.
    """
    value, groups = float(replicates[0]), len(replicates) - 1
    if groups < 2:
        return Estimate(value)
    unit = float(replicates.abs().max()) or 1.0  # squares of tiny and huge values are no numbers
    deleted = replicates[1:] / unit
    plain = variance = (groups - 1) / groups * float((deleted - deleted.mean()).square().sum())
    if pairs is not None and groups > 3:
        g, h = (~pairs.isnan()).triu(1).nonzero(as_tuple=True)
        mixed = pairs[g, h] / unit - deleted[g] - deleted[h] + value / unit
        variance = _of_two_orders(groups, plain, float(mixed.var()))
    return Estimate(value, variance**0.5 * unit, groups - 1, plain / (square / unit) * unit if square > 0 else 0.0)


def _of_two_orders(groups: int, plain: float, mixed: float) -> float:
    """V1 + V2 from J = V1 + a V2 and var Q = b V1 + c V2; J counts pairs at most twice, so at least J/2.

    The factors are those of a mean (V1) and of a sum over pairs (V2) of many samples in G equal groups.
    """
    one, two = (1 - 1 / groups) ** -2, (1 - 2 / groups) ** -2
    a = 2 * groups * (groups - 1.5) / (groups - 1) ** 2
    b = 2 / (groups * (groups - 1) * (groups - 1)) * (1 + 2 / (groups - 2))
    c = 2 / groups**2 * (1 + 2 * (groups - 1.5) * (one - 1) ** 2 + (groups - 2) ** 2 / 2 * (1 - 2 * one + two) ** 2)
    second = max(0.0, (mixed - b * plain) / (c - a * b))
    return max(plain - (a - 1) * second, plain / 2)


def share(value: float, count: int) -> Estimate:
    """A share of `count` independent samples: its interval is Wilson's, of some width even at 0 and 1."""
    return Estimate(value, (value * (1 - value) / count) ** 0.5, _NORMAL, (1 - 2 * value) / count, -1 / count)


def interval(estimate: Estimate, level: float) -> Interval:
    """All true values whose distance x from the estimate is within t errors: x^2 <= t^2 (error^2 + slope x + bend x^2).

    t is Student's quantile. Without an error there are no bounds.
    """
    if not estimate.freedom or math.isnan(estimate.error):
        return Interval(-math.inf, math.inf)
    square = student_quantile((1 + level) / 2, estimate.freedom) ** 2
    whole, middle = 1 - square * estimate.bend, square * estimate.slope / 2
    root = math.hypot(middle, math.sqrt(square * whole) * estimate.error)
    below, above = min(0.0, (middle - root) / whole), max(0.0, (middle + root) / whole)
    return Interval(estimate.value + below, estimate.value + above)


@functools.cache
def student_quantile(probability: float, freedom: int) -> float:
    """The quantile of Student's t, for 1/2 or more. Source: Abramowitz and Stegun 1964, 26.7.3 and 26.7.4."""
    freedom = min(freedom, _NORMAL)
    low, high = 0.0, 1.0
    while _within(high, freedom) < 2 * probability - 1:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < 2 * probability - 1 else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """The probability of -t to t under Student's law."""
    angle = math.atan(t / math.sqrt(freedom))
    term = math.sin(angle) * (math.cos(angle) if freedom % 2 else 1)
    total = 0.0
    for k in range(2 + freedom % 2, freedom + 1, 2):
        total += term
        term *= math.cos(angle) ** 2 * (k - 1) / k
    return 2 / math.pi * (angle + total) if freedom % 2 else total
