"""Claim: `ganworks train FOLDER --time 10m` learns more from a maker's 600 emoji than a hand-written loop does.

The folder has 600 PNG files of many sizes, some transparent (`emoji_folder`). Ours: the command with its defaults. The
rival: PyTorch's DCGAN tutorial at 64 x 64 as it stands, width 64 (`rivals`), on the pictures as ganworks reads them and
for the process CPU time that our whole command took, reading and scoring too. One thread each.
500 samples of each are scored by their kernel distance (effnet-lite0) to the 100 emoji that ganworks holds out of the
folder, and for information to the emoji that were never in it.
Floor: the 500 training emoji against the held-out ones. Null competitors: white pictures, the mean picture, one
training emoji again and again, uniform noise; and, for a sense of scale, training emoji blurred and with noise.
A generator that hands its training pictures back would score like the floor. So the training emoji closest to some
samples are shown beside them, and samples have to lie about as far from them as new emoji do.
Bars: the worst seed's distance is at most 0.5 of the rival's best seed's, and less than every null competitor's; the
median distance to the closest training emoji, in features and in pixels, is at least 0.8 of the held-out emoji's.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from ganworks import data, metrics
from ganworks.data.pictures import grid, write_png
from ganworks.metrics import features

from . import protocol
from .emoji_folder import COUNT, make, names
from .processes import answer, train
from .protocol import Pictures, Space, all_pictures, saved_grid, whole_grey
from .record import RESULTS, TRAIN, Arm, Record

SOURCES = (
    *TRAIN,
    "src/ganworks/systems/r3gan.py",
    "src/ganworks/metrics",
    *(f"experiments/{name}.py" for name in ("emoji", "emoji_folder", "processes", "protocol", "rivals")),
)
SHOWN = 8
"""Samples, unpicked, whose closest training emoji are shown: a row each in `.cache/emoji-SEED-closest.png`."""


@dataclass(frozen=True)
class Scale:
    """How much is measured: in full, or as a smoke."""

    pictures: int = COUNT
    further: int | None = None
    samples: int = 500
    length: tuple[str, ...] = ("--time", "10m")
    loop: tuple[str, ...] = ()
    seconds: float | None = None
    """The rival's CPU time, where it is not that of our command."""


SMOKE = Scale(pictures=230, further=4, samples=20, length=("--steps", "3"), loop=("--width", "4"), seconds=0.1)


class Judge:
    """The pictures that samples are compared with, and what is measured on samples."""

    def __init__(self, space: Space, training: Pictures, held_out: Pictures, further: Pictures) -> None:
        self.space, self.training = space, training
        self.seen, self.new, self.never = space(training), space(held_out), space(further)
        self.gaps = self._closest(held_out, self.new)

    def distances(self, pictures: Pictures) -> Arm:
        """How far some pictures are from new emoji."""
        found = self.space(whole_grey(pictures))
        return {
            "samples": len(found),
            "reference_samples": len(self.new),
            "kernel_distance": metrics.kernel_distance(self.new, found),
            "kernel_distance_never_used": metrics.kernel_distance(self.never, found),
        }

    def score(self, samples: Pictures) -> Arm:
        """The distances, and how far the samples are from training emoji, as a share of what new emoji are."""
        gaps = self._closest(samples, self.space(whole_grey(samples)))
        shares = {name: gap.median().item() / self.gaps[name].median().item() for name, gap in gaps.items()}
        return self.distances(samples) | {f"closest_in_{name}": share for name, share in shares.items()}

    def _closest(self, pictures: Pictures, found: Float[Tensor, "n f"]) -> dict[str, Float[Tensor, " n"]]:
        """The distance of each picture to its closest training emoji, in the space and in pixels."""
        pixels = torch.cdist(pictures.flatten(1), self.training.flatten(1))
        return {"features": torch.cdist(found, self.seen).amin(1), "pixels": pixels.amin(1)}

    def beside(self, samples: Pictures) -> Pictures:
        """Row by row: a sample, its three closest training emoji in features, its three closest in pixels."""
        found = torch.cdist(self.space(samples), self.seen), torch.cdist(samples.flatten(1), self.training.flatten(1))
        nearest = [self.training[each.topk(3, largest=False).indices] for each in found]
        return torch.cat([samples[:, None], *nearest], 1).flatten(0, 1)


def nulls(training: Pictures) -> dict[str, Pictures]:
    """What needs no training to make."""
    return {
        "white": torch.ones_like(training),
        "mean picture": training.mean(0, keepdim=True).expand_as(training),
        "one training emoji": training[:1].expand_as(training),
        "uniform noise": torch.rand(training.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1,
    }


def spoilt(training: Pictures) -> dict[str, Pictures]:
    """Training emoji that lack something: a scale for the distances."""
    noise = torch.randn(training.shape, generator=torch.Generator().manual_seed(0))
    half = functional.interpolate(training, scale_factor=0.5, mode="area")
    return {
        "training emoji at half the size": functional.interpolate(half, scale_factor=2, mode="bilinear"),
        "training emoji with noise 0.1": (training + 0.1 * noise).clamp(-1, 1),
    }


def ours(judge: Judge, source: str, scale: Scale, seed: int) -> Arm:
    """Train by the command; leave its samples, and some with their closest training emoji, as pictures."""
    run = train(source, "--seed", str(seed), *scale.length)
    samples = run.gan.sample(scale.samples, seed=seed)
    saved_grid(f"emoji-{seed}", samples)
    write_png(protocol.CACHE / f"emoji-{seed}-closest.png", grid(judge.beside(samples[:SHOWN]), 7))
    return run.facts | judge.score(samples)


def rival(judge: Judge, source: str, scale: Scale, seconds: float, seed: int) -> Arm:
    """Train by the hand-written loop for so many CPU seconds."""
    with tempfile.TemporaryDirectory() as out:
        words = ("--seed", str(seed), "--marks", str(seconds), "--samples", str(scale.samples), "--out", out)
        ((facts,), _) = answer("experiments.rivals", source, *scale.loop, *words)
        samples = torch.from_numpy(np.load(Path(out) / facts.pop("file")))
    saved_grid(f"emoji-{seed}-loop", samples)
    return facts | judge.score(samples)


def bars(record: Record, arms: list[Arm], rivals: list[Arm], without_training: list[Arm]) -> None:
    """Each on the worst of our seeds and the best of theirs."""

    def column(rows: list[Arm], name: str) -> list[float]:
        return [float(row[name]) for row in rows]

    worst = max(column(arms, "kernel_distance"))
    limit = 0.5 * min(column(rivals, "kernel_distance"))
    record.bar("kernel distance, against 0.5 of the hand-written loop's", worst, "<=", limit)
    record.bar(
        "kernel distance, against the null competitors'", worst, "<=", min(column(without_training, "kernel_distance"))
    )
    for name in ("features", "pixels"):
        record.bar(f"closest training emoji in {name}, share", min(column(arms, f"closest_in_{name}")), ">=", 0.8)


def opened(folder: Path, scale: Scale) -> tuple[data.DataSet, Pictures]:
    """The folder as ganworks reads it, and the emoji that are not in it."""
    chosen = names()
    make(folder / "emoji", chosen[: scale.pictures])
    make(folder / "further", chosen[scale.pictures :][: scale.further])
    further = data.open(folder / "further")
    parts = [further] if further.held_out is None else [further, further.held_out]
    return data.open(folder / "emoji"), torch.cat([all_pictures(part) for part in parts])


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.emoji", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--smoke", action="store_true", help="three steps and few samples: does it run?")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    scale, seeds = (SMOKE, 1) if options.smoke else (Scale(), options.seeds)
    with tempfile.TemporaryDirectory() as made:
        emoji, further = opened(Path(made), scale)
        assert emoji.held_out is not None
        source, training = str(Path(made) / "emoji"), all_pictures(emoji)
        judge = Judge(features.get("effnet-lite0"), training, all_pictures(emoji.held_out), further)

        name = "emoji-smoke" if options.smoke else "emoji"
        asked: dict[str, Any] = {"seeds": seeds, "data": emoji.spec.fingerprint, "samples": scale.samples}
        record = Record(name, str(__doc__).splitlines()[0], SOURCES, asked, folder)
        record.floor("training emoji", lambda: judge.distances(training[: scale.samples]))
        for what, pictures in spoilt(training).items():
            record.floor(what, partial(judge.distances, pictures[: scale.samples]))
        without_training = [
            record.floor(what, partial(judge.distances, pictures[: scale.samples]))
            for what, pictures in nulls(training).items()
        ]
        arms, rivals = [], []
        for seed in range(seeds):
            arms.append(record.arm(f"ganworks, seed {seed}", partial(ours, judge, source, scale, seed)))
            seconds = scale.seconds or float(arms[-1]["command_seconds"])
            found = record.arm(f"loop, seed {seed}", partial(rival, judge, source, scale, seconds, seed))
            rivals.append(found)
        bars(record, arms, rivals, without_training)
        return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
