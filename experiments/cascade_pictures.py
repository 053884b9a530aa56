"""The picture of docs/systems/lapgan.md: held-out digits of 14 px enlarged by one level, and what the cascade draws.

Digits, because the photographs of `cascade` are not ours to show. Rows, unpicked: the 14 px; what enlarging alone makes
of them; what `lapgan` does; the digits that they come from; samples from nothing.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F

import ganworks
from ganworks import data, model
from ganworks.data.pictures import grid, write_png
from ganworks.networks.pyramid import down
from ganworks.random import Streams
from ganworks.systems.lapgan import LAPGAN

from .cascade import enlarged
from .record import ROOT

PICTURE = ROOT / "docs" / "pictures" / "lapgan.png"
_COLUMNS = 12


def main(words: list[str], picture: Path = PICTURE) -> int:
    parser = argparse.ArgumentParser("python -m experiments.cascade_pictures", description=__doc__)
    parser.add_argument("--steps", type=int, default=3000)
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    held_out = data.open("digits").held_out
    assert held_out is not None
    real = held_out.rows(torch.arange(_COLUMNS))["x"]
    small = down(real)
    gan = ganworks.GAN("lapgan").start("digits", seed=0, steps=options.steps)
    for _ in range(options.steps):
        gan.round()
    with tempfile.TemporaryDirectory() as folder:
        gan.save(Path(folder) / "gan")
        still = model.load(Path(folder) / "gan").still
    assert isinstance(still, LAPGAN)
    with torch.no_grad():
        finer = still.finer(0, small, Streams((0, "enlarged"), len(small)))
    rows = [F.interpolate(small, scale_factor=2, mode="nearest"), enlarged(small, "bicubic").clamp(-1, 1)]
    rows += [finer, real, gan.sample(_COLUMNS, seed=0)]
    write_png(picture, grid(torch.cat(rows), _COLUMNS))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
