"""Zip and tar: read in place by the rules of folders; what is broken, hostile or odd is named and touches no disk."""

import bz2
import gc
import gzip
import io
import lzma
import os
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganworks.errors import DataError, ResourceError
from ganworks.reading import archives
from ganworks.reading.listing import Listing, list_pictures
from ganworks.reading.places import Unreadable, read

FILES = {
    "cat/1.png": b"first",
    "cat/old/3.JPG": b"third",
    "dog/2.png": b"second " * 100,
    "cat/notes.txt": b"text",
    "__MACOSX/cat/._1.png": b"mac",
    ".hidden/4.png": b"hidden",
    "more.zip": b"PK",
}
WANTED = {"cat/1.png": b"first", "cat/old/3.JPG": b"third", "dog/2.png": b"second " * 100}


def zipped(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, **options: bool) -> Path:
    with zipfile.ZipFile(path, "w", method, **options) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, files: dict[str, bytes], mode: str = "w", form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, mode, format=form) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def contents(listing: Listing) -> dict[str, bytes]:
    return {listing.name(index): read(listing.place(index)) for index in range(len(listing))}


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        list_pictures(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


KINDS: dict[str, Callable[[Path, dict[str, bytes]], Path]] = {
    "stored.zip": lambda path, files: zipped(path, files, zipfile.ZIP_STORED),
    "deflated.zip": zipped,
    "plain.tar": tarred,
    "gnu.tar": lambda path, files: tarred(path, files, form=tarfile.GNU_FORMAT),
    "old.tar": lambda path, files: tarred(path, files, form=tarfile.USTAR_FORMAT),
    "packed.tar.gz": lambda path, files: tarred(path, files, "w:gz"),
    "packed.tgz": lambda path, files: tarred(path, files, "w:gz"),
    "packed.tar.bz2": lambda path, files: tarred(path, files, "w:bz2"),
    "packed.tar.xz": lambda path, files: tarred(path, files, "w:xz"),
}
each_kind = pytest.mark.parametrize(("name", "pack"), KINDS.items(), ids=KINDS)


@each_kind
def test_an_archive_is_read_as_the_folder_would_be(tmp_path: Path, name: str, pack: Callable[..., Path]) -> None:
    found = list_pictures(pack(tmp_path / name, dict(reversed(FILES.items()))))
    assert contents(found) == WANTED
    assert list(contents(found)) == sorted(WANTED)
    assert found.classes == ("cat", "dog")
    assert found.labels is not None
    assert found.labels.tolist() == [0, 0, 1]
    assert (found.ignored, found.refused) == ({".txt": 1, ".zip": 1}, [])


@each_kind
def test_nothing_is_left_on_the_disk(
    tmp_path: Path, name: str, pack: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pack(tmp_path / name, FILES)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    found = list_pictures(path)
    place = found.place(0)
    del found
    gc.collect()
    assert list((tmp_path / "temporary").iterdir()) == []
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([name, "temporary"])
    if ".tar." in name or name.endswith("tgz"):
        with pytest.raises(Unreadable):
            read(place)


def test_another_process_reads_a_packed_tar(tmp_path: Path) -> None:
    found = list_pictures(tarred(tmp_path / "packed.tar.gz", FILES, "w:gz"))
    code = (
        "import sys; from ganworks.reading.places import Place, read\n"
        "print(read(Place(sys.argv[1], *map(int, sys.argv[2:]))))"
    )
    place = found.place(1)
    words = [place.path, *map(str, (place.offset, place.packed, place.unpacked))]
    assert subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True).stdout == "b'third'\n"


@each_kind
def test_samples_in_an_archive_have_their_labels(tmp_path: Path, name: str, pack: Callable[..., Path]) -> None:
    files = {f"samples/{each}": b"x" for each in ("000000.png", "000001.png", "sheet.png")}
    files["samples/labels.csv"] = b"sample,label\r\n000000,seven\r\n000001,one\r\n"
    found = list_pictures(pack(tmp_path / name, files))
    assert len(found) == 2
    assert [found.classes[each] for each in found.labels.tolist()] == ["seven", "one"]  # type: ignore[union-attr]


# Names


BAD_NAMES = {
    "../up.png": "leads out",
    "a/../../up.png": "leads out",
    "/absolute.png": "absolute",
    "C:/drive.png": "drive letter",
    "c:drive.png": "drive letter",
    "..\\up.png": "leads out",
    "a\\..\\..\\up.png": "leads out",
    "\\\\server\\share.png": "absolute",
}


@pytest.mark.parametrize(("name", "word"), BAD_NAMES.items())
@pytest.mark.parametrize("kind", ["deflated.zip", "plain.tar"])
def test_names_that_lead_elsewhere_are_refused_by_name(tmp_path: Path, kind: str, name: str, word: str) -> None:
    found = list_pictures(KINDS[kind](tmp_path / kind, {"1.png": b"x", name: b"evil"}))
    assert contents(found) == {"1.png": b"x"}
    ((shown, reason),) = found.refused
    assert shown == name
    assert word in reason
    assert sorted(each.name for each in tmp_path.iterdir()) == [kind]


def test_backslashes_of_a_zip_are_folders(tmp_path: Path) -> None:
    found = list_pictures(zipped(tmp_path / "a.zip", {"cat\\1.png": b"1", "dog\\2.png": b"2"}))
    assert contents(found) == {"cat/1.png": b"1", "dog/2.png": b"2"}
    assert found.classes == ("cat", "dog")


@each_kind
def test_dots_and_doubled_slashes_change_no_name(tmp_path: Path, name: str, pack: Callable[..., Path]) -> None:
    assert contents(list_pictures(pack(tmp_path / name, {"./cat//1.png": b"1", "./2.png": b"2"}))) == {
        "cat/1.png": b"1",
        "2.png": b"2",
    }


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ["deflated.zip", "plain.tar"])
def test_a_name_that_is_there_twice(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    if kind.endswith("zip"):
        with zipfile.ZipFile(path, "w") as archive:
            for content in (b"first", b"second"):
                archive.writestr("1.png", content)
    else:
        tarred(path, {"1.png": b"first", "./1.png": b"second"})
    found = list_pictures(path)
    assert contents(found) == {"1.png": b"first"}
    assert found.refused == [("1.png", "its name is there twice; the first one counts")]


def test_names_of_a_zip_in_the_old_letters(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"gr?n.png": b"x", "gr??n.png": b"y"})
    content = path.read_bytes().replace(b"gr?n.png", b"gr\x81n.png").replace(b"gr??n.png", "grün.png".encode())
    path.write_bytes(content)
    assert list(contents(list_pictures(path))) == ["grün.png"]  # both are the same name
    assert len(list_pictures(path).refused) == 1


def test_bytes_that_are_no_letters_are_kept_in_a_tar(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as archive:
        member = tarfile.TarInfo(name)
        archive.addfile(member, io.BytesIO())
    assert list_pictures(tmp_path / "a.tar").name(0) == name


# What is no picture


def test_links_and_devices_of_a_tar_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("1.png"), io.BytesIO())
        for name, kind in (
            ("soft.png", tarfile.SYMTYPE), ("hard.png", tarfile.LNKTYPE), ("pipe.png", tarfile.FIFOTYPE),
            ("char.png", tarfile.CHRTYPE), ("block.png", tarfile.BLKTYPE),
        ):  # fmt: skip
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    found = list_pictures(path)
    assert len(found) == 1
    assert dict(found.refused) == {
        "soft.png": "a link in an archive",
        "hard.png": "a link in an archive",
        "pipe.png": "neither file nor folder",
        "char.png": "neither file nor folder",
        "block.png": "neither file nor folder",
    }


def test_links_of_a_zip_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("1.png", b"x")
        for name, kind in (("link.png", stat.S_IFLNK), ("pipe.png", stat.S_IFIFO)):
            member = zipfile.ZipInfo(name)
            member.create_system, member.external_attr = 3, (kind | 0o644) << 16
            archive.writestr(member, "/etc/passwd")
    found = list_pictures(tmp_path / "a.zip")
    assert list(contents(found)) == ["1.png"]
    assert dict(found.refused) == {"link.png": "a link in an archive", "pipe.png": "neither file nor folder"}


def test_encrypted_and_otherwise_packed_entries_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("1.png", b"x")
        archive.writestr("bzip2.png", b"x", zipfile.ZIP_BZIP2)
        archive.writestr("lzma.png", b"x", zipfile.ZIP_LZMA)
        archive.writestr("secret.png", b"x")
        archive.writestr("secret.txt", b"x")
        for name in ("secret.png", "secret.txt"):
            archive.getinfo(name).flag_bits |= 1
    found = list_pictures(tmp_path / "a.zip")
    assert list(contents(found)) == ["1.png"]
    reasons = dict(found.refused)
    assert sorted(reasons) == ["bzip2.png", "lzma.png", "secret.png"]
    assert "password" in reasons["secret.png"]
    assert "bzip2" in reasons["bzip2.png"]
    assert found.ignored == {".txt": 1}


def test_a_wrong_checksum_is_found_when_the_picture_is_read(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"1.png": b"precious", "2.png": b"other"}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"precious", b"precioos"))
    found = list_pictures(path)
    with pytest.raises(Unreadable, match="checksum"):
        read(found.place(0))
    assert read(found.place(1)) == b"other"


# Broken and hostile archives


# The time in a gzip header would be in a test's name, and differ between the workers that collect it.
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"no archive at all " * 100, "neither a zip nor a tar"),
        (b"PK\3\4" + b"\0" * 100, "its end is missing"),
        (b"\x1f\x8b" + b"\0" * 100, "cannot be unpacked"),
        (gzip.compress(b"no tar " * 100, mtime=0), "neither a zip nor a tar"),
        (gzip.compress(b"a" * 5000, mtime=0)[:-20], "cannot be unpacked"),
        (bz2.compress(b"a" * 5000)[:-9], "cannot be unpacked"),
        (lzma.compress(b"a" * 5000)[:-9], "cannot be unpacked"),
    ],
)
def test_what_is_no_archive_says_so(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    said = refusal(tmp_path / "a.zip")
    assert said.startswith("error[E-DATA-03]")
    assert words in said


@pytest.mark.parametrize("kind", ["deflated.zip", "plain.tar", "packed.tar.gz", "packed.tar.xz"])
def test_a_cut_archive_is_refused_as_a_whole(tmp_path: Path, kind: str) -> None:
    files = {f"{number}.png": np.random.default_rng(number).bytes(3000) for number in range(20)}
    path = KINDS[kind](tmp_path / kind, files)
    path.write_bytes(path.read_bytes()[:40_000])
    assert refusal(path).startswith("error[E-DATA-03]")


def test_an_archive_without_pictures_says_what_is_there(tmp_path: Path) -> None:
    assert "1 .txt file" in refusal(zipped(tmp_path / "a.zip", {"a.txt": b"x"}))
    assert "it is empty" in refusal(zipped(tmp_path / "b.zip", {}))
    assert "it is empty" in refusal(tarred(tmp_path / "a.tar", {}))


def test_a_zip_that_announces_gigabytes_is_refused_with_its_entry(tmp_path: Path) -> None:
    zeros = io.BytesIO()
    with zipfile.ZipFile(zeros, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("small.png", b"x")
        archive.writestr("bomb.png", b"\0" * 1000)
    content = bytearray(zeros.getvalue())
    entry = content.rfind(b"PK\1\2")
    content[entry + 24 : entry + 28] = struct.pack("<L", 3_000_000_000)  # the list's own word counts
    (tmp_path / "a.zip").write_bytes(content)
    said = refusal(tmp_path / "a.zip")
    assert "'bomb.png' alone 3,000,000,000" in said


def test_entries_that_share_their_bytes_add_up(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"0.png": b"\0" * 10_000_000})
    content = path.read_bytes()
    entry = content.rfind(b"PK\1\2")
    record = content[entry : content.rfind(b"PK\5\6")]
    copies = b"".join(record.replace(b"0.png", b"%05d" % number) for number in range(2000))
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2000, 2000, len(copies), entry, 0)
    path.write_bytes(content[:entry] + copies + end)
    assert "announce" in refusal(path)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_tar_is_unpacked_up_to_a_bound(
    tmp_path: Path, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "_LARGE", 1 << 20)
    monkeypatch.setattr(archives, "_CHUNK", 1 << 16)
    tarred(tmp_path / "a.tar", {"1.png": b"\0" * (4 << 20)})
    (tmp_path / "a.tar.gz").write_bytes(pack((tmp_path / "a.tar").read_bytes()))
    assert "it unpacks to more than" in refusal(tmp_path / "a.tar.gz")


def test_progress_of_unpacking_is_told(tmp_path: Path) -> None:
    told: list[dict[str, object]] = []
    content = np.random.default_rng(0).bytes(3 << 20)
    list_pictures(tarred(tmp_path / "a.tar.gz", {"1.png": content}, "w:gz"), told.append)
    assert told[-1] == {"task": "unpacking, MB", "done": 3, "total": 3}


def test_too_many_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST", 3)
    files = {f"{number}.png": b"x" for number in range(4)}
    assert "more than 3 entries" in refusal(zipped(tmp_path / "a.zip", files))
    assert "more than 3 entries" in refusal(tarred(tmp_path / "a.tar", files))


def test_a_full_disk_is_the_disk_s_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tarred(tmp_path / "a.tar.gz", FILES, "w:gz")
    with open("/dev/full", "w+b", buffering=0) as full:
        monkeypatch.setattr(tempfile, "TemporaryFile", lambda: full)
        with pytest.raises(ResourceError, match="E-ENV-01"):
            list_pictures(path)


def test_a_header_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    head = tarfile.TarInfo("././@PaxHeader")
    head.type, head.size = tarfile.XHDTYPE, 5 << 30
    with (tmp_path / "a.tar").open("wb") as file:
        file.write(head.tobuf())
        file.truncate(6 << 30)  # a hole: it takes no space
    assert "headers has" in refusal(tmp_path / "a.tar")


def test_a_zip_with_a_comment(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", WANTED)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"no end " * 5000
    assert contents(list_pictures(path)) == WANTED


def test_a_zip_of_the_wide_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 3)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    path = zipped(tmp_path / "a.zip", WANTED)
    assert b"PK\6\6" in path.read_bytes()
    assert contents(list_pictures(path)) == WANTED


def mutated(content: bytes, changes: list[tuple[int, int]], cut: int) -> bytes:
    changed = bytearray(content)
    for place, value in changes:
        changed[place % len(content)] = value
    return bytes(changed[: len(content) - cut % 40])


changes = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6)


@pytest.mark.parametrize("kind", ["deflated.zip", "plain.tar", "packed.tar.gz"])
def test_changed_archives_are_read_or_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    whole = KINDS[kind](path, FILES).read_bytes()

    @given(changes, st.integers(0, 39))
    def try_one(changed: list[tuple[int, int]], cut: int) -> None:
        path.write_bytes(mutated(whole, changed, cut))
        try:
            found = list_pictures(path)
        except DataError:
            return
        for index in range(len(found)):
            try:
                read(found.place(index))
            except Unreadable:
                continue

    try_one()


def test_many_entries_take_little_time_and_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(20_000):
            archive.writestr(zipfile.ZipInfo(f"{number % 5}/IMG_{number:06d}.JPG"), b"x")
    code = (
        "import sys, time; from pathlib import Path; from ganworks.reading.listing import list_pictures\n"
        "peak = lambda: int(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])\n"
        "most, begun = peak(), time.process_time(); found = list_pictures(Path(sys.argv[1]))\n"
        "print(len(found), time.process_time() - begun, peak() - most)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    count, seconds, kilobytes = done.stdout.split()
    assert int(count) == 20_000
    assert float(seconds) < 1
    assert int(kilobytes) < 10_000
