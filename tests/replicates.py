"""The jackknife's replicates, each computed anew: what faster ways must give."""

from collections.abc import Callable

import torch
from jaxtyping import Float64
from torch import Tensor

from ganworks.metrics.interval import assign


def recomputed(
    statistic: Callable[[Tensor, Tensor], float], real: Tensor, fake: Tensor, groups: int
) -> Float64[Tensor, " g"]:
    """A metric on everything and without each group: (G + 1,)."""
    real_group, fake_group = assign(len(real), groups), assign(len(fake), groups)
    values = [statistic(real, fake)]
    values += [statistic(real[real_group != g], fake[fake_group != g]) for g in range(groups)]
    return torch.tensor(values, dtype=torch.float64)
