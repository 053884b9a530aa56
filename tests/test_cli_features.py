"""`ganworks features`: the file, what is said of it, and what is refused before anything is written."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ganworks import GAN
from ganworks.cli.app import main


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model that has not learnt anything, of labelled pictures in a file."""
    monkeypatch.chdir(tmp_path)
    x = torch.rand(300, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    np.savez("pictures.npz", x=x.numpy(), label=np.arange(300) % 3)
    small = {"generator.width": 8, "discriminator.width": 8, "latent.size": 4}
    GAN("r3gan", **small).start("pictures.npz", steps=1).save("model")
    return "model"


def test_it_writes_what_python_gives(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["features", model, "--out", "f.npz", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    counts = {"rows": 300, "features": 32, "held_out": 100}
    assert said == {"out": "f.npz", "of": "discriminator", **counts, "labels": True, "probes": []}
    with np.load("f.npz", allow_pickle=False) as archive, np.load("pictures.npz") as pictures:
        kept = archive["label"][~archive["held_out"]]
        assert len(kept) == 200
        gan = GAN.load(model)
        x = torch.from_numpy(pictures["x"]) * 2 - 1
        known = gan.features(x).numpy()
        # Every row of the file is the features of one picture, and no picture is there twice.
        nearest = np.abs(archive["features"][:, None] - known[None]).max(2).argmin(1)
        assert sorted(nearest.tolist()) == list(range(300))
        assert (archive["label"] == pictures["label"][nearest]).all()


def test_a_probe_is_told_beside_fresh_weights_and_the_samples(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["features", model, "--out", "f.npz", "--probe", "60"]) == 0
    said = capsys.readouterr().out
    for words in (
        "discriminator, trained",
        "discriminator, fresh weights",
        "the samples themselves",
        "60 labels",
        "100 held",
    ):
        assert words in said
    assert main(["features", model, "--out", "g.npz", "--probe", "60", "--json"]) == 0
    probes = json.loads(capsys.readouterr().out)["probes"]
    assert [each["features"] for each in probes] == [32, 32, 64]
    assert all(each["low"] <= each["accuracy"] <= each["high"] for each in probes)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--of", "encoder"], 2, "r3gan has no encoder"),
        (["--of", "generator"], 2, "r3gan has no encoder"),
        (["--probe", "500"], 2, "not 500"),
        (["--out", "f.csv"], 2, "names an .npz file"),
        (["--data", "ring"], 3, "E-DATA-13"),
        (["--data", "nothing-there"], 2, "E-NAME-02"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    model: str, words: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = [] if "--out" in words else ["--out", "f.npz"]
    before = sorted(Path().iterdir())
    assert main(["features", model, *out, *words]) == code
    assert told in capsys.readouterr().err
    assert sorted(Path().iterdir()) == before


def test_a_file_is_never_replaced(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("f.npz").write_bytes(b"mine")
    assert main(["features", model, "--out", "f.npz"]) == 2
    assert "is there already" in capsys.readouterr().err
    assert Path("f.npz").read_bytes() == b"mine"
