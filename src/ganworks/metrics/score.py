"""A metric's number with all that belongs to it: its interval, its samples, its feature space and its floor."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ganworks.errors import error
from ganworks.metrics import (
    bins,
    birthday,
    classes,
    classifier_score,
    copies,
    frechet,
    kernel,
    modes,
    neighbours,
    sliced,
)
from ganworks.metrics.inputs import Samples
from ganworks.metrics.interval import GROUPS, Estimate, Interval, interval
from ganworks.metrics.moments import Moments
from ganworks.registry import suggestion
from ganworks.theory import Density, Mixture


@dataclass(frozen=True)
class Score:
    """One number. `dataclasses.asdict` of it is the JSON object of a score."""

    metric: str
    feature_space: str
    value: float
    low: float | None
    high: float | None
    """None where the samples tell nothing about their own spread."""
    level: float
    """The share of intervals from `low` to `high` that hold the value of endless repetition."""
    samples: int
    """How many were scored."""
    reference_samples: int
    """How many they were compared with; 0 where the reference is a density, known exactly."""
    real: float | None
    """The floor: what real data score against the same reference. None where there is no second real set."""

    def as_dict(self) -> dict[str, Any]:
        """The score as JSON has it."""
        return asdict(self)


@dataclass(frozen=True)
class _Metric:
    family: Callable[..., dict[str, Estimate]]
    """The function that gives the estimates of this metric and of those that share its work."""
    least: float = 0.0
    most: float = math.inf
    """What the metric can reach; intervals end there."""


_METRICS = {
    "frechet_distance": _Metric(frechet.estimates),
    "frechet_extrapolated": _Metric(frechet.estimates, least=-math.inf),
    "kernel_distance": _Metric(kernel.estimates, least=-math.inf),
    "precision": _Metric(neighbours.estimates, most=1.0),
    "recall": _Metric(neighbours.estimates, most=1.0),
    "density": _Metric(neighbours.estimates),
    "coverage": _Metric(neighbours.estimates, most=1.0),
    "modes": _Metric(modes.estimates),
    "high_quality": _Metric(modes.estimates, most=1.0),
    "reverse_kl": _Metric(modes.estimates),
    "std_ratio": _Metric(modes.estimates),
    "class_kl": _Metric(classes.estimates),
    "inception_score": _Metric(classifier_score.estimates, least=1.0),
    "sliced_wasserstein": _Metric(sliced.estimates),
    "memorization": _Metric(copies.estimates),
    "different_bins": _Metric(bins.estimates, most=1.0),
    "birthday_support": _Metric(birthday.estimates, least=1.0),
}


_OPTIONS = {
    neighbours.estimates: ("k",),
    kernel.estimates: ("estimator",),
    classifier_score.estimates: ("splits",),
    sliced.estimates: ("directions", "seed"),
    copies.estimates: ("held_out",),
    bins.estimates: ("bins", "seed"),
    birthday.estimates: ("threshold",),
}
_NAMED = (neighbours.estimates, frechet.estimates)
"""Families that compute less when told which of their metrics are wanted."""


def names() -> list[str]:
    """The metrics that `score` knows."""
    return sorted(_METRICS)


def score(
    name: str,
    real: Samples | Moments | Density,
    fake: Samples | Moments,
    level: float = 0.95,
    *,
    floor: Samples | Moments | None = None,
    feature_space: str = "points",
    groups: int = GROUPS,
    **options: object,
) -> Score:
    """One metric with its interval; arguments as for `scores`."""
    return scores([name], real, fake, floor, level=level, feature_space=feature_space, groups=groups, **options)[0]


def scores(
    names: Sequence[str],
    real: Samples | Moments | Density,
    fake: Samples | Moments,
    floor: Samples | Moments | None = None,
    *,
    level: float = 0.95,
    feature_space: str = "points",
    groups: int = GROUPS,
    **options: object,
) -> list[Score]:
    """Several metrics of the same samples, in the order asked for; what they have in common is computed once.

    Args:
        names: Of `names()`. Those of one call take the same kind of `real`.
        real: (N, D) features of real data; logits for `class_kl`; the density for `modes`, `high_quality`,
            `reverse_kl` and `std_ratio`.
        fake: (M, D) features, logits or points to be scored. For the Fréchet distance also `Moments`, as for `real`.
        floor: (L, D), a second set of real data; its value becomes `real` of each score.
        level: Of the intervals, between 0 and 1.
        feature_space: What the features are called in the result.
        groups: Of the jackknife; with fewer samples than that, as many as samples.
        options: Of the metrics: `k` for the neighbour metrics, `estimator` for the kernel distance.
    Raises: UsageError: E-NAME-05 unknown metric, E-METRIC-01 unfit samples, E-METRIC-02 values that are not finite,
        E-METRIC-03 unknown option.
    """
    families = _families(names, options)
    if not 0 < level < 1:
        raise error("E-METRIC-01", metric="an interval", needed="a level between 0 and 1", got=level)
    reference = 0 if isinstance(real, Density) else len(real)
    used = max(2, min([groups, len(fake)] + ([reference] if reference else [])))
    result: dict[str, Score] = {}
    for family, wanted in families.items():
        chosen: dict[str, object] = {name: options[name] for name in _OPTIONS.get(family, ()) if name in options}
        if family in _NAMED:
            chosen["names"] = tuple(wanted)
        found = family(real, fake, groups=used, **chosen)
        floors = {} if floor is None else family(real, floor, **chosen)
        for name in wanted:
            low, high = _within(interval(found[name], level), name, real)
            beside = floors[name].value if floors else None
            value = found[name].value
            result[name] = Score(name, feature_space, value, low, high, level, len(fake), reference, beside)
    return [result[name] for name in names]


def _within(found: Interval, name: str, real: object) -> tuple[float | None, float | None]:
    """The bounds of an interval that ends where the metric does; none for one without bounds."""
    if math.isinf(found.high):
        return None, None
    most = len(real.weights) if name == "modes" and isinstance(real, Mixture) else _METRICS[name].most
    return max(found.low, _METRICS[name].least), min(found.high, most)


def _families(names: Sequence[str], options: dict[str, object]) -> dict[Callable[..., dict[str, Estimate]], list[str]]:
    """The names of each family, in order; unknown names and options are refused."""
    families: dict[Callable[..., dict[str, Estimate]], list[str]] = {}
    for name in names:
        if name not in _METRICS:
            raise error("E-NAME-05", name=name, details=suggestion(name, _METRICS))
        families.setdefault(_METRICS[name].family, []).append(name)
    known = {option for family in families for option in _OPTIONS.get(family, ())}
    for option in options:
        if option not in known:
            raise error("E-METRIC-03", metric=", ".join(names), name=option, details=suggestion(option, known))
    return families
