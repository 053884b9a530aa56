"""Claim: where a picture has two answers `pix2pix` gives one of them, and L1 alone what lies between.

The data are made: a source is the outline of a rectangle or an ellipse at 32 px, its target the same shape, filled dark
(-0.6) or light (0.6) by a fair coin that the source does not show. Every grey between the two is a median, and has the
same mean absolute error: L1 alone has no reason to prefer the ends.
Ours: the defaults, 2,000 rounds, three seeds, one core; the same with `adversarial=0`; 2,000 pairs, 500 held out.
A picture is an answer where the inside of its shape is within 0.15 (RMS) of -0.6 or of 0.6.
Bars, each on the worst seed: at least 90 % of the pictures are answers; and at most half of those of L1 alone.
Beside them: which share is light, over sources and over the noise of one source; and where L1 alone lands.

    python -m experiments.two_answers [--seeds 3] [--smoke]
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ganworks import GAN
from ganworks.data.dataset import Content, DataSet, build, hold_out

from .protocol import Pictures
from .record import PLAY, RESULTS, Arm, Record
from .translations import shown, trained

SOURCES = (
    *PLAY,
    *(f"src/ganworks/{name}.py" for name in ("systems/pix2pix", "networks/translation", "use/translate")),
    *(f"experiments/{name}.py" for name in ("two_answers", "translations", "protocol")),
)
ROUNDS = 2_000
PAIRS, HELD = 2_000, 500
SIDE, ANSWER, NEAR = 32, 0.6, 0.15
DRAWS = 16
"""Seeds of the noise, for one source."""


class Shapes:
    """Outlines and insides of random rectangles and ellipses."""

    def __init__(self, count: int, seed: int) -> None:
        random = torch.Generator().manual_seed(seed)
        place = torch.arange(SIDE).float()
        center = torch.rand(2, count, 1, 1, generator=random) * 10 + SIDE / 2 - 5
        half = torch.rand(2, count, 1, 1, generator=random) * 5 + 5
        x, y = ((place - center[0]) / half[0]).abs(), ((place[:, None] - center[1]) / half[1]).abs()
        round_ = torch.rand(count, 1, 1, generator=random) < 0.5
        distance = torch.where(round_, torch.hypot(x, y), torch.maximum(x, y))
        self.inside: Bool[Tensor, "n h w"] = distance < 1 - 1.5 / half.mean(0)
        line = (distance < 1) & ~self.inside
        self.source: Pictures = torch.where(line, -1.0, 1.0)[:, None]
        light = torch.rand(count, 1, 1, generator=random) < 0.5
        filled = torch.where(light, ANSWER, -ANSWER)
        self.target: Pictures = torch.where(self.inside, filled, self.source[:, 0])[:, None]

    def pairs(self) -> Content:
        """As content of a data set."""
        return Content("two answers", "pairs", {"source": self.source, "target": self.target})


def opened() -> DataSet:
    """PAIRS pairs, and others held out."""
    data = build(Shapes(PAIRS, 0).pairs())
    hold_out(data, Shapes(HELD, 1).pairs())
    return data


def insides(made: Pictures, inside: Bool[Tensor, "n h w"]) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """The mean inside of each shape, and the RMS distance to the nearer answer."""
    weight = inside / inside.sum((1, 2), keepdim=True)
    mean = (made[:, 0] * weight).sum((1, 2))
    answer = torch.where(mean > 0, ANSWER, -ANSWER)[:, None, None]
    return mean, ((made[:, 0] - answer).square() * weight).sum((1, 2)).sqrt()


def score(made: Pictures, shapes: Shapes) -> Arm:
    """How many are answers, and which."""
    mean, off = insides(made, shapes.inside)
    return {
        "samples": len(made),
        "answers": (off <= NEAR).double().mean().item(),
        "light": (mean > 0).double().mean().item(),
        "median_inside": mean.median().item(),
        "mean_size_inside": mean.abs().mean().item(),
    }


def drawn(gan: GAN, shapes: Shapes) -> float:
    """The share of light pictures over the noise, of one source."""
    made = torch.cat([gan.translate(shapes.source[:1], seed=seed) for seed in range(DRAWS)])
    return (insides(made, shapes.inside[:1].expand(DRAWS, -1, -1))[0] > 0).double().mean().item()


def played(data: DataSet, held: Shapes, rounds: int, seed: int, adversarial: float) -> Arm:
    """Train once, and fill the held-out shapes."""
    gan, facts = trained("pix2pix", data, rounds, seed, adversarial=adversarial)
    made = gan.translate(held.source)
    shown(f"two-answers-{seed}-{'game' if adversarial else 'l1'}", [held.source, made, held.target])
    return facts | score(made, held) | {"light_over_noise": drawn(gan, held)}


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.two_answers", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--smoke", action="store_true", help="few rounds: does it run?")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    seeds, rounds = (1, 3) if options.smoke else (options.seeds, ROUNDS)
    data, held = opened(), Shapes(HELD, 1)
    name = "two_answers-smoke" if options.smoke else "two_answers"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, {"seeds": seeds, "rounds": rounds}, folder)
    record.floor("the targets themselves", lambda: score(held.target, held))
    record.floor("copying the input", lambda: score(held.source, held))
    games = [record.arm(f"pix2pix, seed {s}", partial(played, data, held, rounds, s, 1.0)) for s in range(seeds)]
    alone = [record.arm(f"L1 alone, seed {s}", partial(played, data, held, rounds, s, 0.0)) for s in range(seeds)]
    record.bar("pictures that are answers", min(arm["answers"] for arm in games), ">=", 0.9)
    record.bar("of L1 alone", max(arm["answers"] for arm in alone), "<=", 0.5)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
