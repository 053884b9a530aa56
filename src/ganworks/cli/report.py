"""How a run ends: its scores as a table, why it stopped, and what to do next. `train` and `resume` share it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ganworks.cli.output import Output, table
from ganworks.gan import Result

_REASONS = {
    "steps": "all steps are done",
    "patience": "the score got no better for as long as --patience allows",
    "request": "it was asked to",
    "signal": "a signal came; everything is saved",
    "failed": "the training failed; the last checkpoint stands",
}


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


def how_far(scores: Sequence[Mapping[str, Any]]) -> str:
    """How far the samples are from real data, in a sentence; empty where nothing real was scored beside them."""
    beside = {score["metric"]: (score["value"], score["real"]) for score in scores if score["real"]}
    shares = [f"{100 * beside[m][0] / beside[m][1]:.0f} % of its {word}" for m, word in _SHARES.items() if m in beside]
    times = [
        f"{beside[m][0] / beside[m][1]:.2g} times its {word}"
        for m, word in _DISTANCES.items()
        if m in beside and beside[m][1] > 0
    ]
    return f"beside real data: {', '.join(shares + times)}" if shares or times else ""


def _lines(result: Result) -> Iterator[str]:
    yield f"run   {result.run}"
    if result.grid:
        yield f"grid  {result.grid}"
    if result.scores:
        yield ""
        scores = [score.as_dict() for score in result.scores]
        yield from score_table(scores)
        if far := how_far(scores):
            yield far
    yield ""
    yield f"stopped at step {result.step}: {_REASONS.get(result.stopped, result.stopped)} ({result.stopped})"
    if result.next:
        yield ""
        yield "next:"
        yield from (f"  {command}" for command in result.next)


def finish(result: Result, output: Output) -> int:
    """Print the end of a run and give the exit code: 128 + the signal's number after a signal."""
    data = {
        "run": result.run,
        "step": result.step,
        "stopped": result.stopped,
        "scores": [score.as_dict() for score in result.scores],
        "verdicts": list(result.verdicts),
    }
    output.result(data, lambda: _lines(result))
    if result.stopped == "signal":
        return 128 + (result.signal or 2)
    return 6 if result.stopped == "failed" else 0
