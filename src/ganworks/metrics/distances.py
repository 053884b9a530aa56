"""Who is nearer than whom, answered as in float64 but mostly computed in float32.

Squared distances |x|^2 + |y|^2 - 2 x . y come from matrix products, in blocks that are never kept. Each level of
precision has a bound on its error, and only what the bound leaves open is decided at the next: products in float32,
products in float64, sums of (x - y)^2 in float64.

The bound, with u the unit roundoff (2^-24 or 2^-53), |x| the distance to the centre and M = (|x| + |y|)^2:
    rounding of the coordinates about the centre      |(x' - y') - (x - y)| <= u (|x| + |y|), so 2 u M
    rounding of the squares and of their sum          2 u M; in float64, where they are summed too, D u M more
    products, in chunks of b coordinates              gamma_b * 2 |x||y| <= b u M / 2   (in any order of summation)
    adding c chunks to the squares                    c u M
    rounding of what the distance is compared with    u M
    numbers below the smallest normal one             a few D * 2^-126 in float32, D * 2^-1022 in float64
Source: Higham 2002, "Accuracy and Stability of Numerical Algorithms", section 3.1.

A comparison with r is in doubt only within slack(r) = (b/2 + c + ...) u (2 |x| + sqrt(r))^2 of r, whatever y is. For a
point y within sqrt(r) of x has |y| <= |x| + sqrt(r), so it comes out below r + slack(r). One at s >= r comes out above
s - slack(s), which grows with s wherever slack(s) <= s, so above r - slack(r).

Shapes: N and M samples, D numbers each, T candidates.
"""

import math
from enum import IntEnum

import torch
from jaxtyping import Float64
from torch import Tensor

_BLOCK = 1024
"""Rows and columns at once: their distances fit a processor's cache."""
_ROWS = 64
"""Rows converted at once, likewise."""
_CHUNK = 256
"""Coordinates in one float32 product: fewer make the bound tighter, and below this the product slower."""
_SPARE = 5
"""Candidates kept beyond the k nearest: as many may lie in doubt without a second search."""
_DIRECT = 16
"""Up to this many numbers a sample, products are no faster than sums of squares."""
_USUAL = 20
"""Exponents up to this are left alone."""
_ENOUGH = 1e-10
"""A radius known to this is known: a tenth of what counts as on the edge of a ball."""
_PAIRS = 1 << 16
"""Numbers gathered at once for single pairs, so that they stay in the nearest cache."""


class Level(IntEnum):
    """How distances are computed."""

    SINGLE = 0
    DOUBLE = 1
    DIRECT = 2


def first_level(dimensions: int) -> Level:
    """Where to begin. Products in float32 are no use where somebody has allowed torch to make them in bfloat16."""
    if dimensions <= _DIRECT:
        return Level.DIRECT
    probe = torch.full((64, 64), 1 + 2.0**-12)  # bfloat16 and TF32 take it for 1
    return Level.SINGLE if float((probe @ probe.T)[0, 0]) > 64 else Level.DOUBLE


class Points:
    """One sample, its float32 copy about a centre, and distances to others at any level.

    Args:
        points: (N, D), float32 or float64, the largest of them not far from 1 (`same_scale`).
        center: (D,). Distances do not depend on it, but their bounds do.
    """

    def __init__(self, points: Tensor, center: Float64[Tensor, " d"]) -> None:
        self.points, self.center = points, center
        self.single = torch.empty(points.shape, dtype=torch.float32)
        self.squares = torch.empty(len(points), dtype=torch.float64)
        for rows in blocks(len(points), _ROWS):
            self.single[rows] = self._about_center(rows)
            rounded = self.single[rows].double()
            self.squares[rows] = torch.linalg.vecdot(rounded, rounded)

    def __len__(self) -> int:
        return len(self.points)

    def _about_center(self, rows: Tensor | slice) -> Tensor:
        return self.points[rows].double() - self.center

    def squared(self, rows: Tensor | slice, others: "Points", columns: slice, level: Level) -> Tensor:
        """(n, m) squared distances, float32 at the first level."""
        if level == Level.DIRECT:
            exact = self.points[rows].double(), others.points[columns].double()
            return torch.cdist(*exact, compute_mode="donot_use_mm_for_euclid_dist").square_()
        if level == Level.SINGLE:
            x, y = self.single[rows], others.single[columns]
            x_squares, y_squares = self.squares[rows].float(), others.squares[columns].float()
        else:
            x, y = self._about_center(rows), others._about_center(columns)
            x_squares, y_squares = x.square().sum(1), y.square().sum(1)
        result = x_squares[:, None] + y_squares
        step = _CHUNK if level == Level.SINGLE else x.shape[1]
        for start in range(0, x.shape[1], step):
            result.addmm_(x[:, start : start + step], y[:, start : start + step].T, alpha=-2)
        return result

    def between(self, rows: Tensor, others: "Points", columns: Tensor) -> Tensor:
        """(n,) squared distances of single pairs, as exact as float64 is."""
        step = max(1, _PAIRS // self.points.shape[1])
        result = torch.empty(len(rows), dtype=torch.float64)
        for some in blocks(len(rows), step):
            difference = self.points.index_select(0, rows[some]).double()
            difference.sub_(others.points.index_select(0, columns[some]))
            torch.linalg.vecdot(difference, difference, out=result[some])
        return result

    def error(self, lengths: Tensor, level: Level) -> Tensor:
        """How far a squared distance may be off, where |x| + |y| is `lengths`."""
        if level == Level.DIRECT:
            return torch.zeros_like(lengths)
        width = self.points.shape[1]
        if level == Level.SINGLE:
            chunk = min(width, _CHUNK)
            factor, smallest = 2.0**-24 * (chunk / 2 + -(-width // chunk) + 6), 2.0**-120
        else:
            factor, smallest = 2.0**-53 * (width / 2 + width + 7), 2.0**-1010
        return 1.01 * factor * lengths.square() + width * smallest

    def slack(self, rows: Tensor | slice, reach: Tensor, level: Level) -> Tensor:
        """(n,) how far from `reach`, the square of a radius, a squared distance must be to be sure on its side."""
        return self.error(2 * self.squares[rows].sqrt() + reach.sqrt(), level)


def same_scale(*sets: Tensor) -> list[Tensor]:
    """The sets, multiplied by a power of two where their squares could overflow or vanish in float32."""
    largest = max(abs(float(edge)) for points in sets for edge in points.aminmax())
    exponent = max(-1000, min(1000, math.frexp(largest)[1]))
    return list(sets) if abs(exponent) <= _USUAL else [points.double() * 2.0**-exponent for points in sets]


def center(points: Tensor) -> Float64[Tensor, " d"]:
    """The mean, without a float64 copy of the sample."""
    return torch.stack([points[rows].double().sum(0) for rows in blocks(len(points), _ROWS)]).sum(0) / len(points)


def blocks(count: int, step: int | None = None) -> list[slice]:
    """Rows to treat at once."""
    step = step or _BLOCK
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def nearest(points: Points, ks: set[int]) -> dict[int, Float64[Tensor, " n"]]:
    """The squared distance of each point to its k-th neighbour in its own set, itself not counted, for each k."""
    if not ks:
        return {}
    radii = torch.empty(len(ks), len(points), dtype=torch.float64)
    left = torch.arange(len(points))
    for level in range(first_level(points.points.shape[1]), len(Level)):
        candidates = _candidates(points, left, max(ks) + _SPARE, Level(level))
        found = [_kth(points, left, *candidates, k, Level(level)) for k in ks]
        radii[:, left] = torch.stack([radius for radius, _ in found])
        left = left[~torch.stack([sure for _, sure in found]).all(0)]
        if not len(left):
            break
    return dict(zip(ks, radii, strict=True))


def _candidates(points: Points, rows: Tensor, count: int, level: Level) -> tuple[Tensor, Tensor]:
    """The nearest other points of some rows, as far as a level can tell: squared distances and numbers, (n, T)."""
    count, everyone = min(count, len(points) - 1), len(rows) == len(points)
    dtype = torch.float32 if level == Level.SINGLE else torch.float64
    best = torch.full((len(rows), count), torch.inf, dtype=dtype)
    index = torch.zeros(len(rows), count, dtype=torch.long)

    def merge(which: slice, squared: Tensor, offset: int) -> None:
        near, place = squared.topk(min(count, squared.shape[1]), largest=False)
        near, place = torch.cat((best[which], near), 1), torch.cat((index[which], place + offset), 1)
        best[which], order = near.topk(count, largest=False)
        index[which] = place.gather(1, order)

    for first in blocks(len(rows)):
        for second in blocks(len(points)):
            if everyone and second.start < first.start:
                continue  # the distances are symmetric: this block has been seen from the other side
            squared = points.squared(rows[first], points, second, level)
            own = rows[first] - second.start
            inside = (own >= 0) & (own < squared.shape[1])
            squared[inside.nonzero()[:, 0], own[inside]] = torch.inf  # a point is not its own neighbour
            merge(first, squared, second.start)
            if everyone and second.start > first.start:
                merge(second, squared.T.contiguous(), first.start)
    return best, index


def _kth(points: Points, rows: Tensor, near: Tensor, index: Tensor, k: int, level: Level) -> tuple[Tensor, Tensor]:
    """The squared distance of some rows to their k-th neighbour, and whether it is sure, from their candidates."""
    roughly = near[:, k - 1].double()
    if level == Level.DIRECT:
        return roughly, torch.ones(len(rows), dtype=torch.bool)
    off = points.error(points.squares[rows, None].sqrt() + points.squares[index].sqrt(), level)
    low, high = near - off, near + off
    least, most = low.topk(k, largest=False).values[:, -1], high.topk(k, largest=False).values[:, -1]
    exact = torch.full_like(low, torch.inf).masked_fill_(high < least[:, None], -1.0)
    i, j = ((high >= least[:, None]) & (low <= most[:, None])).nonzero(as_tuple=True)
    exact[i, j] = points.between(rows[i], points, index[i, j])
    radius = exact.topk(k, largest=False).values[:, -1]
    slack = points.slack(rows, most, level)
    complete = (near[:, -1] > most + slack) | (near.shape[1] == len(points) - 1) | (radius == 0)
    # Where many are equally far the order is never sure, but the distance is.
    enough = slack <= _ENOUGH * roughly
    return torch.where(complete, radius, roughly), complete | enough
