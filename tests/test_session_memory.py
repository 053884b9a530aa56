"""Out of memory: said at what, with a smaller command to paste; nothing is half written, the last checkpoint stands."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_runs import SYSTEMS, asking, at_step, left, start

from ganworks import machine, scoring
from ganworks.cli.app import main
from ganworks.errors import ResourceError
from ganworks.session import prepared, resume, train
from ganworks.session.order import Order
from ganworks.session.prepared import Session
from ganworks.training import checkpoint
from ganworks.training.checkpoint import latest

TORCH = "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"

LIMITED = """
import resource, sys
from pathlib import Path
import ganworks.gan
from ganworks.cli.app import main
room, words = int(sys.argv[1]) << 20, sys.argv[2:]
pages = int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + room,) * 2)
sys.exit(main(words))
"""


def limited(room: int, *words: str) -> "subprocess.CompletedProcess[str]":
    """`ganworks` in a process that gets so many MB more."""
    command = [sys.executable, "-c", LIMITED, str(room), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def named(run: Path) -> list[str]:
    return sorted(str(each.relative_to(run)) for each in run.rglob("*") if each.is_file())


WIDE = ("--system", "dcgan", "--set", "generator.width=32", "--set", "discriminator.width=32")


def test_a_batch_that_does_not_fit_at_the_start(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = limited(300, "train", "digits", *WIDE, "--batch", "3000", "--run", str(run))
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    first, last = done.stderr.splitlines()[0], done.stderr.splitlines()[-1]
    assert first.startswith("error[E-ENV-03]: there is not enough memory: the start of dcgan with batch 3000 on images")
    assert last.startswith("do:  ganworks train digits --system dcgan --batch 2048 ")
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_does_not_fit_and_the_smaller_one_that_does(tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["train", "digits", *WIDE, "--batch", "2048", "--steps", "3", "--run", str(run)]
    done = limited(300, *words)
    assert done.returncode == 4, done.stderr
    assert "step 1 of dcgan with batch 2048 on images of 1 x 28 x 28" in done.stderr
    assert f"the last checkpoint stands, and goes on with more memory: ganworks resume {run}" in done.stderr
    found = latest(run / "checkpoints")
    assert found is not None
    assert found.step == 0
    assert not [name for name in named(run) if "partial" in name]
    smaller = shlex.split(done.stderr.splitlines()[-1].removeprefix("do:  ganworks "))
    assert smaller[smaller.index("--batch") + 1] == "1024"
    while "--batch" in smaller:  # as often as it says so
        done = limited(300, *smaller, "-q")
        if not done.returncode:
            break
        smaller = shlex.split(done.stderr.splitlines()[-1].removeprefix("do:  ganworks "))
    assert done.returncode == 0, done.stderr


def test_the_largest_batch_that_fits_is_found(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = limited(250, "train", "digits", *WIDE, "--batch", "auto", "--steps", "2", "--run", str(run))
    assert done.returncode == 0, done.stderr
    assert "batch " in done.stderr


# Wherever it happens: seeded


def failing(*_: Any, **__: Any) -> Any:
    raise RuntimeError(TORCH)


def caught_in(run: Path, **rest: Any) -> ResourceError:
    data, settings = SYSTEMS["gan"]
    order = Order(data=data, system="gan", steps=9, run=run, overrides={**settings, "sample.every": 1000}, **rest)
    with pytest.raises(ResourceError, match="E-ENV-03") as caught:
        train(order)
    assert caught.value.exit_code == 4
    return caught.value


def test_reading_the_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(prepared.datasets, "open", failing)
    found = caught_in(tmp_path / "run")
    assert found.what == "there is not enough memory: reading the data"
    assert found.remedy == "free some memory, or give fewer data"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("raised", [MemoryError(), RuntimeError(TORCH), RuntimeError("std::bad_alloc")])
def test_building_the_networks(raised: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise raised

    monkeypatch.setattr(Session, "new_engine", fail)
    assert caught_in(tmp_path / "run").what.endswith("the start of gan with batch 4 on points of 2")
    assert not (tmp_path / "run").exists()


def test_a_grid(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Session, "picture", failing)
    found = caught_in(tmp_path / "run")
    assert "the sample grid of step 9 of gan with batch 4" in found.what
    saved = latest(tmp_path / "run" / "checkpoints")
    assert saved is not None
    assert saved.step == 9  # nothing of the training is lost


def test_a_save(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run, save = tmp_path / "run", checkpoint.save

    def fail_later(folder: Path, step: int, *rest: Any) -> Path:
        return failing() if step else save(folder, step, *rest)

    monkeypatch.setattr(checkpoint, "save", fail_later)
    assert "of gan with batch 4" in caught_in(run).what
    assert sorted(each.name for each in (run / "checkpoints").iterdir()) == ["000000"]


def test_scores_that_do_not_fit_lose_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = start(tmp_path / "whole", "gan", 20).run
    monkeypatch.setattr(scoring, "evaluate", failing)
    heard: list[str] = []
    result = start(tmp_path / "run", "gan", 20, lambda record: heard.append(str(record.get("message"))))
    assert (result.stopped, result.scores) == ("steps", [])
    (note,) = [note for note in result.notes if note.startswith("there is not enough memory for the scores")]
    assert note in heard
    assert note in (tmp_path / "run" / "log.txt").read_text()
    assert left(tmp_path / "run") == left(whole)


def test_other_mistakes_in_scores_are_not_hidden(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(scoring, "evaluate", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        start(tmp_path / "run", "gan", 5)


def test_a_resume_says_how_to_go_on_smaller(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run = tmp_path / "run"
    start(run, "gan", 10, at_step(5, asking(run, "stop")))
    before = left(run)["state"]
    monkeypatch.setattr("ganworks.training.engine.Engine.round", failing)
    with pytest.raises(ResourceError, match="E-ENV-03") as caught:
        resume(run)
    assert "step 6 of gan with batch 4" in caught.value.what
    assert caught.value.remedy == f"ganworks train ring --batch 2 --from {run}"
    assert left(run)["state"] == before


def test_a_batch_of_one_is_made_narrower(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("ganworks.training.engine.Engine.round", failing)
    found = caught_in(tmp_path / "run", batch=1)
    assert "--set generator.width=2 --set discriminator.width=2" in found.remedy


def test_the_command_says_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ganworks.training.engine.Engine.round", failing)
    run = tmp_path / "run"
    assert main(["train", "ring", "--system", "gan", "--batch", "48", "--steps", "3", "--run", str(run)]) == 4
    assert "do:  ganworks train ring --system gan --steps 3 --batch 32" in capsys.readouterr().err


def test_a_kernel_that_is_not_there_is_no_lack_of_memory() -> None:
    assert machine.ran_out(RuntimeError("could not create a primitive"))
    assert not machine.ran_out(RuntimeError("could not create a primitive descriptor for a convolution"))


@pytest.mark.parametrize("caught", [MemoryError(), RuntimeError(TORCH), RuntimeError("std::bad_alloc")])
def test_what_running_out_looks_like(caught: Exception) -> None:
    assert machine.ran_out(caught)
    assert not machine.ran_out(RuntimeError("shapes differ"))
