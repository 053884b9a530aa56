"""One line that tells how far a training is: rewritten in place on a terminal, now and then elsewhere."""

import contextlib
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from ganworks.cli.output import Output, clean

_TERMINAL_EVERY = 0.2
_PLAIN_EVERY = 10.0


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


def _losses(record: Mapping[str, Any], every_term: bool) -> dict[str, float]:
    """The players' losses, or with `every_term` each part of them."""
    terms = {name: float(number) for name, number in record.items() if "." in name and isinstance(number, int | float)}
    terms = {name: number for name, number in terms.items() if not name.endswith((".lr", ".learning_rate"))}
    if every_term:
        return terms
    totals: dict[str, float] = {}
    for name, number in terms.items():
        player = name.split(".")[0]
        totals[player] = totals.get(player, 0.0) + number
    return totals


class Progress:
    """A watcher that prints. It never stops a training: a closed or broken stream only silences it.

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
        self._terminal = bool(self._stream and self._stream.isatty())
        self._first: tuple[int, float] | None = None
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
        """Show a record: a message as its own line, a step when it is time for one."""
        if "message" in record:
            self.close()
            self._write(clean(str(record["message"])) + "\n")
        elif "step" in record:
            self._step(record)

    def _step(self, record: Mapping[str, Any]) -> None:
        now, step, steps = self._clock(), int(record["step"]), int(record["steps"])
        if self._first is None:
            self._first = (step, now)
        every = _TERMINAL_EVERY if self._terminal else _PLAIN_EVERY
        if now - self._printed < every and step < steps:
            return
        self._printed = now
        text = self._line(record, step, steps, now)
        if self._terminal:
            text = text[: shutil.get_terminal_size().columns - 1]  # a wrapped line cannot be rewritten
            self._write("\r" + text.ljust(self._width))
            self._width = len(text)
        else:
            self._write(text + "\n")

    def _line(self, record: Mapping[str, Any], step: int, steps: int, now: float) -> str:
        assert self._first is not None
        done, took = step - self._first[0], now - self._first[1]
        pace = done / took if done and took > 0 else 0.0
        parts = [f"step {step:>{len(str(steps))}}/{steps}", f"{100 * step // max(steps, 1):>3} %"]
        if pace:
            rest = f"{duration((steps - step) / pace):>6} left" if step < steps else f"{duration(took):>6} taken"
            parts += [rest, f"{pace:>6.1f} steps/s"]
        losses = _losses(record, self._every_term)
        parts += [f"{name} {number:>8.3f}" for name, number in losses.items()]
        return "  ".join(parts)

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
