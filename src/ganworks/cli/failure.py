"""`ganworks failure`: a training that fails on purpose, what the diagnosis says of it, and what its remedy mends."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ganworks.cli.findings import full
from ganworks.cli.output import DEFAULT, Output, table
from ganworks.cli.progress import Progress
from ganworks.cli.scores import number
from ganworks.cli.train import Seed
from ganworks.errors import error, in_a_shell
from ganworks.registry import suggestion

if TYPE_CHECKING:
    from ganworks.diagnosis.verdict import Verdict
    from ganworks.failures.staging import Staged


def failure(
    name: Annotated[str | None, Parameter(help="Which failure; without it they are listed.")] = None,
    /,
    *,
    seed: Seed = 0,
    out: Path = Path("failures"),
    output: Output = DEFAULT,
) -> int:
    """Train a GAN that fails in a known way, diagnose it, train what the verdict advises, and show both.

    Each takes less than a minute of one processor. Both trainings are runs like any other.

    Examples:
      ganworks failure
      ganworks failure mode_collapse

    Parameters
    ----------
    seed
        Every random number follows from it.
    out
        Folder that gets a new folder with the failure's name.
    """
    from ganworks.failures.recipes import GALLERY, named

    if name is None:
        rows = [
            {"name": each.name, "shows": each.shows, "command": f"ganworks failure {each.name}"} for each in GALLERY
        ]
        output.result(rows, lambda: table([[row["command"], row["shows"]] for row in rows]))
        return 0

    if (asked := named(name)) is None:
        names = [each.name for each in GALLERY]
        raise error("E-NAME-11", name=name, details=suggestion(name, names) or [f"known: {', '.join(names)}"])

    from ganworks.failures import staging

    with Progress.for_output(output) as progress:
        staged = staging.stage(asked, out, seed, progress.watchers)
    if (ended := staged.cut_short) is not None:
        output.result(_json(staged, None), lambda: [*_lines(staged), *_cut_short(staged)])
        return 128 + (ended.signal or 2) if ended.stopped == "signal" else 0

    from ganworks.data.pictures import write_png
    from ganworks.failures.picture import before_after

    picture = out / asked.name / "before-after.png"
    write_png(picture, before_after(staged))
    output.result(_json(staged, picture), lambda: [*_lines(staged), f"picture {picture}"])
    return 0


def _json(staged: "Staged", picture: Path | None) -> dict[str, Any]:
    verdicts, mended = staged.failing.verdicts, staged.mended
    return {
        "failure": staged.failure.name,
        "verdicts": [each.as_dict() for each in verdicts],
        "remedy": verdicts[0].remedy if verdicts else "",
        "mended": None if mended is None else {"verdicts": [each.as_dict() for each in mended.verdicts]},
        "measure": staged.failure.measure,
        "before": staged.failing.value,
        "after": None if mended is None else mended.value,
        "factor": staged.factor,
        "claimed": staged.failure.factor,
        "held": staged.held,
        "runs": [each.run for each in staged.runs],
        "picture": picture,
    }


def _lines(staged: "Staged") -> Iterator[str]:
    asked = staged.failure
    yield f"{asked.name}: {asked.shows}"
    for training, word in zip(staged.runs, ("failing", "with the remedy"), strict=False):
        yield from ("", f"{word}, {in_a_shell(training.run)}:")
        yield from (f"  {line}" for line in _told(training.verdicts))
    first = staged.failing.verdicts[0].name if staged.failing.verdicts else ""
    yield ""
    if first != asked.name and not staged.cut_short:
        yield f"with this seed it did not come to {asked.name}"
    if staged.mended is not None:
        yield _change(staged)


def _told(verdicts: "list[Verdict]") -> Iterator[str]:
    """The first verdict with all that speaks for it, then the names of the others."""
    if not verdicts:
        yield "too short to tell"
        return
    first, *others = verdicts
    yield from full(first.as_dict())
    if others:
        yield f"  also {', '.join(each.name for each in others)}"


def _change(staged: "Staged") -> str:
    """The number before and after, beside the factor that is claimed."""
    asked, mended = staged.failure, staged.mended
    assert mended is not None
    way = "up" if asked.better == "more" else "down"
    told = f"{asked.measure} went from {number(staged.failing.value)} to {number(mended.value)}"
    if staged.factor is None:
        return f"{told}; claimed: {way} by a factor of {asked.factor:g}, which cannot be said"
    held = "held" if staged.held else "not held with this seed"
    factor = f"{staged.factor:.3g}" if staged.factor < 1e6 else "more than a million"
    return f"{told}, {way} by a factor of {factor}; claimed: at least {asked.factor:g}: {held}"


def _cut_short(staged: "Staged") -> list[str]:
    run, asked = staged.runs[-1], staged.failure
    assert staged.cut_short is not None
    return [
        f"stopped at step {staged.cut_short.step}, and everything is saved",
        "next:",
        f"  ganworks resume {in_a_shell(run.run)}",
        f"  ganworks failure {asked.name} --out failures-again",
    ]
