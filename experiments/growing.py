"""Claim: a GAN that grows is ahead of the same networks trained whole early on, and not behind them at the end.

Ours: `progressive` on the packed digits, 7 → 14 → 28 px, against itself with `growing=0`, which is the final network
from the start: same settings, same CPU time of training, three seeds, one core. The two of a seed take turns in one
process, always the one that has spent less, so that both meet the same machine; the horizon of the one that grows
follows from what a round costs over a short run of its own.
2,000 samples of the averaged weights against the 2,000 held-out digits, after a third of the time and at its end:
kernel distance in the space effnet-lite0, which has never seen a digit and sees blur.
Bars, each on the worst seed: with growing at most 0.8 of the kernel distance without after a third of the time, at
most 1.1 of it at the end; and worth comparing: with growing at the end below real digits of 14 px, enlarged.
Floor: 2,000 training digits; the same at 14 px, enlarged to 28: what the growing one cannot beat before its last level.

    python -m experiments.growing [--seeds 3] [--seconds 100] [--smoke]
"""

import argparse
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

import ganworks
from ganworks import data, metrics
from ganworks.metrics import features
from ganworks.networks.progressive import down, up

from .protocol import all_pictures, saved_grid, whole_grey
from .record import PLAY, RESULTS, Arm, Record

_SYSTEM = ("systems/progressive", "networks/progressive", "networks/equalized", "networks/convolutional")
SOURCES = (
    *PLAY,
    *(f"src/ganworks/{name}.py" for name in (*_SYSTEM, "networks/pair", "metrics/kernel")),
    *(f"experiments/{name}.py" for name in ("growing", "protocol")),
)
GAMES: dict[str, dict[str, float]] = {"growing": {}, "whole": {"growing": 0.0}}
AT_ONCE = 5
"""Rounds of one turn on the processor."""


@dataclass(frozen=True)
class Size:
    """How much of everything; a smoke has little."""

    seeds: int = 3
    seconds: float = 100.0
    """CPU seconds of each training."""
    samples: int = 2000
    measured: int = 40
    """Rounds of the short run that shows what one costs."""


SMOKE = Size(seeds=1, seconds=0.5, samples=64, measured=5)


class Judge:
    """The kernel distance of pictures to the held-out digits."""

    def __init__(self, samples: int) -> None:
        digits = data.open("digits")
        assert digits.held_out is not None
        self.space = features.get("effnet-lite0")
        self.held_out = self.space(all_pictures(digits.held_out)[:samples])
        self.real = all_pictures(digits)[:samples]

    def distance(self, pictures: Float[Tensor, "n c h w"]) -> Arm:
        """Rounded to grey levels, as saved pictures are."""
        found = metrics.kernel_distance(self.held_out, self.space(whole_grey(pictures)))
        return {"samples": len(pictures), "kernel_distance": found}


def cost(game: str, rounds: int) -> float:
    """CPU seconds of a round, on average over a run of so many; the second of two counts, when all is warm."""
    seconds = 0.0
    for _ in range(2):
        gan = ganworks.GAN("progressive", **GAMES[game]).start("digits", steps=rounds)
        begun = time.process_time()
        for _ in range(rounds):
            gan.round()
        seconds = time.process_time() - begun
    return seconds / rounds


def compared(judge: Judge, seed: int, size: Size) -> Arm:
    """Both games of a seed, each for so many CPU seconds of training, judged after a third of them and at the end."""
    steps = {game: max(int(size.seconds / cost(game, size.measured)), 1) for game in GAMES}
    gans = {
        game: ganworks.GAN("progressive", **settings).start("digits", seed=seed, steps=steps[game])
        for game, settings in GAMES.items()
    }
    spent, rounds = dict.fromkeys(GAMES, 0.0), dict.fromkeys(GAMES, 0)
    arm: Arm = {f"horizon, {game}": horizon for game, horizon in steps.items()}
    for mark, upto in (("third", size.seconds / 3), ("end", size.seconds)):
        while min(spent.values()) < upto:
            game = min(spent, key=spent.__getitem__)
            begun = time.process_time()
            for _ in range(AT_ONCE):
                gans[game].round()
            spent[game] += time.process_time() - begun
            rounds[game] += AT_ONCE
        for game, gan in gans.items():
            pictures = gan.sample(len(judge.real), seed=seed)
            saved_grid(f"growing-{game}-{mark}-{seed}", pictures)
            facts: Arm = {"rounds": rounds[game], "training_seconds": round(spent[game], 2)}
            arm[f"{game}, {mark}"] = facts | judge.distance(pictures)
    return arm


def ratio(arm: Arm, mark: str, number: str = "kernel_distance") -> float:
    """A number with growing over that without."""
    return float(arm[f"growing, {mark}"][number] / arm[f"whole, {mark}"][number])


def bars(record: Record, arms: list[Arm], coarse: float) -> None:
    """The bars, each on the worst seed."""
    early, late = (max(ratio(arm, mark) for arm in arms) for mark in ("third", "end"))
    record.bar("kernel distance over that without growing, after a third of the time", early, "<=", 0.8)
    record.bar("kernel distance over that without growing, at the end", late, "<=", 1.1)
    worst = max(float(arm["growing, end"]["kernel_distance"]) for arm in arms)
    record.bar("kernel distance with growing, at the end, against digits of 14 px", worst, "<=", coarse)
    unequal = max(abs(ratio(arm, mark, "training_seconds") - 1) for arm in arms for mark in ("third", "end"))
    record.bar("CPU seconds of training with growing, off those without by a share of", unequal, "<=", 0.05)


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.growing", description=__doc__)
    parser.add_argument("--seeds", type=int, default=Size.seeds)
    parser.add_argument("--seconds", type=float, default=Size.seconds, help="CPU seconds of each training")
    parser.add_argument("--smoke", action="store_true", help="one seed, a second and few samples: does it run?")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    size = SMOKE if options.smoke else Size(options.seeds, options.seconds)
    name = "growing-smoke" if options.smoke else "growing"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, asdict(size), folder)
    judge = Judge(size.samples)
    record.floor("training digits", lambda: judge.distance(judge.real))
    coarse = record.floor("training digits of 14 px, enlarged", lambda: judge.distance(up(down(judge.real))))
    arms = [record.arm(f"seed {seed}", partial(compared, judge, seed, size)) for seed in range(size.seeds)]
    bars(record, arms, float(coarse["kernel_distance"]))
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
