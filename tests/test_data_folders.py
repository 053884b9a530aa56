"""Folders of pictures as data: what is chosen, what is held out, and that reading ahead changes no bit."""

import gc
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganworks import data
from ganworks.data import folders
from ganworks.data.folders import chosen_size
from ganworks.errors import DataError, UsageError
from ganworks.gan import GAN
from ganworks.reading.readers import Work


def picture(index: int, side: int = 32, grey: bool = False) -> Image.Image:
    """A picture that says which one it is: its mean is its number."""
    pixels = np.random.default_rng(index).integers(0, 256, (side, side) if grey else (side, side, 3)).astype(np.uint8)
    pixels[:8] = index % 256
    return Image.fromarray(pixels)


def folder(path: Path, count: int = 12, **options) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        picture(index, **options).save(path / f"{index:04d}.png")
    return path


def test_a_flat_folder_is_pictures_in_the_order_of_their_names(tmp_path: Path) -> None:
    found = data.open(folder(tmp_path / "photos"))
    assert (found.name, found.spec.kind, found.spec.shape, len(found)) == ("photos", "images", (3, 32, 32), 12)
    want = np.stack([np.asarray(picture(index)) for index in range(12)]).transpose(0, 3, 1, 2)
    assert torch.equal(found.rows(torch.arange(12))["x"], torch.from_numpy(want).float().div(127.5).sub(1))


def test_grey_pictures_stay_grey_and_one_in_colour_makes_all_colour(tmp_path: Path) -> None:
    path = folder(tmp_path / "grey", grey=True)
    assert data.open(path).spec.shape == (1, 32, 32)
    picture(1).save(path / "one.png")
    assert data.open(path).spec.shape == (3, 32, 32)
    assert data.open(path, channels=1).spec.shape == (1, 32, 32)


def test_folders_of_classes_are_labels(tmp_path: Path) -> None:
    for name, count in (("cats", 3), ("dogs", 5)):
        folder(tmp_path / "pets" / name, count)
    found = data.open(tmp_path / "pets")
    assert found.spec.classes == ("cats", "dogs")
    assert found.rows(torch.arange(8))["label"].tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    assert found.spec.class_weights == (0.375, 0.625)


@pytest.mark.parametrize(
    ("sizes", "side"),
    [
        ([(28, 28)], 28),
        ([(64, 64)], 64),
        ([(66, 66)], 64),
        ([(30, 30)], 32),
        ([(128, 128)], 64),
        ([(48, 48)], 48),
        ([(28, 28)] * 9 + [(115, 115)], 28),
        ([(28, 28)] * 8 + [(115, 115)] * 2, 32),
        ([(48, 90), (60, 160), (120, 100)], 64),
        ([(20, 500)], 16),
        ([(9, 9)], 16),
        ([(640, 480), (40, 40), (30, 30)], 32),
    ],
)
def test_the_size_that_is_chosen(sizes: list[tuple[int, int]], side: int) -> None:
    assert chosen_size(np.array(sizes)) == side


def test_a_size_that_is_asked_for(tmp_path: Path) -> None:
    path = folder(tmp_path / "photos")
    assert data.open(path, size=16).spec.shape == (3, 16, 16)
    assert data.open(path, size=(16, 24)).spec.shape == (3, 16, 24)


def test_what_is_not_in_files_must_have_the_size_already() -> None:
    assert data.open("digits", size=28).spec.shape == (1, 28, 28)
    with pytest.raises(DataError, match=r"E-DATA-13.*28 x 28.*32 x 32"):
        data.open("digits", size=32)
    with pytest.raises(DataError, match=r"E-DATA-13.*colour"):
        data.open("digits", channels=3)
    with pytest.raises(DataError, match=r"E-DATA-13.*mirror"):
        data.open("ring", mirror=True)


def test_mirrored_pictures_are_there_beside_the_others(tmp_path: Path) -> None:
    plain, both = data.open(folder(tmp_path / "photos")), data.open(tmp_path / "photos", mirror=True)
    assert len(both) == both.spec.count == 24
    rows = both.rows(torch.tensor([3, 15, 3 + 12]))["x"]
    assert torch.equal(rows[0], plain[3]["x"])
    assert torch.equal(rows[1], plain[3]["x"].flip(-1))
    assert torch.equal(rows[1], rows[2])


def test_the_held_out_pictures_follow_their_names(tmp_path: Path) -> None:
    path = folder(tmp_path / "many", 220, side=8)
    before = data.open(path, size=16)
    assert before.held_out is not None
    assert (len(before), len(before.held_out)) == (120, 100)
    held = {float(each["x"][:, :4].mean()) for each in before.held_out}
    picture(999, 8).save(path / "0000-new.png")  # every later row has another number now
    after = data.open(path, size=16)
    assert after.held_out is not None
    assert len(held & {float(each["x"][:, :4].mean()) for each in after.held_out}) >= 99


def test_a_bad_file_stops_or_is_left_out(tmp_path: Path) -> None:
    path = folder(tmp_path / "photos")
    (path / "0003.png").write_bytes((path / "0003.png").read_bytes()[:200])
    (path / "notes.png").write_text("no picture")
    with pytest.raises(DataError, match=r"2 of 13 files cannot be read") as caught:
        data.open(path)
    assert [line.split()[0] for line in caught.value.details] == ["0003.png", "notes.png"]
    found = data.open(path, on_bad="skip")
    assert len(found) == 11
    assert any("2 files cannot be read" in line for line in found.note)


def test_too_few_pictures_and_none(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        data.open(folder(tmp_path / "none", 0))
    with pytest.raises(DataError, match="E-DATA-09"):
        data.open(folder(tmp_path / "one", 1))
    assert len(data.open(folder(tmp_path / "two", 2))) == 2


@pytest.mark.parametrize("typed", ["photo", "phtoos/", "nowhere/photos"])
def test_a_mistyped_path_is_answered_with_its_neighbour(
    typed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(tmp_path / "photos", 2)
    monkeypatch.chdir(tmp_path)
    with pytest.raises((DataError, UsageError)) as caught:
        data.open(typed)
    assert any("photos" in line for line in caught.value.details) == (typed != "nowhere/photos")


def test_the_fingerprint_is_that_of_names_and_bytes(tmp_path: Path) -> None:
    path = folder(tmp_path / "photos")
    first = data.open(path).spec.fingerprint
    assert data.open(path, size=16).spec.fingerprint == first
    (path / "0001.png").rename(path / "0001-.png")
    assert data.open(path).spec.fingerprint != first


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No picture is kept in memory."""
    monkeypatch.setattr(folders, "KEPT", 0)


def test_streamed_pictures_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder(tmp_path / "photos", 230, side=20)
    kept = data.open(path, mirror=True)
    monkeypatch.setattr(folders, "KEPT", 0)
    read = data.open(path, mirror=True)
    assert (kept.streamed, read.streamed) == (False, True)
    assert kept.spec == read.spec
    indices = torch.tensor([5, 0, 259, 5, 130])
    read.expect(indices)
    assert torch.equal(kept.rows(indices)["x"], read.rows(indices)["x"])
    assert kept.held_out is not None
    assert read.held_out is not None
    assert torch.equal(kept.held_out[7]["x"], read.held_out[7]["x"])


def test_training_on_streamed_pictures_gives_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder(tmp_path / "photos")
    settings = {"batch": 4, "generator.width": 4, "discriminator.width": 4}
    states = []
    for bound in (1 << 30, 0):
        monkeypatch.setattr(folders, "KEPT", bound)
        gan = GAN("r3gan", **settings).start(str(path), steps=6)
        for _ in range(6):  # more batches than are read ahead, and into the second epoch
            gan.round()
        states.append(gan.sample(4))
    assert torch.equal(*states)


def test_a_file_that_goes_bad_later_stops_or_gives_way(tmp_path: Path, streamed: None) -> None:
    path = folder(tmp_path / "photos")
    strict, patient = data.open(path), data.open(path, on_bad="skip")
    (path / "0004.png").unlink()
    (path / "0005.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"0004\.png"):
        strict.rows(torch.tensor([1, 4]))
    assert torch.equal(patient[4]["x"], patient[6]["x"])
    for each in path.iterdir():
        each.unlink()
    with pytest.raises(DataError, match="E-DATA-12"):
        patient.rows(torch.tensor([0]))


def test_readers_end_with_the_data(tmp_path: Path, streamed: None) -> None:
    found = data.open(folder(tmp_path / "photos"))
    found.rows(torch.tensor([1]))
    readers = found.columns["x"]._team.readers
    del found
    gc.collect()
    with pytest.raises(RuntimeError, match="closed"):
        readers.start(Work("look"), [])
