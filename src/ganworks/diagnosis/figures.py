"""What rules make of numbers: how far apart, how far to and fro, how often again."""

import math
import operator
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from ganworks.diagnosis.series import number

PENALTIES = ("r1", "r2", "gradient_penalty", "dragan", "roth")
"""Terms of D's loss that hold its slope."""


def penalties(record: Mapping[str, Any]) -> float | None:
    """The share of the penalties in D's loss, sizes added."""
    terms = {name: number(record, f"discriminator.{name}") for name in ("adversarial", *PENALTIES)}
    sizes = {name: abs(value) for name, value in terms.items() if value is not None}
    total = sum(sizes.values())
    return 1 - sizes["adversarial"] / total if total and len(sizes) > 1 and "adversarial" in sizes else None


def period(values: Sequence[float]) -> tuple[int, float]:
    """The lag at which a series is most like itself, beyond the first at which it is not at all, and how much; or 0.

    Up to half its length. Source: Box, Jenkins and Reinsel 2008, section 2.1.
    """
    mean = sum(values) / max(1, len(values))
    rest = [value - mean for value in values]
    total = sum(value * value for value in rest)
    if not total:
        return 0, 0.0
    like = [sum(map(operator.mul, rest, rest[lag:])) / total for lag in range(len(rest) // 2)]
    begins = next((lag for lag, value in enumerate(like) if value < 0), len(like))
    return max(((lag, like[lag]) for lag in range(begins, len(like))), key=lambda each: each[1], default=(0, 0.0))


def gap(record: Mapping[str, Any]) -> float | None:
    """How far apart D's mean logits of real and fake are."""
    real, fake = number(record, "logit.real"), number(record, "logit.fake")
    return None if real is None or fake is None else abs(real - fake)


def reach(means: Sequence[tuple[float | None, float | None]]) -> float:
    """How far the samples' mean lies from the middle of the data, root mean square, over the same of real rows.

    Coordinates are in standard deviations, so real rows lie √k away in k of them.
    """
    there = [[value for value in pair if value is not None] for pair in means]
    squares = [sum(value * value for value in pair) / len(pair) for pair in there if pair]
    return math.sqrt(sum(squares) / len(squares)) if squares else 0.0


def moves(means: Sequence[tuple[float | None, float | None]]) -> list[float]:
    """How far the samples' mean has moved, from look to look."""
    there = [(first, second or 0.0) for first, second in means if first is not None]
    return [math.hypot(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(there)]


def root_mean_square(values: Sequence[float]) -> float:
    return math.sqrt(sum(value * value for value in values) / len(values)) if values else 0.0


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which a share of ordered ones lie; no value between two."""
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]
