"""Claim: `stargan` changes the colour and the fill of a shape as asked, and keeps its form, its place and its size.

Ours: 800 steps of the defaults on 6,000 coloured shapes of 32 px, three seeds, one core. The six domains are the
pairs of colour and fill, which exclude each other. Each of 500 held-out pictures is asked for the five domains that are
not its own.
Judge: a small classifier with two heads, trained on real shapes of another seed, which no GAN has seen.
Bars, for the worst seed: the judge sees the asked domain in >= 0.95 of the translations and the form of the source in
>= 0.95; centre within 1 px and both sides within 2 px of the same shape drawn in the asked domain in >= 0.95 each; the
fill is kept in >= 0.95 of those where only the colour was to change; there and back L1 <= 0.05, pictures in [-1, 1].
Without the class term the asked domain falls to chance: a G that does not hear what is asked makes one picture of each
source, which is right at most once in K - 1, and so <= 1 / (K - 1) + 0.05.
Floors: the judge on real held-out pictures, >= 0.99 or nothing counts; the shapes drawn in the asked domain, what a
perfect translation scores but for the way back; the source itself.

With `--styles FOLDER` also emoji in several drawing styles, 1,200 steps, one seed: OpenMoji's lines and colours, and a
style for each folder in FOLDER, of pictures named by code points (ours were Noto's and Twemoji's, from the packages
emoji-datasource-google and emoji-datasource-twitter). The judge, trained on the real training pictures, sees the asked
style in >= 0.85 of the translations of the held-out ones, and without the class term chance. Without the option this
part is skipped.

    python -m experiments.stargan [--seeds 3] [--styles FOLDER] [--smoke]
"""

import argparse
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from ganworks.data import DataSet

from . import shapes, styles
from .asked import Asked, Judge, Pictures, copied, played, real, share, trained
from .record import RESULTS, TRAIN, Arm, Record

SOURCES = (
    *TRAIN,
    "src/ganworks/systems/stargan.py",
    *(f"experiments/{name}.py" for name in ("stargan", "asked", "shapes", "protocol")),
)
STEPS = 800
DATA, UNSEEN, JUDGED = 1, 2, 3
"""Seeds of the shapes that a GAN, nobody and the judge learns from."""
NEAR, ALIKE = 1.0, 2.0
"""Pixels within which a centre and a length are kept."""


@dataclass
class Size:
    """How much of everything; a smoke has little."""

    seeds: int = 3
    steps: int = STEPS
    style_steps: int = styles.STEPS
    shapes: int = 6_000
    held_out: int = 500
    judged: int = 600
    """Updates of a judge."""


class AskedShapes(Asked):
    """Shapes, of which everything is known."""

    def __init__(self, drawn: shapes.Shapes, held_out: DataSet, judge: Judge) -> None:
        super().__init__(held_out, judge)
        self.form = drawn.form[self.rows]
        truth = [drawn.asked(torch.full_like(drawn.domain, to)).drawn() for to in range(self.domains)]
        self.truth = torch.stack(truth)[self.to, self.rows].float() / 127.5 - 1
        """The shapes drawn as they are asked for."""

    def kept(self, made: Pictures) -> Arm:
        """What was to change, and what was not."""
        seen = self.judge.named(made)
        (place, lengths), (true_place, true_lengths) = shapes.extent(made), shapes.extent(self.truth)
        moved, grown = (place - true_place).norm(dim=1), (lengths - true_lengths).abs().amax(1)
        only_color = self.to % 2 == self.domain[self.rows] % 2
        return {
            "color": share(seen[:, 0] // 2 == self.to // 2),
            "fill": share(seen[:, 0] % 2 == self.to % 2),
            "fill_kept": share((seen[:, 0] % 2 == self.to % 2)[only_color]),
            "form_kept": share(seen[:, 1] == self.form),
            "place_kept": share(moved <= NEAR),
            "place_error_px": moved.mean().item(),
            "size_kept": share(grown <= ALIKE),
            "size_error_px": grown.mean().item(),
            "l1_from_truth": (made - self.truth).abs().mean().item(),
        }


def on_shapes(record: Record, size: Size) -> None:
    """Train on shapes, and judge."""
    drawn = shapes.random(size.held_out, UNSEEN)
    data = shapes.data(size.shapes, DATA, drawn)
    assert data.held_out is not None
    other = shapes.random(size.shapes, JUDGED)
    labels = torch.stack([other.domain, other.form], 1)
    answers = len(shapes.DOMAINS), len(shapes.FORMS)
    judge = trained(answers, other.drawn().float() / 127.5 - 1, labels, size.judged)
    asked = AskedShapes(drawn, data.held_out, judge)
    true = torch.stack([drawn.domain, drawn.form], 1)
    floor = record.floor("shapes: the judge on real ones", partial(real, judge, asked.pictures, true))
    record.floor("shapes: drawn as asked", lambda: asked.score(lambda pictures, to: asked.truth))
    record.floor("shapes: the source itself", lambda: asked.score(copied))
    play = partial(played, data=data, asked=asked, steps=size.steps)
    arms = [
        record.arm(f"shapes, seed {seed}", partial(play, f"stargan-{seed}", seed=seed)) for seed in range(size.seeds)
    ]
    without = record.arm("shapes, without the class term", partial(play, "stargan-deaf", seed=0, classification=0.0))
    record.bar("shapes: the judge on real ones", min(floor["accuracy"]), ">=", 0.99)
    for name in ("asked", "form_kept", "place_kept", "size_kept", "fill_kept"):
        record.bar(f"shapes: {name}, worst seed", min(arm[name] for arm in arms), ">=", 0.95)
    record.bar("shapes: there_and_back_l1, worst seed", max(arm["there_and_back_l1"] for arm in arms), "<=", 0.05)
    record.bar("shapes: asked, without the class term", without["asked"], "<=", asked.chance + 0.05)


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.stargan", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--styles", type=Path, metavar="FOLDER", help="drawings, a folder for each further style")
    parser.add_argument("--smoke", action="store_true", help="one seed, three steps, few pictures: does it run?")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    size = Size(1, 3, 3, 300, 40, 3) if options.smoke else Size(options.seeds)
    name = "stargan-smoke" if options.smoke else "stargan"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, {"seeds": size.seeds}, folder)
    on_shapes(record, size)
    if options.styles:
        styles.on_styles(record, options.styles, size.style_steps, size.judged)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
