"""What a step of our DCGAN costs beside the loop that one writes from PyTorch's DCGAN tutorial.

Both play one game on one data set: pictures of 3 × 32 × 32, batch 64, width 64, latents of 100, one update of each
player, the same layers with the same weights at the start, the same losses and Adam. Ours is `Engine.round`, with its
checks, named streams and average of weights. Theirs is the plain loop: float32, contiguous NCHW, a DataLoader without
workers, BCEWithLogitsLoss, `Adam` as it comes, three `backward()`; its pictures are decoded before it starts.

It is measured twice. With the tutorial's layers, whose first and last are convolutions of 4 × 4 on one position; and
with linear layers in their place, as ours are: the same mathematics, and faster on a CPU.
Interleaved in one process, process CPU time, one thread; a ratio of medians with its quartiles.

Bar: at most 0.90 in float32, at most 0.60 in bf16 where the processor has it.

    python -m benchmarks.step_cost [--blocks 40]
"""

import argparse
import itertools
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.overhead import engine, measured, pictures
from experiments.record import Record
from ganworks import plan
from ganworks.data.dataset import DataSet
from ganworks.game import System

BARS = {"float32": 0.90, "bf16": 0.60}
SOURCES = (
    "src/ganworks/training",
    "src/ganworks/networks/convolutional.py",
    "src/ganworks/systems/dcgan.py",
    *(f"src/ganworks/{name}.py" for name in ("adversarial", "game", "objective", "round", "views")),
    "benchmarks/overhead.py",
    "benchmarks/step_cost.py",
)


def networks(system: System, linear: bool) -> tuple[nn.Sequential, nn.Sequential]:
    """G and D as in the tutorial, at 32 px and contiguous, with the weights of ours. Letters: C channels, Z latents."""
    weights = system.state_dict()
    h, w, c = system.generator.start
    first, head = weights["generator.project.weight"], weights["discriminator.head.weight"]
    z = first.shape[1]
    # Ours count positions before channels, NCHW counts them after.
    first = first.view(h, w, c, z).permute(3, 2, 0, 1)
    head = head.view(1, h, w, c).permute(0, 3, 1, 2)
    up = partial(nn.ConvTranspose2d, kernel_size=4, bias=False)
    down = partial(nn.Conv2d, kernel_size=4, bias=False)
    begins = [nn.Linear(z, c * h * w, bias=False), nn.Unflatten(1, (c, h, w))] if linear else [up(z, c)]
    ends = [nn.Flatten(), nn.Linear(c * h * w, 1)] if linear else [down(c, 1, bias=True)]
    # fmt: off
    generator = nn.Sequential(
        *begins, nn.BatchNorm2d(c), nn.ReLU(True),
        up(c, c // 2, stride=2, padding=1), nn.BatchNorm2d(c // 2), nn.ReLU(True),
        up(c // 2, c // 4, stride=2, padding=1), nn.BatchNorm2d(c // 4), nn.ReLU(True),
        up(c // 4, 3, stride=2, padding=1, bias=True), nn.Tanh(),
    )
    discriminator = nn.Sequential(
        down(3, c // 4, stride=2, padding=1, bias=True), nn.LeakyReLU(0.2, True),
        down(c // 4, c // 2, stride=2, padding=1), nn.BatchNorm2d(c // 2), nn.LeakyReLU(0.2, True),
        down(c // 2, c, stride=2, padding=1), nn.BatchNorm2d(c), nn.LeakyReLU(0.2, True),
        *ends,
    )
    # fmt: on
    changed = {
        "generator.project.weight": first.flatten(1).t() if linear else first,
        "discriminator.head.weight": head.flatten(1) if linear else head,
    }
    for name, plain in (("generator", generator), ("discriminator", discriminator)):
        ours = [changed.get(each, weights[each]) for each in weights if each.startswith(f"{name}.")]
        states = zip(plain.state_dict().values(), ours, strict=True)
        for into, value in states:
            into.copy_(value)
    return generator, discriminator


def plain(generator: nn.Module, discriminator: nn.Module, data: DataSet, batch: int, z: tuple[int, ...]) -> Callable:
    """One step of the loop as the tutorial has it."""
    x = data.rows(torch.arange(len(data)))["x"]
    batches = _endless(DataLoader(TensorDataset(x), batch_size=batch, shuffle=True, drop_last=True))
    criterion = nn.BCEWithLogitsLoss()
    d_rule = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    g_rule = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    ones, zeros = torch.ones(batch), torch.zeros(batch)

    def step() -> None:
        discriminator.zero_grad()
        criterion(discriminator(next(batches)).view(-1), ones).backward()
        fake = generator(torch.randn(batch, *z))
        criterion(discriminator(fake.detach()).view(-1), zeros).backward()
        d_rule.step()
        generator.zero_grad()
        criterion(discriminator(fake).view(-1), ones).backward()
        g_rule.step()

    return step


def _endless(loader: DataLoader) -> Iterator[Tensor]:
    for (x,) in itertools.chain.from_iterable(itertools.repeat(loader)):
        yield x


def compare(precision: str, linear: bool, *, blocks: int, rounds: int = 2, **settings: object) -> dict[str, float]:
    """Our round in a precision beside the plain step in float32."""
    data = pictures()
    ours = engine("dcgan", data, precision=precision, **settings)
    given = ours.system.settings
    z = (given.latent.size,) if linear else (given.latent.size, 1, 1)
    theirs = plain(*networks(ours.system, linear), data, given.batch, z)
    return measured(ours.round, theirs, rounds, blocks)


def main(words: list[str], folder: Path = Path(__file__).parent / "results") -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.step_cost", description=__doc__)
    parser.add_argument("--blocks", type=int, default=40)
    blocks = parser.parse_args(words).blocks
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    record = Record("step_cost", str(__doc__).splitlines()[0], SOURCES, {"blocks": blocks}, folder)
    for precision in ("float32", "bf16") if plan.halves() else ("float32",):
        for layers, linear in (("the tutorial's layers", False), ("our layers", True)):
            found = record.arm(f"{precision}, {layers}", partial(compare, precision, linear, blocks=blocks))
            record.bar(
                f"{precision}, CPU time over a plain loop's with {layers}", found["ratio"], "<=", BARS[precision]
            )
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
