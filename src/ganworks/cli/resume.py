"""`ganworks resume`: go on with a run as if it had never stopped."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ganworks.cli import options
from ganworks.cli.output import DEFAULT, Output
from ganworks.cli.progress import Progress
from ganworks.cli.train import Whole
from ganworks.errors import error

VERB = "resume"


def resume(
    run: Path,
    /,
    *,
    steps: Whole = None,
    time: str | None = None,
    settings: Annotated[list[str] | None, Parameter(name="--set")] = None,
    log: list[str] | None = None,
    output: Output = DEFAULT,
) -> int:
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
    settings
        Of record.every, sample.every, checkpoint.every, patience and steps, as key=value; nothing else may change.
    log
        Also log to: tensorboard (needs ganworks[tensorboard]); may be repeated.
    """
    if steps is not None and time is not None:
        raise error("E-USE-01", verb=VERB, reason="--steps and --time both say how long; give one")
    overrides = options.overrides(settings or [], VERB)
    budget = None if time is None else options.seconds(time, VERB)

    from ganworks import gan
    from ganworks.cli.report import finish

    with Progress.for_output(output) as progress:
        result = gan.resume(
            run, steps=steps, time=budget, watchers=progress.watchers, overrides=overrides, log=tuple(log or ())
        )
    return finish(result, output)
