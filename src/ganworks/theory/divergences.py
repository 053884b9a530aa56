"""How far two known densities are apart, in float64: exact where there is a formula, to ten digits where an integral
over a line is left.

Two densities of one dimension may be any mixtures of normals. In more dimensions the formulas hold for normal
densities; what has none is refused, because a sampled estimate is not what is asked for here.

Letters: p the data, q the generator.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float64
from torch import Tensor

from ganworks.errors import error
from ganworks.registry import suggestion
from ganworks.theory.densities import Density, Mixture, MultivariateNormal, Normal

_REACH = 12
"""Standard deviations around each component that are integrated over: 1e-32 of its mass lies outside."""
_NODES = 8
"""Of a Gauss-Legendre rule on one standard deviation: exact to rounding for a normal density."""
_ROWS = 512
"""Rows of a double integral taken at once."""


def kullback_leibler(p: Density, q: Density) -> float:
    """KL(p‖q) = ∫ p log(p/q), in nats. Not symmetric.

    Raises: UsageError (E-THEORY-01) if D differs, or if D is above 1 and one of them is not normal.
    """
    _same_dimensions("kullback_leibler", p, q)
    if isinstance(p, _Gaussian) and isinstance(q, _Gaussian):
        return _between_normals(p, q)
    line = _line("kullback_leibler", p, q)
    return line.integral(line.log_p.exp() * (line.log_p - line.log_q))


def jensen_shannon(p: Density, q: Density) -> float:
    """JSD(p, q) = ½ KL(p‖m) + ½ KL(q‖m) with m = (p + q)/2, in nats: 0 where equal, log 2 where nothing is shared.

    Raises: UsageError (E-THEORY-01) if D differs, or if D is above 1 and they are not normal with one covariance.
    """
    return _jensen_shannon(_line("jensen_shannon", p, q))


def wasserstein_1(p: Density, q: Density) -> float:
    """W1(p, q): the least mean distance that mass has to travel. On a line it is ∫ |P - Q| of the shares up to x.

    Raises: UsageError (E-THEORY-01) if D differs, or if D is above 1 and they are not normal with one covariance.
    """
    _same_dimensions("wasserstein_1", p, q)
    if p.dimensions > 1:
        return _shared_covariance("wasserstein_1", p, q)[1].norm().item()
    parts = _Parts.of("wasserstein_1", p), _Parts.of("wasserstein_1", q)

    def difference(x: Tensor) -> Tensor:
        return parts[0].distribution(x) - parts[1].distribution(x)

    ends = _with_crossings(difference, [part.marks() for part in parts])
    areas = parts[0].area(ends) - parts[1].area(ends)
    return areas.diff().abs().sum().item()


def discriminator_loss_at_optimum(p: Density, q: Density, loss: str) -> float:
    """What the best of all discriminators pays: the least value of L_D as `ganworks.losses` defines it.

    | loss | least L_D | optimum |
    | --- | --- | --- |
    | `minimax`, `non_saturating` | log 4 - 2 JSD(p, q) | f = log p/q |
    | `least_squares` | ½ ∫ pq/(p + q), for targets 0 and 1 | f = p/(p + q) |
    | `hinge` | 2 ∫ min(p, q) | f = sign(p - q) |
    | `wasserstein` | -W1(p, q), over critics with slope 1 at most | |
    | `relativistic_paired` | log 2 - JSD(p⊗q, q⊗p) | f = log p/q |

    Raises: UsageError for an unknown loss (E-NAME-03); for `relativistic_average`, whose optimum is not known, and for
        densities as in `jensen_shannon` (E-THEORY-01).
    Source: Goodfellow et al. 2014, theorem 1; Mao et al. 2016, section 3.2; Lim and Ye 2017, section 3; Arjovsky,
        Chintala and Bottou 2017, equation 2. The last row is the first for pairs (x, y), told from (y, x).
    """
    if loss == "wasserstein":
        return -wasserstein_1(p, q)
    if loss not in _LEAST:
        if loss == "relativistic_average":
            needed = "a loss whose optimum is known"
            raise error("E-THEORY-01", what="discriminator_loss_at_optimum", needed=needed, got=loss)
        raise error("E-NAME-03", name=loss, details=suggestion(loss, [*_LEAST, "wasserstein"]))
    return _LEAST[loss](_line("discriminator_loss_at_optimum", p, q))


_Gaussian = Normal | MultivariateNormal


@dataclass(frozen=True)
class _Parts:
    """A density on a line as a weighted sum of K normal ones, each (K, 1)."""

    weights: Tensor
    means: Tensor
    stds: Tensor

    @classmethod
    def of(cls, what: str, density: Density) -> "_Parts":
        if isinstance(density, Mixture):
            inner = [cls.of(what, component) for component in density.components]
            weights = torch.cat([w * part.weights for w, part in zip(density.weights, inner, strict=True)])
            return cls(weights, torch.cat([part.means for part in inner]), torch.cat([part.stds for part in inner]))
        if not (isinstance(density, _Gaussian) and density.dimensions == 1):
            raise error("E-THEORY-01", what=what, needed="normal densities or mixtures of them", got=density)
        std = density.std if isinstance(density, Normal) else density.covariance[0].sqrt()
        return cls(torch.ones(1, 1, dtype=torch.float64), density.mean[:, None], std[:, None])

    def marks(self) -> Float64[Tensor, " m"]:
        """Every std of every component, as far as they reach."""
        return (self.means + self.stds * torch.arange(-_REACH, _REACH + 1)).flatten()

    def distribution(self, x: Float64[Tensor, " m"]) -> Float64[Tensor, " m"]:
        """The share of mass up to x."""
        parts: Tensor = torch.special.ndtr((x - self.means) / self.stds)
        return (self.weights * parts).sum(0)

    def area(self, x: Float64[Tensor, " m"]) -> Float64[Tensor, " m"]:
        """The integral of `distribution` up to x: of a normal one it is σ(zΦ(z) + φ(z))."""
        z = (x - self.means) / self.stds
        bell = (-z.square() / 2).exp() / math.sqrt(2 * math.pi)
        parts: Tensor = z * torch.special.ndtr(z) + bell
        return (self.weights * self.stds * parts).sum(0)


@dataclass(frozen=True)
class _Line:
    """Two densities at the nodes of a rule that integrates over the line."""

    shares: Tensor
    log_p: Tensor
    log_q: Tensor

    @property
    def log_sum(self) -> Tensor:
        """log(p + q)."""
        return torch.logaddexp(self.log_p, self.log_q)

    def integral(self, values: Tensor) -> float:
        """∫ values dx."""
        return (self.shares * values).sum().item()


def _line(what: str, p: Density, q: Density) -> _Line:
    """Two densities along the one direction in which they differ.

    Ratios of p and q are all that the integrals ask for. Two normals of one covariance differ along one direction only,
    where they are N(0, 1) and N(d, 1) with d their Mahalanobis distance.
    """
    _same_dimensions(what, p, q)
    if p.dimensions > 1:
        spread, shift = _shared_covariance(what, p, q)
        p, q = Normal(0.0, 1.0), Normal(float(torch.linalg.solve(spread, shift).dot(shift).sqrt()), 1.0)
    # Where p = q some integrands have a kink, which no rule may straddle.
    marks = [_Parts.of(what, density).marks() for density in (p, q)]
    ends = _with_crossings(lambda x: p.log_prob(x) - q.log_prob(x), marks)
    places, shares = (torch.from_numpy(each) for each in np.polynomial.legendre.leggauss(_NODES))
    half = ends.diff()[:, None] / 2
    nodes = (ends[:-1, None] + half * (places + 1)).flatten()
    return _Line((half * shares).flatten(), p.log_prob(nodes), q.log_prob(nodes))


def _with_crossings(difference: Callable[[Tensor], Tensor], marks: list[Tensor]) -> Tensor:
    """Marks in order, and between them the places where a function changes its sign, found by halving."""
    ends = torch.cat(marks).sort().values
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


def _jensen_shannon(line: _Line) -> float:
    log_m = line.log_sum - math.log(2)
    p, q = line.log_p.exp(), line.log_q.exp()
    return 0.5 * line.integral(p * (line.log_p - log_m) + q * (line.log_q - log_m))


def _cross_entropy(line: _Line) -> float:
    return math.log(4) - 2 * _jensen_shannon(line)


def _least_squares(line: _Line) -> float:
    return 0.5 * line.integral((line.log_p + line.log_q - line.log_sum).exp())


def _hinge(line: _Line) -> float:
    return 2 * line.integral(torch.minimum(line.log_p, line.log_q).exp())


def _paired(line: _Line) -> float:
    """∬ p(x) q(y) sp(l(y) - l(x)) with l = log p/q, in blocks of x."""
    logit = line.log_p - line.log_q
    p, q = line.shares * line.log_p.exp(), line.shares * line.log_q.exp()
    blocks = zip(torch.split(p, _ROWS), torch.split(logit, _ROWS), strict=True)
    return sum((p_x @ F.softplus(logit - l_x[:, None]) @ q).item() for p_x, l_x in blocks)


_LEAST: dict[str, Callable[[_Line], float]] = {
    "minimax": _cross_entropy,
    "non_saturating": _cross_entropy,
    "least_squares": _least_squares,
    "hinge": _hinge,
    "relativistic_paired": _paired,
}


def _same_dimensions(what: str, p: Density, q: Density) -> None:
    if p.dimensions != q.dimensions:
        raise error("E-THEORY-01", what=what, needed="two densities of one dimension", got=[p.dimensions, q.dimensions])


def _covariance(density: _Gaussian) -> Tensor:
    return density.std.square().diag() if isinstance(density, Normal) else density.covariance


def _shared_covariance(what: str, p: Density, q: Density) -> tuple[Tensor, Tensor]:
    """The covariance that two normals share and the shift from p to q; anything else is refused."""
    if isinstance(p, _Gaussian) and isinstance(q, _Gaussian) and torch.allclose(_covariance(p), _covariance(q)):
        return _covariance(p), q.mean - p.mean
    needed = "one dimension, or two normal densities of one covariance"
    raise error("E-THEORY-01", what=what, needed=needed, got=f"{type(p).__name__} and {type(q).__name__}")


def _between_normals(p: _Gaussian, q: _Gaussian) -> float:
    """½ (tr Σ_q⁻¹Σ_p + (μ_q - μ_p)ᵀ Σ_q⁻¹ (μ_q - μ_p) - D + log |Σ_q|/|Σ_p|)."""
    spread, factor = _covariance(p), torch.linalg.cholesky(_covariance(q))
    shift = (q.mean - p.mean)[:, None]
    both = torch.cholesky_solve(torch.cat([spread, shift], 1), factor)
    inside, far = both[:, :-1].trace(), (shift * both[:, -1:]).sum()
    sizes = 2 * factor.diagonal().log().sum() - torch.linalg.slogdet(spread).logabsdet
    return float(0.5 * (inside + far - p.dimensions + sizes))
