"""How far something is, in one line: rewritten in place on a terminal, now and then elsewhere.

Two kinds of records are shown: the steps of a training, and `{"task", "done", "total"}` of whatever else takes long.
"""

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from ganworks import machine
from ganworks.cli.output import Output, clean
from ganworks.history import losses

_TERMINAL_EVERY = 0.2
_PLAIN_EVERY = 10.0
_SHORT = 1.0
"""Seconds of a task that is over before anybody asks."""
_PLAIN_WIDTH = 80
_BAR = 20
_LETTERS = {"discriminator": "D", "generator": "G"}


@runtime_checkable
class Stream(Protocol):
    """Where lines go."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> None: ...
    def isatty(self) -> bool: ...


def duration(seconds: float) -> str:
    """Seconds as a person says them: 42s, 3m10s, 2h05m."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}m{rest:02}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}m"


def _losses(record: Mapping[str, Any]) -> list[str]:
    """The players' losses."""
    told = [f"{_LETTERS.get(name, name)} {number:.3f}" for name, number in losses(record).items()]
    return [" ".join(["loss", *told])] if told else []


def _terms(record: Mapping[str, Any]) -> dict[str, float]:
    terms = {name: float(number) for name, number in record.items() if "." in name and isinstance(number, int | float)}
    return {name: number for name, number in terms.items() if not name.endswith((".lr", ".learning_rate"))}


def _fitted(parts: list[str], width: int) -> str:
    """Parts beside each other, as many as fit."""
    text = parts[0][:width]
    for part in parts[1:]:
        if len(text) + 2 + len(part) > width:
            break
        text += f"  {part}"
    return text


class Progress:
    """A watcher that prints. It never stops a training: a closed or broken stream only silences it.

    No escape codes are written: a line is rewritten by a carriage return and blanks.

    Args:
        stream: Where to; None takes standard error.
        every_term: Show each term of a loss instead of each player's sum.
        clock: Seconds that only grow.
    """

    def __init__(
        self, stream: Stream | None = None, every_term: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream: Stream | None = sys.stderr if stream is None else stream
        self._every_term = every_term
        self._clock = clock
        self._terminal = bool(self._stream and self._stream.isatty()) and os.environ.get("TERM") != "dumb"
        self._first: tuple[str, int, float] | None = None
        """What is going on, where it was when it was first heard of, and when that was."""
        self._printed = float("-inf")
        self._width = 0
        self.watchers: tuple[Callable[[Mapping[str, Any]], None], ...] = (self,)

    @classmethod
    def for_output(cls, output: Output) -> "Progress":
        """The progress that a verb's options ask for: none with --quiet."""
        progress = cls(every_term=output.verbose)
        progress.watchers = () if output.quiet else (progress,)
        return progress

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, record: Mapping[str, Any]) -> None:
        """Show a record: a message as its own line, a step or a part of a task when it is time for one."""
        if "message" in record:
            self.close()
            self._write(clean(str(record["message"])) + "\n")
        elif "task" in record:
            done, total = int(record["done"]), int(record["total"])
            task = clean(str(record["task"]))
            self._show(task, done, total, _SHORT, lambda rate, took: self._task(task, done, total, rate, took))
        elif "step" in record:
            step, steps = int(record["step"]), int(record["steps"])
            self._show("", step, steps, 0.0, lambda rate, took: self._step(record, step, steps, rate, took))

    def _show(
        self, what: str, done: int, total: int, short: float, parts: Callable[[float, float], Iterator[str]]
    ) -> None:
        """Print a line where it is time. Its parts are made of what is done in a second, and of the seconds so far."""
        now = self._clock()
        if self._first is None or self._first[0] != what or done < self._first[1]:
            self.close()
            self._first, self._printed = (what, done, now), float("-inf")
        _, begun, since = self._first
        took, ended = now - since, 0 < total <= done
        every = _TERMINAL_EVERY if self._terminal else _PLAIN_EVERY
        worth = took >= short or self._printed > float("-inf")
        if worth and (ended or now - self._printed >= every):
            self._line(list(parts((done - begun) / took if took > 0 else 0.0, took)))
            self._printed = now
        if ended and what:
            self.close()
            self._first = None

    def _step(self, record: Mapping[str, Any], step: int, steps: int, rate: float, took: float) -> Iterator[str]:
        yield f"step {step:>{len(str(steps))}}/{steps}"
        yield f"{100 * step // max(steps, 1):>3} %"
        if rate:
            yield f"{duration((steps - step) / rate):>6} left" if step < steps else f"{duration(took):>6} taken"
            yield f"{rate:>5.1f} steps/s"
        if self._every_term:
            yield from (f"{name} {number:.3f}" for name, number in _terms(record).items())
        else:
            yield from _losses(record)
        if held := machine.peak():
            yield f"{held >> 20} MB"
        if rate and "batch" in record:
            yield f"{rate * record['batch']:.0f} samples/s"

    def _task(self, task: str, done: int, total: int, rate: float, took: float) -> Iterator[str]:
        if not total:
            yield f"{done} {task}"
            yield f"{duration(took)} so far"
            return
        yield f"{100 * done // total:>3} % {task}"
        full = _BAR * min(done, total) // total
        yield self._bar(full) if self._terminal else f"{done}/{total}"
        if rate:
            yield f"{duration((total - done) / rate)} left" if done < total else f"{duration(took)} taken"
        if self._terminal:
            yield f"{done}/{total}"

    def _bar(self, full: int) -> str:
        """Blocks, or ASCII where the console has no others."""
        encoding = (getattr(self._stream, "encoding", None) or "ascii").lower()
        on, off = ("━", "─") if encoding.replace("-", "") == "utf8" else ("#", "-")
        return on * full + off * (_BAR - full)

    def _line(self, parts: list[str]) -> None:
        """Parts as a line; optional ones stand last, and are left out where it would be too long."""
        if self._terminal:
            text = _fitted(parts, max(shutil.get_terminal_size().columns - 1, 1))  # a wrapped line cannot be rewritten
            self._write("\r" + text.ljust(self._width))
            self._width = len(text)
        else:
            self._write(_fitted(parts, sys.maxsize if self._every_term else _PLAIN_WIDTH) + "\n")

    def close(self) -> None:
        """End the line in place, so that what follows starts on its own line."""
        if self._width:
            self._write("\n")
            self._width = 0

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()
