"""The loop: what it writes when, how it is stopped, and that nobody who looks on changes a bit."""

import errno
import json
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from faulty_disk import Disk, from_now_on, once
from small_runs import SYSTEMS, asking, at_step, left, records, signalling, start, steps_of

from ganworks.errors import GanworksError, TrainingError, UsageError, error
from ganworks.session import Order, Session, resume, train
from ganworks.settings import RunSettings, nested, read
from ganworks.training import loop as loops
from ganworks.training.checkpoint import latest
from ganworks.training.folder import RunFolder
from ganworks.training.loop import Loop, Pace, Signals

EVERY_STEP = Pace(record=1, sample=1000, checkpoint=1000)


def blank(path: Path) -> None:
    """A sample grid that costs nothing."""
    path.write_bytes(b"")


def ready(run: Path, pace: Pace = EVERY_STEP, system: str = "gan", steps: int = 20, **rest: Any) -> Loop:
    """A loop at step 0, or where the run's last checkpoint is."""
    data, settings = SYSTEMS[system]
    session = Session(RunSettings(system=system, seed=1), nested(settings))
    session.open(data)
    engine = session.begin(steps)
    folder = RunFolder.existing(run) if run.exists() else RunFolder.create(run, "", {})
    found = latest(folder.checkpoints)
    if found is not None:
        engine.load(found.tensors)
        folder.cut_records(found.step)
    return Loop(engine, folder, pace, rest.pop("draw", blank), rest.pop("watchers", ()), **rest)


def files(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


# What is written when


@pytest.mark.parametrize(
    ("every", "steps"), [(1, [1, 2, 3, 4, 5, 6, 7]), (3, [1, 3, 6, 7]), (7, [1, 7]), (100, [1, 7])]
)
def test_records_are_made_at_the_first_and_the_last_step_and_in_between(
    every: int, steps: list[int], tmp_path: Path
) -> None:
    ready(tmp_path / "run", Pace(every, 1000, 1000)).play(7)
    assert steps_of(tmp_path / "run") == steps


def test_a_record_has_every_term_the_rates_and_growing_seconds(tmp_path: Path) -> None:
    heard: list[Mapping[str, Any]] = []
    ready(tmp_path / "run", watchers=[heard.append]).play(3)
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    terms = {"discriminator.adversarial", "generator.adversarial", "discriminator.lr", "generator.lr"}
    terms |= {"logit.real", "logit.fake", "gradient.discriminator", "gradient.generator"}
    assert [set(line) for line in lines] == [{"step", "seconds", *terms}] * 3
    assert 0 <= lines[0]["seconds"] <= lines[1]["seconds"] <= lines[2]["seconds"]
    assert [(line["step"], line["steps"]) for line in heard] == [(1, 3), (2, 3), (3, 3)]
    assert all(heard[i][term] == lines[i][term] for i in range(3) for term in terms)


def test_checkpoints_and_grids_at_their_steps_and_at_the_ends(tmp_path: Path) -> None:
    saved: list[int] = []
    drawn: list[str] = []
    loop = ready(tmp_path / "run", Pace(1, 4, 3), draw=lambda path: drawn.append(path.name))
    save = loops.checkpoint.save
    loops.checkpoint.save = lambda folder, step, *rest: (saved.append(step), save(folder, step, *rest))[1]
    try:
        loop.play(10)
    finally:
        loops.checkpoint.save = save
    assert saved == [0, 3, 6, 9, 10]
    assert drawn == ["000004.png", "000008.png", "000010.png"]
    assert loop.grid == tmp_path / "run/samples/000010.png"
    assert files(tmp_path / "run/checkpoints") == ["000009", "000010"]


def test_a_last_step_is_saved_and_drawn_once(tmp_path: Path) -> None:
    drawn: list[str] = []
    ready(tmp_path / "run", Pace(1, 5, 5), draw=lambda path: drawn.append(path.name)).play(10)
    assert drawn == ["000005.png", "000010.png"]


# Nobody who looks on changes a bit


def final(run: Path) -> bytes:
    return next(iter(sorted((run / "checkpoints").iterdir(), reverse=True))).joinpath("state.safetensors").read_bytes()


def careless(record: Mapping[str, Any]) -> None:
    """A watcher that uses the default generators and computes gradients, as a notebook does."""
    torch.rand(3)
    torch.manual_seed(5)
    torch.nn.Linear(2, 2)(torch.rand(1, 2)).sum().backward()


@pytest.mark.parametrize("system", SYSTEMS)
def test_recording_drawing_and_saving_do_not_change_the_bits(system: str, tmp_path: Path) -> None:
    quiet = ready(tmp_path / "quiet", Pace(1000, 1000, 1000), system)
    quiet.play(8)
    busy = start(tmp_path / "busy", system, 20, at_step(8, asking(tmp_path / "busy", "stop")), careless, sample_every=2)
    assert busy.step == 8
    assert final(tmp_path / "quiet") == final(tmp_path / "busy")


def test_a_drawing_that_plays_with_the_system_itself_would_show(tmp_path: Path) -> None:
    """Seeded bug: samples from the system in training, whose batch statistics move with every pass."""
    loop = ready(tmp_path / "quiet", Pace(1, 1000, 1000), "dcgan")
    loop.play(8)
    bad = ready(tmp_path / "bad", Pace(1, 2, 1000), "dcgan")
    bad.draw = lambda path: bad.engine.system.generator(torch.zeros(4, 4))  # type: ignore[operator, assignment]
    bad.play(8)
    assert final(tmp_path / "quiet") != final(tmp_path / "bad")


class _Unspeakable:
    def __call__(self, record: Mapping[str, Any]) -> None:
        raise RuntimeError("no")

    def __repr__(self) -> str:
        raise RuntimeError("not even a name")


def failing(caught: BaseException) -> Callable[[Mapping[str, Any]], None]:
    def watcher(record: Mapping[str, Any]) -> None:
        raise caught

    return watcher


@pytest.mark.parametrize(
    "bad",
    [
        *map(failing, (ValueError("\x1b[31m"), MemoryError(), StopIteration(), AssertionError(), BrokenPipeError())),
        failing(error("E-ARG-01", reason="no")),
        _Unspeakable(),
    ],
)
def test_a_watcher_that_fails_is_named_and_not_called_again(
    bad: Callable[[Mapping[str, Any]], None], tmp_path: Path
) -> None:
    calls: Counter[str] = Counter()

    def counted(record: Mapping[str, Any]) -> None:
        calls["bad"] += 1
        bad(record)

    def good(record: Mapping[str, Any]) -> None:
        calls["good"] += 1

    assert ready(tmp_path / "run", watchers=[counted, good]).play(5) == "steps"
    assert calls == {"bad": 1, "good": 5}
    log = (tmp_path / "run/log.txt").read_text()
    assert log.count("failed and is not called again") == 1
    assert "counted failed" in log


def test_a_watcher_that_fails_at_the_first_message_does_not_stop_a_run(tmp_path: Path) -> None:
    assert start(tmp_path / "run", "gan", 3, failing(OSError("closed"))).step == 3
    assert ready(tmp_path / "other", watchers=[_Unspeakable()]).play(3) == "steps"


# Stopping


@pytest.mark.parametrize("word", ["stop", "stop\n"])
def test_a_request_stops_at_the_next_record(word: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    loop = ready(run, Pace(5, 1000, 1000), watchers=[at_step(10, asking(run, word))])
    assert loop.play(20) == "request"
    assert loop.engine.step == 10
    found = latest(run / "checkpoints")
    assert found is not None
    assert (found.step, found.until) == (10, 20)
    assert loop.grid == run / "samples/000010.png"


@pytest.mark.parametrize("word", ["go", "", "stop please", "\x00"])
def test_any_other_word_is_no_request(word: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert ready(run, watchers=[at_step(3, asking(run, word))]).play(6) == "steps"


def test_a_request_at_the_last_step_changes_nothing(tmp_path: Path) -> None:
    """All steps are done: that is why it stopped, and a resume has nothing to go on with."""
    run = tmp_path / "run"
    assert ready(run, watchers=[at_step(6, asking(run, "stop"))]).play(6) == "steps"


@pytest.mark.parametrize(("then", "stopped"), [("run", "steps"), ("stop", "request"), ("", "steps")])
def test_a_pause_waits_for_another_word(
    then: str, stopped: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            (run / "request").write_text(then)

    monkeypatch.setattr(loops.time, "sleep", sleep)
    loop = ready(run, watchers=[at_step(4, asking(run, "pause"))])
    assert loop.play(6) == stopped
    assert len(waited) == 3
    assert loop.engine.step == (6 if stopped == "steps" else 4)


def test_a_signal_ends_a_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    monkeypatch.setattr(loops.time, "sleep", lambda seconds: signalling(signal.SIGTERM)())
    loop = ready(run, watchers=[at_step(4, asking(run, "pause"))])
    assert loop.play(6) == "signal"
    assert (loop.signals.caught, loop.engine.step) == (signal.SIGTERM, 4)


@pytest.fixture
def heard() -> Iterator[None]:
    """The tests may themselves run where a hang-up is ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_lets_it_save(number: int, tmp_path: Path) -> None:
    before = signal.getsignal(number)
    loop = ready(tmp_path / "run", watchers=[at_step(3, signalling(number))])
    assert loop.play(6) == "signal"
    assert loop.signals.caught == number
    assert signal.getsignal(number) is before
    found = latest(tmp_path / "run/checkpoints")
    assert found is not None
    assert found.step == 3


def test_a_second_signal_ends_it_at_once_and_the_run_can_go_on(tmp_path: Path) -> None:
    def twice() -> None:
        signalling(signal.SIGTERM)()
        signalling(signal.SIGINT)()

    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        start(run, "gan", 20, at_step(12, twice), checkpoint_every=5)
    assert files(run / "checkpoints") == ["000005", "000010"]
    assert resume(run).step == 20


def test_what_was_ignored_stays_ignored(tmp_path: Path) -> None:
    """`nohup` ignores SIGHUP so that a run outlives its terminal; a handler of ours would stop it instead."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert ready(tmp_path / "run", watchers=[at_step(3, signalling(signal.SIGHUP))]).play(6) == "steps"
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_handler_that_is_not_pythons_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops.signal, "getsignal", lambda number: None)
    signals = Signals()
    with signals.listening():
        assert signals._listening == []


def test_in_another_thread_it_plays_without_listening(tmp_path: Path) -> None:
    ended: list[str] = []
    thread = threading.Thread(target=lambda: ended.append(ready(tmp_path / "run").play(3)))
    thread.start()
    thread.join()
    assert ended == ["steps"]


# Failing


def test_a_refused_update_is_named_logged_and_not_saved(tmp_path: Path) -> None:
    run = tmp_path / "run"
    loop = ready(run, Pace(1, 1000, 3))

    def spoil() -> None:
        next(loop.engine.system.generator.parameters()).data.fill_(float("nan"))  # type: ignore[union-attr]

    loop.watchers = [at_step(7, spoil)]
    with pytest.raises(TrainingError, match=r"E-TRAIN-01.*step 8") as caught:
        loop.play(20)
    assert caught.value.exit_code == 6
    found = latest(run / "checkpoints")
    assert found is not None
    assert found.step == 6
    assert all(tensor.isfinite().all() for tensor in found.tensors.values())
    assert "step 8 failed: error[E-TRAIN-01]" in (run / "log.txt").read_text()


def test_a_full_disk_does_not_hide_why_a_training_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = ready(tmp_path / "run")

    def refuse(message: str) -> None:
        raise error("E-ENV-01", path="log.txt")

    def fail() -> dict[str, torch.Tensor]:
        raise MemoryError("not enough")

    monkeypatch.setattr(loop.run, "log", refuse)
    monkeypatch.setattr(loop.engine, "round", fail)
    with pytest.raises(MemoryError):
        loop.play(3)


STEPS, PACE = 4, Pace(1, 2, 2)


def _whole_run(run: Path) -> None:
    def draw(path: Path) -> None:
        path.write_bytes(b"picture")

    loop = ready(run, PACE, draw=draw, steps=STEPS)
    with loop.run:
        loop.play(STEPS)


def _count_operations(at: Path) -> list[str]:
    at.mkdir()
    watched = Disk(at)
    with watched.watching():
        _whole_run(at / "run")
    return [name for name, _ in watched.seen]


def _refused(at: Path, plan: Callable[[int, str], int | None]) -> GanworksError | None:
    """How a whole run ends on a disk that refuses something."""
    try:
        with Disk(at, plan).watching():
            _whole_run(at / "run")
    except GanworksError as caught:
        return caught
    return None


def test_the_disk_may_refuse_anything_at_any_time(tmp_path: Path) -> None:
    """Operations of a whole run fail in turn: exit 4, then a resume comes to the same bits and records."""
    operations = _count_operations(tmp_path / "whole")
    wanted = final(tmp_path / "whole/run"), records(tmp_path / "whole/run")
    landed: Counter[str] = Counter()
    for number in range(0, len(operations), 2):
        at = tmp_path / str(number)
        at.mkdir()
        plan = once if number % 4 else from_now_on
        caught = _refused(at, plan(number, errno.ENOSPC))
        assert caught is None or caught.code == "E-ENV-01"
        landed[operations[number]] += caught is not None
        _whole_run(at / "run")
        assert (final(at / "run"), records(at / "run")) == wanted, f"operation {number}"
        assert [each.name for each in at.iterdir()] == ["run"]
    print("refusals that ended the run landed at", dict(landed))
    assert landed.keys() >= {"mkdir", "open", "write", "fsync", "rename"}
    assert sum(landed.values()) > 25


# How long


def test_a_time_becomes_steps_once_and_the_run_is_theirs(tmp_path: Path) -> None:
    settings = SYSTEMS["gan"][1] | {"sample.every": 1000}
    timed = train(Order(data="ring", system="gan", time=0.1, seed=1, run=tmp_path / "timed", overrides=settings))
    steps = read(tmp_path / "timed/config.toml")["steps"]
    assert timed.step == steps > 0
    same = start(tmp_path / "same", "gan", steps)
    assert left(same.run) == left(timed.run)


def test_more_time_goes_on_beyond_the_plan(tmp_path: Path) -> None:
    start(tmp_path / "run", "gan", 5)
    longer = resume(tmp_path / "run", time=0.1)
    assert longer.step > 5
    assert read(tmp_path / "run/config.toml")["steps"] == 5


def test_steps_and_time_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="E-USE-01"):
        train(Order(data="ring", steps=3, time=1.0, run=tmp_path / "run"))
    assert not (tmp_path / "run").exists()
    start(tmp_path / "run", "gan", 3)
    with pytest.raises(UsageError, match="E-USE-01"):
        resume(tmp_path / "run", steps=5, time=1.0)


def test_seconds_go_on_where_they_were(tmp_path: Path) -> None:
    ready(tmp_path / "run", steps=5).play(5)
    spent = json.loads((tmp_path / "run/metrics.jsonl").read_text().splitlines()[-1])["seconds"]
    loop = ready(tmp_path / "run", steps=5, seconds=spent + 100)
    loop.play(6)
    assert json.loads((tmp_path / "run/metrics.jsonl").read_text().splitlines()[-1])["seconds"] > 100
