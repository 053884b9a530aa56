"""Claim: every system for pictures plays at 256 px by its default networks, and on a GPU resumes to the same bits.

Ours: each system with the networks it has by default at 256 px, on made-up pictures in colour of ten classes, batches
of eight: ten rounds, then eight samples, on the device that is named. Two rounds more are played twice, the second time
by an engine that knows nothing but the state.
Bars: all terms finite; samples of the right shape, finite and in [-1, 1]; no number of the state differs.
It tells how long a round takes, in seconds that pass, and the memory of the device that was taken at most.

    python -m experiments.large --device cuda [--size 256] [--smoke]
"""

import argparse
import sys
import time
from functools import partial
from pathlib import Path

import torch

from ganworks import data, systems
from ganworks.game import System
from ganworks.random import generator, key
from ganworks.session.conduct import computing
from ganworks.settings import build, nested
from ganworks.training.average import for_sampling, sample
from ganworks.training.engine import Engine

from .record import RESULTS, TRAIN, Arm, Record

SOURCES = (*TRAIN, "src/ganworks/systems", "experiments/large.py")
SETTINGS: dict[str, dict[str, object]] = {
    "r3gan": {"networks": "paper", "generator.width": 768, "discriminator.width": 768},
    # An imagined update holds the graph of each one before it.
    "unrolled": {"turns.unroll": 1},
    # Fitted before the first round; a fuller search would take as long again for each component.
    "mixture": {"most": 2, "rounds": 3, "starts": 1},
}
ROUNDS, BATCH, CLASSES = 10, 8, 10


def pictures(size: int) -> data.DataSet:
    """Smooth made-up pictures."""
    coarse = torch.rand(64, 3, 8, 8, generator=generator(0, "large")) * 2 - 1
    x = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")
    return data.open({"x": x, "label": torch.arange(64) % CLASSES})


def start(name: str, rows: data.DataSet, device: str, smoke: bool) -> Engine:
    """An engine by the defaults, in memory alone."""
    made = systems.get(name)
    given: dict[str, object] = {"batch": BATCH, **SETTINGS.get(name, {})}
    if name == "mixture":
        given.pop("batch")
    if smoke:
        given |= {f"{player}.width": 4 for player in ("generator", "discriminator") if name not in ("mixture", "vae")}
    torch.manual_seed(key(0, "large"))
    system: System = made(build(made.Settings, made.suited(rows.spec), nested(given)), rows.spec)
    system.prepare(rows)
    return Engine(system.train(), rows, seed=0, steps=ROUNDS + 2, device=device)


def played(name: str, size: int, device: str, smoke: bool) -> Arm:
    """The rounds, the samples, and the rounds that are played again."""
    rows, rounds = pictures(size), 1 if smoke else ROUNDS
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    engine = start(name, rows, device, smoke)
    finite, begun = True, 0.0
    for number in range(rounds if engine.players else 0):
        if number == rounds // 2:
            begun = time.perf_counter()
        finite &= all(bool(value.isfinite().all()) for value in engine.round().values())
    seconds = (time.perf_counter() - begun) / (rounds - rounds // 2) if begun else 0.0
    drawn = sample(for_sampling(engine.system, engine.average, 0), BATCH, 0)["x"]
    state = engine.state()
    again = start(name, rows, device, smoke)
    again.load(state)
    for playing in (engine, again):
        for _ in range(2 if playing.players else 0):
            playing.round()
    one, other = engine.state(), again.state()
    return {
        "numbers": sum(weight.numel() for weight in engine.system.parameters()),
        "seconds_of_a_round": seconds,
        "device_bytes": 0 if device == "cpu" else torch.cuda.max_memory_allocated(),
        "finite": finite,
        "right_samples": drawn.shape == (BATCH, *rows.spec.shape) and bool((drawn.abs() <= 1).all()),
        "differing": [each for each in one if not torch.equal(one[each], other[each])][:5],
    }


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.large", description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--smoke", action="store_true", help="32 px, narrow networks, two systems: does it run?")
    options = parser.parse_args(words)
    size, names = options.size, [name for name in systems.names() if "images" in systems.get(name).accepts]
    if options.smoke:
        size, names = 32, ["dcgan", "lapgan"]
    what = "cpu" if options.device == "cpu" else torch.cuda.get_device_name(options.device)
    about = {"device": what, "size": size, "batch": BATCH}
    record = Record("large-smoke" if options.smoke else "large", str(__doc__).splitlines()[0], SOURCES, about, folder)
    with computing(torch.get_num_threads(), options.device):
        arms = [record.arm(name, partial(played, name, size, options.device, options.smoke)) for name in names]
    record.bar("systems whose terms are finite", sum(arm["finite"] for arm in arms), "==", len(arms))
    record.bar("systems with samples of the right form", sum(arm["right_samples"] for arm in arms), "==", len(arms))
    record.bar("systems that resume to the same bits", sum(not arm["differing"] for arm in arms), "==", len(arms))
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
