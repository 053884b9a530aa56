"""The birthday test: how many different samples a generator has, from how often two of them coincide."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from ganworks.metrics.inputs import Samples, pair, rows, unfit
from ganworks.metrics.interval import Estimate, interval
from ganworks.metrics.nearest import distinct, same_scale, squared_distances

PAIRS = 16
_AMONG_REAL = 20
"""Pairs of real samples within the usual threshold: with so many it is known to a quarter."""

_ROUNDING = 1e-12
"""Of squared distances, in the unit of the largest number."""
_PART = 1 << 14


class TwinPair(NamedTuple):
    """Two samples, by their numbers, and how far they are apart."""

    first: int
    second: int
    distance: float


class Support(NamedTuple):
    """How many equally likely samples would coincide as often; `high` is inf where none do."""

    support: float
    low: float
    high: float
    pairs: tuple[TwinPair, ...]


def birthday_support(
    fake: Samples, real: Samples | None = None, threshold: float | None = None, level: float = 0.95
) -> Support:
    """The number of pairs of samples over that of near-duplicate ones.

    Of K equally likely values a pair coincides with probability 1/K, so this is K; of a law in general it is one over
    the sum of the squared probabilities. A batch of s = 1.18 sqrt(K) samples holds a near-duplicate with probability
    1/2, which is the test by the eye: s = 37 speaks for a thousand. All pairs are counted here, for many such batches
    lie in the samples. Where none coincides, `support` is the K for which that has the probability 1/2, and `low` says
    what is certain.

    Args:
        fake: (N, D), at least 2.
        real: (M, D), at least 2, for the usual threshold, within which lie 20 pairs of as many real samples. So samples
            as diverse as the data have about the support N^2/40: the most that N samples can tell.
        threshold: The distance up to which two samples are near-duplicates, 0 for equal ones; it needs no `real`.
        level: Of the interval.
    Raises: UsageError E-METRIC-01 (shapes, too few, neither threshold nor real) or E-METRIC-02 (not finite).
    Source: Arora, Risteski and Zhang 2018, section 2 and theorem 1.
    """
    found, pairs, twins = _estimate(fake, real, threshold)
    low, high = interval(found, level)
    if math.isinf(high):
        low = pairs / -math.log((1 - level) / 2)
    return Support(found.value, max(low, 1.0), high, twins)


def estimates(
    real: Samples | None, fake: Samples, groups: int = 0, threshold: float | None = None
) -> dict[str, Estimate]:
    """The support. Its error is that of a count, so it needs no groups; without a near-duplicate there is none."""
    return {"birthday_support": _estimate(fake, real, threshold)[0]}


def _estimate(
    fake: Samples, real: Samples | None, threshold: float | None
) -> tuple[Estimate, float, tuple[TwinPair, ...]]:
    """The support, the number of pairs, and the closest of them.

    Of a true support K the count is about P/K with the variance f P/K, where f is 1 if all values are equally likely.
    So an estimate S = P/count lies within t errors of K where (K - S)^2 <= t^2 f S^2/P K. A threshold from real samples
    adds f/20 to the relative variance, more where they are few.
    """
    name = "birthday_support"
    if threshold is None and real is None:
        raise unfit(name, "a threshold, or real samples to take it from", "neither")
    if threshold is not None and not (math.isfinite(threshold) and threshold >= 0):
        raise unfit(name, "a finite threshold of at least 0", threshold)
    made = rows(name, "fake", fake)
    pairs, known = len(made) * (len(made) - 1) / 2, 0.0
    if threshold is None:
        assert real is not None
        other, made = pair(name, real, fake)
        other = other[torch.randperm(len(other), generator=torch.Generator().manual_seed(0))[: len(made)]]
        among = len(other) * (len(other) - 1) / 2
        rank = math.ceil(_AMONG_REAL * among / pairs)  # of fewer real samples, as many pairs fewer
        threshold, known = _closest(other, rank)[-1].distance, 1 / rank
    twins = tuple(_closest(made, PAIRS))
    partners = _partners(made, threshold)
    count = partners.sum().item() / 2
    if count == 0:
        return Estimate(pairs / math.log(2)), pairs, twins
    # Pairs that share a sample make the variance larger where some values are likelier than others.
    factor = max(1.0, len(made) * partners.var().item() / count - 1)
    support = pairs / count
    error = support**2 * factor * (1 / count + known)
    return Estimate(support, error**0.5, len(made) - 1, support * factor * (1 / count + 2 * known)), pairs, twins


def _closest(points: Float64[Tensor, "n d"], count: int) -> list[TwinPair]:
    """The pairs of samples that are nearest to each other, nearest first."""
    unit, (centred,) = same_scale(points)
    points = points / unit  # as exact as they are given
    count = min(count, len(points) * (len(points) - 1) // 2)
    best, number = torch.full((0,), math.inf, dtype=torch.float64), torch.empty(0, dtype=torch.long)
    for some, squared in squared_distances(centred, centred):
        squared.masked_fill_(torch.ones_like(squared, dtype=torch.bool).tril(some.start), math.inf)
        near, place = squared.flatten().topk(min(2 * count, squared.numel()), largest=False)
        best, number = torch.cat((best, near)), torch.cat((number, place + some.start * len(points)))
        best, order = best.topk(min(2 * count, len(best)), largest=False)
        number = number[order]
    number = number[best < math.inf].sort().values
    first, second = number // len(points), number % len(points)
    exact = unit * torch.linalg.vector_norm(points[first] - points[second], dim=1)
    order = exact.argsort(stable=True)[:count]
    return [TwinPair(int(first[i]), int(second[i]), exact[i].item()) for i in order]


def _partners(points: Float64[Tensor, "n d"], threshold: float) -> Float64[Tensor, " n"]:
    """How many other samples lie within the threshold of each: (N,), equal samples together."""
    unit, (centred,) = same_scale(points)
    first, counts = distinct(points)
    points, centred, weights, reach = points[first] / unit, centred[first], counts.double(), threshold / unit
    found = weights - 1
    if threshold > 0:
        for some, squared in squared_distances(centred, centred):
            within = squared <= reach * reach
            # What lies on the edge as far as rounding can tell is measured anew.
            i, j = ((squared - reach * reach).abs() <= _ROUNDING * max(1.0, reach)).nonzero(as_tuple=True)
            for a, b in zip(torch.split(i, _PART), torch.split(j, _PART), strict=True):
                within[a, b] = torch.linalg.vector_norm(points[some][a] - points[b], dim=1) <= reach
            within.diagonal(some.start).fill_(False)
            found[some] += within.double() @ weights
    return found.repeat_interleave(counts)
