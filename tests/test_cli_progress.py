"""One line that tells how far a training is."""

import io

import pytest

from ganworks.cli.progress import Progress, duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that the test turns."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def record(step: int, steps: int = 1000) -> dict[str, object]:
    return {
        "step": step,
        "steps": steps,
        "discriminator.adversarial": 0.5,
        "discriminator.r1": 0.25,
        "generator.adversarial": 2.0,
        "generator.lr": 9.0,
        "seconds": 7.0,
    }


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0s"), (42, "42s"), (59.6, "1m00s"), (190, "3m10s"), (3599.9, "1h00m"), (7500, "2h05m")]
)
def test_durations_as_a_person_says_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_line_has_step_share_time_left_speed_and_each_players_loss() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(stream, clock=clock)
    progress(record(1))
    clock.now = 20.0
    progress(record(201))
    line = stream.getvalue().splitlines()[-1]
    assert line.split() == (
        [
            "step",
            "201/1000",
            "20",
            "%",
            "1m20s",
            "left",
            "10.0",
            "steps/s",
            "discriminator",
            "0.750",
            "generator",
            "2.000",
        ]
    )


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


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_broken_stream_does_not_stop_a_training() -> None:
    with Progress(Broken()) as progress:
        progress(record(1))
        progress({"message": "still here"})
