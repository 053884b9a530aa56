"""Claim: the systems for pictures, each given 15 CPU minutes on Fashion-MNIST, make what is asked for, in many forms.

Ours: `ganworks train FASHION --system NAME --time 15m` by the defaults, for `biggan`, `acgan`, `stylegan2` and
`conditional`, which are told the class, and `r3gan`, which is not. 5,000 samples, 500 of each class, one seed.
Bars: GAN-test (a classifier trained on the 60,000 real pictures names the class that was asked for) at most 5 points
under its accuracy on real test pictures; GAN-train (one trained on the 5,000 samples, on real test pictures) >= 0.75 of
the same with 5,000 real pictures; both for the four that are told the class. Recall (effnet-lite0, k = 5) >= 0.4 of the
floor's for all five. Two of these thirteen may be missed. The best of the five, by Frechet distance, is below every
hand-written loop of `fashion_peers`, and so is its kernel distance.
Floor: 5,000 other test pictures; 5,000 training pictures in the samples' place.

Needs the folder of Fashion-MNIST's IDX files: an option, or GANWORKS_FASHION; and the result of `fashion_peers`. About
an hour and a half. The models stay in the experiments' cache for `truncation`.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ganworks import data, metrics
from ganworks.gan import GAN

from .classifier import SEEN, Classifier, fit, trained
from .conditional import each, first_of_each
from .fashion_peers import reference
from .processes import train
from .protocol import CACHE, all_pictures, saved_grid, whole_grey
from .record import RESULTS, TRAIN, Arm, Record

TOLD = ("biggan", "acgan", "stylegan2", "conditional")
SYSTEMS = (*TOLD, "r3gan")
SOURCES = (
    *TRAIN,
    "src/ganworks/metrics",
    *(f"experiments/{name}.py" for name in ("fashion", "fashion_peers", "classifier", "processes", "protocol")),
)
MAY_MISS = 2


class Bench:
    """Fashion-MNIST and what is measured on it; the smoke takes the packed digits."""

    def __init__(self, pictures: data.DataSet, record: Record, samples: int, seen: int) -> None:
        assert pictures.held_out is not None
        classes, test = len(pictures.spec.classes), pictures.held_out
        self.seen, self.judge = seen, trained(pictures, seen)
        self.test = all_pictures(test), test.rows(torch.arange(len(test)))["label"]
        self.labels = each(classes, samples // classes)
        self.reference = reference(pictures, record, len(self.labels), seen)
        known = pictures.rows(torch.arange(len(pictures)))["label"]
        real = first_of_each(known, classes, samples // classes)
        record.floor("classifier", lambda: {"accuracy": self.judge.accuracy})
        record.floor("training pictures", lambda: self.of_classes(all_pictures(pictures)[real]))

    def of_classes(self, pictures: Float[Tensor, "n c h w"]) -> Arm:
        """GAN-test and GAN-train of pictures with the labels `self.labels`."""
        pictures = whole_grey(pictures)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = Classifier(int(self.labels.max()) + 1)
            fit(network, pictures, self.labels, self.seen // 2)
        return {
            "gan_test": metrics.label_accuracy(self.judge.logits(pictures), self.labels),
            "gan_train": metrics.label_accuracy(network.logits(self.test[0]), self.test[1]),
        }

    def trained_by(self, name: str, place: str, length: tuple[str, ...]) -> Arm:
        """Train one system by the command, keep the model, and score it."""
        run = train(place, "--system", name, *length)
        kept(run.gan, f"fashion-{name}")
        count = len(self.labels)
        if name not in TOLD:
            samples = run.gan.sample(count)
            saved_grid(f"fashion-{name}", samples)
            return run.facts | self.reference.score(samples)
        samples = run.gan.sample(count, label=self.labels)
        saved_grid(f"fashion-{name}", samples[rows_of_ten(self.labels)])
        return run.facts | self.reference.score(samples) | self.of_classes(samples)


def rows_of_ten(labels: Int64[Tensor, " n"]) -> Int64[Tensor, " m"]:
    """The first ten samples of each class."""
    return first_of_each(labels, int(labels.max()) + 1, 10)


def kept(gan: GAN, name: str) -> None:
    """Save a model in the experiments' cache, in the place of an older one."""
    CACHE.mkdir(exist_ok=True)
    shutil.rmtree(CACHE / name, ignore_errors=True)
    gan.save(CACHE / name)


def judge(record: Record, told: Sequence[str], all_of_them: Sequence[str], peers: dict[str, Arm]) -> None:
    """The bars. Single ones may be missed; how many is what is judged."""
    arms, floors = record.arms, record.floors
    asked = floors["classifier"]["accuracy"] - 0.05
    known = 0.75 * floors["training pictures"]["gan_train"]
    varied = 0.4 * floors["other test pictures"]["recall"]
    single = [
        (f"{name}: {what}", arms[name][what], limit)
        for name in told
        for what, limit in (("gan_test", asked), ("gan_train", known))
    ]
    single += [(f"{name}: recall", arms[name]["recall"], varied) for name in all_of_them]
    missed = {what: {"value": value, "bar": f">= {limit:.4g}"} for what, value, limit in single if value < limit}
    record.content["missed"] = missed
    record.bar(f"bars missed of {len(single)} on GAN-test, GAN-train and recall", len(missed), "<=", MAY_MISS)
    best = min(all_of_them, key=lambda name: arms[name]["frechet_distance"])
    for what in ("frechet_distance", "kernel_distance"):
        least = min(float(peer[what]) for peer in peers.values())
        record.bar(f"{best}, the best: {what} against the best loop's", float(arms[best][what]), "<=", least)


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.fashion", description=__doc__)
    parser.add_argument("--fashion", default=os.environ.get("GANWORKS_FASHION"), help="folder of its IDX files")
    parser.add_argument("--only", nargs="+", choices=SYSTEMS, help="measure these only, and judge nothing yet")
    parser.add_argument("--smoke", action="store_true", help="a step on the packed digits: does it run?")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    place = "digits" if options.smoke else options.fashion
    if place is None:
        parser.error("where is Fashion-MNIST? give --fashion FOLDER or set GANWORKS_FASHION")
    samples, seen, length = (60, 200, ("--steps", "1")) if options.smoke else (5000, SEEN, ("--time", "15m"))
    pictures = data.open(place)
    about = {"samples": samples, "length": length, "fingerprint": pictures.spec.fingerprint}
    name = "fashion-smoke" if options.smoke else "fashion"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, about, folder)
    bench = Bench(pictures, record, samples, seen)
    asked = ("acgan", "r3gan") if options.smoke else SYSTEMS
    for system in options.only or asked:
        sources = [f"src/ganworks/systems/{system}.py"]
        record.arm(system, partial(bench.trained_by, system, place, length), sources)
    if options.only:
        return 0
    peers: dict[str, Arm] = record.floors
    if not options.smoke:
        peers = json.loads((folder / "fashion_peers.json").read_text())["arms"]
        for loop, arm in peers.items():
            record.floor(loop, partial(dict, arm))
    told = [name for name in asked if name in TOLD]
    judge(record, told, asked, {name: arm for name, arm in peers.items() if "frechet_distance" in arm})
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
