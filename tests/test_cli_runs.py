"""`ganworks runs`: where each run stands, read from its folder alone, however broken that is."""

import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from small_runs import asking, at_step, start

from ganworks import history
from ganworks.cli.app import main
from ganworks.errors import ResourceError
from ganworks.training import disk

SCORE = {
    "metric": "high_quality", "feature_space": "points", "value": 0.5, "low": 0.4, "high": 0.6, "level": 0.95,
    "samples": 100, "reference_samples": 0, "real": 0.98,
}  # fmt: skip


def a_run(path: Path, log: str = "", records: int = 3, steps: int = 9) -> Path:
    """The folder of a run as far as `runs` reads it."""
    (path / "checkpoints/000003").mkdir(parents=True)
    (path / "config.toml").write_text(f'data = "ring"\nsystem = "gan"\nsteps = {steps}\n')
    (path / "checkpoints/000003/state.safetensors").write_bytes(b"12345")
    manifest = {"format": 1, "step": 3, "until": steps, "bytes": 5, "sha256": "", "seal": ""}
    (path / "checkpoints/000003/manifest.json").write_text(json.dumps(manifest))
    lines = [
        {
            "step": step,
            "generator.adversarial": 0.5,
            "generator.consistency": 0.25,
            "generator.lr": 9.0,
            "optimum.jsd": 0.3,
            "seconds": 7.5,
        }
        for step in range(1, records + 1)
    ]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (path / "log.txt").write_text("".join(f"2026-01-01 10:00:00  {line}\n" for line in log.splitlines()))
    return path


def listed(capsys: pytest.CaptureFixture[str], folder: Path) -> dict[str, dict[str, Any]]:
    assert main(["runs", str(folder), "--json"]) == 0
    return {row["name"]: row for row in json.loads(capsys.readouterr().out)}


def state_of(path: Path) -> tuple[str, str]:
    run = history.read(path)
    return run.state, run.reason


# Where a run stands


def test_runs_that_were_played_say_how_they_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start(tmp_path / "whole", "gan", 4)
    start(tmp_path / "asked", "gan", 40, at_step(3, asking(tmp_path / "asked", "stop")), record_every=1)
    rows = listed(capsys, tmp_path)
    assert (rows["whole"]["state"], rows["whole"]["step"], rows["whole"]["steps"]) == ("finished", 4, 4)
    assert rows["asked"]["state"] == "stopped"
    assert rows["asked"]["reason"] == "request"
    assert (rows["asked"]["step"], rows["asked"]["steps"], rows["asked"]["checkpoint"]) == (3, 40, 3)
    assert (rows["asked"]["system"], rows["asked"]["data"], rows["asked"]["pid"]) == ("gan", "ring", None)
    assert set(rows["asked"]["losses"]) == {"generator", "discriminator"}


def test_a_training_that_failed_says_why(tmp_path: Path) -> None:
    overrides = {"generator_lr": 1e30, "record_every": 1}
    with pytest.raises(Exception, match="not finite"):
        start(tmp_path / "run", "gan", 40, **overrides)
    state, reason = state_of(tmp_path / "run")
    assert state == "failed"
    assert "is not finite at step" in reason


def test_the_last_event_of_the_log_counts(tmp_path: Path) -> None:
    done = "gan on ring: 5 points, 9 steps of 4\nstopped at step 9: steps"
    assert state_of(a_run(tmp_path / "a", done)) == ("finished", "")
    assert state_of(a_run(tmp_path / "b", "stopped at step 4: signal")) == ("stopped", "signal")
    assert state_of(a_run(tmp_path / "c", f"{done}\ngan on ring: from step 9 to 20")) == ("killed", "")
    failed = "step 4 failed: error[E-TRAIN-01]: adversarial of the generator is not finite at step 4"
    assert state_of(a_run(tmp_path / "d", failed))[0] == "failed"
    assert state_of(a_run(tmp_path / "e", f"{failed}\ngan on ring: from step 3 to 9\nstopped at step 9: steps")) == (
        "finished",
        "",
    )
    assert state_of(a_run(tmp_path / "f", f"{done}\nthe watcher stopped at nothing"))[0] == "finished"


HOLD = """
import sys, time
from pathlib import Path
from ganworks.training.folder import RunFolder
with RunFolder.existing(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def player(tmp_path: Path):
    """Another process that holds the run at tmp_path/run."""
    a_run(tmp_path / "run", "gan on ring: from step 3 to 9")
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_run_that_is_played_has_a_pid_until_it_is_killed(tmp_path: Path, player: subprocess.Popen[str]) -> None:
    run = history.read(tmp_path / "run")
    assert (run.state, run.pid) == ("running", player.pid)
    for request, state in {"pause": "paused", "stop": "stopping", "run": "running"}.items():
        (tmp_path / "run/request").write_text(request + "\n")
        assert history.read(tmp_path / "run").state == state
    player.send_signal(signal.SIGKILL)
    player.wait()
    assert (tmp_path / "run/.owner").exists()
    run = history.read(tmp_path / "run")
    assert (run.state, run.pid) == ("killed", None)


def test_another_process_with_that_number_is_not_the_player(tmp_path: Path) -> None:
    """Numbers are given again, and a run that was killed would be shown as running for ever."""
    if not Path("/proc/locks").exists():
        pytest.skip("only Linux lists who holds a lock")
    run = a_run(tmp_path / "run", "gan on ring: from step 3 to 9")
    (run / ".owner").write_text(str(os.getppid()))
    assert state_of(run) == ("killed", "")


def test_listing_gets_in_nobodys_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever tries the lock to see whether it is held makes a resume fail now and then."""
    run = a_run(tmp_path / "run")
    before = {each: each.stat().st_mtime_ns for each in run.rglob("*")}

    def taken(*_: object) -> None:
        raise AssertionError("somebody tried the lock")

    for name in ("flock", "lockf"):
        monkeypatch.setattr(fcntl, name, taken)
    (run / ".owner").write_text(str(os.getppid()))
    assert len(history.runs(tmp_path)) == 1
    (run / ".owner").write_text(str(os.getpid()))
    assert len(history.runs(tmp_path)) == 1
    (run / ".owner").unlink()
    assert {each: each.stat().st_mtime_ns for each in run.rglob("*")} == before


# What cannot be read


def test_a_torn_last_line_and_foreign_lines_are_passed_over(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    with (run / "metrics.jsonl").open("a") as file:
        file.write('[1]\n{"step": -1}\n{"step": "5"}\n\xff\n' + "[" * 20_000 + '\n{"step": 4, "generator.adv')
    found = history.read(run)
    assert found.step == 3
    assert found.losses == {"generator": 0.75}
    assert found.seconds == 7.5
    assert [record["step"] for record in history.records(run)] == [1, 2, 3]


def test_only_the_end_of_long_files_is_read(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", "x\n" * 100_000 + "stopped at step 9: steps", records=20_000)
    found = history.read(run)
    assert (found.step, found.state) == (20_000, "finished")


def test_a_half_written_checkpoint_is_not_counted(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", "stopped at step 4: request")
    later = run / "checkpoints/000004"
    later.mkdir()
    (later / "manifest.json").write_text('{"step": 4, "until": 99, "bytes": 7}')
    (later / "state.safetensors").write_bytes(b"123")
    assert history.read(run).checkpoint == 3
    (run / "checkpoints/000003/state.safetensors").unlink()
    assert state_of(run) == ("broken", "none of its checkpoints is whole")


def broken_folders(place: Path) -> None:
    a_run(place / "toml").joinpath("config.toml").write_text("steps = [")
    a_run(place / "bytes").joinpath("config.toml").write_bytes(b"\xff\xfe")
    a_run(place / "nested").joinpath("config.toml").write_text("a = " + "[" * 100_000)
    a_run(place / "gone").joinpath("config.toml").unlink()
    os.mkfifo(a_run(place / "pipe").joinpath("config.toml.x"))
    (place / "pipe/config.toml").unlink()
    (place / "pipe/config.toml.x").rename(place / "pipe/config.toml")
    (place / "only-records").mkdir()
    (place / "only-records/metrics.jsonl").write_text("")
    (place / "loop").mkdir()
    (place / "loop/config.toml").symlink_to("config.toml")
    a_run(place / "file").joinpath("checkpoints/000003/manifest.json").write_text("[]")


def test_broken_folders_are_shown_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken_folders(tmp_path)
    rows = listed(capsys, tmp_path)
    assert set(rows) == {"toml", "bytes", "nested", "gone", "pipe", "only-records", "loop", "file"}
    for row in rows.values():
        assert row["state"] == "broken", row
        assert row["reason"], row
    assert rows["toml"]["reason"].startswith("config.toml is no valid TOML: ")
    assert rows["gone"]["reason"] == "config.toml is not there or cannot be read"
    assert main(["runs", str(tmp_path)]) == 0
    assert "gone: config.toml is not there or cannot be read" in capsys.readouterr().out


def test_odd_files_inside_a_run_are_no_crash(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", "stopped at step 9: steps")
    for name in ("scores.json", "environment.json", ".owner", "request"):
        for content in (b"", b"\xff\xff", b"[]", b"null", b'{"step": 1}', b"9" * 5000, b"-1", b"[" * 100_000):
            (run / name).write_bytes(content)
            assert history.read(run).state == "finished"
    for name in ("metrics.jsonl", "log.txt"):
        (run / name).unlink()
        os.mkfifo(run / name)  # opening one waits for ever
    assert history.read(run).state == "killed"
    (run / "config.toml").write_text("steps = 'many'\nsystem = 3\n")
    found = history.read(run)
    assert (found.system, found.steps) == ("3", 9)


def test_other_folders_and_half_made_ones_are_no_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a_run(tmp_path / "one")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "my-gan").mkdir()
    (tmp_path / "my-gan/config.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("x")
    a_run(tmp_path / ".run-1234.partial")
    assert set(listed(capsys, tmp_path)) == {"one"}


# The list


def test_the_last_written_comes_last_and_a_run_stands_for_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = time.time()
    for age, name in enumerate(("c", "a", "b")):
        run = a_run(tmp_path / name)
        for each in [run, *run.rglob("*")]:
            os.utime(each, (now - 1000 * age,) * 2)
    assert list(listed(capsys, tmp_path)) == ["b", "a", "c"]
    assert list(listed(capsys, tmp_path / "a")) == ["a"]
    assert 990 < listed(capsys, tmp_path)["a"]["age"] < 1100


def test_nothing_there_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["runs"]) == 0
    assert capsys.readouterr().out == "there are no runs in runs yet: ganworks train makes the first\n"
    assert main(["runs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert main(["runs", "nowhere"]) == 2
    assert "E-RUN-02" in capsys.readouterr().err


def test_the_table_names_what_a_person_looks_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history.write_scores(a_run(tmp_path / "ring 1", "stopped at step 3: request"), 3, [SCORE])
    assert main(["runs", str(tmp_path)]) == 0
    head, row, _, last = capsys.readouterr().out.splitlines()
    assert head.split() == ["run", "state", "system", "data", "step", "time", "losses", "score", "written"]
    assert row.split("  ")[0] == "ring 1"
    for word in ("stopped", "gan", "ring", "3/9", "8s", "G 0.75", "high_quality 0.5", "ago"):
        assert word in row
    assert last.endswith(f"ganworks resume '{tmp_path}/ring 1'")
    assert max(map(len, (head, row))) < 130


# Scores


def test_scores_are_kept_and_replaced_whole(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    assert history.read_scores(run) is None
    history.write_scores(run, 3, [SCORE])
    history.write_scores(run, 9, [SCORE | {"value": float("nan")}, SCORE])
    found = history.read_scores(run)
    assert found == history.Scored(9, [SCORE | {"value": None}, SCORE])
    assert not [each.name for each in run.iterdir() if each.name.startswith(".scores")]


def test_scores_of_another_form_are_left_out(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    odd: list[Any] = [3, {}, SCORE | {"samples": -1}, SCORE | {"value": "good"}, {"metric": "x"}]
    (run / "scores.json").write_text(json.dumps({"step": 9, "scores": [*odd, SCORE]}))
    found = history.read_scores(run)
    assert found is not None
    assert found.scores == [SCORE]


def test_a_full_disk_leaves_the_old_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = a_run(tmp_path / "run")
    history.write_scores(run, 3, [SCORE])

    def full(path: Path, content: bytes) -> None:
        path.write_bytes(content[:5])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "write_synced", full)
    with pytest.raises(ResourceError, match="E-ENV-01"):
        history.write_scores(run, 9, [])
    assert history.read_scores(run) == history.Scored(3, [SCORE])
    assert not [each.name for each in run.iterdir() if each.name.startswith(".scores")]


# What it costs


def test_a_hundred_runs_take_well_under_a_second_and_no_torch(tmp_path: Path) -> None:
    for number in range(100):
        a_run(tmp_path / f"ring-{number:04d}", "gan on ring: 5 points\n" * 50, records=2_000)
    code = (
        "import sys; from ganworks.cli.app import main; code = main(['runs', sys.argv[1]])\n"
        "print('loaded:', *[name for name in ('torch', 'pydantic', 'numpy') if name in sys.modules]); sys.exit(code)"
    )

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.stdout.splitlines()[-1] == "loaded:", done.stderr
        assert len(done.stdout.splitlines()) > 100
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(2)) < 0.8
