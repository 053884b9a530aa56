"""Whatever a picture file holds, as 8-bit grey or RGB: deep, with a palette, with alpha, for print, with a profile.

Alpha is laid on white. Colours that carry a profile become sRGB, as in a browser.
"""

from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from PIL import ImageCms

DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I")
"""More than 8 bits of grey. Mode "I" is deep only where the format fixes its range (PPM), else it is refused."""
_SAME = 2
"""A profile that moves no colour by more than this is sRGB, written by someone else."""


def flat(image: Image.Image, profile: bytes | None = None, white: int = 65535, inverted: bool = False) -> Image.Image:
    """A loaded picture in mode L or RGB.

    Args:
        image: In any mode that files have, but "F".
        profile: The ICC profile of the file; a broken one is ignored.
        white: The largest value of a deep picture.
        inverted: Whether 0 is the white of a deep picture.
    """
    base, mask = _parts(image, white, inverted)
    if profile and (transform := _to_srgb(profile, base.mode)):
        base = transform.apply(base)
    elif base.mode not in ("L", "RGB"):
        base = _lab_to_srgb().apply(base) if base.mode == "LAB" else base.convert("RGB")
    if mask is None:
        return base
    paper = Image.new(base.mode, base.size, "white")
    paper.paste(base, mask=mask)
    return paper


def _parts(image: Image.Image, white: int, inverted: bool) -> tuple[Image.Image, Image.Image | None]:
    """The colours (L, RGB, CMYK, YCbCr or LAB), and where they are opaque; None is everywhere."""
    mode, hole = image.mode, image.info.get("transparency")
    if mode in DEEP:
        deep = image.convert("I")
        mask = None if hole is None else deep.point([255 * (value != hole) for value in range(65536)], "L")
        return deep.point(_to_bytes(white, inverted), "L"), mask
    if mode in ("1", "L"):
        grey = image.convert("L") if mode == "1" else image
        return grey, None if hole is None else grey.point([255 * (value != hole) for value in range(256)])
    if mode in ("P", "PA", "RGB"):
        palette = image.palette.mode if mode == "P" and image.palette else ""
        if mode == "PA" or palette.endswith("A") or hole is not None:
            image = image.convert("RGBA")
        elif mode == "P":
            image = image.convert("RGB")
    elif mode == "La":
        image = image.convert("LA")
    elif mode == "RGBa":
        image = image.convert("RGBA")
    if image.mode not in ("LA", "RGBA"):
        return image, None
    return image.convert(image.mode[:-1]), image.getchannel("A")


@lru_cache(maxsize=4)
def _to_bytes(white: int, inverted: bool) -> list[int]:
    """Every 16-bit value as a byte, rounded to the nearest: the step that `convert("L")` leaves out, and saturates."""
    scale = [min((value * 510 + white) // (2 * white), 255) for value in range(65536)]
    return [255 - value for value in scale] if inverted else scale


@lru_cache(maxsize=16)  # the pictures of a folder mostly share one profile
def _to_srgb(profile: bytes, mode: str) -> "ImageCms.ImageCmsTransform | None":
    """From a profile's colours to sRGB; None where the profile is broken, for another mode, or sRGB itself."""
    from PIL import ImageCms

    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB"), mode, "RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    if mode == "CMYK":
        return transform
    probe = _probe().convert(mode)
    before, after = probe.convert("RGB").tobytes(), transform.apply(probe).tobytes()
    return None if max(abs(a - b) for a, b in zip(before, after, strict=True)) <= _SAME else transform


def _probe() -> Image.Image:
    """Colours from all over the cube."""
    steps = range(0, 256, 51)
    return Image.frombytes(
        "RGB", (216, 1), bytes(part for r in steps for g in steps for b in steps for part in (r, g, b))
    )


@lru_cache(maxsize=1)
def _lab_to_srgb() -> "ImageCms.ImageCmsTransform":
    from PIL import ImageCms

    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
