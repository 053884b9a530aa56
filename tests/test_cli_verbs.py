"""The verbs against a stand-in for training: what they hand over, what they print, and how they end."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganworks import gan, systems
from ganworks.cli import options
from ganworks.cli.app import main
from ganworks.data.spec import Batch, DataSpec
from ganworks.gan import Order, Plan, Result
from ganworks.metrics.score import Score
from ganworks.settings import build, fit, keys, nested

SCORE = Score("frechet_distance", "digits", 2.0, 1.5, 2.5, 0.95, samples=2000, reference_samples=1000, real=0.25)


PLAN = Plan(
    data={"name": "ring", "kind": "points", "shape": [2], "rows": 100, "held_out": 10, "classes": []},
    system="gan", runner_up="", why="", settings={"batch": 8, "device": "cpu"},
    changed={"generator.width": (4, 128)}, steps=300,
    threads=1, parameters={"generator": 1200, "discriminator": 800}, memory_bytes=200 << 20, seconds=65.0,
    files={"metrics.jsonl": 2400}, run=Path("runs/ring-0001"), notes=["gan on ring"], command="ganworks train ring",
)  # fmt: skip


class Stage:
    """Stands in for `ganworks.gan`: keeps what it was called with, returns what the test wants."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.result = Result(
            run=Path("runs/digits-0001"),
            step=300,
            stopped="steps",
            scores=[SCORE],
            grid=Path("runs/digits-0001/samples/000300.png"),
            next=["ganworks systems"] * 3,
        )
        self.spec = DataSpec(kind="images", shape=(1, 4, 4), count=10, classes=("zero", "one"))

    def train(self, order: Order, watchers: Sequence[Callable[[Mapping[str, Any]], None]] = ()) -> Result:
        self.calls.append(order)
        for watch in watchers:
            watch({"message": "r3gan on digits"})
            watch({"step": 300, "steps": 300, "generator.adversarial": 1.0})
        return self.result

    def resume(self, run: Path, steps: int | None = None, time: float | None = None, **more: Any) -> Result:
        self.calls.append((run, steps, time, more["overrides"], more["log"]))
        return self.result

    def forecast(self, order: Order, watchers: Any = ()) -> Plan:
        self.calls.append(("forecast", order))
        return PLAN

    def load(self, path: Path) -> "Stage":
        self.calls.append(path)
        return self

    def draw(self, count: int, seed: int = 0, label: int | None = None, truncation: float | None = None) -> Batch:
        self.calls.append((count, seed, label, truncation))
        return Batch({"x": torch.zeros(count, 1, 4, 4)})


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    found = Stage()
    stand_ins = {"train": found.train, "resume": found.resume, "forecast": found.forecast, "GAN": found}
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(gan, name, stand_in)
    return found


def test_train_without_arguments_asks_for_the_defaults(stage: Stage) -> None:
    assert main(["train"]) == 0
    assert stage.calls == [Order()]


def test_every_option_of_train_arrives(stage: Stage) -> None:
    options_given = (
        "ring --system gan --time 2m --seed 5 --run here --batch auto --set batch=8 latent.prior=uniform "
        "--config a.toml --from model --held-out other --device cpu --patience 3 --processes 2 --size 64 --mirror "
        "--on-bad skip --log tensorboard"
    )
    main(["train", *options_given.split()])
    assert stage.calls == [
        Order(
            data="ring", system="gan", time=120.0, seed=5, run=Path("here"), batch="auto",
            overrides={"batch": 8, "latent.prior": "uniform"}, config=Path("a.toml"), start_from=Path("model"),
            held_out="other", device="cpu", patience=3, processes=2, size=64, mirror=True, on_bad="skip",
            log=("tensorboard",),
        )
    ]  # fmt: skip


def test_steps_and_a_batch_of_a_size_arrive(stage: Stage) -> None:
    main(["train", "ring", "--steps", "300", "--batch", "16"])
    assert stage.calls == [Order(data="ring", steps=300, batch=16)]


def test_a_run_ends_with_its_grid_its_scores_why_it_stopped_and_what_next(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["train"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["run   runs/digits-0001", "grid  runs/digits-0001/samples/000300.png"]
    assert lines[3].split() == ["score", "in", "value", "interval", "real", "data", "samples"]
    assert lines[4].split() == [
        "frechet_distance",
        "digits",
        "2",
        "1.5",
        "to",
        "2.5",
        "0.25",
        "2000",
        "against",
        "1000",
    ]
    assert any(line.startswith("stopped at step 300") and line.endswith("(steps)") for line in lines)
    assert lines[-4:] == ["next:", *["  ganworks systems"] * 3]


def test_a_score_against_an_exact_density_says_so(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    stage.result = dataclasses.replace(stage.result, scores=[dataclasses.replace(SCORE, reference_samples=0)])
    main(["train", "ring"])
    assert "2000 against the exact density" in capsys.readouterr().out


def test_a_dry_run_trains_nothing_and_says_what_would_be(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "ring", "--dry-run"]) == 0
    assert stage.calls == [("forecast", Order(data="ring"))]
    said = capsys.readouterr().out
    for words in (
        "gan on ring", "ring: 100 points of 2 to train on, 10 held out", "300 of 8 samples", "cpu, 1 thread",
        "generator 1,200 numbers, discriminator 800 numbers", "200 MB at most", "1m05s of training",
        "2.3 kB in runs/ring-0001", "generator.width  4      128", "metrics.jsonl  2.3 kB", "  ganworks train ring",
    ):  # fmt: skip
        assert words in said


def test_a_plan_as_json(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "ring", "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)["plan"]
    assert set(plan) == set(
        "data system runner_up why settings steps threads parameters memory_bytes seconds disk_bytes run".split()
    )
    assert (plan["parameters"], plan["disk_bytes"], plan["seconds"]) == (2000, 2400, 65.0)
    assert plan["run"] == "runs/ring-0001"


def test_json_is_the_result_alone(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", "--json"])
    said = capsys.readouterr()
    assert json.loads(said.out) == {
        "run": "runs/digits-0001",
        "step": 300,
        "stopped": "steps",
        "scores": [SCORE.as_dict()],
        "verdicts": [],
    }
    assert "r3gan on digits" in said.err


def test_json_has_no_nan(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    stage.result = dataclasses.replace(stage.result, scores=[dataclasses.replace(SCORE, value=float("nan"))])
    main(["train", "--json"])
    assert json.loads(capsys.readouterr().out)["scores"][0]["value"] is None


def test_quiet_leaves_standard_error_empty(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    main(["-q", "train"])
    assert capsys.readouterr().err == ""
    main(["train"])
    assert "step 300/300" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("stopped", "signal", "code"),
    [
        ("steps", None, 0),
        ("patience", None, 0),
        ("request", None, 0),
        ("signal", 2, 130),
        ("signal", 15, 143),
        ("failed", None, 6),
    ],
)
@pytest.mark.parametrize("verb", ["train", "resume"])
def test_exit_codes(stage: Stage, verb: str, stopped: Any, signal: int | None, code: int) -> None:
    stage.result = dataclasses.replace(stage.result, stopped=stopped, signal=signal)
    assert main([verb, "ring"]) == code


def test_resume_hands_over_run_and_length(stage: Stage) -> None:
    main(["resume", "runs/a", "--steps", "500"])
    main(["resume", "runs/a", "--time", "1m", "--json"])
    main(["resume", "runs/a"])
    main(["resume", "runs/a", "--set", "record.every=5", "--log", "tensorboard"])
    run = Path("runs/a")
    assert stage.calls == [
        (run, 500, None, {}, ()),
        (run, None, 60.0, {}, ()),
        (run, None, None, {}, ()),
        (run, None, None, {"record.every": 5}, ("tensorboard",)),
    ]


def test_sample_writes_pictures(stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "samples"
    assert main(["sample", "model", "-n", "3", "--seed", "7", "--label", "one", "--out", str(out), "--json"]) == 0
    assert stage.calls == [Path("model"), (3, 7, 1, None)]
    assert sorted(path.name for path in out.iterdir()) == ["000000.png", "000001.png", "000002.png", "sheet.png"]
    with Image.open(out / "000000.png") as picture:
        assert picture.size == (4, 4)
    assert json.loads(capsys.readouterr().out) == {"out": str(out), "samples": 3, "seed": 7}


def test_sample_writes_one_array(stage: Stage, tmp_path: Path) -> None:
    assert main(["sample", "model", "-n", "3", "--format", "npz", "--out", str(tmp_path / "out")]) == 0
    assert np.load(tmp_path / "out" / "samples.npz")["samples"].shape == (3, 1, 4, 4)


def test_sample_refuses_a_folder_with_something_in_it_before_it_opens_the_model(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    assert main(["sample", "model", "--out", str(tmp_path)]) == 2
    assert "E-USE-03" in capsys.readouterr().err
    assert stage.calls == []
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("label", ["two", "2", "-1"])
def test_an_unknown_label_leaves_nothing_behind(
    stage: Stage, label: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", "model", f"--label={label}", "--out", str(tmp_path / "out")]) == 2
    assert "E-NAME-07" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_systems_as_json_have_the_fixed_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["systems", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[0]["name"] == "r3gan"
    for row in rows:
        assert list(row) == ["name", "paper", "accepts", "gives"]
        assert "arXiv:" in row["paper"]


def test_a_system_shows_every_key_with_default_range_and_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["systems", "gan", "--json"]) == 0
    settings = {row["key"]: row for row in json.loads(capsys.readouterr().out)["settings"]}
    for key in ("batch", "latent.size", "objective.loss", "turns.discriminator", "generator.lr", "discriminator.betas"):
        assert settings[key]["meaning"]
    assert settings["batch"]["allowed"] == ">= 1"
    assert settings["latent.prior"]["allowed"] == "normal | uniform"
    assert settings["objective.r1"]["allowed"] == ">= 0 or a schedule"


@pytest.mark.parametrize("name", systems.names())
def test_defaults_are_shown_as_set_takes_them(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["systems", name, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["settings"]
    given = options.overrides([f"{row['key']}={row['default']}" for row in rows], "train")
    model = systems.get(name).Settings
    assert build(model, fit(model, nested(given))) == model()


@pytest.mark.parametrize("name", systems.names())
def test_the_settings_of_a_system_as_a_table(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["systems", name]) == 0
    text = capsys.readouterr().out
    choices = "latent.prior" in {key for key, _ in keys(systems.get(name).Settings)}  # not every system has this one
    assert ("latent.prior" in text, "normal | uniform" in text) == (choices, choices)
    assert max(map(len, text.splitlines())) < 200


def test_an_unknown_system_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["systems", "gna"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error[E-NAME-01]: unknown system 'gna'")
    assert "names close to it: gan" in said
