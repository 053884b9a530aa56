"""The swiss roll: a noisy spiral, whose density is a one-dimensional integral."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ganworks.theory.densities import Density, Parts

_ROWS = 2048
"""Points evaluated at once: bounds the memory of the quadrature to 32 MiB."""
_SIDE = 0.25
"""Of the squares in which points are taken together."""
_FAR = 1 << 20
"""Squares from the origin; beyond, points fall into the outermost."""


class SwissRoll(Density):
    """t (cos t, sin t)/6 with t uniform in [1.5 pi, 4.5 pi], plus normal noise.

    The density is the mean over t of N(x; curve(t), std^2 I), integrated by Gauss-Legendre rules of 8 nodes on 128
    panels. A panel is at most 3.5 std of arc at std 0.05, which leaves a relative error below 1e-8.

    Args:
        std: Of the noise, in each of the two coordinates.
    """

    dimensions = 2
    low, high = 1.5 * math.pi, 4.5 * math.pi

    def __init__(self, std: float = 0.05) -> None:
        self.std = std
        self._times, self._shares = self._quadrature(panels=128, nodes=8)

    def curve(self, times: Float[Tensor, " n"]) -> Float[Tensor, "n 2"]:
        """The spiral without its noise."""
        return (times / 6)[:, None] * torch.stack((times.cos(), times.sin()), 1)

    def _quadrature(self, panels: int, nodes: int) -> tuple[Tensor, Tensor]:
        """Places t and shares of the mean over t; the shares sum to 1."""
        places, weights = np.polynomial.legendre.leggauss(nodes)
        width = (self.high - self.low) / panels
        starts = self.low + width * np.arange(panels)[:, None]
        times = starts + width * (places + 1) / 2
        return torch.from_numpy(times.ravel()), torch.from_numpy(np.tile(weights / (2 * panels), panels))

    def parts(self) -> Parts:
        """A normal density at every node of the quadrature: what `log_prob` adds up."""
        covariance = self.std**2 * torch.eye(2, dtype=torch.float64)
        return Parts(self._shares, self.curve(self._times), covariance.expand(len(self._times), 2, 2))

    def _log_prob(self, points: Tensor) -> Tensor:
        """Square by square of the plane, from the part of the spiral that counts there."""
        column, row = (points.detach() / _SIDE).floor().clamp(-_FAR, _FAR).long().unbind(1)
        square = torch.unique(column * 4 * _FAR + row, return_inverse=True)[1]
        order = square.argsort()
        blocks = torch.split(points[order], square.bincount().tolist()) if len(points) else ()
        logs = [self._near(part) for block in blocks for part in torch.split(block, _ROWS)]
        return torch.cat([points.new_zeros(0), *logs])[order.argsort()]

    def _near(self, points: Tensor) -> Tensor:
        """Of points in one square. Nodes are left out that hold less than e^-40 of the nearest one's share at each."""
        middle = points.detach().mean(0)
        centers, shares = self.curve(self._times).to(points) - middle, self._shares.log().to(points)
        distance, reach = centers.norm(dim=1), (points.detach() - middle).norm(dim=1).max()
        kept = (distance - reach).clamp(min=0).square() <= (distance.min() + reach).square() + 80 * self.std**2
        offsets = points - middle
        centers = centers[kept]
        squares = offsets.square().sum(1, keepdim=True) + centers.square().sum(1) - 2 * offsets @ centers.T
        return (shares[kept] - math.log(2 * math.pi * self.std**2) - squares / (2 * self.std**2)).logsumexp(1)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Float[Tensor, "n d"]:
        """Draw n points: (N, 2), float32."""
        times = self.low + (self.high - self.low) * torch.rand(n, generator=generator)
        return self.curve(times) + self.std * torch.randn(n, 2, generator=generator)


def swissroll() -> SwissRoll:
    """The swiss roll with noise of std 0.05. Source: Gulrajani et al. 2017 (WGAN-GP)."""
    return SwissRoll()
