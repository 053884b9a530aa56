"""Rows of a data set that are read part by part: a large set of pictures is never in memory as a whole."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from ganworks.data.dataset import DataSet

_MOST = 256
"""Rows of a part; a multiple of what a network sees at once."""
_BYTES = 1 << 26
"""Of a part as float32: 256 colour pictures of 144 px, fewer of larger ones."""


@dataclass(frozen=True)
class Excerpt:
    """Rows by number, of one data set after another."""

    chosen: tuple[tuple[DataSet, Int64[Tensor, "_"]], ...]

    def __len__(self) -> int:
        return sum(len(index) for _, index in self.chosen)

    def parts(self) -> Iterator[Tensor]:
        """The rows in the user's units, some at a time; files of the next part are read while this one is used."""
        for data, index in self.chosen:
            pieces = torch.split(index, part_of(data.spec.shape))
            for piece, following in zip(pieces, [*pieces[1:], None], strict=True):
                data.expect(piece)
                if following is not None:
                    data.expect(following)
                yield data.rows(piece).made

    def rows(self) -> Tensor:
        """All of them: (count, ...)."""
        return torch.cat([data.rows(index).made for data, index in self.chosen])


def part_of(shape: tuple[int, ...]) -> int:
    """How many rows of a shape are looked at together."""
    fitting = _BYTES // (4 * torch.Size(shape).numel())
    return _MOST if fitting >= _MOST else max(1, fitting if fitting < 32 else fitting // 32 * 32)


def whole(data: DataSet, count: int) -> Excerpt:
    """Rows spread evenly over all of a data set, its held-out part with it; fewer if it has no more."""
    total = len(data) + (0 if data.held_out is None else len(data.held_out))
    count = min(count, total)
    index = torch.arange(count) * total // max(1, count)
    first = index < len(data)
    if data.held_out is None:
        return Excerpt(((data, index),))
    return Excerpt(((data, index[first]), (data.held_out, index[~first] - len(data))))


def spread(data: DataSet, count: int) -> Excerpt:
    """Rows spread evenly over the training part, which may be sorted by class."""
    count = min(count, len(data))
    return Excerpt(((data, torch.arange(count) * len(data) // max(1, count)),))
