"""Claim: pictures without labels teach a classifier: `semisupervised` needs the labels of 100 digits only.

Ours: 1,500 steps of the defaults on the 8,000 packed digits, ten of each class labelled, five seeds, one core. The
competitor is the same D, told the same 100 labels by the same steps, optimizer, noise and average, without the game.
Bar: its error on the 2,000 held-out digits, less ours, is at least 3 points in the mean over the seeds.
Floor: that D told all 8,000 labels.

    python -m experiments.semisupervised [--seeds 5] [--smoke]
"""

import argparse
import sys
import time
from functools import partial
from pathlib import Path
from statistics import mean

import torch

from ganworks import data as datasets
from ganworks.data import DataSet
from ganworks.game import Phase, Round, Terms, Turn
from ganworks.random import key
from ganworks.settings import build
from ganworks.systems.semisupervised import SemiSupervised
from ganworks.training.average import for_sampling, sample
from ganworks.training.building import laid_out
from ganworks.training.engine import Engine

from .protocol import all_pictures, saved_grid
from .record import PLAY, RESULTS, Arm, Record

_OURS = ("systems/semisupervised.py", "networks", "training/building.py")
SOURCES = (
    *PLAY,
    *(f"src/ganworks/{name}" for name in _OURS),
    *(f"experiments/{name}.py" for name in ("semisupervised", "protocol")),
)
STEPS = 1_500


class Alone(SemiSupervised):
    """The same D with the labels only."""

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("alone", (Turn("discriminator"),)),)

    def discriminator_loss(self, round: Round) -> Terms:
        return {"supervised": self.supervised(round)}


def new_engine(made: type[SemiSupervised], digits: DataSet, labelled: int, seed: int, steps: int) -> Engine:
    """The same first weights and the same labelled rows for either game."""
    settings = build(made.Settings, {"labelled": labelled})
    torch.manual_seed(key(seed, "init"))
    system = laid_out(made(settings, digits.spec))
    torch.manual_seed(key(seed, "prepare"))
    system.prepare(digits)
    return Engine(system.train(), digits, seed=seed, steps=steps)


def measure(made: type[SemiSupervised], labelled: int, seed: int, steps: int) -> Arm:
    """Train once, and count what the averaged D names wrong among the held-out digits."""
    digits = datasets.open("digits")
    assert digits.held_out is not None
    engine = new_engine(made, digits, labelled, seed, steps)
    begun = time.process_time()
    for _ in range(steps):
        engine.round()
    seconds = time.process_time() - begun
    still = for_sampling(engine.system, engine.average, seed)
    assert isinstance(still, SemiSupervised)
    if made is SemiSupervised:
        saved_grid(f"semisupervised-{seed}", sample(still, 100, seed)["x"])
    chosen = still.classify(all_pictures(digits.held_out)).argmax(1)
    labels = digits.held_out.rows(torch.arange(len(digits.held_out)))["label"]
    return {
        "steps": steps,
        "labelled": len(still.labelled_rows),
        "training_seconds": round(seconds, 2),
        "held_out": len(labels),
        "error": (chosen != labels).double().mean().item(),
    }


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.semisupervised", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="one seed and two steps: does it run?")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    seeds, steps = (1, 2) if options.smoke else (options.seeds, STEPS)
    name = "semisupervised-smoke" if options.smoke else "semisupervised"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, {"seeds": seeds}, folder)
    record.floor("told all labels", partial(measure, Alone, 0, 0, steps))
    ours, alone = (
        [record.arm(f"{arm}, seed {seed}", partial(measure, made, 100, seed, steps)) for seed in range(seeds)]
        for arm, made in (("semisupervised", SemiSupervised), ("labels alone", Alone))
    )
    errors = [mean(float(arm["error"]) for arm in arms) for arms in (alone, ours)]
    record.bar("mean error with the labels alone, less ours", errors[0] - errors[1], ">=", 0.03)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
