"""Scores in words: as a table, and as a sentence. `train`, `resume`, `eval` and `runs` share it; it needs no torch."""

from collections.abc import Mapping, Sequence
from typing import Any

from ganworks.cli.output import table


def number(value: float | None) -> str:
    """Four significant digits, and a dash where there is no number."""
    return "-" if value is None else f"{value:.4g}"


def score_table(scores: Sequence[Mapping[str, Any]]) -> list[str]:
    """Scores as lines: each with its feature space, its interval, what real data score, and how many samples."""
    rows = [["score", "in", "value", "interval", "real data", "samples"]]
    for score in scores:
        interval = "-" if score["low"] is None else f"{number(score['low'])} to {number(score['high'])}"
        samples = f"{score['samples']} against {score['reference_samples'] or 'the exact density'}"
        space = score["feature_space"] or "-"
        rows.append([score["metric"], space, number(score["value"]), interval, number(score["real"]), samples])
    return table(rows)


_SHARES = {"recall": "recall", "coverage": "coverage", "precision": "precision", "high_quality": "high quality"}
_DISTANCES = {"frechet_distance": "Fréchet distance", "reverse_kl": "reverse KL"}


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"


def how_far(scores: Sequence[Mapping[str, Any]]) -> str:
    """How far the samples are from real data, in a sentence; empty where nothing real was scored beside them."""
    beside = {score["metric"]: (score["value"], score["real"]) for score in scores if score["real"]}
    shares = [f"{100 * beside[m][0] / beside[m][1]:.0f} % of its {word}" for m, word in _SHARES.items() if m in beside]
    times = [
        f"{_times(beside[m][0] / beside[m][1])} times its {word}"
        for m, word in _DISTANCES.items()
        if m in beside and beside[m][1] > 0
    ]
    return f"beside real data: {', '.join(shares + times)}" if shares or times else ""


def from_the_optimum(found: Mapping[str, float]) -> str:
    """How far a training on a known density has come, in a sentence; empty where that was not measured."""
    if not {"optimum.jsd", "optimum.jsd_floor"} <= found.keys():
        return ""
    return f"JSD to the data {found['optimum.jsd']:.3f}, real draws {found['optimum.jsd_floor']:.3f}"
