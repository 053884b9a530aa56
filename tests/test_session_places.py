"""Where a run lies: folders that vanish, places that cannot be written, and names of every kind."""

import os
import shlex
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from small_runs import asking, at_step, left, start

from ganworks.cli.app import main
from ganworks.errors import GanworksError, ResourceError
from ganworks.gan import GAN
from ganworks.session import resume

# Python 3.12 warns of a fork beside threads; this child uses neither threads nor their locks.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


@pytest.mark.parametrize("what", ["renamed", "moved", "deleted"])
def test_a_run_folder_that_vanishes_stops_the_run_in_words(what: str, tmp_path: Path) -> None:
    run, new = tmp_path / "run", tmp_path / ("renamed" if what == "renamed" else "elsewhere/run")
    new.parent.mkdir(exist_ok=True)
    vanish = (lambda: shutil.rmtree(run)) if what == "deleted" else (lambda: run.rename(new))
    with pytest.raises(ResourceError, match=r"E-ENV-05.*is gone: moved or deleted") as caught:
        start(run, "gan", 40, at_step(12, vanish), checkpoint_every=5)
    assert caught.value.exit_code == 4
    assert not run.exists(), "nothing is made anew in its old place"
    if what != "deleted":
        assert resume(new).step == 40
        assert left(new)["state"] == left(start(tmp_path / "unbroken", "gan", 40).run)["state"]


@pytest.mark.parametrize("part", ["samples", "checkpoints"])
def test_a_part_that_vanishes_is_made_again(part: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = start(run, "gan", 20, at_step(8, lambda: shutil.rmtree(run / part)), checkpoint_every=5)
    assert result.step == 20
    assert names(run / part)


def test_the_command_says_that_a_run_folder_has_vanished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"

    def rename_it() -> None:
        while not (run / "metrics.jsonl").exists() or not (run / "metrics.jsonl").stat().st_size:
            threading.Event().wait(0.01)
        run.rename(tmp_path / "renamed")

    thread = threading.Thread(target=rename_it)
    thread.start()
    assert main(["train", "ring", "--system", "gan", "--steps", "200000", "--run", str(run), "-q"]) == 4
    thread.join()
    assert capsys.readouterr().err.splitlines()[-1] == "do:  ganworks resume NEW_PLACE"


def as_nobody(do: Callable[[], object]) -> str:
    """What an error says in a process without the rights of root, whom no mode stops."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = "nothing was refused"
        try:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            do()
        except GanworksError as caught:
            said = f"{caught.exit_code} {caught}"
        except BaseException as caught:
            said = repr(caught)
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


def test_places_that_cannot_be_written_are_exit_4_before_training() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        run = start(root / "run", "gan", 3).run
        resume(run, steps=4)  # what is imported late is there before rights are dropped
        for place in (root, run, run / "checkpoints", run / "samples"):
            place.chmod(0o555)
        before = names(run)
        try:
            assert as_nobody(lambda: resume(run, steps=6)).startswith("4 error[E-ENV-02]")
            assert as_nobody(lambda: start(root / "new", "gan", 3)).startswith("4 error[E-ENV-02]")
        finally:
            for place in (root, run, run / "checkpoints", run / "samples"):
                place.chmod(0o755)
        assert names(run) == before
        assert names(root) == {"run"}


ODD = [
    "two words",
    'it\'s "quoted"',
    "🎲 émoji",
    "-leading-dash",
    "--run",
    "line\nbreak",
    "dot.",
    "back\\slash",
    "$HOME;ls",
    "שלום",
    "CON",
    "x" * 255,
    "\udcff raw byte",
]


@pytest.mark.parametrize("name", ODD, ids=lambda name: ascii(name)[:20])
def test_odd_names_work(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = Path(name)
    result = start(run, "gan", 4, at_step(2, asking(run, "stop")))
    command = shlex.split(result.next[0])
    assert command[:2] == ["ganworks", "resume"]
    assert not command[2].startswith("-")
    assert Path(command[2]) == run
    assert resume(Path(command[2])).step == 4
    assert GAN.load(run).sample(3).shape == (3, 2)
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_a_name_that_is_too_long_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "ring", "--steps", "3", "--run", str(tmp_path / ("x" * 256))]) == 4
    assert "E-ENV-02" in capsys.readouterr().err
    assert names(tmp_path) == set()
