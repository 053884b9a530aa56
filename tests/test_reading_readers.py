"""Workers that read pictures: the same answers whatever happens to them, and none is left behind."""

import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments import reading
from ganworks.errors import ResourceError
from ganworks.reading import readers as module
from ganworks.reading.decoding import Place, Unreadable
from ganworks.reading.readers import Examined, Looked, Readers, Work

DECODE = Work("decode", 16, 16, 3)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> list[Place]:
    """Seventy pictures, each of its own colour; some cannot be read."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(70):
        Image.new("RGB", (24 + number % 5, 20), (number, 2 * number, 255 - number)).save(folder / f"{number:02}.png")
    (folder / "13.png").write_text("a cat")
    (folder / "21.png").write_bytes((folder / "20.png").read_bytes()[:60])
    (folder / "34.png").unlink()
    (folder / "69.png").write_bytes(b"")
    return [Place(str(folder / f"{number:02}.png")) for number in range(70)]


def said(answers: Iterator[module.Answer]) -> list[object]:
    """Answers as values that can be compared."""
    return [_said(answer) for answer in answers]


def _said(answer: module.Answer) -> object:
    if isinstance(answer, Unreadable):
        return answer.reason
    if isinstance(answer, Examined):
        return answer.header, answer.sha256, answer.thumbnail.tobytes()
    return answer if isinstance(answer, Looked) else answer.tobytes()


def pids(readers: Readers) -> list[int]:
    return [hand._process.pid for hand in readers._hands if hand._process]


def there(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def gone_within(seconds: float, *processes: int) -> bool:
    end = time.monotonic() + seconds
    while any(map(there, processes)) and time.monotonic() < end:
        time.sleep(0.02)
    return not any(map(there, processes))


def sabotaged(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Let workers run this for each place before they read it."""
    lines = "import sys; sys.path[:] = sys.argv[1:]\nimport os, signal, time\nfrom ganworks.reading import worker\n"
    lines += "real = worker.answer\ndef answer(work, place):\n" + textwrap.indent(textwrap.dedent(code), "    ")
    monkeypatch.setattr(
        module, "_PROGRAM", lines + "\n    return real(work, place)\nworker.answer = answer\nworker.main()"
    )


# Answers


@pytest.mark.parametrize("work", [DECODE, Work("decode", 9, 30, 1), Work("look"), Work("examine")], ids=str)
def test_any_number_of_workers_gives_the_same(work: Work, places: list[Place]) -> None:
    found = []
    for count in (0, 1, 3):
        with Readers(count) as readers:
            pending = readers.start(work, places)
            assert len(pending) == 70
            found.append(said(pending))
    assert found[0] == found[1] == found[2]
    assert found[0][13] == "it is text, not a picture"
    assert found[0][34] == "it is gone"
    assert found[0][69] == "it is empty"


def test_answers_come_in_the_order_of_the_places(places: list[Place]) -> None:
    with Readers(2) as readers:
        for index, answer in enumerate(readers.start(DECODE, places)):
            if isinstance(answer, np.ndarray):
                assert answer[0, 0].tolist() == [index, 2 * index, 255 - index]
                answer += 1  # an array of one's own
            else:
                assert index in (13, 21, 34, 69)


def test_the_facts_of_looking_and_examining(places: list[Place]) -> None:
    with Readers(1) as readers:
        (looked,), (examined,) = (list(readers.start(Work(op), places[:1])) for op in ("look", "examine"))
    assert isinstance(looked, Looked)
    assert isinstance(examined, Examined)
    assert looked.header == examined.header
    assert looked.header.width == 24
    assert len(looked.sha256) == 64
    assert looked.sha256 == examined.sha256
    assert examined.thumbnail.shape == (64, 64, 3)


def test_several_are_under_way_at_once_and_none_is_empty_handed(places: list[Place]) -> None:
    with Readers(2) as readers:
        first, nothing = readers.start(DECODE, places[:40]), readers.start(DECODE, [])
        second = readers.start(Work("look"), places)
        late, early = said(second), said(first)
        assert said(nothing) == []
        assert (len(early), len(late)) == (40, 70)
        assert said(readers.start(DECODE, places[:40])) == early


def test_no_more_is_asked_for_than_memory_should_hold(places: list[Place], monkeypatch: pytest.MonkeyPatch) -> None:
    with Readers(0) as readers:
        wanted = said(readers.start(DECODE, places))
    monkeypatch.setattr(module, "_AHEAD", 20 * 16 * 16 * 3)
    with Readers(2) as readers:
        pending = readers.start(DECODE, places)
        found = []
        for answer in pending:
            found.append(_said(answer))
            assert len(pending.found) <= 20 + 16
        assert found == wanted


def test_no_more_workers_than_the_work_needs(places: list[Place]) -> None:
    with Readers() as readers:
        list(readers.start(DECODE, places[:1]))
        assert len(readers._hands) == 1
    with Readers(3) as readers:
        assert readers._hands == []


# Accidents


def test_killed_workers_change_nothing(places: list[Place]) -> None:
    with Readers(0) as readers:
        wanted = said(readers.start(DECODE, places))
    with Readers(2) as readers:
        pending = readers.start(DECODE, places)
        found, killed = [], 0
        for number, answer in enumerate(pending):
            found.append(_said(answer))
            if number in (3, 20, 45):
                for pid in pids(readers):
                    os.kill(pid, signal.SIGKILL)
                    killed += 1
        assert killed >= 3
        assert found == wanted
        assert said(readers.start(DECODE, places)) == wanted


@pytest.mark.parametrize("death", ["os._exit(0)", "os.kill(os.getpid(), signal.SIGSEGV)", "raise RuntimeError"])
def test_a_picture_that_ends_its_worker_is_named_and_the_others_are_read(
    death: str, places: list[Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Readers(0) as readers:
        wanted = said(readers.start(DECODE, places))
    wanted[5] = wanted[50] = "decoding it ended the reader"
    sabotaged(monkeypatch, f"if place.path.endswith(('05.png', '50.png')): {death}")
    with Readers(2) as readers:
        assert said(readers.start(DECODE, places)) == wanted


def test_a_picture_that_hangs_is_named_and_the_others_are_read(
    places: list[Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Readers(0) as readers:
        wanted = said(readers.start(DECODE, places[:40]))
    wanted[5] = "decoding it took longer than 0.6 s"
    sabotaged(monkeypatch, "if place.path.endswith('05.png'): time.sleep(60)")
    with Readers(2, patience=0.6) as readers:
        assert said(readers.start(DECODE, places[:40])) == wanted


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there can a process limit its memory")
def test_a_picture_that_wants_too_much_memory_is_refused(places: list[Place], monkeypatch: pytest.MonkeyPatch) -> None:
    sabotaged(monkeypatch, "if place.path.endswith('05.png'): raise MemoryError if bytearray(3 * 2**30) else None")
    with Readers(1) as readers:
        found = said(readers.start(DECODE, places[:7]))
    assert found[5] == "decoding it ended the reader"
    assert isinstance(found[6], bytes)
    sabotaged(monkeypatch, "worker.read = lambda place: bytes(3 * 2**30)")
    with Readers(1) as readers:
        assert said(readers.start(DECODE, places[:2])) == ["there is not enough memory to read it"] * 2


def test_an_interrupt_at_the_terminal_is_the_parents_business(places: list[Place]) -> None:
    with Readers(1) as readers:
        list(readers.start(DECODE, places[:1]))
        (pid,) = pids(readers)
        os.kill(pid, signal.SIGINT)
        assert len(said(readers.start(DECODE, places))) == 70
        assert pids(readers) == [pid]


def test_workers_that_cannot_begin_are_an_error(places: list[Place], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PROGRAM", "raise SystemExit(3)")
    with Readers(1) as readers, pytest.raises(ResourceError, match="ends before it begins, with code 3") as caught:
        list(readers.start(DECODE, places))
    assert caught.value.code == "E-ENV-02"


# Endings


def test_closing_ends_all_at_once(places: list[Place], monkeypatch: pytest.MonkeyPatch) -> None:
    sabotaged(monkeypatch, "if place.path.endswith('60.png'): time.sleep(60)")
    readers = Readers(2)
    pending = readers.start(DECODE, places)
    for _ in range(40):
        next(pending)
    processes = pids(readers)
    start = time.monotonic()
    readers.close()
    assert time.monotonic() - start < 2
    assert processes
    assert gone_within(0, *processes), "nor a zombie"
    readers.close()
    with pytest.raises(RuntimeError, match="closed"):
        list(pending)
    with pytest.raises(RuntimeError, match="closed"):
        readers.start(DECODE, places)


SCRIPT = """
import sys
from ganworks.reading.decoding import Place
from ganworks.reading.readers import Readers, Work
readers = Readers(2)
print(sum(not isinstance(answer, Exception) for answer in readers.start(Work("look"), [Place(sys.argv[1])] * 40)))
print(*(hand._process.pid for hand in readers._hands if hand._process), flush=True)
"""


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder whose files have the names of modules that a worker imports."""
    for name in ("json", "signal", "random", "PIL", "hashlib"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the wrong module')")
    (tmp_path / "scripts").mkdir()
    return tmp_path


def test_a_plain_script_without_a_guard_in_any_folder(places: list[Place], elsewhere: Path) -> None:
    script = elsewhere / "scripts" / "script.py"
    script.write_text(SCRIPT)
    before = sorted(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else []
    done = subprocess.run(
        [sys.executable, script, places[0].path], cwd=elsewhere, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    count, processes = done.stdout.splitlines()
    assert count == "40"
    assert gone_within(5, *map(int, processes.split())), "it never closed its readers"
    assert (sorted(os.listdir("/dev/shm")) if before else []) == before


def test_a_killed_parent_leaves_no_worker(places: list[Place]) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", SCRIPT + "import time; time.sleep(60)", places[0].path],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    lines = [parent.stdout.readline() for _ in range(2)]
    processes = list(map(int, lines[1].split()))
    assert processes
    assert all(map(there, processes))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert gone_within(5, *processes)


def test_a_worker_starts_in_a_fraction_of_a_second(places: list[Place]) -> None:
    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = spent()
    with Readers(1) as readers:
        list(readers.start(DECODE, places[:1]))
    assert 0 < spent() - before < 0.3


def test_the_experiment_runs(tmp_path: Path) -> None:
    reading.main(["--smoke"], tmp_path)
    found = json.loads((tmp_path / "reading-smoke.json").read_text())
    assert len(found["arms"]) == 2
    assert all(arm["mean_difference"] < 1 for arm in found["arms"].values())
    assert all(bar["value"] > 0 for bar in found["bars"] if "CPU" in bar["what"])
