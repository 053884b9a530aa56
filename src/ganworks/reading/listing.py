"""Which pictures a folder or an archive holds, in the order of their names, and which class each belongs to."""

import os
import posixpath
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganworks.errors import error
from ganworks.reading.archives import Archive
from ganworks.reading.places import Place
from ganworks.reading.sidecar import labels_of
from ganworks.reading.walk import OTHERS, PICTURES, TABLE, Found, in_archive, in_folder
from ganworks.telling import Tell

_PARTS = frozenset(["train", "training", "test", "testing", "val", "valid", "validation", "dev"])
_SHOWN = 10
"""Lines of an error's details."""


class Listing:
    """The pictures of a folder or archive, in the order of their names' bytes.

    Args:
        path: The folder or archive.
        names: Of the pictures, relative to it, one after the other.
        ends: (N,) where each name ends.
        spots: (N, 5) offset, packed and unpacked size, whether it is deflated, checksum; None for files of their own.
        source: The archive, whose file stays open as long as the listing is there.
    """

    def __init__(
        self,
        path: Path,
        names: bytearray,
        ends: NDArray[np.int64],
        spots: NDArray[np.int64] | None = None,
        source: Archive | None = None,
    ) -> None:
        self.path = path
        self._names, self._ends, self._spots, self._source = names, ends, spots, source
        self._root = os.fsencode(os.path.abspath(path))
        self.classes: tuple[str, ...] = ()
        "Names of the labels 0 ... K-1."
        self.labels: NDArray[np.int64] | None = None
        "(N,), or None where there are no classes."
        self.ignored: dict[str, int] = {}
        "How many files are no pictures, by their ending."
        self.refused: list[tuple[str, str]] = []
        "Names of what cannot be read, and why, as far as the listing tells."
        self.note: list[str] = []
        "What was decided, one sentence each."

    def __len__(self) -> int:
        return len(self._ends)

    def raw(self, index: int, /) -> bytes:
        """A picture's name as the file system has it."""
        return bytes(self._names[self._ends[index - 1] if index else 0 : self._ends[index]])

    def name(self, index: int, /) -> str:
        """A picture's name relative to the folder or archive, with "/" between folders."""
        return os.fsdecode(self.raw(index))

    def place(self, index: int, /) -> Place:
        """Where a picture's bytes are."""
        if self._spots is None:
            return Place(os.fsdecode(self._root + b"/" + self.raw(index)))
        assert self._source is not None
        offset, packed, unpacked, deflated, crc = self._spots[index].tolist()
        return Place(self._source.path, offset, packed, unpacked, bool(deflated), crc)


def list_pictures(path: Path, tell: Tell | None = None) -> Listing:
    """The pictures of a folder, zip or tar.

    Sub-folders that hold all of the pictures are the classes; a single one is looked into instead. `labels.csv` says
    the classes where it is there: by the columns `sample` and `label`, or `sample` and attributes.

    Args:
        tell: Called with the progress of what takes long.
    Raises: DataError where there is no picture, where the archive is broken or hostile, or for folders that are no
        classes; OSError where the folder may not be read.
    """
    found = Found(tell)
    source = None
    if path.is_dir():
        in_folder(os.fsencode(path), found)
    else:
        source = Archive(path, tell)
        in_archive(source, found)
    spots = np.frombuffer(found.spots, np.int64).reshape(-1, 5) if source else None
    listing = Listing(path, found.names, np.frombuffer(found.ends, np.int64), spots, source)
    listing.refused, listing.ignored = sorted(found.refused), dict(sorted(found.ignored.items()))
    if not len(listing):
        raise error("E-DATA-14", path=path, details=_instead(listing))
    if found.sheets:
        listing.note.append("sheet.png beside numbered samples is their overview, and was left out")
    _classify(listing, found.tables)
    return listing


def array_in(folder: Path) -> Path | None:
    """The single .npy or .npz file of a folder without pictures, as `ganworks sample` writes it; None in others."""
    arrays: list[Path] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            ending = os.path.splitext(entry.name)[1].lower()
            if entry.name.startswith("."):
                continue
            if entry.is_dir() or os.fsencode(ending) in PICTURES:
                return None
            if ending in (".npy", ".npz"):
                arrays.append(Path(entry.path))
    return arrays[0] if len(arrays) == 1 else None


def shown(name: str) -> str:
    """A name for people: what could steer a terminal or break a line is written as an escape."""
    return "".join(one if one.isprintable() or one == "\u200d" else _escape(one) for one in name)


def _escape(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # a byte that is no UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode()


def _instead(listing: Listing) -> list[str]:
    """What is there where no pictures are."""
    lines = [f"{shown(name)}   {reason}" for name, reason in listing.refused[:_SHOWN]]
    return [*lines, *ignored_words(listing.ignored)][:_SHOWN] or ["it is empty"]


def ignored_words(ignored: Mapping[str, int]) -> list[str]:
    """How many files of each ending are no pictures: `2 .txt files`, `1 file without an ending`, `7 other files`."""
    said = []
    for ending, count in ignored.items():
        files = "file" if count == 1 else "files"
        words = {"": f"{files} without an ending", OTHERS: f"other {files}"}.get(ending, f"{shown(ending)} {files}")
        said.append(f"{count:,} {words}")
    return said


# Classes


def _classify(listing: Listing, tables: dict[bytes, Place]) -> None:
    """Find the classes: from `labels.csv`, else from the first folder of each name that not all have in common."""
    common = posixpath.commonpath([posixpath.dirname(listing.raw(row)) for row in (0, len(listing) - 1)])
    start = len(common) + 1 if common else 0
    table = tables.get(listing.raw(0)[:start] + TABLE)
    named = None if table is None else labels_of(table, (listing.raw(i)[start:] for i in range(len(listing))))
    if named is not None:
        listing.classes, listing.labels, note = named
        listing.note += note
        listing.ignored = dict(Counter(listing.ignored) - Counter([".csv"]))
        return
    if table is not None:
        listing.note.append("labels.csv is not read: it has no column called sample beside others")
    _classify_by_folder(listing, start)


def _classify_by_folder(listing: Listing, start: int) -> None:
    folders: list[bytes] = []
    labels = np.zeros(len(listing), np.int64)
    flat = 0
    for index in range(len(listing)):
        rest = listing.raw(index)[start:]
        cut = rest.find(b"/")
        flat += cut < 0
        if cut >= 0 and (not folders or rest[:cut] != folders[-1]):
            folders.append(rest[:cut])
        labels[index] = len(folders) - 1
    if flat:
        if folders:
            listing.note.append("pictures lie in the folder itself and in folders below it: taken without classes")
        return
    _note_parts({os.fsdecode(folder).lower() for folder in folders}, listing)
    names = [shown(os.fsdecode(folder)) for folder in folders]
    listing.classes = tuple(sorted(set(names)))
    numbers = {name: number for number, name in enumerate(listing.classes)}
    listing.labels = np.array([numbers[name] for name in names], np.int64)[labels]


def _note_parts(names: set[str], listing: Listing) -> None:
    if len(names) > 1 and names <= _PARTS:
        first, second, *_ = sorted(names, key=lambda name: "train" not in name)
        listing.note.append(
            f"{' and '.join(sorted(names))} were taken as classes; to keep one for scoring, train on {first}/ "
            f"with --held-out {second}/"
        )
