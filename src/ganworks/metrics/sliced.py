"""The sliced Wasserstein distance: optimal transport along many random lines, where it is exact and cheap.

Shapes: L lines at once, N and M samples; what is sorted has one line a row.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from ganworks.metrics.inputs import Samples, pair, unfit
from ganworks.metrics.interval import Estimate
from ganworks.metrics.nearest import same_scale

DIRECTIONS = 1_000
_BLOCK = 1 << 21
"""Projections held at once: 16 MiB."""
_WAYS = 3
"""How often the samples are cut into quarters for the error."""


def sliced_wasserstein(real: Samples, fake: Samples, directions: int = DIRECTIONS, seed: int = 0) -> float:
    """The root of the mean, over random directions, of the squared Wasserstein-2 distance along them.

    A shift by v gives |v|/sqrt(D) in expectation. Different numbers of samples are exact too: each is spread over its
    share of the quantiles. It is biased upwards by the number of samples, for equal laws by about 1/sqrt(N).

    Args:
        real, fake: (N, D) and (M, D), at least one sample each.
        directions, seed: How many lines, and which: see `lines`.
    Raises: UsageError E-METRIC-01 (shapes, too few) or E-METRIC-02 (not finite).
    Source: Rabin et al. 2012; Bonneel et al. 2015, section 2.
    """
    return estimates(real, fake, directions=directions, seed=seed)["sliced_wasserstein"].value


def lines(count: int, dimensions: int, seed: int = 0) -> Float64[Tensor, "count d"]:
    """Unit vectors, uniform on the sphere: rows of standard normal numbers over their length."""
    drawn = torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return drawn / torch.linalg.vector_norm(drawn, dim=1, keepdim=True)


def estimates(
    real: Samples, fake: Samples, groups: int = 0, directions: int = DIRECTIONS, seed: int = 0
) -> dict[str, Estimate]:
    """The distance, and what other samples would change in it along the same lines.

    What one sample more of a place would add to the square is known, and the spread of that over the samples gives the
    variance A + 2B, where A falls as 1/n (the laws differ) and B as 1/n^2 (they are equal) and should count once.
    Disjoint quarters of the samples have the variance 4A + 16B, which tells them apart.
    """
    x, y = pair("sliced_wasserstein", real, fake, least=1)
    if directions < 1:
        raise unfit("sliced_wasserstein", "at least one direction", directions)
    unit, (x, y) = same_scale(x, y)
    across = lines(directions, x.shape[1], seed)
    asked = groups > 0 and min(len(x), len(y)) >= 8  # two a quarter
    cuts = [[_quarters(len(each), way) for each in (x, y)] for way in range(_WAYS if asked else 0)]
    total, quarters = 0.0, torch.zeros(len(cuts), 4, dtype=torch.float64)
    added = [torch.zeros(len(each), dtype=torch.float64) for each in (x, y)]
    for block in torch.split(across, max(1, _BLOCK // (len(x) + len(y)))):
        along = [block @ each.T for each in (x, y)]
        (a, a_order), (b, b_order) = (each.sort(1) for each in along)
        plan = _Plan.of(len(x), len(y))
        total += plan.squared(a, b).sum().item()
        if asked:
            added[0] += _potential(a, plan.b_of_a(b), a_order)
            added[1] += _potential(b, plan.a_of_b(a), b_order)
        for way, cut in enumerate(cuts):
            for quarter in range(4):
                first, second = (each[:, q[quarter]].sort(1).values for each, q in zip(along, cut, strict=True))
                quarters[way, quarter] += _Plan.of(first.shape[1], second.shape[1]).squared(first, second).sum()
    value = (total / directions) ** 0.5
    if not asked or total == 0:
        return {"sliced_wasserstein": Estimate(unit * value)}
    # From variances of the square to those of the root: its derivative is 1/(2 root).
    plain = sum((each / directions).var().item() / len(each) for each in added) / (4 * value**2)
    apart = (quarters / directions).var(1).mean().item() / (4 * value**2)
    variance = max(plain / 2, min(1.5 * plain - apart / 8, plain))
    # Where the laws differ by more than they seem to, B is the smaller part and does not halve the variance.
    slope = (plain - variance) / value
    freedom = min(len(x), len(y)) - 1
    return {"sliced_wasserstein": Estimate(unit * value, unit * variance**0.5, freedom, unit * slope)}


class _Plan(NamedTuple):
    """How the mass of N sorted values goes to M: both quantile functions are constant between the merged steps."""

    widths: Float64[Tensor, " s"]
    a: Int64[Tensor, " s"]
    b: Int64[Tensor, " s"]
    """The values that each step takes from and brings to."""

    @classmethod
    def of(cls, n: int, m: int) -> "_Plan":
        """Steps i/n and j/m, counted in units of 1/(n m)."""
        steps = torch.unique(torch.cat((torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n)))
        widths = steps.diff(prepend=torch.zeros(1, dtype=torch.long)).double() / (n * m)
        return cls(widths, (steps - 1) // m, (steps - 1) // n)

    def squared(self, a: Float64[Tensor, "l n"], b: Float64[Tensor, "l m"]) -> Float64[Tensor, " l"]:
        """The squared Wasserstein-2 distance of each line."""
        if a.shape[1] == b.shape[1]:
            return (a - b).square().mean(1)
        return (a[:, self.a] - b[:, self.b]).square() @ self.widths

    def b_of_a(self, b: Float64[Tensor, "l m"]) -> Float64[Tensor, "l n"]:
        """Where each value of a goes, on average."""
        return _gathered(b[:, self.b] * self.widths, self.a)

    def a_of_b(self, a: Float64[Tensor, "l n"]) -> Float64[Tensor, "l m"]:
        """Where each value of b comes from, on average."""
        return _gathered(a[:, self.a] * self.widths, self.b)


def _gathered(mass: Float64[Tensor, "l s"], to: Int64[Tensor, " s"]) -> Float64[Tensor, "l n"]:
    count = int(to[-1]) + 1
    return torch.zeros(len(mass), count, dtype=torch.float64).index_add_(1, to, mass) * count


def _potential(
    ordered: Float64[Tensor, "l n"], partner: Float64[Tensor, "l n"], order: Int64[Tensor, "l n"]
) -> Float64[Tensor, " n"]:
    """What a little more mass at each sample adds to the squared distances: the integral of 2 (x - partner), summed.

    Source: Santambrogio 2015, Optimal Transport for Applied Mathematicians, proposition 7.17.
    """
    slope = ordered - partner
    rise = (slope[:, 1:] + slope[:, :-1]) * ordered.diff(dim=1)
    potential = torch.zeros_like(ordered)
    potential[:, 1:] = rise.cumsum(1)
    return torch.zeros_like(ordered).scatter_(1, order, potential).sum(0)


def _quarters(count: int, way: int) -> list[Tensor]:
    """The numbers of the samples in each quarter, drawn anew in each way."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(way))
    return [order[quarter::4] for quarter in range(4)]
