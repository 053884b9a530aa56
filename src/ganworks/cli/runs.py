"""`ganworks runs`: the trainings there are, and where each stands."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ganworks import history
from ganworks.cli.output import DEFAULT, Output, table
from ganworks.cli.progress import duration
from ganworks.cli.scores import number
from ganworks.errors import in_a_shell
from ganworks.history import Run

_DAY = 86_400
_HEADLINES = ("high_quality", "frechet_distance", "kernel_distance", "recall")
"""The metric that stands for all in a line, the first that was computed."""


def _row(run: Run, now: float) -> dict[str, Any]:
    """A run as JSON has it."""
    scored = run.scored
    return {
        "name": run.name,
        "path": run.path,
        "state": run.state,
        "reason": run.reason,
        "pid": run.pid,
        "system": run.system,
        "data": run.data,
        "step": run.step,
        "steps": run.steps,
        "checkpoint": run.checkpoint,
        "seconds": run.seconds,
        "losses": dict(run.losses),
        "scores": scored.scores if scored else [],
        "scored_at": scored.step if scored else None,
        "age": round(max(0.0, now - run.changed), 1),
    }


def _headline(scores: list[dict[str, Any]]) -> str:
    by_name: Mapping[str, dict[str, Any]] = {score["metric"]: score for score in scores}
    name = next((name for name in _HEADLINES if name in by_name), next(iter(by_name), None))
    return f"{name} {number(by_name[name]['value'])}" if name else "-"


def _age(seconds: float) -> str:
    return f"{duration(seconds)} ago" if seconds < _DAY else f"{seconds / _DAY:.0f} d ago"


def _cells(row: dict[str, Any]) -> list[str]:
    state = f"{row['state']} ({row['pid']})" if row["pid"] else row["state"]
    losses = " ".join(f"{player[:1].upper()} {number(value)}" for player, value in row["losses"].items())
    time_taken = duration(row["seconds"]) if row["seconds"] else "-"
    step = f"{row['step']}/{row['steps']}"
    rest = ["-"] * 6 if row["state"] == "broken" else [
        row["system"], row["data"], step, time_taken, losses or "-", _headline(row["scores"])
    ]  # fmt: skip
    return [row["name"], state, *rest, _age(row["age"])]


def _lines(rows: list[dict[str, Any]]) -> list[str]:
    head = ["run", "state", "system", "data", "step", "time", "losses", "score", "written"]
    lines = table([head, *(_cells(row) for row in rows)])
    reasons = [f"{row['name']}: {row['reason']}" for row in rows if row["reason"] and row["state"] != "stopped"]
    if reasons:
        lines += ["", *reasons]
    if cut := [row["path"] for row in rows if row["state"] in ("stopped", "killed") and row["checkpoint"] is not None]:
        lines += ["", f"go on with the last that was cut short:  ganworks resume {in_a_shell(cut[-1])}"]
    return lines


# Said here and not below: of a docstring with examples and a single parameter the parser shows no help.
Folder = Annotated[Path | None, Parameter(help="Where the runs are; runs/ without it.")]


def runs(folder: Folder = None, /, *, output: Output = DEFAULT) -> int:
    """List the runs in a folder with where each stands; the one that was written last comes last.

    Examples:
      ganworks runs
      ganworks runs experiments/tonight --json
    """
    place = folder or Path("runs")
    found = history.runs(place) if folder or place.is_dir() else []
    now = time.time()
    rows = [_row(run, now) for run in found]
    none = f"there are no runs in {place} yet: ganworks train makes the first"
    output.result(rows, lambda: _lines(rows) if rows else [none])
    return 0
