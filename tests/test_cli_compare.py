"""`ganworks compare`: what differs between two runs or models, and which is better where that can be said."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_files import SMALL
from PIL import Image
from small_runs import start

from ganworks import history, metrics
from ganworks.aims import AIMS, FAMILIES, better
from ganworks.cli.app import main
from ganworks.cli.compare import _contrast
from ganworks.gan import GAN
from ganworks.use import curves
from ganworks.use.beside import beside

SCORE = {
    "metric": "recall", "feature_space": "digits", "value": 0.5, "low": 0.4, "high": 0.6, "level": 0.95,
    "samples": 100, "reference_samples": 100, "real": 0.9,
}  # fmt: skip


def a_run(path: Path, settings: str = "", fingerprint: str = "f" * 64, **environment: Any) -> Path:
    """The folder of a run as far as `compare` reads it."""
    (path / "checkpoints/000009").mkdir(parents=True)
    (path / "samples").mkdir()
    (path / "config.toml").write_text(f'data = "ring"\nsystem = "gan"\nsteps = 9\n{settings}')
    (path / "data.json").write_text(json.dumps({"name": "ring", "fingerprint": fingerprint, "shape": [2]}))
    around = {"ganworks": "0.1.0", "torch": "2.13.0", "threads": 1, "started": str(path), "command": str(path)}
    (path / "environment.json").write_text(json.dumps(around | environment))
    (path / "checkpoints/000009/state.safetensors").write_bytes(b"12345")
    (path / "checkpoints/000009/manifest.json").write_text('{"step": 9, "until": 9, "bytes": 5}')
    (path / "metrics.jsonl").write_text('{"step": 9, "generator.adversarial": 1.0, "seconds": 2.0}\n')
    (path / "log.txt").write_text("2026-01-01 10:00:00  stopped at step 9: steps\n")
    return path


def compared(capsys: pytest.CaptureFixture[str], *tokens: object) -> dict[str, Any]:
    assert main(["compare", *map(str, tokens), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


# What differs


def test_only_what_differs_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shared = 'batch = 64\n[objective]\nloss = "hinge"\n'
    a = a_run(tmp_path / "a", f"{shared}r1 = 0.0\n[generator]\nlr = 0.1\n", torch="2.12.0")
    b = a_run(tmp_path / "b", f"{shared}r1 = 0.1\n[generator.lr]\nfrom = 0.1\nto = 0.0\n[view]\npack = 2\n")
    found = compared(capsys, a, b)
    assert found["settings"] == [
        {"key": "objective.r1", "a": 0.0, "b": 0.1},
        {"key": "generator.lr", "a": 0.1, "b": {"from": 0.1, "to": 0.0}},
        {"key": "view.pack", "a": None, "b": 2},
    ]
    assert found["environment"] == [{"key": "torch", "a": "2.12.0", "b": "2.13.0"}]
    assert found["data"] == []
    assert found["a"] | {"path": ""} == {
        "name": "a", "path": "", "kind": "run", "step": 9, "steps": 9, "seconds": 2.0, "scored_at": None,
    }  # fmt: skip


def test_a_run_does_not_differ_from_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = a_run(tmp_path / "a")
    history.write_scores(run, 9, [SCORE])
    found = compared(capsys, run, run)
    assert [found[key] for key in ("settings", "data", "environment")] == [[], [], []]
    assert found["scores"][0]["remark"] == "no difference that the intervals show"
    assert main(["compare", str(run), str(run)]) == 0
    said = capsys.readouterr().out
    assert "settings: none differs" in said
    assert "data: the same" in said


def test_other_data_is_said_and_their_scores_are_not_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = a_run(tmp_path / "a"), a_run(tmp_path / "b", fingerprint="e" * 64)
    history.write_scores(a, 9, [SCORE])
    history.write_scores(b, 9, [SCORE | {"low": 0.8, "high": 0.9}])
    found = compared(capsys, a, b)
    assert [each["key"] for each in found["data"]] == ["fingerprint"]
    assert found["scores"][0]["better"] is None
    assert found["scores"][0]["remark"] == "against other data: not compared"


def test_real_runs_and_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start(tmp_path / "a", "gan", 4)
    start(tmp_path / "b", "gan", 6, generator_lr=0.01)
    (tmp_path / "b" / "scores.json").unlink()  # as a run that was killed has none
    GAN.load(tmp_path / "a").save(tmp_path / "model")
    found = compared(capsys, tmp_path / "a", tmp_path / "b")
    assert [(each["key"], each["a"], each["b"]) for each in found["settings"]] == [
        ("steps", 4, 6),
        ("generator.lr", 0.001, 0.01),
    ]
    assert found["environment"] == []
    model = compared(capsys, tmp_path / "a", tmp_path / "model")
    assert [model[key] for key in ("settings", "data", "environment")] == [[], [], []]
    assert (model["b"]["kind"], model["b"]["step"], model["b"]["seconds"]) == ("model", 4, None)
    assert {pair["remark"] for pair in model["scores"]} == {"only one has it"}
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    said = capsys.readouterr().out
    assert "no scores are kept of B" in said
    assert "a run at step 4 of 4" in said


# Which is better


def pair(metric: str, a: tuple[float, float], b: tuple[float, float], **changed: Any) -> tuple[str | None, str]:
    """Two scores of a metric by their intervals."""
    known = SCORE | {"metric": metric}
    return better(known | {"low": a[0], "high": a[1]}, known | {"low": b[0], "high": b[1]} | changed)


@pytest.mark.parametrize(
    ("metric", "a", "b", "which"),
    [
        ("recall", (0.4, 0.5), (0.6, 0.7), "b"),
        ("frechet_distance", (0.4, 0.5), (0.6, 0.7), "a"),
        ("reverse_kl", (0.4, 0.5), (0.1, 0.2), "b"),
        ("modes", (8.0, 8.0), (5.0, 7.0), "a"),
        ("kernel_distance", (-0.01, 0.01), (0.2, 0.3), "a"),
        ("std_ratio", (1.3, 1.5), (0.9, 1.05), "b"),
        ("std_ratio", (0.2, 0.3), (1.3, 1.5), "b"),
        ("density", (2.5, 3.0), (0.8, 1.1), "b"),
    ],
)
def test_better_is_nearer_to_what_real_data_would_score(
    metric: str, a: tuple[float, float], b: tuple[float, float], which: str
) -> None:
    assert pair(metric, a, b) == (which, "")
    assert pair(metric, b, a) == ({"a": "b", "b": "a"}[which], "")


def test_intervals_that_touch_show_no_difference() -> None:
    """The classic mistake is to call the larger value the better one."""
    for a, b in (((0.4, 0.6), (0.5, 0.7)), ((0.4, 0.5), (0.5, 0.7)), ((0.1, 0.9), (0.4, 0.5))):
        for metric in ("recall", "frechet_distance"):
            assert pair(metric, a, b) == (None, "no difference that the intervals show")
    assert pair("std_ratio", (0.8, 0.9), (1.1, 1.2))[0] is None  # equally far on either side


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("feature_space", "pixels", "feature spaces"),
        ("samples", 200, "numbers of samples"),
        ("reference_samples", 200, "real samples"),
        ("level", 0.9, "levels"),
        ("low", None, "no intervals"),
    ],
)
def test_what_was_measured_otherwise_is_not_compared(key: str, value: Any, word: str) -> None:
    which, remark = better(SCORE | {"low": 0.1, "high": 0.2}, SCORE | {"low": 0.8, "high": 0.9, key: value})
    assert which is None
    assert word in remark


def test_every_metric_has_an_aim_and_a_family_that_is_a_function() -> None:
    assert sorted(AIMS) == sorted([*metrics.names(), "log_likelihood"])  # which is of a model, not of its samples
    for family, members in FAMILIES.items():
        assert callable(getattr(metrics, family))
        assert set(members) <= set(AIMS)
    assert {name for name, aim in AIMS.items() if aim == math.inf} == {
        "modes", "inception_score", "birthday_support", "log_likelihood",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("bound", "exact", "which"),
    [((3.0, 3.1), (2.8, 2.9), "a"), ((2.7, 2.85), (2.8, 2.9), None), ((0.1, 0.2), (2.8, 2.9), None)],
)
def test_a_lower_bound_wins_where_it_is_above_the_exact_value_and_never_loses(bound, exact, which) -> None:
    a, b = (
        SCORE | {"metric": "log_likelihood", "feature_space": space, "low": low, "high": high}
        for space, (low, high) in (("nats, bound of 100 draws", bound), ("nats, exact", exact))
    )
    assert better(a, b)[0] == which
    assert better(b, a)[0] == (which and "b")


def test_what_covers_more_and_what_is_sharper_are_told_apart() -> None:
    pairs = [("recall", "a"), ("precision", "b"), ("high_quality", "b"), ("modes", None), ("frechet_distance", "a")]
    lines = _contrast([{"metric": metric, "better": which} for metric, which in pairs])
    assert lines == ["A covers more (recall); B is sharper (precision, high_quality)"]
    assert _contrast([{"metric": "frechet_distance", "better": "a"}]) == []


# Pictures


def test_the_last_grids_stand_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = a_run(tmp_path / "a"), a_run(tmp_path / "b")
    for run, name, color in ((a, "000003", (255, 0, 0)), (a, "000010", (0, 200, 0)), (b, "000009", (0, 0, 255))):
        Image.new("RGB", (400, 300), color).save(run / "samples" / f"{name}.png")
    assert main(["compare", str(a), str(b), "--out", str(tmp_path / "out")]) == 0
    assert f"written  {tmp_path / 'out' / 'grids.png'}" in capsys.readouterr().out
    with Image.open(tmp_path / "out/grids.png") as picture:
        pixels = np.asarray(picture)
    width = pixels.shape[1]
    left, right = pixels[150, width // 4], pixels[150, 3 * width // 4]
    assert tuple(left) == (0, 200, 0)  # the newest by number, not by name
    assert tuple(right) == (0, 0, 255)
    assert json.loads((tmp_path / "out/comparison.json").read_text())["a"]["name"] == "a"
    assert {each.name for each in (tmp_path / "out").iterdir()} >= {"comparison.json", "grids.png"}


def test_a_model_draws_its_grid_and_a_broken_one_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    GAN("gan", **SMALL).start("ring", steps=10).save(tmp_path / "model")
    run = a_run(tmp_path / "run")
    (run / "samples/000009.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    assert main(["compare", str(run), str(tmp_path / "model"), "--out", str(tmp_path / "out")]) == 0
    assert "run has no sample grid that can be read" in capsys.readouterr().err
    with Image.open(tmp_path / "out/grids.png") as picture:
        assert min(picture.size) > 400


def test_curves_show_each_player_of_each_run() -> None:
    steps = range(1, 10_001)
    good = [(step, {"generator": 1 / step, "discriminator": -1 / step}) for step in steps]
    odd = [(step, {"$gen_{": math.nan if step % 2 else math.inf}) for step in steps]
    first = curves.picture([("runs/$a_", good), ("b", [])])
    assert first.startswith(b"\x89PNG")
    assert curves.picture([("runs/$a_", good), ("b", [])]) == first
    assert curves.picture([("odd", odd)]).startswith(b"\x89PNG")
    kept = curves._by_player(good)["generator"]
    steps_kept, values = kept.steps, kept.values
    assert 2_000 <= len(steps_kept) <= 4_000
    assert values[0] == 1.0


def test_pictures_of_any_size_and_colour_stand_beside_each_other() -> None:
    grey, color = np.full((20, 30, 1), 7, np.uint8), np.full((500, 400, 3), 9, np.uint8)
    sheet = beside([grey, color], ["a name that is longer than its picture is wide " * 3, "\x1b[2J"])
    assert sheet.shape[0] > 500
    below = sheet[-508:]  # letters have greys of their own
    assert (below == 7).all(2).sum() == 20 * 30 * 12**2  # enlarged twelve times, not blurred
    assert (below == 9).all(2).sum() == 500 * 400


# What is refused


def test_neither_run_nor_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = a_run(tmp_path / "run")
    (tmp_path / "empty").mkdir()
    for other in ("nowhere", "empty", "x" * 5000):
        assert main(["compare", str(run), str(tmp_path / other)]) == 2
        assert "E-RUN-02" in capsys.readouterr().err
    (tmp_path / "model").mkdir()
    for text in ("", "[]", '{"step": 3}', '{"step": "3", "run": {}, "settings": {}, "data": {}}'):
        (tmp_path / "model/config.json").write_text(text)
        assert main(["compare", str(run), str(tmp_path / "model")]) == 5
        assert "E-MODEL-01" in capsys.readouterr().err
    (run / "config.toml").write_text("[")
    assert main(["compare", str(run), str(run)]) == 5
    assert "no valid TOML" in capsys.readouterr().err


def test_a_folder_with_something_in_it_is_refused_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/precious").write_text("x")
    assert main(["compare", "nowhere", "nowhere", "--out", str(tmp_path / "mine")]) == 2
    assert "E-USE-03" in capsys.readouterr().err


def test_a_model_that_cannot_be_loaded_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = GAN("gan", **SMALL).start("ring", steps=10).save(tmp_path / "model")
    (model / "model.safetensors").write_bytes(b"none")
    assert main(["compare", str(a_run(tmp_path / "run")), str(model), "--out", str(tmp_path / "out")]) == 5
    assert {each.name for each in tmp_path.iterdir()} == {"model", "run"}
    assert "E-MODEL-01" in capsys.readouterr().err


def test_two_runs_are_compared_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from ganworks.cli.app import main; main(['compare', *sys.argv[1:]]); print('torch' in sys.modules)"
    )
    folders = [str(a_run(tmp_path / name)) for name in "ab"]
    done = subprocess.run([sys.executable, "-c", code, *folders], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False", done.stderr
