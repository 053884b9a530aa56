"""Batches as pictures: a grid of images, a scatter of points, and a PNG that is there whole or not at all."""

import io
import math
import secrets
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

PADDING = 2
"""Pixels around every image of a grid."""

# Okabe and Ito's colours: told apart from each other and from grey by every kind of colour vision.
_FAKE = np.array(
    [
        [0, 114, 178],
        [230, 159, 0],
        [0, 158, 115],
        [213, 94, 0],
        [86, 180, 233],
        [204, 121, 167],
        [0, 0, 0],
        [240, 228, 66],
    ],
    dtype=np.float64,
)
_REAL = np.array([150, 150, 150], dtype=np.float64)
_FRAME = 200
_GAP = 64
MARGIN = 8
"""Pixels around the frame of a scatter."""


def pixels(images: Float[Tensor, "n c h w"]) -> UInt8[np.ndarray, "n h w c"]:
    """Images in [-1, 1] as bytes, channels last; what lies outside is cut off, NaN is black."""
    values = images.detach().float().cpu().clamp(-1, 1).nan_to_num(nan=-1.0).numpy()
    scaled = ((values + 1) * 127.5).round().astype(np.uint8)
    return np.ascontiguousarray(scaled.transpose(0, 2, 3, 1))


def grid(images: Float[Tensor, "n c h w"], columns: int | None = None) -> UInt8[np.ndarray, "rows cols c"]:
    """Lay images in [-1, 1] out in rows, first image top left, with `PADDING` dark grey pixels around each.

    Args:
        images: One or more images with 1 or 3 channels.
        columns: Images in a row; None makes the grid nearly square.
    """
    tiles = pixels(images)
    count, height, width, channels = tiles.shape
    columns = min(columns or math.ceil(math.sqrt(count)), count)
    rows = math.ceil(count / columns)
    canvas = np.full((rows * columns, height + PADDING, width + PADDING, channels), _GAP, np.uint8)
    canvas[:count, PADDING:, PADDING:] = tiles
    sheet = canvas.reshape(rows, columns, height + PADDING, width + PADDING, channels).transpose(0, 2, 1, 3, 4)
    sheet = sheet.reshape(rows * (height + PADDING), columns * (width + PADDING), channels)
    return np.pad(sheet, ((0, PADDING), (0, PADDING), (0, 0)), constant_values=_GAP)


def _plane(points: Tensor) -> NDArray[np.float64]:
    """Two coordinates a point: the first two, or a single one against its rank (the empirical distribution)."""
    values = points.detach().double().cpu().numpy()
    if values.shape[1] == 1:
        ordered = np.sort(values[:, 0])
        return np.stack([ordered, (np.arange(len(ordered)) + 0.5) / len(ordered)], axis=1)
    return values[:, :2]


Limits = tuple[float, float, float, float]
"""Left, right, bottom and top of a scatter, in the points' units."""


def limits_of(points: Float[Tensor, "n d"]) -> Limits:
    """A square around the points, a fifth wider than they are; a picture that keeps it can be compared with others."""
    plane = _plane(points)
    plane = plane[np.isfinite(plane).all(axis=1)]
    low, high = (plane.min(0), plane.max(0)) if len(plane) else (np.zeros(2), np.ones(2))
    if points.shape[1] == 1:
        half = np.maximum((high - low) * 0.6, [1e-6, 0.55])
    else:
        half = np.full(2, max((high - low).max() * 0.6, 1e-6))
    middle = (low + high) / 2
    return middle[0] - half[0], middle[0] + half[0], middle[1] - half[1], middle[1] + half[1]


def _coverage(
    plane: NDArray[np.float64], limits: Limits, size: int, radius: float, alpha: float
) -> NDArray[np.float64]:
    """How much of each pixel round dots cover, laid over one another: 1 - product of (1 - alpha · share)."""
    left, right, bottom, top = limits
    inner = size - 2 * MARGIN
    column = MARGIN + (plane[:, 0] - left) / (right - left) * inner
    row = MARGIN + (top - plane[:, 1]) / (top - bottom) * inner
    inside = (column >= MARGIN) & (column < size - MARGIN) & (row >= MARGIN) & (row < size - MARGIN)
    column, row = column[inside], row[inside]
    reach = np.arange(-math.ceil(radius), math.ceil(radius) + 1)
    across = np.floor(column).astype(int)[:, None, None] + reach[None, None, :]
    down = np.floor(row).astype(int)[:, None, None] + reach[None, :, None]
    distance = np.hypot(across + 0.5 - column[:, None, None], down + 0.5 - row[:, None, None])
    share = np.clip(radius + 0.5 - distance, 0, 1) * alpha
    through = np.zeros((size, size))
    spots = np.broadcast_arrays(np.clip(down, 0, size - 1), np.clip(across, 0, size - 1))
    np.add.at(through, tuple(spots), np.log1p(-share))
    return 1 - np.exp(through)


def _lay(
    canvas: NDArray[np.float64], points: Tensor, limits: Limits, radius: float, alpha: float, color: NDArray[np.float64]
) -> NDArray[np.float64]:
    covered = _coverage(_plane(points), limits, len(canvas), radius, alpha)[:, :, None]
    return canvas * (1 - covered) + color * covered


def framed(height: int, width: int) -> Float64[np.ndarray, "h w 3"]:
    """White, with a grey line around what lies inside the margin."""
    canvas = np.full((height, width, 3), 255.0)
    canvas[[MARGIN - 1, -MARGIN], MARGIN - 1 : width - MARGIN + 1] = _FRAME
    canvas[MARGIN - 1 : height - MARGIN + 1, [MARGIN - 1, -MARGIN]] = _FRAME
    return canvas


def points_picture(
    points: Float[Tensor, "n d"],
    real: Float[Tensor, "m d"] | None = None,
    size: int = 512,
    limits: Limits | None = None,
    label: Int64[Tensor, " n"] | None = None,
) -> UInt8[np.ndarray, "size size 3"]:
    """Draw generated points in blue, or by their label in eight colours, over real ones in grey.

    Args:
        points: Generated points. Two coordinates are drawn (of more than two the first two); one is drawn against its
            rank. What lies outside the limits, or is not finite, is left out.
        real: Real points, drawn under them.
        size: Height and width in pixels.
        limits: Left, right, bottom and top; None takes `limits_of` the real points, or of `points` without them.
        label: The class of each generated point.
    """
    limits = limits or limits_of(points if real is None else real)
    dot = size / 512
    canvas = framed(size, size)
    if real is not None:
        canvas = _lay(canvas, real, limits, 2.8 * dot, 0.4, _REAL)
    color = torch.zeros(len(points)).long() if label is None else label % len(_FAKE)
    for each in range(int(color.max()) + 1 if len(color) else 0):
        canvas = _lay(canvas, points[color == each], limits, 1.8 * dot, 0.6, _FAKE[each])
    return canvas.round().astype(np.uint8)


def png(array: UInt8[np.ndarray, "h w c"]) -> bytes:
    """A grey (1 channel) or colour (3 channels) picture as the content of a file."""
    encoded = io.BytesIO()
    Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array).save(encoded, "PNG")
    return encoded.getvalue()


def write_png(path: Path, array: UInt8[np.ndarray, "h w c"]) -> None:
    """Write a grey (1 channel) or colour (3 channels) picture; a reader sees the whole file or none."""
    content = png(array)  # an encoder that writes to the file itself hides why the disk refused
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
