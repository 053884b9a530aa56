"""The discriminator that no training can beat, known where both densities are."""

from collections.abc import Callable

from torch import Tensor

from ganworks.theory.densities import Density


def optimal_logit(p: Density, q: Density) -> Callable[[Tensor], Tensor]:
    """The logit of the optimal discriminator: log p(x) - log q(x).

    Args:
        p: The density of the data.
        q: The density of the generator.
    Returns: a function from points (N, D) to logits (N,), differentiable, exact where p or q underflow.
    Source: Goodfellow et al. 2014, proposition 1.
    """

    def logit(x: Tensor) -> Tensor:
        return p.log_prob(x) - q.log_prob(x)

    return logit


def optimal_discriminator(p: Density, q: Density) -> Callable[[Tensor], Tensor]:
    """The optimal discriminator: the probability p(x)/(p(x) + q(x)) that x is real.

    Args and source as for `optimal_logit`.
    Returns: a function from points (N, D) to probabilities (N,).
    """
    logit = optimal_logit(p, q)

    def probability(x: Tensor) -> Tensor:
        return logit(x).sigmoid()

    return probability
