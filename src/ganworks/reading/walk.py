"""What a walk through a folder or an archive comes upon: pictures in the order of their names, and all else counted.

A file's ending says whether it is a picture. Only folders are opened here.
"""

import errno
import os
import re
import stat
import struct
from array import array
from collections import Counter
from collections.abc import Iterator

from ganworks.reading.archives import Archive
from ganworks.reading.places import Place
from ganworks.reading.sidecar import NAME
from ganworks.telling import Tell

PICTURES = frozenset(b".png .apng .jpg .jpeg .jfif .webp .gif .bmp .tif .tiff .ppm .pgm .pbm .pnm .tga".split())
"""Endings of what is read, in any letter case."""
_WAYS_OUT = {
    b".heic .heif": "a HEIC photo: export it as JPEG or PNG",
    b".avif .jxl .jp2 .j2k": "a format that is not read: save it as PNG, JPEG or WebP",
    b".svg .svgz .ai": "a drawing, not pixels: export it as PNG",
    b".psd .psb .xcf .kra": "a file of layers: export it as PNG",
    b".exr .hdr": "floating-point light without an agreed range: export it as PNG",
    b".cr2 .cr3 .nef .arw .dng .orf .rw2 .raf .pef .srw .raw": "a camera's raw file: develop it to JPEG or PNG",
}
_UNREAD = {ending: reason for endings, reason in _WAYS_OUT.items() for ending in endings.split()}
_NO_DATA = frozenset([b"__macosx", b"thumbs.db", b"desktop.ini"])
_NO_DATA_IN = re.compile(b"|".join(map(re.escape, _NO_DATA)), re.IGNORECASE)
_SPECIAL = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
_ENDINGS, _LONGEST = 100, 16
"""Different endings that are counted one by one, and their letters."""
_TOLD = 10_000
"""Pictures between two reports of progress."""
TABLE = NAME.encode()
"""The table of labels; it is kept apart, wherever it lies."""
OTHERS = "others"
"""What endings are called that are not counted one by one."""
_SPOT = struct.Struct(">Lqqq?q")


class Found:
    """What has been come upon so far. Names are one piece of memory: a million objects would take ten times as much.

    Args:
        tell: Called with the progress now and then.
    """

    def __init__(self, tell: Tell | None) -> None:
        self._tell = tell
        self.names = bytearray()
        self.ends = array("q")
        self.spots = array("q")
        self.refused: list[tuple[str, str]] = []
        self.ignored: Counter[str] = Counter()
        self.tables: dict[bytes, Place] = {}
        self.sheets = 0
        self._numbered: set[bytes] = set()
        self._last = b""

    def wants(self, name: bytes) -> bool:
        """Whether a file of this name is a picture; what is none is counted."""
        dot = name.rfind(b".")
        ending = name[dot:].lower() if dot > name.rfind(b"/") else b""
        if ending in PICTURES:
            return True
        if ending in _UNREAD:
            self.refuse(name, _UNREAD[ending])
        else:
            text = os.fsdecode(ending)
            known = text in self.ignored or (len(self.ignored) < _ENDINGS and len(text) <= _LONGEST)
            self.ignored[text if known else OTHERS] += 1
        return False

    def refuse(self, name: bytes, reason: str) -> None:
        """Keep the name of what cannot be read, and why."""
        self.refused.append((os.fsdecode(name), reason))

    def add(self, name: bytes, place: Place | None = None) -> None:
        """Keep a picture."""
        folder, _, base = name.rpartition(b"/")
        if name == self._last:
            self.refuse(name, "its name is there twice; the first one counts")
            return
        if base == b"000000.png":
            self._numbered.add(folder)
        elif base == b"sheet.png" and folder in self._numbered:
            self.sheets += 1
            return
        self._last = name
        self.names += name
        self.ends.append(len(self.names))
        if self._tell is not None and len(self.ends) % _TOLD == 0:
            self._tell({"task": "listing pictures", "done": len(self.ends), "total": 0})
        if place is not None:
            self.spots.extend((place.offset, place.packed, place.unpacked, place.deflated, place.crc))


# Folders


def in_folder(root: bytes, found: Found) -> None:
    """Add the pictures below a folder. In a folder of `a.png` and `a/` the second comes later: "/" follows "."."""
    inside = os.path.join(os.path.realpath(root), b"")
    seen = {_identity(root)}
    stack = [_entries(root, b"", found)]
    while stack:
        name = next(stack[-1], None)
        if name is None:
            stack.pop()
        elif not name.endswith(b"/"):
            found.add(name)
        else:
            _descend(root, name, inside, seen, stack, found)


def _descend(
    root: bytes, name: bytes, inside: bytes, seen: set[tuple[int, int]], stack: list[Iterator[bytes]], found: Found
) -> None:
    """Go into a folder; into one that a link names only if that leads neither back nor to a folder a second time."""
    folder = os.path.join(root, name[:-1])
    try:
        identity = _identity(folder)
        if os.path.islink(folder):
            target = os.path.join(os.path.realpath(folder), b"")
            parent = os.path.join(os.path.realpath(os.path.dirname(folder)), b"")
            if parent.startswith(target) or inside.startswith(target):
                found.refuse(name, "a link that leads back to a folder above it")
                return
            if target.startswith(inside):
                found.refuse(name, "a link to a folder that is listed already")
                return
        if identity in seen:
            found.refuse(name, "a folder that is listed already")
            return
        seen.add(identity)
        stack.append(_entries(folder, name, found))
    except OSError as problem:
        found.refuse(name, f"a folder that cannot be read: {problem.strerror}")


def _identity(folder: bytes) -> tuple[int, int]:
    about = os.stat(folder)
    return about.st_dev, about.st_ino


def _entries(folder: bytes, prefix: bytes, found: Found) -> Iterator[bytes]:
    """What a folder holds, in order: pictures, and folders with "/" at their end."""
    names: list[bytes] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name.startswith(b".") or name.lower() in _NO_DATA:
                continue
            name = prefix + name
            if entry.is_symlink():
                kind = _behind(entry, name, found)
            elif entry.is_file(follow_symlinks=False):
                kind = stat.S_IFREG
            else:
                kind = stat.S_IFDIR if entry.is_dir(follow_symlinks=False) else _kind(entry)
            if kind == stat.S_IFDIR:
                names.append(name + b"/")
            elif kind == stat.S_IFREG:
                if found.wants(name):
                    names.append(name)
                elif name[len(prefix) :] == TABLE:
                    found.tables[name] = Place(os.fsdecode(os.path.abspath(entry.path)))
            elif kind:
                found.refuse(name, f"{_SPECIAL.get(kind, 'something')}, not a file")
    names.sort()
    return iter(names)


def _behind(entry: os.DirEntry[bytes], name: bytes, found: Found) -> int:
    """The kind of what a link names; 0 where it names nothing."""
    try:
        return stat.S_IFMT(os.stat(entry.path).st_mode)
    except OSError as problem:
        circles = problem.errno == errno.ELOOP
        gone = problem.errno == errno.ENOENT
        reason = "leads round in circles" if circles else "leads nowhere" if gone else f"fails: {problem.strerror}"
        found.refuse(name, f"a link that {reason}")
        return 0


def _kind(entry: os.DirEntry[bytes]) -> int:
    try:
        return stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode)
    except OSError:  # it was there a moment ago
        return 0


# Archives


def in_archive(source: Archive, found: Found) -> None:
    """Add the pictures of an archive, in the order of their names; of two with one name the first comes first."""
    rows: list[bytes] = []  # a name, what is below every letter, its number and its place: half the memory of tuples
    for number, (name, place, reason) in enumerate(source.members()):
        if place is None:
            found.refuse(name, reason)
        elif _hidden(name):
            continue
        elif found.wants(name):
            if reason:
                found.refuse(name, reason)
            else:
                rows.append(name + b"\0" + _SPOT.pack(number, *place[1:]))
        elif name.rpartition(b"/")[2] == TABLE and not reason:
            found.tables[name] = place
    rows.sort(reverse=True)
    while rows:
        row = rows.pop()
        spot = row[-_SPOT.size :]
        found.add(row[: -_SPOT.size - 1], Place(source.path, *_SPOT.unpack(spot)[1:]))


def _hidden(name: bytes) -> bool:
    """Whether it is one of the files that no person put there, or in such a folder."""
    if name[:1] != b"." and b"/." not in name and not _NO_DATA_IN.search(name):
        return False  # as nearly every name of a million
    return any(part.startswith(b".") or part.lower() in _NO_DATA for part in name.split(b"/"))
