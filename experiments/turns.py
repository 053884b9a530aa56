"""Claim: players should take turns by updates; by epochs, as some primers say, as many updates are worth less.

The default ring game, and the same without penalty, with as many updates of each player either way: one after another,
or D for one epoch of 100,000 points and then G for as long. Simultaneous updates stand beside them. Learning rates
are constant and nothing is averaged, so that only the turns differ.

Bars: median high quality at least 0.3 by updates and at most 0.05 by epochs, with and without penalty; by updates and
with penalty all eight modes in every seed.
Floor: fresh draws of the density.

    python -m experiments.turns [--seeds 3] [--smoke]
"""

import argparse
import math
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch

import ganworks
from ganworks import data as datasets

from .record import PLAY, RESULTS, Arm, Record
from .ring import POINTS, fresh, numbers, quality

_SYSTEM = ("networks/mlp.py", "networks/pair.py", "systems/r3gan.py", "metrics/modes.py")
SOURCES = (*PLAY, *(f"src/ganworks/{name}" for name in _SYSTEM), "experiments/turns.py", "experiments/ring.py")
GAMES: dict[str, dict[str, Any]] = {
    "default": {},
    "no penalty": {"objective.loss": "non_saturating", "objective.r1": 0, "objective.r2": 0},
}
TURNS: dict[str, dict[str, Any]] = {
    "updates": {},
    "epochs": {"turns.unit": "epochs", "turns.simultaneous": False},
    "simultaneous": {"turns.simultaneous": True, "turns.one_pass": False},
}
SIZE: dict[str, Any] = {
    "batch": 128,
    # What changes once a round would change too seldom by epochs: a decaying rate, an average.
    **dict.fromkeys(("generator.lr", "discriminator.lr"), 1e-3),
    "average.half_life": 0.0,
}
SMOKE: dict[str, Any] = {"batch": 10_000, "generator.width": 8, "discriminator.width": 8}


def measure(game: str, unit: str, seed: int, epochs: int, size: dict[str, Any]) -> Arm:
    """Train once in this process and score the averaged generator."""
    each = math.ceil(len(datasets.open("ring")) / size["batch"])
    steps = epochs if unit == "epochs" else epochs * each
    gan = ganworks.GAN("r3gan", **{**size, **GAMES[game], **TURNS[unit]})
    gan.start("ring", seed=seed, steps=steps)
    begun = time.process_time()
    for _ in range(steps):
        gan.round()
    facts = {"rounds": steps, "updates": epochs * each, "training_seconds": round(time.process_time() - begun, 2)}
    return facts | quality(gan.sample(POINTS, seed=seed))


def judge(record: Record, arms: dict[tuple[str, str], list[Arm]]) -> None:
    """The bars."""
    for game in GAMES:
        by = {unit: median(numbers(arms[game, unit], "high_quality")) for unit in TURNS}
        record.bar(f"{game}: median high quality by updates", by["updates"], ">=", 0.3)
        record.bar(f"{game}: median high quality by epochs", by["epochs"], "<=", 0.05)
    record.bar("default by updates: modes, fewest", min(numbers(arms["default", "updates"], "modes")), "==", 8)


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.turns", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--smoke", action="store_true", help="one seed and one epoch of ten updates: does it run?")
    options = parser.parse_args(words)
    seeds, epochs, size = (1, 1, SMOKE) if options.smoke else (options.seeds, options.epochs, SIZE)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    name = "turns-smoke" if options.smoke else "turns"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, {"seeds": seeds, "epochs": epochs}, folder)
    record.floor("fresh draws", fresh)
    arms: dict[tuple[str, str], list[Arm]] = {(game, unit): [] for game in GAMES for unit in TURNS}
    for seed in range(seeds):
        for game, unit in arms:
            arm = record.arm(f"{game}, {unit}, seed {seed}", partial(measure, game, unit, seed, epochs, size))
            arms[game, unit].append(arm)
    judge(record, arms)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
