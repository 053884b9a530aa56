"""Claim: a VAE covers the ring and blurs it, a mixture by EM is at the floor, and a GAN is sharp without a density.

Ours: `ganworks train ring` with the defaults of `vae`, `mixture` and `r3gan`, three seeds, one core, at most a CPU
minute each. 10,000 samples; log-likelihoods of 10,000 fresh draws of the density, in nats.
Bars, each on the worst seed: `vae` reaches 8 of 8 modes, more than 10 % of its samples lie between modes (within 3 std
of none), and the KL of the counts of nearest modes is < 0.05; its bound on held-out draws is a nat above what one
Gaussian gives them, which would pass the three before; `mixture` has high quality >= 0.98, reverse KL <= 0.005
and a log-likelihood within 0.02 nats of the density's own; `r3gan` has fewer samples between modes than `vae`.
Floor: fresh draws. Null competitors: one Gaussian with the data's mean and covariance (`mixture` with one component),
which covers everything and is sharp nowhere; and samples of one mode alone, which are sharp and drop the rest: their KL
is log 8.
"""

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganworks import metrics, model
from ganworks.explicit import Likelihood
from ganworks.game import System
from ganworks.gan import GAN
from ganworks.systems.vae import VAE
from ganworks.theory import ring

from . import processes, protocol
from .record import RESULTS, TRAIN, Arm, Record

SOURCES = (
    *TRAIN,
    *(f"src/ganworks/systems/{name}.py" for name in ("vae", "mixture", "r3gan")),
    "src/ganworks/explicit.py",
    "src/ganworks/metrics/modes.py",
    *(f"experiments/{name}.py" for name in ("explicit", "processes")),
)
SYSTEMS = ("vae", "mixture", "r3gan")
POINTS = 10_000
SHOWN = 2_500
"""Samples of seed 0 that the picture shows."""
FEW = {
    "vae": ("--steps", "20"),
    "r3gan": ("--steps", "20"),
    "mixture": ("--set", "components=2", "rows=200", "starts=1"),
}
"""What a smoke has instead of the defaults."""
RING = ring()


def judged(points: Tensor) -> Arm:
    """Mode coverage, the share between modes, and the KL from the counts of nearest modes to equal ones."""
    distance, mode = torch.cdist(points.double(), RING.means).min(1)
    shares = torch.bincount(mode, minlength=len(RING.means)).double() / len(points)
    kl = torch.special.xlogy(shares, shares * len(shares)).sum()
    return {
        "samples": len(points),
        **metrics.mode_coverage(points, RING)._asdict(),
        "between": float((distance > 3 * RING.stds[mode]).double().mean()),
        "nearest_kl": float(kl),
    }


def held_out() -> Tensor:
    """Draws that no model has seen."""
    return RING.sample(POINTS, torch.Generator().manual_seed(1))


def likelihoods(system: System, points: int) -> Arm:
    """What a system says of held-out draws: its log-likelihood or the bound of it, and the looser bound of a VAE."""
    if not isinstance(system, Likelihood):
        return {}
    x = held_out()[:points]
    found = {"log_likelihood": float(system.log_likelihood(x).mean())}
    return found | ({"evidence_bound": float(system.evidence_bound(x).mean())} if isinstance(system, VAE) else {})


def shown(system: str) -> Path:
    """Where samples of seed 0 stand, for the picture."""
    return protocol.CACHE / f"explicit-{system}.npy"


def measure(system: str, seed: int, few: tuple[str, ...], points: int) -> Arm:
    """Train once by the command; score samples, and held-out draws by the density."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        words = ("train", "ring", "--system", system, "--seed", str(seed), "--run", str(run), "--json", *few)
        said, seconds = processes.answer("ganworks", *words)
        trained = model.load(run)
        x = trained.sample(points, seed=seed)
        if seed == 0:
            shown(system).parent.mkdir(exist_ok=True)
            np.save(shown(system), x[:SHOWN].numpy(), allow_pickle=False)
        told = {score["metric"] for score in said["scores"]}
        return {
            "step": said["step"],
            "command_seconds": round(seconds, 2),
            "likelihood_in_the_scores": "log_likelihood" in told,
            "verdicts": sorted({verdict["name"] for verdict in said["verdicts"]}),
            **judged(x),
            **likelihoods(trained.still, points),
        }


def fresh() -> Arm:
    """Draws of the density, and what it says of held-out ones."""
    x = held_out()
    drawn = RING.sample(POINTS, torch.Generator().manual_seed(0))
    return {**judged(drawn), "log_likelihood": float(RING.log_prob(x).mean())}


def one_gaussian() -> Arm:
    """A single normal density with the ring's mean and covariance."""
    gan = GAN("mixture", components=1).start("ring")
    return {**judged(gan.sample(POINTS)), **likelihoods(gan.system, POINTS)}


def one_mode() -> Arm:
    """Real draws of one mode, over and over."""
    draws = RING.components[0].sample(POINTS, torch.Generator().manual_seed(0))
    return judged(draws)


def judge(record: Record, arms: dict[str, list[Arm]], floor: Arm, null: Arm) -> None:
    """The bars, each on the worst seed."""
    vae, mixture, r3gan = (arms[name] for name in SYSTEMS)
    record.bar("vae, modes, fewest", min(arm["modes"] for arm in vae), "==", 8)
    record.bar("vae, share between modes, lowest", min(arm["between"] for arm in vae), ">=", 0.1)
    record.bar("vae, KL of the nearest modes, highest", max(arm["nearest_kl"] for arm in vae), "<=", 0.05)
    above = min(arm["log_likelihood"] for arm in vae) - null["log_likelihood"]
    record.bar("vae, nats (a bound) above one Gaussian's, least", above, ">=", 1.0)
    record.bar("mixture, high quality, lowest", min(arm["high_quality"] for arm in mixture), ">=", 0.98)
    record.bar("mixture, reverse KL, highest", max(arm["reverse_kl"] for arm in mixture), "<=", 0.005)
    below = max(abs(floor["log_likelihood"] - arm["log_likelihood"]) for arm in mixture)
    record.bar("mixture, nats from the density's own, most", below, "<=", 0.02)
    apart = min(arm["between"] for arm in vae) - max(arm["between"] for arm in r3gan)
    record.bar("share between modes, least of vae minus most of r3gan", apart, ">=", 0.0)
    told = {name: [arm["likelihood_in_the_scores"] for arm in arms[name]] for name in SYSTEMS}
    right = all(told["vae"] + told["mixture"]) and not any(told["r3gan"])
    record.bar("a log-likelihood stands in the scores of those that have one, and of no other", float(right), "==", 1)
    seconds = max(arm["command_seconds"] for each in arms.values() for arm in each)
    record.bar("CPU seconds of a command, most", seconds, "<=", 60)


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.explicit", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--smoke", action="store_true", help="one seed, few steps and samples: does it run?")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    seeds, points = (1, 300) if options.smoke else (options.seeds, POINTS)
    few = FEW if options.smoke else {}
    name = "explicit-smoke" if options.smoke else "explicit"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, {"seeds": seeds}, folder)
    floor = record.floor("fresh draws", fresh)
    null = record.floor("null: one Gaussian", one_gaussian)
    record.floor("null: one mode alone", one_mode)
    arms = {
        system: [
            record.arm(f"{system}, seed {seed}", partial(measure, system, seed, few.get(system, ()), points))
            for seed in range(seeds)
        ]
        for system in SYSTEMS
    }
    judge(record, arms, floor, null)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
