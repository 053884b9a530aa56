"""Zip and tar files: where the bytes of each member lie, so that they are read in place.

Nothing is ever unpacked to disk under a name. The lists of members are read one entry after the other, so that a
million of them need little memory, and what they promise is checked against the file.
"""

import bz2
import contextlib
import errno
import gzip
import lzma
import os
import re
import stat
import struct
import tarfile
import tempfile
import weakref
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple, cast

from ganworks.errors import error
from ganworks.reading.places import Place
from ganworks.telling import Tell

"""Called with the progress of what takes long: {"task", "done", "total"}; a total of 0 is not known."""

MOST = 2_000_000
"""Entries of an archive."""
_LARGE, _RATIO = 1 << 30, 200
"""Bytes that may always be announced, and bytes for each byte of the archive."""
_CHUNK = 1 << 20
_XZ_MEMORY = 256 << 20
_METHODS = {1: "Shrink", 6: "Implode", 9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "xz", 98: "PPMd"}


class Member(NamedTuple):
    """A file of an archive.

    Args:
        name: With "/" between folders.
        place: Where its bytes are; None where nothing of this kind is ever read, whatever its name.
        reason: Why it cannot be read; empty where it can.
    """

    name: bytes
    place: Place | None
    reason: str = ""


class _Broken(Exception):
    """What is wrong with an archive as a whole."""


class Archive:
    """A zip or tar file; a packed tar is unpacked once into a file without a name, which is gone with this object.

    Args:
        tell: Called with the progress of unpacking, in megabytes of the packed file.
    Raises: DataError if it cannot be unpacked, or announces far more than it holds; ResourceError if the disk is full.
    """

    def __init__(self, path: Path, tell: Tell | None = None) -> None:
        self._given = path
        self._file: IO[bytes] = path.open("rb")
        self.path = os.path.abspath(path)
        "Of the file that the members' places name."
        start = self._file.read(8)
        unpack = next((how for magic, how in _PACKINGS.items() if start.startswith(magic)), None)
        try:
            if unpack is not None:
                self._file, self.path = _unpacked(self._file, unpack, tell)
                start = self._file.read(8)
        except _Broken as problem:
            raise error("E-DATA-03", path=path, reason=str(problem)) from problem
        weakref.finalize(self, self._file.close)
        self._of = _of_zip if start.startswith((b"PK\3\4", b"PK\5\6")) else _of_tar

    def members(self) -> Iterator[Member]:
        """The files in the archive's own order, without the folders.

        Raises: DataError if it is no archive, its list is broken or too long, or announces far more than it holds.
        """
        try:
            yield from _bounded(self._of(self._file, self.path), os.fstat(self._file.fileno()).st_size)
        except (_Broken, struct.error, tarfile.TarError, EOFError, OverflowError, ValueError) as problem:
            reason = str(problem) if isinstance(problem, _Broken) else f"its list of entries is broken ({problem})"
            raise error("E-DATA-03", path=self._given, reason=reason) from problem


def _bounded(members: Iterator[Member], size: int) -> Iterator[Member]:
    """The members, until they are too many or announce too much."""
    announced, largest, name = 0, -1, b""
    for count, member in enumerate(members):
        if count == MOST:
            raise _Broken(f"it has more than {MOST:,} entries")
        if member.place is not None:
            announced += member.place.unpacked
            if member.place.unpacked > largest:
                largest, name = member.place.unpacked, member.name
        if announced > max(_LARGE, _RATIO * size):
            share = f"{os.fsdecode(name)!a} alone {largest:,}"
            raise _Broken(f"its {size:,} bytes announce {announced:,} and more, {share}")
        yield member


def _unsafe(name: bytes) -> str:
    """Why a name must not be followed; empty where it may."""
    if b".." not in name and b"\\" not in name and b":" not in name and b"\0" not in name and name[:1] != b"/":
        return ""  # as nearly every name of a million
    slashed = name.replace(b"\\", b"/")
    if b"\0" in name:
        return "a name with a null byte"
    if slashed.startswith(b"/"):
        return "an absolute name"
    if re.match(rb"[A-Za-z]:", name):
        return "a name with a drive letter"
    return "a name that leads out of the archive" if b".." in slashed.split(b"/") else ""


def _plain(name: bytes) -> bytes:
    """`./a//b.png` is `a/b.png`."""
    if b"./" not in name and b"//" not in name:
        return name
    return b"/".join(part for part in name.split(b"/") if part not in (b"", b"."))


# Zip

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")


def _of_zip(file: IO[bytes], path: str) -> Iterator[Member]:
    start, stop = _directory(file)
    at = start
    with open(path, "rb") as local:  # a second position in the same file
        file.seek(start)
        while at < stop:
            entry = _ENTRY.unpack(file.read(_ENTRY.size))
            magic, made, _, flags, method, _, _, crc, packed, unpacked, names, extras, comment, _, _, outer, offset = (
                entry
            )
            if magic != b"PK\1\2":
                raise _Broken("its list of entries is broken")
            words = file.read(names + extras + comment)
            at += _ENTRY.size + len(words)
            name = _zip_name(words[:names], flags)
            if extras:
                packed, unpacked, offset = _wide(words[names : names + extras], packed, unpacked, offset)
            if name.endswith((b"/", b"\\")) and not unpacked:
                continue
            kind = stat.S_IFMT(outer >> 16) if made >> 8 in (3, 19) else 0
            reason = _unsafe(name) or _special(kind)
            if reason:
                yield Member(name, None, reason)
                continue
            name = _plain(name.replace(b"\\", b"/"))
            begin = _begin(local, offset)
            place = Place(path, max(begin, 0), packed, unpacked, method == 8, crc)
            yield Member(name, place, _zip_reason(place, flags, method, begin, start))


def _directory(file: IO[bytes]) -> tuple[int, int]:
    """Where the list of entries begins and ends."""
    size = file.seek(0, os.SEEK_END)
    tail_at = max(size - _END.size - 0xFFFF, 0)
    file.seek(tail_at)
    tail = file.read()
    place = tail.rfind(b"PK\5\6")
    if place < 0 or len(tail) - place < _END.size:
        raise _Broken("it is cut off, or no zip file: its end is missing")
    _, disk, _, _, _, length, offset, _ = _END.unpack_from(tail, place)
    stop = tail_at + place
    if tail[max(place - 20, 0) : place].startswith(b"PK\6\7"):  # the numbers are in a longer record before it
        stop -= 20 + _END_64.size
        file.seek(max(stop, 0))
        magic, *_, length, offset = _END_64.unpack(file.read(_END_64.size))
        if magic != b"PK\6\6":
            raise _Broken("its end is broken")
    elif disk:
        raise _Broken("it is one part of several")
    if stop - length != offset:
        raise _Broken("its list of entries is not where its end says")
    return offset, stop


def _zip_name(name: bytes, flags: int) -> bytes:
    """Names that are not said to be UTF-8 often are all the same; the standard says cp437."""
    if flags & 0x800:
        return name
    try:
        name.decode()
    except UnicodeDecodeError:
        return name.decode("cp437").encode()
    return name


def _wide(extra: bytes, packed: int, unpacked: int, offset: int) -> tuple[int, int, int]:
    """Sizes and offset, from the zip64 field where they do not fit into 32 bits."""
    values = [unpacked, packed, offset]  # its order
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            field = extra[at + 4 : at + 4 + length]
            wanted = [index for index, value in enumerate(values) if value == 0xFFFFFFFF]
            for index, value in zip(wanted, struct.unpack(f"<{len(wanted)}Q", field[: 8 * len(wanted)]), strict=True):
                values[index] = value
        at += 4 + length
    return values[1], values[0], values[2]


def _begin(local: IO[bytes], at: int) -> int:
    """Where the bytes of an entry begin, from the header before them; -1 where there is none."""
    local.seek(at)
    header = local.read(_LOCAL.size)
    if len(header) < _LOCAL.size or not header.startswith(b"PK\3\4"):
        return -1
    *_, names, extras = _LOCAL.unpack(header)
    return at + _LOCAL.size + int(names) + int(extras)


def _zip_reason(place: Place, flags: int, method: int, begin: int, end: int) -> str:
    if flags & 0x2041:
        return "it is encrypted: pack it without a password"
    if method not in (0, 8):
        return f"it is packed by {_METHODS.get(method, f'method {method}')}: pack it with deflate"
    if begin < 0 or begin + place.packed > end or (method == 0 and place.packed != place.unpacked):
        return "it is not where the archive's list says"
    return ""


def _special(kind: int) -> str:
    """Why an entry of a kind is never read; empty for plain files."""
    if kind in (0, stat.S_IFREG):
        return ""
    return "a link in an archive" if kind == stat.S_IFLNK else "neither file nor folder"


# Tar


def _of_tar(file: IO[bytes], path: str) -> Iterator[Member]:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    try:
        tar = tarfile.TarFile(fileobj=cast(IO[bytes], _Headers(file)), errors="surrogateescape")
    except tarfile.TarError as problem:
        raise _Broken("it is empty" if not size else "it is neither a zip nor a tar file") from problem
    before = -1
    while (member := tar.next()) is not None:
        tar.members.clear()  # type: ignore[attr-defined]  # it would keep all of them
        if member.size < 0 or member.offset <= before:
            raise _Broken("its list of entries leads back")
        before = member.offset
        if member.isdir():
            continue
        name = os.fsencode(member.name)
        reason = _unsafe(name)
        if not reason and not member.isreg():
            reason = "a link in an archive" if member.issym() or member.islnk() else "neither file nor folder"
        if reason:
            yield Member(name, None, reason)
        elif member.issparse():
            yield Member(_plain(name), Place(path, 0, 0, 0), "a sparse file: pack it without --sparse")
        else:
            yield Member(_plain(name), Place(path, member.offset_data, member.size, member.size))


class _Headers:
    """A file of which only short pieces are read: a header that announces gigabytes must not fill the memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, count: int) -> bytes:
        if count > _CHUNK:
            raise _Broken(f"one of its headers has {count:,} bytes")
        return self._file.read(count)


# Packed tars


def _gzip(packed: IO[bytes]) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=packed) as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _streams(make: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor]) -> Callable[[IO[bytes]], Iterator[bytes]]:
    """A reader of streams of one kind, one after the other."""

    def read(packed: IO[bytes]) -> Iterator[bytes]:
        decompressor = make()
        while True:
            data = b""
            if decompressor.eof:
                data = decompressor.unused_data or packed.read(_CHUNK)
                if not data:
                    return
                decompressor = make()
            elif decompressor.needs_input:
                data = packed.read(_CHUNK)
                if not data:
                    raise EOFError("it is cut off")
            yield decompressor.decompress(data, _CHUNK)

    return read


_PACKINGS: dict[bytes, Callable[[IO[bytes]], Iterator[bytes]]] = {
    b"\x1f\x8b": _gzip,
    b"BZh": _streams(bz2.BZ2Decompressor),
    b"\xfd7zXZ\0": _streams(lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY)),
}


def _unpacked(
    packed: IO[bytes], unpack: Callable[[IO[bytes]], Iterator[bytes]], tell: Tell | None
) -> tuple[IO[bytes], str]:
    """The content as a file without a name, where the system can open such a file again, and a path to it."""
    nameless = os.path.isdir("/proc/self/fd")
    file = tempfile.TemporaryFile() if nameless else tempfile.NamedTemporaryFile()  # noqa: SIM115  # open as long as we are
    try:
        size = os.fstat(packed.fileno()).st_size
        bound = max(_LARGE, _RATIO * size)
        packed.seek(0)
        for chunk in _whole(unpack(packed)):
            file.write(chunk)
            if file.tell() > bound:
                raise _Broken(f"it unpacks to more than {bound:,} bytes")
            if tell is not None:
                tell({"task": "unpacking, MB", "done": packed.tell() >> 20, "total": size >> 20})
        file.flush()
        file.seek(0)
    except BaseException as problem:
        with contextlib.suppress(OSError):  # closing writes what is left, and the disk may be full
            file.close()
        if isinstance(problem, OSError) and problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise error("E-ENV-01", path=tempfile.gettempdir()) from problem
        raise
    finally:
        packed.close()
    return file, f"/proc/{os.getpid()}/fd/{file.fileno()}" if nameless else str(file.name)


def _whole(chunks: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from chunks
    except (EOFError, zlib.error, lzma.LZMAError, OSError) as problem:
        if getattr(problem, "errno", None):  # the disk's fault, not the file's
            raise
        raise _Broken(f"it cannot be unpacked: {problem}") from problem
