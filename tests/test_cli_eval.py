"""`ganworks eval`: a model, a run or samples against data."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from model_files import SMALL
from PIL import Image

from ganworks import data, evaluation
from ganworks.cli.app import main
from ganworks.cli.eval import metrics_of
from ganworks.errors import UsageError
from ganworks.gan import GAN
from ganworks.session import Order, train

POINTS = np.random.default_rng(0).normal(5.0, 3.0, (400, 2)).astype("float32")
KEYS = ["metric", "feature_space", "value", "low", "high", "level", "samples", "reference_samples", "real"]


@pytest.fixture(scope="module")
def ring_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return GAN("gan", **SMALL).start("ring", steps=10).save(tmp_path_factory.mktemp("ring") / "my-gan")


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a conditional system on digits, after two steps."""
    path = tmp_path_factory.mktemp("digits") / "run"
    train(Order(data="digits", system="conditional", steps=2, run=path, overrides=SMALL))
    return path


def scored(capsys: pytest.CaptureFixture[str], *tokens: object) -> list[dict[str, Any]]:
    assert main(["eval", *map(str, tokens), "--json"]) == 0, capsys.readouterr().err
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["scores"]
    for score in found["scores"]:
        assert list(score) == KEYS
    return found["scores"]


def refused(capsys: pytest.CaptureFixture[str], code: int, *tokens: object) -> str:
    assert main(["eval", *map(str, tokens)]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    assert len(said.err.splitlines()) <= 12
    return said.err


def pictures(folder: Path, count: int = 12, size: int = 28, mode: str = "L") -> Path:
    """PNG files of noise."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(count)
    for index in range(count):
        shape = (size, size) if mode == "L" else (size, size, 3)
        Image.fromarray(random.integers(0, 256, shape).astype("uint8")).save(folder / f"{index:03d}.png")
    return folder


# What can be scored


def test_a_model_against_what_it_was_trained_on_and_its_score_in_python(
    ring_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = scored(capsys, ring_model, "--samples", 500)
    assert [score["metric"] for score in found] == ["modes", "high_quality", "reverse_kl", "std_ratio"]
    assert found == [score.as_dict() for score in GAN.load(ring_model).score("ring", samples=500)]
    assert found == scored(capsys, ring_model, "--against", "ring", "--samples", 500)
    other = [
        scored(capsys, ring_model, "--samples", 50, "--metrics", "frechet_distance", "--seed", n) for n in (0, 0, 1)
    ]
    assert other[0] == other[1] != other[2]


def test_a_run_against_the_held_out_part_beside_as_many_training_samples(
    digits_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = scored(capsys, digits_run, "--samples", 40, "--metrics", "frechet_distance,class_kl")
    assert {score["reference_samples"] for score in found} == {2_000}
    assert {score["samples"] for score in found} == {40}
    assert {score["feature_space"] for score in found} == {"digits"}
    by_name = {score["metric"]: score for score in found}
    assert by_name["frechet_distance"]["value"] > 3 * by_name["frechet_distance"]["real"]


def test_other_data_has_no_floor(ring_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "points.npy", POINTS)
    found = scored(capsys, ring_model, "--against", tmp_path / "points.npy", "--samples", 100)
    assert {score["real"] for score in found} == {None}
    assert {score["reference_samples"] for score in found} == {400}


def test_an_array_of_samples_against_a_known_density(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "samples.npy", data.open("ring").fresh(700, seed=5)["x"].numpy())
    found = {score["metric"]: score for score in scored(capsys, tmp_path / "samples.npy", "--against", "ring")}
    assert found["modes"]["value"] == 8
    assert found["high_quality"]["value"] > 0.95
    assert found["modes"]["samples"] == 700


def test_what_sample_wrote_scores_as_the_model_does(
    digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", str(digits_run), "-n", "60", "--out", str(tmp_path / "samples")]) == 0
    capsys.readouterr()
    wanted = ("--metrics", "frechet_distance,precision", "--samples", 60)
    model = scored(capsys, digits_run, "--against", "digits", *wanted)
    files = scored(capsys, tmp_path / "samples", "--against", "digits", *wanted)
    assert {score["samples"] for score in files} == {60}  # the sheet and the labels are no samples
    assert files[0]["value"] == pytest.approx(model[0]["value"], rel=0.1)  # all of digits, not the held-out part
    assert files[0]["real"] is None


def test_picture_files_are_brought_to_the_shape_of_the_model(
    digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = pictures(tmp_path / "photos", size=40, mode="RGB")
    found = scored(capsys, digits_run, "--against", photos, "--samples", 12, "--space", "pixels")
    assert {score["reference_samples"] for score in found} == {12}


def test_of_two_folders_the_first_decides_and_of_a_folder_and_an_array_the_array(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small, large = pictures(tmp_path / "small", size=16), pictures(tmp_path / "large", size=64, count=11)
    for first, second, side in ((small, large, 16), (large, small, 64)):
        assert evaluation.sides(str(first), str(second)).data.spec.shape == (1, side, side)
    np.save(tmp_path / "array.npy", np.zeros((12, 20, 20), "uint8"))
    opened = evaluation.sides(str(small), str(tmp_path / "array.npy"))
    assert opened.samples is not None
    assert opened.samples.spec.shape == opened.data.spec.shape == (1, 20, 20)
    assert len(scored(capsys, small, "--against", tmp_path / "array.npy", "--space", "pixels")) == 6


def test_data_against_itself_is_its_training_part_against_its_held_out_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "points.npy", POINTS)
    path = tmp_path / "points.npy"
    found = scored(capsys, path, "--against", path)
    assert {(score["samples"], score["reference_samples"]) for score in found} == {(300, 100)}
    for score in found:
        assert score["value"] == pytest.approx(score["real"])
    assert main(["eval", str(path), "--against", str(path)]) == 0
    assert "the samples are the data itself" in capsys.readouterr().err


def test_a_bad_picture_stops_or_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, other = pictures(tmp_path / "photos"), pictures(tmp_path / "others", count=10)
    (folder / "zero.png").write_bytes(b"")
    both = (folder, "--against", other, "--space", "pixels")
    assert "zero.png" in refused(capsys, 3, *both)
    found = scored(capsys, *both, "--on-bad", "skip")
    assert {score["samples"] for score in found} == {12}


def test_a_held_out_set_of_the_run_is_the_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "points.npy", POINTS)
    np.save(tmp_path / "others.npy", POINTS[:37] + 0.01)
    order = Order(data=str(tmp_path / "points.npy"), system="gan", steps=2, run=tmp_path / "run", overrides=SMALL,
                  held_out=str(tmp_path / "others.npy"))  # fmt: skip
    train(order)
    for against in ([], ["--against", tmp_path / "points.npy"]):
        found = scored(capsys, tmp_path / "run", "--samples", 50, *against)
        assert {score["reference_samples"] for score in found} == {37}
        assert {score["real"] is None for score in found} == {False}


# What a person reads


def test_the_table_how_far_it_is_and_where_the_picture_is(
    digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = ("--metrics", "frechet_distance,class_kl")
    assert main(["eval", str(digits_run), "--samples", "40", "--out", str(tmp_path / "out"), *wanted]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0] == "run against digits"
    assert lines[2].split() == ["score", "in", "value", "interval", "real", "data", "samples"]
    assert any(line.startswith("beside real data: ") for line in lines)
    assert lines[-1].endswith(str(tmp_path / "out/sides.png"))
    assert "40 samples tell little" in said.err
    assert "40 samples in 64 dimensions is mostly bias" in said.err
    assert {each.name for each in (tmp_path / "out").iterdir()} == {"scores.json", "sides.png"}
    kept = json.loads((tmp_path / "out/scores.json").read_text())["scores"]
    assert kept == scored(capsys, digits_run, "--samples", 40, *wanted)


def test_the_picture_has_real_on_the_left_and_samples_on_the_right(tmp_path: Path) -> None:
    for name, value in (("white", 255), ("black", 0)):
        (tmp_path / name).mkdir()
        for index in range(9):
            Image.fromarray(np.full((16, 16), value, np.uint8)).save(tmp_path / name / f"{index}.png")
    sides = evaluation.sides(str(tmp_path / "white"), str(tmp_path / "black"))
    found = evaluation.evaluate(sides, evaluation.Wish(space="pixels", metrics=["kernel_distance"]))
    middle = found.picture.shape[1] // 2
    tiles = found.picture[40:]
    assert (tiles[:, :middle] == 0).all(2).mean() > 0.2
    assert (tiles[:, middle + 8 :] == 0).all(2).mean() == 0


def test_points_stand_in_one_frame(ring_model: Path) -> None:
    sides = evaluation.sides(str(ring_model), None)
    found = evaluation.evaluate(sides, evaluation.Wish(samples=100))
    blue = (found.picture[40:, :, 2].astype(int) - found.picture[40:, :, 0]) > 100
    grey = (found.picture[40:] == found.picture[40:, :, :1]).all(2) & (found.picture[40:, :, 0] < 220)
    assert blue.any()
    assert grey.any()


def test_progress_is_told_of_features_and_scores(digits_run: Path) -> None:
    told: list[Any] = []
    sides = evaluation.sides(str(digits_run), None, tell=told.append)
    evaluation.evaluate(sides, evaluation.Wish(samples=70, metrics=["frechet_distance"]), told.append)
    tasks = list(dict.fromkeys(record["task"] for record in told))
    assert tasks == ["features", "scores"]
    assert all(record["done"] <= record["total"] for record in told)


def test_samples_of_a_labelled_model_are_labelled_as_the_data(digits_run: Path) -> None:
    sides = evaluation.sides(str(digits_run), None)
    assert sides.model is not None
    assert torch.equal(torch.cat([*sides.parts(50, seed=3)]), sides.model.draw(50, 3)["x"])


def test_data_that_changed_since_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "points.npy"
    np.save(path, POINTS)
    run = train(Order(data=str(path), system="gan", steps=2, run=tmp_path / "run", overrides=SMALL)).run
    np.save(path, POINTS + 1)
    assert main(["eval", str(run), "--samples", "50"]) == 0
    assert "has changed since run was trained on it" in capsys.readouterr().err
    path.unlink()
    said = refused(capsys, 2, run)
    assert "name data with --against" in said
    assert "points.npy" in said


# What is refused


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (["--metrics", "recal"], "names close to it: recall"),
        (["--metrics", "recall,precison"], "unknown metric 'precison'"),
        (["--metrics", "fid"], "here it is: frechet_distance"),
        (["--metrics", ","], "--metrics names none"),
        (["--level", "95"], "--level lies between 0 and 1"),
        (["--level", "nan"], "--level lies between 0 and 1"),
        (["--samples", "0"], "--samples"),
        (["--on-bad", "ignore"], "ignore"),
        (["--out", "full"], "E-USE-03"),
    ],
)
def test_options_are_judged_before_anything_is_opened(
    tokens: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/precious").write_text("x")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ganworks.evaluation", None)  # importing it would fail
    assert words in refused(capsys, 2, "model", *tokens)


def test_a_wrong_space_is_refused_before_anything_is_opened(capsys: pytest.CaptureFixture[str]) -> None:
    assert "names close to it: pixels" in refused(capsys, 2, "nowhere", "--space", "pixel")


def test_metrics_go_by_their_families_too() -> None:
    assert metrics_of("recall, precision_recall") == ["recall", "precision"]
    assert metrics_of("mode_coverage") == ["modes", "high_quality", "reverse_kl", "std_ratio"]
    with pytest.raises(UsageError, match="E-NAME-05"):
        metrics_of("everything")


def test_what_is_neither_model_nor_data_says_what_was_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.txt").write_text("x")
    for name in ("nowhere", "no/where", "rign", "notes", "x" * 5000, ""):
        said = refused(capsys, 3, name, "--against", "ring")
        assert "no model: it has no config.json" in said, name
        assert "no run: " in said, name
    assert "names close to it: ring" in refused(capsys, 3, "rign", "--against", "ring")
    assert "--against" in refused(capsys, 2, "ring")
    assert "names close to it: ring" in refused(capsys, 2, "ring", "--against", "rign")


def test_a_broken_model_is_refused_and_leaves_nothing(
    ring_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/config.json").write_bytes((ring_model / "config.json").read_bytes())
    (tmp_path / "broken/model.safetensors").write_bytes(b"none")
    assert "E-MODEL-01" in refused(capsys, 5, tmp_path / "broken", "--out", tmp_path / "out")
    (tmp_path / "broken/config.json").write_text("{}")
    refused(capsys, 5, tmp_path / "broken")
    assert {each.name for each in tmp_path.iterdir()} == {"broken"}


def test_data_of_another_kind_or_shape(ring_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "three.npy", np.zeros((20, 3), "float32"))
    np.save(tmp_path / "grey.npy", np.zeros((20, 16, 16), "uint8"))
    np.save(tmp_path / "other.npy", np.zeros((20, 16, 18), "uint8"))
    for one, other in (
        (ring_model, tmp_path / "three.npy"),
        (ring_model, tmp_path / "grey.npy"),
        (tmp_path / "grey.npy", "ring"),
        ("ring", tmp_path / "grey.npy"),
        (tmp_path / "grey.npy", tmp_path / "other.npy"),
        (tmp_path / "three.npy", "grid"),
    ):
        assert "E-DATA-13" in refused(capsys, 3, one, "--against", other)


def test_a_full_disk_leaves_nothing_half_written(
    ring_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, picture: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("ganworks.data.pictures.write_png", full)
    assert "E-ENV-01" in refused(capsys, 4, ring_model, "--samples", 100, "--out", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
