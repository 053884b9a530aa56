"""What a translator makes of tensors and of picture files: names, sizes, seams, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganworks import GAN
from ganworks.cli.app import main
from ganworks.errors import DataError, UsageError
from ganworks.use import translate, translated

SMALL = {"generator.width": 4, "discriminator.width": 4, "batch": 4}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of many forms and sizes; in one folder, in pairs, and in domains."""
    root = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)

    def draw(name: str, width: int, height: int, channels: int = 3) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (height, width, channels), np.uint8)
        Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(path)

    draw("mixed/one.png", 31, 17)
    draw("mixed/two.jpg", 40, 24)
    draw("mixed/below/three.webp", 16, 50, 4)
    draw("mixed/grey.bmp", 20, 20, 1)
    draw("mixed/still.gif", 12, 9, 1)
    for number in range(6):
        draw(f"pairs/source/{number}.png", 16, 16)
        draw(f"pairs/target/{number}.png", 16, 16)
        draw(f"domains/day/{number}.png", 16, 16)
        draw(f"domains/night/{number}.png", 16, 16)
    return root


@pytest.fixture(scope="module")
def models(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of each translator, hardly trained."""
    root = tmp_path_factory.mktemp("models")
    for name, data in (("pix2pix", "pairs"), ("cyclegan", "domains"), ("stargan", "domains")):
        gan = GAN(name, **SMALL).start(folder / data, steps=10)
        gan.round()
        gan.save(root / name)
    return root


def pictures(count: int, height: int, width: int) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize(("name", "to"), [("pix2pix", None), ("cyclegan", "night"), ("stargan", 0)])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (37, 21), (5, 64)])
def test_tensors_of_any_size_keep_it(models, name, to, height, width):
    gan = GAN.load(models / name)
    x = pictures(3, height, width)
    made = gan.translate(x, to)
    assert made.shape == x.shape
    assert made.abs().max() <= 1
    assert torch.equal(gan.translate(x, to), made)
    assert torch.equal(gan.translate(x[1:2], to), made[1:2]), "alone a picture becomes another one"


def test_a_seed_is_that_of_the_noise(models):
    x = pictures(2, 16, 16)
    gan, still = GAN.load(models / "pix2pix"), GAN.load(models / "cyclegan")
    assert not torch.equal(gan.translate(x, seed=1), gan.translate(x, seed=2))
    assert torch.equal(still.translate(x, "day", seed=1), still.translate(x, "day", seed=2))


def test_domains_by_name_and_by_number_lead_to_different_places(models):
    x = pictures(2, 16, 16)
    for name in ("cyclegan", "stargan"):
        gan = GAN.load(models / name)
        assert torch.equal(gan.translate(x, "night"), gan.translate(x, 1))
        assert not torch.equal(gan.translate(x, "day"), gan.translate(x, "night"))


@pytest.mark.parametrize(
    ("name", "to", "code"),
    [
        ("pix2pix", "night", "E-SET-02"),
        ("cyclegan", None, "E-USE-01"),
        ("cyclegan", "dusk", "E-NAME-07"),
        ("stargan", 2, "E-NAME-07"),
        ("stargan", -1, "E-NAME-07"),
    ],
)
def test_a_domain_that_is_not_there_is_refused(models, name, to, code):
    with pytest.raises(UsageError, match=code):
        GAN.load(models / name).translate(pictures(1, 16, 16), to)


def test_samples_of_another_form_are_refused(models):
    gan = GAN.load(models / "pix2pix")
    for wrong in (torch.zeros(1, 1, 16, 16), torch.zeros(3, 16, 16), torch.zeros(4, 3)):
        with pytest.raises(UsageError, match="E-SHAPE-01"):
            gan.translate(wrong)
    assert len(gan.translate(torch.zeros(0, 3, 16, 16))) == 0
    with pytest.raises(UsageError, match="does not translate"):
        GAN("gan", **SMALL).start("ring", steps=5).translate(torch.zeros(1, 2))


def test_tiles_that_fade_into_each_other_are_what_the_whole_is():
    """A local map is the same in tiles, to rounding: no seam, no shift, no pixel forgotten or counted twice."""
    kernel = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))

    def make(x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv2d(x, kernel, padding=2)

    for height, width in ((64, 64), (65, 200), (40, 333), (333, 65)):
        x = pictures(1, height, width)
        whole, tiled = make(x), translate.tiled(make, x, seed=0, side=64, overlap=32)
        # The edges of a tile see zeros for their neighbours; where tiles meet these have little weight.
        inner = (whole - tiled)[:, :, 2:-2, 2:-2].abs()
        assert inner.mean() < 0.01 * whole.abs().mean()
        assert torch.allclose(translate.tiled(lambda part: part, x, 0, side=64, overlap=32), x, atol=1e-6)


def test_tiles_of_different_brightness_leave_no_step():
    """Worst case: each tile comes out in a brightness of its own. From pixel to pixel that may not show."""
    count = iter(range(100))

    def make(x: torch.Tensor) -> torch.Tensor:
        return torch.full_like(x, float(next(count) % 2))

    made = translate.tiled(make, torch.zeros(1, 1, 64, 400), seed=0, side=64, overlap=32)
    assert made.max() > 0.9
    assert (made.diff(dim=3).abs() < 1.5 / 32).all()


def test_large_pictures_are_translated_in_tiles(models, monkeypatch):
    gan = GAN.load(models / "cyclegan")
    x = pictures(1, 100, 90)
    whole = gan.translate(x, "day")
    monkeypatch.setattr(translate, "WHOLE", 64 * 64)
    monkeypatch.setattr(translate, "TILE", 64)
    assert gan.translate(x, "day").shape == whole.shape


def test_files_keep_names_forms_and_sizes(models, folder, tmp_path, capsys):
    assert (
        main(["translate", str(models / "pix2pix"), str(folder / "mixed"), "--out", str(tmp_path / "out"), "--json"])
        == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert (told["pictures"], told["bad"]) == (5, [])
    made = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert made == {"one.png", "two.jpg", "below/three.webp", "grey.bmp", "still.png", "sheet.png"}
    for name, size, form in (
        ("one.png", (31, 17), "PNG"),
        ("two.jpg", (40, 24), "JPEG"),
        ("below/three.webp", (16, 50), "WEBP"),
        ("still.png", (12, 9), "PNG"),
    ):
        with Image.open(tmp_path / "out" / name) as picture:
            assert (picture.size, picture.format, picture.mode) == (size, form, "RGB")


def test_a_file_is_what_python_makes_of_it(models, folder, tmp_path):
    translated.write(GAN.load(models / "pix2pix")._model.still, folder / "mixed" / "one.png", tmp_path / "out", seed=3)
    pixels = torch.from_numpy(np.array(Image.open(folder / "mixed" / "one.png"))).permute(2, 0, 1)[None]
    made = GAN.load(models / "pix2pix").translate(pixels / 127.5 - 1, seed=3)
    written = np.asarray(Image.open(tmp_path / "out" / "one.png")).transpose(2, 0, 1)
    assert np.abs(written - ((made[0].numpy() + 1) * 127.5)).max() <= 0.51


def test_of_pairs_the_sources_are_translated_and_targets_shown(models, folder, tmp_path):
    found = translated.write(GAN.load(models / "pix2pix")._model.still, folder / "pairs", tmp_path / "out")
    assert found.pictures == 6
    assert sorted(path.name for path in (tmp_path / "out" / "source").iterdir()) == [f"{n}.png" for n in range(6)]
    assert not (tmp_path / "out" / "target").exists()
    three, two = np.asarray(Image.open(tmp_path / "out" / "sheet.png")), tmp_path / "flat"
    translated.write(GAN.load(models / "pix2pix")._model.still, folder / "domains", two)
    assert three.shape[1] > np.asarray(Image.open(two / "sheet.png")).shape[1]


def test_of_domains_those_of_others_are_translated(models, folder, tmp_path, capsys):
    words = [
        "translate",
        str(models / "cyclegan"),
        str(folder / "domains"),
        "--to",
        "night",
        "--out",
        str(tmp_path / "o"),
    ]
    assert main(words) == 0
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == ["day", "sheet.png"]
    assert "6 pictures are of night already, and left out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("model", "words", "code"),
    [
        ("cyclegan", ["mixed", "--to", "dusk"], 2),
        ("cyclegan", ["mixed"], 2),
        ("pix2pix", ["mixed", "--to", "night"], 2),
        ("pix2pix", ["nowhere"], 3),
        ("pix2pix", ["uneven"], 3),
        ("pix2pix", ["empty"], 3),
        ("pix2pix", ["broken"], 3),
        ("nothing", ["mixed"], 2),
    ],
)
def test_what_cannot_be_done_leaves_nothing(models, folder, tmp_path, monkeypatch, model, words, code):
    for name in ("source/1", "source/2", "target/1", "target/3"):
        (folder / "uneven" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16)).save(folder / "uneven" / f"{name}.png")
    (folder / "empty").mkdir(exist_ok=True)
    (folder / "broken").mkdir(exist_ok=True)
    Image.new("RGB", (16, 16)).save(folder / "broken" / "a.png")
    (folder / "broken" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing more")
    monkeypatch.chdir(tmp_path)
    picture = str(folder / words[0])
    assert main(["translate", str(models / model), picture, *words[1:], "--out", "out"]) == code
    assert list(tmp_path.iterdir()) == []


def test_broken_pictures_can_be_skipped_and_are_named(models, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Image.new("RGB", (16, 16)).save("in/a.png")
    Path("in/b.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing more")
    assert main(["translate", str(models / "pix2pix"), "in", "--out", "out", "--on-bad", "skip", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["pictures"] == 1
    assert [bad["file"] for bad in told["bad"]] == ["b.png"]


def test_pictures_are_written_under_names_of_their_own(models, tmp_path):
    for name in ("same.gif", "same.ppm", "sheet.png"):
        Image.new("RGB", (16, 16)).save(tmp_path / name)
    found = translated.write(GAN.load(models / "pix2pix")._model.still, tmp_path, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["same.png", "same.ppm.png", "sheet.png"]
    assert any("no sheet" in note for note in found.notes)


def test_an_archive_is_as_good_as_a_folder(models, tmp_path):
    import zipfile

    Image.new("RGB", (18, 16)).save(tmp_path / "a.png")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(tmp_path / "a.png", "below/a.png")
    with pytest.raises(DataError):
        translated.write(GAN.load(models / "pix2pix")._model.still, tmp_path / "none.zip", tmp_path / "out")
    assert (
        translated.write(GAN.load(models / "pix2pix")._model.still, tmp_path / "all.zip", tmp_path / "out").pictures
        == 1
    )
    assert (tmp_path / "out" / "below" / "a.png").is_file()
