"""`ganworks diagnose`: what is wrong with a training, in words, from what its run has recorded."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganworks.cli.findings import full
from ganworks.cli.output import DEFAULT, Output
from ganworks.training import disk


def _lines(verdicts: Sequence[dict[str, Any]], silence: str, written: Sequence[Path]) -> list[str]:
    lines = [silence] if silence else []
    for verdict in verdicts:
        lines += ([""] if lines else []) + list(full(verdict))
    return [*lines, *([""] if written else []), *(f"written  {path}" for path in written)]


def diagnose(run: Path, /, *, out: Path | None = None, output: Output = DEFAULT) -> int:
    """Say what is wrong with a training, since when, by which numbers, and what to do; the gravest first.

    It reads a run that is going on, has ended or was killed, and changes nothing.

    Examples:
      ganworks diagnose runs/digits-0001
      ganworks diagnose runs/digits-0001 --out findings

    Parameters
    ----------
    run
        Folder of the run.
    out
        A new or empty folder for report.html and results.png: the same with curves, samples and scores.
    """
    if out is not None:
        disk.check_out(out)

    from ganworks.diagnosis import ward

    verdicts = [verdict.as_dict() for verdict in ward.of_run(run)]
    silence = "" if verdicts else ward.silence(run)
    written: Sequence[Path] = ()
    if out is not None:
        from ganworks import report

        with disk.appearing(out) as folder:
            written = [out / each.name for each in report.write(run, folder, judged=True)]
    output.result({"verdicts": verdicts}, lambda: _lines(verdicts, silence, written))
    return 0
