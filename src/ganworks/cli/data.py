"""`ganworks data`: what comes with ganworks, and what is in data before anything is trained on them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganworks.cli.output import DEFAULT, Output, table, to_json
from ganworks.cli.progress import Progress
from ganworks.errors import in_a_shell
from ganworks.training.disk import appearing, check_out

if TYPE_CHECKING:
    from ganworks.data.check import Report

_NAMED = 10
"""Files that are named one by one; all of them are in the JSON."""
_MODES = {
    "1": "black and white", "L": "grey", "LA": "grey with alpha", "I;16": "grey of 16 bits", "I;16B": "grey of 16 bits",
    "RGB": "colour", "RGBA": "colour with alpha", "P": "palette",
}  # fmt: skip
"""Pillow's modes in words; others are known by their own name."""


def data(*, output: Output = DEFAULT) -> int:
    """Look at data: `ganworks data list` and `ganworks data check DATA`.

    Examples:
      ganworks data list
      ganworks data check photos
    """
    rows = [
        {"name": "data list", "does": "the data that come with ganworks"},
        {"name": "data check DATA", "does": "what is in a folder, archive or file, and what training would use of it"},
    ]
    output.result(rows, lambda: [*table([[f"ganworks {row['name']}", row["does"]] for row in rows])])
    return 0


def list_data(*, output: Output = DEFAULT) -> int:
    """List the data that come with ganworks: each can be trained on by its name.

    Examples:
      ganworks data list
      ganworks train ring
    """
    from ganworks.data.builtin import names

    rows = [
        {
            "name": row.name,
            "kind": row.kind,
            "rows": row.count,
            "shape": list(row.shape),
            "licence": row.licence,
            "source": row.source,
            "description": row.description,
        }
        for row in names()
    ]
    head = ["name", "kind", "rows", "size", "licence", "what"]
    cells = [[r.name, r.kind, f"{r.count:,}", _size(r.shape), r.licence, r.description] for r in names()]
    output.result(rows, lambda: [*table([head, *cells]), "", "next:", "  ganworks train ring"])
    return 0


def check(data: str, /, *, out: Path | None = None, output: Output = DEFAULT) -> int:
    """Look at all of DATA before training: sizes, classes, files that cannot be read, pictures that are there twice.

    Every picture is opened. Bad files are what it looks for: the exit code is 0 if anything could be read.

    Examples:
      ganworks data check photos
      ganworks data check photos.zip --out look
      ganworks data check points.csv --json

    Parameters
    ----------
    data
        Name of a built-in data set, or path of a folder, archive or file.
    out
        A new or empty folder for a contact sheet, sheet.png, and everything found, report.json.
    """
    if out is not None:
        check_out(out)

    from ganworks.data.check import check as look

    with Progress.for_output(output) as progress:

        def tell(record: Mapping[str, Any]) -> None:
            for watcher in progress.watchers:
                watcher(record)

        report = look(data, tell)
    if out is not None:
        _write(report, out)
    output.result(report.as_dict(), lambda: _lines(data, report, out))
    return 0


SUB_VERBS: dict[str, Callable[..., int]] = {"list": list_data, "check": check}


def _write(report: "Report", out: Path) -> None:
    from ganworks.data.pictures import write_png

    with appearing(out) as folder:
        write_png(folder / "sheet.png", report.sheet)
        (folder / "report.json").write_text(to_json(report.as_dict()) + "\n", encoding="utf-8")


def _size(shape: Sequence[int]) -> str:
    """What one row is, in words: `2 numbers`, `28 x 28 grey`."""
    if len(shape) == 1:
        return f"{shape[0]} numbers"
    return f"{shape[2]} x {shape[1]} {'grey' if shape[0] == 1 else 'colour'}"


def _lines(source: str, report: "Report", out: Path | None) -> Iterable[str]:
    """The report for a person: what is there, what is wrong with it, what to do next."""
    from ganworks.reading.listing import ignored_words, shown

    pictures = bool(report.modes)
    what = "pictures" if pictures else f"points of {next(iter(report.sizes))} numbers"
    what = "pairs of pictures" if report.kind == "pairs" else what
    yield f"{shown(source)}: {report.count:,} {what}" + (" that can be read" if report.bad else "")
    yield ""
    if pictures:
        yield f"sizes      {_sizes(report.sizes)}"
        yield f"pixels     {_counts({_MODES.get(mode, mode): count for mode, count in report.modes.items()})}"
    if report.formats:
        yield f"formats    {_counts(report.formats)}"
    if report.classes:
        yield f"classes    {len(report.classes):,}: {_counts({shown(name): n for name, n in report.classes.items()})}"
    yield from _named("cannot be read", [f"{shown(file)}   {reason}" for file, reason in report.bad])
    for words, pairs in (("are copies", report.duplicates), ("look alike", report.near_duplicates)):
        sign = "=" if pairs is report.duplicates else "~"
        yield from _named(words, [f"{shown(other)}   {sign} {shown(one)}" for one, other in pairs])
    if report.ignored:
        yield f"ignored    {', '.join(ignored_words(report.ignored))}"
    for line in report.note:
        yield f"note       {shown(line)}"
    yield from _use(report)
    if out is not None:
        yield f"written    {shown(str(out / 'sheet.png'))}, report.json"
    yield from ("", "next:", *_next(in_a_shell(Path(source)), report, out))


def _named(what: str, lines: Sequence[str]) -> Iterable[str]:
    """How many are so, and the first of them."""
    if not lines:
        return
    yield f"{len(lines):,} {what}:"
    yield from (f"  {line}" for line in lines[:_NAMED])
    if len(lines) > _NAMED:
        yield f"  and {len(lines) - _NAMED:,} more"


def _counts(counts: Mapping[str, int]) -> str:
    """`PNG (416), JPEG (184)`; of many the first."""
    parts = [f"{name} ({count:,})" for name, count in list(counts.items())[:_NAMED]]
    return ", ".join(parts) + (f" and {len(counts) - _NAMED:,} more" if len(counts) > _NAMED else "")


def _sizes(sizes: Mapping[str, int]) -> str:
    if len(sizes) <= 3:
        return ", ".join(f"{size.replace('x', ' x ')} px ({count:,})" for size, count in sizes.items())
    sides = [tuple(map(int, size.split("x"))) for size in sizes]
    widths, heights = zip(*sides, strict=True)
    usual, count = next(iter(sizes.items()))
    spans = f"{min(widths)} to {max(widths)} px wide, {min(heights)} to {max(heights)} px high"
    return f"{len(sizes):,} different, {spans}; most often {usual.replace('x', ' x ')} ({count:,})"


def _use(report: "Report") -> Iterable[str]:
    """What training would take of the data."""
    use, form = report.training, ""
    if use is None:
        return
    if report.modes:
        form = f" at {use['size'].replace('x', ' x ')} px, {'grey' if use['channels'] == 1 else 'in colour'}"
    held = f", {use['held_out']:,} held out for scoring" if use["held_out"] else ", none held out"
    yield f"training   would use {use['rows']:,}{form}{held}"


def _next(typed: str, report: "Report", out: Path | None) -> Iterable[str]:
    if report.training is not None:
        yield f"  ganworks train {typed}" + (" --on-bad skip" if report.bad else "")
    if out is None:
        yield f"  ganworks data check {typed} --out look"
