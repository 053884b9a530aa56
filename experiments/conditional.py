"""Claim: `conditional` makes the digit that is asked for, as well as a classifier needs it, and in as many forms.

Ours: 14,000 steps on the packed digits, at most 5 CPU minutes of training; the defaults on the ring, whose modes are
the labels. 250 samples of each digit, 500 of each mode, three seeds, one core.
Bars, each on the worst seed: GAN-test (a classifier trained on the 8,000 real digits names the label of a sample)
>= 0.95; GAN-train (one trained on the 2,500 samples names the 2,000 held-out digits) >= 0.85; mean distance of two
samples of a label >= 0.8 of that of real ones at equal numbers, in pixels and in the space `digits`; on the ring the
nearest mode is the label >= 0.99. With labels shuffled both accuracies fall to chance.
Floor: 2,500 real training digits, 250 of each, in the samples' place; fresh draws of the ring.
"""

import argparse
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ganworks import data, metrics
from ganworks.metrics import features
from ganworks.theory import ring

from .classifier import SEEN, Classifier, fit, trained
from .processes import train
from .protocol import all_pictures, saved_grid, whole_grey
from .record import RESULTS, TRAIN, Arm, Record

SOURCES = (
    *TRAIN,
    *(f"src/ganworks/systems/{name}.py" for name in ("conditional", "r3gan")),
    "src/ganworks/metrics",
    *(f"experiments/{name}.py" for name in ("conditional", "classifier", "processes", "protocol")),
)
STEPS = "14000"
SPACES = ("digits", "pixels")
Labels = Int64[Tensor, " n"]


@dataclass
class Size:
    """How much of everything; a smoke has little."""

    seeds: int = 3
    of_each: int = 250
    """Samples of each digit."""
    seen: int = SEEN
    """Pictures that a classifier is shown while it learns."""
    on_digits: tuple[str, ...] = ("--steps", STEPS)
    on_ring: tuple[str, ...] = ()


def each(classes: int, count: int) -> Labels:
    """So many of each label, in order."""
    return torch.arange(classes).repeat_interleave(count)


def shuffled(labels: Labels) -> Labels:
    """The same labels in another order."""
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]


def first_of_each(labels: Labels, classes: int, count: int) -> Int64[Tensor, " m"]:
    """The rows of the first so many of each label, in the order of `each`."""
    return torch.cat([torch.where(labels == label)[0][:count] for label in range(classes)])


def spread(x: Float[Tensor, "n ..."], labels: Labels) -> Float[Tensor, " k"]:
    """The mean distance of two rows of one label, for each label."""
    flat, classes = x.flatten(1).double(), range(int(labels.max()) + 1)
    return torch.stack([torch.pdist(flat[labels == label]).mean() for label in classes])


class Digits:
    """The measures for 28 x 28 pictures with labels; real ones are the first of each label in the training part."""

    def __init__(self, size: Size) -> None:
        digits = data.open("digits")
        assert digits.held_out is not None
        self.held_out = all_pictures(digits.held_out), digits.held_out.rows(torch.arange(len(digits.held_out)))["label"]
        self.seen, self.judge = size.seen, trained(digits, size.seen)
        self.labels = each(10, size.of_each)
        known = digits.rows(torch.arange(len(digits)))["label"]
        self.real = all_pictures(digits)[first_of_each(known, 10, size.of_each)]
        self.spaces = {name: features.get(name) for name in SPACES}
        self.spread = {name: spread(space(self.real), self.labels) for name, space in self.spaces.items()}

    def score(self, pictures: Float[Tensor, "n c h w"]) -> Arm:
        """Every measure of some pictures with the labels `self.labels`."""
        pictures = whole_grey(pictures)
        logits = self.judge.logits(pictures)
        found: Arm = {
            "samples": len(pictures),
            "gan_test": metrics.label_accuracy(logits, self.labels),
            "gan_test_shuffled": metrics.label_accuracy(logits, shuffled(self.labels)),
            "gan_train": self.gan_train(pictures),
        }
        for name, space in self.spaces.items():
            ratio = spread(space(pictures), self.labels) / self.spread[name]
            found |= {f"spread_{name}": ratio.mean().item(), f"spread_{name}_least": ratio.min().item()}
        return found

    def gan_train(self, pictures: Float[Tensor, "n c h w"]) -> float:
        """How many held-out digits a classifier names right that has seen these pictures only."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = Classifier()
            fit(network, pictures, self.labels, self.seen // 2)  # of fewer pictures: 40 epochs for the judge's 25
        return metrics.label_accuracy(network.logits(self.held_out[0]), self.held_out[1])


def on_digits(measures: Digits, seed: int, length: tuple[str, ...]) -> Arm:
    """Train once by the command and score samples of each label."""
    run = train("digits", "--system", "conditional", "--seed", str(seed), *length)
    pictures = run.gan.sample(len(measures.labels), seed=seed, label=measures.labels)
    saved_grid(f"conditional-{seed}", pictures[first_of_each(measures.labels, 10, 10)])
    return run.facts | measures.score(pictures)


def nearest(points: Float[Tensor, "n d"], labels: Labels) -> Arm:
    """How often the nearest mode of the ring is the label."""
    logits = -torch.cdist(points.double(), ring().means)
    return {
        "samples": len(points),
        "nearest_is_label": metrics.label_accuracy(logits, labels),
        "shuffled": metrics.label_accuracy(logits, shuffled(labels)),
        **metrics.mode_coverage(points, ring())._asdict(),
    }


def on_ring(seed: int, length: tuple[str, ...]) -> Arm:
    """Train once by the command and look where samples of each label lie."""
    run = train("ring", "--system", "conditional", "--seed", str(seed), *length)
    labels = each(8, 500)
    return run.facts | nearest(run.gan.sample(len(labels), seed=seed, label=labels), labels)


def fresh_ring() -> Arm:
    """Draws of the density, judged like samples."""
    return nearest(*ring().sample_with_component(4000, torch.Generator().manual_seed(0)))


def judge(record: Record, digits: list[Arm], rings: list[Arm]) -> None:
    """The bars, each on the worst seed."""
    record.bar("GAN-test", min(arm["gan_test"] for arm in digits), ">=", 0.95)
    record.bar("GAN-test with shuffled labels", max(arm["gan_test_shuffled"] for arm in digits), "<=", 0.15)
    record.bar("GAN-train", min(arm["gan_train"] for arm in digits), ">=", 0.85)
    for name in SPACES:
        least = min(arm[f"spread_{name}"] for arm in digits)
        record.bar(f"within-class distance over real's, {name}", least, ">=", 0.8)
    record.bar("CPU seconds of training on digits, most", max(arm["training_seconds"] for arm in digits), "<=", 300)
    record.bar("nearest mode is the label", min(arm["nearest_is_label"] for arm in rings), ">=", 0.99)
    record.bar("nearest mode is the shuffled label", max(arm["shuffled"] for arm in rings), "<=", 0.16)


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.conditional", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--smoke", action="store_true", help="one seed, few steps and samples: does it run?")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    few = ("--steps", "3")
    size = Size(1, 6, 200, few, few) if options.smoke else Size(options.seeds)
    name = "conditional-smoke" if options.smoke else "conditional"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, {"seeds": size.seeds}, folder)
    measures, seeds = Digits(size), range(size.seeds)
    record.floor("real training digits", lambda: measures.score(measures.real))
    record.floor("held-out digits, to the classifier", lambda: {"gan_test": measures.judge.accuracy})
    record.floor("fresh draws of the ring", fresh_ring)
    rings = [record.arm(f"ring, seed {seed}", partial(on_ring, seed, size.on_ring)) for seed in seeds]
    digits = [record.arm(f"digits, seed {seed}", partial(on_digits, measures, seed, size.on_digits)) for seed in seeds]
    judge(record, digits, rings)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
