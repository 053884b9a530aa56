"""Claim: the paired relativistic loss with both penalties finds all 1,000 modes of stacked digits.

A stack is three packed training digits as three channels, each brought to 14 x 14 by means of 2 x 2 pixels; a mode is a
triple of digits. Ours: `r3gan` with fully connected networks, 64 -> 512 -> 512 -> 588 and 588 -> 512 -> 512 -> 1, on
grey levels in [0, 1], batch 128, Adam 5e-4 (0, 0.99) with a linear decay, and both penalties. Their weight is 1 for
levels in [0, 1]; ganworks has pictures in [-1, 1], where slopes are half as steep, so there it is 4. Three seeds, one
core. 26,000 samples of the averaged G; a classifier that has seen the training digits names the three channels; KL is
that of the triples' shares from 1/1000 each.
Bars, each on the worst seed: >= 990 modes, KL <= 0.15, <= 600 CPU seconds of training. Null competitors: the same
networks and optimizer, the non-saturating loss, no penalty: <= 100 modes; and D that judges two stacks together, in
between: more modes than that, fewer than ours.
Beside them, without a bar, what decides about the collapse: no penalty again, but networks that see and make numbers in
[-1, 1] instead of [0, 1], all else being equal.
Floors: stacks of held-out digits, and triples drawn uniformly, which no KL can go below.

One penalty is enough for networks of this size, by the same protocol: this says nothing for R2 over R1 alone.

    python -m experiments.stacked [--seeds 3] [--steps N] [--smoke]
"""

import argparse
import re
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn

from ganworks import data
from ganworks.data import DataSet
from ganworks.networks import mlp
from ganworks.networks.pair import Pair
from ganworks.random import key
from ganworks.settings import build, nested
from ganworks.systems.r3gan import R3GAN, R3GANSettings
from ganworks.training.average import for_sampling, sample
from ganworks.training.engine import Engine

from .protocol import all_pictures, saved_grid
from .record import PLAY, RESULTS, Arm, Record

SOURCES = (
    *PLAY,
    "src/ganworks/systems/r3gan.py",
    *(f"src/ganworks/networks/{name}.py" for name in ("mlp", "pair")),
    *(f"experiments/{name}.py" for name in ("stacked", "protocol")),
)
STACKS, SAMPLES, STEPS = 128_000, 26_000, 8_000
KINDS = 10
MODES = KINDS**3
_DECAY = {"from": 5e-4, "to": 0.0}
OURS: dict[str, Any] = {
    "networks": "mlp",
    "batch": 128,
    "latent.size": 64,
    "objective.r1": 4.0,
    "objective.r2": 4.0,
    "objective.every": 1,
    "turns.simultaneous": False,
    # 0.999 an update of 128 samples
    "average.half_life": 88_700.0,
    **{
        f"{player}.{key}": value
        for player in ("generator", "discriminator")
        for key, value in {"width": 512, "lr": _DECAY, "betas": [0.0, 0.99]}.items()
    },
}
FREE: dict[str, Any] = OURS | {"objective.loss": "non_saturating", "objective.r1": 0.0, "objective.r2": 0.0}
WIDE = "no penalty, numbers in [-1, 1]"
ARMS = {"r3gan": OURS, "no penalty": FREE, "no penalty, packs of 2": FREE | {"view.pack": 2}, WIDE: FREE}
Digits = Float[Tensor, "n 1 14 14"]
Stacks = Float[Tensor, "n 3 14 14"]


@dataclass
class Size:
    """How much of everything; a smoke has little."""

    seeds: int = 3
    steps: int = STEPS
    stacks: int = STACKS
    samples: int = SAMPLES
    epochs: int = 40


def halved(pictures: Float[Tensor, "n 1 28 28"]) -> Digits:
    """The mean of every 2 x 2 pixels."""
    return F.avg_pool2d(pictures, 2)


def triples(count: int, of: int, seed: int) -> Int64[Tensor, "n 3"]:
    """Rows of digits, three for each stack, each drawn alone."""
    return torch.randint(of, (count, 3), generator=torch.Generator().manual_seed(seed))


def stacked(digits: Digits, rows: Int64[Tensor, "n 3"]) -> Stacks:
    """Three digits as three channels."""
    return digits[:, 0][rows]


def labelled(part: DataSet) -> tuple[Digits, Int64[Tensor, " n"]]:
    """Every digit of a data set at 14 x 14, and what it is."""
    return halved(all_pictures(part)), part.rows(torch.arange(len(part)))["label"]


class Judge:
    """A classifier of 14 x 14 digits, from the training digits alone, moved by up to a pixel each way.

    `accuracy` is the share of the held-out ones that it names right.
    """

    def __init__(self, digits: DataSet, epochs: int) -> None:
        assert digits.held_out is not None
        x, label = labelled(digits)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.network = nn.Sequential(nn.Flatten(), nn.Linear(196, 512), nn.ReLU(), nn.Linear(512, KINDS))
            self._fit(x, label, epochs)
        self.network.eval()
        seen, known = labelled(digits.held_out)
        self.accuracy = (self.names(seen) == known).double().mean().item()

    def _fit(self, x: Digits, label: Int64[Tensor, " n"], epochs: int) -> None:
        optimizer = torch.optim.Adam(self.network.parameters(), 2e-3)
        for epoch in range(epochs):
            optimizer.param_groups[0]["lr"] = 2e-3 * (1 - epoch / epochs)
            for rows in torch.randperm(len(x)).split(100):
                down, right = torch.randint(0, 3, (2,)).tolist()
                moved = F.pad(x[rows], (1, 1, 1, 1), value=-1.0)[..., down : down + 14, right : right + 14]
                loss = F.cross_entropy(self.network(moved), label[rows])
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()

    @torch.no_grad()
    def names(self, digits: Digits) -> Int64[Tensor, " n"]:
        """Which digit each one looks like most."""
        return torch.cat([self.network(part).argmax(1) for part in digits.split(5000)])

    def modes(self, stacks: Stacks) -> Int64[Tensor, " n"]:
        """Which of the 1,000 triples each stack is."""
        hundreds, tens, ones = self.names(stacks.reshape(-1, 1, 14, 14)).view(-1, 3).T
        return 100 * hundreds + 10 * tens + ones


def counted(modes: Int64[Tensor, " n"]) -> Arm:
    """How many triples there are, and KL(their shares, uniform) in nats."""
    shares: Float64[Tensor, " k"] = torch.bincount(modes, minlength=MODES).double() / len(modes)
    kl = torch.special.xlogy(shares, shares * MODES).sum()
    return {"samples": len(modes), "modes": int((shares > 0).sum()), "kl": kl.item()}


def training_data(digits: DataSet, size: Size) -> DataSet:
    """Stacks of training digits; every system and seed sees the same."""
    x = stacked(labelled(digits)[0], triples(size.stacks, len(digits), 0))
    return data.open(((x + 1) * 127.5).round().to(torch.uint8))


class Wide(R3GAN):
    """The same networks for numbers in [-1, 1]."""

    def pair(self) -> Pair:
        latent, g, d, shape, judged = self.sizes()
        return mlp.Generator(latent, g, 2, shape, mlp.leaky, nn.Tanh()), mlp.Discriminator(judged, d, 2)


def played(stacks: DataSet, judge: Judge, name: str, seed: int, size: Size) -> Arm:
    """Train once and name the samples."""
    made = Wide if name == WIDE else R3GAN
    settings = build(R3GANSettings, made.suited(stacks.spec), nested(ARMS[name]))
    torch.manual_seed(key(seed, "init"))
    engine = Engine(made(settings, stacks.spec).train(), stacks, seed=seed, steps=size.steps)
    begun = time.process_time()
    for _ in range(size.steps):
        engine.round()
    seconds = time.process_time() - begun
    samples = sample(for_sampling(engine.system, engine.average, seed), size.samples, seed)["x"]
    saved_grid(f"stacked-{re.sub('[^a-z0-9]+', '-', name)}-{seed}", samples)
    return {"step": size.steps, "training_seconds": round(seconds, 2), **counted(judge.modes(samples))}


def judged(record: Record, arms: dict[str, list[Arm]]) -> None:
    """The bars."""
    ours, free, packed, _ = arms.values()
    least = min(arm["modes"] for arm in ours)
    most = max(arm["modes"] for arm in free)
    record.bar("modes, fewest", least, ">=", 990)
    record.bar("KL from uniform, most", max(arm["kl"] for arm in ours), "<=", 0.15)
    record.bar("CPU seconds of training, most", max(arm["training_seconds"] for arm in ours), "<=", 600)
    record.bar("modes without penalty, most", most, "<=", 100)
    fewest = min(arm["modes"] for arm in packed)
    record.bar("modes in packs of 2, fewest, over those without penalty", fewest, ">=", most + 1)
    record.bar("modes in packs of 2, most, below ours", max(arm["modes"] for arm in packed), "<=", least - 1)


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.stacked", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--smoke", action="store_true", help="one seed, few steps and samples: does it run?")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    size = Size(1, 3, 300, 200, 1) if options.smoke else Size(options.seeds, options.steps)
    name = "stacked-smoke" if options.smoke else "stacked"
    digits = data.open("digits")
    told = {"seeds": size.seeds, "steps": size.steps, "data": digits.spec.fingerprint}
    record = Record(name, str(__doc__).splitlines()[0].removeprefix("Claim: "), SOURCES, told, folder)
    judge, stacks = Judge(digits, size.epochs), training_data(digits, size)
    assert digits.held_out is not None
    held, _ = labelled(digits.held_out)
    real = stacked(held, triples(size.samples, len(held), 1))
    record.floor("held-out digits, to the classifier", lambda: {"accuracy": judge.accuracy})
    record.floor("stacks of held-out digits", lambda: counted(judge.modes(real)))
    uniform = torch.randint(MODES, (size.samples,), generator=torch.Generator().manual_seed(2))
    record.floor("triples drawn uniformly", lambda: counted(uniform))
    seeds = range(size.seeds)
    arms = {
        each: [record.arm(f"{each}, seed {seed}", partial(played, stacks, judge, each, seed, size)) for seed in seeds]
        for each in ARMS
    }
    record.bar("held-out digits that the classifier knows", judge.accuracy, ">=", 0.96)
    judged(record, arms)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
