"""Picture files written by hand, where Pillow cannot write them, or must not be trusted with what is tested."""

import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Bytes = NDArray[np.uint8]
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Left, top, and the steps across and down of each pass of an interlaced PNG."""


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    """A file by Pillow."""
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    """A piece of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(
    rows: Iterable[bytes],
    size: tuple[int, int],
    depth: int,
    color: int,
    before: Iterable[bytes] = (),
    after: Iterable[bytes] = (),
    interlaced: bool = False,
) -> bytes:
    """A PNG of rows without filters; `color` is 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, color, 0, 0, interlaced))
    packer = zlib.compressobj(9)
    pixels = b"".join([*(packer.compress(b"\0" + row) for row in rows), packer.flush()])
    body = [head, *before, chunk(b"IDAT", pixels), *after, chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def png_of(array: NDArray[np.uint16] | Bytes, depth: int = 8, color: int = 0, **more: Iterable[bytes]) -> bytes:
    """A PNG of an array (h, w) or (h, w, c) whose values are below 2 to the power of `depth`."""
    height, width = array.shape[:2]
    flat = array.reshape(height, -1)
    if depth == 16:
        rows = [row.astype(">u2").tobytes() for row in flat]
    elif depth == 8:
        rows = [row.astype(np.uint8).tobytes() for row in flat]
    else:
        bits = (flat[:, :, None] >> np.arange(depth - 1, -1, -1)) & 1
        rows = [np.packbits(row.reshape(-1).astype(np.uint8)).tobytes() for row in bits]
    return png(rows, (width, height), depth, color, more.get("before", ()), more.get("after", ()))


def interlaced_png(array: Bytes) -> bytes:
    """RGB, in the seven passes of Adam7."""
    passes = (array[top::down, left::across] for left, top, across, down in ADAM7)
    rows = [row.tobytes() for part in passes for row in part if row.size]
    return png(rows, (array.shape[1], array.shape[0]), 8, 2, interlaced=True)


Tag = tuple[int, int, Sequence[int]]
"""Number, type (1 byte, 3 short, 4 long) and values of a TIFF tag."""


def tiff(
    array: NDArray[np.generic],
    photometric: int,
    bits: Sequence[int],
    *more: Tag,
    big: bool = False,
    kind: int = 1,
    following: int | None = 0,
    data: bytes | None = None,
) -> bytes:
    """A TIFF of one strip, uncompressed, its pixels first. `kind`: 1 unsigned, 2 signed, 3 float.

    Args:
        following: Where the next page is said to be; None: this page again.
        data: The strip, where it is not the bytes of the array.
    """
    end, word = (">", b"MM\0*") if big else ("<", b"II*\0")
    strip = array.astype(array.dtype.newbyteorder(end)).tobytes() if data is None else data
    strip += b"\0" * (len(strip) % 2)
    height, width = array.shape[:2]
    usual: list[Tag] = [
        *((256, 4, [width]), (257, 4, [height]), (258, 3, bits), (259, 3, [1]), (262, 3, [photometric])),
        *((273, 4, [8]), (277, 3, [len(bits)]), (278, 4, [height]), (279, 4, [len(strip)])),
        (339, 3, [kind] * len(bits)),
    ]
    tags = {tag[0]: tag for tag in (*usual, *more)}
    start = 8 + len(strip)
    beside = start + 2 + 12 * len(tags) + 4
    entries, extra = b"", b""
    for number, size, values in sorted(tags.values()):
        packed = b"".join(struct.pack(f"{end}{'xBxHI'[size]}", value) for value in values)
        if len(packed) > 4:
            packed, extra = struct.pack(f"{end}I", beside + len(extra)), extra + packed + b"\0" * (len(packed) % 2)
        entries += struct.pack(f"{end}HHI", number, size, len(values)) + packed.ljust(4, b"\0")
    links = struct.pack(f"{end}I", start if following is None else following)
    head = word + struct.pack(f"{end}I", start)
    return head + strip + struct.pack(f"{end}H", len(tags)) + entries + links + extra


def bmp(rows: bytes, size: tuple[int, int], bits: int, compression: int = 0, palette: bytes = b"") -> bytes:
    """A BMP with the header of 40 bytes; a height below 0 is top down."""
    offset = 54 + len(palette)
    head = b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset)
    colors = 0 if compression == 3 else len(palette) // 4
    return (
        head + struct.pack("<IiiHHIIiiII", 40, *size, 1, bits, compression, len(rows), 0, 0, colors, 0) + palette + rows
    )


def tga(array: Bytes, kind: int, depth: int, flags: int = 0x20, palette: bytes = b"") -> bytes:
    """A TGA of bytes as they lie in it (blue first); `flags`: 0x20 top row first, low bits the bits of alpha."""
    height, width = array.shape[:2]
    colors = (1, 0, len(palette) // 3, 24) if palette else (0, 0, 0, 0)
    head = struct.pack("<BBBHHBHHHHBB", 0, colors[0], kind, *colors[1:], 0, 0, width, height, depth, flags)
    return head + palette + array.tobytes()


def gif(frames: int, size: tuple[int, int], box: tuple[int, int, int, int] = (0, 0, 1, 1)) -> bytes:
    """A GIF of two colours, black and white; each frame fills its box (left, top, width, height) with black.

    Each pixel is followed by a clear code, so that codes keep their width of 3 bits.
    """
    head = b"GIF89a" + struct.pack("<HHBBB", *size, 0x80, 1, 0) + b"\0\0\0\xff\xff\xff"
    codes = [4, *(code for _ in range(box[2] * box[3]) for code in (0, 4)), 5]
    number = sum(code << (3 * place) for place, code in enumerate(codes))
    data = number.to_bytes((3 * len(codes) + 7) // 8, "little")
    blocks = b"".join(bytes([len(part)]) + part for part in (data[at : at + 255] for at in range(0, len(data), 255)))
    frame = b"!\xf9\4\0\1\0\0\0," + struct.pack("<HHHHB", *box, 0) + b"\2" + blocks + b"\0"
    return head + frame * frames + b";"


def profile(columns: Sequence[Sequence[float]], gamma: float, space: bytes = b"RGB ") -> bytes:
    """An ICC profile: a gamma curve, then a matrix to XYZ under D50 (RGB), or the curve alone (GRAY)."""

    def fixed(*values: float) -> bytes:
        return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))

    curve = b"curv" + struct.pack(">IIH", 0, 1, round(gamma * 256)) + b"\0\0"
    text = b"text\0\0\0\0none\0\0\0\0"
    white = b"XYZ \0\0\0\0" + fixed(0.9642, 1.0, 0.8249)
    parts = {b"desc": b"desc\0\0\0\0\0\0\0\2x\0".ljust(92, b"\0"), b"cprt": text, b"wtpt": white}
    if space == b"GRAY":
        parts[b"kTRC"] = curve
    else:
        for name, column in zip((b"r", b"g", b"b"), columns, strict=True):
            parts[name + b"XYZ"], parts[name + b"TRC"] = b"XYZ \0\0\0\0" + fixed(*column), curve
    table, data = b"", b""
    start = 128 + 4 + 12 * len(parts)
    for name, part in parts.items():
        table += name + struct.pack(">II", start + len(data), len(part))
        data += part
    size = start + len(data)
    head = struct.pack(">I4sI4s4s4s", size, b"\0\0\0\0", 0x02100000, b"mntr", space, b"XYZ ") + bytes(12) + b"acsp"
    head = (head + bytes(28) + fixed(0.9642, 1.0, 0.8249)).ljust(128, b"\0")
    return head + struct.pack(">I", len(parts)) + table + data


SRGB_COLUMNS = ((0.4360, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
"""sRGB's red, green and blue in XYZ under D50."""

HEIGHT, WIDTH = 16, 24
DOWN, ACROSS = np.mgrid[0:HEIGHT, 0:WIDTH]
COLOR: Bytes = np.stack([ACROSS * 10, DOWN * 16, 255 - ACROSS * 5 - DOWN * 4], -1).astype(np.uint8)
GREY: Bytes = (ACROSS * 7 + DOWN * 5).astype(np.uint8)
DEEP: NDArray[np.uint16] = (ACROSS * 2500 + DOWN * 500).astype(np.uint16)
"""A ramp from 0 to 65,000."""
ALPHA: Bytes = (ACROSS * 11).astype(np.uint8)
BLOCKS: Bytes = np.kron(
    np.array([[[255, 0, 0], [0, 160, 0], [0, 0, 255]], [[0, 0, 0], [255] * 3, [120] * 3]]), np.ones((8, 8, 1))
).astype(np.uint8)
"""Six flat squares of 8 px, which a JPEG keeps."""


@dataclass(frozen=True)
class Odd:
    """One picture. `right`: (h, w) for grey, (h, w, 3) for colour; None where it must be refused with `words`."""

    name: str
    content: Callable[[], bytes]
    right: Bytes | None = None
    tolerance: int = 0
    words: tuple[str, ...] = ()


def right(name: str, content: bytes, pixels: NDArray[np.generic], tolerance: int = 0) -> Odd:
    return Odd(name, cache(lambda: content), np.round(pixels).astype(np.uint8), tolerance)


def refused(name: str, content: bytes | Callable[[], bytes], *words: str) -> Odd:
    return Odd(name, cache(content if callable(content) else lambda: content), words=words)
