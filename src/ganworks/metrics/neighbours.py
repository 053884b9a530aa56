"""Precision, recall, density and coverage: how two samples overlap, seen through nearest neighbours.

Each sample has a ball that reaches to its k-th nearest neighbour in its own set, itself not counted. Distances are
computed in blocks and never kept, so memory does not grow with the square of the samples; `distances.py` says how.

Conventions are those of the density-and-coverage paper's own code (prdc): a point on the edge of a ball is outside.
Two things are made safe against rounding: a point at the edge to within 1e-9 counts as on it, and a point equal to a
sample is inside that sample's ball even where duplicates have shrunk its radius to 0.

Shapes: N real, M fake samples of D numbers.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ganworks.errors import error
from ganworks.metrics.distances import Level, Points, blocks, center, first_level, nearest, same_scale
from ganworks.metrics.inputs import Samples, pair_as_given
from ganworks.metrics.interval import Estimate

_EDGE = 1e-9
"""A squared distance this close to the squared radius, relatively, is on the edge."""
_DOUBT = {Level.SINGLE: 1 / 128, Level.DOUBLE: 1 / 8}
"""With more of a block in doubt, the next level is faster than pair after pair (measured at D = 2,048, 2026-11)."""
_FEWEST = 5
"""Times k: with fewer samples a half is all neighbourhood (measured: 80 % instead of 95 at 14 samples and k = 5)."""
_HALVINGS = 8
"""Each takes half of the time of the value itself. With fewer, Student's t is larger and the intervals are wider."""
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
    values = estimates(real, fake, k=k, names=("precision", "recall"))
    return PrecisionRecall(values["precision"].value, values["recall"].value)


def density_coverage(real: Samples, fake: Samples, k: int = 5) -> DensityCoverage:
    """The number of real balls around a fake over k, and the share of real balls that hold a fake.

    For two samples of one law density is 1 and coverage about 1 - 2^-k.

    Args, Raises: As for `precision_recall`.
    Source: Naeem et al. 2020, equations 3 and 4.
    """
    values = estimates(real, fake, k=k, names=("density", "coverage"))
    return DensityCoverage(values["density"].value, values["coverage"].value)


def estimates(
    real: Samples, fake: Samples, groups: int = 0, k: int | None = None, names: tuple[str, ...] = tuple(DEFAULT_K)
) -> dict[str, Estimate]:
    """The named numbers, from one search; with their errors where `groups` is not 0, whatever it is.

    With some samples left out every ball grows, so the jackknife's intervals would be 1.5 times as wide as repetition
    shows. But two halves of the samples are two smaller samples, independent of each other, and their numbers spread as
    numbers of repeated samples do. With fewer than 5 k samples on a side halves say nothing: there is no error.

    Args:
        k: For all names; by default each name's own, `DEFAULT_K`.
    """
    ks = {name: DEFAULT_K[name] if k is None else k for name in names}
    metric, most = " and ".join(names), max(ks.values())
    if min(ks.values()) < 1:
        raise error("E-METRIC-01", metric=metric, needed="a k of at least 1", got=k)
    x, y = pair_as_given(metric, real, fake, least=most + 1)
    whole = _values(x, y, ks)
    if not groups or min(len(x), len(y)) < _FEWEST * most:
        return {name: Estimate(mean.value) for name, mean in whole.items()}
    random = torch.Generator().manual_seed(0)
    halves = []
    for _ in range(_HALVINGS):
        parts = (points[torch.randperm(len(points), generator=random)].tensor_split(2) for points in (x, y))
        halves += [_values(half_x, half_y, ks) for half_x, half_y in zip(*parts, strict=True)]
    return {name: _with_error(name, mean, [half[name] for half in halves]) for name, mean in whole.items()}


class _Mean(NamedTuple):
    """A number as a mean over the samples that are counted: the variance among them, how many, the least but 0."""

    value: float
    variance: float
    samples: int
    least: float


def _with_error(name: str, whole: _Mean, halves: list[_Mean]) -> Estimate:
    """A number with its error, from the halves of each halving in turn, which together are one degree of freedom.

    Were the counted samples independent, its variance would be v/n. It is f v/n with f of 1 or more, since samples
    share balls and balls share samples. f is measured on the halves and taken for the whole, but v is the whole's own,
    as the number may grow or fall with n. A share p has v = p (1 - p), so this is Wilson's interval with f times fewer
    samples: no share of 1 is sure.
    """
    values = torch.tensor([half.value for half in halves], dtype=torch.float64).view(-1, 2)
    freedom, alone = len(values), sum(half.variance / half.samples for half in halves) / len(halves)
    factor = max(1.0, float(values.var(1).mean()) / alone) if alone else 1.0
    square = factor * whole.variance / whole.samples
    if name == "density":
        # As where hits are rare: a variance in proportion to the number, and without a hit that of single hits.
        slope = square / whole.value if whole.value else whole.least
        return Estimate(whole.value, square**0.5, freedom, slope)
    slope = factor * (1 - 2 * whole.value) / whole.samples
    return Estimate(whole.value, square**0.5, freedom, slope, -factor / whole.samples)


def _values(real: Tensor, fake: Tensor, ks: dict[str, int]) -> dict[str, _Mean]:
    """The named numbers."""
    real, fake = same_scale(real, fake)
    y_radii = {}
    if "recall" in ks:
        # About their own centre: the fakes of a collapse differ little, and may lie far from the data.
        y_radii = nearest(Points(fake, center(fake)), {ks["recall"]})
    x = Points(real, center(real))
    x_radii = nearest(x, {k for name, k in ks.items() if name != "recall"})
    y = Points(fake, x.center)
    x_balls, y_balls = (
        {k: _Balls(points, each) for k, each in radii.items()} for points, radii in ((x, x_radii), (y, y_radii))
    )
    hits = {name: torch.zeros(len(y if name in ("precision", "density") else x)) for name in ks}
    for rows in blocks(len(x)):
        for columns in blocks(len(y)):
            block = _Block(x, y, rows, columns)
            for k, balls in x_balls.items():
                inside = block.inside(balls, of_fakes=False)
                if ks.get("precision") == k:
                    hits["precision"][columns] += inside.amax(0)
                if ks.get("coverage") == k:
                    hits["coverage"][rows] += inside.amax(1)
                if ks.get("density") == k:
                    hits["density"][columns] += inside.float().sum(0)
            for balls in y_balls.values():
                hits["recall"][rows] += block.inside(balls, of_fakes=True).amax(1)
    result = {}
    for name, count in hits.items():
        each, unit = (count.double(), ks[name]) if name == "density" else ((count > 0).double(), 1)
        whole, variance = unit * len(each), float(each.var(correction=0)) / unit**2
        result[name] = _Mean(float(each.sum()) / whole, variance, len(each), 1 / whole)
    return result


class _Balls:
    """The balls around a sample's points, and between which squared distances a level is not sure."""

    def __init__(self, points: Points, radii: Tensor) -> None:
        # Strictly inside, to within rounding; an equal point is inside a ball of radius 0.
        self.points, self.radii = points, (radii * (1 - _EDGE)).clamp(min=1e-300)

    def limits(self, which: slice, level: Level) -> tuple[Tensor, Tensor]:
        """Below the first a point is surely inside, from the second on surely outside: (n,) each."""
        radii = self.radii[which]
        slack = self.points.slack(which, radii, level)
        sure = torch.where(radii >= slack, radii - slack, -torch.inf)
        return (sure.float(), (radii + slack).float()) if level == Level.SINGLE else (sure, radii + slack)


class _Block:
    """Some reals against some fakes."""

    def __init__(self, x: Points, y: Points, rows: slice, columns: slice) -> None:
        self.x, self.y, self.rows, self.columns = x, y, rows, columns
        self.level = first_level(x.points.shape[1])
        self.squared = x.squared(rows, y, columns, self.level)

    def inside(self, balls: _Balls, of_fakes: bool) -> Tensor:
        """(n, m): which fakes lie in which balls of reals, or which reals in which balls of fakes."""
        return self._inside(balls, of_fakes, self.squared, self.level)

    def _inside(self, balls: _Balls, of_fakes: bool, squared: Tensor, level: Level) -> Tensor:
        sure, possible = balls.limits(self.columns if of_fakes else self.rows, level)
        inside = squared < (sure if of_fakes else sure[:, None])
        if level == Level.DIRECT:
            return inside
        doubtful = inside ^ (squared < (possible if of_fakes else possible[:, None]))
        if doubtful.count_nonzero() > _DOUBT[level] * doubtful.numel():
            level = Level(level + 1)
            return self._inside(balls, of_fakes, self.x.squared(self.rows, self.y, self.columns, level), level)
        i, j = doubtful.nonzero(as_tuple=True)
        fake, real = j + self.columns.start, i + self.rows.start
        inside[i, j] = self.x.between(real, self.y, fake) < balls.radii[fake if of_fakes else real]
        return inside
