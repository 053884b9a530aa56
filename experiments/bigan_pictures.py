"""The picture of docs/systems/bigan.md: points, what E makes of them, and what G makes of that; `bigan`'s seed 0."""

import argparse
import sys
from pathlib import Path

import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from torch import Tensor

from ganworks.theory import ring

from .bigan import RADIUS, SETTINGS, STEPS, fresh
from .processes import train
from .record import ROOT

PICTURE = ROOT / "docs" / "pictures" / "bigan.png"


def draw(axes: Axes, points: Tensor, mode: Tensor, title: str, note: str, reach: float) -> None:
    """One set of points in the colours of the modes that they belong to."""
    axes.scatter(*points.T, c=mode, cmap="tab10", s=4, vmin=-0.5, vmax=9.5)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[], title=title)
    axes.set_xlabel(note)


def main(words: list[str], picture: Path = PICTURE) -> int:
    parser = argparse.ArgumentParser("python -m experiments.bigan_pictures", description=__doc__)
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    given = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    gan = train("ring", "--system", "bigan", "--seed", "0", "--steps", str(options.steps), *given).gan
    x, means = fresh(0)
    z = gan.encode(x)
    back = gan.decode(z)
    mode = torch.cdist(means, ring().means.float()).argmin(1)
    right = ((back - means).norm(dim=1) <= RADIUS).double().mean()
    figure, row = plt.subplots(1, 3, figsize=(10, 3.9), layout="constrained")
    draw(row[0], x, mode, "x", "fresh points, a colour for each mode", 2.6)
    draw(row[1], z, mode, "E(x)", f"std {z.std(0)[0]:.2f} and {z.std(0)[1]:.2f}; N(0, I) has 1", 3.6)
    draw(row[2], back, mode, "G(E(x))", f"{right:.1%} within 3 std of the mode of x", 2.6)
    figure.savefig(picture, dpi=90)
    plt.close(figure)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
