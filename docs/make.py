"""The two pages that are made and not written: errors.md from the table of errors, evidence.md from the results.

python -m docs.make
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from experiments.record import ROOT, stale
from ganworks.errors import TABLE

DOCS = Path(__file__).parent
RESULTS = (ROOT / "experiments" / "results", ROOT / "benchmarks" / "results")
_EXITS = {
    2: "usage or settings",
    3: "data",
    4: "disk, memory, device or lock",
    5: "a model file that is refused",
    6: "training failed",
    1: "a fault of ours",
}
_ERRORS = """\
# Errors

*Made by `python -m docs.make` from `src/ganworks/errors.py`. Do not edit.*

An error has three parts: what happened and where, details, and one thing to do. The command prints them on standard
error and ends with the exit code of the error's class; with `--json` they stand on standard output too. In Python each
is an exception: a subclass of `ganworks.errors.GanworksError` with `code`, `what`, `where`, `details`, `remedy` and
`exit_code`. Words in braces are filled in.
"""
_EVIDENCE = """\
# Evidence

*Made by `python -m docs.make` from the results in the repository. Do not edit.*

Every claim has a script with its bars and, where there is one, the floor: what real data, or the exact density, scores
under the same protocol. A result is **stale** when a source it depends on has changed since it was measured, as of the
making of this page; `python -m experiments.record` says how it stands now.
"""


def row(cells: Iterable[object]) -> str:
    """One line of a table."""
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> list[str]:
    """A table in Markdown."""
    names = list(head)
    return [row(names), row("---" for _ in names), *map(row, rows)]


def errors_page() -> str:
    """Every error, by exit code."""
    lines = _ERRORS.splitlines()
    for code, meaning in _EXITS.items():
        rows = [
            (f"`{name}`", entry.kind.__name__, f"`{entry.sentence}`", f"`{entry.remedy}`")
            for name, entry in sorted(TABLE.items())
            if entry.kind.exit_code == code
        ]
        lines += ["", f"## Exit code {code}: {meaning}", "", *table(("code", "class", "what", "do"), rows)]
    return "\n".join(lines) + "\n"


def results() -> list[Path]:
    """Every result file of the repository; smokes are none."""
    return [path for folder in RESULTS for path in sorted(folder.glob("*.json")) if not path.stem.endswith("-smoke")]


def evidence_page() -> str:
    """Every claim with what was found."""
    lines = _EVIDENCE.splitlines()
    for path in results():
        lines += ["", *_result(path, json.loads(path.read_text()))]
    return "\n".join(lines) + "\n"


def _result(path: Path, found: Mapping[str, Any]) -> Iterator[str]:
    place = path.relative_to(ROOT)
    yield f"## {path.stem}"
    yield ""
    if "bars" not in found:
        yield f"[{place}](../{place}) has no bars."
        return
    verdict = {True: "passed", False: "**failed**", None: "**unfinished**"}[found["passed"]]
    yield f"{found['claim']} {verdict.capitalize()}, {'**stale**' if stale(path) else 'fresh'}."
    yield ""
    bars = [
        (bar["what"], number(bar["value"]), bar["bar"], "yes" if bar["passed"] else "**no**") for bar in found["bars"]
    ]
    yield from table(("bar", "value", "must be", "passed"), bars)
    if found["floors"]:
        yield ""
        yield from table(
            ("floor", "what it scores"), [(name, _numbers(floor)) for name, floor in found["floors"].items()]
        )
    yield ""
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    yield f"- {found['date'][:10]}, {found['processor']}, {versions}"
    # A benchmark's record has the name of its folder wrong.
    yield f"- `{found['command'].replace('experiments.', f'{place.parts[0]}.', 1)}`"
    yield f"- all numbers: [{place}](../{place})"


def number(value: object) -> str:
    """Four significant digits; whole numbers in full."""
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _numbers(scored: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in scored.items() if isinstance(value, int | float))


PAGES = {"errors.md": errors_page, "evidence.md": evidence_page}


def main(folder: Path = DOCS) -> int:
    """Write the pages."""
    for name, page in PAGES.items():
        (folder / name).write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
