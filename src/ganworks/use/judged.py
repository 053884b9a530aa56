"""What a discriminator says of points, as a picture: a field over the plane, or a curve over the densities on a line.

Blue is for generated, as samples are drawn; orange for real; grey where it cannot tell, white where there is nothing.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image, ImageDraw

from ganworks.data.pictures import MARGIN, framed
from ganworks.use.beside import letters

# Okabe and Ito's blue and vermilion, with a light grey of no hue between them.
_GENERATED, _UNTOLD, _REAL = ((0.0, 114.0, 178.0), (205.0, 205.0, 205.0), (213.0, 94.0, 0.0))
_LINE, _INK = (225, 225, 225), (70, 70, 70)
_FINE = 2
"""Curves are drawn so much larger, and averaged down."""
_HEIGHT, _WIDTH = 512, 768
_ROOF = 0.92
"""Part of the height that the higher density and a D of 1 reach."""


def field(
    share: Float64[np.ndarray, "s s"], weight: Float64[np.ndarray, "w w"], size: int = 512
) -> UInt8[np.ndarray, "size size 3"]:
    """A field in the frame of `points_picture`.

    Args:
        share: How real each place is taken for, in [0, 1]; rows from top to bottom.
        weight: How strongly it is shown, in [0, 1]; it may be finer or coarser.
        size: Height and width in pixels.
    """
    inner = size - 2 * MARGIN
    canvas = framed(size, size)
    share, weight = (_enlarged(each, inner) for each in (share, weight))
    places = np.array([0.0, 0.5, 1.0])
    colors = np.stack([np.interp(share, places, each) for each in zip(_GENERATED, _UNTOLD, _REAL, strict=True)], -1)
    inside = slice(MARGIN, size - MARGIN)
    canvas[inside, inside] = 255 + weight[..., None] * (colors - 255)
    return canvas.round().astype(np.uint8)


def _enlarged(values: Float64[np.ndarray, "s s"], size: int) -> Float64[np.ndarray, "size size"]:
    resized = Image.fromarray(values.astype(np.float32)).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(resized).astype(np.float64)


class Curve(NamedTuple):
    """A function over the width of the frame, at evenly spaced places."""

    name: str
    values: Float64[np.ndarray, " n"]
    color: tuple[int, int, int]
    dashed: bool = False
    weight: Float64[np.ndarray, " n"] | None = None
    """How strongly it is drawn at each place, in [0, 1]."""
    filled: bool = False
    """Down to 0, in a lighter tone; else a line."""


def curves(
    densities: Sequence[Curve], shares: Sequence[Curve], ends: tuple[float, float]
) -> UInt8[np.ndarray, "height width 3"]:
    """Densities and what discriminators say, over one axis, with their names above.

    Args:
        densities: 0 or more; the highest of them reaches the roof.
        shares: Between 0, at the bottom, and 1, at the roof.
        ends: What stands at the left and right end of the axis.
    """
    height, width = _FINE * _HEIGHT, _FINE * _WIDTH
    left, right, floor = _FINE * 36.0, width - _FINE * 12.0, height - _FINE * 28.0
    roof = floor - _ROOF * (floor - _FINE * 12)
    sheet = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(sheet)
    for level, said in ((0.0, "0"), (0.5, "0.5"), (1.0, "1")):
        row = floor - level * (floor - roof)
        pen.line([(left, row), (right, row)], fill=_LINE, width=_FINE)
        _write(pen, said, (left - _FINE * 8, row - _FINE * 9), right=True)
    for said, column, right_end in ((f"{ends[0]:.3g}", left, False), (f"{ends[1]:.3g}", right, True)):
        _write(pen, said, (column, floor + _FINE * 5), right=right_end)
    top = max((float(each.values.max()) for each in densities), default=1.0) or 1.0
    drawn = [(curve, top) for curve in sorted(densities, key=lambda each: not each.filled)]
    drawn += [(curve, 1.0) for curve in shares]
    for curve, highest in drawn:
        columns = np.linspace(left, right, len(curve.values))
        rows = floor - np.clip(curve.values / highest, 0, 1) * (floor - roof)
        points = [(float(x), float(y)) for x, y in zip(columns, rows, strict=True)]
        if curve.filled:
            pen.polygon([(left, floor), *points, (right, floor)], fill=_light(curve.color))
        else:
            _draw(pen, points, curve)
    column = left
    for curve, _ in drawn:
        mark = [(column, _FINE * 18.0), (column + _FINE * 24, _FINE * 18.0)]
        if curve.filled:
            pen.rectangle([(column, _FINE * 12), (column + _FINE * 24, _FINE * 24)], fill=_light(curve.color))
        else:
            _draw(pen, mark, curve)
        column = _write(pen, curve.name, (column + _FINE * 30, _FINE * 9)) + _FINE * 18
    return np.asarray(sheet.resize((_WIDTH, _HEIGHT), Image.Resampling.BOX))


def _light(color: tuple[int, int, int], weight: float = 0.45) -> tuple[int, int, int]:
    """A colour on white, of which only a part is left."""
    red, green, blue = (round(255 + weight * (each - 255)) for each in color)
    return red, green, blue


def _write(pen: ImageDraw.ImageDraw, text: str, place: tuple[float, float], right: bool = False) -> float:
    """Text from a place on, or up to it; gives where it ends. Old fonts know no anchors."""
    font = letters(_FINE * 14)
    wide = float(font.getbbox(text)[2])
    start = place[0] - wide if right else place[0]
    pen.text((start, place[1]), text, fill=_INK, font=font)
    return start + wide


def _draw(pen: ImageDraw.ImageDraw, points: Sequence[tuple[float, float]], curve: Curve) -> None:
    """A line, or dashes of equal length along it, however steep it is; piece by piece where its weight varies."""
    x, y = np.array(points).T
    weight = np.ones(len(x)) if curve.weight is None or len(curve.weight) != len(x) else curve.weight
    along = np.concatenate([[0.0], np.hypot(np.diff(x), np.diff(y)).cumsum()])
    step, dash = (_FINE * 10, _FINE * 6) if curve.dashed else (_FINE * 6, _FINE * 6)
    for start in np.arange(0, along[-1], step):
        places = np.linspace(start, min(start + dash, along[-1]), 7)
        column, row, strong = (np.interp(places, along, each) for each in (x, y, weight))
        if strong.max() > 0:
            piece = [(float(a), float(b)) for a, b in zip(column, row, strict=True)]
            pen.line(piece, fill=_light(curve.color, float(strong.mean())), width=_FINE * 2, joint="curve")
