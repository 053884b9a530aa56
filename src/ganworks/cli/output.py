"""What every verb prints, and where: the result on standard output, everything else on standard error."""

import contextlib
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter

_GROUP = Group("Output", sort_key=100)
_CONTROL = {code: "?" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True)
class Output:
    """How a verb talks. Every verb takes these."""

    json: bool = False
    "Print the result alone, as JSON, on standard output."
    quiet: Annotated[bool, Parameter(name=("--quiet", "-q"))] = False
    "Print the result and errors only."
    verbose: Annotated[bool, Parameter(name=("--verbose", "-v"))] = False
    "Show every term of the losses."
    debug: bool = False
    "Show the traceback of an error."
    no_color: bool = False
    "Print plain text; the variable NO_COLOR does the same."

    def result(self, data: object, lines: Callable[[], Iterable[str]]) -> None:
        """Print a verb's result: `data` with --json, otherwise its lines. A reader that went away is no error."""
        try:
            print(to_json(data) if self.json else "\n".join(clean(line) for line in lines()), flush=True)
        except BrokenPipeError:
            discard_output()


DEFAULT = Output()


def discard_output() -> None:
    """Let what is still buffered for standard output go nowhere, so that closing it cannot fail."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def clean(text: str) -> str:
    """Names come from files and from other people: what could steer a terminal is shown as '?'."""
    return text.translate(_CONTROL)


def _plain(value: Any) -> Any:
    """JSON has neither NaN nor paths: null and text stand for them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value


def to_json(data: object) -> str:
    """Strict JSON, the same for equal data."""
    return json.dumps(_plain(data), indent=2, ensure_ascii=False, allow_nan=False)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines with aligned columns; the first row names the columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
