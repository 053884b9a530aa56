"""Claim: on the ring, regularised relativistic and non-saturating games find every mode; clipping finds no quality.

Every loss with no penalty, R1, R1 + R2, gradient penalty, spectral norm and clipped weights: the same networks (three
layers of 64), latents, optimizer and number of updates, one update of each player a round. Weights as usual on these
points: γ = 0.1, λ = 0.1, c = 0.05; under spectral norm D sees the points five times larger, or it could not tell a mode
from its centre.

Bars: the table is complete; relativistic (paired) with R1 + R2, non-saturating with R1 and with R1 + R2 have eight
modes in every seed; Wasserstein with clipped weights has at least four modes and a median high quality of at most 0.1.
Floor: fresh draws of the density. The null competitors are the columns without a penalty.

    python -m experiments.ring_table [--seeds 5] [--smoke]
"""

import argparse
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch

import ganworks
from ganworks import losses

from .record import PLAY, RESULTS, Arm, Record
from .ring import POINTS, fresh, numbers, quality

_SYSTEM = ("networks/mlp.py", "networks/pair.py", "networks/spectral.py", "systems/sngan.py", "metrics/modes.py")
SOURCES = (*PLAY, *(f"src/ganworks/{name}" for name in _SYSTEM), "experiments/ring_table.py", "experiments/ring.py")
PENALTIES: dict[str, dict[str, Any]] = {
    "none": {},
    "R1": {"objective.r1": 0.1},
    "R1 + R2": {"objective.r1": 0.1, "objective.r2": 0.1},
    "gradient penalty": {"objective.gradient_penalty": 0.1},
    "spectral norm": {"discriminator.spectral_norm": True, "gain": 5.0},
    "clipping": {"objective.clip": 0.05},
}
PLAYER = {"lr": {"from": 1e-3, "to": 0.0}, "betas": [0.0, 0.99], "width": 64}
GAME = {"batch": 128, "latent.size": 16, "turns.discriminator": 1, "average.half_life": 10_000.0}
"""`sngan` on points is the plain game with a magnified view of D; its own penalty is switched off here."""
PLAIN = {"gain": 1.0, "discriminator.spectral_norm": False}


def measure(loss: str, penalty: str, seed: int, steps: int) -> Arm:
    """Train once in this process and score the averaged generator."""
    settings = {f"{name}.{key}": value for name in ("generator", "discriminator") for key, value in PLAYER.items()}
    gan = ganworks.GAN("sngan", **{**settings, **GAME, **PLAIN, "objective.loss": loss, **PENALTIES[penalty]})
    gan.start("ring", seed=seed, steps=steps)
    begun = time.process_time()
    for _ in range(steps):
        gan.round()
    seconds = time.process_time() - begun
    return {"training_seconds": round(seconds, 2), **quality(gan.sample(POINTS, seed=seed))}


def cells() -> Iterator[tuple[str, str]]:
    """Loss and penalty of every cell."""
    return ((loss, penalty) for loss in losses.names() for penalty in PENALTIES)


def judge(record: Record, arms: dict[tuple[str, str], list[Arm]]) -> None:
    """The bars."""
    record.bar("cells of the table", len(arms), "==", len(losses.names()) * len(PENALTIES))
    for cell in (("relativistic_paired", "R1 + R2"), ("non_saturating", "R1"), ("non_saturating", "R1 + R2")):
        record.bar(f"{', '.join(cell)}: modes, fewest", min(numbers(arms[cell], "modes")), "==", 8)
    clipped = arms["wasserstein", "clipping"]
    record.bar("wasserstein, clipping: modes, median", median(numbers(clipped, "modes")), ">=", 4)
    record.bar("wasserstein, clipping: high quality, median", median(numbers(clipped, "high_quality")), "<=", 0.1)


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.ring_table", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--smoke", action="store_true", help="one seed and three steps: does it run?")
    options = parser.parse_args(words)
    seeds, steps = (1, 3) if options.smoke else (options.seeds, options.steps)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    name = "ring_table-smoke" if options.smoke else "ring_table"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, {"seeds": seeds, "steps": steps}, folder)
    record.floor("fresh draws", fresh)
    arms: dict[tuple[str, str], list[Arm]] = {cell: [] for cell in cells()}
    for seed in range(seeds):  # seed by seed, so that a stop leaves a whole table of fewer seeds
        for loss, penalty in arms:
            arm = record.arm(f"{loss}, {penalty}, seed {seed}", partial(measure, loss, penalty, seed, steps))
            arms[loss, penalty].append(arm)
    judge(record, arms)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
