"""A grid of what a translator makes: the same rows at every look."""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ganworks.data import pictures
from ganworks.data.dataset import DataSet
from ganworks.game import System
from ganworks.use import translate

_ROWS = 16
_MOST = 8
"""Domains that are shown, at most."""


def picture(system: System, data: DataSet) -> UInt8[np.ndarray, "h w c"]:
    """Rows that were not learnt, as far as there are any: each beside what is made of it.

    Of pairs: source, translation, target. Of domains: a sample, and what it becomes in each of them; its own included,
    where little should change.

    Args:
        system: In evaluation.
    """
    rows = data.held_out or data
    chosen = torch.arange(_ROWS) * len(rows) // _ROWS
    batch = rows.rows(chosen)
    if data.spec.kind == "pairs":
        columns = [batch["source"], translate.of(system, batch["source"]), batch["target"]]
    else:
        domains = range(min(len(data.spec.classes), _MOST))
        columns = [batch["x"], *(translate.of(system, batch["x"], to=number) for number in domains)]
    channels = max(column.shape[1] for column in columns)
    stacked = torch.stack([_colored(column, channels) for column in columns], 1).flatten(0, 1)
    return pictures.grid(stacked, columns=2 * len(columns))


def _colored(x: Float[Tensor, "n _ h w"], channels: int) -> Float[Tensor, "n _c h w"]:
    return x if x.shape[1] == channels else x[:, :1].expand(-1, channels, -1, -1)
