"""The least that any discriminator pays: L_D of each loss at its optimum, as `ganworks.losses` defines it.

Letters: l = log p/q; D = σ(l) = p/(p + q); H(s) = -s log s - (1 - s) log(1 - s); M the largest p/q.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ganworks.errors import error
from ganworks.registry import suggestion
from ganworks.theory import relativistic
from ganworks.theory.densities import Density
from ganworks.theory.quadrature import rule
from ganworks.theory.transport import wasserstein_1

OPTIONS: dict[str, dict[str, float]] = {
    "minimax": {"real_target": 1.0},
    "non_saturating": {"real_target": 1.0},
    "wasserstein": {},
    "least_squares": {"a": 0.0, "b": 1.0, "c": 1.0},
    "hinge": {},
    "relativistic_paired": {},
    "relativistic_average": {},
}
"""Every loss with its options and their defaults, as in `ganworks.losses`."""

_SURE = 1e6
"""A logit from which D is 0 or 1 in all the digits there are."""


def discriminator_loss_at_optimum(p: Density, q: Density, loss: str, **options: float) -> float:
    """What the best of all discriminators pays: the least value of L_D.

    | loss | least L_D | optimum |
    | --- | --- | --- |
    | `minimax`, `non_saturating` | log 4 - 2 JSD(p, q) | f = l |
    | the same with `real_target` t | ∫ (p + q) H(tD) | f = log tp/((1 - t)p + q) |
    | `least_squares` with `a`, `b` | ½ (b - a)² ∫ pq/(p + q) | f = (bp + aq)/(p + q) |
    | `hinge` | 2 ∫ min(p, q) | f = sign(p - q) |
    | `wasserstein` | -W1(p, q), over critics with slope 1 at most | |
    | `relativistic_paired` | log 2 - JSD(p⊗q, q⊗p) | f = l |
    | `relativistic_average` | 0 where p/q and q/p are unbounded | none |
    | the same with p/q ≤ M, q/p unbounded | max over λ ≤ 1/M of ∫ q H(λp/q) | σ(f - E_p f) = λp/q on q's side |

    For the last two rows and p/q, q/p both bounded, see `ganworks.theory.relativistic`.

    Args:
        p: The density of the data.
        q: The density of the generator.
        loss: One of `ganworks.losses.names()`.
        options: Those of `ganworks.losses.get`.
    Raises: UsageError for an unknown loss (E-NAME-03) or option (E-ARG-01); for densities as in `jensen_shannon`, for
        `wasserstein` as in `wasserstein_1`, and for `relativistic_average` where it is not known whether p/q is bounded
        (E-THEORY-01).
    Source: Goodfellow et al. 2014, theorem 1; Mao et al. 2016, section 3.2; Lim and Ye 2017, section 3; Arjovsky,
        Chintala and Bottou 2017, equation 2. The pairs' row is the first for (x, y), told from (y, x).
    """
    given = checked(loss, options)
    if loss == "wasserstein":
        return -wasserstein_1(p, q)
    found = rule("discriminator_loss_at_optimum", p, q)
    if loss == "relativistic_paired":
        return relativistic.paired(found)
    if loss == "relativistic_average":
        return relativistic.average(p, q, found)
    return found.under_both(paid(loss, given)(found.logit))


def checked(loss: str, options: dict[str, float]) -> dict[str, float]:
    """The options of a loss, filled up with its defaults."""
    if loss not in OPTIONS:
        raise error("E-NAME-03", name=loss, details=suggestion(loss, OPTIONS))
    known = OPTIONS[loss]
    if unknown := sorted(set(options) - set(known)):
        reason = f"loss '{loss}' has no option '{unknown[0]}'"
        raise error("E-ARG-01", reason=reason, details=suggestion(unknown[0], known))
    target = options.get("real_target", 1.0)
    if not 0 < target <= 1:
        raise error("E-THEORY-01", what=loss, needed="a real_target above 0 and at most 1", got=target)
    return known | options


def paid(loss: str, options: dict[str, Any]) -> Callable[[Tensor], Tensor]:
    """What the optimum pays at a point, as a function of l, if the loss is a mean over points: L_D = ∫ (p + q) paid.

    From 0 to log 2, or (b - a)²/8 with least squares.
    """
    if loss == "least_squares":
        scale = (options["b"] - options["a"]) ** 2 / 2
        return lambda logit: scale * logit.sigmoid() * (-logit).sigmoid()
    if loss == "hinge":
        return lambda logit: 2 * (-logit.abs()).sigmoid()
    return partial(coin, share=options["real_target"])


def coin(logit: Tensor, share: float = 1.0) -> Tensor:
    """H(tD), in nats, with t the share; exact where D rounds to 0 or 1."""
    logit = logit.clamp(-_SURE, _SURE)  # where q or p is 0, l is infinite
    log_heads = math.log(share) - F.softplus(-logit)
    # 1 - tD = ((1 - t)p + q)/(p + q)
    rest = logit + (math.log1p(-share) if share < 1 else -math.inf)
    log_tails = torch.logaddexp(rest, torch.zeros_like(logit)) - F.softplus(logit)
    return -log_heads.exp() * log_heads - log_tails.exp() * log_tails
