"""A folder or archive of picture files as content: which files, which size, grey or colour, which are held out."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ganworks.data.dataset import Content
from ganworks.data.gallery import KEPT, TOLD, Column, Gallery, OnBad, Team, bad_files, read_all
from ganworks.data.pairing import UNPAIRED, Derivation, beside_each_other, halves, matched, side_of, sources_of
from ganworks.errors import error
from ganworks.machine import memory
from ganworks.reading.decoding import Unreadable
from ganworks.reading.listing import Listing, list_pictures
from ganworks.reading.readers import Looked, Readers, Work
from ganworks.telling import Tell, report

LOOKED_AT = 100_000
"""Files that are all looked at before anything is decided; of more, so many spread evenly stand for the rest."""
_LARGEST, _NATIVE_LEAST = 64, 16
_ALIKE = 0.9
_NEAR = 1.25
"""Pictures may be a quarter smaller than the size they are brought to."""


def key_of(name: str) -> int:
    """64 bits of a hash of a name."""
    return int.from_bytes(hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=8).digest(), "big")


@dataclass(frozen=True)
class Reading:
    """How picture files are to be read.

    Args:
        size: Height and width; None: chosen from the pictures.
        channels: 1 or 3; 0: grey where all pictures are grey.
        on_bad: What happens where a file cannot be read: `stop`, or `skip` it.
        tell: Called with the progress of what takes long.
        kind: `pairs` or `domains`, where pictures are to be read so; empty: as the folder has them.
        derive: How the sources of pairs are made of their targets; empty: they are there.
        key: From a file's name to the number that decides whether it is held out.
    """

    size: tuple[int, int] | None = None
    channels: int = 0
    on_bad: OnBad = "stop"
    tell: Tell | None = None
    kind: Literal["", "pairs", "domains"] = ""
    derive: Derivation | Literal[""] = ""
    key: Callable[[str], int] = key_of


@dataclass(frozen=True)
class Seen:
    """What the headers of some files say.

    Args:
        rows: Numbers of the files that can be read, as far as their headers tell.
        sizes: (n, 2) widths and heights of those that were looked at.
        grey: Whether all of them are.
        bad: Names and reasons of the others.
        digest: SHA-256 of names and contents.
    """

    rows: NDArray[np.int64]
    sizes: NDArray[np.int64]
    grey: bool
    bad: list[tuple[str, str]]
    digest: str


def read_folder(path: Path, reading: Reading) -> Content:
    """Read a folder, zip or tar of pictures.

    Raises: DataError if there are fewer than two pictures, or for files that cannot be read, unless they are skipped;
        and where pairs or domains are wanted, and the folder holds none.
    """
    files = list_pictures(path, reading.tell)
    team = Team()
    seen = look(team.readers, files, reading.tell)
    kind = reading.kind or kind_of(files)
    if kind == "pairs" and not reading.derive:
        return _pairs(path, reading, files, team, seen)
    column, rows, size = _column(path, reading, files, team, seen, seen.rows)
    content = _content(path, files, seen, rows, column, size, reading)
    if reading.derive:
        columns = {"source": sources_of(column, reading.derive), "target": column}
        return replace(content, kind="pairs", columns=columns, classes=(), derived=reading.derive)
    return as_domains(content) if kind == "domains" else content


def as_domains(content: Content) -> Content:
    """Pictures or points whose classes are domains.

    Raises: DataError where there are fewer than two classes.
    """
    if len(content.classes) < 2:
        details = ["put the pictures of each domain into a folder of its own"]
        raise error("E-DATA-02", what="domains", where=content.name, details=details)
    columns = {"x": content.columns["x"], "domain": content.columns["label"]}
    return replace(content, kind="domains", columns=columns)


def kind_of(files: Listing) -> str:
    """`pairs` or `domains` where the names of two folders say so."""
    if files.labels is None or side_of(files) is None:
        return ""
    return "domains" if {name.lower() for name in files.classes} == set(UNPAIRED) else "pairs"


def _pairs(path: Path, reading: Reading, files: Listing, team: Team, seen: Seen) -> Content:
    """Two folders with equal names, or pictures twice as wide as high that hold both sides."""
    if files.labels is not None and len(files.classes) == 2:
        first, second, alone = matched(files, seen.rows, reading.on_bad)
        seen.bad.extend(alone)
        source, kept, size = _column(path, reading, files, team, seen, first)
        target, also, _ = _column(path, replace(reading, size=size), files, team, seen, second)
        both = np.isin(first, kept) & np.isin(second, also)
        columns: dict[str, Column] = {
            "source": source[torch.from_numpy(np.flatnonzero(both[np.isin(first, kept)]))],
            "target": target[torch.from_numpy(np.flatnonzero(both[np.isin(second, also)]))],
        }
        content = _content(path, files, seen, second[both], target, size, reading)
        return replace(content, kind="pairs", columns=columns, classes=())
    if not len(seen.sizes) or not beside_each_other(seen.sizes):
        details = [
            "two folders with equal names, called source and target, or a and b",
            "or pictures twice as wide as high, the source at the left and the target at the right",
            "or any pictures, and --set derive=edges, or grey, low or mask, which makes sources of them",
        ]
        raise error("E-DATA-02", what="pairs", where=str(path), details=details)
    height = reading.size[0] if reading.size else chosen_size(seen.sizes // np.array([2, 1]))
    column, rows, _ = _column(path, replace(reading, size=(height, 2 * height)), files, team, seen, seen.rows)
    source, target = halves(column)
    content = _content(path, files, seen, rows, target, (height, height), reading)
    return replace(content, kind="pairs", columns={"source": source, "target": target}, classes=())


def _column(
    path: Path, reading: Reading, files: Listing, team: Team, seen: Seen, rows: NDArray[np.int64]
) -> tuple[Column, NDArray[np.int64], tuple[int, int]]:
    """Some pictures as a column, those of them that can be read, and their size."""
    size = reading.size or (chosen_size(seen.sizes),) * 2
    channels = reading.channels or (1 if seen.grey else 3)
    shape = (channels, *size)
    column: Column
    if len(rows) * channels * size[0] * size[1] <= min(KEPT, memory()[1] // 2):
        column, bad = read_all(team.readers, files, rows, shape, reading.tell)
        seen.bad.extend((files.name(int(rows[place])), reason) for place, reason in bad.items())
        rows = np.delete(rows, list(bad))
    else:
        column = Gallery(files, rows, shape, reading.on_bad, team, reading.tell)
    if seen.bad and reading.on_bad == "stop":
        raise bad_files(sorted(seen.bad), len(files) + len(files.refused), str(path))
    if len(rows) < 2:
        raise error("E-DATA-09", count=len(rows), where=str(path))
    return column, rows, size


def look(readers: Readers, files: Listing, tell: Tell | None = None) -> Seen:
    """Look at the header of every file, or of `LOOKED_AT` of them."""
    every = np.arange(len(files))
    looked = every if len(files) <= LOOKED_AT else every[:: -(-len(files) // LOOKED_AT)]
    bad = list(files.refused)
    sizes: list[tuple[int, int]] = []
    grey, unreadable = True, []
    digest = hashlib.sha256()
    answers = readers.start(Work("look"), [files.place(row) for row in looked.tolist()])
    for done, (row, answer) in enumerate(zip(looked.tolist(), answers, strict=True), 1):
        if isinstance(answer, Unreadable):
            bad.append((files.name(row), answer.reason))
            unreadable.append(row)
        elif isinstance(answer, Looked):
            sizes.append((answer.header.width, answer.header.height))
            grey &= answer.header.grey
            digest.update(f"{files.name(row)}\0{answer.sha256}\n".encode(errors="surrogateescape"))
        report(tell, "looking at pictures", done, len(looked), TOLD)
    if len(looked) < len(files):  # the names of all stand for the contents of those that were not looked at
        for row in range(len(files)):
            digest.update(f"{files.name(row)}\n".encode(errors="surrogateescape"))
    rows = np.delete(every, unreadable)
    return Seen(rows, np.array(sizes, np.int64).reshape(-1, 2), grey, bad, digest.hexdigest())


def chosen_size(sizes: NDArray[np.int64]) -> int:
    """The side that pictures of these widths and heights are brought to.

    Their own, where nine in ten are alike: square, of 16 to 64 px, divisible by 4. Else the largest of 16, 32 and 64
    that no more than half of them would have to be stretched to by more than a quarter.
    """
    if len(sizes):
        each, counts = np.unique(sizes, axis=0, return_counts=True)
        width, height = each[counts.argmax()].tolist()
        alike = width == height and counts.max() >= _ALIKE * len(sizes)
        if alike and _NATIVE_LEAST <= width <= _LARGEST and width % 4 == 0:
            return int(width)
    usual = float(np.median(sizes.min(axis=1))) if len(sizes) else 0.0
    return next((side for side in (64, 32) if side <= _NEAR * usual), 16)


def _content(
    path: Path,
    files: Listing,
    seen: Seen,
    rows: NDArray[np.int64],
    column: Column,
    size: tuple[int, int],
    reading: Reading,
) -> Content:
    columns: dict[str, Column] = {"x": column}
    classes: tuple[str, ...] = ()
    if files.labels is not None:
        present, codes = np.unique(files.labels[rows], return_inverse=True)
        columns["label"] = torch.from_numpy(codes.astype(np.int64))
        classes = tuple(files.classes[each] for each in present.tolist())
    keys = np.fromiter((reading.key(files.name(row)) for row in rows.tolist()), np.uint64, len(rows))
    note = list(files.note)
    shorter = float(np.median(seen.sizes.min(axis=1)))
    if reading.size is None:
        note.append(
            f"pictures are brought to {size[1]} x {size[0]} px; their shorter side is {shorter:.0f} px (median)"
        )
    if seen.bad:
        note.append(f"{len(seen.bad)} files cannot be read and are left out, such as {': '.join(seen.bad[0])}")
    name, digest = path.resolve().name, seen.digest
    return Content(name, "images", columns, classes, note, keys=keys, fingerprint=digest, shorter=shorter)
