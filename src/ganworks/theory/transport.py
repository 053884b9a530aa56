"""How far mass has to travel from one known density to another: exact on a line, and where one shift is the best plan.

Letters: p the data, q the generator; K components, M places.
"""

import math

import torch
from torch import Tensor

from ganworks.errors import error
from ganworks.theory.densities import Density, Parts
from ganworks.theory.quadrature import marks, normal_parts, same_dimensions, shared_covariance, with_crossings


def wasserstein_1(p: Density, q: Density) -> float:
    """W1(p, q): the least mean distance that mass has to travel. On a line it is ∫ |P - Q| of the shares up to x.

    Raises: UsageError (E-THEORY-01) if D differs, or if D is above 1 and they are not normal with one covariance: in
        the plane it is a transport problem that no quadrature solves.
    """
    same_dimensions("wasserstein_1", p, q)
    if p.dimensions > 1:
        if (found := shared_covariance(p, q)) is None:
            needed = "one dimension, or two normal densities of one covariance"
            raise error("E-THEORY-01", what="wasserstein_1", needed=needed, got=f"{p.dimensions} dimensions")
        return found[1].norm().item()
    sides = [normal_parts("wasserstein_1", density) for density in (p, q)]

    def difference(x: Tensor) -> Tensor:
        return _share_up_to(sides[0], x) - _share_up_to(sides[1], x)

    ends = with_crossings(difference, torch.cat([marks(side) for side in sides]))
    areas = _area_up_to(sides[0], ends) - _area_up_to(sides[1], ends)
    return areas.diff().abs().sum().item()


def _scaled(parts: Parts, x: Tensor) -> tuple[Tensor, Tensor]:
    """Places (M,) in stds from each mean, (K, M), and the stds (K, 1)."""
    stds = parts.covariances[:, :, 0].sqrt()
    return (x - parts.means) / stds, stds


def _share_up_to(parts: Parts, x: Tensor) -> Tensor:
    z, _ = _scaled(parts, x)
    share: Tensor = parts.weights @ torch.special.ndtr(z)
    return share


def _area_up_to(parts: Parts, x: Tensor) -> Tensor:
    """The integral of the share up to x: of a normal density it is σ(zΦ(z) + φ(z))."""
    z, stds = _scaled(parts, x)
    bell = (-z.square() / 2).exp() / math.sqrt(2 * math.pi)
    area: Tensor = parts.weights @ (stds * (z * torch.special.ndtr(z) + bell))
    return area
