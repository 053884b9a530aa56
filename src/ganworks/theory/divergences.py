"""How far two known densities are apart, in float64: by a formula where there is one, else by quadrature.

On a line and in the plane two densities may be any mixtures of normals, or the swiss roll: to ten digits and to seven.
In more dimensions the formulas hold for normal densities. What has neither is refused, because an estimate is not what
is asked for here; `sampled` gives one.

Letters: p the data, q the generator.
"""

import math

import torch

from ganworks.theory.densities import Density, Parts
from ganworks.theory.floors import coin
from ganworks.theory.quadrature import normal_parts, rule, same_dimensions


def kullback_leibler(p: Density, q: Density) -> float:
    """KL(p‖q) = ∫ p log(p/q), in nats. Not symmetric.

    Raises: UsageError (E-THEORY-01) if D differs, or if D is above 2 and one of them is not normal.
    """
    same_dimensions("kullback_leibler", p, q)
    first, second = (normal_parts("kullback_leibler", density) for density in (p, q))
    if len(first.weights) == len(second.weights) == 1:
        return _between_normals(first, second)
    found = rule("kullback_leibler", p, q)
    return found.masses[0].dot(found.logit).item()


def jensen_shannon(p: Density, q: Density) -> float:
    """JSD(p, q) = ½ KL(p‖m) + ½ KL(q‖m) with m = (p + q)/2, in nats: 0 where equal, log 2 where nothing is shared.

    Raises: UsageError (E-THEORY-01) if D differs, or if D is above 2 and they are not normal with one covariance.
    """
    found = rule("jensen_shannon", p, q)
    return found.under_both((math.log(2) - coin(found.logit)) / 2)


def _between_normals(p: Parts, q: Parts) -> float:
    """½ (tr Σ_q⁻¹Σ_p + (μ_q - μ_p)ᵀ Σ_q⁻¹ (μ_q - μ_p) - D + log |Σ_q|/|Σ_p|)."""
    spread, factor = p.covariances[0], torch.linalg.cholesky(q.covariances[0])
    shift = (q.means - p.means).T
    both = torch.cholesky_solve(torch.cat([spread, shift], 1), factor)
    inside, far = both[:, :-1].trace(), (shift * both[:, -1:]).sum()
    sizes = 2 * factor.diagonal().log().sum() - torch.linalg.slogdet(spread).logabsdet
    return float(0.5 * (inside + far - len(spread) + sizes))
