"""The nearest of many rows, in blocks, so that memory does not grow with their product."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

_BLOCK = 1 << 22
"""Distances held at once: 32 MiB."""
_SPARE = 2
"""Candidates more than neighbours: rounding may exchange rows that are almost equally far."""


def squared_distances(
    x: Float64[Tensor, "n d"], others: Float64[Tensor, "m d"]
) -> Iterator[tuple[slice, Float64[Tensor, "_b m"]]]:
    """Squared distances of some rows at a time to all others; centred data make their rounding small."""
    lengths = others.square().sum(1)
    step = max(1, _BLOCK // len(others))
    for start in range(0, len(x), step):
        part = x[start : start + step]
        squares = part.square().sum(1, keepdim=True) + lengths
        yield slice(start, start + len(part)), squares.addmm_(part, others.T, alpha=-2).clamp_(min=0)


def nearest(
    x: Float64[Tensor, "n d"], others: Float64[Tensor, "m d"], k: int
) -> tuple[Float64[Tensor, "n k"], Int64[Tensor, "n k"]]:
    """Distances to the k nearest others and their numbers, nearest first.

    The candidates come from rounded products; their distances are computed anew, so that equal rows are at 0.
    """
    distance, number = torch.empty(len(x), k, dtype=torch.float64), torch.empty(len(x), k, dtype=torch.long)
    for rows, squared in squared_distances(x, others):
        column = squared.topk(min(k + _SPARE, len(others)), largest=False).indices
        exact = torch.stack([(x[rows] - others[each]).square().sum(1) for each in column.T], 1).sqrt()
        distance[rows], place = exact.topk(k, largest=False)
        number[rows] = column.gather(1, place)
    return distance, number


def distinct(points: Float64[Tensor, "n d"]) -> tuple[Int64[Tensor, " k"], Int64[Tensor, " k"]]:
    """The number of the first row of each kind, in order, and how many rows are like it."""
    values = np.ascontiguousarray(points.numpy() + 0.0)  # -0 is 0
    _, first, counts = np.unique(values.view(f"V{values.strides[0]}")[:, 0], return_index=True, return_counts=True)
    order = np.argsort(first)
    return torch.from_numpy(first[order]), torch.from_numpy(counts[order])


def same_scale(*sets: Float64[Tensor, "_n d"]) -> tuple[float, list[Tensor]]:
    """A unit that the largest number has the size of, a power of two, and the sets in it about the centre of the first.

    Squares of far values would overflow, and those of a far centre lose their digits.
    """
    unit = 2.0 ** (math.frexp(max(points.abs().max().item() for points in sets))[1] - 1)
    center = (sets[0] / unit).mean(0)
    return unit, [points / unit - center for points in sets]
