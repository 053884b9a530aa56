"""Claim: `pix2pix` colours drawings of emoji as if they had been drawn so, where L1 alone mixes the colours.

Ours: the 4,045 training pairs of `emoji`, line to colour, at 64 px; the defaults, 4,000 rounds of 8 pairs, one core.
Against it: the same network, rates and rounds with the L1 term alone (`adversarial=0`); that, with Gaussian noise of
the spectrum that training pictures say is missing; the target of the nearest training drawing, by pixels; and the line
drawing itself. The floor is real pictures of other emoji. Judged are the held-out pairs whose colour picture is no
training picture too.
Kernel distance: in the space effnet-lite0, to the held-out colour pictures. L1: to the pair's own picture, in [-1, 1].
Gradients: the total variation distance of the histograms of gradient sizes.
Bars: kernel distance at most 0.6 of that of L1 alone, and below that of L1 with noise; L1 at most 15 % worse than that
of L1 alone; gradients at most half as far off as those of L1 alone; and better than the line drawing on each of the
three.

    python -m experiments.emoji_pairs [--seeds 1] [--smoke]
"""

import argparse
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from ganworks import GAN
from ganworks import data as datasets
from ganworks.data.dataset import DataSet
from ganworks.data.spec import Batch
from ganworks.metrics import features

from .protocol import Pictures, whole_grey
from .record import PLAY, RESULTS, Arm, Record
from .translations import gradient_error, kernel_distance, matched_noise, power, shown, trained

SOURCES = (
    *PLAY,
    *(f"src/ganworks/{name}.py" for name in ("systems/pix2pix", "networks/translation", "use/translate", "data/emoji")),
    "src/ganworks/metrics/kernel.py",
    *(f"experiments/{name}.py" for name in ("emoji_pairs", "translations", "protocol")),
)
ROUNDS = 4_000
MEASURED = 1_000
"""Training pairs that the missing spectrum is taken from."""
SCORES = ("kernel_distance", "l1", "gradient_error")


@dataclass(frozen=True)
class Scale:
    """How much of everything; a smoke has little."""

    seeds: int = 1
    rounds: int = ROUNDS
    pairs: int | None = None
    """Held-out pairs, where it is not all."""


class Judge:
    """Held-out pairs, and what is measured of other pictures in the place of their targets."""

    def __init__(self, pairs: DataSet, count: int | None) -> None:
        assert pairs.held_out is not None
        self.training = pairs.rows(torch.arange(len(pairs)))
        held = pairs.held_out.rows(torch.arange(len(pairs.held_out)))
        new = _without(held["target"], self.training["target"])[:count]
        self.source, self.target = held["source"][new], held["target"][new]
        self.space = features.get("effnet-lite0")
        self.real = self.space(self.target)

    def score(self, pictures: Pictures) -> Arm:
        """The three numbers that have bars."""
        pictures = whole_grey(pictures)
        return {
            "samples": len(pictures),
            "kernel_distance": kernel_distance(self.space, self.real, pictures),
            "l1": (pictures - self.target).abs().mean().item(),
            "gradient_error": gradient_error(pictures, self.target),
        }

    def others(self) -> Pictures:
        """As many training pictures, of other emoji: real, so what they score is the floor."""
        drawn = torch.randperm(len(self.training["target"]), generator=torch.Generator().manual_seed(0))
        return self.training["target"][drawn[: len(self.target)]]

    def nearest(self) -> Pictures:
        """The colour picture of the training drawing that is nearest, by pixels."""
        near = torch.cdist(self.source.flatten(1), self.training["source"].flatten(1)).argmin(1)
        return self.training["target"][near]


def _without(pictures: Pictures, seen: Pictures) -> torch.Tensor:
    """Numbers of the pictures that are not among others."""
    known = {each.numpy().tobytes() for each in seen}
    return torch.tensor([number for number, each in enumerate(pictures) if each.numpy().tobytes() not in known])


def coloured(judge: Judge, pairs: DataSet, scale: Scale, seed: int, adversarial: float) -> tuple[Arm, GAN]:
    """Train once, and colour the held-out drawings."""
    gan, facts = trained("pix2pix", pairs, scale.rounds, seed, adversarial=adversarial)
    return facts | judge.score(gan.translate(judge.source)), gan


def l1_alone(judge: Judge, pairs: DataSet, scale: Scale, seed: int) -> Arm:
    """The L1 term alone; and with the noise that training pairs say it lacks."""
    arm, gan = coloured(judge, pairs, scale, seed, 0.0)
    some = torch.arange(MEASURED if scale.pairs is None else scale.pairs)
    seen = Batch({name: rows[some] for name, rows in judge.training.items()})
    missing = power(seen["target"]) - power(gan.translate(seen["source"]))
    made = gan.translate(judge.source)
    noisy = matched_noise(made, missing)
    shown(f"emoji-pairs-l1-{seed}", [judge.source, made, noisy, judge.target])
    return arm | {"with_noise": judge.score(noisy)}


def ours(judge: Judge, pairs: DataSet, scale: Scale, seed: int) -> Arm:
    """The whole game."""
    arm, gan = coloured(judge, pairs, scale, seed, 1.0)
    shown(f"emoji-pairs-{seed}", [judge.source, gan.translate(judge.source), judge.target])
    return arm


def judged(record: Record, nulls: dict[str, Arm], alone: list[Arm], arms: list[Arm]) -> None:
    """The bars, each on the worst seed."""

    def worst(key: str, other: list[Arm]) -> float:
        return max(arm[key] / one[key] for arm, one in zip(arms, other, strict=True))

    record.bar("kernel distance, of that of L1 alone", worst("kernel_distance", alone), "<=", 0.6)
    noisy = [arm["with_noise"] for arm in alone]
    record.bar("kernel distance, of that of L1 with noise", worst("kernel_distance", noisy), "<=", 1.0)
    record.bar("L1, of that of L1 alone", worst("l1", alone), "<=", 1.15)
    record.bar("gradients off, of those of L1 alone", worst("gradient_error", alone), "<=", 0.5)
    for key in SCORES:
        record.bar(f"{key}, of the line drawing's", worst(key, [nulls["copying the input"]] * len(arms)), "<=", 1.0)


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.emoji_pairs", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--smoke", action="store_true", help="few rounds and pairs: does it run?")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    scale = Scale(1, 3, 24) if options.smoke else Scale(options.seeds)
    pairs = datasets.open("emoji")
    judge = Judge(pairs, scale.pairs)
    name = "emoji_pairs-smoke" if options.smoke else "emoji_pairs"
    asked = {"seeds": scale.seeds, "rounds": scale.rounds, "data": pairs.spec.fingerprint}
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, asked, folder)
    nulls = {
        what: record.floor(what, partial(judge.score, pictures))
        for what, pictures in (
            ("copying the input", judge.source.expand(-1, 3, -1, -1)),
            ("target of the nearest drawing", judge.nearest()),
            ("real pictures of other emoji", judge.others()),
        )
    }
    alone = [record.arm(f"L1 alone, seed {s}", partial(l1_alone, judge, pairs, scale, s)) for s in range(scale.seeds)]
    arms = [record.arm(f"pix2pix, seed {s}", partial(ours, judge, pairs, scale, s)) for s in range(scale.seeds)]
    judged(record, nulls, alone, arms)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
