"""Whether the ratio of two mixtures of normal densities is bounded, and by how much.

Far out the widest component decides, and of equally wide ones that which lies farthest that way. So p/q is bounded if
and only if q bounds every component of p: by a wider one of its own; by several of the same covariance whose hull holds
its mean; or, in the plane, by a wider one in every direction.
"""

import math

import torch
from torch import Tensor

from ganworks.errors import error
from ganworks.theory.densities import Density, Parts
from ganworks.theory.quadrature import Rule, normal_parts

_EQUAL = 1e-9
"""Relative differences below this are rounding."""
_DIRECTIONS = 3600


def log_largest_ratio(p: Density, q: Density, found: Rule) -> float:
    """log sup p/q, of densities on a line or in the plane; inf where it is unbounded.

    Args:
        found: A rule for both, from whose best node the search starts.
    Raises: UsageError (E-THEORY-01) if it cannot be told whether the ratio is bounded.
    """
    first, second = (normal_parts("relativistic_average", density) for density in (p, q))
    if not _bounded(first, second):
        return math.inf
    step = torch.cat([first.covariances, second.covariances]).diagonal(dim1=1, dim2=2).min().sqrt().item() / 4
    return max(_climbed(p, q, found.nodes[found.logit.argmax()], step), *_limits(first, second))


def _bounded(p: Parts, q: Parts) -> bool:
    groups, rows = torch.unique(p.covariances, dim=0, return_inverse=True)
    return all(_dominated(covariance, p.means[rows == index], q) for index, covariance in enumerate(groups))


def _dominated(covariance: Tensor, means: Tensor, q: Parts) -> bool:
    """Whether q bounds components of one covariance (D, D) and some means (M, D).

    The logarithm of one of q over one of them is ½ xᵀEx + hᵀx + a constant, E the difference of the precisions: bounded
    from below if E has no negative eigenvalue, and h no part along an eigenvector of 0.
    """
    precision = torch.linalg.inv(covariance)
    covariances, columns = torch.unique(q.covariances, dim=0, return_inverse=True)
    precisions = torch.linalg.inv(covariances)
    excess = precision - precisions
    edge = _EQUAL * torch.linalg.matrix_norm(precision, 2).item()
    values, vectors = torch.linalg.eigh(excess)
    pulls = torch.einsum("kab,kb->ka", precisions[columns], q.means) - (means @ precision)[:, None]
    along = torch.einsum("mka,kab->mkb", pulls, vectors[columns]).abs()
    free = (values.abs() > edge)[columns] | (along <= edge * covariance.diagonal().max().sqrt())
    alone = (free.all(2) & (values >= -edge).all(1)[columns]).any(1)
    same = (values.abs() <= edge).all(1)
    corners = q.means[same[columns]]
    inside = [len(corners) > 0 and _in_hull(m, corners, covariance.diagonal().max().sqrt().item()) for m in means]
    if all(one or hull for one, hull in zip(alone.tolist(), inside, strict=True)):
        return True
    if len(q.weights) == 1 or bool((values[~same, -1] < -edge).all()):
        return False
    directions = _directions(len(covariance))
    wider = torch.einsum("ta,gab,tb->gt", directions, excess, directions).amax(0)
    if wider.min() > edge:
        return True
    if wider.min() < -edge:
        return False
    needed = "a generator and data of which one is clearly wider in every direction"
    raise error("E-THEORY-01", what="relativistic_average", needed=needed, got="tails that cannot be told apart")


def _directions(dimensions: int) -> Tensor:
    if dimensions == 1:
        return torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    angles = torch.arange(_DIRECTIONS, dtype=torch.float64) * (2 * math.pi / _DIRECTIONS)
    return torch.stack((angles.cos(), angles.sin()), 1)


def _in_hull(point: Tensor, corners: Tensor, scale: float) -> bool:
    """Whether a point lies in the hull of others: seen from it, they leave no gap of more than half a turn."""
    offsets = corners - point
    offsets = offsets[offsets.norm(dim=1) > _EQUAL * scale]
    if len(offsets) < len(corners):
        return True
    if offsets.shape[1] == 1:
        return bool(offsets.min() < 0 < offsets.max())
    angles = torch.atan2(offsets[:, 1], offsets[:, 0]).sort().values
    gaps = torch.cat([angles.diff(), angles[:1] + 2 * math.pi - angles[-1:]])
    return bool(gaps.max() <= math.pi + _EQUAL)


def _climbed(p: Density, q: Density, place: Tensor, step: float) -> float:
    """The top of log p/q near a place: a search on a lattice that moves uphill and is halved where it cannot."""
    axis = torch.arange(-2, 3, dtype=torch.float64)
    lattice = torch.cartesian_prod(*[axis] * len(place)).view(-1, len(place))
    for _ in range(200):
        points = place + step * lattice
        heights = p.log_prob(points) - q.log_prob(points)
        highest = heights.argmax()
        if heights[highest] <= heights[len(lattice) // 2]:
            step /= 2
        place = points[highest] if heights[highest] > heights[len(lattice) // 2] else place
    return heights.max().item()


def _limits(p: Parts, q: Parts) -> list[float]:
    """log p/q far out, wherever components of both have the widest covariance and lie farthest."""
    widths = torch.cat([p.covariances, q.covariances])
    means, precisions = torch.cat([p.means, q.means]), torch.linalg.inv(widths)
    real = torch.arange(len(means)) < len(p.weights)
    weights = torch.cat([p.weights, q.weights])
    directions = _directions(means.shape[1])
    width = torch.einsum("ta,kab,tb->kt", directions, precisions, directions)
    place = torch.einsum("ta,kab,kb->kt", directions, precisions, means)
    widest = width <= width.amin(0) * (1 + _EQUAL)
    farthest = torch.where(widest, place, -math.inf).amax(0)
    top = widest & (place >= farthest - _EQUAL * place.abs().amax(0))
    over, under = ((weights * side) @ top.double() for side in (real, ~real))
    found = (over > 0) & (under > 0)
    return (over[found] / under[found]).log().tolist() or [-math.inf]
