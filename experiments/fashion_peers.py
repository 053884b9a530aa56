"""Claim: hand-written DCGAN loops, given 15 CPU minutes on Fashion-MNIST, use them and train: what `fashion` must beat.

The loops of `experiments.rivals`: the DCGAN tutorial's at its width 64, at width 16, and at width 16 in bf16 with a
cheaper step; one seed each, scored once, under the protocol of `fashion`.
Bars: a loop takes the time it was given, within a hundredth, and its Frechet distance is at most half that of its own
untrained generator.
Floor: 5,000 other test pictures.

Needs the folder of Fashion-MNIST's IDX files: an option, or GANWORKS_FASHION. About three quarters of an hour.
"""

import argparse
import os
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ganworks import data
from ganworks.metrics import features

from .classifier import SEEN, trained
from .processes import answer
from .protocol import Reference, all_pictures, halves, saved_grid
from .record import PLAY, RESULTS, Arm, Record

FILES = ("fashion_peers", "classifier", "processes", "protocol", "rivals")
METRICS = ("effnet", "features", "frechet", "inputs", "kernel", "moments", "nearest", "neighbours")
SOURCES = (
    *(path for path in PLAY if "/data/" in path),
    *(f"src/ganworks/metrics/{name}.py" for name in METRICS),
    *(f"experiments/{name}.py" for name in FILES),
)
LOOPS = {
    "loop, width 16": ("--width", "16"),
    "loop, width 16, bf16, cheap": ("--width", "16", "--bf16", "--cheap"),
    "loop, width 64": ("--width", "64"),
}


def reference(pictures: data.DataSet, record: Record, samples: int, seen: int) -> Reference:
    """The first of the permuted test pictures, with the others' score as the floor."""
    assert pictures.held_out is not None
    real, other = halves(all_pictures(pictures.held_out), samples)
    made = Reference(real, features.get("effnet-lite0"), trained(pictures, seen).logits)
    record.floor("other test pictures", lambda: made.score(other))
    return made


def measure(place: str, loop: tuple[str, ...], seconds: float, against: Reference, name: str) -> Arm:
    """Train one loop, and score it before and after."""
    with tempfile.TemporaryDirectory() as out:
        sizes = ("--marks", "0", f"{seconds:g}", "--samples", str(len(against.pictures)), "--out", out)
        (before, after), _ = answer("experiments.rivals", place, *loop, *sizes)
        fresh, samples = (torch.from_numpy(np.load(Path(out) / facts.pop("file"))) for facts in (before, after))
    saved_grid(f"fashion-{name}".replace(", ", "-").replace(" ", "-"), samples)
    return after | against.score(samples) | {"untrained": against.score(fresh)}


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.fashion_peers", description=__doc__)
    parser.add_argument("--fashion", default=os.environ.get("GANWORKS_FASHION"), help="folder of its IDX files")
    parser.add_argument("--smoke", action="store_true", help="a moment on the packed digits: does it run?")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    place = "digits" if options.smoke else options.fashion
    if place is None:
        parser.error("where is Fashion-MNIST? give --fashion FOLDER or set GANWORKS_FASHION")
    seconds, samples, seen = (0.2, 64, 2000) if options.smoke else (900.0, 5000, SEEN)
    pictures = data.open(place)
    about = {"samples": samples, "seconds": seconds, "fingerprint": pictures.spec.fingerprint}
    name = "fashion_peers-smoke" if options.smoke else "fashion_peers"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, about, folder)
    against = reference(pictures, record, samples, seen)
    for loop, words_of in LOOPS.items():
        arm = record.arm(loop, partial(measure, place, words_of, seconds, against, loop))
        record.bar(f"{loop}: CPU seconds of training", float(arm["training_seconds"]), "<=", 1.01 * seconds)
        limit = float(arm["untrained"]["frechet_distance"]) / 2
        record.bar(f"{loop}: Frechet distance", float(arm["frechet_distance"]), "<=", limit)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
