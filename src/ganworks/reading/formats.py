"""What a file is, by its first bytes: one of the formats that are decoded, or the name of what it is instead."""

import re

from ganworks.reading.places import Unreadable

_PLAIN = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
_SAVE_ANEW = "save it as PNG or JPEG"
_OTHERS = (
    (b"%PDF", "it is a PDF document, not a picture"),
    (b"%!PS", "it is an EPS or PostScript drawing, not pixels"),
    (b"\xc5\xd0\xd3\xc6", "it is an EPS drawing, not pixels"),
    (b"SIMPLE  =", "it is a FITS file: no agreed range"),
    (b"8BPS", f"it is a Photoshop file: {_SAVE_ANEW}"),
    (b"gimp xcf", f"it is a GIMP file: {_SAVE_ANEW}"),
    (b"\0\0\0\x0cjP  ", f"it is a JPEG 2000 picture: {_SAVE_ANEW}"),
    (b"\xff\x4f\xff\x51", f"it is a JPEG 2000 picture: {_SAVE_ANEW}"),
    (b"\0\0\0\x0cJXL ", f"it is a JPEG XL picture: {_SAVE_ANEW}"),
    (b"\xff\x0a", f"it is a JPEG XL picture: {_SAVE_ANEW}"),
    (b"v/1\x01", "it is an OpenEXR picture of floats: no agreed range"),
    (b"#?RADIANCE", "it is a Radiance picture of floats: no agreed range"),
    (b"PF\n", "32-bit float: no agreed range"),
    (b"Pf\n", "32-bit float: no agreed range"),
    (b"P7\n", f"it is a PAM picture: {_SAVE_ANEW}"),
    (b"DDS ", f"it is a DDS texture: {_SAVE_ANEW}"),
    (b"qoif", f"it is a QOI picture: {_SAVE_ANEW}"),
    (b"FUJIFILMCCD-RAW", f"it is a camera's raw file: {_SAVE_ANEW}"),
    (b"\x93NUMPY", "it is a NumPy array: give its path itself as data"),
    (b"\x1f\x8b", "it is packed with gzip: unpack it"),
    (b"PK\x03\x04", "it is a zip archive (or an office document), not a picture"),
    (b"\x1aE\xdf\xa3", "it is a film (Matroska), not a picture"),
    (b"version https://git-lfs", "it is only a Git LFS pointer: run git lfs pull"),
)
_BRANDS = dict.fromkeys((b"avif", b"avis"), f"it is an AVIF picture: {_SAVE_ANEW}")
_BRANDS |= dict.fromkeys((b"heic", b"heix", b"heim", b"hevc", b"mif1"), f"it is a HEIC picture: {_SAVE_ANEW}")
_BRANDS[b"crx "] = f"it is a camera's raw file: {_SAVE_ANEW}"
_MARKUP = (
    (b"<svg", "it is an SVG drawing, not pixels"),
    (b"<!doctype html", "it is an HTML page, not a picture: was it downloaded without its login?"),
    (b"<html", "it is an HTML page, not a picture: was it downloaded without its login?"),
    (b"<?xml", "it is XML text, not a picture"),
)


def known(content: bytes) -> str:
    """The format whose first bytes these are. The name's ending plays no part.

    Raises: Unreadable with what it is instead.
    """
    for sign, name in _PLAIN:
        if content.startswith(sign):
            return name
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    if content[:2] == b"BM" and int.from_bytes(content[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if re.match(rb"P[1-6][\s#]", content):
        return "PPM"
    raise_if_other(content)
    if _is_targa(content):
        return "TGA"
    raise Unreadable(_guess(content))


def raise_if_other(content: bytes) -> None:
    """Refuse by name what is known to be no picture, or one that is not decoded here."""
    for sign, reason in _OTHERS:
        if content.startswith(sign):
            raise Unreadable(reason)
    if content[4:8] == b"ftyp":
        raise Unreadable(_BRANDS.get(content[8:12], "it is a film (MP4), not a picture"))
    if content[:4] == b"RIFF":
        raise Unreadable("it is sound or a film (RIFF), not a picture")
    if content[:4] in (b"\0\0\1\0", b"\0\0\2\0") and content[4:6] != b"\0\0":
        raise Unreadable(f"it is an icon of several sizes: {_SAVE_ANEW}")
    if content[128:132] == b"DICM":
        raise Unreadable(f"it is a DICOM file: {_SAVE_ANEW}")
    text = content[:4096].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"<"):
        for sign, reason in _MARKUP:
            if sign in text:
                raise Unreadable(reason)


def _is_targa(content: bytes) -> bool:
    """TGA has no sign of its own: every field of its header must make sense."""
    if len(content) < 19:
        return False
    palette, kind, depth, flags = content[1], content[2], content[16], content[17]
    depths = {1: (8,), 9: (8,), 2: (16, 24, 32), 10: (16, 24, 32), 3: (8, 16), 11: (8, 16)}
    sized = content[12:14] != b"\0\0" and content[14:16] != b"\0\0"
    return sized and palette == (kind in (1, 9)) and depth in depths.get(kind, ()) and flags < 0x40


def _guess(content: bytes) -> str:
    if not content:
        return "it is empty"
    if not content.strip(b"\0"):
        return "it holds nothing but zeros: a copy that broke off"
    head = content[:4096]
    try:
        text = head.decode("utf-8", "strict" if len(head) < 4096 else "ignore")
    except UnicodeDecodeError:
        text = "\0"
    if all(character.isprintable() or character.isspace() for character in text):
        return "it is text, not a picture"
    return "it begins like no picture that can be read"
