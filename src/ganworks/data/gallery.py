"""Picture files as a column of a data set: brought to one size, and read once or read ahead.

What fits into `KEPT` bytes is read before training, which finds every file that cannot be read. More than that is read
by workers while the training plays the batches before.

Letters: N files, C channels, H and W height and width.
"""

import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from numpy.typing import NDArray
from torch import Tensor

from ganworks.errors import GanworksError, error
from ganworks.reading.decoding import Place, Unreadable
from ganworks.reading.listing import shown
from ganworks.reading.readers import Pending, Readers, Work
from ganworks.telling import Tell, report

OnBad = Literal["stop", "skip"]
Make = Callable[[UInt8[Tensor, "n c h w"]], UInt8[Tensor, "n c2 h2 w2"]]
"""From pictures to as many others, each made of its own alone."""

KEPT = 1 << 30
"""Bytes of pixels that are kept in memory: 87,000 colour pictures of 64 px."""
AHEAD = 4
"""Batches that are read ahead of the one that is played."""
_NAMED = 10
"""Bad files that an error names."""
_AT_ONCE = 1024
"""Pictures that others are made of together."""
TOLD = 100
"""Files between two reports of progress."""


@runtime_checkable
class Files(Protocol):
    """Picture files in their order, such as a `Listing`."""

    def __len__(self) -> int: ...
    def name(self, index: int, /) -> str: ...
    def place(self, index: int, /) -> Place: ...


class Team:
    """Readers that are closed when the last gallery that uses them is gone."""

    def __init__(self) -> None:
        self.readers = Readers()
        weakref.finalize(self, self.readers.close)


class Gallery:
    """Pictures that are read when they are wanted, uint8 (N, C, H, W) to whoever asks for rows.

    Args:
        files: All of them.
        rows: Which of the files are this gallery's pictures, in its order.
        shape: (C, H, W) of a picture.
        on_bad: `stop`: a file that cannot be read is a DataError; `skip`: the next one that can be read stands for it.
        team: Who reads; shared by the galleries of one folder.
        tell: Called with a message where a picture stands for another.
    """

    dtype = torch.uint8

    def __init__(
        self,
        files: Files,
        rows: NDArray[np.int64],
        shape: tuple[int, int, int],
        on_bad: OnBad,
        team: Team,
        tell: Tell | None = None,
    ) -> None:
        self._files, self._rows, self._size, self._on_bad, self._team, self._tell = (
            files,
            rows,
            shape,
            on_bad,
            team,
            tell,
        )
        self._begun: OrderedDict[bytes, Pending] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""
        return (len(self), *self._size)

    def __getitem__(self, indices: Int64[Tensor, "n"]) -> "Gallery":
        """A gallery of some of the pictures; nothing is read."""
        return Gallery(self._files, self._rows[indices.numpy()], self._size, self._on_bad, self._team, self._tell)

    def expect(self, indices: Int64[Tensor, "n"]) -> None:
        """Begin to read a batch that will be asked for soon."""
        wanted = indices.numpy().tobytes()
        if wanted not in self._begun:
            self._begun[wanted] = self._start(indices.numpy())
            while len(self._begun) > AHEAD + 1:  # somebody changed his mind
                self._begun.popitem(last=False)

    def index_select(self, dim: int, indices: Int64[Tensor, "n"]) -> UInt8[Tensor, "n c h w"]:
        """Some pictures, each read from its file.

        Raises: DataError for one that cannot be read, where `on_bad` is `stop`.
        """
        assert dim == 0
        pending = self._begun.pop(indices.numpy().tobytes(), None) or self._start(indices.numpy())
        out = torch.empty((len(indices), *self._size), dtype=torch.uint8)
        target = out.numpy().transpose(0, 2, 3, 1)
        for place, (row, answer) in enumerate(zip(indices.tolist(), pending, strict=True)):
            target[place] = self._another(row, answer) if isinstance(answer, Unreadable) else answer
        return out

    def _start(self, indices: NDArray[np.int64]) -> Pending:
        channels, height, width = self._size
        work = Work("decode", height, width, channels)
        return self._team.readers.start(work, [self._files.place(row) for row in self._rows[indices].tolist()])

    def _another(self, row: int, problem: Unreadable) -> NDArray[np.uint8]:
        """The next picture that can be read: a function of the files, not of who reads them when."""
        for _ in range(len(self) - 1):
            name = self._files.name(int(self._rows[row]))
            if self._on_bad == "stop":
                raise bad_files([(name, problem.reason)], len(self), name)
            if self._tell is not None:
                self._tell({"message": f"{name} cannot be read: {problem.reason}. The next one stands for it"})
            row = (row + 1) % len(self)
            answer = next(iter(self._start(np.array([row]))))
            if isinstance(answer, np.ndarray):
                return answer
            assert isinstance(answer, Unreadable)
            problem = answer
        raise bad_files([(self._files.name(int(self._rows[row])), problem.reason)], len(self), "")


def bad_files(bad: Sequence[tuple[str, str]], total: int, where: str) -> GanworksError:
    """The error about files that cannot be read, with the first ten of them and why."""
    details = [f"{shown(name)}   {reason}" for name, reason in bad[:_NAMED]]
    details += [f"and {len(bad) - _NAMED} more"] if len(bad) > _NAMED else []
    return error("E-DATA-12", count=len(bad), total=total, where=where, details=details)


class Made:
    """A column whose pictures are made of those of another one, when they are asked for.

    Args:
        base: uint8 pictures (N, C, H, W).
        make: From some of them to as many others, each made of its own alone.
    """

    dtype = torch.uint8

    def __init__(self, base: "Gallery | Made", make: Make) -> None:
        self._base, self._make = base, make
        self._size = tuple(make(torch.zeros(1, *base.shape[1:], dtype=torch.uint8)).shape[1:])

    def __len__(self) -> int:
        return len(self._base)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""
        return (len(self), *self._size)

    def __getitem__(self, indices: Int64[Tensor, "n"]) -> "Made":
        """The same of some of the pictures; nothing is read."""
        return Made(self._base[indices], self._make)

    def expect(self, indices: Int64[Tensor, "n"]) -> None:
        """Begin to read pictures that will be asked for soon."""
        self._base.expect(indices)

    def index_select(self, dim: int, indices: Int64[Tensor, "n"]) -> UInt8[Tensor, "n c h w"]:
        """Some pictures."""
        return self._make(self._base.index_select(dim, indices))


Column = Tensor | Gallery | Made
"""A column of a data set: rows in memory, rows in files, or rows made of those."""


def made(column: Column, make: Make) -> Column:
    """Pictures made of others: now where those are in memory, else when they are asked for."""
    if isinstance(column, Tensor):
        return torch.cat([make(part) for part in torch.split(column, _AT_ONCE)])
    return Made(column, make)


def read_all(
    readers: Readers, files: Files, rows: NDArray[np.int64], shape: tuple[int, int, int], tell: Tell | None = None
) -> tuple[UInt8[Tensor, "n c h w"], dict[int, str]]:
    """The pictures that can be read, in their order, and why the others cannot, by their place in `rows`.

    Args:
        tell: Called with the progress now and then.
    """
    channels, height, width = shape
    out = torch.empty((len(rows), *shape), dtype=torch.uint8)
    target = out.numpy().transpose(0, 2, 3, 1)
    bad: dict[int, str] = {}
    places = [files.place(row) for row in rows.tolist()]
    for number, answer in enumerate(readers.start(Work("decode", height, width, channels), places)):
        if isinstance(answer, Unreadable):
            bad[number] = answer.reason
        else:
            target[number - len(bad)] = answer
        report(tell, "reading pictures", number + 1, len(rows), TOLD)
    return out[: len(rows) - len(bad)], bad
