"""Where the bytes of a picture lie, a whole file or a stretch of an archive, and how they are fetched."""

import os
import stat
import zlib
from typing import NamedTuple

FILE_LIMIT = 256 * 2**20
"""Bytes of one picture, packed or unpacked: eight times the largest photographs."""
# Without O_NONBLOCK the mere opening of a pipe that nobody writes to waits for ever.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class Unreadable(Exception):
    """A picture that cannot be used. `reason` says why, as the end of the sentence "PATH cannot be read: ..."."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Place(NamedTuple):
    """A whole file (`packed` is -1), or `packed` bytes from `offset` on in an archive."""

    path: str
    offset: int = 0
    packed: int = -1
    unpacked: int = -1
    """Bytes after inflating; -1: as many as are packed."""
    deflated: bool = False
    """Whether the stretch is a raw deflate stream, as in a zip archive."""
    crc: int = -1
    """CRC-32 of the unpacked bytes; -1: not known."""


def read(place: Place) -> bytes:
    """Fetch a picture's bytes, and check them as far as the archive tells.

    Raises: Unreadable if it is gone, not a file, empty, larger than `FILE_LIMIT`, or not what the archive says.
    """
    try:
        descriptor = os.open(place.path, _FLAGS)
    except OSError as problem:
        raise Unreadable(_refusal(problem)) from problem
    except ValueError as problem:
        raise Unreadable("its name holds a null byte") from problem
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise Unreadable("it is a folder" if stat.S_ISDIR(about.st_mode) else "it is a pipe or a device, no file")
        if place.packed < 0:
            return _whole(descriptor, about.st_size)
        return _stretch(descriptor, place)
    except OSError as problem:
        raise Unreadable(_refusal(problem)) from problem
    finally:
        os.close(descriptor)


def _refusal(problem: OSError) -> str:
    if isinstance(problem, FileNotFoundError | NotADirectoryError):
        return "it is gone"
    if isinstance(problem, PermissionError):
        return "there is no right to read it"
    return (problem.strerror or str(problem)).lower()


def _whole(descriptor: int, size: int) -> bytes:
    _within_limit(size)
    content = _bytes(descriptor, size)
    if not content:
        raise Unreadable("it is empty")
    return content


def _stretch(descriptor: int, place: Place) -> bytes:
    unpacked = place.packed if place.unpacked < 0 else place.unpacked
    _within_limit(max(place.packed, unpacked))
    os.lseek(descriptor, place.offset, os.SEEK_SET)
    content = _bytes(descriptor, place.packed)
    if len(content) < place.packed:
        raise Unreadable("the archive is cut off within it")
    if place.deflated:
        content = _inflated(content, unpacked)
    if len(content) != unpacked:
        raise Unreadable(f"the archive promises {unpacked} bytes and holds {len(content)}")
    if place.crc >= 0 and zlib.crc32(content) != place.crc:
        raise Unreadable("its checksum (CRC) in the archive is another: the archive is damaged")
    if not content:
        raise Unreadable("it is empty")
    return content


def _inflated(packed: bytes, size: int) -> bytes:
    """At most one byte more than promised: a bomb goes off small."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflater.decompress(packed, size + 1)
    except zlib.error as problem:
        raise Unreadable("its packed bytes in the archive are damaged") from problem
    if len(content) > size:
        raise Unreadable(f"it unpacks to more than the {size} bytes that the archive promises")
    if not inflater.eof:
        raise Unreadable("its packed bytes in the archive are cut off")
    return content


def _within_limit(size: int) -> None:
    if size > FILE_LIMIT:
        raise Unreadable(f"{-(-size // 2**20)} MB, the limit is {FILE_LIMIT // 2**20}")


def _bytes(descriptor: int, count: int) -> bytes:
    content = os.read(descriptor, count)
    while len(content) < count and (more := os.read(descriptor, count - len(content))):
        content += more
    return content
