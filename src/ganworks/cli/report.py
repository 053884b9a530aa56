"""How a run ends: its scores as a table, why it stopped, and what to do next. `train` and `resume` share it."""

from collections.abc import Iterator
from pathlib import Path

from ganworks.cli.findings import brief
from ganworks.cli.output import Output
from ganworks.cli.scores import from_the_optimum, how_far, score_table
from ganworks.errors import in_a_shell
from ganworks.gan import Result
from ganworks.session.patience import NAME, Standing

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
    if result.report:
        yield f"page  {result.report}"
    if result.scores:
        yield ""
        scores = [score.as_dict() for score in result.scores]
        yield from score_table(scores)
        yield from filter(None, (how_far(scores), from_the_optimum(result.found)))
    if result.verdicts:
        yield ""
        for verdict in result.verdicts:
            yield from brief(verdict.as_dict())
    yield ""
    reason = _REASONS.get(result.stopped, result.stopped)
    if (looks := result.looks) is not None:
        yield _best(looks, result.run / NAME)
        if result.stopped == "patience":
            passed = "1 look" if looks.waited == 1 else f"{looks.waited} looks"
            reason = f"{passed} since step {looks.best.step} without a better {looks.best.metric}"
    yield f"stopped at step {result.step}: {reason} ({result.stopped})"
    if result.next:
        yield ""
        yield "next:"
        yield from (f"  {command}" for command in result.next)


def _best(looks: Standing, folder: Path) -> str:
    """The best look beside the last one, and which to take."""
    best, last = looks.best, looks.last
    line = f"best  step {best.step}: {best.metric} {best.value:.3g} [{best.low:.3g}, {best.high:.3g}]"
    if best == last:
        return f"{line}, the last look; {in_a_shell(folder)}"
    line += f"; at step {last.step} {last.value:.3g} [{last.low:.3g}, {last.high:.3g}]"
    if last.low <= best.value or best.value <= 0:
        return f"{line}, no difference that the interval shows; {in_a_shell(folder)}"
    return f"{line}, {last.value / best.value:.2f} times that: convergence is often fleeting, take {in_a_shell(folder)}"


def finish(result: Result, output: Output) -> int:
    """Print the end of a run and give the exit code: 128 + the signal's number after a signal."""
    data = {
        "run": result.run,
        "step": result.step,
        "stopped": result.stopped,
        "scores": [score.as_dict() for score in result.scores],
        "verdicts": [verdict.as_dict() for verdict in result.verdicts],
    }
    output.result(data, lambda: _lines(result))
    if result.stopped == "signal":
        return 128 + (result.signal or 2)
    return 6 if result.stopped == "failed" else 0
