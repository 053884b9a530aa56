"""The kernel distance: squared maximum mean discrepancy with the cubic kernel, on the whole sample.

Products, cubes and sums are in float64. In float32 they take half of the time, but the value is a small difference of
large means, and its first digits would be rounding where the laws are nearly equal.

Shapes: N and M samples of D numbers, in G groups.
"""

import torch
from jaxtyping import Float64
from torch import Tensor

from ganworks.errors import error
from ganworks.metrics.inputs import Samples, pair
from ganworks.metrics.interval import Estimate, assign, jackknife

_ROWS = 512
"""Rows of a product at once: with 2,048 columns as fast as any larger, and in a processor's cache."""
_COLUMNS = 2048


def kernel_distance(real: Samples, fake: Samples, estimator: str = "unbiased") -> float:
    """E k(x, x') + E k(y, y') - 2 E k(x, y) with k(x, y) = (x . y / d + 1)^3, not scaled.

    Args:
        real, fake: (N, D) and (M, D) features, at least 2 samples each.
        estimator: `unbiased` leaves the pairs (x, x) and (y, y) out and may be negative; `biased` keeps them;
            `u_statistic` also leaves out the pairs (x_i, y_i) and needs N = M.
    Raises: UsageError E-METRIC-01 (shapes, too few), E-METRIC-02 (not finite, or so large that cubes overflow),
        E-METRIC-03 (unknown estimator).
    Source: Bińkowski et al. 2018, section 4; Gretton et al. 2012, equations 3 to 5. In features of another network
        than the 2015 Inception it is not KID.
    """
    return estimates(real, fake, estimator=estimator)["kernel_distance"].value


def estimates(real: Samples, fake: Samples, groups: int = 0, estimator: str = "unbiased") -> dict[str, Estimate]:
    """The distance, with its error from groups left out where `groups` is not 0. Every kernel value is computed once.

    With fewer than 4 samples on a side there is no error.
    """
    if estimator not in ("unbiased", "biased", "u_statistic"):
        raise error("E-METRIC-03", metric="kernel_distance", name=f"estimator={estimator}")
    x, y = pair("kernel_distance", real, fake)
    if estimator == "u_statistic" and len(x) != len(y):
        counts = f"{len(x)} and {len(y)}"
        raise error("E-METRIC-01", metric="the u_statistic", needed="equally many real and fake samples", got=counts)
    groups = min(groups, len(x), len(y))
    groups = groups if groups > 3 else 0
    sums = _Sums(x, y, max(1, groups), paired=estimator == "u_statistic")
    everything = torch.ones(1, max(1, groups), dtype=torch.float64)
    value = sums.distances(everything, estimator)
    if not value.isfinite():
        raise error("E-METRIC-02", metric="kernel_distance", got="cubes that are too large for a number")
    if not groups:
        return {"kernel_distance": jackknife(value)}
    without = everything - torch.eye(groups, dtype=torch.float64)
    pairs = sums.distances((without[:, None] * without).flatten(0, 1), estimator).view(groups, groups)
    biased = max(0.0, float(sums.distances(everything, "biased")))
    return {"kernel_distance": jackknife(torch.cat((value, pairs.diagonal())), pairs.triu(1), biased)}


class _Sums:
    """Sums of kernel values within and between groups: all that any estimate without some groups needs."""

    def __init__(self, x: Tensor, y: Tensor, groups: int, paired: bool) -> None:
        x_in, y_in = (torch.nn.functional.one_hot(assign(len(part), groups), groups).double() for part in (x, y))
        self.x_count, self.y_count = x_in.sum(0), y_in.sum(0)
        self.x_same, self.y_same = _same(x, x) @ x_in, _same(y, y) @ y_in
        self.pairs = _same(x, y) @ x_in if paired else None
        self.xx, self.yy, self.xy = _between(x, x_in), _between(y, y_in), _between(x, x_in, y, y_in)

    def distances(self, keep: Float64[Tensor, "k g"], estimator: str) -> Float64[Tensor, " k"]:
        """The estimates from the groups whose `keep` is 1."""
        m, n = keep @ self.x_count, keep @ self.y_count
        xx, yy, xy = (((keep @ sums) * keep).sum(1) for sums in (self.xx, self.yy, self.xy))
        if estimator == "biased":
            return xx / m**2 + yy / n**2 - 2 * xy / (m * n)
        within = (xx - keep @ self.x_same) / (m * (m - 1)) + (yy - keep @ self.y_same) / (n * (n - 1))
        if self.pairs is None:
            return within - 2 * xy / (m * n)
        return within - 2 * (xy - keep @ self.pairs) / (m * (m - 1))


def _between(a: Tensor, a_in: Tensor, b: Tensor | None = None, b_in: Tensor | None = None) -> Float64[Tensor, "g g"]:
    """Sums of k(a, b) over the samples of each pair of groups; of k(a, a'), in half the time, where there is no b.

    Args:
        a_in, b_in: (N, G) and (M, G), 1 where a sample is in a group.
    """
    others, others_in = (a, a_in) if b is None or b_in is None else (b, b_in)
    sums = torch.zeros(a_in.shape[1], a_in.shape[1], dtype=torch.float64)
    for start in range(0, len(a), _ROWS):
        stop = min(start + _ROWS, len(a))
        rows, rows_in = a[start:stop] / a.shape[1], a_in[start:stop].T
        first = 0
        if b is None:  # symmetric: what lies beyond this block of the diagonal stands for its mirror image too
            sums += rows_in @ _kernel(rows @ a[start:stop].T) @ a_in[start:stop]
            first = stop
        for column in range(first, len(others), _COLUMNS):
            columns = slice(column, column + _COLUMNS)
            part = rows_in @ _kernel(rows @ others[columns].T) @ others_in[columns]
            sums += part + part.T if b is None else part
    return sums


def _same(a: Tensor, b: Tensor) -> Float64[Tensor, " n"]:
    """k(a_i, b_i)."""
    return _kernel((a * b).sum(1) / a.shape[1])


def _kernel(products: Tensor) -> Tensor:
    """The cubic kernel of dot products over D, in place."""
    return products.add_(1).pow_(3)
