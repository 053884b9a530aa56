"""Claim: `cyclegan` finds the one map between two heaps of points; without the way back it finds any map.

Ours: one domain is a mixture of five Gaussians of unequal weights in the plane, without any symmetry; the other one is
a fresh draw of it, turned by 50 degrees, stretched by 1.5 and moved, so that no point has a partner. Smooth maps from
the one onto the other that keep neighbours together are few: the true one is to be found. Defaults, 2,500 rounds, five
seeds, one core; the same without the cycle term (`cycle=0`).
Error: the root of the mean squared distance of translations to where the true map leads, over the domain's standard
deviation, on 4,000 new points; the worse of both directions.
Bars: at most 0.1 in five of five seeds; without the cycle term 0.5 or more in one of five at least.
Nulls: copying the input, and the map of Gaussians that moves mean and covariance alone (Olkin and Pukelsheim 1982).

    python -m experiments.unpaired_points [--seeds 5] [--smoke]
"""

import argparse
import math
import sys
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from ganworks import theory
from ganworks.data.dataset import Content, DataSet, build

from .record import PLAY, RESULTS, Arm, Record
from .translations import trained

SOURCES = (
    *PLAY,
    *(f"src/ganworks/{name}.py" for name in ("systems/cyclegan", "networks/mlp", "use/translate")),
    *(f"experiments/{name}.py" for name in ("unpaired_points", "translations")),
)
ROUNDS = 2_500
ROWS, TESTED = 20_000, 4_000
MEANS = ((-2.0, -1.0), (-1.0, 1.5), (0.5, 0.0), (2.5, 1.0), (2.0, -2.0))
WEIGHTS = (0.35, 0.1, 0.25, 0.1, 0.2)
STD = 0.3
ANGLE, STRETCH, SHIFT = math.radians(50), 1.5, (3.0, -1.0)
CYCLE = 0.1
"""The default for points."""
Points = Float[Tensor, "n 2"]


def here(count: int, seed: int) -> Points:
    """Points of the first domain."""
    parts = tuple(theory.MultivariateNormal(torch.tensor(mean), STD**2 * torch.eye(2)) for mean in MEANS)
    mixture = theory.Mixture(parts, torch.tensor(WEIGHTS))
    return mixture.sample(count, torch.Generator().manual_seed(seed)).float()


def truth(x: Points) -> Points:
    """Where the true map leads."""
    cosine, sine = math.cos(ANGLE), math.sin(ANGLE)
    return STRETCH * x @ torch.tensor([[cosine, sine], [-sine, cosine]]) + torch.tensor(SHIFT)


def heaps(seed: int) -> DataSet:
    """Two draws of ROWS points, the second one mapped."""
    x = torch.cat([here(ROWS, 2 * seed), truth(here(ROWS, 2 * seed + 1))])
    return build(Content("heaps", "domains", {"x": x, "domain": torch.arange(2 * ROWS) // ROWS}, ("here", "there")))


def off(made: Points, wanted: Points) -> float:
    """RMS distance over the RMS distance of what is wanted to its mean."""
    spread = (wanted - wanted.mean(0)).square().sum(1).mean().sqrt()
    return ((made - wanted).square().sum(1).mean().sqrt() / spread).item()


def errors(there: Points, back: Points, test: Points) -> Arm:
    """Of both directions: what was made of `test`, and of where it belongs."""
    return {"there": off(there, truth(test)), "back": off(back, test)}


def played(test: Points, seed: int, rounds: int, cycle: float) -> Arm:
    """Train once, and translate new points both ways."""
    gan, facts = trained("cyclegan", heaps(seed), rounds, seed, cycle=cycle)
    return facts | errors(gan.translate(test, "there"), gan.translate(truth(test), "here"), test)


def gaussian_map(x: Points, source: Points, target: Points) -> Points:
    """The nearest linear map that moves mean and covariance of one heap to those of another."""
    a, b = source.T.cov(), target.T.cov()
    root = _root(a)
    inverse = torch.linalg.inv(root)
    return (x - source.mean(0)) @ (inverse @ _root(root @ b @ root) @ inverse) + target.mean(0)


def _root(matrix: Float[Tensor, "2 2"]) -> Float[Tensor, "2 2"]:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp(min=0).sqrt() @ vectors.T


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.unpaired_points", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="few rounds: does it run?")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    seeds, rounds = (1, 5) if options.smoke else (options.seeds, ROUNDS)
    test = here(TESTED, 999)
    name = "unpaired_points-smoke" if options.smoke else "unpaired_points"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, {"seeds": seeds, "rounds": rounds}, folder)
    a, b = here(ROWS, 0), truth(here(ROWS, 1))
    record.floor("copying the input", lambda: errors(test, truth(test), test))
    record.floor("mean and covariance", lambda: errors(gaussian_map(test, a, b), gaussian_map(truth(test), b, a), test))
    tied = [record.arm(f"cycle, seed {s}", partial(played, test, s, rounds, CYCLE)) for s in range(seeds)]
    free = [record.arm(f"no cycle, seed {s}", partial(played, test, s, rounds, 0.0)) for s in range(seeds)]
    worst, most = (max(max(arm["there"], arm["back"]) for arm in arms) for arms in (tied, free))
    record.bar("error with the cycle term, worst seed and direction", worst, "<=", 0.1)
    record.bar("error without it, worst seed and direction", most, ">=", 0.5)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
