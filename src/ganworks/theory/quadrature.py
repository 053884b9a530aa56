"""Two densities at the nodes of a rule that integrates over the line or the plane, in float64.

On a line the rule is a Gauss-Legendre one on every std of every component. In the plane the cells follow the
components: they are halved until none is wider than two stds of the narrowest near it, so a std of 0.02 on a circle of
radius 2 costs what a std of 1 does. Where p = q some integrands have a kink and others bend sharply: on a line the
rule's parts end there, in the plane cells that hold such places are cut until what they could add to an error is small.

Letters: p the data, q the generator; K components, N nodes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganworks.errors import error
from ganworks.theory.densities import Density, Normal, Parts

REACH = 12
"""Standard deviations around each component that are integrated over on a line: 1e-32 of its mass lies outside."""
_REACH = 8.5
"""The same in the plane: 2e-16 of the mass of a component lies outside."""
_NODES = 8
"""Of a Gauss-Legendre rule on one standard deviation: exact to rounding for a normal density."""
_FINER = (8, 6, 4, 4, 3, 3, 2)
"""Nodes along a side of a cell, by how often it has been cut at p = q; the last for all further cuts."""
_WIDEST = 2.0
"""Sides of a cell, in widths of the narrowest component near it."""
_KINK = 1e-8
"""A cell in which p - q changes its sign is cut while its area times the largest |p - q| is above this."""
_CUTS = 14
_ROWS = 1 << 15
"""Points at which a density is evaluated at once."""


@dataclass(frozen=True)
class Rule:
    """Two densities at nodes (N, D), with the share of the line or the plane that each node stands for."""

    nodes: Tensor
    shares: Tensor
    log_p: Tensor
    log_q: Tensor

    @property
    def logit(self) -> Tensor:
        """log p/q at the nodes."""
        return self.log_p - self.log_q

    @property
    def masses(self) -> tuple[Tensor, Tensor]:
        """What each node holds of p and of q."""
        return self.shares * self.log_p.exp(), self.shares * self.log_q.exp()

    def under_both(self, values: Tensor) -> float:
        """∫ (p + q) values."""
        real, fake = self.masses
        return (real + fake).dot(values).item()


def same_dimensions(what: str, p: Density, q: Density) -> None:
    """Refuse densities on spaces of different dimension."""
    if p.dimensions != q.dimensions:
        raise error("E-THEORY-01", what=what, needed="two densities of one dimension", got=[p.dimensions, q.dimensions])


def one_line(p: Density, q: Density) -> tuple[Density, Density]:
    """The same problem on a line, where both are normal with one covariance; otherwise p and q as they are.

    Ratios of p and q are all that the integrals ask for. Two normals of one covariance differ along one direction only,
    where they are N(0, 1) and N(d, 1) with d their Mahalanobis distance.
    """
    if p.dimensions == 1 or (found := shared_covariance(p, q)) is None:
        return p, q
    spread, shift = found
    return Normal(0.0, 1.0), Normal(float(torch.linalg.solve(spread, shift).dot(shift).sqrt()), 1.0)


def shared_covariance(p: Density, q: Density) -> tuple[Tensor, Tensor] | None:
    """The covariance (D, D) that two normals share, and the shift (D,) from p to q; None for any others."""
    first, second = p.parts(), q.parts()
    if first is None or second is None or len(first.weights) > 1 or len(second.weights) > 1:
        return None
    spread, other = first.covariances[0], second.covariances[0]
    scale = spread.diagonal().min().item()
    return (spread, (second.means - first.means)[0]) if torch.allclose(spread, other, atol=1e-8 * scale) else None


def rule(what: str, p: Density, q: Density) -> Rule:
    """A rule for integrals of p and q: of one or two dimensions, or normal with one covariance.

    Raises: UsageError (E-THEORY-01) for any others, and for densities that are no sums of normal ones.
    """
    same_dimensions(what, p, q)
    p, q = one_line(p, q)
    if p.dimensions > 2:
        needed = "one or two dimensions, or two normal densities of one covariance (theory.sampled has no such limit)"
        raise error("E-THEORY-01", what=what, needed=needed, got=f"{p.dimensions} dimensions")
    return (_line if p.dimensions == 1 else _plane)(p, q, [normal_parts(what, density) for density in (p, q)])


def normal_parts(what: str, density: Density) -> Parts:
    """A density as a sum of normal ones. Raises: UsageError (E-THEORY-01) if it is none."""
    if (parts := density.parts()) is None:
        needed = "normal densities or mixtures of them"
        raise error("E-THEORY-01", what=what, needed=needed, got=type(density).__name__)
    return parts


def marks(parts: Parts) -> Tensor:
    """On a line: every std of every component, as far as they reach."""
    stds = parts.covariances[:, :, 0].sqrt()
    return (parts.means + stds * torch.arange(-REACH, REACH + 1)).flatten()


def with_crossings(difference: Callable[[Tensor], Tensor], places: Tensor) -> Tensor:
    """Marks in order, and between them the places where a function changes its sign, found by halving."""
    ends = places.sort().values
    steps = torch.arange(8, dtype=ends.dtype) / 8
    grid = (ends[:-1, None] + ends.diff()[:, None] * steps).flatten()
    above = difference(grid) >= 0
    before = (above[:-1] != above[1:]).nonzero().flatten()
    low, high, side = grid[before], grid[before + 1], above[before]
    for _ in range(60):  # a double has 53 bits
        middle = (low + high) / 2
        left = (difference(middle) >= 0) == side
        low, high = torch.where(left, middle, low), torch.where(left, high, middle)
    return torch.cat([ends, low]).sort().values


def _line(p: Density, q: Density, parts: list[Parts]) -> Rule:
    ends = with_crossings(lambda x: p.log_prob(x) - q.log_prob(x), torch.cat([marks(each) for each in parts]))
    places, shares = _legendre(_NODES)
    half = ends.diff()[:, None] / 2
    nodes = (ends[:-1, None] + half * (places + 1)).flatten()
    return Rule(nodes[:, None], (half * shares).flatten(), p.log_prob(nodes), q.log_prob(nodes))


def _legendre(nodes: int) -> tuple[Tensor, Tensor]:
    """Places in [-1, 1] and shares, which sum to 2."""
    places, shares = np.polynomial.legendre.leggauss(nodes)
    return torch.from_numpy(places), torch.from_numpy(shares)


def _plane(p: Density, q: Density, parts: list[Parts]) -> Rule:
    low, high = _cells(torch.cat([each.means for each in parts]), torch.cat([each.covariances for each in parts]))
    done = []
    for cut in range(_CUTS):
        nodes, shares = _tensor_nodes(low, high, _FINER[min(cut, len(_FINER) - 1)])
        log_p, log_q = (_log_prob(density, nodes.flatten(0, 1)).view(shares.shape) for density in (p, q))
        above = log_p >= log_q
        mixed = above.any(1) & ~above.all(1)
        again = mixed & ((high - low).prod(1) * (log_p.exp() - log_q.exp()).abs().amax(1) > _KINK)
        if cut == _CUTS - 1:
            again = torch.zeros_like(again)
        done.append([values[~again].flatten(0, 1) for values in (nodes, shares, log_p, log_q)])
        if not again.any():
            break
        low, high = _quartered(low[again], high[again])
    return Rule(*(torch.cat(values) for values in zip(*done, strict=True)))


def _log_prob(density: Density, points: Tensor) -> Tensor:
    return torch.cat([density.log_prob(block) for block in torch.split(points, _ROWS)])


def _tensor_nodes(low: Tensor, high: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Nodes (cells, count² + 4, 2) of a tensor rule on cells (cells, 2), and their shares of the area.

    The last four are the corners, with no share: a line p = q may cut off a corner that no other node sees.
    """
    places, shares = _legendre(count)
    corners = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    unit = torch.cat([torch.cartesian_prod(each, each) for each in (places, corners)])
    parts = torch.cat([torch.outer(shares, shares).flatten(), torch.zeros(4, dtype=torch.float64)])
    half = (high - low)[:, None] / 2
    return low[:, None] + half * (unit + 1), half.prod(2) * parts


def _quartered(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    middle = (low + high) / 2
    corners = [torch.stack((a[:, 0], b[:, 1]), 1) for a in (low, middle) for b in (low, middle)]
    starts = torch.cat(corners)
    return starts, starts + (middle - low).repeat(4, 1)


def _cells(means: Tensor, covariances: Tensor) -> tuple[Tensor, Tensor]:
    """Rectangles (cells, 2) that hold all mass, none much wider than the narrowest component near it.

    The width of a component along an axis is its std there with the other coordinate held: 1/√(precision). Every
    side of a cell adds at most its half over that width to a Mahalanobis distance from the centre.
    """
    precisions = torch.linalg.inv(covariances)
    widths = precisions.diagonal(dim1=1, dim2=2).rsqrt()
    spread = covariances.diagonal(dim1=1, dim2=2).sqrt() * _REACH
    low, high = (means - spread).amin(0, keepdim=True), (means + spread).amax(0, keepdim=True)
    done = []
    while len(low):
        blocks = zip(torch.split(low, 512), torch.split(high, 512), strict=True)
        most = torch.cat([_sides(*block, means, precisions, widths) for block in blocks])
        fine, kept = (most <= _WIDEST).all(1), (most > 0).any(1)
        done.append((low[fine & kept], high[fine & kept]))
        low, high, most = low[~fine], high[~fine], most[~fine]
        half = torch.nn.functional.one_hot(most.argmax(1), 2) * (high - low) / 2
        low, high = torch.cat([low, low + half]), torch.cat([high - half, high])
    return torch.cat([each[0] for each in done]), torch.cat([each[1] for each in done])


def _sides(low: Tensor, high: Tensor, means: Tensor, precisions: Tensor, widths: Tensor) -> Tensor:
    """The sides of cells (cells, 2) in widths of the narrowest component that reaches them; 0 where none does."""
    offsets = (low + high)[:, None] / 2 - means
    squares = torch.einsum("cka,kab,ckb->ck", offsets, precisions, offsets)
    sides = (high - low)[:, None] / widths
    near = squares.clamp(min=0).sqrt() <= _REACH + sides.sum(2) / 2
    return torch.where(near[..., None], sides, 0).amax(1)
