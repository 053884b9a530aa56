"""`ganworks resume`: go on with a run as if it had never stopped."""

from pathlib import Path

from ganworks.cli import options
from ganworks.cli.output import DEFAULT, Output
from ganworks.cli.progress import Progress
from ganworks.cli.train import Whole
from ganworks.errors import error

VERB = "resume"


def resume(run: Path, /, *, steps: Whole = None, time: str | None = None, output: Output = DEFAULT) -> int:
    """Go on with a run from its last checkpoint, to the same bits as if it had never stopped.

    Examples:
      ganworks resume runs/digits-0001
      ganworks resume runs/digits-0001 --time 10m

    Parameters
    ----------
    run
        Folder of the run.
    steps
        Train up to this step, further than first planned.
    time
        Train for so long beyond the plan: 90, 90s, 10m or 2h.
    """
    if steps is not None and time is not None:
        raise error("E-USE-01", verb=VERB, reason="--steps and --time both say how long; give one")
    budget = None if time is None else options.seconds(time, VERB)

    from ganworks.cli.report import finish
    from ganworks.gan import resume as start

    with Progress.for_output(output) as progress:
        result = start(run, steps=steps, time=budget, watchers=progress.watchers)
    return finish(result, output)
