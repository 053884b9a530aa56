"""Loggers: what they write, and that nothing they do reaches the training."""

import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from small_runs import SYSTEMS, asking, at_step, left, start

from ganworks.cli.app import main
from ganworks.errors import ResourceError, UsageError
from ganworks.session import Order, Result, resume, train
from ganworks.training import loggers
from ganworks.training.folder import RunFolder


class Kept:
    """A logger that keeps what it is given."""

    def __init__(self, run: RunFolder, step: int) -> None:
        self.run, self.step, self.records, self.closed = run.path, step, [], False
        KEPT.append(self)

    def record(self, values: Mapping[str, Any]) -> None:
        self.records.append(dict(values))

    def close(self) -> None:
        self.closed = True


KEPT: list[Kept] = []


class Raises(Kept):
    def record(self, values: Mapping[str, Any]) -> None:
        super().record(values)
        if len(self.records) == 5:
            raise OSError(28, "No space left on device")


class RaisesAtOnce(Kept):
    def __init__(self, run: RunFolder, step: int) -> None:
        raise ImportError("half of it is missing")


class RaisesAtTheEnd(Kept):
    def close(self) -> None:
        raise ValueError("the last page is full")


class Hangs(Kept):
    def record(self, values: Mapping[str, Any]) -> None:
        threading.Event().wait(30)


class HangsAtTheEnd(Kept):
    def close(self) -> None:
        threading.Event().wait(30)


@pytest.fixture(autouse=True)
def forget() -> None:
    KEPT.clear()


def log_to(monkeypatch: pytest.MonkeyPatch, logger: type) -> None:
    monkeypatch.setitem(loggers._LOGGERS, "tensorboard", logger)
    monkeypatch.setattr(loggers, "find_spec", lambda name: True)
    monkeypatch.setattr(loggers, "_GOODBYE", 0.3)


def logged(run: Path, *watchers: Any, steps: int = 40) -> Result:
    data, settings = SYSTEMS["gan"]
    given = {**settings, "sample.every": 1000}
    order = Order(data=data, system="gan", steps=steps, seed=1, run=run, overrides=given, log=("tensorboard",) * 2)
    return train(order, watchers)


@pytest.mark.parametrize("logger", [Kept, Raises, RaisesAtOnce, RaisesAtTheEnd, Hangs, HangsAtTheEnd])
def test_the_bits_are_the_same_whatever_a_logger_does(
    logger: type, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log_to(monkeypatch, logger)
    begun = time.monotonic()
    result = logged(tmp_path / "run")
    assert time.monotonic() - begun < 15
    assert result.stopped == "steps"
    assert left(tmp_path / "run") == left(start(tmp_path / "without", "gan").run)
    said = (tmp_path / "run" / "log.txt").read_text()
    words = {
        Kept: "",
        Raises: "logger tensorboard failed",
        RaisesAtOnce: "ImportError: half of it is missing",
        RaisesAtTheEnd: "the logger tensorboard failed: ValueError: the last page is full",
        Hangs: "the logger tensorboard did not finish within 0.3 s and is left behind",
        HangsAtTheEnd: "the logger tensorboard did not finish within 0.3 s and is left behind",
    }[logger]
    assert words in said
    assert said.count("logger tensorboard") == (1 if words else 0)


def test_every_record_arrives_once_however_often_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log_to(monkeypatch, Kept)
    logged(tmp_path / "run", steps=7)
    (kept,) = KEPT
    assert [record["step"] for record in kept.records] == [1, 2, 3, 4, 5, 6, 7]
    assert {"generator.adversarial", "generator.lr", "seconds"} <= set(kept.records[0])
    assert (kept.closed, kept.step) == (True, 0)


def test_a_slow_logger_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log_to(monkeypatch, Hangs)
    monkeypatch.setattr(loggers, "_WAITING", 3)
    assert logged(tmp_path / "run").step == 40


def test_a_resume_logs_from_its_step_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log_to(monkeypatch, Kept)
    run = tmp_path / "run"
    start(run, "gan", 10, at_step(6, asking(run, "stop")))
    resume(run, log=("tensorboard",))
    (kept,) = KEPT
    assert kept.step == 6
    assert [record["step"] for record in kept.records] == [7, 8, 9, 10]


def test_a_mistyped_name_gets_the_right_one_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = start(tmp_path / "run", "gan", 3).run
    before = sorted(run.rglob("*"))
    for words in (["train", "ring", "--run", str(tmp_path / "new")], ["resume", str(run), "--steps", "5"]):
        assert main([*words, "--log", "tensorbord"]) == 2
        assert "names close to it: tensorboard" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    assert sorted(run.rglob("*")) == before


def test_a_missing_package_is_said_before_anything_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    with pytest.raises(ResourceError, match="E-ENV-21") as caught:
        logged(tmp_path / "run")
    assert caught.value.remedy == "pip install 'ganworks[tensorboard]'"
    assert caught.value.exit_code == 4
    assert not (tmp_path / "run").exists()


def test_unknown_names() -> None:
    with pytest.raises(UsageError, match="E-NAME-08") as caught:
        loggers.check(("wandb",))
    assert caught.value.details == ("loggers: tensorboard",)


# The real one


def events(run: Path) -> Any:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = accumulator.EventAccumulator(str(run / "tensorboard"))
    found.Reload()
    return found


def test_tensorboard_reads_every_number_and_every_grid(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run = tmp_path / "run"
    data, settings = SYSTEMS["gan"]
    overrides = {**settings, "sample.every": 4}
    train(Order(data=data, system="gan", steps=10, run=run, overrides=overrides, log=("tensorboard",)))
    found = events(run)
    recorded = {name for line in (run / "metrics.jsonl").read_text().splitlines() for name in json.loads(line)}
    assert set(found.Tags()["scalars"]) == {name.replace(".", "/", 1) for name in recorded - {"step"}}
    assert {"generator/adversarial", "optimum/jsd", "probe/accuracy", "logit/real", "seconds"} <= {
        *found.Tags()["scalars"]
    }
    assert [each.step for each in found.Scalars("generator/adversarial")] == list(range(1, 11))
    assert [each.step for each in found.Images("samples")] == [4, 8, 10]
    assert found.Scalars("generator/lr")[0].value == pytest.approx(1e-3)


def test_tensorboard_goes_on_after_a_resume(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run = tmp_path / "run"
    data, settings = SYSTEMS["gan"]
    order = Order(data=data, system="gan", steps=10, run=run, overrides=settings, log=("tensorboard",))
    train(order, [at_step(6, asking(run, "stop"))])
    resume(run, log=("tensorboard",))
    assert [each.step for each in events(run).Scalars("generator/adversarial")] == list(range(1, 11))


def test_the_command(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run = tmp_path / "run"
    words = ["train", "ring", "--system", "gan", "--steps", "3", "--run", str(run), "--log", "tensorboard", "-q"]
    assert main(words) == 0
    assert main(["resume", str(run), "--steps", "5", "--log", "tensorboard", "-q"]) == 0
    assert len(list((run / "tensorboard").iterdir())) == 2
