"""Claim: `lapgan` gives patches of photographs the detail that real ones have, where enlarging them leaves a blur.

Ours: `lapgan` with two levels, 16 and 32 px, on grey patches of 17 photographs, brought to one contrast
(`photographs`), 5,000 rounds, about 4 CPU minutes, three seeds, one core. It is judged on six other
photographs, held out whole: one half of their patches is the reference, those of the other half are shrunk to 16 px and
enlarged by the 32 px level, and by its competitors. The whole cascade, which starts from nothing, stands in the table
beside patches of the photographs that it learnt; no bar is about it, for its coarsest level is a small fully connected
game.
Power of the top octave: of the spectrum, averaged over patches and directions, above half of the highest frequency an
axis holds; patches without their mean, under a Hann window, for the edges of a patch are no detail. Kernel distance:
in the space effnet-lite0, to 1,000 patches.
Null competitors: enlarging alone, bilinear (the level's own kernel) and bicubic; and each of them plus Gaussian noise
with a spectrum that training patches give, frequency by frequency: that of what enlarging has lost, or that of what is
missing to the power of real patches.
Bars, each on the worst seed: top-octave power of the enlarged patches within 20 % of the real ones'; their kernel
distance below that of enlarging alone and of enlarging plus noise, the best of each kind.
Floor: real patches of the half that is enlarged.

    python -m experiments.cascade [--photographs FOLDER] [--seeds 3] [--smoke]
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

import ganworks
from ganworks import metrics, model
from ganworks.data.pictures import grid, write_png
from ganworks.metrics import features
from ganworks.networks.pyramid import down
from ganworks.random import Streams
from ganworks.systems.lapgan import LAPGAN

from . import photographs, protocol
from .protocol import Pictures, whole_grey
from .record import PLAY, RESULTS, Arm, Record

SOURCES = (
    *PLAY,
    *(f"src/ganworks/{name}.py" for name in ("systems/lapgan", "networks/pyramid", "networks/mlp", "networks/pair")),
    "src/ganworks/metrics/kernel.py",
    *(f"experiments/{name}.py" for name in ("cascade", "photographs", "protocol")),
)
SIZE, COARSE = 32, 16
SHOWN = 8
_MEASURED = 5000
"""Training patches that a spectrum is taken from."""


@dataclass(frozen=True)
class Scale:
    """How much of everything; a smoke has little."""

    seeds: int = 3
    rounds: int = 5_000
    patches: int = 1000
    training: int | None = None
    """Patches that are learnt, where it is not all."""


def enlarged(coarse: Pictures, mode: str) -> Pictures:
    """Twice the size by interpolation, and no detail."""
    return F.interpolate(coarse, scale_factor=2, mode=mode, align_corners=False)


def spectrum(x: Pictures) -> Float[Tensor, "h w"]:
    """Mean power at each frequency over patches and colours, under a Hann window."""
    window = torch.hann_window(x.shape[-1], periodic=False)
    seen = (x - x.mean((2, 3), keepdim=True)) * window[:, None] * window
    return torch.fft.fft2(seen).abs().square().mean((0, 1))


def top_octave(x: Pictures) -> float:
    """Power above a quarter of a cycle per pixel, in any direction."""
    frequency = torch.fft.fftfreq(x.shape[-1])
    return spectrum(x)[torch.hypot(frequency[:, None], frequency) > 0.25].sum().item()


def power(x: Pictures) -> Float[Tensor, "h w"]:
    """Mean power at each frequency over patches, as they are."""
    return torch.fft.fft2(x.double()).abs().square().mean((0, 1))


class Noise:
    """Gaussian noise with the spectrum of what enlarging lacks, from training patches.

    Args:
        training: Real patches.
        mode: Of enlarging.
        kind: `lost`: that of the difference to the real patch; `missing`: what adds up to the power of real patches.
    """

    def __init__(self, training: Pictures, mode: str, kind: str) -> None:
        training = training[:_MEASURED]
        low = enlarged(down(training), mode)
        wanted = power(training - low) if kind == "lost" else power(training) - power(low)
        self.root = wanted.clamp(min=0).sqrt()

    def draw(self, like: Pictures) -> Pictures:
        """Noise of that spectrum, in the shape of some patches."""
        white = torch.randn(like.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        return torch.fft.ifft2(self.root * torch.fft.fft2(white, norm="ortho")).real.to(like)


class Judge:
    """Patches of both sides, and what is measured of others."""

    def __init__(self, training: Pictures, held_out: Pictures, count: int) -> None:
        order = torch.randperm(len(held_out), generator=torch.Generator().manual_seed(0))
        half = min(count, len(held_out) // 2)
        self.training = training
        self.real = held_out[order[half : 2 * half]]
        self.coarse = down(self.real)
        self.space = features.get("effnet-lite0")
        self.reference = self.space(held_out[order[:half]])
        known = torch.randperm(len(training), generator=torch.Generator().manual_seed(0))[:half]
        self.learnt = training[known]
        self.learnt_reference = self.space(self.learnt)

    def score(self, pictures: Pictures) -> Arm:
        """Of patches that began with the coarse held-out ones: distance, power, and how well they keep to those."""
        pictures = whole_grey(pictures)
        return {
            "samples": len(pictures),
            "kernel_distance": metrics.kernel_distance(self.reference, self.space(pictures)),
            "top_octave": top_octave(pictures) / top_octave(self.real),
            "off_the_coarse_one": (down(pictures) - self.coarse).square().mean().sqrt().item(),
        }

    def score_cascade(self, pictures: Pictures) -> Arm:
        """Of patches that began with nothing, beside those that were learnt."""
        pictures = whole_grey(pictures)
        return {
            "cascade_kernel_distance": metrics.kernel_distance(self.learnt_reference, self.space(pictures)),
            "cascade_top_octave": top_octave(pictures) / top_octave(self.learnt),
        }


def competitors(judge: Judge) -> dict[str, Pictures]:
    """What needs no GAN."""
    found = {}
    for mode in ("bilinear", "bicubic"):
        low = enlarged(judge.coarse, mode)
        found[f"enlarged, {mode}"] = low.clamp(-1, 1)
        for kind in ("lost", "missing"):
            noise = Noise(judge.training, mode, kind).draw(low)
            found[f"enlarged, {mode}, plus noise, {kind}"] = (low + noise).clamp(-1, 1)
    return found


def trained(judge: Judge, seed: int, scale: Scale) -> Arm:
    """Train once; enlarge the coarse patches, and draw from the cascade."""
    gan = ganworks.GAN("lapgan", coarsest=COARSE).start({"x": judge.training}, seed=seed, steps=scale.rounds)
    begun = time.process_time()
    for _ in range(scale.rounds):
        gan.round()
    seconds = time.process_time() - begun
    with tempfile.TemporaryDirectory() as folder:
        gan.save(Path(folder) / "gan")
        still = model.load(Path(folder) / "gan").still
    assert isinstance(still, LAPGAN)
    with torch.no_grad():
        finer = still.finer(0, judge.coarse, Streams((seed, "enlarged"), len(judge.coarse)))
    drawn = gan.sample(len(judge.learnt), seed=seed)
    _show(judge, finer, drawn, seed)
    return {"rounds": scale.rounds, "training_seconds": seconds, **judge.score(finer), **judge.score_cascade(drawn)}


def _show(judge: Judge, finer: Pictures, drawn: Pictures, seed: int) -> None:
    """Rows of eight, unpicked: coarse, enlarged by nothing but a kernel, by ours, real; then the cascade, and real."""
    rows = [F.interpolate(judge.coarse, scale_factor=2, mode="nearest"), enlarged(judge.coarse, "bicubic").clamp(-1, 1)]
    rows += [finer, judge.real, drawn, drawn[SHOWN:], judge.learnt]
    protocol.CACHE.mkdir(exist_ok=True)
    write_png(protocol.CACHE / f"cascade-{seed}.png", grid(torch.cat([row[:SHOWN] for row in rows]), SHOWN))


def judged(record: Record, nulls: dict[str, Arm], arms: list[Arm]) -> None:
    """The bars, each on the worst seed."""
    off = max(abs(arm["top_octave"] - 1) for arm in arms)
    record.bar("top-octave power of enlarged patches, off the data's by", off, "<=", 0.2)
    worst = max(arm["kernel_distance"] for arm in arms)
    for name, noisy in (("enlarging alone", False), ("enlarging and matched noise", True)):
        best = min(arm["kernel_distance"] for key, arm in nulls.items() if ("noise" in key) == noisy)
        record.bar(f"kernel distance over that of {name}", worst / best, "<=", 1.0)


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.cascade", description=__doc__)
    parser.add_argument("--photographs", type=Path, default=photographs.FOLDER)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--smoke", action="store_true", help="made-up pictures, few rounds: does it run?")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as made:
        if options.smoke:
            options.photographs = Path(made)
            photographs.make(options.photographs, 4)
        if not photographs.found(options.photographs):
            parser.error(f"no photographs in {options.photographs}; experiments/photographs.py says how to get them")
        training, held_out = photographs.split(options.photographs, SIZE)
    scale = Scale(1, 3, 40, 200) if options.smoke else Scale(options.seeds)
    name = "cascade-smoke" if options.smoke else "cascade"
    training = training[torch.randperm(len(training), generator=torch.Generator().manual_seed(0))[: scale.training]]
    counts = {"seeds": scale.seeds, "training": len(training), "held_out": len(held_out)}
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, counts, folder)
    judge = Judge(training, held_out, scale.patches)
    record.floor("real patches", lambda: judge.score(judge.real))
    nulls = {name: record.floor(name, partial(judge.score, pictures)) for name, pictures in competitors(judge).items()}
    arms = [record.arm(f"seed {seed}", partial(trained, judge, seed, scale)) for seed in range(scale.seeds)]
    judged(record, nulls, arms)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
