"""Files: IDX, .npy and .npz are read right, and whatever is broken, hostile or missing ends in a three-part error."""

import gzip
import io
import os
import pickle
import random
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ganworks import data
from ganworks.errors import GanworksError, UsageError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 5, 4), dtype=np.uint8)
LABELS = np.array([3, 1, 4, 1, 3, 1], dtype=np.uint8)


def idx(array: NDArray[np.generic]) -> bytes:
    """The bytes of an IDX file, from the description of the format."""
    code = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}[array.dtype.str[1:]]
    head = struct.pack(">HBB", 0, code, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def npy(array: NDArray[np.generic], allow_pickle: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=allow_pickle)
    return buffer.getvalue()


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def refusal(source: object, code: str) -> GanworksError:
    """The error of a source that must be refused: exit code 3, and all three parts."""
    with pytest.raises(GanworksError) as caught:
        data.open(source)
    assert caught.value.code == code
    assert caught.value.exit_code == 3
    assert caught.value.what
    assert caught.value.remedy
    assert str(source) in str(caught.value)
    return caught.value


# IDX


@pytest.mark.parametrize("packed", [False, True])
def test_an_idx_file_and_its_labels(tmp_path: Path, packed: bool) -> None:
    ending, pack = (".gz", gzip.compress) if packed else ("", bytes)
    path = write(tmp_path / f"train-images-idx3-ubyte{ending}", pack(idx(IMAGES)))
    write(tmp_path / f"train-labels-idx1-ubyte{ending}", pack(idx(LABELS)))
    d = data.open(path)
    batch = d.rows(torch.arange(6))
    assert d.spec.kind == "images"
    assert d.spec.shape == (1, 5, 4)
    np.testing.assert_array_equal(((batch["x"][:, 0] + 1) * 127.5).round().numpy(), IMAGES)
    assert d.spec.classes == ("1", "3", "4")
    assert batch["label"].tolist() == [1, 0, 2, 0, 1, 0]


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte.gz"),
        ("t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte"),
        ("Cats-Images-IDX3-UBYTE", "cats-labels-idx1-ubyte"),
        ("cats.idx3", "cats.idx1"),
    ],
)
def test_labels_are_found_by_name(tmp_path: Path, images: str, labels: str) -> None:
    write(tmp_path / images, idx(IMAGES))
    content = idx(LABELS)
    write(tmp_path / labels, gzip.compress(content) if labels.endswith(".gz") else content)
    write(tmp_path / "other-labels-idx1-ubyte", idx(LABELS[:2]))
    assert data.open(tmp_path / images).spec.classes == ("1", "3", "4")


def test_without_labels_there_are_none(tmp_path: Path) -> None:
    path = write(tmp_path / "cats.idx3-ubyte", idx(IMAGES))
    write(tmp_path / "cats.idx3-ubyte.gz", gzip.compress(idx(IMAGES)))
    d = data.open(str(path))
    assert set(d[0]) == {"x"}
    assert d.spec.classes == ()
    assert d.spec.class_weights == ()


def test_a_folder_with_train_and_t10k(tmp_path: Path) -> None:
    folder = tmp_path / "clothes"
    write(folder / "train-images-idx3-ubyte.gz", gzip.compress(idx(IMAGES)))
    write(folder / "train-labels-idx1-ubyte.gz", gzip.compress(idx(LABELS)))
    write(folder / "t10k-images-idx3-ubyte.gz", gzip.compress(idx(IMAGES[:2] // 2)))
    write(folder / "t10k-labels-idx1-ubyte.gz", gzip.compress(idx(LABELS[1:3])))
    write(folder / "._train-images-idx3-ubyte.gz", b"what a file manager leaves behind")
    d = data.open(folder)
    assert d.name == "clothes"
    assert len(d) == 6
    assert d.held_out is not None
    assert len(d.held_out) == 2
    # Held-out label 1 is class 0 of the training part's 1, 3, 4, though it has only 1 and 4 itself.
    assert d.held_out.rows(torch.arange(2))["label"].tolist() == [0, 2]
    np.testing.assert_array_equal(((d.held_out[1]["x"][0] + 1) * 127.5).round().numpy(), IMAGES[1] // 2)


def test_a_folder_with_one_set_is_split_by_rows(tmp_path: Path) -> None:
    many = np.zeros((300, 2, 2), dtype=np.uint8)
    write(tmp_path / "images-idx3-ubyte", idx(many))
    write(tmp_path / "images-idx3-ubyte.gz", gzip.compress(idx(many)))
    d = data.open(tmp_path)
    assert len(d) == 200
    assert d.held_out is not None
    assert len(d.held_out) == 100


def test_idx_points_of_every_type(tmp_path: Path) -> None:
    for kind in ("u1", "i1", "i2", "i4", "f4", "f8"):
        array = np.arange(-6, 6).reshape(4, 3).astype(kind)
        d = data.open(write(tmp_path / f"{kind}.idx", idx(array)))
        np.testing.assert_array_equal(d.rows(torch.arange(4))["x"].numpy(), array.astype(np.float32))


def test_a_cut_off_idx_file_says_how_much_is_there(tmp_path: Path) -> None:
    path = write(tmp_path / "images-idx3-ubyte", idx(IMAGES)[:-1])
    assert "119 of 120 bytes" in refusal(path, "E-DATA-03").what
    refusal(write(path, idx(IMAGES) + b"\0"), "E-DATA-03")
    refusal(write(path, idx(IMAGES)[:9]), "E-DATA-03")
    refusal(write(path, b""), "E-DATA-03")
    packed = gzip.compress(idx(IMAGES))
    for cut in (3, 12, len(packed) // 2, len(packed) - 1):
        refusal(write(tmp_path / "images-idx3-ubyte.gz", packed[:cut]), "E-DATA-03")


def test_labels_must_be_as_many_as_images(tmp_path: Path) -> None:
    path = write(tmp_path / "images-idx3-ubyte", idx(IMAGES))
    write(tmp_path / "labels-idx1-ubyte", idx(LABELS[:5]))
    assert "(5,)" in refusal(path, "E-DATA-08").what
    write(tmp_path / "labels-idx1-ubyte", idx(LABELS)[:-2])
    with pytest.raises(GanworksError, match="labels-idx1-ubyte cannot be read"):
        data.open(path)


def test_a_labels_file_is_no_data_set(tmp_path: Path) -> None:
    assert "labels" in refusal(write(tmp_path / "train-labels-idx1-ubyte", idx(LABELS)), "E-DATA-03").what


def test_small_files_that_announce_gigabytes_are_refused_unread(tmp_path: Path) -> None:
    head = struct.pack(">HBB4I", 0, 8, 4, 1 << 15, 3, 1 << 12, 1 << 12)
    refusal(write(tmp_path / "images.idx", gzip.compress(head + bytes(1000))), "E-DATA-03")
    huge = npy(np.zeros((2, 2))).replace(b"(2, 2), }              ", b"(1099511627776, 2), }  ")
    refusal(write(tmp_path / "huge.npy", huge), "E-DATA-03")


def test_an_npz_bomb_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganworks.data.idx._LARGE", 1 << 20)
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros((1 << 20, 4), dtype=np.float32))
    assert "announce" in refusal(tmp_path / "bomb.npz", "E-DATA-03").what


# .npy and .npz


def test_npy_points_and_pictures(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.asfortranarray(np.arange(12).reshape(4, 3).astype(">f8")))
    points = data.open(tmp_path / "p.npy")
    assert points.name == "p"
    assert points[1]["x"].tolist() == [3, 4, 5]
    np.save(tmp_path / "q.npy", IMAGES)
    assert data.open(tmp_path / "q.npy").spec.shape == (1, 5, 4)


@pytest.mark.parametrize("key", ["x", "images", "data", "arr_0"])
@pytest.mark.parametrize("label", ["label", "labels", "y", None])
def test_npz_keys(tmp_path: Path, key: str, label: str | None) -> None:
    np.savez(tmp_path / "d.npz", **{key: IMAGES, **({label: LABELS} if label else {})})
    d = data.open(tmp_path / "d.npz")
    assert d.spec.classes == (("1", "3", "4") if label else ())
    assert d.note == []


def test_npz_arrays_that_are_not_used_are_named_and_not_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=IMAGES, extra=np.array([None], dtype=object))
    assert data.open(tmp_path / "d.npz").note == ["not used: extra"]
    np.savez(tmp_path / "e.npz", pictures=IMAGES)
    assert "pictures" in refusal(tmp_path / "e.npz", "E-DATA-02").what


class Trap:
    """Unpickling it leaves a mark."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(Path(os.environ["PYTEST_TRAP"])),)


def test_pickles_are_refused_and_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "mark"
    monkeypatch.setenv("PYTEST_TRAP", str(mark))
    trapped = np.array([Trap(), Trap()], dtype=object)
    refusal(write(tmp_path / "a.npy", npy(trapped, allow_pickle=True)), "E-DATA-04")
    np.savez(tmp_path / "a.npz", x=trapped)
    refusal(tmp_path / "a.npz", "E-DATA-04")
    np.savez(tmp_path / "b.npz", x=IMAGES, y=trapped)
    refusal(tmp_path / "b.npz", "E-DATA-04")
    refusal(write(tmp_path / "b.npy", pickle.dumps(Trap())), "E-DATA-03")
    assert not mark.exists()


def test_empty_and_broken_arrays(tmp_path: Path) -> None:
    refusal(write(tmp_path / "none.npy", npy(np.zeros((0, 2)))), "E-DATA-09")
    refusal(write(tmp_path / "one.npy", npy(np.zeros((1, 2)))), "E-DATA-09")
    refusal(write(tmp_path / "nan.npy", npy(np.array([[1, np.nan], [2, 3]]))), "E-DATA-05")
    formula = npy(np.zeros((4, 2))).replace(b"(4, 2), }   ", b"(2 << 1, 2)}")
    refusal(write(tmp_path / "formula.npy", formula), "E-DATA-03")
    refusal(write(tmp_path / "cut.npy", npy(np.zeros((4, 2)))[:-1]), "E-DATA-03")
    refusal(write(tmp_path / "empty.npy", b""), "E-DATA-03")
    refusal(write(tmp_path / "empty.npz", b""), "E-DATA-03")
    refusal(write(tmp_path / "text.npz", b"x,y\n1,2\n"), "E-DATA-03")
    refusal(write(tmp_path / "zip.npy", zipped({"x.npy": npy(IMAGES)})), "E-DATA-03")
    refusal(write(tmp_path / "text-inside.npz", zipped({"x.npy": b"1, 2"})), "E-DATA-02")
    refusal(write(tmp_path / "no-arrays.npz", zipped({})), "E-DATA-02")


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore")  # NumPy warns of some headers before it refuses them
def test_mutated_files_end_in_our_errors_or_in_data(tmp_path: Path) -> None:
    chance = random.Random(0)
    originals = {
        "a.npy": npy(IMAGES),
        "b.npy": npy(np.linspace(0, 1, 12).reshape(4, 3)),
        "c.npz": zipped({"x.npy": npy(IMAGES), "y.npy": npy(LABELS)}),
        "d-idx3-ubyte": idx(IMAGES),
        "e-idx3-ubyte.gz": gzip.compress(idx(IMAGES)),
    }
    refused = 0
    for turn in range(500):
        name, content = chance.choice(list(originals.items()))
        broken = bytearray(content)
        for _ in range(chance.choice([1, 1, 2, 8])):
            broken[chance.randrange(min(len(broken), chance.choice([8, 128, 4096])))] = chance.randrange(256)
        path = write(tmp_path / str(turn % 2) / name, bytes(broken[: chance.choice([None, None, len(broken) // 2])]))
        try:
            data.open(path)
        except GanworksError as problem:
            assert problem.exit_code == 3  # noqa: PT017
            refused += 1
    assert refused > 100


# Names and paths


@pytest.mark.parametrize("path", ["nothing/here", "here.npy", "./ring", "~/nothing-of-this-name/x", "photos.zip"])
def test_a_path_that_is_not_there(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refusal(path, "E-DATA-01")
    with pytest.raises(GanworksError) as caught:
        data.open(Path("ring"))
    assert caught.value.code == "E-DATA-01"


@pytest.mark.parametrize(
    ("name", "help"),
    [
        ("rign", "ring"),
        ("Digits", "digits"),
        ("digit", "digits"),
        ("swiss-roll", "swissroll"),
        ("digits:10", "digits:0 to digits:9"),
        ("digits:", "digits:0 to digits:9"),
        ("quantum", "built in: ring, grid, swissroll, bimodal, digits"),
        ("", "built in"),
        ("a\0b", "built in"),
        ("x" * 5000, "built in"),
    ],
)
def test_a_name_that_is_not_known(name: str, help: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        data.open(name)
    assert caught.value.code == "E-NAME-02"
    assert caught.value.exit_code == 2
    assert help in str(caught.value)


def test_what_has_no_reader(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert refusal(empty, "E-DATA-14").details == ("it is empty",)
    write(tmp_path / "photos" / "a.png", b"\x89PNG")
    assert "a.png" in str(refusal(tmp_path / "photos", "E-DATA-12"))
    assert "'.pdf' files" in refusal(write(tmp_path / "t.pdf", b"%PDF"), "E-DATA-02").what
    assert "'.gz' files" in refusal(write(tmp_path / "t.csv.gz", gzip.compress(b"a,b\n1,2\n")), "E-DATA-02").what
    refusal(write(tmp_path / "noname", b"hello"), "E-DATA-02")
    refusal("/dev/null", "E-DATA-02")
    os.mkfifo(tmp_path / "fifo.npy")
    refusal(tmp_path / "fifo.npy", "E-DATA-02")  # and does not wait for a writer
    refusal(tmp_path, "E-DATA-12")


def test_several_sets_in_a_folder_are_named(tmp_path: Path) -> None:
    for name in ("letters-train-images-idx3-ubyte", "letters-test-images-idx3-ubyte", "digits-train-images-idx3-ubyte"):
        write(tmp_path / name, idx(IMAGES))
    assert "digits-train-images-idx3-ubyte" in str(refusal(tmp_path, "E-DATA-02"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = write(tmp_path / "secret.npy", npy(IMAGES))
    path.chmod(0)
    assert "Permission denied" in refusal(path, "E-DATA-03").what


@pytest.mark.parametrize("name", ["mit leer zeichen.npy", "«quotes»'\".npy", "🎲.npy", "new\nline.npy", "-n.npy"])
def test_odd_file_names(tmp_path: Path, name: str) -> None:
    assert len(data.open(write(tmp_path / name, npy(IMAGES)))) == 6
