"""Claim: `cyclegan` turns digits into inverted digits and back, though it never sees one digit in both forms.

Ours: one domain is one half of the packed training digits, the other one is the other half with black and white
exchanged, so that no digit has a partner; defaults but for `identity=0`, for nothing may stay as it is; 1,000 rounds,
three seeds, one core. Translated are the 2,000 held-out digits, and the same inverted; the truth is known.
Bars, each on the worst seed and the worse of both directions: 95 % of pixels on the right side of grey; 90 % of digits
still named right by an independent classifier, to which translations are turned back.
Nulls: copying the input, and the nearest picture of the other domain by pixels. Floor: what the classifier names right
of the digits themselves.

    python -m experiments.inverted [--seeds 3] [--smoke]
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor

from ganworks import data as datasets
from ganworks.data.dataset import Content, DataSet, build, hold_out

from . import classifier
from .protocol import Pictures, all_pictures
from .record import PLAY, RESULTS, Arm, Record
from .translations import shown, trained

SOURCES = (
    *PLAY,
    *(f"src/ganworks/{name}.py" for name in ("systems/cyclegan", "networks/translation", "use/translate")),
    *(f"experiments/{name}.py" for name in ("inverted", "translations", "classifier")),
)
STEPS = 1_000
DOMAINS = ("black", "white")
"""The ground that digits stand on."""


def unpaired(digits: DataSet) -> DataSet:
    """Half of the digits as they are, the others inverted; held out both, of other digits."""
    assert digits.held_out is not None
    parts = []
    for part in (digits, digits.held_out):
        x = part.columns["x"]
        assert isinstance(x, Tensor)
        half = len(x) // 2
        domain = torch.arange(len(x)) // half
        parts.append(
            Content("grounds", "domains", {"x": torch.cat([x[:half], 255 - x[half:]]), "domain": domain}, DOMAINS)
        )
    opened = build(parts[0])
    hold_out(opened, parts[1])
    return opened


class Judge:
    """Held-out digits with their truth, and who names them."""

    def __init__(self, digits: DataSet, count: int | None, seen: int) -> None:
        assert digits.held_out is not None
        self.network = classifier.trained(digits, seen)
        rows = digits.held_out.rows(torch.arange(count or len(digits.held_out)))
        self.digits, self.label = rows["x"], rows["label"]

    def score(self, made: dict[str, Pictures]) -> Arm:
        """How right translations are, by the ground they were to get."""
        found: Arm = {"held_out": len(self.digits)}
        for ground, pictures in made.items():
            back = pictures if ground == "black" else -pictures
            found[f"pixels_to_{ground}"] = ((back > 0) == (self.digits > 0)).double().mean().item()
            found[f"kept_to_{ground}"] = self._named(back)
        return found

    def _named(self, pictures: Pictures) -> float:
        guess: Int64[Tensor, " n"] = self.network.logits(pictures).argmax(1)
        return (guess == self.label).double().mean().item()


def nearest(x: Pictures, others: Pictures) -> Pictures:
    """The closest picture of the other domain."""
    return others[torch.cdist(x.flatten(1), others.flatten(1)).argmin(1)]


def nulls(judge: Judge, opened: DataSet) -> dict[str, Arm]:
    """What needs no training."""
    x, domain = all_pictures(opened), opened.labels
    white, black = x[domain == 1], x[domain == 0]
    return {
        "copying the input": judge.score({"white": judge.digits, "black": -judge.digits}),
        "nearest of the other domain": judge.score(
            {"white": nearest(judge.digits, white), "black": nearest(-judge.digits, black)}
        ),
    }


def played(judge: Judge, opened: DataSet, steps: int, seed: int) -> Arm:
    """Train once, and translate both ways."""
    gan, facts = trained("cyclegan", opened, steps, seed, identity=0.0)
    made = {"white": gan.translate(judge.digits, "white"), "black": gan.translate(-judge.digits, "black")}
    shown(f"inverted-{seed}", [judge.digits, made["white"], -judge.digits, made["black"]])
    return facts | judge.score(made)


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.inverted", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--smoke", action="store_true", help="few rounds and digits: does it run?")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    seeds, steps, count = (1, 4, 100) if options.smoke else (options.seeds, STEPS, None)
    seen = 200 if options.smoke else classifier.SEEN
    digits = datasets.open("digits")
    judge, opened = Judge(digits, count, seen), unpaired(digits)
    name = "inverted-smoke" if options.smoke else "inverted"
    asked = {"seeds": seeds, "steps": steps, "data": opened.spec.fingerprint}
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, asked, folder)
    record.floor("the digits themselves", lambda: judge.score({"black": judge.digits, "white": -judge.digits}))
    for what, found in nulls(judge, opened).items():
        record.floor(what, partial(dict, found))
    arms = [record.arm(f"seed {seed}", partial(played, judge, opened, steps, seed)) for seed in range(seeds)]
    for key, words_, least in (
        ("pixels", "pixels on the right side of grey", 0.95),
        ("kept", "digits still named right", 0.9),
    ):
        worst = min(arm[f"{key}_to_{ground}"] for arm in arms for ground in DOMAINS)
        record.bar(f"{words_}, worse direction", worst, ">=", least)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
