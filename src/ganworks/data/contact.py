"""A contact sheet: a hundred of the pictures, evenly spread, to see at a glance what is there."""

from collections import deque

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray

from ganworks.data.pictures import grid

PICTURES, COLUMNS = 100, 10
CLASSES = 20
"""With more classes than this a row for each would show too little of it."""


class Contact:
    """Chooses pictures while they are read in their order; one that cannot be read gives way to the next of its row.

    Args:
        count: Pictures there are.
        labels: (count,) the class of each, for a row a class.
    """

    def __init__(self, count: int, labels: NDArray[np.int64] | None = None) -> None:
        present, row = (np.zeros(1), None) if labels is None else np.unique(labels, return_inverse=True)
        by_class = 1 < len(present) <= CLASSES
        self._row = row.astype(np.int64) if by_class and row is not None else np.zeros(count, np.int64)
        self._columns = min(2 * COLUMNS, PICTURES // len(present)) if by_class else COLUMNS
        most = self._columns if by_class else PICTURES
        members = [np.flatnonzero(self._row == each) for each in range(len(present) if by_class else 1)]
        self._wanted = [deque(_spread(each, most)) for each in members]
        self._rows: list[list[NDArray[np.uint8]]] = [[] for _ in members]

    def offer(self, index: int, thumbnail: UInt8[np.ndarray, "64 64 3"]) -> None:
        """Take a picture that could be read, if one is due."""
        row = int(self._row[index])
        if self._wanted[row] and index >= self._wanted[row][0]:
            self._wanted[row].popleft()
            self._rows[row].append(thumbnail)

    def sheet(self) -> UInt8[np.ndarray, "h w 3"]:
        """The pictures in rows, a row a class where there are few classes."""
        tiles = [tile for row in self._rows if row for tile in self._padded(row)]
        pictures = torch.from_numpy(np.stack(tiles)).permute(0, 3, 1, 2).float().div(127.5).sub(1)
        return grid(pictures, self._columns)

    def _padded(self, row: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        missing = -len(row) % self._columns if len(self._rows) > 1 else 0
        return [*row, *[np.full_like(row[0], 64)] * missing]


def _spread(members: NDArray[np.int64], most: int) -> list[int]:
    """Evenly spread members, all of them where they are few."""
    if len(members) <= most:
        return list(members.tolist())
    return list(members[np.linspace(0, len(members) - 1, most).round().astype(int)].tolist())
