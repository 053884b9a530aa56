"""The smallest GAN there is, and what each training method does to it near its solution.

Data: all mass at 0. Generator: all mass at θ. Discriminator: the logit f(x) = ψx. Both players at 0 is the solution.
Close to it a method is a linear map, whose eigenvalues say everything: a multiplier of modulus below 1 pulls the
players in, above 1 drives them apart, and the angle is how far they turn in a round.

Source: Mescheder, Geiger and Nowozin 2018, section 3 and lemmas 3.1 to 3.3 and E.
"""

import cmath
import math
from collections.abc import Callable
from typing import NamedTuple

from ganworks.errors import error
from ganworks.registry import suggestion


class LocalDynamics(NamedTuple):
    """What a method does near (ψ, θ) = (0, 0). The one with Im ≥ 0 comes first; of two real ones the larger.

    Attributes:
        eigenvalues: Of the Jacobian of the continuous game, the limit of small steps: Re < 0 converges.
        multiplier: What a round multiplies the distance by. Of two real ones the one of larger modulus, which wins.
    """

    eigenvalues: tuple[complex, complex]
    multiplier: complex


class _Method(NamedTuple):
    """The continuous game near 0 is dψ/dt = -damping · ψ - pull · θ, dθ/dt = pull · ψ."""

    pull: float
    """The slope of the loss in the logit at 0: 1/2 with a sigmoid, 1 for the Wasserstein loss."""
    setting: str = ""
    default: float = 0.0
    damping: Callable[[float], float] = float
    alternating: bool = False


_METHODS = {
    "simultaneous": _Method(1 / 2),
    "alternating": _Method(1 / 2, alternating=True),
    "non_saturating": _Method(1 / 2),
    "r1": _Method(1 / 2, "gamma", 1.0),
    # The noise on real and on fake samples curves the loss by σ² sp''(0) = σ²/4 each.
    "instance_noise": _Method(1 / 2, "sigma", 0.7, lambda sigma: sigma**2 / 2),
    "zero_centered": _Method(1.0, "gamma", 1.0),
    "clipping": _Method(1.0),
}


def dirac(method: str, step_size: float, **settings: float) -> LocalDynamics:
    """The exact eigenvalues of a method on the Dirac-GAN, and what one round of it multiplies the distance by.

    Eigenvalues are -d/2 ± √(d²/4 - s²) with s = 1/2 for the cross-entropy losses and s = 1 for the Wasserstein loss.
    Players move at once (multiplier 1 + hλ) in every method but `alternating`.

    | method | d | what it is |
    | --- | --- | --- |
    | `simultaneous`, `alternating` | 0 | the minimax loss |
    | `non_saturating` | 0 | equal to minimax near 0; further out it ends in a cycle of radius `limit_cycle_radius` |
    | `r1` | gamma | minimax with gamma/2 · E‖∇f(x)‖² on real samples |
    | `instance_noise` | sigma²/2 | minimax with noise N(0, sigma²) on what D sees |
    | `zero_centered` | gamma | the Wasserstein loss with gamma/2 · E‖∇f‖² |
    | `clipping` | 0 | the Wasserstein loss with a bound on ψ, which is far away near 0 |

    Args:
        method: One of these names.
        step_size: The learning rate h of both players, above 0.
        settings: `gamma` (default 1) or `sigma` (default 0.7), 0 or more, where the method has it.
    Raises: UsageError (E-ARG-01) for an unknown method or setting, or a number out of range.
    Source: Mescheder, Geiger and Nowozin 2018; γ is the paper's, with the ½.
    """
    if method not in _METHODS:
        reason = f"the Dirac-GAN has no method '{method}': it is one of {', '.join(_METHODS)}"
        raise error("E-ARG-01", reason=reason, details=suggestion(method, _METHODS))
    _check("step_size", step_size, least_is_allowed=False)
    known = _METHODS[method]
    d, s = known.damping(_setting(method, known, settings)), known.pull
    eigenvalues = _roots(0.0 - d, s**2)  # 0 - 0 has no sign
    if known.alternating:
        # D's map, then G's: the product has determinant 1, so the players neither gain nor lose area.
        return LocalDynamics(eigenvalues, _dominant(_roots(2 - (step_size * s) ** 2, 1.0)))
    first, second = (1 + step_size * eigenvalue for eigenvalue in eigenvalues)
    return LocalDynamics(eigenvalues, _dominant((first, second)))


def limit_cycle_radius(step_size: float) -> float:
    """√(2h): the distance from 0 at which the non-saturating game, played at once, ends for ever.

    In a round the radius r gains h²r²/8 of energy r²/2 from the step's length and loses h r⁴/16 to the loss's
    curvature, on average over the angle. Leading order in h: at h = 0.4 the radius is 0.4 % smaller.

    Raises: UsageError (E-ARG-01) if the step size is not above 0.
    """
    _check("step_size", step_size, least_is_allowed=False)
    return math.sqrt(2 * step_size)


def _setting(method: str, known: _Method, settings: dict[str, float]) -> float:
    if strange := sorted(settings.keys() - {known.setting}):
        has = f"its setting is {known.setting}" if known.setting else "it has none"
        reason = f"method '{method}' has no setting '{strange[0]}': {has}"
        raise error("E-ARG-01", reason=reason, details=suggestion(strange[0], filter(None, [known.setting])))
    value = settings.get(known.setting, known.default)
    _check(known.setting, value, least_is_allowed=True)
    return value


def _check(name: str, value: float, *, least_is_allowed: bool) -> None:
    if not (math.isfinite(value) and (value > 0 or (least_is_allowed and value == 0))):
        allowed = "a finite number, 0 or more" if least_is_allowed else "a finite number above 0"
        raise error("E-ARG-01", reason=f"{name} is {allowed}, not {value}")


def _roots(total: float, product: float) -> tuple[complex, complex]:
    """The two numbers with this sum and product, the one with Im ≥ 0, or the larger, first."""
    half = cmath.sqrt(total**2 / 4 - product)
    return total / 2 + half, total / 2 - half


def _dominant(pair: tuple[complex, complex]) -> complex:
    first, second = pair
    return second if abs(second) > abs(first) and second.imag == 0 else first
