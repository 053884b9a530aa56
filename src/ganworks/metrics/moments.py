"""Means and covariances, of all samples and without some groups of them, from arrays or batch by batch."""

import functools
from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from ganworks.metrics.inputs import Samples, rows, unfit
from ganworks.metrics.interval import GROUPS, assign

_BLOCK = 256
"""Columns of a covariance computed at once; those left of its diagonal need not be."""


class Normal(NamedTuple):
    """A normal distribution: its mean (D,), its variances (D,), and one of two forms of its covariance."""

    mean: Float64[Tensor, " d"]
    variances: Float64[Tensor, " d"]
    covariance: Float64[Tensor, "d d"] | None
    rows: Float64[Tensor, "r d"] | None
    """R with R^T R = covariance, for no more samples than D."""


class _Sums(NamedTuple):
    """Of samples, measured from a center near their mean: so nothing is lost when the square of the mean goes off."""

    size: int
    total: Float64[Tensor, " d"]
    scatter: Float64[Tensor, "d d"]

    def plus(self, other: "_Sums") -> "_Sums":
        return _Sums(self.size + other.size, self.total + other.total, self.scatter + other.scatter)

    def minus(self, other: "_Sums") -> "_Sums":
        return _Sums(self.size - other.size, self.total - other.total, self.scatter - other.scatter)

    def moved(self, by: Tensor) -> "_Sums":
        """The same samples measured from a center that lies at -by from here."""
        cross = torch.outer(self.total, by)
        scatter = self.scatter + cross + cross.T + self.size * torch.outer(by, by)
        return _Sums(self.size, self.total + self.size * by, scatter)

    def normal(self, center: Tensor) -> Normal:
        shift = self.total / self.size
        covariance = (self.scatter - self.size * torch.outer(shift, shift)) / (self.size - 1)
        return Normal(center + shift, covariance.diagonal(), covariance, None)


def gram(offsets: Float64[Tensor, "n d"]) -> Float64[Tensor, "d d"]:
    """X^T X, with little more than half of the products."""
    width = offsets.shape[1]
    result = offsets.new_empty(width, width)
    for start in range(0, width, _BLOCK):
        block = slice(start, start + _BLOCK)
        torch.mm(offsets[:, block].T, offsets[:, start:], out=result[block, start:])
        result[start + _BLOCK :, block] = result[block, start + _BLOCK :].T
    return result


def _sums(offsets: Tensor) -> _Sums:
    return _Sums(len(offsets), offsets.sum(0), gram(offsets))


class Rows:
    """Samples that are all at hand; a group is summed when it is left out.

    Args:
        points: (N, D), at least one.
        groups: G, the groups of which some can be left out; 0 for none.
    """

    def __init__(self, points: Float64[Tensor, "n d"], groups: int) -> None:
        self.groups = assign(len(points), groups)
        self.center = points.mean(0)
        self.offsets = points - self.center
        self.sums = _sums(self.offsets) if len(points) > points.shape[1] else None
        if self.sums is not None and not groups:
            self.offsets = self.offsets[:0].clone()  # nothing will be left out: half of the memory

    def without(self, *groups: int) -> Normal:
        """The normal of all samples but those of some groups."""
        left_out = torch.isin(self.groups, torch.tensor(groups, dtype=self.groups.dtype))
        left = len(left_out) - int(left_out.sum())
        if self.sums is not None and left > self.offsets.shape[1]:
            sums = self.sums.minus(_sums(self.offsets[left_out])) if groups else self.sums
            return sums.normal(self.center)
        kept = self.offsets[~left_out]
        shift = kept.mean(0)
        spread = (kept - shift) / (left - 1) ** 0.5
        return Normal(self.center + shift, spread.square().sum(0), None, spread)


class _Summed:
    """Groups of which only the sums are left."""

    def __init__(self, center: Tensor, each: list[_Sums]) -> None:
        self.center, self.each = center, each
        self.sums = functools.reduce(_Sums.plus, each)

    def without(self, *groups: int) -> Normal:
        """As `Rows.without`."""
        sums = functools.reduce(_Sums.minus, (self.each[g] for g in groups), self.sums)
        if sums.size < 2:
            raise unfit("the Fréchet distance", "at least 2 samples without any group", sums.size)
        return sums.normal(self.center)


Grouped = Rows | _Summed


class Moments:
    """The mean and covariance of features that come batch by batch, for `frechet_distance` in place of an array.

    However the rows are cut into batches or ordered, the distance is the same to rounding. Up to 2 D + 1024 rows are
    kept; from then on memory is that of G matrices (D, D) in float64.

    Args:
        dimensions: D, numbers in a row.
        groups: G, of the jackknife; 0 for the distance without an interval.
        count: How many rows will come, where that is known. Groups are then those of an array of so many rows, of
            sizes that differ by one at most; otherwise a group is drawn for each row by its number.
    """

    def __init__(self, dimensions: int, groups: int = GROUPS, count: int | None = None) -> None:
        self.dimensions, self.groups = dimensions, groups
        self._order = None if count is None else assign(count, groups)
        self._draw = torch.Generator().manual_seed(0)
        self._kept: list[Tensor] = []
        self._waiting = self._summed = 0
        self._center = torch.zeros(dimensions, dtype=torch.float64)
        self._each: list[_Sums] = []

    def __len__(self) -> int:
        return self._summed + self._waiting

    @property
    def shape(self) -> tuple[int, int]:
        """(N, D), as of the array it stands for."""
        return len(self), self.dimensions

    def add(self, features: Samples) -> None:
        """One more batch: (B, D).

        Raises: UsageError E-METRIC-01 (another shape, more rows than said) or E-METRIC-02 (not finite).
        """
        batch = rows("Moments", "features", features, least=0)
        if batch.shape[1] != self.dimensions:
            raise unfit("Moments", f"{self.dimensions} numbers in a row", batch.shape[1])
        if self._order is not None and len(self) + len(batch) > len(self._order):
            raise unfit("Moments", f"no more than the {len(self._order)} rows announced", len(self) + len(batch))
        limit = 2 * self.dimensions + 1024
        while self._waiting + len(batch) > limit:
            first = limit - self._waiting
            self._keep(batch[:first])
            self._sum_up()
            batch = batch[first:]
        self._keep(batch)

    def merge(self, other: "Moments") -> None:
        """Take in the rows of another, of as many dimensions and groups; it stays as it is.

        Raises: UsageError E-METRIC-01 for other dimensions or groups.
        """
        if (self.dimensions, self.groups) != (other.dimensions, other.groups):
            needed = f"the other to have {self.dimensions} numbers in a row and {self.groups} groups"
            raise unfit("Moments.merge", needed, f"{other.dimensions} and {other.groups}")
        if not other._each and self._order is None:
            return self.add(torch.cat([torch.zeros(0, self.dimensions).double(), *other._kept]))
        self._sum_up()
        other._sum_up()
        by = other._center - self._center
        self._each = [ours.plus(theirs.moved(by)) for ours, theirs in zip(self._each, other._each, strict=True)]
        self._summed += other._summed
        return None

    def grouped(self, groups: int) -> Grouped:
        """What the distance needs.

        Raises: UsageError E-METRIC-01 if other groups are asked for than were summed.
        """
        if not self._each:
            return Rows(torch.cat(self._kept), groups)
        if groups not in (0, self.groups):
            raise unfit("Moments", f"to be made with groups={groups} to be used so", self.groups)
        self._sum_up()
        return _Summed(self._center, self._each)

    def _keep(self, batch: Tensor) -> None:
        self._kept.append(batch.clone())
        self._waiting += len(batch)

    def _sum_up(self) -> None:
        """Turn the rows at hand into sums."""
        points = torch.cat([torch.zeros(0, self.dimensions).double(), *self._kept])
        parts = max(1, self.groups)
        if not self._each:
            if len(points):
                self._center = points.mean(0)
            zero = torch.zeros(self.dimensions, self.dimensions, dtype=torch.float64)
            self._each = [_Sums(0, zero[0], zero)] * parts
        if self._order is None:
            group = torch.randint(parts, (len(points),), generator=self._draw)
        else:
            group = self._order[self._summed : self._summed + len(points)]
        offsets = points - self._center
        self._each = [each.plus(_sums(offsets[group == g])) for g, each in enumerate(self._each)]
        self._kept, self._waiting, self._summed = [], 0, len(self)


def grouped(metric: str, name: str, points: Samples | Moments, groups: int, least: int) -> Grouped:
    """Samples or their moments, checked, ready to leave groups out.

    Raises: UsageError E-METRIC-01 (shape, too few, other groups) or E-METRIC-02 (not finite).
    """
    if not isinstance(points, Moments):
        return Rows(rows(metric, name, points, least=least), groups)
    if len(points) < least:
        raise unfit(metric, f"at least {least} samples in {name}", len(points))
    return points.grouped(groups)
