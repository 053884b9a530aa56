"""The picture of docs/systems/vae.md: the ring, and samples of `experiments.explicit` of its three systems, seed 0."""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from torch import Tensor

from ganworks.theory import ring

from .explicit import SHOWN, SYSTEMS, shown
from .record import RESULTS, ROOT, Arm

PICTURE = ROOT / "docs" / "pictures" / "explicit.png"


def draw(axes: Axes, points: Tensor, title: str, arm: Arm) -> None:
    """One set of points, with its numbers below."""
    axes.plot(*points.T, ".", color="#2166ac", markersize=1.5, alpha=0.5)
    axes.set(xlim=(-2.6, 2.6), ylim=(-2.6, 2.6), aspect="equal", xticks=[], yticks=[], title=title)
    nats = "no likelihood"
    if "log_likelihood" in arm:
        nats = f"{'at least ' if 'evidence_bound' in arm else ''}{arm['log_likelihood']:.2f} nats"
    axes.set_xlabel(f"{arm['modes']} of 8 modes; {arm['between']:.1%} between them\n{nats}")


def main(words: list[str], picture: Path = PICTURE) -> int:
    parser = argparse.ArgumentParser("python -m experiments.explicit_pictures", description=__doc__)
    parser.add_argument("--result", type=Path, default=RESULTS / "explicit.json", help="of experiments.explicit")
    found = json.loads(parser.parse_args(words).result.read_text())
    figure, row = plt.subplots(1, 1 + len(SYSTEMS), figsize=(13, 3.9), layout="constrained")
    draw(row[0], ring().sample(SHOWN, torch.Generator().manual_seed(0)), "data", found["floors"]["fresh draws"])
    for axes, system in zip(row[1:], SYSTEMS, strict=True):
        arm = found["arms"][f"{system}, seed 0"]
        draw(axes, torch.from_numpy(np.load(shown(system))), system, arm)
    figure.savefig(picture, dpi=90)
    plt.close(figure)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
