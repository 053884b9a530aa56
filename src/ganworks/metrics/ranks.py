"""The Mann-Whitney test: whether the numbers of one sample tend to be smaller than those of another."""

import math

import torch
from jaxtyping import Float64
from torch import Tensor

_EXACT = 8
"""Up to so many numbers in the smaller sample the p-value is counted out, where no two numbers are equal."""


def smaller(a: Float64[Tensor, " n"], b: Float64[Tensor, " m"]) -> float:
    """The chance of numbers in `a` as small, beside those in `b`, if both had one law; from 0 to 1.

    U counts the pairs in which a is the larger, ties by half. Exact for few numbers without ties, otherwise normal with
    tie and continuity correction; 1 where all numbers are equal.

    Source: Mann and Whitney 1947; Lehmann 1975, section 1.4 (ties).
    """
    n, m = len(a), len(b)
    values, inverse, counts = torch.unique(torch.cat((a, b)), return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0) - (counts - 1) / 2).double()[inverse]  # the mean rank of equal numbers
    u = ranks[:n].sum().item() - n * (n + 1) / 2
    if len(values) == n + m and min(n, m) <= _EXACT:
        return _counted(round(u), n, m)
    ties = (counts.double() ** 3 - counts).sum().item()
    variance = n * m / 12 * ((n + m + 1) - ties / ((n + m) * (n + m - 1)))
    if variance <= 0:
        return 1.0
    return math.erfc(-(u + 0.5 - n * m / 2) / math.sqrt(2 * variance)) / 2


def _counted(u: int, n: int, m: int) -> float:
    """P(U <= u) by the number of ways to each U: the Gaussian binomial coefficient, product of (1-q^(m+i))/(1-q^i)."""
    ways = torch.zeros(n * m + 1, dtype=torch.float64)
    ways[0] = 1
    few, many = sorted((n, m))
    for i in range(1, few + 1):
        shift = many + i
        if shift < len(ways):
            ways[shift:] = ways[shift:] - ways[:-shift]
        for start in range(i):  # dividing by 1 - q^i adds up every i-th entry
            ways[start::i] = ways[start::i].cumsum(0)
    return min(1.0, (ways[: u + 1].sum() / math.comb(n + m, few)).item())
