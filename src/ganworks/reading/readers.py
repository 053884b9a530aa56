"""Reading many pictures at once, in processes that a broken one may end.

Workers are plain subprocesses at the end of two pipes, not `multiprocessing`: a script needs no `__main__` guard,
nothing is forked while threads run, and nothing lies in shared memory. Each has a thread here that feeds it. What comes
back does not depend on how many there are, on which is quick, or on whether one dies.
"""

import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from math import prod
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ganworks.errors import error
from ganworks.reading.decoding import Header, Place, Unreadable
from ganworks.reading.worker import HELLO, Fact, Work, answer, exactly, received, request

__all__ = ["Answer", "Examined", "Looked", "Pending", "Readers", "Work"]

MOST = 8
"""Workers at most: beyond, the disk and this process are the limit."""
_TOGETHER = 16
"""Places in one request, at most: a request costs 0.1 ms here, as much as a small picture there."""
_AHEAD = 256 * 2**20
"""Bytes of answers to one `start` that nobody has asked for yet."""
_STARTS = 3
_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from ganworks.reading.worker import main; main()"
"""A worker finds the modules that this process finds, wherever it is started, and no others."""


class Looked(NamedTuple):
    """The answer to `look`."""

    header: Header
    sha256: str


class Examined(NamedTuple):
    """The answer to `examine`."""

    header: Header
    sha256: str
    thumbnail: NDArray[np.uint8]


Answer = Looked | Examined | NDArray[np.uint8] | Unreadable


class _Part(NamedTuple):
    """Places of a `Pending` that are asked for in one request."""

    pending: "Pending"
    places: range
    deaths: int = 0
    """Workers that died over it; counted for single places only."""


class Readers:
    """Workers that decode pictures; a context manager.

    Args:
        count: Workers at most. None: one a core, up to `MOST`. 0: decode in this process, to the same answers, without
            protection from a picture that crashes or hangs. None is started before there is work for it.
        patience: Seconds that one picture may keep whoever waits for it.
    """

    def __init__(self, count: int | None = None, patience: float = 60.0) -> None:
        assert count is None or count >= 0
        self._most = min(_cores(), MOST) if count is None else count
        self.patience = patience
        self._change = threading.Condition()
        self._hands: list[_Hand] = []
        self._again: deque[_Part] = deque()
        self._waiting: deque[Pending] = deque()
        self._failure: BaseException | None = None
        self._closed = False

    def start(self, work: Work, places: Sequence[Place]) -> "Pending":
        """Begin with the work on some places. Several may be under way: earlier ones go first."""
        together = max(1, min(_TOGETHER, len(places) // (2 * self._most or 1)))
        pending = Pending(self, work, places, together)
        with self._change:
            if self._closed:
                raise RuntimeError("these readers are closed")
            if self._most and len(places):
                self._waiting.append(pending)
                for _ in range(len(self._hands), min(self._most, -(-len(places) // together))):
                    self._hands.append(_Hand(self))
                    self._hands[-1].start()
                self._change.notify_all()
        return pending

    def close(self) -> None:
        """End the workers, whatever they are at."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        for hand in self._hands:
            hand.kill()
        for hand in self._hands:
            hand.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self) -> _Part | None:
        """What a free worker does next; None once all is closed. Waits for it."""
        with self._change:
            while not self._closed:
                if self._again:
                    return self._again.popleft()
                while self._waiting and self._waiting[0].all_asked:
                    self._waiting.popleft()
                for pending in self._waiting:
                    if places := pending.ask():
                        return _Part(pending, places)
                self._change.wait()
        return None

    def _put(self, part: _Part, answers: list[Answer] | None, late: bool) -> None:
        """Take in the answers of a worker, or its death: then each place is asked for alone, and a second time."""
        with self._change:
            if answers is None and len(part.places) > 1:
                self._again.extend(_Part(part.pending, range(one, one + 1)) for one in part.places)
            elif answers is None and not late and not part.deaths:
                self._again.append(part._replace(deaths=1))
            else:
                reason = f"decoding it took longer than {self.patience:g} s" if late else "decoding it ended the reader"
                part.pending.found.update(zip(part.places, answers or [Unreadable(reason)], strict=True))
            self._change.notify_all()

    def _fail(self, problem: BaseException) -> None:
        with self._change:
            self._failure = problem
            self._change.notify_all()

    def _begin(self, command: list[str]) -> "subprocess.Popen[bytes] | None":
        with self._change:  # so that `close` sees each process, or prevents it
            if self._closed:
                return None
            return subprocess.Popen(  # noqa: S603  # our own program, no shell
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )

    def _wait(self, pending: "Pending", index: int) -> Answer:
        """The answer for a place. Time counts against a worker only while somebody waits, and this process runs."""
        tick = min(1.0, self.patience / 4)
        with self._change:
            while index not in pending.found:
                if self._failure:
                    raise self._failure
                if self._closed:
                    raise RuntimeError("these readers are closed")
                before = time.monotonic()
                self._change.wait(tick)
                waited = min(time.monotonic() - before, tick)
                for hand in self._hands:
                    hand.has_kept_waiting(waited)
            if pending.held_back:
                self._change.notify_all()
            return pending.found.pop(index)


class Pending(Iterator[Answer]):
    """Answers on their way, in the order of the places; iterate over it once. What cannot be used is an answer too."""

    def __init__(self, readers: Readers, work: Work, places: Sequence[Place], together: int) -> None:
        self.work, self.places = work, places
        self.found: dict[int, Answer] = {}
        self._readers, self._together = readers, together
        self._ahead = max(together, _AHEAD // prod(work.shape or (1024,)))
        self._asked = self._given = 0

    def __len__(self) -> int:
        return len(self.places)

    def __next__(self) -> Answer:
        if self._given == len(self.places):
            raise StopIteration
        if self._readers._most:
            value = self._readers._wait(self, self._given)
        else:
            fact, pixels = answer(self.work, self.places[self._given])
            value = _value(self.work, fact, memoryview(bytearray(pixels)))
        self._given += 1
        return value

    @property
    def all_asked(self) -> bool:
        return self._asked == len(self.places)

    @property
    def held_back(self) -> bool:
        """Whether so many answers lie here that no more are asked for."""
        return not self.all_asked and self._asked >= self._given + self._ahead

    def ask(self) -> range:
        """The next places to ask for, none if it is held back."""
        if self.held_back:
            return range(0)
        first, self._asked = self._asked, min(self._asked + self._together, len(self.places))
        return range(first, self._asked)


class _Hand(threading.Thread):
    """The thread that feeds one worker, and starts it anew when it has died."""

    def __init__(self, readers: Readers) -> None:
        super().__init__(name="feeds a picture reader", daemon=True)
        self._readers = readers
        self._process: subprocess.Popen[bytes] | None = None
        self._kept_waiting: float | None = None
        self._late = False

    def run(self) -> None:
        try:
            while part := self._readers._take():
                self._kept_waiting, self._late = 0.0, False
                answers = self._ask(part)
                self._kept_waiting = None
                self._readers._put(part, answers, self._late)
        except BaseException as problem:
            self._readers._fail(problem)
        finally:
            self._end()

    def kill(self) -> None:
        """End the worker, from another thread; this one notices."""
        if self._process:
            self._process.kill()

    def has_kept_waiting(self, seconds: float) -> None:
        """Count time against the present request."""
        if self._kept_waiting is not None:
            self._kept_waiting += seconds
            if self._kept_waiting > self._readers.patience:
                self._late, self._kept_waiting = True, None
                self.kill()

    def _ask(self, part: _Part) -> list[Answer] | None:
        """The worker's answers, or None if it died over them."""
        process = self._process or self._fresh()
        if process is None:
            return None
        assert process.stdin is not None
        assert process.stdout is not None
        work, places = part.pending.work, part.pending.places
        try:
            process.stdin.write(request(work, (places[index] for index in part.places)))
            process.stdin.flush()
            facts = received(process.stdout)
            size = prod(work.shape or (0,))
            with_pixels = sum(not isinstance(fact, str) for fact in facts)
            pixels = memoryview(exactly(process.stdout, size * with_pixels))
        except (EOFError, OSError):
            self._end()
            return None
        answers = []
        for fact in facts:
            answers.append(_value(work, fact, pixels[:size]))
            pixels = pixels if isinstance(fact, str) else pixels[size:]
        return answers

    def _fresh(self) -> "subprocess.Popen[bytes] | None":
        """A worker that is ready; None where all is being closed."""
        paths = [str(path) for path in sys.path if path]
        here = [os.getcwd()] if "" in sys.path else []  # last: a file there must not hide a module
        command = [sys.executable or "python", "-P", "-c", _PROGRAM, *paths, *here]
        code = 0
        for _ in range(_STARTS):
            self._process = process = self._readers._begin(command)
            if process is None:
                return None
            assert process.stdout is not None
            if process.stdout.read(len(HELLO)) == HELLO:
                return process
            self._end()
            code = process.returncode
        reason = f"a reader of pictures ends before it begins, with code {code}"
        raise error("E-ENV-02", path=command[0], reason=reason)

    def _end(self) -> None:
        if process := self._process:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                with suppress(OSError):  # what was not flushed yet
                    pipe.close()
            self._process = None


def _value(work: Work, fact: Fact, pixels: memoryview) -> Answer:
    if isinstance(fact, str):
        return Unreadable(fact)
    array = np.frombuffer(pixels, np.uint8).reshape(work.shape or (0,))
    if fact is None:
        return array
    header, sha256 = Header(*fact[:-1]), fact[-1]
    return Looked(header, sha256) if work.op == "look" else Examined(header, sha256, array)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
