"""Which pictures a folder holds: told by their endings, in the order of their names, with its folders as classes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganworks.errors import DataError
from ganworks.reading import walk
from ganworks.reading.listing import Listing, array_in, list_pictures, shown
from ganworks.reading.places import read


def tree(root: Path, *names: str) -> Path:
    """A folder of files that hold their own name; the listing opens none of them."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(name))
    root.mkdir(exist_ok=True)
    return root


def names(found: Listing) -> list[str]:
    return [found.name(index) for index in range(len(found))]


def classes(found: Listing) -> list[str]:
    assert found.labels is not None
    assert found.labels.dtype == np.int64
    return [found.classes[each] for each in found.labels.tolist()]


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        list_pictures(path)
    return str(caught.value)


# Which files


def test_every_picture_is_found_whatever_the_case_of_its_ending(tmp_path: Path) -> None:
    endings = "png apng jpg jpeg jfif webp gif bmp tif tiff ppm pgm pbm pnm tga".split()
    wanted = sorted(
        f"{case(ending)}.{case(ending)}" for ending in endings for case in (str.lower, str.upper, str.title)
    )
    assert names(list_pictures(tree(tmp_path, *wanted))) == wanted


def test_each_place_is_the_file_of_its_name(tmp_path: Path) -> None:
    found = list_pictures(tree(tmp_path, "dog/2.png", "cat/1.png", "cat/deep/er/3.png"))
    assert names(found) == ["cat/1.png", "cat/deep/er/3.png", "dog/2.png"]
    assert [read(found.place(index)) for index in range(3)] == [name.encode() for name in names(found)]


def test_places_are_right_from_any_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path / "photos", "1.png")
    monkeypatch.chdir(tmp_path)
    found = list_pictures(Path("photos"))
    monkeypatch.chdir("/")
    assert read(found.place(0)) == b"1.png"


def test_the_order_is_that_of_the_names_and_not_of_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["B.png", "a!/x.png", "a.png", "a/x.png", "a0.png", "b.png", "é.png"]
    tree(tmp_path, *wanted)
    scandir = os.scandir

    class Shuffled:
        def __init__(self, path: bytes) -> None:
            with scandir(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name[::-1], reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(os, "scandir", Shuffled)
    assert names(list_pictures(tmp_path)) == wanted
    assert wanted == sorted(wanted, key=os.fsencode)


def test_what_no_person_put_there_is_passed_over(tmp_path: Path) -> None:
    hidden = [".hidden.png", ".git/1.png", "__MACOSX/1.png", "Thumbs.db", ".DS_Store", "desktop.ini"]
    found = list_pictures(tree(tmp_path, "1.png", *hidden))
    assert (names(found), found.ignored, found.refused) == (["1.png"], {}, [])


def test_other_files_are_counted_by_their_ending(tmp_path: Path) -> None:
    found = list_pictures(tree(tmp_path, "1.png", "a.txt", "b.TXT", "c/d.json", "README", "more.zip"))
    assert found.ignored == {".json": 1, ".txt": 2, ".zip": 1, "": 1}


def test_endings_without_number_do_not_fill_the_memory(tmp_path: Path) -> None:
    found = list_pictures(tree(tmp_path, "1.png", *(f"x.{number}" for number in range(150))))
    assert len(found.ignored) <= 101
    assert sum(found.ignored.values()) == 150


@pytest.mark.parametrize("ending", "heic HEIF avif jxl svg psd xcf exr cr2 NEF dng arw".split())
def test_pictures_that_cannot_be_read_are_named_with_a_way_out(tmp_path: Path, ending: str) -> None:
    found = list_pictures(tree(tmp_path, "1.png", f"a/b.{ending}"))
    ((name, reason),) = found.refused
    assert name == f"a/b.{ending}"
    assert "PNG" in reason


STRANGE = [
    "with blank.png",
    " .png",
    "\"quoted'.png",
    "line\nbreak.png",
    "-leading.png",
    "--help.png",
    "emoji 👩‍👧.png",
    "\u202egnp.png",
    "CON.png",
    "dot..png",
    "$(rm).png",
    "x" * 251 + ".png",
    os.fsdecode(b"latin \xe9\xff.png"),
    "\x1b[2J.png",
]


@pytest.mark.parametrize("name", STRANGE, ids=ascii)
def test_strange_names_are_names(tmp_path: Path, name: str) -> None:
    tree(tmp_path, f"one/{name}", f"two/{name}")
    found = list_pictures(tmp_path)
    assert names(found) == [f"one/{name}", f"two/{name}"]
    assert read(found.place(1)) == os.fsencode(f"two/{name}")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=40).filter(lambda name: b"/" not in name and b"\0" not in name))
def test_any_name_that_the_disk_takes(tmp_path: Path, name: bytes) -> None:
    folder = os.path.join(os.fsencode(tmp_path), b"f" + name)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, b"n" + name + b".png"), "wb") as file:
        file.write(name)
    found = list_pictures(Path(os.fsdecode(folder)))
    assert found.name(0) == os.fsdecode(b"n" + name + b".png")
    assert read(found.place(0)) == name if name else True
    assert shown(found.name(0)).encode()


def test_names_are_shown_without_what_steers_a_terminal() -> None:
    assert shown("a\x1b[2J\n\t\u202eb") == "a\\x1b[2J\\n\\t\\u202eb"
    assert shown(os.fsdecode(b"latin \xe9")) == "latin \\xe9"
    assert shown("日本 👩‍👧 é") == "日本 👩‍👧 é"


# Links and what is no file


def test_links_to_files_are_followed(tmp_path: Path) -> None:
    tree(tmp_path / "outside", "real.png")
    tree(tmp_path / "photos", "1.png")
    (tmp_path / "photos" / "2.png").symlink_to(tmp_path / "outside" / "real.png")
    (tmp_path / "photos" / "3.png").symlink_to("1.png")
    found = list_pictures(tmp_path / "photos")
    assert names(found) == ["1.png", "2.png", "3.png"]
    assert [read(found.place(index)) for index in range(3)] == [b"1.png", b"real.png", b"1.png"]


def test_links_to_folders_outside_are_followed_once(tmp_path: Path) -> None:
    tree(tmp_path / "outside", "cats/1.png")
    photos = tree(tmp_path / "photos", "dogs/2.png")
    (photos / "cats").symlink_to(tmp_path / "outside" / "cats")
    (photos / "cats again").symlink_to(tmp_path / "outside" / "cats")
    found = list_pictures(photos)
    assert sorted(names(found)) == ["cats again/1.png", "dogs/2.png"]
    assert found.refused == [("cats/", "a folder that is listed already")]


def test_links_that_lead_back_do_not_hang(tmp_path: Path) -> None:
    photos = tree(tmp_path / "photos", "one/1.png", "two/2.png")
    (photos / "one" / "up").symlink_to("..")
    (photos / "one" / "self").symlink_to(".")
    (photos / "two" / "root").symlink_to("/")
    (photos / "c").symlink_to("two")
    (photos / "round.png").symlink_to("circle.png")
    (photos / "circle.png").symlink_to("round.png")
    (photos / "gone.png").symlink_to("nothing.png")
    found = list_pictures(photos)
    assert names(found) == ["one/1.png", "two/2.png"]
    assert dict(found.refused) == {
        "one/up/": "a link that leads back to a folder above it",
        "one/self/": "a link that leads back to a folder above it",
        "two/root/": "a link that leads back to a folder above it",
        "c/": "a link to a folder that is listed already",
        "circle.png": "a link that leads round in circles",
        "round.png": "a link that leads round in circles",
        "gone.png": "a link that leads nowhere",
    }


def test_links_between_folders_are_not_walked_without_end(tmp_path: Path) -> None:
    outside = tree(tmp_path / "outside")
    for level in range(30):  # two ways from each folder to the next: 2^30 paths
        (outside / str(level)).mkdir()
        for way in ("x", "y"):
            (outside / str(level) / way).symlink_to(outside / str(level + 1))
    tree(outside / "30", "1.png")
    (tree(tmp_path / "photos") / "in").symlink_to(outside / "0")
    assert len(list_pictures(tmp_path / "photos")) == 1


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    tree(tmp_path, "1.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "linked.png").symlink_to("pipe.png")
    (tmp_path / "null.png").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.png"))
    found = list_pictures(tmp_path)
    assert names(found) == ["1.png"]
    assert dict(found.refused) == {
        "pipe.png": "a pipe, not a file",
        "linked.png": "a pipe, not a file",
        "null.png": "a device, not a file",
        "s.png": "a socket, not a file",
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_rights_is_named(tmp_path: Path) -> None:
    tree(tmp_path, "1.png", "closed/2.png")
    (tmp_path / "closed").chmod(0)
    try:
        assert "Permission denied" in dict(list_pictures(tmp_path).refused)["closed/"]
    finally:
        (tmp_path / "closed").chmod(0o700)


# Classes


def test_folders_are_the_classes_and_deeper_ones_belong_to_them(tmp_path: Path) -> None:
    found = list_pictures(tree(tmp_path, "dog/2.png", "cat/1.png", "cat/old/3.png", "cat 2/4.png", "empty/readme.txt"))
    assert found.classes == ("cat", "cat 2", "dog")
    assert dict(zip(names(found), classes(found), strict=True)) == {
        "cat/1.png": "cat",
        "cat/old/3.png": "cat",
        "cat 2/4.png": "cat 2",
        "dog/2.png": "dog",
    }


def test_a_class_may_be_called_like_a_file(tmp_path: Path) -> None:
    found = list_pictures(tree(tmp_path, "cat.png/1.png", "dog.png/2.png"))
    assert classes(found) == ["cat.png", "dog.png"]


def test_a_single_folder_is_looked_into(tmp_path: Path) -> None:
    found = list_pictures(tree(tmp_path, "data/photos/cat/1.png", "data/photos/dog/2.png", "data/notes.txt"))
    assert found.classes == ("cat", "dog")
    flat = list_pictures(tree(tmp_path / "other", "one/two/1.png", "one/two/2.png"))
    assert (flat.classes, flat.labels, flat.note) == ((), None, [])


def test_pictures_beside_folders_have_no_classes(tmp_path: Path) -> None:
    found = list_pictures(tree(tmp_path, "1.png", "cat/2.png", "dog/3.png"))
    assert (len(found), found.classes, found.labels) == (3, (), None)
    assert any("without classes" in line for line in found.note)


def test_five_thousand_classes(tmp_path: Path) -> None:
    found = list_pictures(tree(tmp_path, *(f"{number}/1.png" for number in range(5000))))
    assert len(found.classes) == 5000
    assert [name.split("/")[0] for name in names(found)] == classes(found)


@pytest.mark.parametrize("pair", [("source", "target"), ("a", "b"), ("A", "B")])
def test_folders_of_pairs_and_domains_are_listed_as_classes(tmp_path: Path, pair: tuple[str, str]) -> None:
    """What they are to a translator is decided where they are read: test_data_pairing."""
    assert list_pictures(tree(tmp_path, f"{pair[0]}/1.png", f"{pair[1]}/1.png")).classes == pair
    tree(tmp_path, "c/1.png")
    assert len(list_pictures(tmp_path).classes) == 3


def test_a_split_that_is_taken_for_classes_is_told(tmp_path: Path) -> None:
    found = list_pictures(tree(tmp_path, "train/1.png", "test/2.png"))
    assert any("--held-out test/" in line for line in found.note)


def test_classes_that_differ_by_the_case_of_a_letter(tmp_path: Path) -> None:
    assert list_pictures(tree(tmp_path, "Train/1.png", "train/2.png")).classes == ("Train", "train")


def test_a_class_has_a_name_that_can_be_written(tmp_path: Path) -> None:
    found = list_pictures(tree(tmp_path, os.fsdecode(b"caf\xe9/1.png"), "line\nbreak/2.png"))
    assert sorted(found.classes) == ["caf\\xe9", "line\\nbreak"]


# What `ganworks sample` writes


LABELS = "sample,label\n000000,seven\n000001,one\n000002,seven\n"


def samples(root: Path, labels: str = LABELS) -> Path:
    tree(root, "000000.png", "000001.png", "000002.png", "sheet.png")
    (root / "labels.csv").write_text(labels)
    return root


def test_samples_have_the_labels_of_their_table_and_no_overview(tmp_path: Path) -> None:
    for root in (samples(tmp_path / "samples"), tmp_path):  # the folder, and the one around it
        found = list_pictures(root)
        assert [name.rpartition("/")[2] for name in names(found)] == ["000000.png", "000001.png", "000002.png"]
        assert found.classes == ("one", "seven")
        assert classes(found) == ["seven", "one", "seven"]
        assert found.ignored == {}
        assert any("sheet.png" in line for line in found.note)


def test_sheet_alone_is_a_picture(tmp_path: Path) -> None:
    assert names(list_pictures(tree(tmp_path, "sheet.png", "other.png"))) == ["other.png", "sheet.png"]


def test_labels_may_name_files_in_folders_and_in_any_order(tmp_path: Path) -> None:
    tree(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "labels.csv").write_text("label,sample,who\ndog,b/2.png,me\ncat,a/1,me\ncat,gone,me\n")
    found = list_pictures(tmp_path)
    assert classes(found) == ["cat", "dog"]
    assert any("1 rows of labels.csv name no sample" in line for line in found.note)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("000000,seven\n", ["2 samples have none", "000001.png"]),
        (LABELS.split("\n", 1)[1] + "000000,one\n", ["'000000' has two"]),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path: Path, rows: str, words: list[str]) -> None:
    said = refusal(samples(tmp_path, f"sample,label\n{rows}"))
    assert said.startswith("error[E-DATA-08]")
    for word in words:
        assert word in said


@pytest.mark.parametrize("content", [b"file,class\n000000,x\n", b"\xff\xfe\0", b""])
def test_another_labels_csv_is_told_and_not_read(tmp_path: Path, content: bytes) -> None:
    samples(tmp_path)
    (tmp_path / "labels.csv").write_bytes(content)
    found = list_pictures(tmp_path)
    assert (found.labels, found.ignored) == (None, {".csv": 1})
    assert any("labels.csv is not read" in line for line in found.note)


# No pictures


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([], "it is empty"),
        (["a.txt", "b"], "1 .txt file"),
        (["x/a.heic"], "x/a.heic   a HEIC photo"),
        ([".x.png"], "empty"),
    ],
)
def test_a_folder_without_pictures_says_what_is_there(tmp_path: Path, files: list[str], words: str) -> None:
    said = refusal(tree(tmp_path, *files))
    assert said.startswith("error[E-DATA-14]: there are no pictures in ")
    assert words in said


def test_the_error_about_no_pictures_stays_short(tmp_path: Path) -> None:
    assert len(refusal(tree(tmp_path, *(f"{number}.heic" for number in range(50)))).splitlines()) < 14


def test_a_folder_with_a_single_array_is_that_array(tmp_path: Path) -> None:
    folder = tree(tmp_path / "one", "samples.npz", "labels.csv", ".hidden.png")
    assert array_in(folder) == folder / "samples.npz"
    assert array_in(tree(tmp_path / "two", "a.npy", "b.npy")) is None
    assert array_in(tree(tmp_path / "three", "a.npy", "1.png")) is None
    assert array_in(tree(tmp_path / "four", "a.npy", "cats/1.png")) is None
    assert array_in(tree(tmp_path / "five")) is None


# Size


def test_progress_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "_TOLD", 2)
    told: list[object] = []
    list_pictures(tree(tmp_path, *(f"{number}.png" for number in range(5))), told.append)
    assert told == [{"task": "listing pictures", "done": done, "total": 0} for done in (2, 4)]


def test_many_names_take_little_time_and_memory(tmp_path: Path) -> None:
    for folder in range(5):
        (tmp_path / str(folder)).mkdir()
        for number in range(2000):
            (tmp_path / str(folder) / f"IMG_{number:06d}.JPG").touch()
    code = (
        "import sys, time; from pathlib import Path; from ganworks.reading.listing import list_pictures\n"
        "peak = lambda: int(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])\n"
        "most, begun = peak(), time.process_time(); found = list_pictures(Path(sys.argv[1]))\n"
        "print(len(found), time.process_time() - begun, peak() - most)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    count, seconds, kilobytes, torch = done.stdout.split()
    assert int(count) == 10_000
    assert float(seconds) < 0.3  # a million in 30 s
    assert int(kilobytes) < 8_000
    assert torch == "False"
