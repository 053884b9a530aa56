"""Claim: on games that can be solved by hand the engine plays what the mathematics says.

Ours, by the real engine, its settings, SGD and float64. The Dirac-GAN: the complex multiplier of a round near the
solution, for each method; where the players are after 5,000 rounds. Shifted Gaussians: see `shifted.py`.
Bars: multipliers within 1e-4 of |exact - 1| (instance noise, which is drawn: within 2e-3 of the multiplier); the
non-saturating cycle's radius within 2 % of √(2h); clipping never converges; and the same checks must catch R1 without
its ½ and players who move at once instead of in turn.
Floors: the exact values.
"""

import argparse
import math
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor, nn

from ganworks import theory
from ganworks.adversarial import Adversarial
from ganworks.data.dataset import DataSet
from ganworks.data.spec import DataSpec
from ganworks.settings import GameSettings, build, nested
from ganworks.training.engine import Engine

from . import shifted
from .record import PLAY, RESULTS, Arm, Record

SOURCES = (*PLAY, "src/ganworks/networks/mlp.py", "experiments/dirac.py", "experiments/shifted.py")
AT_ONCE = {"turns.simultaneous": True}
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "simultaneous": ("", {"objective.loss": "minimax", **AT_ONCE}),
    "alternating": ("", {"objective.loss": "minimax"}),
    "non_saturating": ("", {"objective.loss": "non_saturating", **AT_ONCE}),
    "r1": ("objective.r1", {"objective.loss": "minimax", **AT_ONCE}),
    "instance_noise": ("view.noise", {"objective.loss": "minimax", **AT_ONCE}),
    # D is linear: the slope on real samples, which R1 sees, is its slope everywhere.
    "zero_centered": ("objective.r1", {"objective.loss": "wasserstein", **AT_ONCE}),
    "clipping": ("", {"objective.loss": "wasserstein", "objective.clip": 1.0, **AT_ONCE}),
}
"""Each method of `theory.dirac` as settings: the key of its number, and the others."""
NEAR = [
    ("simultaneous", {}),
    ("alternating", {}),
    ("non_saturating", {}),
    ("r1", {"gamma": 0.3}),
    ("r1", {"gamma": 1.0}),
    ("r1", {"gamma": 2.0}),
    ("zero_centered", {"gamma": 1.0}),
    ("clipping", {}),
    ("instance_noise", {"sigma": 0.7}),
]
FAR: dict[str, dict[str, Any]] = {
    "minimax, at once": METHODS["simultaneous"][1],
    "minimax, in turn": METHODS["alternating"][1],
    "non-saturating, at once": METHODS["non_saturating"][1],
    "non-saturating, in turn": {"objective.loss": "non_saturating"},
    "r1 = 0.3, at once": {**METHODS["r1"][1], "objective.r1": 0.3},
    "clip = 1, at once": METHODS["clipping"][1],
    "clip = 1, in turn": {"objective.loss": "wasserstein", "objective.clip": 1.0},
    "gradient penalty, in turn": {"objective.loss": "wasserstein", "objective.gradient_penalty": 1.0},
}
ENDS = {
    "r1 = 0.3, at once": (0.0, 1e-6),
    # D's slope rests at 0 from above, where the penalty pushes it down by 2λ per unit: G is left at that distance.
    "gradient penalty, in turn": (2.0, 1e-3),
}
STEP = 0.2
ROUNDS = 5000
START = (-1.0, 1.0)
"""(1, 1) in the paper, whose D is high on fakes."""
NOISY_BATCH = 1_000_000
"""σ² is measured by the mean of so many squares: to 0.14 %."""


class Point(nn.Module):
    """G: whatever z, the point θ."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(1))

    def forward(self, z: Tensor) -> Tensor:
        return self.theta.expand(len(z), 1)


class Slope(nn.Module):
    """D: the logit ψx."""

    def __init__(self) -> None:
        super().__init__()
        self.psi = nn.Parameter(torch.zeros(1))

    def features(self, x: Tensor) -> Tensor:
        return x

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0] * self.psi


class DiracGAN(Adversarial):
    """All data at 0, one weight a player."""

    name = "dirac"
    paper = "Mescheder et al. 2018, Which Training Methods for GANs do actually Converge?, arXiv:1801.04406"
    accepts = ("points",)
    gives = "points"
    Settings = GameSettings

    def __init__(self, settings: GameSettings, data: DataSpec) -> None:
        super().__init__(settings, data)
        self.set_up(Point(), Slope())


def game(step_size: float, settings: dict[str, Any], batch: int = 1) -> Engine:
    """An engine that is about to play the Dirac-GAN with SGD, in float64."""
    spec = DataSpec(kind="points", shape=(1,), count=batch)
    rows = DataSet(spec, {"x": torch.zeros(batch, 1, dtype=torch.float64)})
    players = {f"{p}.{k}": v for p in ("generator", "discriminator") for k, v in shifted.sgd(step_size).items()}
    given = {"batch": batch, "latent.size": 1, "average.half_life": 0.0, **players, **settings}
    return Engine(DiracGAN(build(GameSettings, nested(given)), spec).double(), rows, seed=0, steps=1)


def play(engine: Engine, start: tuple[float, float], rounds: int) -> Float64[Tensor, "r 2"]:
    """(ψ, θ) at the start and after each round."""
    system = engine.system
    weights = (system.discriminator.psi, system.generator.theta)
    with torch.no_grad():
        for weight, value in zip(weights, start, strict=True):
            weight.fill_(value)
    places = [start]
    for _ in range(rounds):
        engine.round()
        places.append((weights[0].item(), weights[1].item()))
    return torch.tensor(places, dtype=torch.float64)


def multiplier(make: Callable[[], Engine], near: float = 1e-5) -> complex:
    """The eigenvalue of one round near (0, 0), from rounds that start on both sides of it, on equal noise."""

    def after(psi: float, theta: float) -> Tensor:
        return play(make(), (psi, theta), 1)[1]

    columns = [(after(*at) - after(*(-x for x in at))) / (2 * near) for at in ((near, 0.0), (0.0, near))]
    found = np.linalg.eigvals(torch.stack(columns, 1).numpy())
    return complex(max(found, key=lambda value: (round(abs(value), 9), value.imag)))


def near(method: str, given: dict[str, float], batch: int = 1, **other: Any) -> Arm:
    """A method's multiplier beside the exact one. `other`: settings that spoil the method."""
    key, plain = METHODS[method]
    settings = dict(plain)
    if given:
        (settings[key],) = given.values()
    settings |= other
    found = multiplier(lambda: game(STEP, settings, batch if method == "instance_noise" else 1))
    exact = theory.dirac(method, STEP, **given).multiplier
    off = abs(found - exact)
    return {
        **numbers(found),
        "off": off,
        "off_over_distance_from_1": off / abs(exact - 1),
        **{f"exact_{name}": value for name, value in numbers(exact).items()},
    }


def numbers(value: complex) -> dict[str, float]:
    return {"real": value.real, "imag": value.imag, "modulus": abs(value)}


def far(settings: dict[str, Any], step_size: float, rounds: int, start: tuple[float, float] = START) -> Arm:
    """The distance from the solution, from a start on."""
    radius = play(game(step_size, settings), start, rounds).norm(dim=1)
    return {
        "rounds": rounds,
        "after_a_tenth": radius[rounds // 10].item(),
        "at_the_end": radius[-1].item(),
        "nearest_in_the_last_fifth": radius[-rounds // 5 :].min().item(),
        "farthest": radius.max().item(),
    }


def cycle(step_size: float, share: float) -> Arm:
    """The mean radius over the last turn of the non-saturating game at once, begun inside and outside its cycle.

    The distance from the cycle shrinks by h²/4 a round: 20/h² rounds leave a hundredth of it.
    """
    exact = theory.limit_cycle_radius(step_size)
    turn = round(4 * math.pi / step_size)  # the weights turn by h/2 a round
    rounds = round(share * (20 / step_size**2 + turn))
    found: Arm = {"exact": exact, "rounds": rounds}
    for side, factor in (("from_inside", 0.7), ("from_outside", 1.4)):
        places = play(game(step_size, METHODS["non_saturating"][1]), (factor * exact, 0.0), rounds)
        found[side] = places.norm(dim=1)[-turn:].mean().item()
    return found


def flow(step_size: float, time: float) -> Arm:
    """The non-saturating game in turn, beside the solution of its continuous game: r(t) = 1/√(1/r₀² + t/8)."""
    places = play(game(step_size, FAR["non-saturating, in turn"]), START, round(time / step_size))
    return {"time": time, "radius": places[-1].norm().item(), "continuous": 1 / math.sqrt(1 / 2 + time / 8)}


def title(method: str, given: dict[str, float]) -> str:
    return ", ".join([method, *(f"{name} {value}" for name, value in given.items())])


def judge_near(record: Record, batch: int) -> None:
    """The multipliers, and two mistakes that must be seen."""
    for method, given in NEAR:
        name = title(method, given)
        record.floor(f"multiplier, {name}", partial(exactly, method, given))
        arm = record.arm(f"multiplier, {name}", partial(near, method, given, batch))
        if method == "instance_noise":
            record.bar(f"multiplier of {name}, distance from the exact one", arm["off"], "<=", 2e-3)
        else:
            record.bar(f"multiplier of {name}, off over |exact - 1|", arm["off_over_distance_from_1"], "<=", 1e-4)
    doubled = record.arm("mistake: R1 without its ½", partial(near, "r1", {"gamma": 0.3}, **{"objective.r1": 0.6}))
    record.bar("caught: R1 without its ½", doubled["off_over_distance_from_1"], ">=", 0.01)
    at_once = record.arm("mistake: at once instead of in turn", partial(near, "alternating", {}, **AT_ONCE))
    record.bar("caught: at once instead of in turn", at_once["off_over_distance_from_1"], ">=", 0.01)


def exactly(method: str, given: dict[str, float]) -> Arm:
    return numbers(theory.dirac(method, STEP, **given).multiplier)


def judge_far(record: Record, rounds: int) -> None:
    """Where the players end."""
    arms = {name: record.arm(name, partial(far, settings, STEP, rounds)) for name, settings in FAR.items()}
    for name in ("clip = 1, at once", "clip = 1, in turn"):
        record.bar(f"{name}: nearest in the last fifth", arms[name]["nearest_in_the_last_fifth"], ">=", 0.5)
    for name, (radius, off) in ENDS.items():
        record.bar(f"{name}: radius at the end off {radius:g}", abs(arms[name]["at_the_end"] - radius), "<=", off)
    for step_size, compare, limit in ((3.9, "<=", 0.1), (4.1, ">=", 1)):
        name = f"minimax, in turn, h = {step_size}, from 0.001"
        arm = record.arm(name, partial(far, FAR["minimax, in turn"], step_size, rounds // 10, (0.001, 0.0)))
        record.bar(f"{name}: farthest", arm["farthest"], compare, limit)
    for step_size in (0.05, 0.1, 0.2, 0.4):
        arm = record.arm(f"cycle, h = {step_size}", partial(cycle, step_size, rounds / ROUNDS))
        worst = max(abs(arm[side] / arm["exact"] - 1) for side in ("from_inside", "from_outside"))
        record.bar(f"cycle at h = {step_size}: radius off √(2h), share", worst, "<=", 0.02)
    arm = record.arm("non-saturating, in turn, h = 0.02", partial(flow, 0.02, 0.02 * rounds))
    off = abs(arm["radius"] / arm["continuous"] - 1)
    record.bar("non-saturating, in turn, h = 0.02: off 1/√(1/r₀² + t/8), share", off, "<=", 0.01)


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.dirac", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="ten rounds and few samples: does it run?")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    name = "dirac-smoke" if options.smoke else "dirac"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, folder=folder)
    judge_near(record, 1000 if options.smoke else NOISY_BATCH)
    judge_far(record, 10 if options.smoke else ROUNDS)
    shifted.judge(record, shifted.SMOKE if options.smoke else shifted.FULL)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
