"""Claim: how much D's features know of digits, beside fresh weights and pixels.

A linear probe is given 1,000 labels of the training digits and names the 2,000 held-out ones. Its features are those of
a trained D, of a D of the same shape with fresh weights, and the pixels themselves: the same labels for all three.
Five seeds of the training, of the labels and of the fresh weights, for `dcgan` and `r3gan`, each trained without labels
for 45 to 60 CPU seconds on one core.

There is no bar for how good the features are. A difference is told as one where it is more than two standard errors,
which hold what other trainings and labels (the spread of the seeds) and other held-out digits (pair by pair) would
change; `verdict` says which. The bars judge the measurement: the number of seeds, and that the pixels' probe
is no straw man: >= 0.84, about what logistic regression on 1,000 digits comes to.
Null competitor: probes of pixels whose labels are those of other digits, at chance in the mean of 8 deals, <= 0.15.

    python -m experiments.linear_probes [--seeds 5] [--smoke]
"""

import argparse
import math
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ganworks import data
from ganworks.metrics import linear
from ganworks.training.average import for_sampling
from ganworks.use import features

from .processes import train
from .record import RESULTS, TRAIN, Arm, Record

SOURCES = (
    *TRAIN,
    *(f"src/ganworks/systems/{name}.py" for name in ("dcgan", "r3gan")),
    "src/ganworks/metrics/linear.py",
    "src/ganworks/metrics/interval.py",
    "src/ganworks/use/features.py",
    *(f"experiments/{name}.py" for name in ("linear_probes", "processes")),
)
STEPS = {"dcgan": 550, "r3gan": 4_500}
LABELS, FEWEST_LABELS, DEALS = 1_000, 50, 8
NAMES = {"trained": "the trained D", "fresh": "a D with fresh weights", "pixels": "the pixels"}


OTHERS = ("fresh", "pixels")


def probed(system: str, seed: int, steps: int, labels: int) -> Arm:
    """Train once by the command and probe its D, fresh weights and pixels with the same labels."""
    run = train("digits", "--system", system, "--seed", str(seed), "--steps", str(steps))
    digits, still = data.open("digits"), for_sampling(run.gan.system, None, seed)
    found = dict(zip(NAMES, features.probes(still, digits, labels, seed=seed), strict=True))
    told: Arm = run.facts | {"labels": labels, "tested": found["trained"].tested}
    for name, each in found.items():
        told |= {name: each.accuracy, f"{name}_low": each.low, f"{name}_high": each.high}
        told |= {f"{name}_features": each.features, f"{name}_penalty": each.penalty}
    for name in OTHERS:
        difference = found["trained"].right.double() - found[name].right.double()
        told[f"over_{name}"] = difference.mean().item()
        told[f"over_{name}_error"] = (difference.std() / math.sqrt(len(difference))).item()
    return told


def dealt_wrongly(labels: int) -> Arm:
    """Probes of pixels whose labels are those of other digits: the mean of a few deals, as one can be lucky."""
    digits = data.open("digits")
    assert digits.held_out is not None
    known, asked = digits.rows(torch.arange(labels)), digits.held_out.rows(torch.arange(len(digits.held_out)))
    right = []
    for seed in range(DEALS):
        wrong = known["label"][torch.randperm(labels, generator=torch.Generator().manual_seed(seed))]
        probe = linear.linear_probe(known["x"].flatten(1), wrong, asked["x"].flatten(1), 10)
        right.append((probe.predicted == asked["label"]).double().mean().item())
    return {"accuracy": sum(right) / DEALS, "highest": max(right), "tested": len(asked["label"])}


def difference(arms: list[Arm], name: str) -> tuple[float, float]:
    """The mean over the seeds of trained minus another, and its standard error.

    Seeds share the held-out digits, so what those digits are worth does not average out: both parts are added.
    """
    values = torch.tensor([arm[f"over_{name}"] for arm in arms], dtype=torch.float64)
    seeds = float(values.var()) / len(values) if len(values) > 1 else 0.0
    digits = sum(arm[f"over_{name}_error"] ** 2 for arm in arms) / len(arms)
    return float(values.mean()), math.sqrt(seeds + digits)


def verdict(mean: float, error: float) -> str:
    """What may be said of a difference."""
    if abs(mean) <= 2 * error:
        return "not told apart from"
    return "better than" if mean > 0 else "worse than"


def told(found: Mapping[str, Any]) -> list[tuple[str, str, float, float, str]]:
    """System, what it is compared with, the difference, its standard error, and what may be said; for the pages."""
    rows = []
    for system in STEPS:
        arms = [arm for name, arm in found["arms"].items() if name.startswith(f"{system}, seed ")]
        for name in OTHERS:
            mean, error = difference(arms, name)
            rows.append((system, name, mean, error, verdict(mean, error)))
    return rows


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.linear_probes", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="one seed, three steps, few labels: does it run?")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    seeds, labels = (1, FEWEST_LABELS) if options.smoke else (options.seeds, LABELS)
    name = "linear_probes-smoke" if options.smoke else "linear_probes"
    claim = str(__doc__).splitlines()[0].removeprefix("Claim: ")
    record = Record(name, claim[0].upper() + claim[1:], SOURCES, {"seeds": seeds}, folder)
    null = record.floor("labels dealt to the wrong digits", partial(dealt_wrongly, labels))
    arms = [
        record.arm(f"{system}, seed {seed}", partial(probed, system, seed, 3 if options.smoke else steps, labels))
        for system, steps in STEPS.items()
        for seed in range(seeds)
    ]
    for system, other, mean, error, said in told(record.content):
        print(f"{system}: trained features are {said} {NAMES[other]}: {mean:+.4f}, standard error {error:.4f}")
    record.bar("seeds of each system", seeds, ">=", 5)
    record.bar("pixels' probe, lowest", min(arm["pixels"] for arm in arms), ">=", 0.84)
    record.bar("labels dealt to the wrong digits", null["accuracy"], "<=", 0.15)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
