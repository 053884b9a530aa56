"""Whether samples are copies of training rows: nearer to them than real data that training never saw."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from ganworks.metrics.inputs import Samples, rows, unfit
from ganworks.metrics.interval import Estimate
from ganworks.metrics.nearest import distinct, nearest, same_scale
from ganworks.metrics.ranks import smaller

PAIRS = 16


class ClosestPair(NamedTuple):
    """A sample and the training row nearest to it, by their numbers."""

    fake: int
    train: int
    distance: float


class Memorization(NamedTuple):
    """`ratio` is 1 for samples of the data's own law and 0 for copies; a small `p_value` tells copies from chance."""

    ratio: float
    p_value: float
    pairs: tuple[ClosestPair, ...]


def memorization(train: Samples, held_out: Samples, fake: Samples, seed: int = 0) -> Memorization:
    """How close samples come to single training rows, over how close held-out rows come to them.

    The closeness of a point is its distance to the nearest training row over that to the second nearest: 0 for a copy,
    and at most 1. It is measured to the same training rows for both, so the sizes of the sets do not matter, and in
    the spacing of the data about the point, so samples that are merely typical, or of few modes, are no copies.

    `ratio` is the mean over the samples over the mean over the held-out rows: about 1 less the share of copies.
    `p_value` is one-sided, from the Mann-Whitney test on the closeness of equally many of both; a training row counts
    once, however many samples it is nearest to. `pairs` are the 16 samples nearest to a training row, nearest first.

    Args:
        train: (N, D), at least two that differ; rows that are there twice count once.
        held_out, fake: (H, D) and (M, D).
        seed: Of the draw that makes the tested sets equally large.
    Raises: UsageError E-METRIC-01 (shapes, too few) or E-METRIC-02 (not finite).
    Source: the test: Meehan, Chaudhuri and Dasgupta 2020; the local scale in the place of their cells: Lowe 2004,
        section 7.1; that of authenticity: Alaa et al. 2022, section 4.2.
    """
    known, first, unit, sets = _checked(train, held_out, fake)
    found = [_Closeness(*nearest(points, known, 2)) for points in sets]
    held, made = found
    ratio = made.values.mean() / held.values.mean()
    count = min(len(held.values), len(made.values))
    tested = [each.of_few(count, seed) for each in found]
    order = made.distance.argsort(stable=True)[:PAIRS].tolist()
    pairs = (ClosestPair(i, int(first[made.row[i]]), unit * made.distance[i].item()) for i in order)
    return Memorization(ratio.item(), smaller(tested[1], tested[0]), tuple(pairs))


def estimates(train: Samples, fake: Samples, groups: int = 0, held_out: Samples | None = None) -> dict[str, Estimate]:
    """The ratio, with the error that other samples and other held-out rows would give it; the training rows stay.

    Both means are of independent numbers, so the error needs no groups: that of a ratio, to first order.
    """
    if held_out is None:
        raise unfit("memorization", "held_out, rows that training never saw", "none")
    known, _, _, sets = _checked(train, held_out, fake)
    held, made = (_Closeness(*nearest(points, known, 2)).values for points in sets)
    ratio, freedom = made.mean() / held.mean(), min(len(held), len(made)) - 1
    if not groups or freedom < 1:
        return {"memorization": Estimate(ratio.item())}
    variance = (made.var() / len(made) + ratio**2 * held.var() / len(held)) / held.mean() ** 2
    return {"memorization": Estimate(ratio.item(), variance.sqrt().item(), freedom)}


class _Closeness:
    """How close points come to single training rows: `values` from 0 to 1, the nearest `row` and the distance to it."""

    def __init__(self, distances: Float64[Tensor, "n 2"], numbers: Int64[Tensor, "n 2"]) -> None:
        self.distance, self.row = distances[:, 0], numbers[:, 0]
        self.values = distances[:, 0] / distances[:, 1]  # the rows differ, so the second is never at 0

    def of_few(self, count: int, seed: int) -> Float64[Tensor, " few"]:
        """Of so many points, drawn; of those with the same nearest row, one. They would be one piece of evidence."""
        drawn = torch.randperm(len(self.row), generator=torch.Generator().manual_seed(seed))[:count]
        _, first = np.unique(self.row[drawn].numpy(), return_index=True)
        return self.values[drawn[torch.from_numpy(first)]]


def _checked(
    train: Samples, held_out: Samples, fake: Samples
) -> tuple[Tensor, Int64[Tensor, " k"], float, tuple[Tensor, Tensor]]:
    """The training rows without repetition, their numbers, the unit of all, and held-out rows and samples in it."""
    given = {"train": (train, 2), "held_out": (held_out, 1), "fake": (fake, 1)}
    known, *sets = (rows("memorization", name, values, fewest) for name, (values, fewest) in given.items())
    if len({points.shape[1] for points in (known, *sets)}) > 1:
        widths = ", ".join(str(points.shape[1]) for points in (known, *sets))
        raise unfit("memorization", "train, held_out and fake with equally many numbers per sample", widths)
    first, _ = distinct(known)
    if len(first) < 2:
        raise unfit("memorization", "at least two training rows that differ", len(first))
    if len(distinct(torch.cat((known, sets[0])))[0]) == len(first):
        raise unfit("memorization", "held-out rows that training never saw", "only copies of training rows")
    unit, (known, held, made) = same_scale(known[first], *sets)
    return known, first, unit, (held, made)
