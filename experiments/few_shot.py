"""Claim: of a hundred pictures `r3gan` learns more where D sees them augmented, and G does not learn the augmentations.

Ours: `r3gan` with its default networks on 100 of the packed digits (28 px, ten of each) and on 100 emoji (32 px), 4,000
steps, three seeds, one core; `plain`, and `augmented` by two of DiffAugment's changes, translate and cutout. Its third,
color, is left out: with it G made emoji of pure colours only, whose kernel distance was lower all the same (2026-11-26,
three seeds). Beside them, on digits, `adaptive`: flip, translate and cutout with `view.adaptive=0.6`; and as a
competitor that leaks, `flipped`: the same three always done, which makes mirrored digits as likely as digits.
Measures: the gap of D's mean logit between the 100 pictures and held-out ones, both through the view that D has; the
kernel distance (effnet-lite0) of 500 samples to held-out pictures; and for each change a detector, a network that tells
real pictures that were never used otherwise from the same ones changed, set to name 1 % of untouched ones.
Bars, each on the worst seed: the gap of `augmented` is at most half of that of `plain`, its kernel distance is lower;
the detector of cutouts names no larger share of its samples, and that of flips no larger share of samples of
`adaptive`, than of real pictures or of samples of an arm without that change, whichever is more, and two standard
errors of a difference. Poor samples are named without a leak, so real pictures alone would be no fair floor. That a
leak would be seen: a detector names at least 0.8 of real pictures that were changed, and the one of flips more samples
of the worst seed of `flipped` than that limit. No bar, but in the table: what is named as moved, and as cut out by
`adaptive`: moved pictures have grey edges, which the detector of cutouts names too.
Floors: held-out pictures in the samples' place, and the same pictures changed: what each detector can find. Null
competitor: the 100 pictures handed back.
"""

import argparse
import math
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganworks import GAN, data, metrics
from ganworks.augment import Change, cutout, flip, translate
from ganworks.data.spec import Batch
from ganworks.metrics import features
from ganworks.round import Round

from .conditional import first_of_each
from .emoji_folder import make, names
from .protocol import Pictures, Space, all_pictures, saved_grid, whole_grey
from .record import PLAY, RESULTS, Arm, Record

SOURCES = (
    *PLAY,
    "src/ganworks/augment.py",
    "src/ganworks/systems/r3gan.py",
    "src/ganworks/networks/compact.py",
    "src/ganworks/metrics",
    *(f"experiments/{name}.py" for name in ("few_shot", "emoji_folder", "protocol")),
)
FEW = 100
NAMED = 0.01
"""Share of untouched real pictures that a detector names."""
LEAKS = {"cutout": "augmented", "flip": "adaptive"}
"""The arm that is judged by what is named as changed."""
CHANGES: dict[str, Change] = {"flip": flip, "translate": translate, "cutout": cutout}


@dataclass(frozen=True)
class Scale:
    """How much is measured: in full, or as a smoke."""

    seeds: int = 3
    steps: int = 4000
    samples: int = 500
    held_out: int = 2000
    """Digits that samples are compared with."""
    pictures: int = 1200
    """Emoji beside the hundred: one half is held out, the other one teaches detectors."""
    updates: int = 400
    """Of a detector."""


class Detector:
    """Real pictures from the same ones changed, by a network of three convolutions.

    Args:
        change: What is done to half of the pictures of a batch.
        pictures: To learn from; the last quarter sets how sure it must be.
    """

    def __init__(self, change: Change, pictures: Pictures, updates: int) -> None:
        self.change = change
        learnt, checked = pictures[: len(pictures) * 3 // 4], pictures[len(pictures) * 3 // 4 :]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            widths = ((pictures.shape[1], 16), (16, 32), (32, 64))
            layers = [nn.Sequential(nn.Conv2d(i, o, 3, 2, 1), nn.SiLU()) for i, o in widths]
            size = 64 * math.ceil(pictures.shape[2] / 8) ** 2
            self.network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(size, 1), nn.Flatten(0))
            optimizer = torch.optim.Adam(self.network.parameters(), 2e-3)
            for _ in range(updates):
                real = learnt[torch.randint(len(learnt), (64,))]
                seen, told = torch.cat([real, self.changed(real)]), torch.arange(128) // 64
                loss = functional.binary_cross_entropy_with_logits(self.network(seen), told.float())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        self.sure = self._logits(checked).quantile(1 - NAMED).item()

    def changed(self, pictures: Pictures) -> Pictures:
        """All of some pictures changed; where chance would leave them as they are, by the numbers at the other end."""
        u = torch.rand(len(pictures), 2)
        return self.change(pictures, u / 2 if self.change is flip else u, torch.ones(len(pictures), dtype=torch.bool))

    @torch.no_grad()
    def _logits(self, pictures: Pictures) -> Tensor:
        return torch.cat([self.network(part) for part in torch.split(pictures, 500)])

    def share(self, pictures: Pictures) -> float:
        """Of some pictures, those that it names as changed."""
        return (self._logits(whole_grey(pictures)) > self.sure).float().mean().item()


class Judge:
    """A hundred pictures, held-out ones, and what is measured on samples."""

    def __init__(self, few: Pictures, held_out: Pictures, others: Pictures, space: Space, scale: Scale) -> None:
        self.few, self.held_out, self.space = few, held_out, space
        self.reference = space(held_out)
        self.detectors = {name: Detector(change, others, scale.updates) for name, change in CHANGES.items()}

    def score(self, pictures: Pictures) -> Arm:
        """The distance of some pictures to held-out ones, and the share that each detector names."""
        found = self.space(whole_grey(pictures))
        return {
            "samples": len(pictures),
            "reference_samples": len(self.held_out),
            "kernel_distance": metrics.kernel_distance(self.reference, found),
            **{f"named_{name}": detector.share(pictures) for name, detector in self.detectors.items()},
        }

    def trained(self, name: str, settings: dict[str, Any], seed: int, scale: Scale) -> Arm:
        """Train once and score; the samples are kept as a picture."""
        begun = time.process_time()
        gan = GAN("r3gan", **settings).start(self.few, seed, steps=scale.steps)
        for _ in range(scale.steps):
            gan.round()
        seconds = time.process_time() - begun
        samples = gan.sample(scale.samples, seed=seed)
        saved_grid(f"few-shot-{name}-{seed}", samples)
        return {"cpu_seconds": round(seconds, 1), **self.logits(gan, samples), **self.score(samples)}

    def logits(self, gan: GAN, samples: Pictures) -> Arm:
        """D's mean logits through its own view, relative to those of samples, and the gap between seen and new."""
        system = gan.system
        view = system.objective.view

        @torch.no_grad()
        def mean(x: Pictures) -> float:
            round = Round(0, 1, len(x), _nothing)
            round.begin_update("few-shot", 0)
            return system.discriminator(**view.fixed(round, "real")({"x": x})).mean().item()

        repeated = self.few.repeat(math.ceil(len(samples) / FEW), 1, 1, 1)
        known, new, fake = mean(repeated), mean(self.held_out), mean(samples)
        found = {"logit_known": known - fake, "logit_new": new - fake, "gap": known - new}
        if view.settings.adaptive:
            found["probability"] = view.augmentation.probability.item()
        return found


def _nothing() -> Batch:
    raise AssertionError("a look at given pictures reads no others")


def digits(scale: Scale, space: Space) -> Judge:
    """Ten of each packed digit, those that the data set holds out, and the rest."""
    packed = data.open("digits")
    assert packed.held_out is not None
    x, label = packed.rows(torch.arange(len(packed))).values()
    chosen = torch.zeros(len(x), dtype=torch.bool)
    chosen[first_of_each(label, 10, FEW // 10)] = True
    return Judge(x[chosen], all_pictures(packed.held_out)[: scale.held_out], x[~chosen], space, scale)


def emoji(scale: Scale, space: Space) -> Judge:
    """The first hundred emoji and others, at 32 px."""
    listed = names()[: FEW + scale.pictures]
    with tempfile.TemporaryDirectory() as folder:
        parts = []
        for part in (listed[:FEW], listed[FEW::2], listed[FEW + 1 :: 2]):
            path = Path(folder) / str(len(parts))
            make(path, part)
            opened = data.open(path, size=32)
            held = [] if opened.held_out is None else [opened.held_out]
            parts.append(torch.cat([all_pictures(each) for each in (opened, *held)]))
    return Judge(*parts, space, scale)


def always(*names: str) -> dict[str, Any]:
    """Augmentations at full strength."""
    return {"view.augment": list(names)}


def compare(record: Record, kind: str, judge: Judge, scale: Scale) -> None:
    """The arms of one kind of picture, and its bars."""
    real = record.floor(f"{kind}, held out", lambda: judge.score(judge.held_out[: scale.samples]))
    record.floor(f"{kind}, the hundred", lambda: judge.score(judge.few))
    for name, detector in judge.detectors.items():
        changed = detector.changed(judge.held_out[: scale.samples])
        record.floor(f"{kind}, held out, {name}", partial(judge.score, changed))
    arms: dict[str, dict[str, Any]] = {"plain": {}, "augmented": always("translate", "cutout")}
    if kind == "digits":
        three = always("flip", "translate", "cutout")
        arms |= {"adaptive": {**three, "view.adaptive": 0.6}, "flipped": three}
    found: dict[str, list[Arm]] = {}
    for seed in range(scale.seeds):
        for name, settings in arms.items():
            measure = partial(judge.trained, f"{kind}-{name}", settings, seed, scale)
            found.setdefault(name, []).append(record.arm(f"{kind}, {name}, seed {seed}", measure))
    bars(record, kind, arms, found, real)


def bars(record: Record, kind: str, settings: dict[str, Any], found: dict[str, list[Arm]], real: Arm) -> None:
    """Each on the worst seed."""

    def worst(arm: str, key: str) -> float:
        return max(one[key] / plain[key] for one, plain in zip(found[arm], found["plain"], strict=True))

    record.bar(f"{kind}: D's gap, of plain's", worst("augmented", "gap"), "<=", 0.5)
    record.bar(f"{kind}: kernel distance, of plain's", worst("augmented", "kernel_distance"), "<=", 1)
    used = [name for name in CHANGES if any(name in each.get("view.augment", []) for each in settings.values())]
    for change in used:
        key = f"named_{change}"
        seen = record.floors[f"{kind}, held out, {change}"][key]
        record.bar(f"{kind}: named as {change}, changed real pictures", seen, ">=", 0.8)
        without = [name for name in found if change not in settings[name].get("view.augment", [])]
        usual = max([real[key], *(one[key] for name in without for one in found[name])])
        most = usual + 2 * math.sqrt(2 * usual * (1 - usual) / real["samples"])
        if change in LEAKS:
            arm = LEAKS[change]
            record.bar(f"{kind}: named as {change}, {arm}", max(one[key] for one in found[arm]), "<=", most)
        if change == "flip":
            record.bar(f"{kind}: named as flip, flipped", max(one[key] for one in found["flipped"]), ">=", most)


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.few_shot", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--smoke", action="store_true", help="one seed, few steps and samples: does it run?")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    scale = Scale(1, 2, 24, 60, 60, 3) if options.smoke else Scale(options.seeds)
    name = "few_shot-smoke" if options.smoke else "few_shot"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, {"seeds": scale.seeds}, folder)
    space = features.get("effnet-lite0")
    for kind, opened in (("digits", digits), ("emoji", emoji)):
        compare(record, kind, opened(scale, space), scale)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
