"""Verdicts on a run: from its folder, whether it goes on, has ended or was killed; and while it trains.

Reading takes neither lock nor torch, like `history`.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ganworks import history
from ganworks.diagnosis import remedies
from ganworks.diagnosis.rules import Finding, Judge, enough
from ganworks.diagnosis.series import Record, Series, middle, number
from ganworks.diagnosis.thresholds import bound
from ganworks.diagnosis.verdict import NAMES, Evidence, Verdict
from ganworks.errors import error

FILE = "verdicts.jsonl"

_EXPLAINS: Mapping[str, tuple[str, ...]] = {
    "not_finite": NAMES,
    "frozen": NAMES,
    "divergence": NAMES,
    "vanishing_gradient": ("mode_collapse", "discriminator_overfitting", "oscillation"),
    "overtrained": ("weak_discriminator", "mode_collapse"),
    "weak_discriminator": ("mode_collapse",),
    "oscillation": ("weak_discriminator", "mode_collapse"),
    "discriminator_overfitting": ("overtrained", "mode_collapse"),
}
"""What follows from a verdict that stands before it, and is not told again."""


def of_run(path: Path) -> list[Verdict]:
    """The verdicts on a run, the most important first; empty where it is too short to tell.

    Raises: UsageError if the path is no run.
    """
    if not history.is_run(path):
        reason = "it holds nothing that a run leaves" if path.is_dir() else "there is no such folder"
        raise error("E-RUN-02", path=path, reason=reason)
    run = history.read(path)
    records = list(history.numbered(path))
    return of_series(series(path, records, run.reason if run.state == "failed" else ""), path)


def silence(path: Path) -> str:
    """Why nothing can be said of a run yet: a clause."""
    told = series(path, list(history.numbered(path)))
    if told.settings and not told.steps:
        return "there is nothing to diagnose: all was done before the first step"
    count, least = len(told.looks), round(bound("looks.least"))
    every = told.setting("sample.every") or max(told.steps // 20, 1)
    last = max((record["step"] for _, record in told.records), default=0)
    if not count and isinstance(every, int) and last >= every:
        return "nothing was measured: it was trained before there were probes, or they failed and log.txt says how"
    looks = "1 look" if count == 1 else f"{count} looks"
    needed = f"{least} looks, one at each sample grid, and {bound('looks.steps'):g} steps are needed"
    return f"too short to tell: {looks} in {last} steps; {needed}"


def series(path: Path, records: Sequence[Record], failed: str = "") -> Series:
    """The records of a run with its settings."""
    try:
        settings = history.configured(path)
    except ValueError:
        settings = {}
    steps = settings.get("steps")
    return Series(records, settings, steps if isinstance(steps, int) else 0, failed)


def of_series(told: Series, path: Path) -> list[Verdict]:
    """The verdicts on records.

    Args:
        path: Of the run, for the commands.
    """
    found: list[Verdict] = []
    explained: set[str] = set()
    for finding in sorted(Judge(told).findings(), key=lambda each: NAMES.index(each.name)):
        if finding.name not in explained:
            explained |= {*_EXPLAINS.get(finding.name, ()), finding.name}
            found.append(_verdict(finding, told, path))
    if not found and enough(told):
        found.append(_healthy(told))
    return found


def _verdict(finding: Finding, told: Series, path: Path) -> Verdict:
    try:
        remedy = remedies.command(path, remedies.changes(finding, told, _numbers(path)))
    except (TypeError, ValueError, LookupError, AttributeError):  # somebody has broken config.toml since
        remedy = ""
    return Verdict(
        finding.name,
        finding.since,
        confidence(finding.hits, finding.looks) if finding.looks else 1.0,
        [each for each in finding.evidence if math.isfinite(each.value)],  # a sign may do without a number
        remedy,
    )


def confidence(hits: int, looks: int) -> float:
    """(h + 1) / (n + 2): Laplace's rule of succession."""
    return round((hits + 1) / (looks + 2), 3)


def _healthy(told: Series) -> Verdict:
    """Nothing is wrong as far as the table of thresholds goes; and how things stand."""
    count = len(told.looks)
    last = max(0, count - 3)
    told_right, kinds, away, floor = (
        middle(told.look(f"probe.{name}")[last:]) for name in ("accuracy", "kinds", "distance", "distance_floor")
    )
    evidence = []
    lines = told.lines(last)
    if told_right is not None:
        says = f"D rates {told_right:.0%} of pairs right"
        evidence.append(Evidence(says, "probe.accuracy", told_right, bound("saturated.accuracy"), lines))
    if kinds is not None:
        says = f"of the kinds that real rows have, samples have {kinds:.0%}"
        evidence.append(Evidence(says, "probe.kinds", kinds, bound("collapse.kinds"), lines))
    if away is not None and floor:
        says = f"samples are {away / floor:.1f} times as far from held-out rows as other real rows are"
        evidence.append(Evidence(says, "probe.distance", away, floor, lines))
    return Verdict("healthy", told.step(0), confidence(count, count), evidence, "")


def _numbers(path: Path) -> int:
    """In a row of the data."""
    shape = history.described(path / "data.json").get("shape")
    return math.prod(each for each in shape if isinstance(each, int)) if isinstance(shape, list) else 1


def preflight(record: Mapping[str, Any]) -> str:
    """The line for the record of the look after the first updates of D; empty for others."""
    told = number(record, "probe.preflight")
    if told is None:
        return ""
    line = f"pre-flight: after {record['step']} steps D rates a real row above a first sample {told:.0%} of the time"
    if told >= bound("preflight.accuracy"):
        return f"{line}: training can start"
    return f"{line}; a coin would 50 %: D cannot tell them apart, so there is nothing for G to learn from"


class Doctor:
    """Judges a run while it trains: once after each look, aloud when the verdicts have changed.

    What stands in verdicts.jsonl is a function of metrics.jsonl and of the run's path, so a resume writes the same.

    Args:
        path: Of the run.
        write: Appends a line to verdicts.jsonl.
        tell: Says something to whoever listens.
    """

    def __init__(self, path: Path, write: Callable[[Mapping[str, Any]], None], tell: Callable[[str], None]) -> None:
        self.path, self._write, self._tell = path, write, tell
        self.verdicts: list[Verdict] = []
        self._reader = history.Reader(path)

    def look(self) -> None:
        """Judge what there is now, and write it down where other names are found than were written last."""
        records = self._judge()
        if records and (line := preflight(records[-1][1])):
            self._tell(line)
        # Asked of the file: a rollback and a resume have dropped lines, and what they held is news again.
        known = [each["name"] for each in present(self.path)]
        if self.verdicts and [verdict.name for verdict in self.verdicts] != known:
            self._tell(f"step {self._put(records)}: {self.verdicts[0].line}")

    def end(self, failed: str = "") -> None:
        """Judge a run that has come to its end, and write that down unless it stands there.

        Args:
            failed: The error that ended it; empty where none did.
        """
        records, known = self._judge(failed), present(self.path)
        if _plain(self.verdicts) != [{key: each[key] for key in each if key != "step"} for each in known]:
            self._put(records)

    def interrupted(self) -> None:
        """Judge a run that will go on. Nothing is written: an unbroken run has no look here."""
        self._judge()

    def _judge(self, failed: str = "") -> Sequence[Record]:
        records = self._reader.read()
        self.verdicts = of_series(series(self.path, records, failed), self.path)
        return records

    def _put(self, records: Sequence[Record]) -> int:
        step = int(records[-1][1]["step"]) if records else 0
        for plain in _plain(self.verdicts):
            self._write({"step": step, **plain})
        return step


def _plain(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Verdicts as they are read from JSON."""
    return [json.loads(json.dumps(verdict.as_dict())) for verdict in verdicts]


def present(path: Path) -> list[dict[str, Any]]:
    """The verdicts that were written last: the lines of verdicts.jsonl with its highest step."""
    lines = [each for each in history.records(path, file=FILE) if isinstance(each.get("name"), str)]
    last = max((each["step"] for each in lines), default=0)
    return [each for each in lines if each["step"] == last]
