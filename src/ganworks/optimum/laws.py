"""Densities at many points at once: a known one, and one of which there are only samples, both through one blur.

A kernel density of samples is what samples look like through a blur: their law with normal noise of std h. Beside the
density of the data as it is, even perfect samples would look too wide; beside the data through the same blur they do
not. So both are blurred, and only chance is left between equal laws.

Shapes: N points, D coordinates, K normal parts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ganworks.theory.densities import Density, Parts

_TILE = 128
"""Points that are looked at together; 64 and 256 took longer (2026-11-26)."""
_REACH = 6.0
"""Standard deviations after which a normal part counts as nothing: 2e-8 of its peak."""


@dataclass(frozen=True)
class Law:
    """A weighted sum of normal densities, of any number of them."""

    parts: Parts

    @cached_property
    def _standard(self) -> "_Standard":
        return _Standard.of(self.parts)

    def log_prob(self, points: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """The logarithm of the density, in float64, to 1e-5; -inf where it is below 1e-8 of any part's peak.

        Points are taken in tiles of neighbours, and for each tile the parts that reach it.
        """
        parts = self._standard
        points = parts.scaled(points.double())
        found = points.new_full((len(points),), -torch.inf)
        for rows in _tiles(points, torch.arange(len(points))):
            own = points[rows]
            low, high = own.amin(0) - parts.reach, own.amax(0) + parts.reach
            near = ((parts.means >= low) & (parts.means <= high)).all(1).nonzero()[:, 0]
            if not len(near):
                continue
            middle = own.mean(0)
            # Only differences are in single precision: they keep their digits wherever the points are.
            offsets = (own - middle).float()[:, None], (parts.means[near] - middle).float()
            exponent = parts.squares(*offsets, near).mul_(-0.5).add_((parts.heights[near] - parts.highest).float())
            found[rows] = exponent.exp_().sum(1).double().log()
        return found + parts.highest


_LOG_TURN = 1.8378770664093453
"""log 2π."""


@dataclass(frozen=True)
class _Standard:
    """Normal parts in coordinates in which the first has the covariance I, and with it most often all of them.

    Attributes:
        factor: (D, D), from these coordinates to the given ones.
        precisions: (K, D, D) in float32; None where all are I.
        heights: Logarithms of weight over volume, in given coordinates, (K,).
        reach: How far each part counts, (K, D) or a number.
    """

    factor: Tensor
    means: Tensor
    precisions: Tensor | None
    heights: Tensor
    reach: Tensor

    @property
    def highest(self) -> Tensor:
        return self.heights.max()

    @classmethod
    def of(cls, parts: Parts) -> "_Standard":
        weights, means, covariances = parts
        same = bool((covariances == covariances[0]).all())
        factors = torch.linalg.cholesky(covariances[:1] if same else covariances)
        volumes = factors.diagonal(dim1=1, dim2=2).log().sum(1) + 0.5 * means.shape[1] * _LOG_TURN
        first = factors[0]
        precisions, reach = None, torch.tensor(_REACH, dtype=torch.float64)
        if not same:
            precisions = (first.T @ torch.cholesky_inverse(factors) @ first).float()
            half = torch.linalg.solve_triangular(first, factors, upper=False)
            reach = _REACH * half.square().sum(2).sqrt()
        return cls(first, _solved(first, means), precisions, weights.log() - volumes, reach)

    def scaled(self, points: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Points in these coordinates."""
        return _solved(self.factor, points)

    def squares(
        self, points: Float[Tensor, "n 1 d"], means: Float[Tensor, "k d"], near: Int64[Tensor, " k"]
    ) -> Float[Tensor, "n k"]:
        """oᵀPo of all offsets o of points from the means of some parts."""
        columns = [points[..., axis] - means[:, axis] for axis in range(means.shape[1])]
        if self.precisions is None:
            total = columns[0].square_()
            for column in columns[1:]:
                total += column.square_()
            return total
        precision = self.precisions[near]
        total = columns[0].square() * precision[:, 0, 0]
        for row in range(1, len(columns)):
            total += columns[row].square() * precision[:, row, row]
            for before in range(row):
                total += 2 * columns[row] * columns[before] * precision[:, row, before]
        return total


def _solved(factor: Float[Tensor, "d d"], points: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    solved: Tensor = torch.linalg.solve_triangular(factor, points.T, upper=False)
    return solved.T.contiguous()


def _tiles(points: Float[Tensor, "n d"], rows: Int64[Tensor, " m"]) -> Iterator[Int64[Tensor, " k"]]:
    """Rows in groups of neighbours: halved along their longer side until they are few."""
    if len(rows) <= _TILE:
        if len(rows):
            yield rows
        return
    own = points[rows]
    axis = int((own.amax(0) - own.amin(0)).argmax())
    order = rows[own[:, axis].argsort(stable=True)]
    for half in (order[: len(order) // 2], order[len(order) // 2 :]):
        yield from _tiles(points, half)


def kernels(samples: Float[Tensor, "n d"], blur: float) -> Law:
    """The law of samples through a blur: a normal kernel of std `blur` at each. They are finite."""
    count, dimensions = samples.shape
    means = samples.double()
    covariance = (blur**2 * torch.eye(dimensions, dtype=torch.float64)).expand(count, dimensions, dimensions)
    return Law(Parts(means.new_full((count,), 1 / count), means, covariance))


def blurred(density: Density, blur: float) -> Law | Density:
    """A known density through a blur; as it is where it is no sum of normal ones, whose blur is known."""
    parts = density.parts()
    if parts is None:
        return density
    noise = blur**2 * torch.eye(density.dimensions, dtype=torch.float64)
    return Law(Parts(parts.weights, parts.means, parts.covariances + noise))


def narrowest(density: Density, samples: Float[Tensor, "n d"]) -> float:
    """The standard deviation of its narrowest part, in its narrowest direction.

    Where it has no parts, the std of a normal density with the same mean squared slope of log p, which is 1/std² in
    each coordinate.
    """
    parts = density.parts()
    if parts is not None:
        return float(torch.linalg.eigvalsh(parts.covariances).min().sqrt())
    x = samples.double().requires_grad_()
    (slope,) = torch.autograd.grad(density.log_prob(x).sum(), x)
    return float(slope.square().mean().rsqrt())
