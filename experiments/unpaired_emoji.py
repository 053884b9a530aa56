"""Claim: `cyclegan` learns to colour line drawings of emoji, and to draw lines of coloured ones, from unpaired heaps.

Ours: the training emoji in two heaps, one half as line drawings and the other half, of other emoji, in colour, at 32
px; the defaults, 5,000 rounds, one core. Translated are the held-out emoji, both ways; their truth is known, and
looked at only here.
Kernel distance: in the space effnet-lite0, to the held-out pictures of the domain that was asked for.
Bars: kernel distance at most 0.5 of the untranslated input's, both ways; and there and back again is at most 1.5 times
as far off after the translation was rounded to 8 bits and blurred a little: a translation that hides its input in what
nobody sees would lose it.
Beside them the L1 to the pair's own picture, and that of `pix2pix`, which is shown pairs, after as many pictures.

    python -m experiments.unpaired_emoji [--seeds 1] [--smoke]
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ganworks import GAN
from ganworks import data as datasets
from ganworks.data.dataset import Content, DataSet, build
from ganworks.metrics import features

from .protocol import Pictures, whole_grey
from .record import PLAY, RESULTS, Arm, Record
from .translations import kernel_distance, shown, trained

SOURCES = (
    *PLAY,
    *(
        f"src/ganworks/{name}.py"
        for name in ("systems/cyclegan", "networks/translation", "use/translate", "data/emoji")
    ),
    "src/ganworks/metrics/kernel.py",
    *(f"experiments/{name}.py" for name in ("unpaired_emoji", "translations", "protocol")),
)
PIX2PIX = ("src/ganworks/systems/pix2pix.py",)
ROUNDS = 5_000
SIZE = 32
DOMAINS = ("color", "line")
BLUR = 0.5
"""Standard deviation of the slight blur, in pixels."""


class Held:
    """Held-out emoji, each as a line drawing and in colour."""

    def __init__(self, pairs: DataSet, count: int | None) -> None:
        assert pairs.held_out is not None
        rows = pairs.held_out.rows(torch.arange(count or len(pairs.held_out)))
        self.pictures = {"line": rows["source"].expand(-1, 3, -1, -1), "color": rows["target"]}
        self.space = features.get("effnet-lite0")
        self.real = {domain: self.space(each) for domain, each in self.pictures.items()}

    def score(self, made: dict[str, Pictures]) -> Arm:
        """Of pictures in the place of each domain's."""
        found: Arm = {"samples": len(self.pictures["line"])}
        for domain, pictures in made.items():
            found[f"kernel_distance_{domain}"] = kernel_distance(self.space, self.real[domain], pictures)
            found[f"l1_{domain}"] = (whole_grey(pictures) - self.pictures[domain]).abs().mean().item()
        return found


def heaps(pairs: DataSet) -> DataSet:
    """Lines of one half of the emoji, colours of the other half."""
    line, color = pairs.columns["source"], pairs.columns["target"]
    assert isinstance(line, Tensor)
    assert isinstance(color, Tensor)
    half = len(line) // 2
    order = torch.randperm(len(line), generator=torch.Generator().manual_seed(0))
    x = torch.cat([color[order[half:]], line[order[:half]].expand(-1, 3, -1, -1)])
    domain = torch.tensor([0, 1]).repeat_interleave(torch.tensor([len(line) - half, half]))
    return build(Content("heaps", "domains", {"x": x, "domain": domain}, DOMAINS))


def blurred(x: Pictures) -> Pictures:
    """A slight Gaussian blur, edges repeated."""
    weights = torch.exp(-0.5 * (torch.arange(-2.0, 3.0) / BLUR).square())
    weights = (weights / weights.sum()).expand(x.shape[1], 1, -1)
    x = F.conv2d(F.pad(x, (2, 2, 0, 0), mode="replicate"), weights[:, :, None], groups=x.shape[1])
    return F.conv2d(F.pad(x, (0, 0, 2, 2), mode="replicate"), weights[..., None], groups=x.shape[1])


def cycles(gan: GAN, held: Held, made: dict[str, Pictures]) -> Arm:
    """How far off emoji are after there and back, and how much further where the way there is rounded and blurred."""
    found: Arm = {}
    for domain, other in (("line", "color"), ("color", "line")):
        real = held.pictures[domain]
        plain = (gan.translate(made[other], domain) - real).abs().mean().item()
        spoilt = (gan.translate(blurred(whole_grey(made[other])), domain) - real).abs().mean().item()
        found |= {f"cycle_{domain}": plain, f"cycle_{domain}_spoilt": spoilt}
    return found


def ours(held: Held, pairs: DataSet, rounds: int, seed: int) -> Arm:
    """Train once, and translate both ways."""
    gan, facts = trained("cyclegan", heaps(pairs), rounds, seed)
    line, color = held.pictures["line"], held.pictures["color"]
    made = {"color": gan.translate(line, "color"), "line": gan.translate(color, "line")}
    shown(f"unpaired-emoji-{seed}", [line, made["color"], color, made["line"]])
    return facts | held.score(made) | cycles(gan, held, made)


def with_pairs(held: Held, pairs: DataSet, rounds: int, seed: int) -> Arm:
    """What pairs are worth: the same pictures shown to `pix2pix`, one way."""
    gan, facts = trained("pix2pix", pairs, rounds, seed)
    return facts | held.score({"color": gan.translate(held.pictures["line"][:, :1])})


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.unpaired_emoji", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--smoke", action="store_true", help="few rounds and emoji: does it run?")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    seeds, rounds, count = (1, 2, 24) if options.smoke else (options.seeds, ROUNDS, None)
    pairs = datasets.open("emoji", size=SIZE)
    held = Held(pairs, count)
    name = "unpaired_emoji-smoke" if options.smoke else "unpaired_emoji"
    asked = {"seeds": seeds, "rounds": rounds, "data": pairs.spec.fingerprint}
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, asked, folder)
    line, color = held.pictures["line"], held.pictures["color"]
    copied = record.floor("copying the input", lambda: held.score({"color": line, "line": color}))
    arms = [record.arm(f"seed {seed}", partial(ours, held, pairs, rounds, seed)) for seed in range(seeds)]
    record.arm("pix2pix, shown pairs", partial(with_pairs, held, pairs, rounds, 0), PIX2PIX)
    for domain in ("color", "line"):
        key = f"kernel_distance_{domain}"
        worst = max(arm[key] for arm in arms) / copied[key]
        record.bar(f"kernel distance to {domain}, of the untranslated input's", worst, "<=", 0.5)
    for domain in ("line", "color"):
        key = f"cycle_{domain}"
        worst = max(arm[f"{key}_spoilt"] / arm[key] for arm in arms)
        record.bar(f"cycle of {domain}, rounded and blurred over plain", worst, "<=", 1.5)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
