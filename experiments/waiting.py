"""Claim: a training on a folder of JPEGs hardly waits for its pictures, even where none is kept in memory.

Ours: the default system in one thread on 64 px JPEGs of quality 90, with two workers, for some hundred rounds.
`streamed`: no picture is kept, each batch is read from files while those before are played. `kept`: the usual way, all
pictures are read once before.
Bars: the share of the rounds' wall time that is spent waiting for rows is at most 5 %, median over the blocks; streamed
and kept end in the same bits.
Floor: the same with a reader that reads no batch ahead, which must wait more than the bar allows.
"""

import argparse
import hashlib
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from ganworks.data import folders
from ganworks.data import open as open_data
from ganworks.data.dataset import DataSet
from ganworks.gan import GAN

from .reading import folder_of
from .record import PLAY, RESULTS, Arm, Record

SOURCES = (
    *PLAY,
    "src/ganworks/data",
    "src/ganworks/reading",
    "src/ganworks/networks/compact.py",
    "src/ganworks/systems/r3gan.py",
    "experiments/waiting.py",
    "experiments/reading.py",
)
BLOCK = 20
"""Rounds of which the share is taken; the first block warms up and does not count."""
MOST = 0.05


class Timed(DataSet):
    """A data set that knows how long it was waited for."""

    def __init__(self, data: DataSet, *, ahead: bool) -> None:
        super().__init__(data.spec, data.columns)
        self._ahead = ahead
        self.waited = 0.0

    def rows(self, indices: Tensor) -> Any:
        begun = time.perf_counter()
        batch = super().rows(indices)
        self.waited += time.perf_counter() - begun
        return batch

    def expect(self, indices: Tensor) -> None:
        if self._ahead:
            super().expect(indices)


def measure(folder: Path, blocks: int, *, streamed: bool, ahead: bool = True) -> Arm:
    """Play, and say which share of each block was waiting."""
    with mock.patch.object(folders, "KEPT", 0) if streamed else nullcontext():
        data = Timed(open_data(folder), ahead=ahead)
    assert data.streamed == streamed
    gan = GAN("r3gan").start(data, steps=BLOCK * (blocks + 1))
    shares, rounds = [], []
    for _ in range(blocks + 1):
        begun, data.waited = time.perf_counter(), 0.0
        for _ in range(BLOCK):
            gan.round()
        took = time.perf_counter() - begun
        shares.append(data.waited / took)
        rounds.append(took / BLOCK)
    bits = hashlib.sha256(gan.sample(32).numpy().tobytes()).hexdigest()
    return {
        "pictures": len(data),
        "batch": gan.system.settings.batch,
        "waiting": median(shares[1:]),
        "worst_block": max(shares[1:]),
        "seconds_a_round": median(rounds[1:]),
        "samples_sha256": bits,
    }


def main(words: list[str], folder: Path = RESULTS) -> int:
    """Run the arms that are missing and judge; --smoke is a second of everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--smoke", action="store_true")
    smoke = parser.parse_args(words).smoke
    torch.set_num_threads(1)
    count, blocks = (64, 1) if smoke else (4_000, 15)
    name = "waiting-smoke" if smoke else "waiting"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, {"pictures": count, "blocks": blocks}, folder)
    with tempfile.TemporaryDirectory() as place:
        made: Callable[..., Arm] = partial(measure, Path(place), blocks)
        folder_of(Path(place), count, 64, 64, 0)
        streamed = record.arm("streamed", partial(made, streamed=True))
        kept = record.arm("kept", partial(made, streamed=False))
        lazy = record.floor("streamed, nothing read ahead", partial(made, streamed=True, ahead=False))
    record.bars.clear()
    record.bar("streamed: share of the time spent waiting", streamed["waiting"], "<=", MOST)
    record.bar("kept: share of the time spent waiting", kept["waiting"], "<=", MOST)
    record.bar("nothing read ahead: share of the time spent waiting", lazy["waiting"], ">=", MOST)
    record.bar("samples that differ", float(streamed["samples_sha256"] != kept["samples_sha256"]), "==", 0)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
