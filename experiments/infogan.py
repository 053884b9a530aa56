"""Claim: without a label, the code of `infogan` comes out as the digit.

Ours: 8,000 steps of the defaults on the 8,000 packed digits, five seeds, one core. Q names the 2,000 held-out digits by
the values of the categorical code, and each value stands for one class: accuracy under the best permutation.
Bars: median over the seeds >= 0.75, and >= 15 points over k-means on pixels, matched in the same way.
Competitor: k-means with k = 10 on the same 8,000 digits, the least inertia of 20 starts. Floors: Q of step 0, and the
trained Q of seed 0 against labels in another order.

    python -m experiments.infogan [--seeds 5] [--smoke]
"""

import argparse
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ganworks import data as datasets
from ganworks.gan import GAN

from .processes import train
from .protocol import all_pictures, saved_grid
from .record import RESULTS, TRAIN, Arm, Record

SOURCES = (
    *TRAIN,
    *(f"src/ganworks/systems/{name}.py" for name in ("infogan", "r3gan")),
    *(f"experiments/{name}.py" for name in ("infogan", "processes", "protocol")),
)
STEPS = 8_000
CLASSES = 10
ROUNDS = 100
"""Of Lloyd's algorithm, at most."""
Labels = Int64[Tensor, " n"]
Pictures = Float[Tensor, "n c h w"]


@dataclass
class Size:
    """How much of everything; a smoke has little."""

    seeds: int = 5
    steps: int = STEPS
    starts: int = 20


def matched(code: Labels, label: Labels, classes: int = CLASSES) -> float:
    """The share of rows whose code stands for their label, when each code stands for one label: as many as can be.

    Exact: the best way for the first i codes to use up a set of labels follows from those for i - 1.
    """
    counts = torch.bincount(code * classes + label, minlength=classes * classes).reshape(classes, classes).tolist()
    best = {0: 0}
    for row in counts:
        longer: dict[int, int] = {}
        for used, rows in best.items():
            for value, count in enumerate(row):
                if not used >> value & 1:
                    taken = used | 1 << value
                    longer[taken] = max(longer.get(taken, 0), rows + count)
        best = longer
    return best[(1 << classes) - 1] / len(label)


def nearest(x: Float[Tensor, "n d"], centres: Float[Tensor, "k d"]) -> tuple[Labels, float]:
    """The nearest centre of each row, and the mean squared distance to it."""
    distance, index = torch.cdist(x, centres).min(1)
    return index, float(distance.square().mean())


def k_means(x: Float[Tensor, "n d"], k: int, random: torch.Generator) -> Float[Tensor, "k d"]:
    """Centres by Lloyd's algorithm. Starts as k-means++: Arthur and Vassilvitskii 2007."""
    centres = x[torch.randint(len(x), (1,), generator=random)]
    while len(centres) < k:
        distance = torch.cdist(x, centres).min(1).values.square()
        centres = torch.cat([centres, x[torch.multinomial(distance, 1, generator=random)]])
    for _ in range(ROUNDS):
        index, _ = nearest(x, centres)
        held = [x[index == each] for each in range(k)]
        moved = torch.stack([rows.mean(0) if len(rows) else old for rows, old in zip(held, centres, strict=True)])
        if torch.equal(moved, centres):
            break
        centres = moved
    return centres


class Digits:
    """Digits to learn from and to name."""

    def __init__(self) -> None:
        digits = datasets.open("digits")
        assert digits.held_out is not None
        self.seen, self.held_out = all_pictures(digits), all_pictures(digits.held_out)
        self.labels = digits.held_out.rows(torch.arange(len(digits.held_out)))["label"]

    def score(self, code: Labels) -> Arm:
        """How well a code names the held-out digits."""
        shares = torch.bincount(code, minlength=CLASSES).double() / len(code)
        return {"held_out": len(code), "accuracy": matched(code, self.labels), "least_used": shares.min().item()}


def named(gan: GAN, pictures: Pictures) -> Labels:
    """The code that Q reads from each picture."""
    return torch.cat([gan.classify(some).argmax(1) for some in pictures.split(500)])


def played(digits: Digits, seed: int, steps: int) -> Arm:
    """Train once by the command, and let Q name the held-out digits."""
    run = train("digits", "--system", "infogan", "--seed", str(seed), "--steps", str(steps))
    saved_grid(f"infogan-{seed}", run.gan.sample(100, seed=seed, code=torch.arange(CLASSES).repeat(10)))
    code = named(run.gan, digits.held_out)
    shuffled = digits.labels[torch.randperm(len(code), generator=torch.Generator().manual_seed(0))]
    return run.facts | digits.score(code) | {"accuracy_shuffled": matched(code, shuffled)}


def clustered(digits: Digits, starts: int) -> Arm:
    """The competitor: k-means on pixels."""
    random = torch.Generator().manual_seed(0)
    seen = digits.seen.flatten(1)
    found = [k_means(seen, CLASSES, random) for _ in range(starts)]
    inertia, best = min((nearest(seen, centres)[1], index) for index, centres in enumerate(found))
    code, _ = nearest(digits.held_out.flatten(1), found[best])
    return {"starts": starts, "inertia": inertia, **digits.score(code)}


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.infogan", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="one seed, three steps, one start: does it run?")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    size = Size(1, 3, 1) if options.smoke else Size(options.seeds)
    name = "infogan-smoke" if options.smoke else "infogan"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, {"seeds": size.seeds}, folder)
    digits = Digits()
    first = GAN("infogan").start("digits", steps=1)
    record.floor("Q of step 0", lambda: digits.score(named(first, digits.held_out)))
    pixels = record.arm("k-means on pixels", partial(clustered, digits, size.starts))
    ours = [
        record.arm(f"infogan, seed {seed}", partial(played, digits, seed, size.steps)) for seed in range(size.seeds)
    ]
    middle = median(float(arm["accuracy"]) for arm in ours)
    record.bar("accuracy of the code, median", middle, ">=", 0.75)
    record.bar("accuracy of the code, median, less that of k-means", middle - float(pixels["accuracy"]), ">=", 0.15)
    record.bar("accuracy for labels in another order, highest", max(a["accuracy_shuffled"] for a in ours), "<=", 0.15)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
