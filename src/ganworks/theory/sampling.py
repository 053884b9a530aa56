"""Distances that no quadrature reaches, from samples of both densities and with an interval."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ganworks.errors import error
from ganworks.registry import suggestion
from ganworks.theory.densities import Density
from ganworks.theory.floors import OPTIONS, checked, coin, paid
from ganworks.theory.optimal import optimal_logit
from ganworks.theory.quadrature import same_dimensions

_LEAST = 100
"""Samples from which the mean of a bounded number is as good as normal."""
_BIASED = ("wasserstein_1", "wasserstein", "relativistic_average")
_DIVERGENCES = ("jensen_shannon", "kullback_leibler")


class Sampled(NamedTuple):
    """An estimate, and the interval that holds the exact value with the asked probability."""

    value: float
    low: float
    high: float


def sampled(
    what: str, p: Density, q: Density, samples: int = 100_000, seed: int = 0, level: float = 0.95, **options: float
) -> Sampled:
    """A divergence, or what the best discriminator pays, estimated from draws: for any densities of any dimension.

    Nearly all are means over p and q of something between 0 and a bound, such as log 2 - H(p/(p + q)) for
    `jensen_shannon`. The interval is a normal one, in whose width a further draw at either bound is counted: it has a
    width also where every draw is as good as 0. `kullback_leibler` is the mean of log p/q over p, which has no bound
    and may be infinite; `relativistic_paired` pairs draws by their place.

    Args:
        what: `jensen_shannon`, `kullback_leibler`, or a loss of `discriminator_loss_at_optimum`.
        samples: Draws of each density, 100 or more.
        seed: Of the draws.
        level: The probability with which the interval holds the exact value, between 0 and 1.
        options: Of the loss.
    Raises: UsageError for an unknown name (E-NAME-03) or option (E-ARG-01), for too few samples or a level that is no
        share, and for what draws do not estimate without a bias (E-THEORY-01): `wasserstein_1` and `wasserstein`, whose
        value between n points is too large by about n^(-1/D), and `relativistic_average`, which the tails decide.
    """
    measured, bound = _measured(what, options)
    same_dimensions(what, p, q)
    if samples < _LEAST or not 0 < level < 1:
        needed = f"at least {_LEAST} samples and a level between 0 and 1"
        raise error("E-THEORY-01", what="sampled", needed=needed, got=f"{samples} samples and level {level}")
    draw = torch.Generator().manual_seed(seed)
    logit = optimal_logit(p, q)
    terms = measured(*(logit(density.sample(samples, draw).double()) for density in (p, q)))
    value = sum(term.mean().item() for term in terms)
    if math.isinf(value):  # a draw of p where q is 0
        return Sampled(value, value, value)
    deviation = math.sqrt(sum(_variance_of_mean(term, bound / len(terms)) for term in terms))
    reach = torch.special.ndtri(torch.tensor((1 + level) / 2, dtype=torch.float64)).item() * deviation
    return Sampled(value, max(value - reach, 0.0), min(value + reach, bound))


def _measured(what: str, options: dict[str, float]) -> tuple[Callable[[Tensor, Tensor], list[Tensor]], float]:
    """What is averaged, as a function of log p/q at draws of p and of q, and the largest value the sum can have."""
    if what in _DIVERGENCES and options:
        raise error("E-ARG-01", reason=f"'{what}' has no option '{min(options)}'")
    if what == "kullback_leibler":
        return lambda real, fake: [real], math.inf
    if what == "jensen_shannon":
        return lambda real, fake: [(math.log(2) - coin(side)) / 2 for side in (real, fake)], math.log(2)
    if what in _BIASED:
        raise error("E-THEORY-01", what="sampled", needed="what draws estimate without a bias", got=what)
    if what not in OPTIONS:
        raise error("E-NAME-03", name=what, details=suggestion(what, [*_DIVERGENCES, *OPTIONS]))
    given = checked(what, options)
    if what == "relativistic_paired":
        return lambda real, fake: [coin(real - fake)], math.log(2)
    point = paid(what, given)
    return lambda real, fake: [point(side) for side in (real, fake)], 2 * point(torch.zeros(())).item()


def _variance_of_mean(values: Tensor, bound: float) -> float:
    """Of the mean of n numbers between 0 and a bound, with one further draw at each."""
    n, mean = len(values), values.mean().item()
    ends = mean**2 + (bound - mean) ** 2 if math.isfinite(bound) else 0.0
    return ((n * values.var(correction=1).item()) + ends) / n**2
