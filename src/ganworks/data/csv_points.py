"""CSV of points: a row is a point, a column of numbers a coordinate, one other column may hold the labels."""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganworks.data.arrays import from_columns
from ganworks.data.dataset import Content
from ganworks.errors import error
from ganworks.reading.listing import shown

LABELS = ("label", "class", "target", "y")
"""Names of the column of labels, in any letter case; the first of them counts."""
_INDEX = ("", "unnamed: 0", "index", "id")
"""Names under which spreadsheets and data frames write a row's number."""
_DELIMITERS = "\t;,"
_HEAD = 1 << 16
_CHUNK = 200
"""Rows at a time: so few that the garbage collector does not wake up for them, which costs three times the reading."""
_MANY = 100
"""Classes of which a person is told; more than this, and more than half the rows, are no classes."""
_LONGEST, _LONGEST_LABEL = 40, 200
"""Letters of a cell that an error shows, and of a label."""
_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]|$)")


class _Refused(Exception):
    """Why a file is no table of points."""


class _Form(NamedTuple):
    """How a table is written: its delimiter, the titles of its columns if it has a header, their number."""

    delimiter: str
    titles: list[str]
    width: int


@dataclass
class _Column:
    """A column as far as it has been read.

    Args:
        title: From the header.
        kind: `number` or `text`; empty as long as nothing is in it.
        numbers: Chunks of float64.
        codes: Chunks of indices into `texts`.
        texts: Every different text, and its index.
    """

    title: str
    name: str
    kind: str = ""
    numbers: list[NDArray[np.float64]] = field(default_factory=list)
    codes: list[NDArray[np.int64]] = field(default_factory=list)
    texts: dict[str, int] = field(default_factory=dict)


def read_csv(path: Path) -> Content:
    """Read a CSV of points.

    Comma, semicolon or tab separate the columns; a header may be there; with semicolons or tabs a decimal comma is
    understood. The labels are in the column called like one of `LABELS`, else in the only one of text. `y` is a
    coordinate beside an `x`, and so is what holds fractions.

    Raises: DataError with the row (the line of the file) and column of what cannot be used.
    """
    try:
        encoding = _encoding(path)
        with path.open(encoding=encoding, errors="replace", newline="") as file:
            form = _form(file.read(_HEAD))
            file.seek(0)
            table = _Table(form)
            rows = csv.reader(file, delimiter=form.delimiter)
            for lines, chunk in _chunks(rows):
                table.add(lines, chunk)
        columns = table.finish()
    except (_Refused, csv.Error) as problem:
        reason = str(problem) if isinstance(problem, _Refused) else f"a quote is never closed ({problem})"
        raise error("E-DATA-15", path=path, reason=reason) from problem
    note = table.note
    if encoding == "cp1252":
        note.append("its letters are not UTF-8 and were read as Windows-1252")
    if table.infinite:
        raise error("E-DATA-05", count=table.infinite[0], where=str(path), details=[table.infinite[1]])
    content = from_columns(columns, path.stem, str(path))
    content.note.extend(note)
    return replace(content, classes=table.classes)


def _encoding(path: Path) -> str:
    """UTF-8 or, where the file says so, UTF-16; anything else is read as older spreadsheets write it."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(1 << 20), b""):
            if file.tell() <= 1 << 20 and chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return "utf-16"
            if b"\0" in chunk:
                raise _Refused("it is not text")
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                return "cp1252"
    return "utf-8-sig"


def _is_number(cell: str, delimiter: str) -> bool:
    try:
        float(cell if delimiter == "," else cell.replace(",", "."))
    except ValueError:
        return False
    return "_" not in cell  # Python's own spelling of thousands


def _form(head: str) -> _Form:
    """How a table is written, from its first rows."""
    if len(head) == _HEAD:
        head = head[: max(head.rfind("\n"), head.rfind("\r")) + 1] or head  # its last row may be cut
    found = max((_tried(head, delimiter) for delimiter in _DELIMITERS), key=lambda tried: tried[0])
    _, delimiter, rows = found
    if not rows:
        raise _Refused("it is empty")
    width = max(map(len, rows))
    if width == 1:
        raise _Refused("it has one column only; separate the values by comma, semicolon or tab")
    first = [cell.strip() for cell in rows[0]]
    return _Form(delimiter, first if _names(first, rows[1:], delimiter) else [], len(first))


def _tried(head: str, delimiter: str) -> tuple[tuple[float, ...], str, list[list[str]]]:
    """How well a delimiter divides the first rows: into several columns, equally many, and into numbers."""
    try:
        rows = list(
            islice((row for row in csv.reader(io.StringIO(head, newline=""), delimiter=delimiter) if any(row)), 50)
        )
    except csv.Error:
        rows = []
    if not rows:
        return (0.0,), delimiter, rows
    widths = [len(row) for row in rows]
    usual = max(set(widths), key=widths.count)
    cells = [cell for row in rows[1:] or rows for cell in row]
    numbers = sum(_is_number(cell, delimiter) for cell in cells) / len(cells)
    return (usual > 1, widths.count(usual) / len(rows), numbers), delimiter, rows


def _names(first: Sequence[str], others: Sequence[Sequence[str]], delimiter: str) -> bool:
    """Whether the first row is a header: it holds no number, or the name of labels, or leaves out the index's name."""
    if not any(_is_number(cell, delimiter) for cell in first):
        return True
    unnamed = not first[0] and any(row[0].strip() for row in others)
    return unnamed or any(cell.lower() in LABELS for cell in first)


def _chunks(rows: Any) -> Iterator[tuple[list[int], list[list[str]]]]:
    """What a `csv.reader` reads: rows that are not blank, with the line on which each ends."""
    filled = ((rows.line_num, row) for row in rows if row and (row[0] or any(row)))
    while chunk := list(islice(filled, _CHUNK)):
        yield [line for line, _ in chunk], [row for _, row in chunk]


class _Table:
    """The columns of a table, read chunk by chunk."""

    def __init__(self, form: _Form) -> None:
        self.note: list[str] = []
        self.infinite: tuple[int, str] | None = None
        "How many numbers are not finite, and where the first is."
        self._form = form
        self.classes: tuple[str, ...] = ()
        "Names of the labels 0 ... K-1."
        self._mark = ""
        "The decimal mark of the numbers so far."
        self._lines: list[NDArray[np.int64]] = []
        titles = form.titles or [""] * form.width
        self._columns = [
            _Column(title, f"column {shown(title)!r}" if title else f"column {number}")
            for number, title in enumerate(titles, 1)
        ]
        self._labels = self._named_labels()
        self._header_left = bool(form.titles)

    def _named_labels(self) -> _Column | None:
        titles = [column.title.lower() for column in self._columns]
        for name in LABELS:
            if name in titles and not (name == "y" and "x" in titles):
                found = self._columns[titles.index(name)]
                found.kind = "text"
                return found
        return None

    def add(self, lines: list[int], rows: list[list[str]]) -> None:
        """Take the next rows.

        Raises: _Refused.
        """
        width = self._form.width
        if set(map(len, rows)) != {width}:
            line, row = next((line, row) for line, row in zip(lines, rows, strict=True) if len(row) != width)
            raise _Refused(f"row {line} has {len(row)} cells, the first row {width}")
        if self._header_left:
            self._header_left = False
            lines, rows = lines[1:], rows[1:]
        if not rows:
            return
        for column, cells in zip(self._columns, zip(*rows, strict=True), strict=True):
            self._take(column, cells, lines)
        self._lines.append(np.array(lines, np.int64))

    def _take(self, column: _Column, cells: tuple[str, ...], lines: list[int]) -> None:
        if not column.kind:
            first = next((cell for cell in cells if cell.strip()), None)
            if first is None:
                return
            if self._lines:  # everything before was empty
                raise self._refusal(column, int(self._lines[0][0]), "")
            column.kind = "number" if _is_number(first, self._form.delimiter) else "text"
        if column.kind == "text":
            texts = column.texts
            codes = [texts.setdefault(cell.strip(), len(texts)) for cell in cells]
            column.codes.append(np.array(codes, np.int64))
            if "" in texts:
                raise self._refusal(column, lines[codes.index(texts[""])], "")
        else:
            column.numbers.append(self._numbers(column, cells, lines))

    def _numbers(self, column: _Column, cells: tuple[str, ...], lines: list[int]) -> NDArray[np.float64]:
        written = "".join(cells)
        plain: Sequence[str] = cells
        if self._form.delimiter != "," and "," in written:
            self._decide(",", column, cells, lines)
            plain = [cell.replace(",", ".") for cell in cells]
        if "." in written:
            self._decide(".", column, cells, lines)
        try:
            if "_" not in written:
                return np.array(list(map(float, plain)))
        except ValueError:
            pass
        at = next(i for i, cell in enumerate(cells) if not _is_number(cell, self._form.delimiter))
        raise self._refusal(column, lines[at], cells[at])

    def _decide(self, mark: str, column: _Column, cells: tuple[str, ...], lines: list[int]) -> None:
        """Hold on to the decimal mark; a second kind would change numbers by a thousand."""
        if self._mark not in ("", mark):
            at = next(i for i, cell in enumerate(cells) if mark in cell)
            where = f"row {lines[at]}, {column.name}"
            raise _Refused(f"{where} holds {_quoted(cells[at])}, and other numbers have '{self._mark}' as decimal mark")
        self._mark = mark

    def _refusal(self, column: _Column, line: int, cell: str) -> _Refused:
        where = f"row {line}, {column.name}"
        if not cell.strip():
            return _Refused(f"{where} is empty")
        why = " (a date)" if _DATE.match(cell.strip()) else ""
        return _Refused(f"{where} holds {_quoted(cell)}{why} where numbers are")

    def finish(self) -> dict[str, NDArray[np.generic]]:
        """The coordinates as `x`, float64 (N, D), and the labels, if any, as `label`.

        Raises: _Refused.
        """
        if not self._lines:
            raise _Refused("nothing is below its header")
        rows = np.concatenate(self._lines)
        labels = self._fractions_are_coordinates(self._labels)
        for column in list(self._columns):
            if not column.kind:
                if column.title:
                    raise _Refused(f"{column.name} is empty")
                self._columns.remove(column)
            elif column.kind == "text" and column is not labels:
                if labels is not None:
                    raise self._refusal(column, int(rows[0]), next(iter(column.texts)))
                self._same_kind(column, rows)
                labels = column
        coordinates = self._coordinates(labels, len(rows))
        found: dict[str, NDArray[np.generic]] = {
            "x": np.stack([np.concatenate(c.numbers) for c in coordinates], axis=1)
        }
        with np.errstate(over="ignore"):
            bad = ~np.isfinite(found["x"].astype(np.float32))
        if bad.any():
            row, place = (int(each) for each in np.argwhere(bad)[0])
            self.infinite = int(bad.sum()), f"the first is in row {rows[row]}, {coordinates[place].name}"
        if labels is not None:
            found["label"] = self._classified(labels, rows)
        return found

    def _fractions_are_coordinates(self, labels: _Column | None) -> _Column | None:
        """A target of a regression, or a coordinate called y, is no label."""
        if labels is None or not all(_is_number(text, self._form.delimiter) for text in labels.texts):
            return labels
        values = np.array([float(text.replace(",", ".")) for text in labels.texts])
        if (values == np.round(values)).all():
            return labels
        labels.kind, labels.numbers = "number", [values[codes] for codes in labels.codes]
        self.note.append(f"{labels.name} holds fractions and was taken as a coordinate")
        return None

    def _same_kind(self, column: _Column, rows: NDArray[np.int64]) -> None:
        """Refuse a column of text that is one of numbers with words in it, or of dates."""
        numbers = [_is_number(text, self._form.delimiter) for text in column.texts]
        first = next(iter(column.texts))
        if any(numbers) or _DATE.match(first):
            codes = np.concatenate(column.codes)
            share = np.array(numbers)[codes].mean()
            odd = next(
                (text for text, number in zip(column.texts, numbers, strict=True) if number == (share < 0.5)), first
            )
            at = int(rows[np.argmax(codes == column.texts[odd])])
            if share < 0.5 and not _DATE.match(first):
                raise _Refused(
                    f"row {at}, {column.name} holds {_quoted(odd)} where text is; labels stand in a column 'label'"
                )
            raise self._refusal(column, at, odd)

    def _coordinates(self, labels: _Column | None, count: int) -> list[_Column]:
        found = [column for column in self._columns if column is not labels]
        index = found[0] if found else None
        if index is not None and len(found) > 1 and self._form.titles and index.title.lower() in _INDEX:
            values = np.concatenate(index.numbers)
            if np.array_equal(values - values[0], np.arange(count)):
                self.note.append(f"{index.name} counts the rows and was left out")
                found.remove(index)
        if not found:
            raise _Refused("it has no column of numbers")
        return found

    def _classified(self, labels: _Column, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The numbers of the classes; whole numbers are in their order, so that 10 comes after 9."""
        many = len(labels.texts)
        if many > _MANY:
            if many > len(rows) / 2:
                raise _Refused(f"{labels.name} holds {many:,} different texts in {len(rows):,} rows, no classes")
            self.note.append(f"{labels.name} holds {many:,} classes")
        codes = np.concatenate(labels.codes)
        longest = max(labels.texts, key=len)
        if len(longest) > _LONGEST_LABEL:
            raise self._refusal(labels, int(rows[np.argmax(codes == labels.texts[longest])]), longest)
        whole = all(_WHOLE.fullmatch(text) for text in labels.texts)
        order = sorted(labels.texts, key=int if whole else str)
        self.classes = tuple(order)
        ranks = np.empty(many, np.int64)
        ranks[[labels.texts[text] for text in order]] = np.arange(many)
        return ranks[codes]


def _quoted(cell: str) -> str:
    text = shown(cell.strip())
    return f"'{text if len(text) <= _LONGEST else text[: _LONGEST - 1] + '…'}'"
