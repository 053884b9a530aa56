"""A picture file that has been opened, and what its header rules out; then its pixels, upright.

Each format is opened by its own class of Pillow, so that no other reader, and no other program, ever sees the bytes.
"""

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from io import BytesIO
from typing import Any

from PIL import Image, ImageFile

from ganworks.reading.color import DEEP, flat
from ganworks.reading.formats import known
from ganworks.reading.places import Unreadable

MEGAPIXELS = 64
_MOST = MEGAPIXELS * 2**20  # a camera of "64 megapixels" makes 64.2 million
SHORTEST = 8
"""Pixels of the shorter side, at least."""
_NOTE_LIMIT = 16 * 2**20
"""Bytes of a text or other extra in a PNG."""
_ORIENTATION, _SUBFILE, _BITS, _PHOTOMETRIC, _DNG = 274, 254, 258, 262, 50706
_TURNS = (
    *(Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180, Image.Transpose.FLIP_TOP_BOTTOM),
    *(Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90),
)
"""What makes a picture upright, by its EXIF orientation from 2 on."""
_PLUGINS = {
    "PNG": "PngImagePlugin.PngImageFile",
    "JPEG": "JpegImagePlugin.JpegImageFile",
    "WEBP": "WebPImagePlugin.WebPImageFile",
    "GIF": "GifImagePlugin.GifImageFile",
    "BMP": "BmpImagePlugin.BmpImageFile",
    "TIFF": "TiffImagePlugin.TiffImageFile",
    "PPM": "PpmImagePlugin.PpmImageFile",
    "TGA": "TgaImagePlugin.TgaImageFile",
}
_CUT = ("truncated", "not enough", "unexpected end", "end of file", "reached eof", "buffer is not large enough")
_NOT_READ = ("supported", "unknown pixel mode", "unknown data organization", "cannot handle")
"""Words of Pillow where data end too early, and where the file is whole, as far as it looked."""

# Pillow's remarks are not for a user's screen; what matters becomes a reason.
logging.getLogger("PIL").addHandler(logging.NullHandler())


Box = tuple[int, int, int, int]
"""Left, top, right, bottom, in pixels."""


@contextmanager
def refusals() -> Iterator[None]:
    """Whatever Pillow trips over is in the file: it leaves as `Unreadable`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except Unreadable:
            raise
        except MemoryError as problem:
            raise Unreadable("there is not enough memory to decode it") from problem
        except Image.DecompressionBombError as problem:
            raise Unreadable(f"more than {MEGAPIXELS} megapixels, the limit") from problem
        except Exception as problem:
            raise Unreadable(_reason(problem)) from problem


def _reason(problem: Exception) -> str:
    """Pillow's words in ours."""
    text = "".join(filter(str.isprintable, str(problem).partition("\n")[0] or type(problem).__name__))[:100]
    if _ends_early(problem):
        return "it is cut off"
    if "MAX_TEXT" in text:
        return "a text or profile in it is too large"
    if any(word in text.lower() for word in _NOT_READ):
        return f"it is stored in a way that is not read ({text}): save it as PNG"
    return f"it is broken: {text}"


def _ends_early(problem: Exception) -> bool:
    return isinstance(problem, EOFError) or any(word in str(problem).lower() for word in _CUT)


class Still:
    """A still picture that can be used, as far as its header tells. Make and use it within `refusals()`.

    Raises: Unreadable if it is no picture, too large, too small, animated, or without an agreed range.
    """

    def __init__(self, content: bytes) -> None:
        self.format = known(content)
        _check_length(self.format, content)
        exif = _exif_of_png(content) if self.format == "PNG" else None
        self.image: ImageFile.ImageFile = _plugin(self.format)(BytesIO(content))
        info = self.image.info
        self.turn = 1 if self.format == "TIFF" else _turn(exif or info.get("exif"))
        self.scale = 1
        self.white, self.inverted = 65535, False
        width, height = self.image.size
        self.size = (width, height) if self.turn < 5 else (height, width)
        """Width and height of the whole upright picture."""
        if width * height > _MOST:
            raise Unreadable(f"{math.ceil(width * height / 1e6)} megapixels, the limit is {MEGAPIXELS}")
        if min(width, height) < SHORTEST:
            raise Unreadable(f"{width} x {height} px: the shorter side must have at least {SHORTEST}")
        if self.format == "TIFF":
            self._check_tiff(self.image.tag_v2)
        elif getattr(self.image, "is_animated", False):
            raise Unreadable("an animation of several frames: save one of them")
        if self.image.mode == "F":
            raise Unreadable("32-bit float: no agreed range")
        if self.image.mode == "I" and self.format != "PPM":
            raise Unreadable("whole numbers of 32 bits, or with a sign: no agreed range")
        self._opaque = self.format == "TGA" and not content[17] & 15  # it says that its fourth byte means nothing
        if self.format == "PNG" and "transparency" in info:
            info["transparency"] = _as_bytes(info["transparency"], content[24])

    def _check_tiff(self, tags: Any) -> None:
        if _DNG in tags or tags.get(_SUBFILE, 0) & 1:
            raise Unreadable("a camera's raw file, or only a preview: save it as PNG or JPEG")
        if tags.next:
            raise Unreadable("several pages: save one of them")
        if self.image.mode in DEEP:
            self.white = 2 ** min(tags.get(_BITS, (16,))[0], 16) - 1
            self.inverted = tags.get(_PHOTOMETRIC) == 0

    @property
    def alpha(self) -> bool:
        return self.image.has_transparency_data and not self._opaque

    @property
    def grey(self) -> bool:
        """Whether the file can hold nothing but grey: by its mode, or by every colour of its palette."""
        if self.image.mode in ("P", "PA"):
            return _grey_palette(self.image)
        return self.image.mode in ("1", "L", "LA", "La", *DEEP)

    def shrink(self, scale: float) -> None:
        """Let a JPEG decode at 1/8, 1/4 or 1/2 of its size, but at `scale` of it at least: much cheaper."""
        self.scale = next((step for step in (8, 4, 2) if scale * step <= 1), 1) if self.format == "JPEG" else 1
        if self.scale > 1:
            width, height = self.image.size
            self.image.draft(None, (width // self.scale, height // self.scale))

    def pixels(self) -> Image.Image:
        """All of it in mode L or RGB, upright, at 1 / `self.scale` of its size."""
        image: Image.Image = self.image
        drawn = self.image.tile[0].extents if self.format == "GIF" else None
        try:
            image.load()
        except Exception as problem:
            if _ends_early(problem):
                raise Unreadable(_cut_off(self._share_read())) from problem
            raise
        if self._opaque:
            image = image.convert("L" if image.mode == "LA" else "RGB")
        result = flat(image, image.info.get("icc_profile"), self.white, self.inverted)
        if drawn and drawn != (0, 0, *image.size):  # the frame of a GIF may leave some of its canvas empty
            paper = Image.new(result.mode, result.size, "white")
            paper.paste(result.crop(drawn), drawn)
            result = paper
        return result.transpose(_TURNS[self.turn - 2]) if self.turn > 1 else result

    def _share_read(self) -> float:
        """Of the rows: those that were not reached are still zero."""
        if getattr(self.image, "_im", None) is None:
            return 0.0
        rows = self.image.im.getprojection()[1]
        return sum(rows) / len(rows)

    def scaled(self, box: Box) -> tuple[float, float, float, float]:
        """Where a box of the whole upright picture lies in `pixels()`.

        A scaled JPEG's sides are rounded up; where the picture was mirrored, what is too much comes first.
        """
        width, height = self.size
        left = -width % self.scale / self.scale if self.turn in (2, 3, 6, 7) else 0.0
        top = -height % self.scale / self.scale if self.turn in (3, 4, 7, 8) else 0.0
        return (
            *(left + box[0] / self.scale, top + box[1] / self.scale),
            *(left + box[2] / self.scale, top + box[3] / self.scale),
        )


def _cut_off(share: float) -> str:
    percent = round(100 * share)
    return f"it is cut off after about {percent} %" if 0 < percent < 100 else "it is cut off"


@cache
def _plugin(name: str) -> Any:
    module, _, plugin = _PLUGINS[name].partition(".")
    return getattr(import_module(f"PIL.{module}"), plugin)


def _check_length(name: str, content: bytes) -> None:
    """Where the first bytes say how long it is at least, and Pillow would trip over something else."""
    if name == "WEBP" and (promised := int.from_bytes(content[4:8], "little")) > len(content):
        raise Unreadable(_cut_off(len(content) / promised))
    if name == "TIFF" and content[2:4] in (b"*\0", b"\0*"):
        directory = int.from_bytes(content[4:8], "little" if content[:1] == b"I" else "big")
        if directory + 2 > len(content):
            raise Unreadable(_cut_off(len(content) / directory))


def _exif_of_png(content: bytes) -> bytes | None:
    """The EXIF block of a PNG, which may come after the pixels; and a look at how large its notes are."""
    at, exif = 8, None
    while at + 8 <= len(content):
        length, name = int.from_bytes(content[at : at + 4]), content[at + 4 : at + 8]
        if name not in (b"IDAT", b"fdAT") and length > _NOTE_LIMIT:
            raise Unreadable(f"a note of {length // 2**20} MB in it, the limit is {_NOTE_LIMIT // 2**20}")
        if name == b"eXIf":
            exif = content[at + 8 : at + 8 + length]
        at += 12 + length
    return exif


def _turn(exif: bytes | None) -> int:
    """The EXIF orientation, 1 to 8; a broken block is ignored, as browsers do."""
    if not exif:
        return 1
    reader = Image.Exif()
    try:
        reader.load(exif)
        turn = reader.get(_ORIENTATION)
    except Exception:
        return 1
    return turn if isinstance(turn, int) and 2 <= turn <= 8 else 1


def _as_bytes(hole: Any, depth: int) -> Any:
    """The transparent value of a PNG, which it gives in its own depth, as Pillow gives pixels: in 8 bits."""
    if isinstance(hole, tuple):
        return tuple(value >> 8 for value in hole) if depth == 16 else hole
    return hole * 255 // (2**depth - 1) if isinstance(hole, int) and depth in (2, 4) else hole


def _grey_palette(image: Image.Image) -> bool:
    if image.palette is None:
        return False
    colors, order = bytes(image.palette.palette), image.palette.rawmode or image.palette.mode
    if order == "RGB;L":
        third = len(colors) // 3
        return colors[:third] == colors[third : 2 * third] == colors[2 * third :]
    step = len(order)
    return order[:3] in ("RGB", "BGR") and colors[::step] == colors[1::step] == colors[2::step]
