"""Densities on R^D that can be evaluated and sampled exactly.

Shapes: N points, D coordinates, K components. Parameters are kept in float64; `log_prob` answers in the type of its
argument and is differentiable, `sample` gives float32. Draws depend on the generator alone.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ganworks.errors import error

Numbers = Tensor | float | int | Sequence[float | int] | Sequence[Sequence[float | int]]


class Parts(NamedTuple):
    """A density as a weighted sum of K normal ones: weights (K,), means (K, D), covariances (K, D, D), in float64."""

    weights: Tensor
    means: Tensor
    covariances: Tensor


class Density(ABC):
    """A density on R^D."""

    dimensions: int
    """D."""

    def parts(self) -> Parts | None:
        """The normal densities that this one is a weighted sum of; None where it is no such sum."""
        return None

    @abstractmethod
    def _log_prob(self, points: Tensor) -> Tensor:
        """(N,) from points that are known to be (N, D)."""

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator | None = None) -> Float[Tensor, "n d"]:
        """Draw n points: (N, D), float32; (N, 1) where D is 1. Without a generator the default one is used."""

    def log_prob(self, x: Float[Tensor, "..."]) -> Float[Tensor, " n"]:
        """The natural logarithm of the density.

        Args:
            x: (N, D), or (N,) where D is 1; float32 or float64.
        Returns: (N,), in nats, in the type of x, differentiable in x.
        Raises: UsageError (E-THEORY-01) if x has another shape.
        """
        points = x[:, None] if x.ndim == 1 and self.dimensions == 1 else x
        if points.ndim != 2 or points.shape[1] != self.dimensions:
            raise _refused("log_prob", f"points of shape (N, {self.dimensions})", f"shape {tuple(x.shape)}")
        return self._log_prob(points)


def _refused(what: str, needed: str, got: object) -> Exception:
    return error("E-THEORY-01", what=what, needed=needed, got=got)


def _alone(mean: Tensor, covariance: Tensor) -> Parts:
    return Parts(torch.ones(1, dtype=torch.float64), mean[None], covariance[None])


def _vector(values: Numbers) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float64).reshape(-1)


class Normal(Density):
    """A normal density with independent coordinates: N(mean, diag(std^2)).

    Args:
        mean: One number (D = 1) or D of them.
        std: One number for all coordinates, or D of them; above 0.
    Raises: UsageError (E-THEORY-01) if a std is not above 0 or the lengths differ.
    """

    def __init__(self, mean: Numbers, std: Numbers) -> None:
        self.mean = _vector(mean)
        spread = _vector(std)
        if len(spread) not in (1, len(self.mean)):
            raise _refused("Normal", f"one std or {len(self.mean)}", f"{len(spread)}")
        if not bool((spread > 0).all() and spread.isfinite().all() and self.mean.isfinite().all()):
            raise _refused("Normal", "finite means and stds above 0", f"mean {mean}, std {std}")
        self.std = spread.expand(len(self.mean)).clone()
        self.dimensions = len(self.mean)

    def parts(self) -> Parts:
        """Itself."""
        return _alone(self.mean, self.std.square().diag())

    def _log_prob(self, points: Tensor) -> Tensor:
        scaled = (points - self.mean.to(points)) / self.std.to(points)
        constant = self.std.log().sum().item() + 0.5 * self.dimensions * math.log(2 * math.pi)
        return -0.5 * scaled.square().sum(1) - constant

    def sample(self, n: int, generator: torch.Generator | None = None) -> Float[Tensor, "n d"]:
        """Draw n points: (N, D), float32."""
        noise = torch.randn(n, self.dimensions, generator=generator)
        return self.mean.float() + self.std.float() * noise


class MultivariateNormal(Density):
    """A normal density with any covariance: N(mean, covariance).

    Args:
        mean: D numbers.
        covariance: (D, D), symmetric and positive definite.
    Raises: UsageError (E-THEORY-01) if the covariance is not.
    """

    def __init__(self, mean: Numbers, covariance: Numbers) -> None:
        self.mean = _vector(mean)
        self.dimensions = len(self.mean)
        self.covariance = torch.as_tensor(covariance, dtype=torch.float64)
        needed = f"a symmetric, positive definite covariance of shape ({self.dimensions}, {self.dimensions})"
        if self.covariance.shape != (self.dimensions, self.dimensions):
            raise _refused("MultivariateNormal", needed, f"shape {tuple(self.covariance.shape)}")
        self._factor: Tensor
        self._factor, failed = torch.linalg.cholesky_ex(self.covariance)
        if failed or not torch.allclose(self.covariance, self.covariance.T) or not self.mean.isfinite().all():
            raise _refused("MultivariateNormal", needed, self.covariance.tolist())

    def parts(self) -> Parts:
        """Itself."""
        return _alone(self.mean, self.covariance)

    def _log_prob(self, points: Tensor) -> Tensor:
        offsets = (points - self.mean.to(points)).T
        scaled: Tensor = torch.linalg.solve_triangular(self._factor.to(points), offsets, upper=False)
        constant = self._factor.diagonal().log().sum().item() + 0.5 * self.dimensions * math.log(2 * math.pi)
        return -0.5 * scaled.square().sum(0) - constant

    def sample(self, n: int, generator: torch.Generator | None = None) -> Float[Tensor, "n d"]:
        """Draw n points: (N, D), float32."""
        noise = torch.randn(n, self.dimensions, generator=generator)
        return self.mean.float() + noise @ self._factor.float().T


class Mixture(Density):
    """A weighted sum of densities.

    Args:
        components: K densities with the same D.
        weights: K numbers above 0; they are divided by their sum.
    Raises: UsageError (E-THEORY-01) if the counts or the D differ, or a weight is not above 0.
    """

    def __init__(self, components: Sequence[Density], weights: Numbers) -> None:
        self.components = tuple(components)
        given = _vector(weights)
        if not self.components or len(given) != len(self.components):
            raise _refused("Mixture", "as many weights as components, at least one", f"{len(given)} weights")
        if len({component.dimensions for component in self.components}) > 1:
            raise _refused("Mixture", "components of one dimension", [c.dimensions for c in self.components])
        if not bool((given > 0).all() and given.isfinite().all()):
            raise _refused("Mixture", "finite weights above 0", given.tolist())
        self.weights = given / given.sum()
        self.dimensions = self.components[0].dimensions

    @property
    def means(self) -> Float[Tensor, "k d"]:
        """The centres of the modes: (K, D), float64."""
        return torch.stack([component.mean for component in self._normals()])

    @property
    def stds(self) -> Float[Tensor, " k"]:
        """The width of each mode, one for all its coordinates: (K,), float64."""
        return torch.stack([component.std[0] for component in self._normals()])

    def _normals(self) -> list[Normal]:
        normals = [c for c in self.components if isinstance(c, Normal) and bool((c.std == c.std[0]).all())]
        if len(normals) < len(self.components):
            raise _refused("a mixture with modes", "round normal components", self.components)
        return normals

    def parts(self) -> Parts | None:
        """Those of its components; None where one of them is no sum of normal densities."""
        inner = [component.parts() for component in self.components]
        known = [parts for parts in inner if parts is not None]
        if len(known) < len(inner):
            return None
        weights = [weight * parts.weights for weight, parts in zip(self.weights, known, strict=True)]
        means, covariances = ([parts[place] for parts in known] for place in (1, 2))
        return Parts(torch.cat(weights), torch.cat(means), torch.cat(covariances))

    def _log_prob(self, points: Tensor) -> Tensor:
        logs = torch.stack([component.log_prob(points) for component in self.components])
        return (logs + self.weights.log().to(points)[:, None]).logsumexp(0)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Float[Tensor, "n d"]:
        """Draw n points: (N, D), float32."""
        return self.sample_with_component(n, generator)[0]

    def sample_with_component(
        self, n: int, generator: torch.Generator | None = None
    ) -> tuple[Float[Tensor, "n d"], Int[Tensor, " n"]]:
        """Draw n points and say which component each came from: (N, D) float32 and (N,) int64."""
        if n == 0:  # multinomial refuses it
            return torch.empty(0, self.dimensions), torch.empty(0, dtype=torch.int64)
        component = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        points = torch.empty(n, self.dimensions)
        for index, density in enumerate(self.components):
            rows = component == index
            points[rows] = density.sample(int(rows.sum()), generator)
        return points, component


def ring() -> Mixture:
    """Eight equal modes on a circle of radius 2, std 0.02. Source: Metz et al. 2016 (unrolled GANs)."""
    angles = [2 * math.pi * k / 8 for k in range(8)]
    return Mixture([Normal([2 * math.cos(a), 2 * math.sin(a)], 0.02) for a in angles], [1] * 8)


def grid() -> Mixture:
    """Twenty-five equal modes at {-4, -2, 0, 2, 4}^2, std 0.05. Source: Srivastava et al. 2017 (VEEGAN)."""
    places = (-4, -2, 0, 2, 4)
    return Mixture([Normal([a, b], 0.05) for a in places for b in places], [1] * 25)


def bimodal() -> Mixture:
    """Two modes on a line: a third N(-2, 0.3²), two thirds N(1, 0.6²). Small enough to see everything at once."""
    return Mixture([Normal(-2.0, 0.3), Normal(1.0, 0.6)], [1, 2])
