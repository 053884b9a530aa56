"""Claim: `bigan` learns a way back: G undoes E, and what E makes of data is distributed as z.

Ours: 14,000 steps of the defaults on the ring, a z of two normal numbers, five seeds, one core. Then 2,000 fresh points
x: G(E(x)) is right within 3 std of the mode that x was drawn from. E(x) is held against N(0, I) by three
Kolmogorov-Smirnov tests, one for each coordinate against N(0, 1) and one of the radius against Rayleigh's law; it is
told from N(0, I) where the least of the three p is below 0.01 / 3.
Bars: right >= 0.9 in the worst seed; not told from N(0, I) in >= 4 of 5 seeds; <= 90 CPU s of training.
Null competitors, neither of which passes both in any seed: the E of step 0 before the trained G, and the same G and E
as an autoencoder, without D. Floor: the points themselves, and draws of N(0, I).

    python -m experiments.bigan [--seeds 5] [--smoke]
"""

import argparse
import math
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ganworks import data as datasets
from ganworks.game import Phase, Round, Terms, Turn
from ganworks.gan import GAN
from ganworks.random import key
from ganworks.settings import build
from ganworks.systems.bigan import BiGAN
from ganworks.theory import ring
from ganworks.training.average import for_sampling
from ganworks.training.engine import Engine

from .processes import train
from .record import RESULTS, TRAIN, Arm, Record

SOURCES = (
    *TRAIN,
    *(f"src/ganworks/systems/{name}.py" for name in ("bigan", "r3gan")),
    *(f"experiments/{name}.py" for name in ("bigan", "processes")),
)
STEPS, ALONE = 14_000, 4_000
"""Of the game, and of the autoencoder."""
POINTS, RADIUS = 2_000, 3 * 0.02
LEVEL = 0.01 / 3
SETTINGS = {"latent.size": 2, "latent.prior": "normal"}
Law = Callable[[Tensor], Tensor]


class Alone(BiGAN):
    """The same G and E, which undo each other because the loss says so."""

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("alone", (Turn("generator"),)),)

    def generator_loss(self, round: Round) -> Terms:
        x = round.real["x"]
        return {"reconstruction": F.mse_loss(self.generator(self.encoded(x, round.random)), x)}


def kolmogorov(statistic: float, count: int) -> float:
    """P(D >= statistic) of the largest distance of so many draws' distribution from their law.

    By Kolmogorov's series with the correction of Stephens 1970 for finite numbers.
    """
    t = (math.sqrt(count) + 0.12 + 0.11 / math.sqrt(count)) * statistic
    if t < 0.2:  # 1 to more digits than a double has, where the series converges slowly
        return 1.0
    series = (-1) ** torch.arange(100) * torch.exp(-2 * (torch.arange(1, 101, dtype=torch.float64) * t).square())
    return float((2 * series.sum()).clamp(0, 1))


def ks(values: Float[Tensor, " n"], law: Law) -> float:
    """The p-value of the Kolmogorov-Smirnov test of some values against a distribution function."""
    expected = law(values.double().sort().values)
    below = torch.arange(len(values)) / len(values)
    statistic = torch.maximum(expected - below, below + 1 / len(values) - expected).max()
    return kolmogorov(float(statistic), len(values))


def rayleigh(radius: Tensor) -> Tensor:
    """How much of N(0, I) in the plane lies within a radius."""
    return 1 - torch.exp(-radius.square() / 2)


def judged(x: Float[Tensor, "n 2"], z: Float[Tensor, "n 2"], means: Float[Tensor, "n 2"]) -> Arm:
    """How many points are right, and how well latents pass for N(0, I)."""
    laws: list[Law] = [torch.special.ndtr, torch.special.ndtr, rayleigh]
    p = [ks(values, law) for values, law in zip([*z.T, z.norm(dim=1)], laws, strict=True)]
    return {
        "points": len(x),
        "right": ((x - means).norm(dim=1) <= RADIUS).double().mean().item(),
        "p_first": p[0],
        "p_second": p[1],
        "p_radius": p[2],
        "normal": min(p) >= LEVEL,
    }


def fresh(seed: int) -> tuple[Float[Tensor, "n 2"], Float[Tensor, "n 2"]]:
    """Points that no training has seen, and the means of their modes."""
    x, mode = ring().sample_with_component(POINTS, torch.Generator().manual_seed(1000 + seed))
    return x, ring().means[mode].float()


def played(seed: int, steps: int) -> Arm:
    """Train once by the command; then its E, and the E of step 0, before its G."""
    words = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    run = train("ring", "--system", "bigan", "--seed", str(seed), "--steps", str(steps), *words)
    x, means = fresh(seed)
    found = run.facts
    first = GAN("bigan", **SETTINGS).start("ring", seed=seed, steps=1).encode(x)
    for name, z in (("", run.gan.encode(x)), ("random_", first)):
        found |= {name + key: value for key, value in judged(run.gan.decode(z), z, means).items()}
    return found


def alone(seed: int, steps: int) -> Arm:
    """Train the autoencoder."""
    rows = datasets.open("ring")
    settings = build(BiGAN.Settings, BiGAN.suited(rows.spec), {"latent": {"size": 2, "prior": "normal"}})
    assert isinstance(settings, BiGAN.Settings)
    torch.manual_seed(key(seed, "init"))
    engine = Engine(Alone(settings, rows.spec).train(), rows, seed=seed, steps=steps)
    for _ in range(steps):
        engine.round()
    still = for_sampling(engine.system, engine.average, seed)
    assert isinstance(still, BiGAN)
    x, means = fresh(seed)
    z = still.encode(x)
    return {"steps": steps, **judged(still.decode(z), z, means)}


def floor() -> Arm:
    """The points themselves, and draws of N(0, I)."""
    x, means = fresh(0)
    return judged(x, torch.randn(POINTS, 2, generator=torch.Generator().manual_seed(0)), means)


def both(arms: list[Arm], name: str = "") -> int:
    """Arms that pass both bars."""
    return sum(arm[f"{name}right"] >= 0.9 and arm[f"{name}normal"] for arm in arms)


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.bigan", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="one seed and three steps: does it run?")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    seeds, steps, few = (1, 3, 3) if options.smoke else (options.seeds, STEPS, ALONE)
    name = "bigan-smoke" if options.smoke else "bigan"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, {"seeds": seeds}, folder)
    record.floor("the points themselves, and N(0, I)", floor)
    ours = [record.arm(f"bigan, seed {seed}", partial(played, seed, steps)) for seed in range(seeds)]
    nulls = [record.arm(f"autoencoder, seed {seed}", partial(alone, seed, few)) for seed in range(seeds)]
    record.bar("G(E(x)) within 3 std of the mode of x, lowest", min(arm["right"] for arm in ours), ">=", 0.9)
    record.bar("seeds whose E(x) is not told from N(0, I)", sum(arm["normal"] for arm in ours), ">=", 4)
    record.bar("CPU seconds of training, most", max(arm["training_seconds"] for arm in ours), "<=", 90)
    record.bar("seeds in which the E of step 0 passes both", both(ours, "random_"), "==", 0)
    record.bar("seeds in which the autoencoder passes both", both(nulls), "==", 0)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
