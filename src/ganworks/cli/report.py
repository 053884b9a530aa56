"""How a run ends: its scores as a table, why it stopped, and what to do next. `train` and `resume` share it."""

from collections.abc import Iterator

from ganworks.cli.output import Output
from ganworks.cli.scores import from_the_optimum, how_far, score_table
from ganworks.gan import Result

_REASONS = {
    "steps": "all steps are done",
    "patience": "the score got no better for as long as --patience allows",
    "request": "it was asked to",
    "signal": "a signal came; everything is saved",
    "failed": "the training failed; the last checkpoint stands",
}


def _lines(result: Result) -> Iterator[str]:
    yield f"run   {result.run}"
    if result.grid:
        yield f"grid  {result.grid}"
    if result.scores:
        yield ""
        scores = [score.as_dict() for score in result.scores]
        yield from score_table(scores)
        yield from filter(None, (how_far(scores), from_the_optimum(result.found)))
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
