"""Claim: the 95 % interval of every score holds its target in 90 to 98 % of repetitions.

Samples of known laws are drawn again and again, scored, and the intervals that hold the target are counted. The target
of the extrapolated Fréchet distance is the true one, in closed form; that of any other metric is its mean at that
number of samples, since an interval does not contain the metric's bias. Laws: normal distributions in 1 to 64
dimensions, equal, shifted and wider; the ring, whole, with modes left out and too wide; classes, alike and not; new
samples and such that lie by a training row.

Bars: the coverage of each metric, over its cases, from 0.90 to 0.98; that of the single case from 0.88 to 0.99, since
200 repetitions leave a standard error of 0.02 at the lower bar and of 0.01 at the upper. Where a metric gives the same
value in nearly all repetitions (all modes reached), more is no fault, and such cases count for the lower bars only.

    python -m experiments.intervals [--repeats 200] [--smoke]
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor

from ganworks import metrics
from ganworks.theory import Density, Mixture, ring

from .record import RESULTS, Arm, Record

_METRICS = (
    *("birthday", "bins", "classes", "classifier_score", "copies", "distances", "frechet", "inputs", "interval"),
    *("kernel", "modes", "moments", "nearest", "neighbours", "score", "sliced"),
)
SOURCES = (
    *(f"src/ganworks/metrics/{name}.py" for name in _METRICS),
    "src/ganworks/theory/densities.py",
    "experiments/intervals.py",
)
MODES = ("modes", "high_quality", "reverse_kl", "std_ratio")
CLASSES = ("class_kl", "inception_score")
SETS_OF_THREE = ("memorization",)
LEVEL = 0.95
DIRECTIONS = 50
"""Of the sliced distance: fewer than its default, which would take most of the time."""
CONSTANT = 0.9
"""Share of the repetitions with one value from which on a metric hardly varies."""
CAUTIOUS = ("different_bins",)
"""Their intervals are said to be wider than repetition shows: only the lower bars are theirs."""
Drawn = tuple[Tensor | Density, Tensor, dict[str, Any]]


@dataclass(frozen=True)
class Case:
    """Laws to draw from, and the metrics they are for."""

    name: str
    metrics: tuple[str, ...]
    draw: Callable[[torch.Generator], Drawn]
    """Real samples or their density, samples, and options."""
    truth: float = 0.0
    """The Fréchet distance of the laws."""


def normals(dimensions: int, n: int, m: int, shift: float, scale: float, bins: int = 100) -> Case:
    """N(0, I) against N(shift, scale^2 I)."""

    def draw(random: torch.Generator) -> Drawn:
        real, fake = (torch.randn(count, dimensions, generator=random).double() for count in (n, m))
        return real, shift + scale * fake, {"bins": bins, "directions": DIRECTIONS}

    law = "equal" if (shift, scale) == (0, 1) else f"{shift:+g}, x {scale:g}"
    names = tuple(name for name in metrics.names() if name not in MODES + CLASSES + SETS_OF_THREE)
    truth = dimensions * (shift**2 + (1 - scale) ** 2)
    return Case(f"normal, D {dimensions}, n {n} and {m}, {law}", names, draw, truth)


def rings(n: int, modes: int, scale: float) -> Case:
    """The ring with some of its modes, too wide by a factor."""
    whole = ring()

    def draw(random: torch.Generator) -> Drawn:
        law = Mixture(list(whole.components)[:modes], [1.0] * modes)
        points = law.sample(n, random)
        nearest = torch.cdist(points.double(), whole.means).argmin(1)
        return whole, whole.means[nearest] + scale * (points - whole.means[nearest]), {}

    return Case(f"ring, n {n}, {modes} modes, width x {scale:g}", MODES, draw)


def classes(n: int, favour: float) -> Case:
    """Logits of ten classes, of which the samples favour the first."""
    names = tuple(name for name in metrics.names() if name in CLASSES)

    def draw(random: torch.Generator) -> Drawn:
        real, fake = (2 * torch.randn(n, 10, generator=random).double() for _ in range(2))
        fake[:, 0] += favour
        return real, fake, {}

    return Case(f"classes, n {n}, the first {favour:+g}", names, draw)


def copies(n: int, noise: float) -> Case:
    """Samples that lie by a training row, or are new."""
    train = torch.randn(n, 8, generator=torch.Generator().manual_seed(10**6)).double()

    def draw(random: torch.Generator) -> Drawn:
        held_out, fake = (torch.randn(n, 8, generator=random).double() for _ in range(2))
        if noise:
            fake = train[torch.randint(n, (n,), generator=random)] + noise * fake
        return train, fake, {"held_out": held_out}

    names = tuple(name for name in metrics.names() if name in SETS_OF_THREE)
    return Case(f"copies, n {n}, noise {noise:g}" if noise else f"no copies, n {n}", names, draw)


LAWS = ((0.0, 1.0), (0.5, 1.0), (0.0, 1.5), (0.1, 1.0))
CASES = [
    *(normals(dimensions, 200, 200, *law) for dimensions in (1, 2, 8, 64) for law in LAWS),
    *(normals(dimensions, 300, 600, *law) for dimensions in (2, 64) for law in LAWS[:3]),
    normals(2, 2000, 2000, *LAWS[0]),
    normals(64, 1000, 1000, *LAWS[1]),
    *(rings(n, modes, scale) for n in (200, 2000) for modes, scale in ((8, 1.0), (5, 1.0), (8, 1.5))),
    rings(20, 8, 1.0),
    *(classes(n, favour) for n in (200, 2000) for favour in (0.0, 2.0)),
    *(copies(n, noise) for n in (200, 1000) for noise in (0.0, 0.5)),
]
SMALL = [normals(2, 60, 60, 0.5, 1, bins=10), rings(60, 5, 1), classes(60, 2), copies(60, 0.5)]


def measure(case: Case, repeats: int, level: float = LEVEL) -> Arm:
    """For each metric: how many intervals hold the target, the mean and the spread of its values, and mean bounds."""
    begun = time.process_time()
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in case.metrics}
    for seed in range(repeats):
        real, fake, options = case.draw(torch.Generator().manual_seed(seed))
        for score in metrics.scores(case.metrics, real, fake, level=level, **options):
            if score.low is not None and score.high is not None:
                found[score.metric].append((score.value, score.low, score.high))
    # Without an interval in some repetitions there is no coverage to speak of.
    arm: Arm = {name: _summary(rows, name, case.truth) for name, rows in found.items() if len(rows) == repeats}
    return arm | {"cpu_seconds": round(time.process_time() - begun, 1)}


def _summary(rows: list[tuple[float, float, float]], name: str, truth: float) -> dict[str, float]:
    values, low, high = torch.tensor(rows, dtype=torch.float64).T
    target = truth if name == "frechet_extrapolated" else float(values.mean())
    rounding = 1e-12 * max(1.0, abs(target))
    holds = (low <= target + rounding) & (target - rounding <= high)
    # The share of the commonest value.
    constant = float((values == values.mode().values).double().mean())
    facts = {"coverage": holds.double().mean(), "target": target, "mean": values.mean(), "spread": values.std()}
    facts |= {"low": low.mean(), "high": high.mean(), "constant": constant}
    return {key: float(f"{float(value):.5g}") for key, value in facts.items()}


def judge(record: Record, arms: dict[str, Arm]) -> None:
    """The bars."""
    for name in metrics.names():
        found = [arm[name] for arm in arms.values() if name in arm]
        if not found:
            continue
        covered = [each["coverage"] for each in found]
        varying = [each["coverage"] for each in found if each["constant"] < CONSTANT and name not in CAUTIOUS]
        record.bar(f"{name}: coverage over {len(covered)} cases", mean(covered), ">=", 0.90)
        record.bar(f"{name}: lowest coverage of a case", min(covered), ">=", 0.88)
        if varying:
            record.bar(f"{name}: coverage over {len(varying)} cases that vary", mean(varying), "<=", 0.98)
            record.bar(f"{name}: highest coverage of such a case", max(varying), "<=", 0.99)


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.intervals", description=__doc__)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--smoke", action="store_true", help="four small cases, three times: does it run?")
    options = parser.parse_args(words)
    repeats, cases = (3, SMALL) if options.smoke else (options.repeats, CASES)
    torch.set_num_threads(1)
    name = "intervals-smoke" if options.smoke else "intervals"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, {"repeats": repeats}, folder)
    arms = {case.name: record.arm(case.name, partial(measure, case, repeats)) for case in cases if case.metrics}
    judge(record, arms)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
