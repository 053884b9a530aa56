"""The picture of docs/likelihood.md: samples of each model beside the nats that it gives to held-out data.

The numbers are those that `experiments.likelihood` has measured.
"""

import argparse
import json
import sys
from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from torch import Tensor

from ganworks.data.pictures import grid

from .likelihood import FULL, Digits, points_model, seeded
from .protocol import whole_grey
from .record import RESULTS, ROOT, Arm

PICTURES = ROOT / "docs" / "pictures"
COLUMNS = (
    ("real data", "{}, fresh draws", "exact", "digits, real ones", ""),
    ("a good model", "{}, fresh draws", "exact", "digits, the fitted density", "density"),
    ("1 % of it, 99 % noise", "{}, 99 % noise", "noise", "digits, 99 % noise", "noise"),
    ("a memoriser", "{}, kernels of 0.0001", "0.0001", "digits, kernels of 0.01", "0.01"),
)


def said(arm: Arm, quality: str) -> str:
    """The line under a panel."""
    return (f"{arm['nats']:,.1f} nats; " if "nats" in arm else "") + quality


def draw_points(axes: Axes, sample: Tensor, arm: Arm, title: str) -> None:
    axes.plot(*sample.T, ".", color="#2166ac", markersize=2, alpha=0.6)
    axes.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", xticks=[], yticks=[], title=title)
    axes.set_xlabel(said(arm, f"{arm['high_quality']:.1%} pass for real"))


def draw_digits(axes: Axes, pictures: Tensor, arm: Arm) -> None:
    axes.imshow(grid(whole_grey(pictures.float()).view(-1, 1, 28, 28)), cmap="gray")
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel(said(arm, f"{arm['precision']:.1%} pass for real"))


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser("python -m experiments.likelihood_pictures", description=__doc__)
    parser.add_argument("--result", type=Path, default=RESULTS / "likelihood.json")
    options = parser.parse_args(words)
    content = json.loads(options.result.read_text())
    arms = content["arms"] | content["floors"]
    digits = Digits(FULL)
    figure, (above, below) = plt.subplots(2, len(COLUMNS), figsize=(13, 7.2), layout="constrained")
    for index, (title, ring_arm, ring_model, digit_arm, digit_model) in enumerate(COLUMNS):
        sample = points_model("ring", ring_model, FULL).sample(1000, seeded(5 + index))
        draw_points(above[index], sample, arms[ring_arm.format("ring")], title)
        model = digits.model(digit_model).sample(36, seeded(5)) if digit_model else digits.others[:36]
        draw_digits(below[index], model, arms[digit_arm])
    figure.savefig(PICTURES / "likelihood.png", dpi=90)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
