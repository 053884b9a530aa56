"""Pictures beside each other, each under its name."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont, features

_HEIGHT = 384
"""Pixels; smaller pictures are enlarged by whole factors as far as they stay below."""
_MARGIN = 8
_LETTERS = 14
_INK, _PAPER = (0, 0, 0), (255, 255, 255)


def letters(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, in the size that is asked for where it has sizes."""
    return ImageFont.load_default(size) if features.check_module("freetype2") else ImageFont.load_default()


def beside(pictures: Sequence[UInt8[np.ndarray, "_ _ _"]], names: Sequence[str]) -> UInt8[np.ndarray, "rows columns 3"]:
    """Pictures from left to right on white, grey or colour, tops in line, with their names above."""
    font = letters(_LETTERS)
    shown = [_enlarged(_color(picture)) for picture in pictures]
    words = ["".join(letter if letter.isprintable() else "?" for letter in name) for name in names]
    boxes = [font.getbbox(word) for word in words]
    widths = [max(len(picture[0]), int(box[2]) + 1) for picture, box in zip(shown, boxes, strict=True)]
    line = max(int(box[3]) for box in boxes) + _MARGIN
    size = (sum(widths) + _MARGIN * (len(widths) + 1), line + max(map(len, shown)) + 2 * _MARGIN)
    sheet = Image.new("RGB", size, _PAPER)
    pen, left = ImageDraw.Draw(sheet), _MARGIN
    for picture, word, width in zip(shown, words, widths, strict=True):
        pen.text((left, _MARGIN), word, fill=_INK, font=font)
        sheet.paste(Image.fromarray(picture), (left, line + _MARGIN))
        left += width + _MARGIN
    return np.asarray(sheet)


def _color(picture: UInt8[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "h w 3"]:
    return np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3)))


def _enlarged(picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "_h _w 3"]:
    factor = max(1, _HEIGHT // max(picture.shape[:2]))
    return picture.repeat(factor, 0).repeat(factor, 1)
