"""IDX, the format of MNIST: two zero bytes, a type, the number of axes, their lengths, then big-endian numbers."""

import gzip
import io
import math
import re
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganworks.errors import error

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP = b"\x1f\x8b"
_LARGE = 1 << 30
_RATIO = 200
"""Deflate reaches 1,000 to 1 on zeros; the digits of MNIST, mostly black, pack 5 to 1."""


def is_idx(path: Path) -> bool:
    """Whether a file starts as an IDX file does, packed with gzip or not; so does what cannot be unpacked."""
    try:
        with _open(path) as file:
            return _type_of(file.read(4)) is not None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return True


def read_idx(path: Path) -> NDArray[np.generic]:
    """The array of an IDX file, in the machine's byte order.

    Raises: DataError if the file is not IDX, is shorter or longer than its header says, or unpacks to far too much.
    """
    try:
        with _open(path) as file:
            start = file.read(4)
            kind = _type_of(start)
            if kind is None:
                raise error("E-DATA-03", path=path, reason="it does not begin as an IDX file does")
            lengths = file.read(4 * start[3])
            shape = tuple(np.frombuffer(lengths[: len(lengths) // 4 * 4], ">u4").tolist())
            size = math.prod(shape) * np.dtype(kind).itemsize
            refuse_bomb(path, path.stat().st_size, size)
            found = file.read(size) if len(shape) == start[3] else b""
            longer = bool(file.read(1))
    except (OSError, EOFError, zlib.error, MemoryError) as problem:
        raise error("E-DATA-03", path=path, reason=str(problem) or type(problem).__name__) from problem
    if len(shape) < start[3] or len(found) < size:
        raise error("E-DATA-03", path=path, reason=f"it is cut off: {len(found)} of {size} bytes of numbers are there")
    if longer:
        raise error("E-DATA-03", path=path, reason=f"there are more than the {size} bytes of numbers it announces")
    array = np.frombuffer(found, kind).reshape(shape)
    return array.astype(array.dtype.newbyteorder("="))


def labels_beside(images: Path) -> Path | None:
    """The labels that belong to an images file by name: `train-images-idx3-ubyte` has `train-labels-idx1-ubyte`."""
    stem = re.sub(r"\.gz$", "", images.name, flags=re.IGNORECASE)
    name = re.sub(r"idx\d", "idx1", re.sub("images", "labels", stem, flags=re.IGNORECASE), flags=re.IGNORECASE)
    if name == stem:
        return None
    beside = {path.name.lower(): path for path in images.parent.iterdir()}
    wanted = [name.lower(), name.lower() + ".gz"]
    return next((beside[one] for one in wanted if one in beside), None)


def images_in(folder: Path) -> list[Path]:
    """The IDX image files of a folder, by name; where one is there both packed and not, the one that is not."""
    named = (path for path in folder.iterdir() if re.search(r"idx|ubyte", path.name, re.IGNORECASE))
    unwanted = re.compile(r"^\.|labels", re.IGNORECASE)
    files = {path.name: path for path in named if not unwanted.search(path.name) and path.is_file()}
    return [files[name] for name in sorted(files) if name.removesuffix(".gz") == name or name[:-3] not in files]


def refuse_bomb(path: Path, packed: int, unpacked: int) -> None:
    """Raise DataError where a small file announces gigabytes."""
    if unpacked > max(_LARGE, _RATIO * packed):
        raise error("E-DATA-03", path=path, reason=f"its {packed} bytes announce {unpacked} bytes of numbers")


def _open(path: Path) -> io.BufferedIOBase:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    return gzip.open(path, "rb") if packed else path.open("rb")


def _type_of(start: bytes) -> str | None:
    plausible = len(start) == 4 and start[:2] == b"\0\0" and start[3] in (1, 2, 3, 4)
    return _TYPES.get(start[2]) if plausible else None
