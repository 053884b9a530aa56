"""The diagnosis beside a training: no bit changes, and it comes out the same however often the run is cut."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_pictures import folder
from small_runs import SYSTEMS, asking, at_step, records, signalling, start
from test_training_recovery import spoil_always, spoil_batch

from ganworks import GAN, history
from ganworks.diagnosis import probe, ward
from ganworks.diagnosis.probe import FIRST_UPDATES, Examination
from ganworks.diagnosis.thresholds import TABLE
from ganworks.errors import TrainingError, error
from ganworks.gan import Result
from ganworks.session import Order, Session, ending, resume, train

PAGE = ending.page
SEEN = {"probe.accuracy", "probe.distance", "probe.kinds", "probe.spread", "probe.moved.generator"}


@pytest.fixture(autouse=True, scope="module")
def every_probe() -> Iterator[None]:
    """The next two rounds are played ahead at every look, however short the run is; rows are few, and grids empty."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TABLE, "looks.steps", TABLE["looks.steps"]._replace(value=1))
        patch.setattr("ganworks.diagnosis.motion._SHARE", 10.0)
        patch.setattr("ganworks.diagnosis.diversity.POINTS", 64)
        patch.setattr("ganworks.diagnosis.probe.POINTS", 64)
        patch.setattr("ganworks.diagnosis.diversity.PICTURES", 64)
        patch.setattr("ganworks.optimum.distance.DRAWS", 200)
        patch.setattr(Session, "picture", lambda self: np.zeros((2, 2, 3), np.uint8))
        patch.setattr(ending, "page", lambda run, tell: None)
        patch.setattr(ending, "scores", lambda session, loop: [])
        yield


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports are written, as they are outside of tests."""
    monkeypatch.setattr(ending, "page", PAGE)


def state(run: Path) -> bytes:
    last = max(each for each in (run / "checkpoints").iterdir() if each.name.isdecimal())
    return (last / "state.safetensors").read_bytes()


def verdicts(run: Path) -> list[str]:
    """The lines of verdicts.jsonl, without where the run lies."""
    return (run / "verdicts.jsonl").read_text().replace(str(run), "RUN").splitlines()


def plain(run: Path) -> Any:
    """What `diagnose` says of a run."""
    return json.loads(json.dumps([each.as_dict() for each in ward.of_run(run)]))


def numbers(run: Path) -> dict[str, float]:
    """What was found at the last step."""
    return {name: value for name, value in records(run)[-1].items() if name.startswith("probe.")}


# Not a bit


@pytest.fixture
def unasked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    def without() -> None:
        monkeypatch.setattr(Session, "probes", lambda self: [])
        monkeypatch.setattr(Session, "early", property(lambda self: (10**9, lambda step: {})))

    return without


def played(run: Path, system: str) -> bytes:
    start(run, system, FIRST_UPDATES + 4, sample_every=9, checkpoint_every=20)
    return state(run)


@pytest.mark.parametrize("system", ["gan", "dcgan", "sngan", "lsgan", "unrolled", "conditional", "semisupervised"])
def test_probes_change_no_bit(system: str, tmp_path: Path, unasked: Callable[[], None]) -> None:
    asked = played(tmp_path / "asked", system)
    assert any("probe.preflight" in each for each in records(tmp_path / "asked"))
    assert numbers(tmp_path / "asked").keys() >= SEEN
    unasked()
    assert played(tmp_path / "plain", system) == asked
    assert not numbers(tmp_path / "plain")


@pytest.mark.parametrize("system", ["dcgan", "sngan"])
def test_a_probe_that_played_with_the_game_itself_would_be_seen(
    system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unasked: Callable[[], None]
) -> None:
    """Batch statistics and singular vectors learn in a forward pass: without the copy they learn from the probe."""
    monkeypatch.setattr(probe, "copied", lambda engine: engine.system)
    asked = played(tmp_path / "asked", system)
    unasked()
    assert played(tmp_path / "plain", system) != asked


# However often it is cut


class Killed(BaseException):
    """Nothing can catch it."""


def killed() -> None:
    raise Killed


def frozen(run: Path, *watchers: Callable[[Mapping[str, Any]], None]) -> Result:
    """70 steps with a look at every fourth; the generator stands still, which is said at the third."""
    return start(run, "gan", 70, *watchers, sample_every=4, checkpoint_every=7, generator_lr=0.0)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Any], list[str]]:
    run = tmp_path_factory.mktemp("unbroken") / "run"
    frozen(run)
    found = verdicts(run)
    assert [(each["step"], each["name"]) for each in map(json.loads, found)] == [(12, "frozen"), (70, "frozen")]
    return records(run), found


@pytest.mark.parametrize(
    ("how", "steps"),
    [
        *(("kill", steps) for steps in ([12], [13, 30], [FIRST_UPDATES], [FIRST_UPDATES + 1, 69])),
        *(("stop", steps) for steps in ([12, 13], [FIRST_UPDATES])),
        ("SIGTERM", [FIRST_UPDATES + 1]),
    ],
)
def test_cut_and_resumed_it_says_the_same(
    how: str, steps: list[int], tmp_path: Path, unbroken: tuple[list[Any], list[str]]
) -> None:
    """At a look, between two, at the pre-flight and right after it."""
    run = tmp_path / "run"
    do = {"stop": asking(run, "stop"), "kill": killed}.get(how) or signalling(15)
    for place, step in enumerate(steps):
        watch = at_step(step, do)
        try:
            _ = resume(run, watchers=[watch]) if place else frozen(run, watch)
        except Killed:
            assert how == "kill"
        assert records(run)[-1]["step"] == step
    resume(run)
    assert (records(run), verdicts(run)) == unbroken


def test_a_stopped_run_has_verdicts_and_writes_none(tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = frozen(run, at_step(30, asking(run, "stop")))
    assert json.loads(json.dumps([each.as_dict() for each in result.verdicts])) == plain(run)
    assert [each.name for each in result.verdicts] == ["frozen"]
    assert result.verdicts[0].evidence[0].lines == (1, 30)
    assert len(verdicts(run)) == 1


def test_a_rollback_takes_verdicts_back_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frozen is said at step 12; from 13 it goes back to 7, and from there on the run is one that was not finite."""
    spoil_batch(monkeypatch, 13)
    heard: list[str] = []
    frozen(tmp_path / "run", lambda record: heard.append(str(record.get("message"))))
    assert any(each.startswith("step 12: frozen") for each in heard)
    found = [json.loads(line) for line in verdicts(tmp_path / "run")]
    assert [(each["step"], each["name"]) for each in found] == [(8, "not_finite"), (70, "not_finite")]
    assert found[0]["evidence"][0]["lines"] == [8, 8]
    assert [each | {"remedy": ""} for each in found[1:]] == [
        {"step": 70, **each, "remedy": ""} for each in plain(tmp_path / "run")
    ]


def test_a_second_rollback_drops_what_was_said_after_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both lead back to step 7. The names at step 8 are the same both times, and only the second line stands."""
    spoil_batch(monkeypatch, 9)
    spoil_batch(monkeypatch, 13)
    frozen(tmp_path / "run")
    found = [json.loads(line) for line in verdicts(tmp_path / "run")]
    assert [(each["step"], each["name"]) for each in found] == [(8, "not_finite"), (70, "not_finite")]
    assert found[0]["evidence"][0]["value"] == 2


def test_a_kill_after_a_rollback_forgets_what_was_said_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    with monkeypatch.context() as patch:
        spoil_batch(patch, 13)
        frozen(whole)
    spoil_batch(monkeypatch, 13)
    back: list[int] = []

    def dies_on_its_way_back(record: Mapping[str, Any]) -> None:
        back.extend([1] if "back to step" in str(record.get("message")) else [])
        if back and record.get("step") == 11:
            raise Killed

    with pytest.raises(Killed):
        frozen(cut, dies_on_its_way_back)
    resume(cut)
    assert (records(cut), verdicts(cut)) == (records(whole), verdicts(whole))


def test_records_that_a_rollback_has_replaced_are_read_anew(tmp_path: Path) -> None:
    """Also where the file has grown past its old length since: what was read last stands there no more."""
    file = tmp_path / "metrics.jsonl"
    file.write_text("".join(json.dumps({"step": step}) + "\n" for step in (1, 2, 3)))
    reader = history.Reader(tmp_path)
    assert [record["step"] for _, record in reader.read()] == [1, 2, 3]
    lines = [{"step": 1}, {"step": 2, "rollbacks": 1}, {"step": 3, "rollbacks": 1}, {"step": 4, "rollbacks": 1}]
    file.write_text("".join(json.dumps(each) + "\n" for each in lines))
    assert reader.read() == list(enumerate(lines, 1))
    with file.open("a") as more:
        more.write('{"step": 5}\n{"step": 6')
    assert reader.read()[-1] == (5, {"step": 5})
    with file.open("a") as more:
        more.write("}\n")
    assert reader.read()[-1] == (6, {"step": 6})


def test_what_failed_is_said_once_however_often_it_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil_always(monkeypatch, 21)
    run = tmp_path / "run"
    with pytest.raises(TrainingError):
        frozen(run)
    first = verdicts(run)
    assert [json.loads(line)["name"] for line in first][-1] == "not_finite"
    assert [{"step": 21, **each} for each in plain(run)] == [json.loads(line) for line in verdicts_of(run)][-1:]
    with pytest.raises(TrainingError):
        resume(run)
    assert verdicts(run) == first


def verdicts_of(run: Path) -> list[str]:
    return (run / "verdicts.jsonl").read_text().splitlines()


# While it trains


@pytest.mark.parametrize("bad", [ValueError("no"), MemoryError(), error("E-ARG-01", reason="no")])
def test_a_probe_that_fails_is_named_and_the_training_goes_on(
    bad: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Examination, *_: object) -> dict[str, float]:
        raise bad

    monkeypatch.setattr(Examination, "__call__", broken)
    monkeypatch.setattr(Examination, "preflight", broken)
    result = start(tmp_path / "run", "gan", FIRST_UPDATES + 10, sample_every=4)
    assert (result.stopped, result.verdicts) == ("steps", [])
    log = (tmp_path / "run/log.txt").read_text()
    assert log.count("failed and is not called again") == 2  # the looks and the pre-flight
    assert plain(tmp_path / "run") == []
    assert ward.silence(tmp_path / "run").startswith("nothing was measured")


def test_watchers_hear_verdicts_and_the_preflight(tmp_path: Path) -> None:
    heard: list[Mapping[str, Any]] = []
    gan = GAN("gan", **SYSTEMS["gan"][1], **{"generator.lr": 0.0})
    gan.fit("ring", steps=60, seed=1, run=tmp_path / "run", watchers=[heard.append])
    told = [(heard[place - 1].get("step"), each["message"]) for place, each in enumerate(heard) if "message" in each]
    (spoken,) = [(step, text) for step, text in told if "frozen" in text]
    assert spoken[0] == 9  # the third look, each 60 / 20 steps
    assert spoken[1].startswith("step 9: frozen since step 1: the generator's learning rate is 0")
    (checked,) = [(step, text) for step, text in told if text.startswith("pre-flight")]
    assert checked[0] == FIRST_UPDATES
    assert all(text in (tmp_path / "run/log.txt").read_text() for _, text in told)


# Any data


def order(run: Path, data: Any, system: str = "gan", **more: Any) -> Order:
    tiny = SYSTEMS["gan"][1] | {"sample.every": 4, "view.noise": 0.0} | more
    return Order(data=data, system=system, steps=28, seed=1, run=run, overrides=tiny)


def judged(run: Path) -> dict[str, float]:
    found = numbers(run)
    assert found.keys() >= {"probe.distance", "probe.distance_floor", "probe.accuracy", "probe.kinds"}
    assert all(math.isfinite(value) for value in found.values())
    assert plain(run) != []
    assert "failed and is not called again" not in (run / "log.txt").read_text()
    return found


def points(count: int) -> Any:
    return np.random.default_rng(0).normal(size=(count, 2)).astype(np.float32)


@pytest.mark.parametrize("count", [20, 199])
def test_few_rows_of_which_none_is_held_out(count: int, tmp_path: Path) -> None:
    train(order(tmp_path / "run", points(count)))
    assert "probe.memory" not in judged(tmp_path / "run")


def test_a_handful_held_out(tmp_path: Path) -> None:
    np.save(tmp_path / "held.npy", points(7))
    given = order(tmp_path / "run", points(60))
    train(Order(**{**given.__dict__, "held_out": str(tmp_path / "held.npy")}))
    judged(tmp_path / "run")


@pytest.mark.parametrize("count", [21, 300])
def test_packs(count: int, tmp_path: Path) -> None:
    train(order(tmp_path / "run", points(count), **{"view.pack": 2}))
    judged(tmp_path / "run")


def test_rows_that_are_all_the_same(tmp_path: Path) -> None:
    """Nothing can be said of how far samples are; but the training ends, and the probe does not fail."""
    train(order(tmp_path / "run", np.ones((30, 2), np.float32)))
    assert all(math.isfinite(value) for value in numbers(tmp_path / "run").values())
    assert "failed and is not called again" not in (tmp_path / "run/log.txt").read_text()


def test_streamed_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bits and the same numbers as of pictures that memory holds."""
    place = folder(tmp_path / "photos", 2, 130)
    train(order(tmp_path / "kept", str(place), "dcgan"))
    monkeypatch.setattr("ganworks.data.folders.KEPT", 0)
    train(order(tmp_path / "read", str(place), "dcgan"))
    assert state(tmp_path / "kept") == state(tmp_path / "read")
    assert judged(tmp_path / "kept") == judged(tmp_path / "read")


# At the end


@pytest.mark.usefixtures("reported")
def test_what_a_training_says_is_what_its_folder_says(tmp_path: Path) -> None:
    result = frozen(tmp_path / "run")
    assert json.loads(json.dumps([each.as_dict() for each in result.verdicts])) == plain(tmp_path / "run")
    last = [json.loads(line) for line in verdicts_of(tmp_path / "run")][-1]
    assert last == {"step": 70, **plain(tmp_path / "run")[0]}
    assert result.report == tmp_path / "run/report.html"
    page = result.report.read_text()
    assert "frozen" in page
    assert "70 of 70 · finished" in page
    assert "Real data, drawn as the samples are" in page
    assert "going on" not in page


@pytest.mark.usefixtures("reported")
def test_a_signal_leaves_no_time_for_a_report_and_a_request_does(tmp_path: Path) -> None:
    asked, sent = (tmp_path / name for name in ("asked", "sent"))
    assert frozen(asked, at_step(30, asking(asked, "stop"))).report == asked / "report.html"
    assert "stopped before its end" in (asked / "report.html").read_text()
    assert frozen(sent, at_step(30, signalling(15))).report is None
    assert not (sent / "report.html").exists()


@pytest.mark.usefixtures("reported")
def test_a_failure_is_reported_and_stays_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil_always(monkeypatch, 30)
    with pytest.raises(TrainingError) as caught:
        frozen(tmp_path / "run")
    assert caught.value.exit_code == 6
    page = (tmp_path / "run/report.html").read_text()
    assert "failed: error[E-TRAIN-01]" in page
    assert "not finite" in page


@pytest.mark.usefixtures("reported")
def test_a_report_that_cannot_be_written_takes_nothing_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ganworks.report._put", full)
    heard: list[str] = []
    result = frozen(tmp_path / "run", lambda record: heard.append(str(record.get("message"))))
    assert (result.stopped, result.report) == ("steps", None)
    assert any(each.startswith("the report is not written, the run is complete: ") for each in heard)
    assert not [each.name for each in (tmp_path / "run").iterdir() if "report" in each.name]


@pytest.mark.usefixtures("reported")
def test_a_run_of_a_few_steps_is_not_worth_a_report(tmp_path: Path) -> None:
    assert start(tmp_path / "run", "gan", 3).report is None


@pytest.mark.parametrize("system", ["dcgan", "conditional"])
def test_the_closest_training_pictures_of_samples(system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A generator that copies is found out: both rows of pictures are the same."""
    place = folder(tmp_path / "photos", 2, 30)
    monkeypatch.setattr(ending, "QUICK", 0.0)
    shown: list[torch.Tensor] = []

    def pairs(above: torch.Tensor, below: torch.Tensor, name: str) -> Any:
        shown.extend([above, below])
        return np.zeros((2, 2, 3), np.uint8)

    monkeypatch.setattr("ganworks.evaluation.pairs", pairs)
    session: list[Session] = []
    probes = Session.probes
    monkeypatch.setattr(Session, "probes", lambda self: [session.append(self), *probes(self)][1:])
    train(order(tmp_path / "run", str(place), system))
    assert (tmp_path / "run/closest.png").exists()
    assert (tmp_path / "run/real.png").exists()
    data = session[0].data
    assert data is not None
    rows = data.rows(torch.arange(len(data)))["x"]
    above, below = shown
    away = torch.cdist(above.flatten(1), rows.flatten(1))
    torch.testing.assert_close(away.min(1).values, (above - below).flatten(1).norm(dim=1), rtol=1e-2, atol=1e-3)
    monkeypatch.setattr(type(session[0].model), "sample", lambda *_: rows[:40] if len(rows) > 40 else rows)
    assert ending._closest(session[0]) is not None
    torch.testing.assert_close(shown[2], shown[3])


def test_the_search_for_copies_gives_up_where_it_would_take_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "QUICK", 0.0)
    monkeypatch.setattr(ending, "_SEARCHED", 0.0)
    train(order(tmp_path / "run", str(folder(tmp_path / "photos", 0, 30)), "dcgan"))
    assert not (tmp_path / "run/closest.png").exists()
    assert (tmp_path / "run/real.png").exists()
