"""Which rows are held out, where the source itself does not say."""

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor

NOTHING_BELOW = 200
LEAST, MOST = 100, 5000


def held_out_count(count: int) -> int:
    """A tenth of the rows, between 100 and 5,000; nothing of fewer than 200."""
    return 0 if count < NOTHING_BELOW else min(max(round(count / 10), LEAST), MOST)


def split(count: int, keys: NDArray[np.uint64] | None = None) -> tuple[Int64[Tensor, "train"], Int64[Tensor, "held"]]:
    """Row numbers to train on and to hold out, each ascending: held out are those whose hash is smallest.

    Rows of one hash stay together.

    Args:
        keys: (count,) hashes of the rows' names; None: of their numbers.
    """
    keys = _mixed(np.arange(count, dtype=np.uint64)) if keys is None else keys
    order = np.argsort(keys, kind="stable")
    held = held_out_count(count)
    if held:
        held = int(np.searchsorted(keys[order], keys[order[held - 1]], side="right"))
    return torch.from_numpy(np.sort(order[held:])), torch.from_numpy(np.sort(order[:held]))


def _mixed(index: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64 (Steele, Lea and Flood 2014), a bijection of 64-bit numbers: no two rows have one hash."""
    with np.errstate(over="ignore"):
        mixed = (index + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))
