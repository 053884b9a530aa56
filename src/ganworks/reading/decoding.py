"""The bytes of a picture file to pixels, the same at every read, or a sentence why not.

Content decides, never a file's ending. What is read: PNG, JPEG, WebP, GIF, BMP, TIFF, PPM and TGA stills, of any mode
with a range. Everything else, and everything broken, is `Unreadable` by name.
NumPy is imported late: a worker, which sends bytes, starts in half the time without it.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image

from ganworks.reading.places import Place, Unreadable, read
from ganworks.reading.stills import Box, Still, refusals

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
else:
    Pixels = Any

__all__ = ["THUMBNAIL", "Header", "Pixels", "Place", "Unreadable", "decode", "examine", "look", "read", "rendered"]
__all__ += ["thumbnail"]

THUMBNAIL = 64
"""Side of the square that `examine` fits a picture into."""


class Header(NamedTuple):
    """What a file says of its picture."""

    width: int
    """Of the upright picture, in pixels, as the height."""
    height: int
    format: str
    mode: str
    """How pixels are stored, in Pillow's words: L, RGB, P, I;16, CMYK, ..."""
    grey: bool
    alpha: bool


def look(content: bytes) -> Header:
    """Read the header only.

    Raises: Unreadable where the header is enough to tell that the picture cannot be used.
    """
    with refusals():
        return _header(Still(content))


def decode(content: bytes, height: int, width: int, channels: int) -> Pixels:
    """The picture as (height, width, channels) bytes, with 1 or 3 channels.

    It is turned upright, laid on white, brought to sRGB, cut to the aspect ratio around its centre and resized once
    (Lanczos down, bicubic up). What has the size already is not resampled. A JPEG is decoded at 1/2, 1/4 or 1/8 of its
    size where that leaves twice the pixels needed.

    Raises: Unreadable if it cannot be used.
    """
    import numpy as np

    return np.array(rendered(content, height, width, channels)).reshape(height, width, channels)


def examine(content: bytes) -> tuple[Header, Pixels]:
    """The header, and the whole picture fitted into a white square, as (THUMBNAIL, THUMBNAIL, 3) bytes.

    All of the file is read, so what is cut off shows.

    Raises: Unreadable if it cannot be used.
    """
    import numpy as np

    header, image = thumbnail(content)
    return header, np.array(image)


def rendered(content: bytes, height: int, width: int, channels: int) -> Image.Image:
    """What `decode` gives, as an image of mode L or RGB."""
    with refusals():
        still = Still(content)
        box = _centre(*still.size, width, height)
        still.shrink(2 * max(width / (box[2] - box[0]), height / (box[3] - box[1])))
        image = still.pixels()
        if channels == 1 and image.mode != "L":
            image = image.convert("L")
        image = _resized(image, still, box, width, height)
        return image if len(image.mode) == channels else image.convert("RGB")


def thumbnail(content: bytes) -> tuple[Header, Image.Image]:
    """What `examine` gives, the picture as an image of mode RGB."""
    with refusals():
        still = Still(content)
        header = _header(still)
        part = THUMBNAIL / max(still.size)
        width, height = (max(1, round(side * part)) for side in still.size)
        still.shrink(2 * part)
        small = _resized(still.pixels(), still, (0, 0, *still.size), width, height).convert("RGB")
        square = Image.new("RGB", (THUMBNAIL, THUMBNAIL), "white")
        square.paste(small, ((THUMBNAIL - width) // 2, (THUMBNAIL - height) // 2))
        return header, square


def _header(still: Still) -> Header:
    return Header(*still.size, still.format, still.image.mode, still.grey, still.alpha)


def _centre(width: int, height: int, to_width: int, to_height: int) -> Box:
    """The largest part around the centre whose sides are as `to_width` to `to_height`."""
    across, down = width, height
    if width * to_height > height * to_width:
        across = max(1, round(height * to_width / to_height))
    else:
        down = max(1, round(width * to_height / to_width))
    left, top = (width - across) // 2, (height - down) // 2
    return left, top, left + across, top + down


def _resized(image: Image.Image, still: Still, box: Box, width: int, height: int) -> Image.Image:
    """A box of the whole picture, brought to width and height; at its own size it is only cut out."""
    across, down = box[2] - box[0], box[3] - box[1]
    if (across, down) == (width, height):
        return image if image.size == (width, height) else image.crop(box)
    way = Image.Resampling.LANCZOS if across > width or down > height else Image.Resampling.BICUBIC
    return image.resize((width, height), way, still.scaled(box))
