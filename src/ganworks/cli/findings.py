"""Verdicts in words. `train`, `resume` and `diagnose` share it; it needs no torch."""

from collections.abc import Iterator, Mapping
from typing import Any

from ganworks.cli.scores import number

Told = Mapping[str, Any]
"""A verdict as JSON has it."""


def brief(verdict: Told) -> Iterator[str]:
    """A verdict at the end of a run: since when, its first number, and what to do; all of them where all is well."""
    few = verdict["evidence"] if verdict["name"] == "healthy" else verdict["evidence"][:1]
    yield f"{_name(verdict)}: {'; '.join(each['says'] for each in few)}" if few else _name(verdict)
    yield from _remedy(verdict)


def full(verdict: Told) -> Iterator[str]:
    """A verdict with all that speaks for it."""
    yield f"{_name(verdict)}, confidence {verdict['confidence']:.2f}"
    for each in verdict["evidence"]:
        first, last = each["lines"]
        lines = f"line {first}" if first == last else f"lines {first} to {last}"
        place = f"metrics.jsonl {lines}" if last else "log.txt"  # what failed before its first record
        yield f"  {each['says']}"
        yield f"    {each['measure']} {number(each['value'])}, bound {number(each['bound'])}; {place}"
    yield from _remedy(verdict)


def _name(verdict: Told) -> str:
    return verdict["name"] if verdict["name"] == "healthy" else f"{verdict['name']} since step {verdict['since_step']}"


def _remedy(verdict: Told) -> Iterator[str]:
    if verdict["remedy"]:
        yield f"  do:  {verdict['remedy']}"
