"""Which rows a step sees: endless shuffled epochs as a function of (seed, step), with nothing to save."""

import torch
from jaxtyping import Int64
from torch import Tensor

from ganworks.random import generator


class Order:
    """Row numbers of every batch. Epoch e is one permutation of all rows; a batch may run on into the next epoch.

    Args:
        count: Rows of the data set, at least 1.
        batch: Rows of a batch; may be larger than `count`.
        seed: Two orders with one seed are equal.
    """

    def __init__(self, count: int, batch: int, seed: int) -> None:
        assert count > 0
        assert batch > 0
        self._count, self._batch, self._seed = count, batch, seed
        self._epochs: dict[int, Tensor] = {}

    def rows(self, index: int) -> Int64[Tensor, "batch"]:
        """The rows of global batch number `index` (from 0). A view where it can be: do not write into it."""
        epoch, offset = divmod(index * self._batch, self._count)
        end = offset + self._batch
        if end <= self._count:
            return self._epoch(epoch)[offset:end]
        pieces = []
        while end > 0:
            pieces.append(self._epoch(epoch)[offset:end])
            epoch, offset, end = epoch + 1, 0, end - self._count
        return torch.cat(pieces)

    def _epoch(self, epoch: int) -> Tensor:
        order = self._epochs.get(epoch)
        if order is None:
            if len(self._epochs) == 2:  # the one before stays: a resume or a probe may ask for the last batch again
                del self._epochs[min(self._epochs)]
            order = torch.randperm(self._count, generator=generator(self._seed, "order", epoch))
            self._epochs[epoch] = order
        return order
