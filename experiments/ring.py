"""Claim: `ganworks train ring` finds all eight modes with the right weights in a minute; the objective does it.

Ours: the defaults, five seeds, one core. Null competitor: the same networks, optimizer and decay with the
non-saturating loss and no penalty.
Bars: every seed 8 modes, high quality >= 0.80, reverse KL <= 0.005, std ratio 0.7 .. 1.3, <= 60 CPU s for the whole
command; the competitor's median reverse KL >= 20 times the default's median.
Floor: fresh draws of the density: high quality 0.989, reverse KL about 0.0004 at 10,000 points.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from ganworks import metrics
from ganworks.theory import Mixture, ring

from .processes import train
from .record import OURS, RESULTS, Arm, Record

SOURCES = (*OURS, "experiments/ring.py", "experiments/processes.py")
WITHOUT = ("objective.loss=non_saturating", "objective.r1=0", "objective.r2=0", "turns.one_pass=false")
POINTS = 10_000
RING = ring()


def quality(points: Tensor, density: Mixture = RING) -> Arm:
    """Mode coverage as an arm's numbers."""
    return {"samples": len(points), **metrics.mode_coverage(points, density)._asdict()}


def fresh(density: Mixture = RING) -> Arm:
    """The floor: draws of the density itself."""
    return quality(density.sample(POINTS, torch.Generator().manual_seed(0)), density)


def measure(name: str, density: Mixture, seed: int, settings: tuple[str, ...], length: tuple[str, ...]) -> Arm:
    """Train once by the command and score the averaged generator."""
    trained = train(name, "--seed", str(seed), *(word for s in settings for word in ("--set", s)), *length)
    return trained.facts | quality(trained.gan.sample(POINTS, seed=seed), density)


def numbers(arms: list[Arm], name: str) -> list[float]:
    return [float(arm[name]) for arm in arms]


def judge(record: Record, ours: list[Arm], without: list[Arm]) -> None:
    """The bars, each on the worst seed."""
    record.bar("modes, fewest", min(numbers(ours, "modes")), "==", 8)
    record.bar("high quality, lowest", min(numbers(ours, "high_quality")), ">=", 0.80)
    record.bar("reverse KL, highest", max(numbers(ours, "reverse_kl")), "<=", 0.005)
    record.bar("std ratio, lowest", min(numbers(ours, "std_ratio")), ">=", 0.7)
    record.bar("std ratio, highest", max(numbers(ours, "std_ratio")), "<=", 1.3)
    record.bar("CPU seconds of the command, most", max(numbers(ours, "command_seconds")), "<=", 60)
    times = median(numbers(without, "reverse_kl")) / median(numbers(ours, "reverse_kl"))
    record.bar("median reverse KL without penalty, times the default's", times, ">=", 20)


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.ring", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="one seed and twenty steps: does it run?")
    options = parser.parse_args(words)
    seeds, length = (1, ("--steps", "20")) if options.smoke else (options.seeds, ())
    name = "ring-smoke" if options.smoke else "ring"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, {"seeds": seeds}, folder)
    record.floor("fresh draws", fresh)
    on_ring = partial(measure, "ring", RING)
    ours = [record.arm(f"default, seed {s}", partial(on_ring, s, (), length)) for s in range(seeds)]
    same = ("--steps", str(ours[0]["step"]))  # the plan would give its cheaper updates more of them
    without = [record.arm(f"no penalty, seed {s}", partial(on_ring, s, WITHOUT, same)) for s in range(seeds)]
    judge(record, ours, without)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
