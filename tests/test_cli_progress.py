"""One line that tells how far a training or a task is."""

import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ganworks import machine
from ganworks.cli.output import Output
from ganworks.cli.progress import Progress, Stream, duration


class Terminal(io.StringIO):
    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that the test turns."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def usual_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(machine, "peak", lambda: 412 << 20)


def record(step: int, steps: int = 1000) -> dict[str, object]:
    return {
        "step": step,
        "steps": steps,
        "discriminator.adversarial": 0.5,
        "discriminator.r1": 0.25,
        "generator.adversarial": 2.0,
        "discriminator.lr": 9.0,
        "generator.lr": 9.0,
        "optimum.jsd": 0.5,
        "seconds": 7.0,
        "batch": 32,
    }


def reading(done: int, total: int = 1000) -> dict[str, object]:
    return {"task": "reading pictures", "done": done, "total": total}


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0s"), (42, "42s"), (59.6, "1m00s"), (190, "3m10s"), (3599.9, "1h00m"), (7500, "2h05m")]
)
def test_durations_as_a_person_says_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said


# A training


def test_a_line_has_step_share_time_left_speed_and_each_players_loss() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(stream, clock=clock)
    progress(record(1))
    clock.now = 20.0
    progress(record(201))
    line = stream.getvalue().splitlines()[-1]
    assert line == "step  201/1000   20 %   1m20s left   10.0 steps/s  loss D 0.750 G 2.000  412 MB"
    assert len(line) <= 80


def test_samples_a_second_where_the_line_is_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    stream, clock = Terminal(), Clock()
    progress = Progress(stream, clock=clock)
    progress(record(1))
    clock.now = 20.0
    progress(record(201))
    assert stream.getvalue().rstrip().endswith("412 MB  320 samples/s")


def test_speed_counts_this_process_only() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(stream, clock=clock)
    progress(record(500))  # a resumed run begins here
    clock.now = 50.0
    progress(record(600))
    assert "2.0 steps/s" in stream.getvalue()


def test_every_term_when_asked_for() -> None:
    stream = io.StringIO()
    Progress(stream, every_term=True)(record(1))
    line = stream.getvalue()
    assert "discriminator.adversarial" in line
    assert "discriminator.r1" in line
    assert "generator.adversarial 2.000" in line
    assert "lr" not in line


def test_without_a_terminal_a_plain_line_now_and_then() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(stream, clock=clock)
    for step in range(1, 1001):  # 0.1 s a step: 100 s
        progress(record(step))
        clock.now += 0.1
    progress.close()
    lines = stream.getvalue().splitlines()
    assert 10 <= len(lines) <= 12
    assert lines[-1].startswith("step 1000/1000  100 %")
    assert not any(letter in stream.getvalue() for letter in "\r\x1b")


def test_on_a_terminal_one_line_rewritten_in_place() -> None:
    stream, clock = Terminal(), Clock()
    with Progress(stream, clock=clock) as progress:
        for step in range(1, 11):
            progress(record(step))
            clock.now += 0.3
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().count("\r") == 10


def test_a_shorter_line_covers_a_longer_one() -> None:
    stream, clock = Terminal(), Clock()
    progress = Progress(stream, clock=clock)
    progress(record(1))
    clock.now = 1.0
    progress({"step": 2, "steps": 1000})
    _, first, second = stream.getvalue().split("\r")
    assert len(second) >= len(first)


def test_messages_stand_on_their_own_line_and_cannot_steer_the_terminal() -> None:
    stream = Terminal()
    progress = Progress(stream)
    progress(record(1))
    progress({"message": "r3gan on \x1b[31mdigits"})
    assert stream.getvalue().endswith("\nr3gan on ?[31mdigits\n")


# A task


def task(stream: Stream, seconds: float, total: int = 1000) -> None:
    """A task that takes so long, told in a hundred parts."""
    clock = Clock()
    with Progress(stream, clock=clock) as progress:
        for part in range(101):
            clock.now = seconds * part / 100
            progress(reading(10 * part, total))


def play(stream: io.StringIO, seconds: float, total: int = 1000) -> str:
    """What it leaves on a stream."""
    task(stream, seconds, total)
    return stream.getvalue()


def test_a_task_has_its_share_its_name_a_bar_the_time_left_and_a_count() -> None:
    drawn = play(Terminal(), 40.0).split("\r")
    assert " 50 % reading pictures  ━━━━━━━━━━──────────  20s left  500/1000" in [line.rstrip() for line in drawn]
    assert drawn[-1] == "100 % reading pictures  ━━━━━━━━━━━━━━━━━━━━  40s taken  1000/1000\n"


def test_a_task_on_a_plain_stream_every_ten_seconds() -> None:
    lines = play(io.StringIO(), 40.0).splitlines()
    assert lines == [
        "  3 % reading pictures  30/1000  39s left",
        " 28 % reading pictures  280/1000  29s left",
        " 53 % reading pictures  530/1000  19s left",
        " 78 % reading pictures  780/1000  9s left",
        "100 % reading pictures  1000/1000  40s taken",
    ]


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_nothing_for_a_task_under_a_second(stream: Callable[[], io.StringIO]) -> None:
    assert play(stream(), 0.9) == ""


def test_a_short_task_does_not_make_the_next_one_of_its_name_old() -> None:
    stream, clock = Terminal(), Clock()
    progress = Progress(stream, clock=clock)
    for begun in (0.0, 5.0):
        for done in (0, 500, 1000):
            clock.now = begun + done / 2000
            progress(reading(done))
    assert stream.getvalue() == ""


def test_of_a_task_without_an_end_the_count_is_shown() -> None:
    assert play(Terminal(), 40.0, total=0).split("\r")[-1].rstrip() == "1000 reading pictures  40s so far"


def test_two_tasks_and_a_training_stand_on_lines_of_their_own() -> None:
    stream, clock = Terminal(), Clock()
    with Progress(stream, clock=clock) as progress:
        for task in ("reading pictures", "features"):
            for done in range(11):
                progress({"task": task, "done": done, "total": 10})
                clock.now += 0.5
        progress(record(1000))
    lines = [line.split("\r")[-1] for line in stream.getvalue().split("\n")][:-1]
    starts = ["100 % reading pictures", "100 % features", "step 1000/1000"]
    assert [re.split(r"  +", line)[0] for line in lines] == starts


def test_a_task_that_is_broken_off_ends_its_line() -> None:
    stream, clock = Terminal(), Clock()
    with Progress(stream, clock=clock) as progress:
        progress(reading(0))
        clock.now = 2.0
        progress(reading(100))
    assert stream.getvalue().endswith("\n")


# Streams


def test_quiet_hears_nothing() -> None:
    assert Progress.for_output(Output(quiet=True)).watchers == ()


@pytest.mark.parametrize("columns", [1, 5, 20, 40, 200])
def test_no_line_is_wider_than_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = play(Terminal(), 40.0)
    stream = Terminal()
    Progress(stream)(record(1))
    for line in re.split(r"[\r\n]", text + stream.getvalue()):
        assert len(line) <= max(columns - 1, 1)
    if columns == 20:
        assert " 50 % reading pictu\r" in text


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert "\r" not in play(Terminal(), 40.0)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_a_bar_that_the_console_can_write(encoding: str) -> None:
    """Strict: a letter that the console lacks would be an error."""

    class Console(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    behind = io.BytesIO()
    console = Console(behind, encoding=encoding)
    task(console, 40.0)
    console.flush()
    text = behind.getvalue().decode(encoding)
    assert ("━━━──" if encoding == "utf-8" else "###--") in text
    assert "?" not in text


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_broken_stream_does_not_stop_a_training() -> None:
    with Progress(Broken()) as progress:
        progress(record(1))
        progress(reading(3))
        progress({"message": "still here"})


TASKS = """
import sys
from ganworks.cli.progress import Progress
now = iter(range(1000))
with Progress(clock=lambda: next(now)) as progress:
    for done in range(31):
        progress({"task": "reading pictures", "done": done, "total": 30})
    progress({"step": 1, "steps": 2, "generator.adversarial": 1.0})
"""


@pytest.mark.parametrize(
    "variables",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "cp1252"},
        {"NO_COLOR": "1"},
        {"TERM": "dumb"},
        {"COLUMNS": "20"},
    ],
    ids=str,
)
def test_no_escape_codes_and_no_crash_in_an_odd_terminal(variables: dict[str, str], tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    (tmp_path / "tasks.py").write_text(TASKS)
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"} | variables
    process = subprocess.Popen([sys.executable, str(tmp_path / "tasks.py")], stderr=theirs, env=environment)
    os.close(theirs)
    written = b""
    with open(ours, "rb", buffering=0) as terminal:
        while True:
            try:
                chunk = terminal.read(65536)
            except OSError:  # how a pseudo-terminal says that the other end is closed
                break
            written += chunk or b""
            if not chunk:
                break
    assert process.wait(30) == 0
    assert b"reading" in written
    assert b"\x1b" not in written
    assert b"Traceback" not in written
