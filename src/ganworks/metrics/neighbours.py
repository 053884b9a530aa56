"""Precision, recall, density and coverage: how two samples overlap, seen through nearest neighbours.

Each sample has a ball that reaches to its k-th nearest neighbour in its own set, itself not counted. Distances are
computed in blocks and never kept, so memory does not grow with the square of the samples.

Conventions are those of the density-and-coverage paper's own code (prdc): a point on the edge of a ball is outside.
Two things are made safe against rounding: a point at the edge to within 1e-9 counts as on it, and a point equal to a
sample is inside that sample's ball even where duplicates have shrunk its radius to 0.

Shapes: N real, M fake, G groups to leave out; radii are (G + 1, N), row 0 with nothing left out.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from ganworks.errors import error
from ganworks.metrics.inputs import Samples, pair
from ganworks.metrics.interval import assign

_BLOCK = 1 << 23
"""Distances held at once: 64 MiB."""
_ROUNDING = 1e-13
"""A squared distance below this share of the squared lengths is rounding: the points are equal."""
_COUNTED = {"precision": "fake", "recall": "real", "density": "fake", "coverage": "real"}
DEFAULT_K = {"precision": 3, "recall": 3, "density": 5, "coverage": 5}


class PrecisionRecall(NamedTuple):
    """Shares in [0, 1]."""

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """Density is 0 or more and may exceed 1; coverage lies in [0, 1]."""

    density: float
    coverage: float


def precision_recall(real: Samples, fake: Samples, k: int = 3) -> PrecisionRecall:
    """The share of fakes inside a ball of a real sample, and of reals inside a ball of a fake.

    Args:
        real, fake: (N, D) and (M, D) features, more than k samples each.
        k: The neighbour that a ball reaches to, itself not counted.
    Raises: UsageError E-METRIC-01 (shapes, too few, k below 1) or E-METRIC-02 (not finite).
    Source: Kynkäänniemi et al. 2019, equations 1 and 2.
    """
    values = replicates(real, fake, k=k, names=("precision", "recall"))
    return PrecisionRecall(float(values["precision"][0]), float(values["recall"][0]))


def density_coverage(real: Samples, fake: Samples, k: int = 5) -> DensityCoverage:
    """The number of real balls around a fake over k, and the share of real balls that hold a fake.

    For two samples of one law density is 1 and coverage about 1 - 2^-k.

    Args, Raises: As for `precision_recall`.
    Source: Naeem et al. 2020, equations 3 and 4.
    """
    values = replicates(real, fake, k=k, names=("density", "coverage"))
    return DensityCoverage(float(values["density"][0]), float(values["coverage"][0]))


def replicates(
    real: Samples, fake: Samples, groups: int = 0, k: int | None = None, names: tuple[str, ...] = tuple(DEFAULT_K)
) -> dict[str, Float64[Tensor, " g"]]:
    """The named numbers on all samples and without each group: (G + 1,) each, from one search.

    Args:
        k: For all names; by default each name's own, `DEFAULT_K`.
    """
    ks = {name: DEFAULT_K[name] if k is None else k for name in names}
    metric, most = " and ".join(names), max(ks.values())
    if min(ks.values()) < 1:
        raise error("E-METRIC-01", metric=metric, needed="a k of at least 1", got=k)
    # With a group left out, k neighbours must remain: n - ceil(n/groups) - 1 >= k.
    x, y = pair(metric, real, fake, least=-(-(most + 2) * groups // (groups - 1)) if groups else most + 1)
    x = x - (center := x.mean(0))  # distances do not change, their rounding shrinks
    sets = _Set(x, groups), _Set(y - center, groups)
    radii = [points.radii(sorted(set(ks.values()))) for points in sets]
    search = _Search(*sets, {name: radii[name == "recall"][k] for name, k in ks.items()})
    return {name: search.result(name, ks[name]) for name in names}


class _Set:
    """Samples ordered by group, every group padded to the same length with points at infinite distance."""

    def __init__(self, points: Tensor, groups: int) -> None:
        self.groups, self.parts = groups, max(1, groups)
        group = assign(len(points), groups)
        self.length = -(-len(points) // self.parts)
        slots = torch.full((self.parts, self.length), -1)
        for g in range(self.parts):
            members = (group == g).nonzero()[:, 0]
            slots[g, : len(members)] = members
        self.present = slots.flatten() >= 0
        self.points = points[slots.flatten()]
        # A little less than |x|^2, so that equal points come out at 0 whatever their dot product rounds to.
        self.squares = (self.points.square().sum(1) * (1 - _ROUNDING)).masked_fill(~self.present, torch.inf)
        self.group = torch.arange(self.parts).repeat_interleave(self.length)

    def __len__(self) -> int:
        return len(self.points)

    def kept(self) -> Tensor:
        """(G + 1, N padded): which samples a replicate has."""
        left_out = torch.arange(-1, self.groups)[:, None]
        return self.present & (self.group != left_out)

    def distances(self, rows: slice, others: "_Set") -> Tensor:
        """Squared distances of these rows to all of another set: 0 where points are equal, inf at pads."""
        squares = self.squares[rows, None] + others.squares
        return squares.addmm_(self.points[rows], others.points.T, alpha=-2).clamp_(min=0)

    def blocks(self, others: "_Set") -> list[slice]:
        """Rows to treat at once."""
        step = max(1, _BLOCK // len(others))
        return [slice(start, min(start + step, len(self))) for start in range(0, len(self), step)]

    def radii(self, ks: list[int]) -> dict[int, Tensor]:
        """The squared radius of each ball, for each k in rising order: (G + 1, N padded)."""
        radii = torch.empty(len(ks), self.groups + 1, len(self), dtype=torch.float64)
        for rows in self.blocks(self):
            squared = self.distances(rows, self)
            squared.diagonal(rows.start).fill_(torch.inf)  # a point is not its own neighbour
            # The k nearest without a group are among the k nearest in each of the others.
            near = squared.view(len(squared), self.parts, self.length)
            near = near.topk(min(ks[-1], self.length), largest=False).values
            for index in range(self.groups + 1):
                left = near.clone()
                if index:
                    left[:, index - 1] = torch.inf
                nearest = left.flatten(1).topk(ks[-1], largest=False).values
                radii[:, index, rows] = nearest[:, [k - 1 for k in ks]].T
        # Strictly inside, to within rounding; an equal point is inside a ball of radius 0.
        return dict(zip(ks, radii.mul_(1 - 1e-9).clamp_(min=1e-300), strict=True))


class _Search:
    """One pass over the distances between the sets: who lies in whose ball, with each group left out.

    Args:
        radii: For each name the squared radii of its balls: those of the fakes for recall, else those of the reals.
    """

    def __init__(self, real: _Set, fake: _Set, radii: dict[str, Tensor]) -> None:
        self.kept = {"real": real.kept(), "fake": fake.kept()}
        self.hits = {name: torch.zeros(self.kept[_COUNTED[name]].shape, dtype=torch.long) for name in radii}
        for rows in real.blocks(fake):
            squared = real.distances(rows, fake)
            for name, radius in radii.items():
                self._count(name, squared, rows.start, radius)

    def _count(self, name: str, squared: Tensor, start: int, radius: Tensor) -> None:
        """Add to the hits of each sample: the balls it lies in, or for coverage the fakes in its own ball."""
        reach = radius.amax(0)
        inside = squared < (reach if name == "recall" else reach[start : start + len(squared), None])
        i, j = inside.nonzero(as_tuple=True)
        distance, i = squared[i, j], i + start
        ball, counted = (j if name == "recall" else i), (i if _COUNTED[name] == "real" else j)
        for index, hits in enumerate(self.hits[name]):
            valid = (distance < radius[index, ball]) & self.kept["real"][index, i] & self.kept["fake"][index, j]
            hits += torch.bincount(counted[valid], minlength=len(hits))

    def result(self, name: str, k: int) -> Tensor:
        """(G + 1,): the share of samples with a hit; for density the mean number of hits over k."""
        hits, kept = self.hits[name], self.kept[_COUNTED[name]]
        values = hits.double() / k if name == "density" else (hits > 0).double()
        return (values * kept).sum(1) / kept.sum(1)
