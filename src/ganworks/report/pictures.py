"""Sample grids as a page can hold them: whole, of bearable size, and the first, some in between and the last."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

_BYTES = 300_000
"""Of a picture in the page; ten of them stay below 5 MB with the third that base64 adds."""
_SIDE = 1_600
"""Pixels of its longer side; no screen shows more of a page."""
_PIXELS = 64 << 20
"""Of a picture that is opened."""
_SMALLER = ((1_200, 88), (800, 85), (800, 60), (400, 60))
"""Longer side and JPEG quality, tried in this order until a picture fits; the last fits whatever it shows."""
_WIDE = 1.6
"""Width over height from which on a picture takes a row of its own."""


@dataclass(frozen=True)
class Picture:
    """A picture as an address that holds it, with its size in pixels."""

    address: str
    width: int
    height: int

    @property
    def wide(self) -> bool:
        return self.width > _WIDE * self.height


def embedded(content: bytes) -> Picture | None:
    """A PNG for a page, made smaller where it is large; None where it cannot be read."""
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as opened:
            if opened.width * opened.height > _PIXELS:
                return None
            opened.load()
            if len(content) <= _BYTES and max(opened.size) <= _SIDE:
                return _picture(content, "png", opened)
            return _smaller(opened.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # what Pillow says of a broken file
        return None


def read(path: Path) -> Picture | None:
    """A PNG file as `embedded`; None where there is none that can be read."""
    try:
        return embedded(path.read_bytes()) if path.is_file() else None
    except OSError:
        return None


def grids(run: Path, most: int) -> list[tuple[int, Path]]:
    """The sample grids of a run with their steps: the first, the last, and evenly spaced ones in between."""
    try:
        files = [each for each in (run / "samples").iterdir() if each.suffix == ".png" and each.stem.isdecimal()]
    except OSError:
        return []
    return _spaced(sorted((int(each.stem), each) for each in files), most)


def _spaced(found: Sequence[tuple[int, Path]], most: int) -> list[tuple[int, Path]]:
    if len(found) <= most:
        return list(found)
    return [found[round(place * (len(found) - 1) / (most - 1))] for place in range(most)]


def _smaller(picture: Image.Image) -> Picture:
    for side, quality in _SMALLER:
        small = picture.copy()
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        encoded = io.BytesIO()
        small.save(encoded, "JPEG", quality=quality)
        if encoded.tell() <= _BYTES:
            break
    return _picture(encoded.getvalue(), "jpeg", small)


def _picture(content: bytes, kind: str, shown: Image.Image) -> Picture:
    return Picture(f"data:image/{kind};base64,{base64.b64encode(content).decode()}", *shown.size)
