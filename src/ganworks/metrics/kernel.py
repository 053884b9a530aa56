"""The kernel distance: squared maximum mean discrepancy with the cubic kernel, on the whole sample."""

import torch
from jaxtyping import Float64
from torch import Tensor

from ganworks.errors import error
from ganworks.metrics.inputs import Samples, pair
from ganworks.metrics.interval import GROUPS, assign

_BLOCK = 1 << 23
"""Kernel values held at once: 64 MiB."""


def kernel_distance(real: Samples, fake: Samples, estimator: str = "unbiased") -> float:
    """E k(x, x') + E k(y, y') - 2 E k(x, y) with k(x, y) = (x . y / d + 1)^3, not scaled.

    Args:
        real, fake: (N, D) and (M, D) features, at least 2 samples each.
        estimator: `unbiased` leaves the pairs (x, x) and (y, y) out and may be negative; `biased` keeps them;
            `u_statistic` also leaves out the pairs (x_i, y_i) and needs N = M.
    Raises: UsageError E-METRIC-01 (shapes, too few), E-METRIC-02 (not finite), E-METRIC-03 (unknown estimator).
    Source: Bińkowski et al. 2018, section 4; Gretton et al. 2012, equations 3 to 5. In features of another network
        than the 2015 Inception it is not KID.
    """
    return float(replicates(real, fake, estimator=estimator)["kernel_distance"][0])


def replicates(
    real: Samples, fake: Samples, groups: int = 0, estimator: str = "unbiased"
) -> dict[str, Float64[Tensor, " g"]]:
    """The distance on all samples and without each group: (G + 1,). Every kernel value is computed once."""
    if estimator not in ("unbiased", "biased", "u_statistic"):
        raise error("E-METRIC-03", metric="kernel_distance", name=f"estimator={estimator}")
    x, y = pair("kernel_distance", real, fake, least=2 if groups == 0 else 3)
    if estimator == "u_statistic" and len(x) != len(y):
        counts = f"{len(x)} and {len(y)}"
        raise error("E-METRIC-01", metric="the u_statistic", needed="equally many real and fake samples", got=counts)
    parts = groups or min(GROUPS, len(x), len(y))
    sums = _Sums(x, y, parts, paired=estimator == "u_statistic")
    keep = torch.ones(groups + 1, parts, dtype=torch.float64)
    keep[1:].fill_diagonal_(0)
    return {"kernel_distance": torch.stack([sums.distance(kept, estimator) for kept in keep])}


class _Sums:
    """Sums of kernel values within and between groups: all that any estimate without a group needs."""

    def __init__(self, x: Tensor, y: Tensor, groups: int, paired: bool) -> None:
        self.groups = groups
        x_group, y_group = assign(len(x), groups), assign(len(y), groups)
        self.x_count, self.y_count = self._by_group(x_group), self._by_group(y_group)
        self.x_same = self._by_group(x_group, _kernel(x.square().sum(1), x.shape[1]))
        self.y_same = self._by_group(y_group, _kernel(y.square().sum(1), y.shape[1]))
        self.pairs = self._by_group(x_group, _kernel((x * y).sum(1), x.shape[1])) if paired else self.x_same * 0
        self.xx = self._between(x, x_group, x, x_group, symmetric=True)
        self.yy = self._between(y, y_group, y, y_group, symmetric=True)
        self.xy = self._between(x, x_group, y, y_group)

    def _by_group(self, group: Tensor, values: Tensor | None = None) -> Tensor:
        values = torch.ones(len(group), dtype=torch.float64) if values is None else values
        return torch.zeros(self.groups, dtype=torch.float64).index_add_(0, group, values)

    def _between(self, a: Tensor, a_group: Tensor, b: Tensor, b_group: Tensor, symmetric: bool = False) -> Tensor:
        """(G, G) sums of k(a, b); a symmetric matrix is computed on and above its diagonal only."""
        sums = torch.zeros(self.groups, self.groups, dtype=torch.float64)
        b, b_group = b[b_group.argsort(stable=True)], b_group.sort().values
        for g in range(self.groups):
            first = int((b_group < g).sum()) if symmetric else 0
            others, other_group = b[first:], b_group[first:]
            members, step = a[a_group == g], max(1, _BLOCK // len(b))
            for start in range(0, len(members), step):
                values = _kernel(members[start : start + step] @ others.T, a.shape[1])
                sums[g].index_add_(0, other_group, values.sum(0))
        return sums.triu() + sums.triu(1).T if symmetric else sums

    def distance(self, keep: Tensor, estimator: str) -> Tensor:
        """The estimate from the groups whose `keep` is 1."""
        m, n = keep @ self.x_count, keep @ self.y_count
        xx, yy, xy = (keep @ sums @ keep for sums in (self.xx, self.yy, self.xy))
        if estimator == "biased":
            return xx / m**2 + yy / n**2 - 2 * xy / (m * n)
        within = (xx - keep @ self.x_same) / (m * (m - 1)) + (yy - keep @ self.y_same) / (n * (n - 1))
        if estimator == "unbiased":
            return within - 2 * xy / (m * n)
        return within - 2 * (xy - keep @ self.pairs) / (m * (m - 1))


def _kernel(products: Tensor, dimensions: int) -> Tensor:
    """The cubic kernel of dot products, in place."""
    return products.div_(dimensions).add_(1).pow_(3)
