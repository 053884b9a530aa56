"""Claim: likelihood is not quality: 99 % noise costs at most ln 100 nats, and a copy of the data ruins the likelihood.

A model q of which 1 % is p has log q >= log p - ln 100 everywhere: 4.605 nats, in any dimension. And narrow kernels on
the training points give samples that are real to every judge, while points held out are worth nothing to them.
Densities: ring, grid and normals of 1 to 1,000 dimensions, known exactly; and one fitted to real digits: a mixture of
normals by EM in their 40 first directions, with even noise in the 744 others. Each pixel is spread over its grey level,
so that digits have a density. Judges: `high_quality` for points; for digits the packed classifier's features, by their
Fréchet distance to held-out digits and by precision, the share of samples inside the ball of a real one.
Parzen windows, by which GANs used to be given a likelihood, stand beside it with the best of ten widths.

Bars: 99 % noise loses at most ln 100 + 1e-9 nats at every point; of its samples at most 3 % pass for real. The samples
of the narrowest memoriser do as often as real data within 3 standard errors, its Fréchet distance on digits is at most
1.25 of real ones', and it loses at least 100 nats. Parzen windows rank k-means centres above real digits and miss the
density's own likelihood by at least 100 nats.
Floor: fresh draws of the density; real digits that nothing was fitted to.
Source: Theis, van den Oord and Bethge 2016, A note on the evaluation of generative models, sections 3.2 and 3.3.

    python -m experiments.likelihood [--smoke]
"""

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Tensor

from ganworks import data, metrics, theory
from ganworks.metrics import features

from .densities import Kernels, Subspace, centres, fitted
from .protocol import all_pictures, whole_grey
from .record import RESULTS, Arm, Record

SOURCES = (
    "src/ganworks/theory",
    *(
        f"src/ganworks/metrics/{name}"
        for name in ("modes.py", "frechet.py", "neighbours.py", "spaces.py", "digits.py", "digits.safetensors")
    ),
    "src/ganworks/data/digits.npz",
    "experiments/densities.py",
    "experiments/likelihood.py",
    "experiments/protocol.py",
)
NOISE = 0.99
KERNELS = (0.1, 0.01, 0.001, 0.0001)
"""Widths of a memoriser of points."""
WIDTHS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
"""Of one of pictures, and of Parzen windows; pixels run from -1 to 1."""
LEVEL = 1 / 127.5


@dataclass(frozen=True)
class Size:
    """How much is drawn, and how long is fitted."""

    points: int
    memorised: int
    """Training points and training digits of a memoriser, and centres of a Parzen window."""
    digits: int
    """Held out, drawn, and real ones for the floor: so many each."""
    parts: int
    """Components of the digits' density."""
    rounds: int
    """Of EM."""


FULL = Size(points=20_000, memorised=4000, digits=2000, parts=30, rounds=40)
SMOKE = Size(points=2000, memorised=300, digits=200, parts=3, rounds=3)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drowned(p: theory.Density, noise: theory.Density) -> theory.Mixture:
    """1 % of p, 99 % noise."""
    return theory.Mixture([p, noise], [1 - NOISE, NOISE])


def points_model(name: str, model: str, size: Size) -> theory.Density:
    """A model of ring or grid: the density itself, with noise, or a memoriser of the width `model` names."""
    exact = {"ring": theory.ring, "grid": theory.grid}[name]()
    if model == "exact":
        return exact
    if model == "noise":
        return drowned(exact, theory.Normal([0.0, 0.0], 10.0))
    return Kernels(exact.sample(size.memorised, seeded(1)).double(), float(model))


def points(name: str, model: str, size: Size) -> Arm:
    """Nats of fresh draws of the exact density, what they lose to it, and the quality of the model's samples."""
    exact, judged = points_model(name, "exact", size), points_model(name, model, size)
    held_out = exact.sample(size.points, seeded(0)).double()
    gained = judged.log_prob(held_out) - exact.log_prob(held_out)
    found = metrics.mode_coverage(judged.sample(size.points, seeded(2)), exact)
    return {
        "samples": size.points,
        "nats": judged.log_prob(held_out).mean().item(),
        "nats_lost": -gained.mean().item(),
        "nats_lost_most": -gained.min().item(),
        "high_quality": found.high_quality,
        "modes": found.modes,
    }


def dimensions(count: int, size: Size) -> Arm:
    """The same loss for a normal density of so many dimensions in wider noise."""
    p = theory.Normal([0.0] * count, 0.1)
    held_out = p.sample(size.points // 10, seeded(0)).double()
    exact = p.log_prob(held_out)
    lost = exact - drowned(p, theory.Normal([0.0] * count, 1.0)).log_prob(held_out)
    return {"nats": exact.mean().item(), "nats_lost": lost.mean().item(), "nats_lost_most": lost.max().item()}


class Digits:
    """Real digits in three parts, the density fitted to the first, and the judge.

    The first `memorised` training digits are fitted and memorised; later ones are real data for the floor.
    """

    def __init__(self, size: Size) -> None:
        self.size = size
        self.judge = features.get("digits")
        training = data.open("digits")
        assert training.held_out is not None
        order = torch.randperm(len(training), generator=seeded(0))
        pictures = all_pictures(training)[order]
        self.training, self.others = pictures[: size.memorised], pictures[size.memorised :][: size.digits]
        self.held_out = all_pictures(training.held_out)[: size.digits]
        self.reference = self.judge(self.held_out).double()

    @staticmethod
    def smoothed(pictures: Tensor, seed: int) -> Tensor:
        """Rows (N, 784) in float64, each pixel anywhere within its grey level."""
        noise = torch.rand(pictures.shape, generator=seeded(seed), dtype=torch.float64)
        return (pictures.double() + (noise - 0.5) * LEVEL).flatten(1)

    @cached_property
    def rows(self) -> tuple[Tensor, Tensor]:
        """Training and held-out rows."""
        return self.smoothed(self.training, 1), self.smoothed(self.held_out, 2)

    @cached_property
    def density(self) -> Subspace:
        return fitted(self.rows[0], parts=self.size.parts, directions=40, rounds=self.size.rounds, seed=0)

    def model(self, name: str) -> theory.Density:
        """The density, the density with noise, or a memoriser of the width `name` names."""
        if name == "density":
            return self.density
        if name == "noise":
            return drowned(self.density, theory.Normal([0.0] * 784, 0.6))
        return Kernels(self.rows[0], float(name))

    def nats(self, name: str) -> Arm:
        """Nats of a held-out picture, its loss to the density, and the quality of the model's samples."""
        model = self.model(name)
        found = model.log_prob(self.rows[1])
        lost = self.density.log_prob(self.rows[1]) - found
        samples = model.sample(self.size.digits, seeded(3)).view(-1, 1, 28, 28)
        return {"nats": found.mean().item(), "nats_lost": lost.mean().item(), "nats_lost_most": lost.max().item()} | (
            self.quality(samples)
        )

    def quality(self, pictures: Tensor) -> Arm:
        """As the classifier sees pictures (N, 1, 28, 28): their distance to held-out digits, and which pass for one."""
        found = self.judge(whole_grey(pictures.float())).double()
        near = metrics.precision_recall(self.reference, found)
        distance = metrics.frechet_distance(self.reference, found)
        return {"samples": len(found), "frechet_distance": distance, "precision": near.precision, "recall": near.recall}

    def parzen(self, what: str) -> Arm:
        """The best of all widths of windows on samples: on those of the density, on real digits, on k-means centres."""
        make: dict[str, Callable[[], Tensor]] = {
            "real digits": lambda: self.rows[0],
            "samples of the fitted density": lambda: self.density.sample(self.size.memorised, seeded(4)).double(),
            "k-means centres": lambda: centres(self.rows[0], self.size.memorised // 4, 10, seed=0),
        }
        chosen = make[what]()
        by_width = {str(width): Kernels(chosen, width).log_prob(self.rows[1]).mean().item() for width in WIDTHS}
        best = max(by_width, key=by_width.__getitem__)
        return {"centres": len(chosen), "width": float(best), "nats": by_width[best], "by_width": by_width}


def judge_noise(record: Record, name: str, arm: Arm) -> None:
    record.bar(f"{name}: nats lost by 99 % noise, most", arm["nats_lost_most"], "<=", math.log(100) + 1e-9)


def judge_points(record: Record, name: str, size: Size) -> None:
    """Ring or grid."""
    floor = record.floor(f"{name}, fresh draws", partial(points, name, "exact", size))
    noise = record.arm(f"{name}, 99 % noise", partial(points, name, "noise", size))
    judge_noise(record, name, noise)
    record.bar(f"{name}: high quality of 99 % noise", noise["high_quality"], "<=", 0.03)
    for width in KERNELS:
        memoriser = record.arm(f"{name}, kernels of {width:g}", partial(points, name, str(width), size))
    error = math.sqrt(floor["high_quality"] * (1 - floor["high_quality"]) / size.memorised)
    off = floor["high_quality"] - memoriser["high_quality"]
    record.bar(f"{name}: high quality that the narrowest memoriser lacks, in standard errors", off / error, "<=", 3)
    record.bar(f"{name}: nats lost by the narrowest memoriser", memoriser["nats_lost"], ">=", 100)


def judge_digits(record: Record, size: Size) -> None:
    """Real digits and a density fitted to them."""
    digits = Digits(size)
    floor = record.floor("digits, real ones", lambda: digits.quality(digits.others))
    density = record.arm("digits, the fitted density", partial(digits.nats, "density"))
    noise = record.arm("digits, 99 % noise", partial(digits.nats, "noise"))
    judge_noise(record, "digits", noise)
    record.bar("digits: precision of 99 % noise", noise["precision"], "<=", 0.03)
    memorisers = [record.arm(f"digits, kernels of {w:g}", partial(digits.nats, str(w))) for w in WIDTHS]
    error = math.sqrt(2 * floor["precision"] * (1 - floor["precision"]) / size.digits)
    off = (floor["precision"] - memorisers[0]["precision"]) / error
    record.bar("digits: precision that the narrowest memoriser lacks, in standard errors", off, "<=", 3)
    ratio = memorisers[0]["frechet_distance"] / floor["frechet_distance"]
    record.bar("digits: Fréchet distance of the narrowest memoriser over real ones'", ratio, "<=", 1.25)
    record.bar("digits: nats lost by the narrowest memoriser", memorisers[0]["nats_lost"], ">=", 100)
    names = ("real digits", "samples of the fitted density", "k-means centres")
    windows = {name: record.arm(f"Parzen windows on {name}", partial(digits.parzen, name))["nats"] for name in names}
    gain = windows["k-means centres"] - windows["real digits"]
    record.bar("Parzen: nats by which k-means centres beat real digits", gain, ">=", 1)
    short = density["nats"] - windows["samples of the fitted density"]
    record.bar("Parzen: nats by which it misses the density's own", short, ">=", 100)


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.likelihood", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="few samples, a coarse density: does it run?")
    options = parser.parse_args(words)
    size = SMOKE if options.smoke else FULL
    torch.set_num_threads(1)
    name = "likelihood-smoke" if options.smoke else "likelihood"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, folder=folder)
    for density in ("ring", "grid"):
        judge_points(record, density, size)
    for count in (1, 10, 100, 1000):
        arm = record.arm(f"normal in {count} dimensions, 99 % noise", partial(dimensions, count, size))
        judge_noise(record, f"normal in {count} dimensions", arm)
    judge_digits(record, size)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
