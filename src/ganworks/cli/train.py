"""`ganworks train`: one command on any data."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from ganworks.cli import options
from ganworks.cli.output import DEFAULT, Output
from ganworks.cli.progress import Progress
from ganworks.errors import error

VERB = "train"
Whole = Annotated[int | None, options.at_least(1)]
Seed = Annotated[int, options.at_least(0, below=2**63)]


def train(
    data: str | None = None,
    /,
    *,
    system: str | None = None,
    steps: Whole = None,
    time: str | None = None,
    seed: Seed | None = None,
    run: Path | None = None,
    batch: str | None = None,
    size: Whole = None,
    mirror: bool = False,
    on_bad: Literal["stop", "skip"] | None = None,
    settings: Annotated[list[str] | None, Parameter(name="--set")] = None,
    config: Path | None = None,
    start_from: Annotated[Path | None, Parameter(name="--from")] = None,
    held_out: str | None = None,
    log: list[str] | None = None,
    patience: Whole = None,
    processes: Whole = None,
    device: str | None = None,
    dry_run: bool = False,
    output: Output = DEFAULT,
) -> int:
    """Train a GAN on DATA: a built-in data set's name, a file or a folder.

    Without arguments it trains the default system on real handwritten digits, on the CPU, in about three minutes.
    System, size, batch and length are chosen for the data; what is chosen is said, and why.

    Examples:
      ganworks train
      ganworks train ring --system gan --time 30s
      ganworks train photos --dry-run
      ganworks train more-photos --from runs/photos-0001 --time 10m

    Parameters
    ----------
    data
        Name of a built-in data set, or a path; digits without it.
    system
        Which GAN; chosen for the data without it. `ganworks systems` lists them.
    steps
        Length of the run in rounds of the game.
    time
        Length of the run as training time: 90, 90s, 10m or 2h.
    seed
        Every random number follows from it; 0 without it.
    run
        Folder of the run; a new one below runs/ without it.
    batch
        Samples of one update; `auto` measures which is the largest that pays.
    size
        Side that picture files are brought to, in pixels; chosen from them without it.
    mirror
        Train on every picture twice, the second time with left and right exchanged.
    on_bad
        What to do where a picture file cannot be read: stop, or skip it.
    settings
        A setting, as key=value; may be repeated. `ganworks systems NAME` lists the keys.
    config
        Settings file (TOML); --set and other options count more.
    start_from
        Model or run whose weights a new run starts from, with its settings unless others are given.
    held_out
        Data kept for scoring; without it a part of DATA.
    log
        Also log to: tensorboard (needs ganworks[tensorboard]); may be repeated.
    patience
        Stop after so many looks at the score without a better one; the best is kept in best/. A look is a sample grid.
    processes
        Processes to train with on this machine; more than 1 is not built yet.
    device
        Where to play: cpu, or cuda, cuda:1, mps where there is one. Samples and scores are made on the CPU.
    dry_run
        Show the plan, with memory and time from 20 steps that are played and thrown away; write nothing.
    """
    if steps is not None and time is not None:
        raise error("E-USE-01", verb=VERB, reason="--steps and --time both say how long; give one")
    overrides = options.overrides(settings or [], VERB)
    budget = None if time is None else options.seconds(time, VERB)
    samples = None if batch is None else options.batch(batch, VERB)

    from ganworks import gan
    from ganworks.cli.planned import show
    from ganworks.cli.report import finish

    order = gan.Order(
        data=data, system=system, steps=steps, time=budget, seed=seed, run=run, batch=samples, size=size,
        mirror=mirror or None, on_bad=on_bad, overrides=overrides, config=config, start_from=start_from,
        held_out=held_out, log=tuple(log or ()), device=device, patience=patience, processes=processes,
    )  # fmt: skip
    with Progress.for_output(output) as progress:
        if dry_run:
            plan = gan.forecast(order, watchers=progress.watchers)
        else:
            result = gan.train(order, watchers=progress.watchers)
    return show(plan, output) if dry_run else finish(result, output)
