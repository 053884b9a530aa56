"""What each metric tends to on samples of the data's own law, and which of two scores is nearer. It needs no torch."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

AIMS = {
    "frechet_distance": 0.0,
    "frechet_extrapolated": 0.0,
    "kernel_distance": 0.0,
    "precision": 1.0,
    "recall": 1.0,
    "density": 1.0,
    "coverage": 1.0,
    "modes": math.inf,
    "high_quality": 1.0,
    "reverse_kl": 0.0,
    "std_ratio": 1.0,
    "class_kl": 0.0,
    "inception_score": math.inf,
    "sliced_wasserstein": 0.0,
    "memorization": 1.0,
    "different_bins": 0.05,
    "birthday_support": math.inf,
    "log_likelihood": math.inf,
}
"""The value of every metric that is best: the nearer the better. Where it is infinite, the more the better."""
FAMILIES = {
    "precision_recall": ("precision", "recall"),
    "density_coverage": ("density", "coverage"),
    "mode_coverage": ("modes", "high_quality", "reverse_kl", "std_ratio"),
    "class_histogram": ("class_kl",),
}
"""Metrics that one function gives, by its name."""

COVERS, SHARP = ("modes", "recall", "coverage"), ("high_quality", "precision")
"""Metrics that fall where something of the data is missing, and where samples are of what the data have not."""

_MUST_AGREE = {
    "feature_space": "other feature spaces",
    "samples": "other numbers of samples",
    "reference_samples": "other numbers of real samples",
    "level": "intervals of other levels",
}


class Verdict(NamedTuple):
    """Which of two scores is better, `a` or `b`; None and a remark where that is not known."""

    better: str | None
    remark: str


def better(a: Mapping[str, Any], b: Mapping[str, Any]) -> Verdict:
    """Which of two scores of one metric is better: the one whose whole interval lies nearer to the aim."""
    if a["metric"] == "log_likelihood" and a.get("feature_space") != b.get("feature_space"):
        return _of_a_bound(a, b)
    for key, remark in _MUST_AGREE.items():
        if a.get(key) != b.get(key):
            return Verdict(None, f"{remark}: not compared")
    if a["metric"] not in AIMS or None in (a["low"], a["high"], b["low"], b["high"]):
        return Verdict(None, "no intervals to compare")
    ours, theirs = (_distance(AIMS[a["metric"]], each["low"], each["high"]) for each in (a, b))
    if ours[1] < theirs[0]:
        return Verdict("a", "")
    if theirs[1] < ours[0]:
        return Verdict("b", "")
    return Verdict(None, "no difference that the intervals show")


def _of_a_bound(a: Mapping[str, Any], b: Mapping[str, Any]) -> Verdict:
    """A lower bound that is above another's exact value shows who is better, and nothing else does."""
    exact = [str(each.get("feature_space")).endswith("exact") for each in (a, b)]
    if exact[0] != exact[1] and None not in (a["low"], a["high"], b["low"], b["high"]):
        bound, value, name = (a, b, "a") if exact[1] else (b, a, "b")
        if bound["low"] > value["high"]:
            return Verdict(name, "")
    return Verdict(None, "a bound may lie far below its value: not compared")


def _distance(aim: float, low: float, high: float) -> tuple[float, float]:
    """The smallest and the largest distance from an aim within an interval."""
    if aim == math.inf:
        return -high, -low
    near, far = sorted((abs(low - aim), abs(high - aim)))
    return (0.0 if low <= aim <= high else near), far
