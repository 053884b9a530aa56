"""Any picture file comes out right, or is refused by name; what is odd about them stands in `experiments/odd_*.py`."""

import io
import json
import os
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from experiments import odd_pictures as odd_experiment
from experiments.odd_makers import Odd, png_of, saved
from experiments.odd_pictures import odd_pictures, outcome
from experiments.odd_right import as_stored, exif
from ganworks.reading import places
from ganworks.reading.decoding import THUMBNAIL, Header, Place, Unreadable, decode, examine, look, read

Bytes = NDArray[np.uint8]
DOWN, ACROSS = np.mgrid[0:300, 0:400]
SMOOTH: Bytes = np.stack(
    [127 + 90 * np.sin(ACROSS / 40 + DOWN / 90 + phase) + 30 * np.cos(DOWN / 25) for phase in range(3)], -1
).astype(np.uint8)


def reason(use: Callable[[], object]) -> str:
    with pytest.raises(Unreadable) as caught:
        use()
    return caught.value.reason


# Pixels


def test_a_16_bit_ramp_is_linear_and_never_saturated() -> None:
    """`convert("RGB")` cuts every value above 255 off, and leaves 99.6 % of the range white."""
    ramp = np.linspace(0, 65535, 64 * 64).round().astype(np.uint16).reshape(64, 64)
    found = decode(png_of(ramp, 16), 64, 64, 1)[..., 0]
    assert np.array_equal(found, np.round(ramp / 257).astype(np.uint8))
    assert 127 < found.mean() < 128
    assert len(np.unique(found)) == 256


@pytest.mark.parametrize("odd", odd_pictures(), ids=lambda odd: odd.name)
def test_right_or_refused_by_name(odd: Odd) -> None:
    what, how = outcome(odd)
    odd.content.cache_clear()  # type: ignore[attr-defined]  # some are large
    assert what == ("refused" if odd.right is None else "right"), how


def test_what_has_the_size_already_is_not_resampled() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    content = saved(Image.fromarray(noise), "PNG")
    assert np.array_equal(decode(content, 64, 96, 3), noise)
    assert np.array_equal(decode(content, 64, 64, 3), noise[:, 16:80]), "cut out only"
    assert np.array_equal(decode(content, 32, 96, 3), noise[16:48])


def test_the_middle_is_taken() -> None:
    bands = np.repeat(np.array([0, 100, 255], np.uint8), 40)[None].repeat(40, 0)
    assert set(decode(png_of(bands), 40, 40, 1).flat) == {100}
    assert decode(png_of(bands), 20, 20, 1)[:, 5:15].min() == 100
    assert set(decode(png_of(np.ascontiguousarray(bands.T)), 40, 40, 1).flat) == {100}


def test_smaller_is_antialiased_and_larger_is_smooth() -> None:
    fine = ((np.indices((128, 128)).sum(0) % 2) * 255).astype(np.uint8)
    assert np.abs(decode(png_of(fine), 32, 32, 1)[4:-4, 4:-4].astype(int) - 128).max() <= 2
    coarse = np.array([[0, 255]], np.uint8).repeat(8, 0).repeat(4, 1)
    large = decode(png_of(coarse), 64, 64, 1)[32, :, 0].astype(int)
    assert (np.diff(large[24:40]) >= 0).all()
    assert len(np.unique(large)) > 6


def test_the_resampling_is_pillows_lanczos_over_the_middle_part() -> None:
    image = Image.fromarray(SMOOTH)
    wanted = np.asarray(image.resize((64, 64), Image.Resampling.LANCZOS, (50, 0, 350, 300)))
    assert np.array_equal(decode(saved(image, "PNG"), 64, 64, 3), wanted)


def test_alpha_is_laid_on_white_before_resizing() -> None:
    """Resized first, the black under transparent pixels would darken the edge of the white shape."""
    shape = np.zeros((64, 64, 4), np.uint8)
    shape[:, 30:] = 255
    assert decode(png_of(shape, 8, 6), 16, 16, 3).min() == 255


def test_grey_and_colour_from_either() -> None:
    color = saved(Image.fromarray(SMOOTH), "PNG")
    assert np.array_equal(decode(color, 300, 400, 1)[..., 0], np.asarray(Image.fromarray(SMOOTH).convert("L")))
    grey = decode(saved(Image.fromarray(SMOOTH[..., 0]), "PNG"), 64, 64, 3)
    assert (grey == grey[..., :1]).all()
    assert grey.dtype == np.uint8


@pytest.mark.parametrize("size", [(64, 64), (32, 48), (150, 200), (300, 300)])
def test_a_jpeg_that_is_decoded_at_a_fraction_differs_little(size: tuple[int, int]) -> None:
    height, width = size
    large = np.kron(SMOOTH, np.ones((4, 4, 1), np.uint8))[:-3, :-5]
    content = saved(Image.fromarray(large), "JPEG", quality=95)
    with Image.open(io.BytesIO(content)) as image:
        whole = saved(image.convert("RGB"), "PNG")
    found, wanted = decode(content, height, width, 3).astype(int), decode(whole, height, width, 3).astype(int)
    assert np.abs(found - wanted).mean() < 0.5
    assert np.abs(found - wanted).max() <= 8
    assert np.array_equal(found, decode(content, height, width, 3))


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_turned_jpeg_at_a_fraction_is_the_upright_one(turn: int) -> None:
    """Its sides are no multiples of 8: what the decoder adds to fill them must not move the picture."""
    large = np.kron(SMOOTH, np.ones((4, 4, 1), np.uint8))[:-3, :-5]
    upright = decode(saved(Image.fromarray(large), "PNG"), 40, 60, 3).astype(int)
    image = Image.fromarray(np.ascontiguousarray(as_stored(turn, large)))
    found = decode(saved(image, "JPEG", quality=95, exif=exif(turn)), 40, 60, 3).astype(int)
    assert np.abs(found - upright).mean() < 0.7


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_all_eight_turns_give_the_same_bits_when_resized(format: str) -> None:
    options = {"lossless": True} if format == "WEBP" else {}
    found = set()
    for turn in range(1, 9):
        image = Image.fromarray(np.ascontiguousarray(as_stored(turn, SMOOTH)))
        content = saved(image, format, exif=exif(turn), **options)
        assert look(content)[:2] == (400, 300)
        found.add(decode(content, 48, 40, 3).tobytes() + examine(content)[1].tobytes())
    assert len(found) == 1


# Headers and thumbnails


@pytest.mark.parametrize(
    ("content", "header"),
    [
        (saved(Image.fromarray(SMOOTH), "JPEG"), Header(400, 300, "JPEG", "RGB", False, False)),
        (saved(Image.fromarray(SMOOTH[..., 0]), "JPEG"), Header(400, 300, "JPEG", "L", True, False)),
        (png_of(np.zeros((9, 20), np.uint16), 16), Header(20, 9, "PNG", "I;16", True, False)),
        (png_of(np.zeros((9, 20, 2), np.uint8), 8, 4), Header(20, 9, "PNG", "LA", True, True)),
        (saved(Image.new("P", (9, 20)), "GIF", transparency=0), Header(9, 20, "GIF", "P", True, True)),
        (saved(Image.fromarray(SMOOTH).quantize(9), "GIF"), Header(400, 300, "GIF", "P", False, False)),
        (saved(Image.fromarray(SMOOTH[..., 0]).quantize(9), "TIFF"), Header(400, 300, "TIFF", "P", True, False)),
        (saved(Image.new("CMYK", (9, 20)), "TIFF"), Header(9, 20, "TIFF", "CMYK", False, False)),
        (saved(Image.new("1", (9, 20)), "BMP"), Header(9, 20, "BMP", "1", True, False)),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, Header) else "",
)
def test_the_header(content: bytes, header: Header) -> None:
    assert look(content) == header
    assert examine(content)[0] == header


def test_looking_reads_the_header_only_and_examining_all() -> None:
    content = saved(Image.fromarray(SMOOTH), "PNG")
    half = content[: len(content) // 2]
    assert look(half).width == 400
    assert "cut off" in reason(lambda: examine(half))
    large = saved(Image.fromarray(np.kron(SMOOTH, np.ones((4, 4, 1), np.uint8))), "JPEG")
    assert "cut off" in reason(lambda: examine(large[: len(large) * 9 // 10])), "at a fraction of its size too"


def test_the_thumbnail_is_the_whole_picture_on_white() -> None:
    wide = np.zeros((100, 400), np.uint8)
    wide[:, 200:] = 90
    thumbnail = examine(png_of(wide))[1]
    assert thumbnail.shape == (THUMBNAIL, THUMBNAIL, 3)
    assert (thumbnail[:24] == 255).all()
    assert (thumbnail[40:] == 255).all()
    assert (thumbnail[24:40, :28] == 0).all()
    assert (thumbnail[24:40, 36:] == 90).all()
    assert examine(png_of(np.full((8, 8), 7, np.uint8)))[1].max() == 7, "small ones are made larger"


# Hostile bytes


def usable(content: bytes) -> bool:
    """Whether all ways to read it give pixels, or refuse; anything else fails the test."""
    why = ""
    try:
        assert decode(content, 24, 24, 3).shape == (24, 24, 3)
        assert examine(content)[1].shape == (THUMBNAIL, THUMBNAIL, 3)
        assert look(content).width >= 8
    except Unreadable as refusal:
        why = refusal.reason or "without a word"
    assert why.isprintable()
    assert len(why) < 200
    assert why != "without a word"
    return not why


SMALL = Image.fromarray(SMOOTH[::8, ::8])
FILES = {format: saved(SMALL, format) for format in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "TGA")}
FILES["PNG-profile"] = saved(SMALL, "PNG", exif=exif(6), icc_profile=b"profile" * 30)
FILES["JPEG-progressive"] = saved(SMALL, "JPEG", progressive=True, exif=exif(3))
FILES["TIFF-lzw"] = saved(SMALL, "TIFF", compression="tiff_lzw")
FILES["PNG-16"] = png_of(np.arange(20 * 20, dtype=np.uint16).reshape(20, 20), 16)
FILES["BMP-runs"] = saved(SMALL.quantize(8), "BMP")


@pytest.mark.parametrize("name", FILES)
def test_cut_off_anywhere(name: str) -> None:
    content = FILES[name]
    assert usable(content)
    for end in {round(len(content) * share / 40) for share in range(40)} | set(range(60)):
        usable(content[:end])
    assert not usable(content[: len(content) // 2])


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_mutated_files_are_refused_or_pixels(name: str, data: st.DataObject) -> None:
    content = bytearray(FILES[name])
    near_the_head = st.integers(0, min(120, len(content) - 1)) | st.integers(0, len(content) - 1)
    for at, value in data.draw(st.lists(st.tuples(near_the_head, st.integers(0, 255)), min_size=1, max_size=6)):
        content[at] = value
    usable(bytes(content))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([b"", *(content[:12] for content in FILES.values())]), st.binary(max_size=300))
def test_random_bytes_behind_any_beginning(head: bytes, rest: bytes) -> None:
    usable(head + rest)


def test_two_reads_give_the_same_bits() -> None:
    for content in FILES.values():
        assert decode(content, 17, 23, 3).tobytes() == decode(content, 17, 23, 3).tobytes()


@pytest.mark.parametrize("name", ["eps", "pdf", "svg", "fits"])
def test_no_program_is_started(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise AssertionError("a program was started")

    for module, call in ((subprocess, "Popen"), (os, "system"), (os, "posix_spawn"), (os, "fork")):
        monkeypatch.setattr(module, call, refuse)
    (odd,) = (odd for odd in odd_pictures() if odd.name == name)
    assert "not" in reason(lambda: examine(odd.content())) or name == "fits"


def test_a_limit_that_the_user_set_in_pillow_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    content = saved(Image.fromarray(SMOOTH), "PNG")
    for limit in (None, 100):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert decode(content, 300, 400, 3).shape == (300, 400, 3)


def test_the_experiment_runs(tmp_path: Path) -> None:
    odd_experiment.main(["--smoke"], tmp_path)
    found = json.loads((tmp_path / "odd_pictures-smoke.json").read_text())
    assert [one["outcome"] for one in found["arms"]["all"]["pictures"]] == ["right"] * 5
    assert found["floors"]


def test_decoding_imports_neither_torch_nor_numpy() -> None:
    """Nor does the package around it: workers start in a twentieth of the time."""
    program = "import sys, ganworks.reading.worker; print({'torch', 'numpy', 'pydantic'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "set()"
    program = (
        "import sys, ganworks.data as data; print(data.open.__name__, data.DataSet.__name__, 'torch' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).split() == ["open", "DataSet", "True"]


# Places


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "picture.bin"
    path.write_bytes(b"before" + b"content" * 9 + b"after")
    return path


def test_a_whole_file_and_a_stretch(file: Path) -> None:
    assert read(Place(str(file))) == b"before" + b"content" * 9 + b"after"
    assert read(Place(str(file), 6, 63)) == b"content" * 9
    assert read(Place(str(file), 6, 63, 63, False, zlib.crc32(b"content" * 9))) == b"content" * 9


def test_a_deflated_stretch(tmp_path: Path) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(b"content" * 900) + packer.flush()
    (tmp_path / "archive").write_bytes(b"head" + packed + b"tail")
    place = Place(str(tmp_path / "archive"), 4, len(packed), 6300, True, zlib.crc32(b"content" * 900))
    assert read(place) == b"content" * 900
    assert "more than the 100 bytes" in reason(lambda: read(place._replace(unpacked=100)))
    assert "promises 7000" in reason(lambda: read(place._replace(unpacked=7000)))
    assert "CRC" in reason(lambda: read(place._replace(crc=1)))
    assert "cut off" in reason(lambda: read(place._replace(packed=len(packed) - 5)))
    assert "damaged" in reason(lambda: read(place._replace(offset=0)))
    assert "cut off" in reason(lambda: read(place._replace(packed=10_000)))
    assert "limit is 256" in reason(lambda: read(place._replace(unpacked=2**30)))


def test_a_bomb_in_an_archive_goes_off_small(tmp_path: Path) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(bytes(10**8)) + packer.flush()
    (tmp_path / "archive").write_bytes(packed)
    tracemalloc.start()
    assert "more than" in reason(lambda: read(Place(str(tmp_path / "archive"), 0, len(packed), 1000, True)))
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()


def test_places_that_hold_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reason(lambda: read(Place(str(tmp_path / "none.png")))) == "it is gone"
    assert reason(lambda: read(Place(str(tmp_path)))) == "it is a folder"
    assert "null byte" in reason(lambda: read(Place("a\0b")))
    (tmp_path / "empty.png").touch()
    assert reason(lambda: read(Place(str(tmp_path / "empty.png")))) == "it is empty"
    os.mkfifo(tmp_path / "pipe.png")
    assert "pipe" in reason(lambda: read(Place(str(tmp_path / "pipe.png"))))
    assert "device" in reason(lambda: read(Place("/dev/zero")))
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    assert "symbolic links" in reason(lambda: read(Place(str(tmp_path / "loop.png"))))
    with (tmp_path / "large.png").open("wb") as large:
        large.truncate(places.FILE_LIMIT + 1)
    assert reason(lambda: read(Place(str(tmp_path / "large.png")))) == "257 MB, the limit is 256"


def test_a_name_that_is_no_unicode(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff\xfe caf\xe9\n.png"
    with open(name, "wb") as file:
        file.write(struct.pack(">I", 7))
    assert read(Place(os.fsdecode(name))) == b"\0\0\0\7"
