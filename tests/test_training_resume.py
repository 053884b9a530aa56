"""Resume: to the last bit what an unbroken run is, wherever and however it was stopped."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from small_runs import SYSTEMS, asking, at_step, left, records, signalling, start, steps_of

from ganworks import systems
from ganworks.errors import GanworksError, ModelError, UsageError
from ganworks.session import resume
from ganworks.training import checkpoint
from ganworks.training.checkpoint import latest

ROOT = Path(__file__).parents[1]


class Unbroken(dict[str, dict[str, Any]]):
    """What runs of 40 steps leave that nobody disturbs, each made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __missing__(self, system: str) -> dict[str, Any]:
        self[system] = left(start(self.folder / system, system).run)
        return self[system]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Unbroken:
    return Unbroken(tmp_path_factory.mktemp("unbroken"))


def test_every_system_takes_part() -> None:
    ours = {name for name in systems.names() if systems.get(name).__module__.startswith("ganworks.")}
    elsewhere = {"mixture"}  # all that one does it does before the first step
    elsewhere |= {"pix2pix", "cyclegan", "stargan"}  # on pairs and domains: test_session_translators
    assert set(SYSTEMS) == ours - elsewhere


@pytest.mark.parametrize(
    ("system", "stop"), [*((each, "request") for each in SYSTEMS), ("gan", "SIGTERM"), ("biggan", "SIGINT")]
)
def test_stopped_and_resumed_is_unbroken(system: str, stop: str, tmp_path: Path, unbroken: Unbroken) -> None:
    run = tmp_path / "run"
    number = None if stop == "request" else signal.Signals[stop]
    first = start(run, system, 40, at_step(20, asking(run, "stop\n") if number is None else signalling(number)))
    assert (first.step, first.stopped, first.signal) == (20, "request" if number is None else "signal", number)
    second = resume(run)
    assert (second.step, second.stopped) == (40, "steps")
    assert left(run) == unbroken[system]


@pytest.mark.parametrize("steps", [[1], [39], [3, 4, 25]])
def test_stopped_anywhere_and_often(steps: list[int], tmp_path: Path, unbroken: Unbroken) -> None:
    run = tmp_path / "run"
    start(run, "gan", 40, at_step(steps[0], asking(run, "stop")))
    for step in steps[1:]:
        assert resume(run, watchers=[at_step(step, asking(run, "stop"))]).step == step
    resume(run)
    assert left(run) == unbroken["gan"]


def test_killed_before_its_first_step_it_starts_over(tmp_path: Path, unbroken: Unbroken) -> None:
    run = tmp_path / "run"
    start(run, "gan", 40, at_step(5, asking(run, "stop")))
    for each in (run / "checkpoints").iterdir():
        shutil.rmtree(each)
    assert resume(run).step == 40
    assert left(run) == unbroken["gan"]


def interrupted() -> None:
    raise KeyboardInterrupt


def test_what_was_not_saved_is_played_again(tmp_path: Path, unbroken: Unbroken) -> None:
    """Records after the last checkpoint are dropped, not doubled."""
    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        start(run, "gan", 40, at_step(18, interrupted), checkpoint_every=5)
    assert steps_of(run)[-1] == 18
    resume(run, watchers=[at_step(16, lambda: None)])
    found = left(run)
    assert found["records"] == unbroken["gan"]["records"]
    assert found["state"] == unbroken["gan"]["state"]


def test_a_broken_checkpoint_costs_the_way_from_the_older_one_and_is_told(tmp_path: Path, unbroken: Unbroken) -> None:
    run = tmp_path / "run"
    start(run, "gan", 40, at_step(12, asking(run, "stop")), checkpoint_every=5)
    (run / "checkpoints/000012/state.safetensors").write_bytes(b"torn")
    messages: list[str] = []
    result = resume(run, watchers=[lambda record: messages.append(str(record.get("message")))])
    told = "checkpoint 000012 is damaged: its hash does not agree; an older one is taken"
    assert told in result.notes
    assert told in messages
    assert told in (run / "log.txt").read_text()
    assert left(run)["state"] == unbroken["gan"]["state"]
    assert sorted(each.name for each in (run / "checkpoints").iterdir()) == ["000035", "000040"]


def test_all_checkpoints_broken_is_exit_5_and_changes_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    start(run, "gan", 10, checkpoint_every=5)
    for each in (run / "checkpoints").iterdir():
        (each / "manifest.json").write_text("{}")
    before = tree(run)
    with pytest.raises(ModelError) as caught:
        resume(run)
    assert caught.value.exit_code == 5
    assert len(caught.value.details) == 2
    assert tree(run) == before


def tree(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


# Going further


def test_an_extension_equals_itself_when_interrupted(tmp_path: Path) -> None:
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    start(straight, "gan", 20)
    resume(straight, steps=40)
    start(broken, "gan", 20)
    assert resume(broken, steps=40, watchers=[at_step(30, asking(broken, "stop"))]).step == 30
    assert resume(broken).step == 40  # where it was to end is known
    assert left(broken) == left(straight)
    assert (straight / "config.toml").read_text().splitlines()[2] == "steps = 20"  # the horizon stays


def test_an_extension_killed_before_its_first_save_is_still_one(tmp_path: Path) -> None:
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    start(straight, "gan", 20)
    resume(straight, steps=40)
    start(broken, "gan", 20)
    with pytest.raises(KeyboardInterrupt):
        resume(broken, steps=40, watchers=[at_step(25, interrupted)])
    assert resume(broken).step == 40
    assert left(broken) == left(straight)


def test_a_schedule_holds_its_last_value_beyond_the_horizon(tmp_path: Path) -> None:
    run = tmp_path / "run"
    start(run, "gan", 10, **{"generator.lr": {"from": 1e-3, "to": 1e-4, "over": [0.0, 1.0]}})
    resume(run, steps=15)
    assert {line["generator.lr"] for line in records(run)[-5:]} == {1e-4}


def test_a_finished_run_says_how_to_go_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    start(run, "gan", 10)
    before = left(run)
    for steps in (None, 10, 5):
        with pytest.raises(UsageError, match="E-RUN-03") as caught:
            resume(run, steps=steps)
        assert caught.value.remedy == f"ganworks resume {run} --steps 20"
    assert left(run) == before


@pytest.mark.parametrize("what", ["nothing", "an empty folder", "a file", "another tool's folder"])
def test_what_is_no_run_is_exit_2(what: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    if what != "nothing" and what != "a file":
        path.mkdir()
    if what == "a file":
        path.write_text("x")
    if what == "another tool's folder":
        (path / "config.toml").write_text("")
        (path / "model.pt").write_bytes(b"\x80\x02")
    before = tree(tmp_path)
    with pytest.raises(UsageError, match="E-RUN-02"):
        resume(path)
    assert tree(tmp_path) == before


def test_a_changed_setting_that_changes_the_weights_is_refused(tmp_path: Path) -> None:
    """Also where no checkpoint knows the settings, as in the first format."""
    run = tmp_path / "run"
    start(run, "gan", 10)
    for each in (run / "checkpoints").glob("*/manifest.json"):
        manifest = json.loads(each.read_text())
        del manifest["settings"], manifest["seal"]
        each.write_bytes(checkpoint._text(checkpoint._Manifest(**{**manifest, "format": 1}).sealed()))
    text = (run / "config.toml").read_text()
    (run / "config.toml").write_text(text.replace("width = 4", "width = 5"))
    with pytest.raises(GanworksError, match="E-MODEL-02") as caught:
        resume(run, steps=20)
    assert caught.value.exit_code == 5
    assert "average/generator.body.0.bias: float32 [4], and not float32 [5]" in caught.value.details


def test_another_thread_count_or_torch_is_told(tmp_path: Path) -> None:
    run = tmp_path / "run"
    start(run, "gan", 10)
    surroundings = json.loads((run / "environment.json").read_text())
    (run / "environment.json").write_text(json.dumps(surroundings | {"torch": "2.11.0", "processor": "an abacus"}))
    notes = " ".join(resume(run, steps=12).notes)
    assert "torch was 2.11.0 and is" in notes
    assert "processor was an abacus" in notes
    assert "threads" not in notes


# The real command


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_the_command_stops_on_a_signal_and_resumes_exactly(name: str, code: int, tmp_path: Path) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    words = ["train", "ring", "--system", "gan", "--steps", "100000", "--seed", "1", "--run", str(run), "--json"]
    settings = {**SYSTEMS["gan"][1], "record.every": 1}
    words += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "ganworks", *words]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_records(run, 20, child)
    child.send_signal(signal.Signals[name])
    begun = time.monotonic()
    out, err = child.communicate(timeout=60)
    assert child.returncode == code, err
    assert time.monotonic() - begun < 10
    assert "Traceback" not in err
    said = json.loads(out)
    stopped_at = said["step"]
    assert said == {"run": str(run), "step": stopped_at, "stopped": "signal", "scores": [], "verdicts": []}
    found = latest(run / "checkpoints")
    assert found is not None
    assert (found.step, found.until) == (stopped_at, 100_000)
    resume(run, watchers=[at_step(stopped_at + 50, asking(run, "stop"))])
    start(other, "gan", 100_000, at_step(stopped_at + 50, asking(other, "stop")), record_every=1)
    assert left(run)["state"] == left(other)["state"]


def wait_for_records(run: Path, count: int, child: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not (run / "metrics.jsonl").exists() or len((run / "metrics.jsonl").read_bytes().splitlines()) < count:
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


# kill -9


def test_killed_at_any_moment_it_is_unbroken_and_the_harness_catches_seeded_bugs() -> None:
    """15 kills, two of three inside a save; then six bugs. `make soak` has 100."""
    code = (
        "import json\n"
        "from benchmarks.soak import BUGS, catches, soak\n"
        "print(json.dumps([soak(15, 0), {bug: catches(bug) for bug in BUGS}]))"
    )
    surroundings = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=surroundings, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    found, bugs = json.loads(done.stdout)
    print("kills landed at", found["landed"], "and runs went on from", found["resumed_from"])
    assert found["difference"] == ""
    assert found["kills"] == 15
    assert found["inside_a_save"] >= 8
    assert len(found["resumed_from"]) >= 8
    assert found["complete_runs"] >= 1
    assert len(bugs) >= 5
    assert [bug for bug, result in bugs.items() if not result["caught"]] == []
