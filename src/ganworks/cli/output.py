"""What every verb prints, and where: the result on standard output, everything else on standard error."""

import contextlib
import json
import math
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter

_GROUP = Group("Output", sort_key=100)
_CONTROL = {code: "?" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


_SPELT = {
    "½": "1/2", "²": "^2", "ᵀ": "^T", "ᵏ": "^k", "ᴷ": "^K", "⁽": "^(", "∇": "grad ", "∂": "d", "Σ": "sum ", "‖": "|",
    "σ": "sigma", "β": "beta", "θ": "theta", "φ": "phi", "χ": "chi", "ε": "eps", "γ": "gamma", "λ": "lambda",
    "η": "eta", "ā": "a_bar", "\u0304": "_bar", "\u0302": "_hat", "×": "x", "÷": "/", "·": "*", "∘": "o", "≈": "~",
    "→": "->", "←": "<-", "⟨": "<", "⟩": ">",
}  # fmt: skip
"""How letters of formulas are spelt where a console has none of them."""
_NOT_UNICODE = re.compile("[\ud800-\udfff]")
"""Bytes of file names that are no UTF-8: written as escapes, a reader gets the very name."""


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
            text = to_json(data) if self.json else "\n".join(clean(line) for line in lines())
            print(writable(text, getattr(sys.stdout, "encoding", None), escaped=self.json), flush=True)
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


def writable(text: str, encoding: str | None, *, escaped: bool = False) -> str:
    """Text as a console of this encoding can show it: letters of formulas that it lacks are spelt out, or escaped."""
    try:
        text.encode(encoding or "utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return "".join(letter if letter.isascii() else _spelt(letter, str(encoding), escaped) for letter in text)
    except LookupError:  # a console that Python does not know
        pass
    return text


def _spelt(letter: str, encoding: str, escaped: bool) -> str:
    if letter.encode(encoding, "ignore"):
        return letter
    if escaped:
        return json.dumps(letter)[1:-1]
    return _SPELT.get(letter) or unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode() or "?"


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
    text = json.dumps(_plain(data), indent=2, ensure_ascii=False, allow_nan=False)
    return _NOT_UNICODE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines with aligned columns; the first row names the columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
