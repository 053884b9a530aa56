"""Claim: `ganworks train` without arguments ends with digits that a stranger reads.

Ours: the defaults on the packed digits, one core. The judge is the experiment's own classifier.
Bars: the classifier names >= 98.5 % of the held-out digits; on 2,000 samples its mean confidence >= 0.88, the KL of its
class histogram to uniform <= 0.02, recall (effnet-lite0, k = 5) >= 0.8 of the floor's.
Floor: 2,000 pictures of the training part against the same 2,000 held-out ones; the held-out ones' own confidence.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import torch

from ganworks import data
from ganworks.metrics import features

from .classifier import SEEN, trained
from .processes import train
from .protocol import Reference, all_pictures, class_view, saved_grid
from .record import OURS, RESULTS, Arm, Record

SOURCES = (*OURS, *(f"experiments/{name}.py" for name in ("digits", "classifier", "processes", "protocol")))


def measure(reference: Reference, count: int, seed: int, length: tuple[str, ...]) -> Arm:
    """Train once by the command and score its samples."""
    run = train("--seed", str(seed), *length)
    samples = run.gan.sample(count, seed=seed)
    saved_grid(f"digits-{seed}", samples)
    return run.facts | reference.score(samples)


def judge(record: Record, arms: list[Arm], accuracy: float, floor: Arm) -> None:
    """The bars, each on the worst seed."""
    worst = {name: [float(arm[name]) for arm in arms] for name in ("confidence", "class_kl", "recall")}
    record.bar("classifier's accuracy on held-out digits", accuracy, ">=", 0.985)
    record.bar("confidence on samples", min(worst["confidence"]), ">=", 0.88)
    record.bar("class histogram's KL to uniform", max(worst["class_kl"]), "<=", 0.02)
    record.bar("recall", min(worst["recall"]), ">=", 0.8 * float(floor["recall"]))


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.digits", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--smoke", action="store_true", help="three steps and few samples: does it run?")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    count, seen, length = (64, 2000, ("--steps", "3")) if options.smoke else (2000, SEEN, ())
    digits = data.open("digits")
    assert digits.held_out is not None
    judge_of_digits = trained(digits, seen)
    held_out, training = all_pictures(digits.held_out)[:count], all_pictures(digits)[:count]
    reference = Reference(held_out, features.get("effnet-lite0"), judge_of_digits.logits)

    name = "digits-smoke" if options.smoke else "digits"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, {"seeds": options.seeds}, folder)
    floor = record.floor("training part", lambda: reference.score(training))
    record.floor("held-out part, to the classifier", lambda: class_view(judge_of_digits.logits(held_out)))
    arms = [
        record.arm(f"default, seed {seed}", partial(measure, reference, count, seed, length))
        for seed in range(options.seeds)
    ]
    judge(record, arms, judge_of_digits.accuracy, floor)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
