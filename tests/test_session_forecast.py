"""The plan before the cost: what it says, that it writes nothing, and that it comes true."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_pictures import arrays

from ganworks import plan as plans
from ganworks.cli.app import main
from ganworks.errors import UsageError
from ganworks.session import forecast as forecasts
from ganworks.session import train
from ganworks.session.forecast import forecast
from ganworks.session.order import Order
from ganworks.settings import RunSettings

SMALL = {"generator.width": 4, "discriminator.width": 4, "latent.size": 4, "batch": 4}


def snapshot(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Every file and folder with its size and times."""
    found = {}
    for each in sorted([folder, *folder.rglob("*")]):
        about = os.stat(each)
        found[str(each)] = (about.st_size, about.st_mtime_ns, about.st_ctime_ns)
    return found


@pytest.mark.parametrize("data", ["ring", "data.npz"])
def test_nothing_is_written_anywhere(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(tmp_path)
    for name, place in {"HOME": home, "TMPDIR": home, "XDG_CACHE_HOME": home / "cache"}.items():
        monkeypatch.setenv(name, str(place))
    arrays(tmp_path / "data.npz", 2, 60)
    before = snapshot(tmp_path)
    assert main(["train", data, "--dry-run", "--set", *[f"{key}={value}" for key, value in SMALL.items()]]) == 0
    assert snapshot(tmp_path) == before
    assert capsys.readouterr().out.splitlines()[-2:][0] == "nothing is written yet; to begin:"


def test_the_plan_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = forecast(Order(data=arrays(tmp_path / "data.npz", 2, 120), overrides=SMALL, steps=300))
    said = json.loads(json.dumps(plan.as_dict(), default=str))
    assert said["data"] == {
        "name": "data", "kind": "images", "shape": [3, 16, 16], "rows": 140, "held_out": 100, "classes": ["0", "1"]
    }  # fmt: skip
    assert (said["system"], said["runner_up"]) == ("conditional", "r3gan")
    assert said["why"] == "there are 2 classes of 120 pictures or more"
    assert (said["steps"], said["threads"], said["run"]) == (300, 1, "runs/data-0001")
    assert (said["settings"]["size"], said["settings"]["batch"], said["settings"]["steps"]) == (16, 4, 300)
    assert said["memory_bytes"] > 100 << 20  # Python and torch alone
    assert said["seconds"] > 0
    assert said["disk_bytes"] == sum(plan.files.values())
    assert plan.changed["batch"] == (4, 32)
    assert "objective.r1" not in plan.changed


def test_what_it_says_about_the_disk_comes_true(tmp_path: Path) -> None:
    order = Order(data="digits", steps=60, overrides={"generator.width": 16, "record.every": 1, "sample.every": 10})
    plan = forecast(order)
    run = train(Order(data="digits", steps=60, overrides=order.overrides, run=tmp_path / "run")).run
    for name in ("config.toml", "data.json"):
        assert plan.files[name] == (run / name).stat().st_size
    assert plan.files["metrics.jsonl"] == pytest.approx((run / "metrics.jsonl").stat().st_size, rel=0.1)
    assert plan.files["scores.json"] == pytest.approx((run / "scores.json").stat().st_size, rel=0.1)
    kept = list((run / "checkpoints").rglob("*.safetensors"))
    assert plan.files["checkpoints/ (2 kept)"] == pytest.approx(sum(each.stat().st_size for each in kept), rel=0.02)
    assert "samples/ (6)" in plan.files
    assert plan.files["real.png"] == pytest.approx((run / "real.png").stat().st_size, rel=0.2)
    assert len(list((run / "samples").iterdir())) == 6


@pytest.mark.parametrize("steps", [1, 2, 101, 250])
def test_how_much_is_written(steps: int, tmp_path: Path) -> None:
    """The same numbers of records, grids and checkpoints as a training leaves."""
    overrides = {**SMALL, "record.every": 3, "sample.every": 40}
    run = train(Order(data="ring", system="gan", steps=steps, overrides=overrides, run=tmp_path / "run")).run
    plan = forecast(Order(data="ring", system="gan", steps=steps, overrides=overrides))
    lines = len((run / "metrics.jsonl").read_text().splitlines())
    assert plan.files["metrics.jsonl"] == pytest.approx((run / "metrics.jsonl").stat().st_size, rel=0.2)
    pace = plans.pace(RunSettings.model_validate({"record": {"every": 3}, "sample": {"every": 40}}), steps)
    assert forecasts._lines(steps, pace, probes=True, early=50) == lines
    assert f"samples/ ({len(list((run / 'samples').iterdir()))})" in plan.files
    assert f"checkpoints/ ({len(list((run / 'checkpoints').iterdir()))} kept)" in plan.files


def test_a_training_is_what_it_was_without_it(tmp_path: Path) -> None:
    order: dict[str, Any] = {"data": "ring", "system": "gan", "steps": 5, "overrides": SMALL}
    forecast(Order(**order))
    one = train(Order(**order, run=tmp_path / "one")).run
    forecast(Order(**order))
    two = train(Order(**order, run=tmp_path / "two")).run
    states = [run / "checkpoints" / "000005" / "state.safetensors" for run in (one, two)]
    assert states[0].read_bytes() == states[1].read_bytes()


def test_longer_rounds_at_the_start_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """wgan's critic moves often in its first rounds: these cost what they make."""
    monkeypatch.setattr(forecasts, "cost", lambda engine, rounds: 1.0)
    few = {**SMALL, "turns.discriminator": 1, "turns.eager": 9}
    found = forecast(Order(data="ring", system="wgan", steps=100, overrides=few))
    assert found.seconds == pytest.approx((25 * 10 + 75 * 2) / 2)
    assert forecast(Order(data="ring", system="gan", steps=25, overrides=SMALL)).seconds == pytest.approx(25.0)


def test_it_refuses_what_a_training_refuses(tmp_path: Path) -> None:
    for order in (Order(data="ring", system="dcgan"), Order(data="ring", run=tmp_path), Order(data="nowhere")):
        with pytest.raises(UsageError):
            forecast(order)


def test_time_and_a_measured_batch_are_planned_too() -> None:
    plan = forecast(Order(data=np.zeros((300, 2), np.float32), time=0.5, batch="auto", overrides={"latent.size": 4}))
    assert plan.settings["batch"] >= 8
    assert plan.settings["steps"] == plan.steps > 1
    assert plan.seconds == pytest.approx(0.5, rel=0.5)
