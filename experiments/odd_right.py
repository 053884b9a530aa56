"""The odd pictures that have a right answer: how each is made, and what must come out of it."""

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from . import odd_makers as make
from .odd_makers import (
    ACROSS,
    ALPHA,
    BLOCKS,
    COLOR,
    DEEP,
    DOWN,
    GREY,
    HEIGHT,
    WIDTH,
    Bytes,
    Odd,
    chunk,
    png_of,
    right,
    saved,
    tiff,
)

PICTURE = Image.fromarray(COLOR)


def right_ones() -> Iterator[Odd]:
    """All of them."""
    for part in (pngs, turned, jpegs, profiles, tiffs, others):
        yield from part()


def on_white(colors: NDArray[np.generic], alpha: NDArray[np.generic]) -> NDArray[np.float64]:
    """By the definition of alpha."""
    share = alpha[..., None] / 255 if colors.ndim > alpha.ndim else alpha / 255
    return colors * share + 255 * (1 - share)


def encoded(linear: NDArray[np.generic]) -> NDArray[np.float64]:
    """Linear light of 0 to 255 as sRGB, by its formula."""
    part = linear / 255
    return 255 * np.where(part <= 0.0031308, 12.92 * part, 1.055 * part ** (1 / 2.4) - 0.055)


def lab_of(colors: NDArray[np.generic]) -> NDArray[np.float64]:
    """sRGB of 0 to 255 as L*, a* and b* under D50, by their formulas."""
    part = colors / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    x, y, z = np.cbrt(linear @ np.array(make.SRGB_COLUMNS) / (0.9642, 1.0, 0.8249)).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def exif(turn: int) -> Image.Exif:
    block = Image.Exif()
    block[274] = turn
    return block


def as_stored(turn: int, upright: Bytes) -> Bytes:
    """The rows of a file with this orientation: which side its first row and its first column are (EXIF 2.3)."""
    return {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: upright.swapaxes(0, 1)[::-1],
        7: upright.swapaxes(0, 1)[::-1, ::-1],
        8: upright.swapaxes(0, 1)[:, ::-1],
    }[turn]


def pngs() -> Iterator[Odd]:
    transparent = [chunk(b"tRNS", struct.pack(">H", 3))]
    yield right("png-grey", png_of(GREY), GREY)
    for depth in (1, 2, 4):
        values = ((ACROSS + DOWN) % 2**depth).astype(np.uint8)
        yield right(f"png-grey-{depth}-bit", png_of(values, depth), values * (255 / (2**depth - 1)))
    yield right("png-16-bit-ramp", png_of(DEEP, 16), DEEP / 257)
    yield right("png-16-bit-dark", png_of((DEEP // 100).astype(np.uint16), 16), DEEP // 100 / 257)
    yield right("png-16-bit-bright", png_of((DEEP // 100 + 64000).astype(np.uint16), 16), (DEEP // 100 + 64000) / 257)
    deep = np.stack([DEEP, DEEP[::-1], 65535 - DEEP], -1)
    yield right("png-16-bit-color", png_of(deep, 16, 2), deep / 257, 1)
    deep_alpha = np.concatenate([deep, ALPHA[..., None].astype(np.uint16) * 257], -1)
    yield right("png-16-bit-alpha", png_of(deep_alpha, 16, 6), on_white(deep / 257, ALPHA), 2)
    yield right("png-grey-alpha", png_of(np.stack([GREY, ALPHA], -1), 8, 4), on_white(GREY, ALPHA), 1)
    yield right("png-alpha", png_of(np.dstack([COLOR, ALPHA]), 8, 6), on_white(COLOR, ALPHA), 1)
    yield right("png-all-transparent", png_of(np.dstack([COLOR, ALPHA * 0]), 8, 6), np.full_like(COLOR, 255))
    hole = struct.pack(">HHH", *map(int, COLOR[3, 4]))
    pierced = np.where((COLOR - COLOR[3, 4] == 0).all(-1, keepdims=True), 255, COLOR)
    yield right("png-color-with-hole", png_of(COLOR, 8, 2, before=[chunk(b"tRNS", hole)]), pierced)
    for depth in (1, 2, 4, 8):
        values = ((ACROSS + DOWN) % min(2**depth, 5)).astype(np.uint8)
        at = 3 if depth > 1 else 1
        pixels = np.where(values == at, 255, values * (255 / (2**depth - 1)))
        before = [chunk(b"tRNS", struct.pack(">H", at))]
        yield right(f"png-grey-{depth}-bit-with-hole", png_of(values, depth, before=before), pixels)
    deep_hole = DEEP.copy()
    deep_hole[DEEP == 2500] = 3
    yield right(
        "png-16-bit-with-hole",
        png_of(deep_hole, 16, before=transparent),
        np.where(deep_hole == 3, 255, deep_hole / 257),
    )
    colors = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [90, 80, 70]], np.uint8)
    index = ((ACROSS + 2 * DOWN) % 4).astype(np.uint8)
    plte = chunk(b"PLTE", colors.tobytes())
    yield right("png-palette", png_of(index, 8, 3, before=[plte]), colors[index])
    yield right("png-palette-2-bit", png_of(index, 2, 3, before=[plte]), colors[index])
    alphas = np.array([0, 128, 255, 60], np.uint8)
    soft = png_of(index, 8, 3, before=[plte, chunk(b"tRNS", alphas.tobytes())])
    yield right("png-palette-alpha", soft, on_white(colors[index], alphas[index]), 1)
    hard = png_of(index, 8, 3, before=[plte, chunk(b"tRNS", b"\xff\0")])
    yield right("png-palette-hole", hard, np.where((index == 1)[..., None], 255, colors[index]))
    yield right("png-interlaced", make.interlaced_png(COLOR), COLOR)
    yield right("png-smallest", png_of(GREY[:8, :8]), GREY[:8, :8])
    long = np.tile(GREY[:8, :1], (1, 5000))
    yield right("png-8-by-5000", png_of(long), long)
    yield right("png-64-megapixels", make.png((bytes(1000) for _ in range(8000)), (8000, 8000), 1, 0), np.zeros((8, 8)))
    yield right("png-megabytes-of-private-chunk", png_of(GREY, before=[chunk(b"prIv", bytes(3 * 2**20))]), GREY)


def turned() -> Iterator[Odd]:
    for turn in range(1, 9):
        image = Image.fromarray(np.ascontiguousarray(as_stored(turn, COLOR)))
        yield right(f"exif-{turn}-png", saved(image, "PNG", exif=exif(turn)), COLOR)
        yield right(f"exif-{turn}-tiff", saved(image, "TIFF", exif=exif(turn)), COLOR)
        blocks = Image.fromarray(np.ascontiguousarray(as_stored(turn, BLOCKS)))
        yield right(f"exif-{turn}-jpeg", saved(blocks, "JPEG", exif=exif(turn), quality=100, subsampling=0), BLOCKS, 3)
    late = chunk(b"eXIf", exif(6).tobytes().removeprefix(b"Exif\0\0"))
    yield right("exif-after-the-pixels", png_of(as_stored(6, COLOR), 8, 2, after=[late]), COLOR)
    webp = saved(Image.fromarray(np.ascontiguousarray(as_stored(6, COLOR))), "WEBP", lossless=True, exif=exif(6))
    yield right("exif-6-webp", webp, COLOR)
    yield right("exif-9", saved(PICTURE, "PNG", exif=exif(9)), COLOR)
    yield right(
        "exif-broken",
        saved(Image.fromarray(BLOCKS), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff", quality=100, subsampling=0),
        BLOCKS,
        3,
    )


def jpegs() -> Iterator[Odd]:
    options = {"quality": 100, "subsampling": 0}
    blocks = Image.fromarray(BLOCKS)
    plain = saved(blocks, "JPEG", **options)
    yield right("jpeg", plain, BLOCKS, 3)
    yield right("jpeg-progressive", saved(blocks, "JPEG", progressive=True, **options), BLOCKS, 3)
    grey = BLOCKS[..., 0]
    yield right("jpeg-grey", saved(Image.fromarray(grey), "JPEG", **options), grey, 3)
    yield right("jpeg-then-garbage", plain + b"\0garbage" * 99, BLOCKS, 3)
    ink = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    ink[:, :8, 1:3] = 255  # magenta and yellow make red
    ink[:, 8:16, 3] = 128  # half black
    paper = np.full((HEIGHT, WIDTH, 3), 255)
    paper[:, :8] = 255, 0, 0
    paper[:, 8:16] = 127
    cmyk = saved(Image.frombytes("CMYK", (WIDTH, HEIGHT), ink.tobytes()), "JPEG", **options)
    yield right("jpeg-cmyk-of-adobe", cmyk, paper, 4)
    # As YCCK: the inks' amounts as if they were light, and no black. Pillow writes 255 - value.
    luma = np.array(Image.fromarray((255 - paper).astype(np.uint8)).convert("YCbCr"))
    stored = np.dstack([255 - luma, np.zeros((HEIGHT, WIDTH), np.uint8)])
    ycck = saved(Image.frombytes("CMYK", (WIDTH, HEIGHT), stored.tobytes()), "JPEG", **options)
    at = ycck.index(b"Adobe") + 11
    yield right("jpeg-ycck-of-adobe", ycck[:at] + b"\2" + ycck[at + 1 :], paper, 4)
    other = Image.fromarray(BLOCKS[::-1])
    yield right("jpeg-of-a-phone-mpo", saved(blocks, "MPO", save_all=True, append_images=[other], **options), BLOCKS, 3)


def profiles() -> Iterator[Odd]:
    linear = make.profile(make.SRGB_COLUMNS, 1.0)
    red, green, blue = make.SRGB_COLUMNS
    swapped = make.profile((green, red, blue), 2.2)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    light, grey = np.where(COLOR < 12, 0, COLOR), np.where(GREY < 12, 0, GREY)  # in bytes the darkest are too coarse
    yield right("icc-linear", saved(Image.fromarray(light), "PNG", icc_profile=linear), encoded(light), 1)
    yield right(
        "icc-grey-linear",
        saved(Image.fromarray(grey), "PNG", icc_profile=make.profile((), 1.0, b"GRAY")),
        encoded(grey),
        1,
    )
    deep = np.where(DEEP < 3100, 0, DEEP)
    content = saved(Image.fromarray(deep), "TIFF", icc_profile=make.profile((), 1.0, b"GRAY"))
    yield right("icc-16-bit-linear", content, encoded(np.round(deep / 257)), 1)
    pure = np.full((HEIGHT, WIDTH, 3), (255, 0, 0), np.uint8)
    other = np.full((HEIGHT, WIDTH, 3), (0, 255, 0), np.uint8)
    yield right("icc-red-is-green", saved(Image.fromarray(pure), "PNG", icc_profile=swapped), other, 2)
    jpeg = saved(Image.fromarray(pure), "JPEG", icc_profile=swapped, quality=100, subsampling=0)
    yield right("icc-red-is-green-jpeg", jpeg, other, 3)
    clear = np.dstack([pure, ALPHA])
    yield right("icc-under-alpha", saved(Image.fromarray(clear), "PNG", icc_profile=swapped), on_white(other, ALPHA), 2)
    yield right("icc-srgb", saved(PICTURE, "PNG", icc_profile=srgb), COLOR)
    yield right("icc-broken", saved(PICTURE, "PNG", icc_profile=b"no profile" * 20), COLOR)
    yield right("icc-of-another-mode", saved(Image.fromarray(GREY), "PNG", icc_profile=linear), GREY)
    yield right("icc-cut-off", saved(PICTURE, "WEBP", lossless=True, icc_profile=swapped[:200]), COLOR)


def tiffs() -> Iterator[Odd]:
    yield right("tiff", tiff(COLOR, 2, [8, 8, 8]), COLOR)
    yield right("tiff-16-bit", tiff(DEEP, 1, [16]), DEEP / 257)
    yield right("tiff-16-bit-big-endian", tiff(DEEP, 1, [16], big=True), DEEP / 257)
    yield right("tiff-16-bit-white-is-zero", tiff(DEEP, 0, [16]), 255 - np.round(DEEP / 257))
    yield right(
        "tiff-16-bit-deflated", saved(Image.fromarray(DEEP), "TIFF", compression="tiff_adobe_deflate"), DEEP / 257
    )
    packed = np.packbits(
        (((DEEP >> 4)[:, :, None] >> np.arange(11, -1, -1)) & 1).reshape(HEIGHT, -1).astype(np.uint8), axis=1
    )
    yield right("tiff-12-bit", tiff(DEEP, 1, [12], data=packed.tobytes()), (DEEP >> 4) / 4095 * 255)
    deep = np.stack([DEEP, DEEP[::-1], 65535 - DEEP], -1)
    yield right("tiff-16-bit-color-big-endian", tiff(deep, 2, [16] * 3, big=True), deep / 257, 1)
    yield right("tiff-white-is-zero", tiff(GREY, 0, [8]), 255 - GREY)
    bits = np.packbits(((ACROSS + DOWN) % 3 == 0).astype(np.uint8), axis=1)
    yield right("tiff-1-bit-white-is-zero", tiff(GREY, 0, [1], data=bits.tobytes()), 255 * ((ACROSS + DOWN) % 3 != 0))
    fax = saved(Image.fromarray((ACROSS + DOWN) % 3 == 0), "TIFF", compression="group4")
    yield right("tiff-fax", fax, 255 * ((ACROSS + DOWN) % 3 == 0))
    soft = np.dstack([COLOR, ALPHA])
    yield right("tiff-alpha", tiff(soft, 2, [8] * 4, (338, 3, [2])), on_white(COLOR, ALPHA), 1)
    dipped = np.dstack([np.round(COLOR * (ALPHA[..., None] / 255)), ALPHA]).astype(np.uint8)
    yield right("tiff-alpha-multiplied", tiff(dipped, 2, [8] * 4, (338, 3, [1])), on_white(COLOR, ALPHA), 2)
    yield right("tiff-grey-alpha", tiff(np.dstack([GREY, ALPHA]), 1, [8, 8], (338, 3, [2])), on_white(GREY, ALPHA), 1)
    faded = np.dstack([np.round(GREY * (ALPHA / 255)), ALPHA]).astype(np.uint8)
    yield right("tiff-grey-alpha-multiplied", tiff(faded, 1, [8, 8], (338, 3, [1])), on_white(GREY, ALPHA), 2)
    colors = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [90, 80, 70]])
    index = ((ACROSS + 2 * DOWN) % 4).astype(np.uint8)
    table = (320, 3, [int(value) * 257 for band in range(3) for value in np.pad(colors[:, band], (0, 252))])
    yield right("tiff-palette", tiff(index, 3, [8], table), colors[index])
    both = tiff(np.dstack([index, ALPHA]), 3, [8, 8], table, (338, 3, [2]))
    yield right("tiff-palette-alpha", both, on_white(colors[index], ALPHA), 1)
    ink = np.dstack([255 - COLOR, GREY * 0])
    yield right("tiff-cmyk", tiff(ink, 5, [8] * 4), COLOR, 1)
    shown = np.array([[200, 90, 80], [70, 160, 90], [80, 90, 190], [126, 126, 126]])
    lab = (lab_of(shown) * (2.55, 1, 1)).round().astype(np.int64) & 255  # a and b have a sign
    yield right("tiff-lab", tiff(lab.astype(np.uint8)[index], 8, [8] * 3), shown[index], 3)
    luma = np.array(PICTURE.convert("YCbCr"))
    yield right("tiff-ycbcr", tiff(luma, 6, [8] * 3), COLOR, 3)
    yield right("tiff-lzw", saved(PICTURE, "TIFF", compression="tiff_lzw"), COLOR)
    yield right(
        "tiff-planes",
        tiff(
            COLOR,
            2,
            [8] * 3,
            (284, 3, [2]),
            (273, 4, [8, 8 + 384, 8 + 768]),
            (279, 4, [384] * 3),
            data=COLOR.transpose(2, 0, 1).tobytes(),
        ),
        COLOR,
    )


def others() -> Iterator[Odd]:
    colors = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [90, 80, 70]], np.uint8)
    index = ((ACROSS + 2 * DOWN) % 4).astype(np.uint8)
    table = b"".join(bytes([blue, green, red, 0]) for red, green, blue in colors.tolist())
    back = COLOR[..., ::-1]
    yield right("bmp", make.bmp(back[::-1].tobytes(), (WIDTH, HEIGHT), 24), COLOR)
    yield right("bmp-top-down", make.bmp(back.tobytes(), (WIDTH, -HEIGHT), 24), COLOR)
    yield right("bmp-palette", make.bmp(index[::-1].tobytes(), (WIDTH, HEIGHT), 8, palette=table), colors[index])
    runs = b"".join(b"".join(bytes([1, value]) for value in row) + b"\0\0" for row in index[::-1].tolist()) + b"\0\1"
    yield right("bmp-run-lengths", make.bmp(runs, (WIDTH, HEIGHT), 8, 1, table), colors[index])
    unused = np.dstack([back, GREY])[::-1]
    yield right("bmp-32-bit-unused-byte", make.bmp(unused.tobytes(), (WIDTH, HEIGHT), 32), COLOR)
    five = (COLOR >> 3).astype(np.uint16)
    words = five[..., 0] << 11 | (COLOR[..., 1] >> 2).astype(np.uint16) << 5 | five[..., 2]
    masks = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    wide = np.stack([five[..., 0] * (255 / 31), (COLOR[..., 1] >> 2) * (255 / 63), five[..., 2] * (255 / 31)], -1)
    yield right("bmp-16-bit", make.bmp(words[::-1].astype("<u2").tobytes(), (WIDTH, HEIGHT), 16, 3, masks), wide, 1)
    box = np.full((HEIGHT, WIDTH), 255)
    box[3:8, 2:12] = 0
    yield right("gif-frame-smaller-than-canvas", make.gif(1, (WIDTH, HEIGHT), (2, 3, 10, 5)), box)
    still = Image.fromarray(index)
    still.putpalette(colors.tobytes())
    yield right("gif", saved(still, "GIF", interlace=0), colors[index])
    yield right("gif-interlaced", saved(still, "GIF", interlace=1), colors[index])
    hole = saved(still, "GIF", transparency=1)
    yield right("gif-hole", hole, np.where((index == 1)[..., None], 255, colors[index]))
    yield right("gif-grey", saved(Image.fromarray(GREY), "GIF"), GREY)
    soft = Image.fromarray(np.dstack([COLOR, ALPHA]))
    yield right("webp-alpha", saved(soft, "WEBP", lossless=True, exact=True), on_white(COLOR, ALPHA), 1)
    yield right("webp", saved(PICTURE, "WEBP", lossless=True), COLOR)
    yield right("tga", make.tga(back, 2, 24), COLOR)
    yield right("tga-bottom-up", make.tga(back[::-1], 2, 24, 0), COLOR)
    yield right("tga-alpha", make.tga(np.dstack([back, ALPHA]), 2, 32, 0x28), on_white(COLOR, ALPHA), 1)
    yield right("tga-32-bit-unused-byte", make.tga(np.dstack([back, ALPHA * 0]), 2, 32), COLOR)
    yield right(
        "tga-palette", make.tga(index, 1, 8, palette=np.ascontiguousarray(colors[:, ::-1]).tobytes()), colors[index]
    )
    yield right("tga-run-lengths", saved(PICTURE, "TGA", compression="tga_rle"), COLOR)
    yield right("pgm-16-bit", b"P5 24 16 65535\n" + DEEP.astype(">u2").tobytes(), DEEP / 257)
    ten = (DEEP >> 6).astype(">u2")
    yield right("pgm-10-bit", b"P5 24 16 1023\n" + ten.tobytes(), ten / 1023 * 255, 1)
    yield right("pgm-4-bit", b"P5 24 16 15\n" + (GREY >> 4).tobytes(), (GREY >> 4) * 17)
    words_of = " ".join(map(str, GREY.reshape(-1).tolist())).encode()
    yield right("pgm-in-words", b"P2\n# a remark\n24 16 255\n" + words_of, GREY)
    yield right(
        "pbm",
        b"P4 24 16\n" + np.packbits(((ACROSS + DOWN) % 3 == 0).astype(np.uint8), axis=1).tobytes(),
        255 * ((ACROSS + DOWN) % 3 != 0),
    )
    deep = np.stack([DEEP, DEEP[::-1], 65535 - DEEP], -1)
    yield right("ppm-16-bit", b"P6 24 16 65535\n" + deep.astype(">u2").tobytes(), deep / 257, 1)
