"""Randomness as a function: every number drawn depends on (seed, purpose, counters) and on nothing else.

No generator state is ever saved. A stream is named by what it is for; drawing from it twice in one update continues it.
CPU generators read only the low 32 bits of a seed, so keys are counted up from a hash instead of hashed one by one:
consecutive updates cannot collide.
"""

import hashlib
from collections.abc import Callable
from contextvars import ContextVar

import torch
from torch import Tensor

_BITS = 1 << 32

share: ContextVar[tuple[int, slice] | None] = ContextVar("share", default=None)
"""(rows of the global batch, this process's part of them) while it plays with others; None while it is alone."""


def key(*parts: str | int) -> int:
    """A 32-bit key from a seed and names: the same parts give the same key on every machine."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


def generator(*parts: str | int) -> torch.Generator:
    """A CPU generator seeded by `key(*parts)`."""
    return torch.Generator().manual_seed(key(*parts))


def shared(draw: Callable[[int], Tensor], count: int) -> Tensor:
    """Rows for a layer that draws from the default generator: for the global batch, cut to this process's part.

    Args:
        draw: Gives so many rows.
        count: Rows wanted here; with packing a fraction of this process's rows.
    """
    part = share.get()
    if part is None:
        return draw(count)
    batch, rows = part
    packed = (rows.stop - rows.start) // count
    return draw(batch // packed)[rows.start // packed : rows.stop // packed]


class Streams:
    """Named streams for one update of one player, or one chunk of samples.

    Draws are made for the global batch and cut to this process's rows, so that N processes draw what one would.

    Args:
        base: What names these streams: (seed, phase, player) or (seed, "sample").
        count: Rows of the global batch.
        rows: This process's part of them.
        device: Where the numbers are wanted. They are drawn on the CPU, so that they are the same everywhere.
    """

    def __init__(self, base: tuple[str | int, ...], count: int, rows: slice | None = None, device: str = "cpu") -> None:
        self._base = base
        self._count = count
        self._rows = rows
        self.device = device
        self._keys: dict[str, int] = {}
        self._generators: dict[str, torch.Generator] = {}
        self._begun: set[str] = set()
        self._index = 0

    @property
    def seed(self) -> int:
        """The seed that all of them follow from."""
        return int(self._base[0])

    def key(self) -> int:
        """The seed for the default generators here: dropout and what else takes no generator."""
        if "" not in self._keys:
            self._keys[""] = key(*self._base)
        return (self._keys[""] + self._index) % _BITS

    def at(self, index: int) -> "Streams":
        """Move to an update or chunk: every stream starts anew there."""
        self._index = index
        self._begun.clear()
        return self

    def stream(self, name: str) -> torch.Generator:
        """The CPU generator behind a name, for draws of another form. Draw for the global batch."""
        if name not in self._begun:
            if name not in self._generators:
                self._generators[name] = torch.Generator()
                self._keys[name] = key(*self._base, name)
            self._generators[name].manual_seed((self._keys[name] + self._index) % _BITS)
            self._begun.add(name)
        return self._generators[name]

    def _cut(self, drawn: Tensor) -> Tensor:
        return (drawn if self._rows is None else drawn[self._rows]).to(self.device)

    def normal(self, name: str, *shape: int) -> Tensor:
        """Standard normal numbers of shape (rows, *shape)."""
        return self._cut(torch.randn((self._count, *shape), generator=self.stream(name)))

    def uniform(self, name: str, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1) of shape (rows, *shape)."""
        return self._cut(torch.rand((self._count, *shape), generator=self.stream(name)))

    def integers(self, name: str, high: int, *shape: int) -> Tensor:
        """Whole numbers from 0 to high - 1, of shape (rows, *shape)."""
        return self._cut(torch.randint(high, (self._count, *shape), generator=self.stream(name)))
