"""Claim: `biggan` and `stylegan2` give precision for recall: the smaller the truncation, the more of the one.

Ours: the models of `fashion` where its data are named, else about two CPU minutes on the packed digits for each. 2,000
samples for each of five truncations, from the same latents, as many of each class. biggan cuts the normal distribution
of z off at ± t, stylegan2 moves its styles to their mean.
Bars: precision rises and recall falls at every one of the four steps, for both systems.
Floor: 2,000 training pictures in the samples' place. Null: no truncation, from other latents: what chance does to both.

Against 2,000 held-out pictures, effnet-lite0, k = 5, intervals of 95 %. Four minutes of scoring.
"""

import argparse
import functools
import itertools
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from ganworks import data
from ganworks.gan import GAN
from ganworks.metrics import features
from ganworks.metrics.interval import GROUPS, interval
from ganworks.metrics.neighbours import estimates

from .conditional import each, first_of_each
from .processes import train
from .protocol import CACHE, NEIGHBOURS, all_pictures, halves, saved_grid, whole_grey
from .record import RESULTS, TRAIN, Arm, Record

TRUNCATIONS = {"biggan": (2.5, 2.0, 1.5, 1.0, 0.7), "stylegan2": (1.0, 0.9, 0.8, 0.7, 0.6)}
"""From nearly none to where recall is nearly gone: where it is gone, it cannot fall (biggan, below 0.5)."""
STEPS = {"biggan": "1500", "stylegan2": "1500"}
"""On digits."""
METRICS = ("effnet", "features", "inputs", "interval", "nearest", "neighbours")
SOURCES = (
    *TRAIN,
    *(f"src/ganworks/systems/{name}.py" for name in TRUNCATIONS),
    *(f"src/ganworks/metrics/{name}.py" for name in METRICS),
    *(f"experiments/{name}.py" for name in ("truncation", "processes", "protocol")),
)


class Bench:
    """Held-out pictures, and how much of samples lies among them and of them among samples."""

    def __init__(self, pictures: data.DataSet, samples: int) -> None:
        assert pictures.held_out is not None
        test = all_pictures(pictures.held_out)
        self.space = features.get("effnet-lite0")
        self.real = self.space(halves(test, samples)[0])
        classes = len(pictures.spec.classes)
        self.labels = each(classes, samples // classes)

    def score(self, pictures: Float[Tensor, "n c h w"]) -> Arm:
        """Precision and recall with their intervals."""
        seen, names = self.space(whole_grey(pictures)), ("precision", "recall")
        found = estimates(self.real, seen, groups=GROUPS, k=NEIGHBOURS, names=names)
        return {
            "samples": len(seen),
            "reference_samples": len(self.real),
            **{name: estimate.value for name, estimate in found.items()},
            **{f"{name}_interval": list(interval(estimate, 0.95)) for name, estimate in found.items()},
        }

    def truncated(self, gan: Callable[[], GAN], name: str, t: float | None, seed: int = 0) -> Arm:
        """The scores of samples at one truncation."""
        pictures = gan().sample(len(self.labels), seed=seed, label=self.labels, truncation=t)
        rows = first_of_each(self.labels, int(self.labels.max()) + 1, 10)
        saved_grid(f"truncation-{name}-{t}-{seed}", pictures[rows])
        return self.score(pictures)


def steps(values: list[float]) -> int:
    """How many of the steps go up."""
    return sum(after > before for before, after in itertools.pairwise(values))


def model(name: str, place: str, folder: Path, smoke: bool) -> GAN:
    """Trained now on digits, else what `fashion` has left."""
    if place != "digits":
        return GAN.load(folder / f"fashion-{name}")
    return train("digits", "--system", name, "--steps", "1" if smoke else STEPS[name]).gan


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.truncation", description=__doc__)
    parser.add_argument("--fashion", default=os.environ.get("GANWORKS_FASHION"), help="folder of its IDX files")
    parser.add_argument("--models", type=Path, default=CACHE, help="where `fashion` has left its models")
    parser.add_argument("--smoke", action="store_true", help="a step on the packed digits: does it run?")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    place = "digits" if options.smoke or options.fashion is None else options.fashion
    samples = 60 if options.smoke else 2000
    pictures = data.open(place)
    about = {"samples": samples, "fingerprint": pictures.spec.fingerprint}
    name = "truncation-smoke" if options.smoke else "truncation"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, about, folder)
    bench = Bench(pictures, samples)
    order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(0))[:samples]
    record.floor("training pictures", lambda: bench.score(pictures.rows(order)["x"]))
    for system, truncations in TRUNCATIONS.items():
        # Where all arms are known already nothing is trained.
        gan = functools.cache(partial(model, system, place, options.models, options.smoke))
        for seed in (0, 1):
            record.floor(f"{system}, no truncation, seed {seed}", partial(bench.truncated, gan, system, None, seed))
        arms = [record.arm(f"{system}, {t}", partial(bench.truncated, gan, system, t)) for t in truncations]
        rising = steps([arm["precision"] for arm in arms])
        falling = steps([-arm["recall"] for arm in arms])
        record.bar(f"{system}: steps at which precision rises, of {len(arms) - 1}", rising, "==", len(arms) - 1)
        record.bar(f"{system}: steps at which recall falls, of {len(arms) - 1}", falling, "==", len(arms) - 1)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
