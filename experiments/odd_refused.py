"""The odd pictures that must be refused: how each is made, and what the reason must say."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from . import odd_makers as make
from .odd_makers import BLOCKS, COLOR, DEEP, GREY, HEIGHT, WIDTH, Odd, chunk, png_of, refused, saved, tiff


def refused_ones() -> Iterator[Odd]:
    """All of them."""
    for part in (not_pictures, cut_off, several, no_range, bombs, broken):
        yield from part()


def not_pictures() -> Iterator[Odd]:
    yield refused("empty", b"", "empty")
    yield refused("zeros", bytes(5000), "zeros")
    yield refused("random", bytes(np.random.default_rng(3).integers(0, 256, 5000, dtype=np.uint8)), "like no picture")
    yield refused("text", b"a picture of a cat\n" * 9, "text")
    yield refused("html", b"<!DOCTYPE html><html><body>404</body></html>", "HTML")
    yield refused("svg", b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"></svg>', "SVG", "not pixels")
    yield refused("xml", b'<?xml version="1.0"?><a/>', "XML")
    yield refused("pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "PDF")
    yield refused("eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(hello) show", "EPS")
    yield refused("eps-of-windows", b"\xc5\xd0\xd3\xc6" + bytes(30), "EPS")
    yield refused("fits", b"SIMPLE  =                    T" + b" " * 2850, "FITS")
    yield refused("heic", b"\0\0\0\x18ftypheic" + bytes(50), "HEIC")
    yield refused("avif", b"\0\0\0\x1cftypavif" + bytes(50), "AVIF")
    yield refused("film", b"\0\0\0\x18ftypisom" + bytes(50), "film")
    yield refused("icon", b"\0\0\1\0\1\0" + bytes(50), "icon")
    yield refused("cursor", b"\0\0\2\0\1\0\x20\x20" + bytes(50), "icon")
    yield refused("photoshop", b"8BPS\0\1" + bytes(50), "Photoshop")
    yield refused("jpeg-2000", b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(50), "JPEG 2000")
    yield refused("jpeg-xl", b"\xff\x0a" + bytes(50), "JPEG XL")
    yield refused("zip", b"PK\3\4" + bytes(50), "zip")
    yield refused("gzip", b"\x1f\x8b\x08" + bytes(50), "gzip")
    yield refused("sound", b"RIFF\x24\0\0\0WAVEfmt " + bytes(50), "sound")
    yield refused("numpy", b"\x93NUMPY\1\0" + bytes(50), "NumPy")
    yield refused("dicom", bytes(128) + b"DICM" + bytes(50), "DICOM")
    yield refused("git-lfs", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull")


def cut_off() -> Iterator[Odd]:
    noise = np.random.default_rng(1).integers(1, 256, (128, 128, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    for format in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "TGA"):
        content = saved(image, format)
        yield refused(f"cut-off-{format.lower()}", content[: round(len(content) * 0.61)], "cut off")
        yield refused(f"head-only-{format.lower()}", content[:40])
    progressive = saved(image, "JPEG", progressive=True)
    yield refused("cut-off-jpeg-progressive", progressive[: len(progressive) // 2], "cut off")
    packed = saved(image, "TIFF", compression="tiff_lzw")
    yield refused("cut-off-tiff-lzw", packed[: len(packed) // 2], "cut off")


def several() -> Iterator[Odd]:
    frames = [Image.fromarray(np.roll(COLOR, shift, 1)) for shift in range(3)]
    for format in ("GIF", "PNG", "WEBP"):
        content = saved(frames[0], format, save_all=True, append_images=frames[1:], duration=100)
        yield refused(f"animated-{format.lower()}", content, "animation")
    yield refused("pages", saved(frames[0], "TIFF", save_all=True, append_images=frames[1:]), "several pages")
    yield refused("pages-in-a-loop", tiff(COLOR, 2, [8] * 3, following=None), "several pages")
    yield refused("preview-of-a-raw-file", tiff(COLOR, 2, [8] * 3, (254, 4, [1])), "preview")
    yield refused("raw-file-dng", tiff(COLOR, 2, [8] * 3, (50706, 1, [1, 4, 0, 0])), "raw")


def no_range() -> Iterator[Odd]:
    yield refused("tiff-float", tiff((DEEP / 65535).astype(np.float32), 1, [32], kind=3), "float", "no agreed range")
    yield refused("tiff-float-big-endian", tiff(DEEP.astype(np.float32), 1, [32], kind=3, big=True), "float")
    yield refused("tiff-float-64-bit", tiff(DEEP.astype(np.float64), 1, [64], kind=3), "not read")
    yield refused("tiff-32-bit", tiff(DEEP.astype(np.uint32), 1, [32]), "no agreed range")
    yield refused("tiff-signed", tiff(DEEP.astype(np.int16), 1, [16], kind=2), "no agreed range")
    yield refused("pfm", b"Pf\n24 16\n-1.0\n" + DEEP.astype("<f4").tobytes(), "float", "no agreed range")
    yield refused("exr", b"v/1\x01" + bytes(50), "no agreed range")
    yield refused("1-by-5000", png_of(np.zeros((5000, 1), np.uint8)), "1 x 5000 px", "at least 8")
    yield refused("7-by-7", png_of(GREY[:7, :7]), "7 x 7 px", "at least 8")


def bombs() -> Iterator[Odd]:
    def flat(side: int) -> bytes:
        return make.png((bytes(-(-side // 8)) for _ in range(side)), (side, side), 1, 0)

    limit = "megapixels, the limit"
    yield refused("png-169-megapixels", lambda: flat(13_000), "169 " + limit)
    yield refused("png-400-megapixels", lambda: flat(20_000), "400 " + limit)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 16, 6, 0, 0, 0))
    yield refused("png-of-the-largest-numbers", b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", b"x"), limit)
    yield refused("gif-4295-megapixels", make.gif(1, (65535, 65535)), "4295 " + limit)
    yield refused(
        "gif-frame-larger-than-canvas",
        make.gif(1, (16, 16), (0, 0, 1, 1)).replace(b",\0\0\0\0\1\0\1\0", b",\0\0\0\0\xff\xff\xff\xff"),
        limit,
    )
    jpeg = bytearray(saved(Image.fromarray(BLOCKS), "JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    yield refused(
        "jpeg-4290-megapixels", bytes(jpeg[:at]) + struct.pack(">HH", 65500, 65500) + bytes(jpeg[at + 4 :]), limit
    )
    webp = b"VP8X" + struct.pack("<IIHBHB", 10, 0, 0x3FFE, 0, 0x3FFE, 0) + b"VP8 " + struct.pack("<I", 10) + bytes(10)
    yield refused("webp-268-megapixels", b"RIFF" + struct.pack("<I", len(webp) + 4) + b"WEBP" + webp)
    wide = tiff(COLOR, 2, [8] * 3, (256, 4, [100_000]), (257, 4, [100_000]))
    yield refused("tiff-10000-megapixels", wide, "10000 " + limit)
    yield refused("bmp-10000-megapixels", make.bmp(b"", (100_000, 100_000), 24), limit)
    yield refused("ppm-10000-megapixels", b"P6 100000 100000 255\n", limit)
    yield refused(
        "tga-4295-megapixels",
        make.tga(np.zeros((1, 1, 3), np.uint8), 2, 24).replace(b"\1\0\1\0", b"\xff\xff\xff\xff", 1),
        limit,
    )
    yield refused("gif-100000-frames", lambda: make.gif(100_000, (WIDTH, HEIGHT)), "animation")
    yield refused(
        "png-100-MB-of-text",
        lambda: png_of(GREY, before=[chunk(b"tEXt", b"a\0" + bytes(10**8))]),
        "95 MB",
        "limit is 16",
    )
    squeezed = b"a\0\0" + zlib.compress(bytes(10**8), 9)
    yield refused("png-100-MB-of-packed-text", png_of(GREY, before=[chunk(b"zTXt", squeezed)]), "too large")
    yield refused("png-100-MB-of-text-at-its-end", png_of(GREY, after=[chunk(b"zTXt", squeezed)]), "too large")
    yield refused("png-100-MB-of-profile", png_of(GREY, before=[chunk(b"iCCP", squeezed)]), "too large")
    yield refused("bmp-64-megapixels-of-nothing", make.bmp(bytes(100), (8000, 8000), 24), "cut off")
    yield refused("ppm-64-megapixels-of-nothing", b"P6 8000 8000 255\n" + bytes(100), "cut off")


def broken() -> Iterator[Odd]:
    good = png_of(COLOR, 8, 2)
    yield refused("png-wrong-checksum", good[:29] + b"\0\0\0\0" + good[33:], "broken")
    yield refused("png-without-pixels", good[:33] + chunk(b"IEND", b""))
    at = good.index(b"IDAT") + 8
    yield refused("png-damaged-pixels", good[:at] + b"\xff" * 40 + good[at + 40 :])
    yield refused("jpeg-of-headers-only", saved(Image.fromarray(BLOCKS), "JPEG")[:200])
    yield refused("gif-without-frames", make.gif(0, (WIDTH, HEIGHT)))
    yield refused("tiff-that-points-nowhere", b"II*\0\xff\xff\xff\x7f", "cut off")
    yield refused("tiff-strip-past-the-end", tiff(COLOR, 2, [8] * 3, (273, 4, [10**8])))
    yield refused("tiff-50-channels", tiff(COLOR, 2, [8] * 50))
    yield refused("bmp-of-two-bits", make.bmp(bytes(100), (WIDTH, HEIGHT), 2))
    yield refused("webp-of-noise", b"RIFF\x40\0\0\0WEBPVP8L" + bytes(range(64)))
    yield refused("pgm-of-letters", b"P2 24 16 255\n" + b"cat " * 500)
