"""Claim: for every loss a trained D pays, within 0.01, what the best D would, which is known exactly.

Data N(0, 1), samples N(μ, 1), as in `shifted.py`: D is a network of two layers of 32 units, trained by the engine
through the settings while G stands still. What it pays then is measured on fresh points, by the loss itself. A
Wasserstein critic has a gradient penalty of weight 400 μ, which leaves its gap 1/800 too large.
The average relativistic loss has its floor 0 here, but no D attains it: it would have to lift a far tail without end.
So it has an arm with N(0, 1) against N(0, 4), whose floor is 0.486.

Bars: the value of the worst seed within 0.01 of the floor; of the average relativistic loss against N(0, 4) only.

    python -m experiments.floors [--seeds 3] [--smoke]
"""

import argparse
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ganworks import losses, theory

from .record import PLAY, RESULTS, Arm, Record
from .shifted import Network, game, quantiles, trained

SOURCES = (*PLAY, "src/ganworks/networks/mlp.py", "experiments/floors.py", "experiments/shifted.py")
SHIFTS = (0.5, 1.0, 2.0, 4.0)
SAMPLES = 2000
RATES = (0.02, 1e-4)
FAR_SAMPLES, FAR_RATES = 8000, (0.05, 1e-3)
"""Where the tails decide, of N(0, 4): D must see them, and rise far there."""
UPDATES = {"hinge": 2000, "relativistic_average": 1000}
"""Where D has to become steep; 400 otherwise."""
FRESH = 100_001


def pair(shift: float, scale: float) -> tuple[theory.Density, theory.Density]:
    return theory.Normal(0.0, 1.0), theory.Normal(shift, scale)


def exact(loss: str, shift: float, scale: float) -> Arm:
    return {"value": theory.discriminator_loss_at_optimum(*pair(shift, scale), loss)}


def measure(loss: str, shift: float, scale: float, seed: int, updates: int | None) -> Arm:
    """Train D and let it pay on fresh points, paired at random."""
    samples, (start, end) = (FAR_SAMPLES, FAR_RATES) if scale > 1 else (SAMPLES, RATES)
    settings: dict[str, Any] = {
        "objective.loss": loss,
        "discriminator.lr": {"from": start, "to": end, "shape": "exponential"},
        "discriminator.betas": (0.5, 0.9),
    }
    if loss == "wasserstein":
        settings["objective.gradient_penalty"] = {"from": 0.0, "to": 400 * shift, "over": [0.0, 0.25]}
    torch.manual_seed(seed)
    steps = updates or UPDATES.get(loss, 400)
    begun = time.process_time()
    engine = trained(game(shift, Network(shift / 2), samples, steps, settings, scale))
    z, draw = quantiles(FRESH), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        said = [engine.system.discriminator(x) for x in (z, (scale * z + shift)[torch.randperm(FRESH, generator=draw)])]
    value = losses.get(loss).discriminator(*said).item()
    return {"samples": samples, "updates": steps, "seconds": round(time.process_time() - begun, 1), "value": value}


def judge(record: Record, loss: str, shift: float, scale: float, seeds: int, updates: int | None) -> None:
    """One loss and one pair of densities."""
    name = f"{loss}, N({shift:g}, {scale**2:g})"
    floor = record.floor(name, partial(exact, loss, shift, scale))["value"]
    arms = [
        record.arm(f"{name}, seed {seed}", partial(measure, loss, shift, scale, seed, updates)) for seed in range(seeds)
    ]
    off = [arm["value"] - floor for arm in arms]
    record.bar(f"{name}: below the floor, most", -min(off), "<=", 0.01)
    if loss != "relativistic_average" or scale > 1:
        record.bar(f"{name}: off the floor, worst seed", max(map(abs, off)), "<=", 0.01)


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.floors", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--smoke", action="store_true", help="one seed and three updates: does it run?")
    options = parser.parse_args(words)
    seeds, updates = (1, 3) if options.smoke else (options.seeds, None)
    torch.set_num_threads(1)
    name = "floors-smoke" if options.smoke else "floors"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, {"seeds": seeds}, folder)
    for shift in SHIFTS:
        for loss in losses.names():
            judge(record, loss, shift, 1.0, seeds, updates)
    judge(record, "relativistic_average", 0.0, 2.0, seeds, updates)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
