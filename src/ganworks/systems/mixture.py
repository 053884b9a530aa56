"""Gaussian mixture: a density without a network or a gradient, beside GANs as Richardson and Weiss 2018 set it.

p(x) = Σ_k w_k N(x; μ_k, Σ_k). From rows x_n two steps alternate, and log p of the rows never falls
(Dempster, Laird and Rubin 1977, the EM algorithm):

    r_nk = w_k N(x_n; μ_k, Σ_k) / p(x_n)                                                       expectation
    w_k = Σ_n r_nk / N,   μ_k = Σ_n r_nk x_n / Σ_n r_nk,   Σ_k = Σ_n r_nk (x_n - μ_k)(x_n - μ_k)ᵀ / Σ_n r_nk

All of it happens before the first step: there is no player, and a run has 0 steps. K-means++ chooses the first means
(Arthur and Vassilvitskii 2007), several short starts compete, and the best goes on. K is given, or the one of least
BIC = P log N - 2 Σ log p(x_n), P the free numbers (Schwarz 1978). In as much a likelihood can be without bound where a
component holds one row, every variance has a floor.

Long rows, such as pictures, are too long for full covariances. Their mixture lives in the directions of most variance;
outside these all rows are one isotropic Gaussian, whose variance is the mean of those left out (Tipping and Bishop
1999, equation 12, with one subspace for all components). The density stays exact, and so do samples.

Pictures are draws of the density with what is beyond their range cut off.

Departures: Richardson and Weiss give each component directions of its own and 200 or more of them to faces, by
gradient steps; here all share theirs, which EM fits in CPU seconds.

Letters: N rows, D numbers of one, d directions, K components, r (N, K) responsibilities.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from ganworks.data.spec import Batch, DataSpec
from ganworks.explicit import ExplicitSettings
from ganworks.game import Phase, Player, Rows, System
from ganworks.random import Streams
from ganworks.settings import AverageSettings, LatentSettings

_NUMBERS = 1 << 26
"""Of the rows that are fitted, at most: a quarter of a GB."""
_AT_ONCE = 500
"""Rows that are read, or judged, together."""
_SHORT = 10
"""Rounds of a start that competes."""
_WORSE = 3
"""Larger numbers of components than the best, after which no larger ones are tried."""
_EVEN = 1e-9
"""Variance of data that do not differ, for the floor."""


class MixtureSettings(ExplicitSettings):
    """How many components, how they are found, and what keeps them from collapsing."""

    batch: ClassVar[int] = 100  # type: ignore[misc]  # nothing is played: a field no more
    precision: ClassVar[Literal["float32", "bf16", "auto"]] = "float32"  # type: ignore[misc]  # as above
    latent: ClassVar[LatentSettings] = LatentSettings()  # type: ignore[misc]  # as above
    average: ClassVar[AverageSettings] = AverageSettings()  # type: ignore[misc]  # as above
    components: int = Field(0, ge=0, description="Gaussians; 0: the number of least BIC")
    most: int = Field(32, ge=1, description="Gaussians that the BIC may choose, at most")
    directions: int = Field(32, ge=1, description="directions of most variance in which rows are modelled, at most")
    rows: int = Field(20_000, ge=2, description="rows of the data that are fitted, at most")
    starts: int = Field(3, ge=1, description="short fits from other first means, the best of which goes on")
    rounds: int = Field(100, ge=1, description="expectations and maximisations of the last fit, at most")
    tolerance: float = Field(1e-5, gt=0, description="nats a row; a round that gains less is the last one")
    floor: float = Field(1e-6, gt=0, description="added to each variance, as a share of the directions' mean variance")


class Fit(NamedTuple):
    """K components in d numbers: weights (K,), means (K, d), Cholesky factors of the covariances (K, d, d)."""

    weights: Tensor
    means: Tensor
    factors: Tensor


def log_joint(rows: Float[Tensor, "n d"], fit: Fit) -> Float[Tensor, "n k"]:
    """log w_k N(x_n; μ_k, Σ_k)."""
    constant = 0.5 * rows.shape[1] * math.log(2 * math.pi)
    parts = [
        -0.5 * torch.linalg.solve_triangular(factor, (rows - mean).T, upper=False).square().sum(0)
        - factor.diagonal().log().sum()
        for mean, factor in zip(fit.means, fit.factors, strict=True)
    ]
    return torch.stack(parts, 1) + fit.weights.log() - constant


def maximised(rows: Float[Tensor, "n d"], r: Float[Tensor, "n k"], floor: float) -> Fit:
    """Weights, means and covariances from responsibilities; the floor is added to every variance."""
    held = r.sum(0).clamp(min=1e-9)
    means = (r.T @ rows) / held[:, None]
    spreads = []
    for mean, share, count in zip(means, r.T, held, strict=True):
        away = rows - mean
        spreads.append((away.T * share) @ away / count)
    ridge = floor * torch.eye(rows.shape[1], dtype=rows.dtype)
    return Fit(held / held.sum(), means, torch.linalg.cholesky(torch.stack(spreads) + ridge))


def spread_means(rows: Float[Tensor, "n d"], count: int) -> Float[Tensor, "k d"]:
    """K-means++: each mean is a row drawn in proportion to its squared distance from the nearest one before."""
    chosen = [rows[torch.randint(len(rows), ())]]
    nearest = (rows - chosen[0]).square().sum(1)
    for _ in range(1, count):
        total = nearest.cumsum(0)
        place = torch.searchsorted(total, torch.rand((), dtype=total.dtype) * total[-1]) if total[-1] > 0 else 0
        chosen.append(rows[min(int(place), len(rows) - 1)])
        nearest = torch.minimum(nearest, (rows - chosen[-1]).square().sum(1))
    return torch.stack(chosen)


def improved(rows: Float[Tensor, "n d"], fit: Fit, rounds: int, tolerance: float, floor: float) -> tuple[Fit, float]:
    """EM from a fit on; gives the last fit and the mean log-likelihood of its rows, in nats."""
    joint = log_joint(rows, fit)
    told = float(joint.logsumexp(1).mean())
    for _ in range(rounds):
        after = maximised(rows, joint.softmax(1), floor)
        joint = log_joint(rows, after)
        gained, fit = float(joint.logsumexp(1).mean()) - told, after
        told += gained
        if gained < tolerance:
            break
    return fit, told


def fitted(rows: Float[Tensor, "n d"], count: int, settings: MixtureSettings, floor: float) -> tuple[Fit, float]:
    """The best of several starts with K components, fitted to the end."""
    begun = []
    for _ in range(settings.starts):
        nearest = torch.cdist(rows, spread_means(rows, count)).argmin(1)
        fit = maximised(rows, F.one_hot(nearest, count).to(rows), floor)
        begun.append(improved(rows, fit, _SHORT, settings.tolerance, floor))
    return improved(rows, max(begun, key=lambda each: each[1])[0], settings.rounds, settings.tolerance, floor)


def bic(told: float, rows: int, count: int, directions: int) -> float:
    """P log N - 2 N log p: the less the better. P: K - 1 weights, K d means, K d (d + 1) / 2 covariances."""
    free = count - 1 + count * directions * (directions + 3) // 2
    return free * math.log(rows) - 2 * rows * told


def numbers(most: int) -> Iterator[int]:
    """The K that are tried: all up to 8, then each about a fifth more than the one before."""
    count = 1
    while count <= most:
        yield count
        count = count + 1 if count < 8 else max(count + 1, round(1.2 * count))


def between(tried: Iterable[int], best: int) -> int | None:
    """The middle of the wider gap beside the best K; None where both its neighbours are tried."""
    below, above = max((k for k in tried if k < best), default=best), min((k for k in tried if k > best), default=best)
    low, high = max((below, best), (best, above), key=lambda gap: gap[1] - gap[0])
    return (low + high) // 2 if high - low > 1 else None


class Mixture(System):
    """A density of Gaussians, found before the first step. What is found stands in buffers of the largest size."""

    name = "mixture"
    paper = "Richardson and Weiss 2018, On GANs and GMMs, arXiv:1805.12462"
    accepts = ("points", "images")
    gives = "images"
    Settings = MixtureSettings
    averaged = ()
    settings: MixtureSettings
    likelihood = "exact"
    center: Tensor
    axes: Tensor
    outside: Tensor
    weights: Tensor
    means: Tensor
    factors: Tensor

    def __init__(self, settings: MixtureSettings, data: DataSpec) -> None:
        super().__init__(settings, data)
        size, count = math.prod(data.shape), settings.components or settings.most
        d = min(settings.directions, size)
        self.register_buffer("center", torch.zeros(size))
        self.register_buffer("axes", torch.eye(size, d))
        self.register_buffer("outside", torch.ones(()))
        self.register_buffer("weights", torch.ones(count) / count)
        self.register_buffer("means", torch.zeros(count, d))
        self.register_buffer("factors", torch.eye(d).repeat(count, 1, 1))

    @classmethod
    def suited(cls, data: DataSpec) -> dict[str, Any]:
        """A higher floor for pictures: a component of few rows is flat in some of its directions."""
        return {"floor": 1e-2} if data.kind == "images" else {}

    def prepare(self, data: Rows) -> None:
        """Read rows, choose directions, fit."""
        size = len(self.center)
        chosen = torch.randperm(len(data))[: max(2, min(self.settings.rows, _NUMBERS // size))]
        rows = torch.cat([data.rows(index)["x"] for index in torch.split(chosen, _AT_ONCE)])
        x = self.data.encode(rows).flatten(1)
        self.center.copy_(x.mean(0))
        x = x - self.center
        d = self.axes.shape[1]
        if d < size:
            if d < len(x):
                self.axes.copy_(torch.pca_lowrank(x, min(d + 8, len(x), size), center=False, niter=4)[2][:, :d])
            rest = (x.square().sum(1).mean() - (x @ self.axes).square().sum(1).mean()) / (size - d)
            self.outside.copy_(rest.clamp(min=_EVEN))
        places = (x @ self.axes).double()
        self._keep(self._best(places))

    def _best(self, places: Float[Tensor, "n d"]) -> Fit:
        """The fit with K components, or with the K of least BIC."""
        settings = self.settings
        floor = settings.floor * max(float(places.var(0).mean()), _EVEN)
        most = min(settings.components or settings.most, len(places))
        if settings.components:
            return fitted(places, most, settings, floor)[0]
        found: dict[int, tuple[float, Fit]] = {}

        def least() -> int:
            return min(found, key=lambda count: found[count][0])

        def try_(count: int) -> None:
            fit, told = fitted(places, count, settings, floor)
            found[count] = bic(told, len(places), count, places.shape[1]), fit

        for count in numbers(most):
            try_(count)
            if len([each for each in found if each > least()]) == _WORSE:
                break
        while (untried := between(found, least())) is not None:
            try_(untried)
        return found[least()][1]

    def _keep(self, fit: Fit) -> None:
        """Write a fit to the buffers; components that are left over have no weight."""
        count = len(fit.weights)
        self.weights.zero_()
        self.weights[:count], self.means[:count], self.factors[:count] = fit

    @property
    def fit(self) -> Fit:
        """The components that have weight, in float64."""
        there = self.weights > 0
        return Fit(*(each[there].double() for each in (self.weights, self.means, self.factors)))

    def players(self) -> tuple[Player, ...]:
        """Nobody: all is done in `prepare`."""
        return ()

    def phases(self) -> tuple[Phase, ...]:
        """One, in which nothing moves."""
        return (Phase("fitted", ()),)

    def generate(self, count: int, random: Streams, **given: Any) -> Batch:
        """Draws of the density."""
        d = self.means.shape[1]
        shares = self.weights.double().cumsum(0)
        last = int((self.weights > 0).sum()) - 1  # a share that rounds to 1 falls into no bin
        k = torch.searchsorted(shares / shares[-1], random.uniform("component").double(), right=True).clamp(max=last)
        inside = self.means[k] + torch.einsum("bij,bj->bi", self.factors[k], random.normal("inside", d))
        x = self.center + inside @ self.axes.T
        if d < len(self.center):
            rest = random.normal("outside", len(self.center))
            x = x + self.outside.sqrt() * (rest - (rest @ self.axes) @ self.axes.T)
        x = x.view(-1, *self.data.shape)
        return Batch({"x": x.clamp(-1, 1) if self.data.kind == "images" else x})

    def log_likelihood(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, " n"]:
        """log p(x) in nats, exactly, of samples in the data's units: (N,), in float64."""
        fit, axes, found = self.fit, self.axes.double(), []
        others = len(self.center) - axes.shape[1]
        for rows in torch.split(self.data.encode(x.double()).flatten(1), _AT_ONCE):
            away = rows - self.center
            places = away @ axes
            told = log_joint(places, fit).logsumexp(1)
            if others:
                rest = (away.square().sum(1) - places.square().sum(1)).clamp(min=0)
                told = told - 0.5 * (rest / self.outside + others * math.log(2 * math.pi * float(self.outside)))
            found.append(told)
        return torch.cat(found) - sum(math.log(scale) for scale in self.data.scale)
