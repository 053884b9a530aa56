"""The verdicts of a run: what its `verdicts.jsonl` holds, as far as it has their form, or those of this moment."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganworks import history
from ganworks.diagnosis import ward

FILE = "verdicts.jsonl"
HEALTHY = "healthy"


@dataclass(frozen=True)
class Evidence:
    """One number that speaks for a verdict.

    Attributes:
        says: What it means.
        measure: Its name in metrics.jsonl.
        value, bound: As text; the bound is what it was compared with.
        lines: Which lines of metrics.jsonl hold it, as text.
    """

    says: str
    measure: str
    value: str
    bound: str
    lines: str


@dataclass(frozen=True)
class Verdict:
    """A finding of the diagnosis."""

    name: str
    since: int | None
    confidence: str
    evidence: tuple[Evidence, ...]
    remedy: str

    @property
    def healthy(self) -> bool:
        return self.name == HEALTHY


@dataclass(frozen=True)
class Present:
    """The verdicts of the last look, and the step at which it was."""

    step: int
    verdicts: tuple[Verdict, ...]
    silence: str = ""
    """Why there are none."""


def present(run: Path) -> Present | None:
    """What the last look found; None where nobody has looked, or nothing can be read."""
    last, found = -1, list[Verdict]()
    for line in history.records(run, file=FILE):
        if not isinstance(line.get("name"), str):
            continue
        if line["step"] > last:
            last, found = line["step"], []
        if line["step"] == last:
            found.append(_verdict(line))
    return Present(last, tuple(found)) if found else None


def judge(run: Path) -> Present:
    """What a look at the run as it is now finds."""
    found = [_verdict(json.loads(json.dumps(each.as_dict()))) for each in ward.of_run(run)]
    step = max((record["step"] for record in history.records(run)), default=0)
    return Present(step, tuple(found), "" if found else ward.silence(run))


def _verdict(line: Mapping[str, Any]) -> Verdict:
    since, evidence = line.get("since_step"), line.get("evidence")
    return Verdict(
        name=line["name"],
        since=since if isinstance(since, int) and not isinstance(since, bool) and 0 <= since < 2**63 else None,
        confidence=as_text(line.get("confidence")),
        evidence=tuple(_evidence(each) for each in evidence if isinstance(each, dict))
        if isinstance(evidence, list)
        else (),
        remedy=as_text(line.get("remedy")),
    )


def _evidence(found: Mapping[str, Any]) -> Evidence:
    lines = found.get("lines")
    ends = [as_text(each) for each in lines if each is not None] if isinstance(lines, list) else [as_text(lines)]
    span = " to ".join(dict.fromkeys(filter(None, ends)))
    says, measure, value, bound = (as_text(found.get(key)) for key in ("says", "measure", "value", "bound"))
    return Evidence(says, measure, value, bound, span)


def as_text(value: object) -> str:
    """A value of a JSON file in words: four significant digits, nothing for null."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)
