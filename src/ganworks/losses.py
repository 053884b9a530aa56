"""Adversarial losses, from logits. Each says what a player minimises.

Letters: a = f(real), b = f(fake), unbounded logits (the critic's values for Wasserstein); E the mean over a batch;
sp(t) = log(1 + e^t); σ(t) = 1 / (1 + e^-t).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ganworks.errors import error
from ganworks.registry import suggestion

Reduction = Literal["mean", "sum", "none"]
Logits = Float[Tensor, "..."]


@dataclass(frozen=True)
class Family:
    """How a loss is written: what D pays for each real and each fake, and what G pays, sample by sample."""

    real: Callable[..., Tensor]
    fake: Callable[..., Tensor]
    generator: Callable[..., Tensor]
    options: tuple[str, ...] = ()
    relativistic: Literal["", "paired", "average"] = ""
    formula: str = ""
    middle: float | None = None
    """The logit at which D takes no side; none where the loss leaves the logits' constant open."""


@dataclass(frozen=True)
class AdversarialLoss:
    """One loss with its options filled in. `discriminator` and `generator` return what that player minimises."""

    name: str
    family: Family

    @property
    def relativistic(self) -> bool:
        """Whether G's loss needs the logits of real samples."""
        return bool(self.family.relativistic)

    @property
    def middle(self) -> float | None:
        """The logit at which D takes no side; none where the loss leaves the logits' constant open."""
        return self.family.middle

    def discriminator(self, real_logits: Logits, fake_logits: Logits, reduction: Reduction = "mean") -> Tensor:
        """D's loss.

        Args:
            real_logits: (B,), (B, 1) or patches (B, h, w), unbounded.
            fake_logits: Of the same shape.
            reduction: `mean` adds the mean over reals and the mean over fakes; `none` adds element by element.
        Raises: ShapeError if the shapes differ.
        """
        _same_shape(f"{self.name}.discriminator", real_logits, fake_logits)
        if self.family.relativistic == "paired":
            return _reduce(self.family.real(real_logits - fake_logits), reduction)
        if self.family.relativistic == "average":
            real_logits, fake_logits = real_logits - fake_logits.mean(), fake_logits - real_logits.mean()
        real, fake = self.family.real(real_logits), self.family.fake(fake_logits)
        return _reduce(real, reduction) + _reduce(fake, reduction)

    def generator(
        self, fake_logits: Logits, real_logits: Logits | None = None, reduction: Reduction = "mean"
    ) -> Tensor:
        """G's loss.

        Args:
            fake_logits: (B,), (B, 1) or patches (B, h, w), unbounded.
            real_logits: Needed by the relativistic losses, unused by the others.
        Raises: ShapeError if a relativistic loss gets no real logits or other shapes.
        """
        if not self.relativistic:
            return _reduce(self.family.generator(fake_logits), reduction)
        if real_logits is None:
            raise error("E-SHAPE-01", function=f"{self.name}.generator", needed="real_logits too", got="none")
        _same_shape(f"{self.name}.generator", real_logits, fake_logits)
        if self.family.relativistic == "paired":
            return _reduce(self.family.generator(fake_logits - real_logits), reduction)
        # The mean over the other side carries gradient too: the loss is a function of both sets of logits.
        real, fake = real_logits - fake_logits.mean(), fake_logits - real_logits.mean()
        return _reduce(self.family.fake(real), reduction) + _reduce(self.family.real(fake), reduction)


def feature_matching(real_features: Float[Tensor, "b f"], fake_features: Float[Tensor, "b f"]) -> Float[Tensor, ""]:
    """‖E φ(x) - E φ(G)‖², the squared distance of the means over the batch; minimised by G.

    Means are compared, not samples: what is in the same place of two batches has nothing to do with each other.
    Source: Salimans et al. 2016, section 3.1.
    """
    return (real_features.mean(0) - fake_features.mean(0)).square().sum()


def _reduce(values: Tensor, reduction: Reduction) -> Tensor:
    if reduction == "none":
        return values
    if reduction not in ("mean", "sum"):
        raise error("E-ARG-01", reason=f"reduction is mean, sum or none, not '{reduction}'")
    return values.mean() if reduction == "mean" else values.sum()


def _same_shape(function: str, real_logits: Tensor, fake_logits: Tensor) -> None:
    """Refuse what broadcasting would make into a wrong number: (B,) against (B, 1), or unequal batches."""
    if real_logits.shape != fake_logits.shape:
        got = f"{tuple(real_logits.shape)} and {tuple(fake_logits.shape)}"
        raise error("E-SHAPE-01", function=function, needed="logits of equal shape", got=got)


def _least_squares(target: float, logits: Tensor) -> Tensor:
    return 0.5 * (logits - target) ** 2


def _real_cross_entropy(real_target: float, logits: Tensor) -> Tensor:
    """-t log σ(a) - (1 - t) log(1 - σ(a)) = sp(-a) + (1 - t) a; with t = 1 it is sp(-a)."""
    plain = F.softplus(-logits)
    return plain if real_target == 1 else plain + (1 - real_target) * logits


def _cross_entropy(generator: Callable[[Tensor], Tensor], formula: str, real_target: float = 1.0) -> Family:
    if not 0 < real_target <= 1:
        reason = "the target of real samples lies above 0 and at most at 1"
        raise error("E-SET-01", name="objective.real_target", value=real_target, reason=reason, system="")
    real = partial(_real_cross_entropy, real_target)
    return Family(
        real=real, fake=F.softplus, generator=generator, options=("real_target",), formula=formula, middle=0.0
    )


def minimax(real_target: float = 1.0) -> Family:
    """The saturating loss: L_D = E sp(-a) + E sp(b), L_G = E log(1 - σ(b)) = -E sp(b).

    Source: Goodfellow et al. 2014, equation 1.
    """
    return _cross_entropy(lambda b: -F.softplus(b), "L_D = E sp(-a) + E sp(b); L_G = -E sp(b)", real_target)


def non_saturating(real_target: float = 1.0) -> Family:
    """L_D as minimax; L_G = -E log σ(b) = E sp(-b), whose gradient does not vanish where D is sure.

    Source: Goodfellow et al. 2014, section 3.
    """
    return _cross_entropy(lambda b: F.softplus(-b), "L_D = E sp(-a) + E sp(b); L_G = E sp(-b)", real_target)


def wasserstein() -> Family:
    """The critic minimises E b - E a, G minimises -E b. Sign: the critic's value is high on real samples.

    Source: Arjovsky, Chintala and Bottou 2017, equation 3.
    """
    formula = "L_D = E b - E a; L_G = -E b"
    return Family(real=torch.neg, fake=lambda b: b, generator=torch.neg, formula=formula)


def least_squares(a: float = 0.0, b: float = 1.0, c: float = 1.0) -> Family:
    """L_D = ½E(f(x) - b)² + ½E(f(G) - a)², L_G = ½E(f(G) - c)². Carries the paper's ½.

    Args:
        a: D's target for fakes. b: D's target for reals. c: what G wants D to say of fakes.
    Source: Mao et al. 2016, equation 2; (a, b, c) = (0, 1, 1) is its equation 9, (-1, 1, 0) gives Pearson χ².
    """
    return Family(
        real=partial(_least_squares, b),
        fake=partial(_least_squares, a),
        generator=partial(_least_squares, c),
        options=("a", "b", "c"),
        formula="L_D = ½E(f(x) - b)² + ½E(f(G) - a)²; L_G = ½E(f(G) - c)²",
        middle=(a + b) / 2,
    )


def hinge() -> Family:
    """L_D = E relu(1 - a) + E relu(1 + b), L_G = -E b.

    Source: Lim and Ye 2017, equation 7; Miyato et al. 2018, equation 17.
    """
    return Family(
        real=lambda a: F.relu(1 - a),
        fake=lambda b: F.relu(1 + b),
        generator=torch.neg,
        formula="L_D = E relu(1 - a) + E relu(1 + b); L_G = -E b",
        middle=0.0,
    )


def relativistic_paired() -> Family:
    """L_D = E sp(-(a - b)), L_G = E sp(-(b - a)), real and fake paired by their place in the batch.

    Source: Jolicoeur-Martineau 2018, section 4.1; Huang et al. 2024, equation 2.
    """
    return Family(
        real=lambda margin: F.softplus(-margin),
        fake=F.softplus,
        generator=lambda margin: F.softplus(-margin),
        relativistic="paired",
        formula="L_D = E sp(b - a); L_G = E sp(a - b)",
    )


def relativistic_average() -> Family:
    """L_D = E sp(-(a - mean b)) + E sp(b - mean a), L_G with the two sides swapped. A sum of two means, not halved.

    Source: Jolicoeur-Martineau 2018, equations 13 and 14.
    """
    return Family(
        real=lambda a: F.softplus(-a),
        fake=F.softplus,
        generator=lambda b: F.softplus(-b),
        relativistic="average",
        formula="L_D = E sp(-(a - mean b)) + E sp(b - mean a); L_G = E sp(a - mean b) + E sp(-(b - mean a))",
    )


_FAMILIES: dict[str, Callable[..., Family]] = {
    family.__name__: family
    for family in (
        minimax,
        non_saturating,
        wasserstein,
        least_squares,
        hinge,
        relativistic_paired,
        relativistic_average,
    )
}


def names() -> list[str]:
    """All losses by name."""
    return list(_FAMILIES)


def get(name: str, **options: float) -> AdversarialLoss:
    """The loss of a name.

    Args:
        name: One of `names()`.
        options: `real_target` for `minimax` and `non_saturating` (one-sided label smoothing: the target itself, such as
            0.9); `a`, `b`, `c` for `least_squares`.
    Raises: UsageError for an unknown name or an option the loss does not have.
    """
    if name not in _FAMILIES:
        raise error("E-NAME-03", name=name, details=suggestion(name, _FAMILIES))
    family = _FAMILIES[name]
    known = family().options
    if unknown := sorted(set(options) - set(known)):
        has = f"its options are {', '.join(known)}" if known else "it has none"
        reason = f"loss '{name}' has no option '{unknown[0]}': {has}"
        raise error("E-ARG-01", reason=reason, details=suggestion(unknown[0], known))
    return AdversarialLoss(name, family(**options))
