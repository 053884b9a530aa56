"""The swiss roll: a noisy spiral, whose density is a one-dimensional integral."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ganworks.theory.densities import Density

_ROWS = 2048
"""Points evaluated at once: bounds the memory of the quadrature to 16 MiB."""


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

    def _log_prob(self, points: Tensor) -> Tensor:
        centers = self.curve(self._times).to(points)
        shares = self._shares.log().to(points) - math.log(2 * math.pi * self.std**2)
        parts = [points.new_zeros(0)]
        for start in range(0, len(points), _ROWS):
            offsets = points[start : start + _ROWS, None] - centers
            parts.append((shares - offsets.square().sum(2) / (2 * self.std**2)).logsumexp(1))
        return torch.cat(parts)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Float[Tensor, "n d"]:
        """Draw n points: (N, 2), float32."""
        times = self.low + (self.high - self.low) * torch.rand(n, generator=generator)
        return self.curve(times) + self.std * torch.randn(n, 2, generator=generator)


def swissroll() -> SwissRoll:
    """The swiss roll with noise of std 0.05. Source: Gulrajani et al. 2017 (WGAN-GP)."""
    return SwissRoll()
