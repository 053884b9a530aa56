"""A process that reads pictures for another: `python -m ganworks.reading.worker`, spoken to by `Readers`.

A request on standard input is a length (4 bytes, big-endian) and so many bytes of JSON: the work and its places. The
answer on standard output is a length, JSON with one fact a place, and the bytes of those that have any, one after the
other. It ends when standard input closes, so it never outlives whoever asks.
"""

import json
import os
import signal
import sys
from collections.abc import Iterable
from typing import IO, Any, Literal, NamedTuple

from ganworks.reading.decoding import THUMBNAIL, Header, Place, Unreadable, look, read, rendered, thumbnail

MEMORY = 2 * 2**30
"""Bytes that decoding may take beyond the start. 64 megapixels of WebP with alpha take 1.4 GB, others half of it."""
HELLO = b"reading\n"
"""What a worker says once it is ready."""

Fact = str | list[Any] | None
"""Why a picture cannot be used; or its header and SHA-256; or nothing, for pixels alone."""


class Work(NamedTuple):
    """What to do with each picture.

    look: header and SHA-256. decode: pixels of the given height, width and channels. examine: header, SHA-256 and a
    thumbnail, of which every byte of the file was read.
    """

    op: Literal["look", "decode", "examine"]
    height: int = 0
    width: int = 0
    channels: int = 0

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """Of the pixels in an answer; None where there are none."""
        if self.op == "look":
            return None
        return (THUMBNAIL, THUMBNAIL, 3) if self.op == "examine" else (self.height, self.width, self.channels)


def answer(work: Work, place: Place) -> tuple[Fact, bytes]:
    """What a picture is found to be, and its pixels, if they are asked for and there are any."""
    try:
        content = read(place)
        if work.op == "decode":
            return None, rendered(content, work.height, work.width, work.channels).tobytes()
        if work.op == "look":
            return _fact(look(content), content), b""
        header, image = thumbnail(content)
        return _fact(header, content), image.tobytes()
    except Unreadable as refusal:
        return refusal.reason, b""
    except MemoryError:
        return "there is not enough memory to read it", b""


def _fact(header: Header, content: bytes) -> list[Any]:
    from hashlib import sha256  # only where it is asked for: it adds a tenth to the start

    return [*header, sha256(content).hexdigest()]


def request(work: Work, places: Iterable[Place]) -> bytes:
    """A request as it goes through the pipe."""
    return _framed(json.dumps([work, list(places)]).encode())


def _framed(head: bytes) -> bytes:
    return len(head).to_bytes(4) + head


def exactly(stream: IO[bytes], count: int) -> bytearray:
    """So many bytes of a stream.

    Raises: EOFError if it ends before.
    """
    content = bytearray(count)
    rest = memoryview(content)
    while rest:
        got = stream.readinto(rest)  # type: ignore[attr-defined]  # every stream of bytes has it
        if not got:
            raise EOFError
        rest = rest[got:]
    return content


def received(stream: IO[bytes]) -> Any:
    """The JSON of a request or an answer.

    Raises: EOFError if the stream ends.
    """
    return json.loads(exactly(stream, int.from_bytes(exactly(stream, 4))))


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer until there are no more requests."""
    answers.write(HELLO)
    answers.flush()
    while True:
        try:
            asked, places = received(requests)
        except EOFError:
            return
        work = Work(*asked)
        found = [answer(work, Place(*place)) for place in places]
        answers.write(_framed(json.dumps([fact for fact, _ in found]).encode()))
        answers.writelines(pixels for _, pixels in found)
        answers.flush()


def _limit_itself() -> None:
    """A picture that wants too much memory is refused, not the whole machine; a crash leaves no core file."""
    if not sys.platform.startswith("linux"):
        return
    import resource

    with open("/proc/self/statm") as about:
        now = int(about.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asks decides
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get among the answers
    try:
        _limit_itself()
        serve(sys.stdin.buffer, answers)
        answers.close()
    except BrokenPipeError:
        pass
    os._exit(0)  # nothing is left to tidy up


if __name__ == "__main__":
    main()
