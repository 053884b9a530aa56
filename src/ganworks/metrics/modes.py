"""Which modes of a known mixture a sample reaches, and how well it fills them."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from ganworks.errors import error
from ganworks.metrics.inputs import Samples, rows
from ganworks.metrics.interval import Estimate, of_sums, share, sums_of_groups
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
    values = {name: found.value for name, found in estimates(density, points).items()}
    return ModeCoverage(round(values["modes"]), values["high_quality"], values["reverse_kl"], values["std_ratio"])


def estimates(density: Density, points: Samples, groups: int = 0) -> dict[str, Estimate]:
    """The four numbers.

    With no high-quality sample the reverse KL and the std ratio have no error.
    """
    samples = rows("mode_coverage", "points", points, least=2 if groups else 1)
    if not isinstance(density, Mixture) or samples.shape[1] != density.dimensions:
        needed = f"a mixture on the {samples.shape[1]} coordinates of the points"
        got = f"{type(density).__name__} on {density.dimensions}"
        raise error("E-METRIC-01", metric="mode_coverage", needed=needed, got=got)
    distance, mode = torch.cdist(samples, density.means, compute_mode="donot_use_mm_for_euclid_dist").min(1)
    offset = distance / density.stds[mode]
    good = (offset <= _REACH).double()
    counts = sums_of_groups(good, mode, len(density.weights), groups)
    near = offset.where(good > 0, 0)  # of others the square may overflow
    squares = sums_of_groups(near.square(), torch.zeros_like(mode), 1, groups)
    perfect = density.dimensions * _perfect_square(density.dimensions)

    def width(sums: Tensor) -> Tensor:
        return (sums[:, 0] / (perfect * sums[:, 1].clamp(min=1))).clamp(min=0).sqrt()

    found = {
        "modes": _modes(counts),
        "high_quality": share(float(good.mean()), len(good)),
        "reverse_kl": estimated_kl(counts, lambda sums: (sums, density.weights)),
        "std_ratio": of_sums(torch.cat((squares, counts.sum(1, keepdim=True)), 1), width),
    }
    if not good.any():
        found |= {name: Estimate(found[name].value) for name in ("reverse_kl", "std_ratio")}
    return found


def _modes(counts: Float64[Tensor, "g k"]) -> Estimate:
    """How many modes are reached; a mode that was not may have been missed by chance.

    Each of the u missing modes is reached by other samples with some probability q, which adds u q to the true value
    and u q (1 - q) to its variance.
    """
    found = of_sums(counts, lambda sums: (sums > 0.5).sum(1).double())
    missing = counts.shape[1] - found.value
    return found._replace(slope=1.0, bend=-1 / missing) if missing else found


def estimated_kl(sums: Tensor, split: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Estimate:
    """A reverse KL. Where all samples are in one mode its error is what one sample elsewhere would change.

    Args:
        sums: (G, ...), for each group.
        split: Gives the counts and the weights, as in `reverse_kl`, for rows of sums.
    """
    found = of_sums(sums, lambda rows: reverse_kl(*split(rows)), squared=True)
    counts, weights = split(sums.sum(0, keepdim=True))
    if found.error != 0 or len(counts[0]) == 1:
        return found
    elsewhere = torch.nn.functional.one_hot(counts[0].argmin(), len(counts[0]))
    return found._replace(error=abs(float(reverse_kl(counts + elsewhere, weights)) - found.value))


def reverse_kl(counts: Float64[Tensor, "r k"], weights: Float64[Tensor, "... k"]) -> Float64[Tensor, " r"]:
    """KL(counts/sum || weights) of each row, in nats; its largest possible value where a row is empty."""
    total = counts.sum(1, keepdim=True)
    shares = counts / total.clamp(min=1)
    values = (torch.xlogy(shares, shares) - torch.xlogy(shares, weights)).sum(1).clamp(min=0)
    return torch.where(total[:, 0] > 0, values, -weights.amin(-1).log())


def _perfect_square(dimensions: int) -> float:
    """E of z_1^2 given |z| <= 3, for z ~ N(0, I_D): the ratio of two chi-square probabilities."""
    half = torch.tensor([dimensions / 2 + 1, dimensions / 2], dtype=torch.float64)
    wider, narrower = torch.special.gammainc(half, torch.full_like(half, _REACH**2 / 2)).tolist()
    return float(wider / narrower)
