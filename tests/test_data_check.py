"""What `check` says of data: counted right, every bad file named, twins found and strangers left alone."""

import gzip
import io
import os
import struct
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ganworks import data
from ganworks.data import check as checking
from ganworks.data import twins
from ganworks.data.check import Report, check
from ganworks.data.contact import Contact
from ganworks.errors import DataError, UsageError


def photo(seed: int, width: int = 80, height: int = 60) -> Image.Image:
    """Coloured blobs: as smooth as a photo, and different for each seed."""
    draw = np.random.default_rng(seed)
    blobs = draw.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(blobs).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def folder(root: Path, **pictures: Image.Image) -> Path:
    """A folder of PNGs; `cats__1` is cats/1.png."""
    for name, image in pictures.items():
        write(root / f"{name.replace('__', '/')}.png", encoded(image))
    return root


# Counting


def test_everything_is_counted_and_every_bad_file_named(tmp_path: Path) -> None:
    root = folder(tmp_path, cats__1=photo(1), cats__2=photo(2, 64, 64), dogs__1=photo(3).convert("L"))
    write(root / "dogs" / "2.JPG", encoded(photo(4), "JPEG"))
    write(root / "dogs" / "3.png", encoded(photo(5).convert("RGBA")))
    write(root / "dogs" / "cut.png", encoded(photo(6))[:-60])
    write(root / "dogs" / "empty.png", b"")
    write(root / "dogs" / "page.png", b"<html>not found</html>")
    write(root / "dogs" / "phone.heic", b"ftypheic")
    write(root / "notes.txt", b"text")
    (root / "gone.png").symlink_to("nothing.png")
    found = check(str(root))
    assert (found.kind, found.count) == ("images", 5)
    assert found.sizes == {"80x60": 4, "64x64": 1}
    assert found.classes == {"cats": 2, "dogs": 3}
    assert found.modes == {"RGB": 3, "L": 1, "RGBA": 1}
    assert found.formats == {"PNG": 4, "JPEG": 1}
    assert found.ignored == {".txt": 1}
    assert [name for name, _ in found.bad] == [
        "dogs/cut.png", "dogs/empty.png", "dogs/page.png", "dogs/phone.heic", "gone.png"
    ]  # fmt: skip
    reasons = dict(found.bad)
    assert "cut off" in reasons["dogs/cut.png"]
    assert "empty" in reasons["dogs/empty.png"]
    assert "HTML" in reasons["dogs/page.png"]
    assert "export it as JPEG or PNG" in reasons["dogs/phone.heic"]
    assert reasons["gone.png"] == "a link that leads nowhere"


def test_the_keys_that_scripts_rely_on(tmp_path: Path) -> None:
    root = folder(tmp_path, a=photo(1), b=photo(1), c=photo(2))
    write(root / "d.png", b"")
    found = check(str(root)).as_dict()
    assert list(found)[:6] == ["kind", "count", "sizes", "classes", "bad", "duplicates"]
    assert set(found) == {
        "kind", "count", "sizes", "classes", "bad", "duplicates", "near_duplicates", "modes", "formats", "ignored",
        "training", "notes",
    }  # fmt: skip
    assert found["bad"] == [{"file": "d.png", "reason": "it is empty"}]
    assert found["duplicates"] == [("a.png", "b.png")]
    assert found["classes"] == {}


def test_an_archive_is_checked_like_its_folder(tmp_path: Path) -> None:
    root = folder(tmp_path / "photos", cats__1=photo(1), cats__2=photo(1), dogs__1=photo(2))
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in root.rglob("*.png"):
            archive.write(path, path.relative_to(root))
        archive.writestr("../up.png", b"evil")
    found = check(str(tmp_path / "photos.zip")).as_dict()
    assert found.pop("bad") == [{"file": "../up.png", "reason": "a name that leads out of the archive"}]
    assert found == {key: value for key, value in check(str(root)).as_dict().items() if key != "bad"}


def test_progress_is_told(tmp_path: Path) -> None:
    records: list[Any] = []
    check(str(folder(tmp_path, a=photo(1), b=photo(2))), records.append)
    assert records[-1] == {"task": "reading pictures", "done": 2, "total": 2}


def test_nothing_that_can_be_read_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "a.png", b"")
    write(tmp_path / "b.heic", b"x")
    with pytest.raises(DataError, match=r"2 of 2 files cannot be read") as caught:
        check(str(tmp_path))
    assert caught.value.exit_code == 3
    assert len(caught.value.details) == 2


@pytest.mark.parametrize("source", ["nothing/here", "photos.zip"])
def test_nothing_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="E-DATA-01"):
        check(source)


@pytest.mark.parametrize("source", ["digit", "", "a\0b"])
def test_no_such_name(source: str) -> None:
    with pytest.raises(UsageError, match=r"(?s)E-NAME-02.*digits"):
        check(source)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_pictures(tmp_path: Path, count: int) -> None:
    found = check(str(folder(tmp_path, **{f"p{number}": photo(number) for number in range(count)})))
    assert found.count == count
    assert (found.training is None) == (count == 1)
    assert found.sheet.shape == (68, 66 * count + 2, 3)


def test_uneven_classes_are_told(tmp_path: Path) -> None:
    pictures = {f"many__{number}": photo(number, 16, 16) for number in range(20)}
    found = check(str(folder(tmp_path, **pictures, few__1=photo(100), few__2=photo(101), zero__x=photo(102))))
    domains = "to stargan the 3 classes are domains, each picture to become one of any other"
    assert found.note == [domains, "the classes are uneven: 20 of 'many', 1 of 'zero'"]
    (tmp_path / "zero" / "x.png").unlink()
    (tmp_path / "many" / "19.png").unlink()
    (note,) = check(str(tmp_path)).note
    assert "2 classes are domains" in note


@pytest.mark.parametrize("size", [(16, 16), (40, 30), (28, 28), (200, 150)])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_what_training_would_use_is_what_it_uses(tmp_path: Path, size: tuple[int, int], mode: str) -> None:
    root = folder(tmp_path, **{f"p{number}": photo(number, *size).convert(mode) for number in range(12)})
    found, opened = check(str(root)), data.open(root)
    channels, height, width = opened.spec.shape
    assert found.training == {"size": f"{width}x{height}", "channels": channels, "rows": len(opened), "held_out": 0}


def test_what_would_be_held_out_is_what_is(tmp_path: Path) -> None:
    for number in range(210):
        write(tmp_path / f"{number}.png", encoded(photo(number, 16, 16)))
    found, opened = check(str(tmp_path)), data.open(tmp_path)
    assert opened.held_out is not None
    assert found.training is not None
    assert (found.training["rows"], found.training["held_out"]) == (len(opened), len(opened.held_out)) == (110, 100)


# Twins


def names_of(pairs: list[tuple[str, str]]) -> list[list[str]]:
    return [[name.removesuffix(".png") for name in pair] for pair in pairs]


def test_equal_files_are_named_beside_the_first(tmp_path: Path) -> None:
    found = check(str(folder(tmp_path, a=photo(1), b=photo(2), c=photo(1), d__e=photo(1), f=photo(3))))
    assert names_of(found.duplicates) == [["a", "c"], ["a", "d/e"]]
    assert found.near_duplicates == []


def test_the_same_picture_saved_anew_is_found(tmp_path: Path) -> None:
    for seed in range(30):
        image = photo(seed)
        write(tmp_path / f"{seed:02d}.png", encoded(image))
        again = [image.resize((53, 40), Image.Resampling.LANCZOS), image.resize((120, 90)), image][seed % 3]
        form = ["PNG", "WEBP", "JPEG"][seed % 3]
        write(tmp_path / f"{seed:02d} again.{form.lower()}", encoded(again, form, quality=85))
    found = check(str(tmp_path))
    pairs = {tuple(sorted((one[:2], other[:2]))) for one, other in found.near_duplicates}
    assert all(one == other for one, other in pairs)  # no strangers
    assert len(pairs) >= 28


def test_a_copy_with_alpha_on_white_is_the_same_picture(tmp_path: Path) -> None:
    shape = Image.new("RGBA", (64, 64), (9, 200, 30, 0))
    shape.paste((200, 30, 9, 255), (8, 12, 40, 60))
    white = Image.alpha_composite(Image.new("RGBA", shape.size, "white"), shape).convert("RGB")
    assert names_of(check(str(folder(tmp_path, a=shape, b=white))).near_duplicates) == [["a", "b"]]


def test_plain_pictures_are_not_all_twins(tmp_path: Path) -> None:
    plain = {f"p{level:03d}": Image.new("RGB", (64, 64), (level, 255 - level, 128)) for level in range(0, 256, 16)}
    assert check(str(folder(tmp_path, **plain))).near_duplicates == []
    (tmp_path / "p999.png").write_bytes(encoded(Image.new("RGB", (99, 99), (32, 223, 128))))
    assert names_of(check(str(tmp_path)).near_duplicates) == [["p032", "p999"]]


def test_one_sky_over_different_lands_is_no_twin(tmp_path: Path) -> None:
    for seed in range(20):
        image = Image.new("RGB", (64, 64), (120, 180, 255))
        image.paste(photo(seed, 64, 20), (0, 44))
        write(tmp_path / f"{seed}.png", encoded(image))
    assert check(str(tmp_path)).near_duplicates == []


def test_small_marks_on_white_are_different_pictures(tmp_path: Path) -> None:
    for place in range(10):
        image = Image.new("L", (64, 64), 255)
        image.paste(0, (6 * place, 20, 6 * place + 3, 40))
        write(tmp_path / f"{place}.png", encoded(image))
    assert check(str(tmp_path)).near_duplicates == []


def test_a_thousand_pictures_of_one_hash_take_no_hour() -> None:
    small = np.random.default_rng(0).integers(0, 256, (5000, 16, 16, 3), dtype=np.uint8)
    small[4999] = small[17]
    start = time.process_time()
    assert twins.alike(np.zeros(5000, np.uint64), small, np.arange(5000)) == [(17, 4999)]
    assert time.process_time() - start < 5


def test_hashes_that_differ_in_three_bits_meet_in_one_band() -> None:
    draw = np.random.default_rng(0)
    small = np.repeat(draw.integers(0, 256, (500, 16, 16, 3), dtype=np.uint8), 2, axis=0)
    hashes = np.repeat(draw.integers(0, 2**63, 500).astype(np.uint64), 2)
    for row in range(1, 1000, 2):
        for bit in draw.choice(64, 3, replace=False).tolist():
            hashes[row] ^= np.uint64(1 << bit)
    assert twins.alike(hashes, small, np.arange(1000)) == [(row - 1, row) for row in range(1, 1000, 2)]


def test_many_pictures_are_not_compared_and_that_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "COMPARED", 2)
    found = check(str(folder(tmp_path, a=photo(1), b=photo(1), c=photo(1).convert("RGBA"))))
    assert names_of(found.duplicates) == [["a", "b"]]
    assert found.near_duplicates == []
    assert any("were not searched for" in line for line in found.note)


def test_copies_that_may_be_held_out_are_told(tmp_path: Path) -> None:
    for number in range(200):
        write(tmp_path / f"{number}.png", encoded(photo(number % 199, 16, 16)))
    assert any("held-out part" in line for line in check(str(tmp_path)).note)


# The contact sheet


def tile(level: int) -> NDArray[np.uint8]:
    return np.full((64, 64, 3), level, np.uint8)


def shown(sheet: NDArray[np.uint8]) -> list[list[int]]:
    """The level in the middle of each tile."""
    return sheet[34::66, 34::66, 0].tolist()


def test_a_sheet_has_a_row_a_class() -> None:
    labels = np.array([0, 1, 0, 1, 1])
    contact = Contact(5, labels)
    for index in range(5):
        contact.offer(index, tile(100 + index))
    rows = shown(contact.sheet())
    assert [row[:4] for row in rows] == [[100, 102, 64, 64], [101, 103, 104, 64]]


def test_a_sheet_is_spread_evenly_and_bad_files_leave_no_gap() -> None:
    contact = Contact(1000)
    for index in range(1000):
        if not 200 <= index < 300:  # these cannot be read
            contact.offer(index, tile(index // 10))
    levels = np.concatenate(shown(contact.sheet()))
    assert len(levels) == 100
    assert levels[0] == 0
    assert levels[-1] == 99
    assert (np.diff(levels) >= 0).all()
    assert ((levels < 20) | (levels >= 30)).all()


def test_many_classes_share_the_rows() -> None:
    contact = Contact(300, np.arange(300))
    for index in range(300):
        contact.offer(index, tile(index % 256))
    assert np.shape(shown(contact.sheet())) == (10, 10)


def test_the_sheet_shows_the_pictures(tmp_path: Path) -> None:
    found = check(str(folder(tmp_path, a=Image.new("RGB", (100, 50), (255, 0, 0)), b=photo(1))))
    assert found.sheet[34, 34].tolist() == [255, 0, 0]
    assert found.sheet[6, 34].tolist() == [255, 255, 255]  # above a wide picture


# Rows


def points_of(found: Report) -> tuple[str, int, dict[str, int]]:
    return found.kind, found.count, found.sizes


def test_points_of_a_csv(tmp_path: Path) -> None:
    path = write(tmp_path / "points.csv", b"a,b,label\n1,2,u\n3,4,v\n1,2,u\n5,6,u\n")
    found = check(str(path))
    assert points_of(found) == ("points", 4, {"2": 4})
    assert found.classes == {"u": 3, "v": 1}
    assert found.duplicates == [("row 0", "row 2")]
    assert found.training == {"size": "2", "channels": None, "rows": 4, "held_out": 0}
    assert found.sheet.ndim == 3


def test_pictures_of_an_array(tmp_path: Path) -> None:
    images = np.stack([np.asarray(photo(seed, 20, 12)) for seed in (1, 2, 1)])
    np.save(tmp_path / "a.npy", images)
    found = check(str(tmp_path / "a.npy"))
    assert (found.kind, found.count, found.sizes, found.modes) == ("images", 3, {"20x12": 3}, {"RGB": 3})
    assert found.duplicates == [("row 0", "row 2")]
    assert found.training == {"size": "20x12", "channels": 3, "rows": 3, "held_out": 0}


def test_an_idx_folder_with_its_own_held_out_part(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)
    for name, part in (("train", images[:3]), ("t10k", images[[3, 0]])):
        head = struct.pack(">HBB3I", 0, 8, 3, *part.shape)
        write(tmp_path / f"{name}-images-idx3-ubyte.gz", gzip.compress(head + part.tobytes()))
    found = check(str(tmp_path))
    assert found.count == 5
    assert found.duplicates == [("training row 0", "held-out row 1")]
    assert found.training == {"size": "8x8", "channels": 1, "rows": 3, "held_out": 2}


def test_samples_written_by_the_command_are_read_back(tmp_path: Path) -> None:
    from ganworks.use.sample import write as write_samples

    drawn = data.open("digits").rows(np_rows(6))["x"]
    for form in ("files", "npz"):
        write_samples(drawn, tmp_path / form, form, [*"aabbba"])
        found = check(str(tmp_path / form))
        assert (found.count, found.sizes, found.classes) == (6, {"28x28": 6}, {"a": 3, "b": 3})
        opened = data.open(tmp_path / form)
        assert opened.spec.classes == ("a", "b")
        assert float((opened.rows(np_rows(6))["x"] - drawn).abs().max()) < 1e-6


def test_points_written_by_the_command_are_read_back(tmp_path: Path) -> None:
    from ganworks.use.sample import write as write_samples

    drawn = data.open("ring").rows(np_rows(300))
    names = [f"mode {label}" for label in drawn["label"].tolist()]
    for form in ("files", "npz"):
        write_samples(drawn["x"], tmp_path / form, form, names)
        opened = data.open(tmp_path / form)
        train = opened.rows(np_rows(len(opened)))
        assert opened.spec.classes == tuple(f"mode {label}" for label in range(8))
        assert len(opened) + len(opened.held_out or []) == 300
        for x, label in zip(train["x"], train["label"].tolist(), strict=True):
            (row,) = (drawn["x"] == x).all(1).nonzero()[0].tolist()
            assert opened.spec.classes[label] == names[row]


def np_rows(count: int) -> Any:
    import torch

    return torch.arange(count)


@pytest.mark.parametrize(("name", "kind", "count"), [("ring", "points", 100_000), ("digits:7", "images", 1028)])
def test_built_in_data(name: str, kind: str, count: int) -> None:
    found = check(name)
    assert (found.kind, found.count, found.bad) == (kind, count, [])
    assert sum(found.classes.values()) == count
    assert found.training is not None
    assert found.training["rows"] + found.training["held_out"] == count


def test_the_same_report_whatever_the_disk_s_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder(tmp_path, **{f"p{number}": photo(number % 5) for number in range(12)})
    first = check(str(root))
    listed = os.scandir

    class Reversed:
        def __init__(self, path: Any) -> None:
            with listed(path) as entries:
                self.entries = list(entries)[::-1]

        def __enter__(self) -> Any:
            return iter(self.entries)

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(os, "scandir", Reversed)
    second = check(str(root))
    assert second.as_dict() == first.as_dict()
    assert np.array_equal(second.sheet, first.sheet)
