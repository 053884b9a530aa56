"""`labels.csv` beside samples: which class each of them belongs to.

Its columns are `sample` and `label`, as `ganworks sample` writes it; or `sample` and attributes, whatever they are
called. Then each combination of attributes that occurs is a class: `red round` of words; of 0 and 1 (or -1 and 1, false
and true) the names of those that are there, `beard + glasses`, or `none`.
"""

import csv
import io
import os
from array import array
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from ganworks.errors import error
from ganworks.reading.places import Place, Unreadable, read

NAME = "labels.csv"
_SHOWN = 10
_OFF, _ON = {"0", "-1", "false", "no"}, {"1", "true", "yes"}

Labels = tuple[tuple[str, ...], NDArray[np.int64], list[str]]
"""Names of the classes, (N,) the number of each sample's class, and what was decided."""


def labels_of(table: Place, names: Iterable[bytes]) -> Labels | None:
    """The labels of samples by their names, with or without an ending; None where the table has other columns.

    Args:
        table: Where labels.csv is.
        names: Of all samples, relative to the folder of the table.
    Raises: DataError for a sample without a label, or with two.
    """
    try:
        rows = _rows(read(table).decode("utf-8-sig"))
        if rows is None:
            return None
        given: dict[bytes, str] = {}
        for sample, label in rows:
            if given.setdefault(sample, label) != label:
                raise error("E-DATA-08", reason=f"'{os.fsdecode(sample)}' has two of them", where=NAME)
    except (Unreadable, UnicodeDecodeError, csv.Error):
        return None
    classes = tuple(sorted(set(given.values())))
    numbers = {name: number for number, name in enumerate(classes)}
    labels = array("q")
    without: list[str] = []
    for name in names:
        found = given.get(name, given.get(os.path.splitext(name)[0]))
        if found is None:
            without.append(os.fsdecode(name))
        else:
            labels.append(numbers[found])
    if without:
        details = [f"without one: {', '.join(without[:_SHOWN])}"]
        raise error("E-DATA-08", reason=f"{len(without)} samples have none", where=NAME, details=details)
    more = len(given) - len(labels)
    note = [f"{more} rows of {NAME} name no sample"] if more > 0 else []
    return classes, np.frombuffer(labels, np.int64), note


def _rows(text: str) -> Iterator[tuple[bytes, str]] | None:
    """Samples and labels; None where these are not the columns."""
    lines = csv.reader(io.StringIO(text, newline=""))
    names = [cell.strip() for cell in next(lines, [])]
    head = [name.lower() for name in names]
    if "sample" not in head or len(head) < 2:
        return None
    sample = head.index("sample")
    if "label" in head:
        label = head.index("label")
        return ((os.fsencode(row[sample]), row[label]) for row in lines if len(row) > max(sample, label))
    rows = [row for row in lines if len(row) >= len(head)]
    switches = {
        column
        for column in range(len(head))
        if column != sample and {row[column].strip().lower() for row in rows} <= _OFF | _ON
    }
    return ((os.fsencode(row[sample]), _combined(row, names, sample, switches)) for row in rows)


def _combined(row: list[str], names: list[str], sample: int, switches: set[int]) -> str:
    """What a sample's attributes make of it, as the name of a class."""
    words = [cell.strip() for column, cell in enumerate(row) if column != sample and column not in switches]
    there = [names[column] for column in sorted(switches) if row[column].strip().lower() in _ON]
    return " ".join([*words, " + ".join(there)]).strip() or "none"
