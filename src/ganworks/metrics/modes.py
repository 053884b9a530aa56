"""Which modes of a known mixture a sample reaches, and how well it fills them."""

from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from ganworks.errors import error
from ganworks.metrics.inputs import Samples, rows
from ganworks.metrics.interval import sums_without_each
from ganworks.theory import Density, Mixture

_REACH = 3.0
"""A sample is of high quality within this many std of the nearest mean. Source: Metz et al. 2016; Lin et al. 2017."""


class ModeCoverage(NamedTuple):
    """`modes` is a count, `high_quality` a share, `reverse_kl` is in nats, `std_ratio` is 1 for perfect samples."""

    modes: int
    high_quality: float
    reverse_kl: float
    std_ratio: float


def mode_coverage(points: Samples, density: Density) -> ModeCoverage:
    """Modes reached, share of high quality, balance over the modes, and width within them.

    A sample is of high quality within 3 std of the nearest mean, and a mode counts with one such sample. The reverse KL
    is from the high-quality counts to the weights. The std ratio is the root mean square of (x - mean)/std over the
    high-quality samples and coordinates, over the same for perfect samples cut at 3 std. With no high-quality sample
    the reverse KL is its largest possible value, log(1/smallest weight), and the std ratio 0.

    Args:
        points: (N, D), at least one.
        density: A mixture of round normals, such as `ring()` and `grid()`.
    Raises: UsageError E-METRIC-01 (no points, another D), E-METRIC-02 (not finite), E-THEORY-01 (no such modes).
    """
    values = {name: float(value[0]) for name, value in replicates(density, points).items()}
    return ModeCoverage(int(values["modes"]), values["high_quality"], values["reverse_kl"], values["std_ratio"])


def replicates(density: Density, points: Samples, groups: int = 0) -> dict[str, Float64[Tensor, " g"]]:
    """The four numbers on all points and without each group: (G + 1,) each."""
    samples = rows("mode_coverage", "points", points, least=2 if groups else 1)
    if not isinstance(density, Mixture) or samples.shape[1] != density.dimensions:
        needed = f"a mixture on the {samples.shape[1]} coordinates of the points"
        got = f"{type(density).__name__} on {density.dimensions}"
        raise error("E-METRIC-01", metric="mode_coverage", needed=needed, got=got)
    distance, mode = torch.cdist(samples, density.means, compute_mode="donot_use_mm_for_euclid_dist").min(1)
    offset = distance / density.stds[mode]
    good = (offset <= _REACH).double()
    counts = sums_without_each(good, mode, len(density.weights), groups)
    squares = sums_without_each(good * offset.square(), mode, len(density.weights), groups)
    totals = sums_without_each(torch.ones_like(good), mode, len(density.weights), groups)
    return _numbers(counts, squares.sum(1), totals.sum(1), density)


def _numbers(counts: Tensor, squares: Tensor, totals: Tensor, density: Mixture) -> dict[str, Tensor]:
    """From the counts of each mode (R, K), the squared offsets in std (R,) and the number of points (R,)."""
    good = counts.sum(1)
    perfect = good.clamp(min=1) * density.dimensions * _perfect_square(density.dimensions)
    return {
        "modes": (counts > 0).sum(1).double(),
        "high_quality": good / totals,
        "reverse_kl": reverse_kl(counts, density.weights),
        "std_ratio": (squares / perfect).clamp(min=0).sqrt(),
    }


def reverse_kl(counts: Float64[Tensor, "r k"], weights: Float64[Tensor, " k"]) -> Float64[Tensor, " r"]:
    """KL(counts/sum || weights) of each row, in nats; its largest possible value where a row is empty."""
    total = counts.sum(1, keepdim=True)
    shares = counts / total.clamp(min=1)
    values = (torch.xlogy(shares, shares) - torch.xlogy(shares, weights)).sum(1).clamp(min=0)
    return torch.where(total[:, 0] > 0, values, -weights.min().log())


def _perfect_square(dimensions: int) -> float:
    """E of z_1^2 given |z| <= 3, for z ~ N(0, I_D): the ratio of two chi-square probabilities."""
    half = torch.tensor([dimensions / 2 + 1, dimensions / 2], dtype=torch.float64)
    wider, narrower = torch.special.gammainc(half, torch.full_like(half, _REACH**2 / 2)).tolist()
    return float(wider / narrower)
