"""Samples on disk."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganworks.data.spec import DataSpec
from ganworks.errors import UsageError
from ganworks.use.sample import check_out, label_index, write


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_points_are_one_array_of_float32(tmp_path: Path) -> None:
    points = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    write(points, tmp_path / "out")
    assert names(tmp_path / "out") == ["samples.npy"]
    found = np.load(tmp_path / "out" / "samples.npy", allow_pickle=False)
    assert found.dtype == np.float32
    assert np.array_equal(found, points.float().numpy())


def test_images_are_one_png_each_and_a_sheet(tmp_path: Path) -> None:
    images = torch.linspace(-1, 1, 3 * 3 * 4 * 5).view(3, 3, 4, 5)
    write(images, tmp_path / "out")
    assert names(tmp_path / "out") == ["000000.png", "000001.png", "000002.png", "sheet.png"]
    with Image.open(tmp_path / "out" / "000001.png") as picture:
        back = torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 127.5 - 1
    assert torch.allclose(back, images[1], atol=1 / 255 + 1e-6)


def test_the_sheet_holds_the_first_64(tmp_path: Path) -> None:
    write(torch.zeros(70, 1, 2, 2), tmp_path / "out")
    with Image.open(tmp_path / "out" / "sheet.png") as picture:
        assert picture.size == (8 * 4 + 2, 8 * 4 + 2)


def test_npz_keeps_the_values(tmp_path: Path) -> None:
    images = torch.linspace(-1, 1, 2 * 16).view(2, 1, 4, 4)
    write(images, tmp_path / "out", "npz")
    assert names(tmp_path / "out") == ["samples.npz"]
    with np.load(tmp_path / "out" / "samples.npz", allow_pickle=False) as archive:
        assert np.array_equal(archive["samples"], images.numpy())


def test_labels_are_written_beside_the_samples(tmp_path: Path) -> None:
    labels = ["a cat", 'a "big", old dog', "ñandú"]
    write(torch.zeros(3, 1, 2, 2), tmp_path / "files", labels=labels)
    with (tmp_path / "files" / "labels.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["label"] for line in lines] == labels
    assert all((tmp_path / "files" / f"{line['sample']}.png").exists() for line in lines)
    write(torch.zeros(3, 2), tmp_path / "points", labels=labels)
    assert names(tmp_path / "points") == ["labels.csv", "samples.npy"]
    write(torch.zeros(3, 2), tmp_path / "npz", "npz", labels=labels)
    with np.load(tmp_path / "npz" / "samples.npz", allow_pickle=False) as archive:
        assert archive["label"].tolist() == labels


def test_an_empty_folder_is_taken_and_its_parents_are_made(tmp_path: Path) -> None:
    write(torch.zeros(1, 2), tmp_path)
    assert names(tmp_path) == ["samples.npy"]
    write(torch.zeros(1, 2), tmp_path / "a" / "b")
    assert names(tmp_path / "a" / "b") == ["samples.npy"]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path, tmp_path / "file"):
        with pytest.raises(UsageError, match="E-USE-03"):
            check_out(place)
        with pytest.raises(UsageError, match="E-USE-03"):
            write(torch.zeros(1, 2), place)
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


def test_a_failure_on_the_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []

    def full(self: Path, data: object) -> int:
        written.append(self)
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        return 0

    monkeypatch.setattr(Path, "write_bytes", full)
    monkeypatch.setattr(Path, "replace", lambda self, target: target)
    with pytest.raises(OSError, match="No space left"):
        write(torch.zeros(5, 1, 2, 2), tmp_path / "out")
    assert len(written) == 3  # it failed where it was meant to
    assert names(tmp_path) == []


SPEC = DataSpec(kind="images", shape=(1, 4, 4), count=10, classes=("7", "seven", "0"))


@pytest.mark.parametrize(("label", "index"), [("seven", 1), ("7", 0), ("0", 2), ("1", 1)])
def test_a_label_is_a_name_first_and_a_number_second(label: str, index: int) -> None:
    assert label_index(SPEC, label) == index


def test_unknown_labels_get_the_nearest() -> None:
    with pytest.raises(UsageError, match="names close to it: seven"):
        label_index(SPEC, "sevne")


def test_a_label_without_classes() -> None:
    with pytest.raises(UsageError, match="--label needs a model of data with classes"):
        label_index(DataSpec(kind="points", shape=(2,), count=10), "1")
