"""Translators from the command: which is chosen, grids, scores, resumes, other sizes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganworks import GAN
from ganworks.cli.app import main
from ganworks.evaluation import data_for
from ganworks.model import load
from ganworks.session import Order, resume, train
from ganworks.training.average import CHUNK

SMALL = {"generator.width": 4, "discriminator.width": 4, "batch": 4, "checkpoint.every": 2, "sample.every": 3}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photograph-like noise of 40 px, as pairs and as domains."""
    root = tmp_path_factory.mktemp("translators")
    random = np.random.default_rng(0)
    for folder, names in (("pairs", ("source", "target")), ("two", ("a", "b")), ("three", ("dawn", "day", "night"))):
        for name in names:
            (root / folder / name).mkdir(parents=True)
            for number in range(8):
                coarse = random.integers(0, 256, (5, 5, 3), np.uint8)
                Image.fromarray(coarse).resize((40, 40)).save(root / folder / name / f"{number}.png")
    return root


DATA = {"pix2pix": "pairs", "cyclegan": "two", "stargan": "three"}
each = pytest.mark.parametrize("system", list(DATA))


def order(pictures: Path, system: str, run: Path, **more) -> Order:
    return Order(
        data=pictures / DATA[system], system=system, steps=6, seed=1, run=run, size=16, overrides=SMALL, **more
    )


@pytest.mark.parametrize(("folder", "system"), [("pairs", "pix2pix"), ("two", "cyclegan")])
def test_the_folder_chooses_the_system(pictures, tmp_path, monkeypatch, capsys, folder, system):
    monkeypatch.chdir(tmp_path)
    assert main(["train", str(pictures / folder), "--size", "16", "--steps", "2", "--set", "generator.width=4"]) == 0
    said = capsys.readouterr()
    assert f"{system} on {folder}" in said.err + said.out
    assert "ganworks translate" in said.out


def test_pictures_alone_become_pairs_where_sources_can_be_made(pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["train", str(pictures / "three"), "--size", "16", "--steps", "2", "--set", "derive=edges"]
    assert main([*words, "generator.width=4", "--run", "r", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["step"] == 2
    assert GAN.load("r").spec.derived == "edges"
    assert main(["eval", "r", "--json"]) == 0
    assert main(["resume", "r", "--steps", "3", "--json"]) == 0


@each
def test_samples_in_parts_are_those_of_one_draw(pictures, tmp_path, monkeypatch, system):
    train(order(pictures, system, tmp_path / "run"))
    model = load(tmp_path / "run")
    model.rows = data_for(model.system.data, str(pictures / DATA[system]))
    monkeypatch.setattr("ganworks.model.part_of", lambda shape: CHUNK)
    count = 2 * CHUNK + 5
    parts = list(model.parts(count, seed=3))
    assert [len(part) for part in parts] == [CHUNK, CHUNK, 5]
    assert torch.equal(torch.cat(parts), model.draw(count, 3)["x"])


@each
def test_an_interrupted_run_goes_on_to_the_same_bits(pictures, tmp_path, system):
    def stop(record):
        if record.get("step") == 3:
            (tmp_path / "b" / "request").write_text("stop")

    train(order(pictures, system, tmp_path / "a"))
    assert train(order(pictures, system, tmp_path / "b"), [stop]).stopped == "request"
    resume(tmp_path / "b")
    for name in ("checkpoints/000006/state.safetensors", "samples/000006.png", "config.toml"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


@each
def test_grids_show_what_was_given_and_what_was_made(pictures, tmp_path, system):
    found = train(order(pictures, system, tmp_path / "run"))
    grid = np.asarray(Image.open(tmp_path / "run" / "samples" / "000006.png"))
    columns = 2 * {"pix2pix": 3, "cyclegan": 3, "stargan": 4}[system]
    assert grid.shape[1] == columns * 18 + 2
    assert {score.metric for score in found.scores} >= {"kernel_distance", "recall"}


@each
def test_one_settings_file_serves_every_size(pictures, tmp_path, monkeypatch, system):
    """Who has a GPU changes the size, and nothing else: it builds, trains a step and translates."""
    monkeypatch.chdir(tmp_path)
    train(order(pictures, system, tmp_path / "small"))
    words = [
        "train",
        str(pictures / DATA[system]),
        "--config",
        "small/config.toml",
        "--set",
        "size=256",
        "--steps",
        "1",
    ]
    assert main([*words, "--run", "large", "--set", "batch=1"]) == 0
    assert GAN.load("large").spec.shape == (3, 256, 256)
    picture = pictures / "three" / "day" / "0.png"
    to = [] if system == "pix2pix" else ["--to", "1"]
    assert main(["translate", "large", str(picture), "--out", "made", *to]) == 0
    with Image.open("made/0.png") as made:
        assert made.size == (40, 40)


@each
def test_a_model_says_how_it_is_used(pictures, tmp_path, system):
    gan = GAN(system, **SMALL_PLAYERS).start(pictures / DATA[system], steps=3)
    card = (gan.save(tmp_path / "model") / "README.md").read_text()
    assert "ganworks translate FOLDER PICTURES" in card
    assert ("--to" in card) == (system != "pix2pix")


SMALL_PLAYERS = {"generator.width": 4, "discriminator.width": 4}
